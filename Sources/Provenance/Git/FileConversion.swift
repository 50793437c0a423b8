internal import SystemCalls
internal import SystemPackage

/// Whether git may have other bytes of a file than the working tree has, and they are the same to it: filters, line ends, `ident` (gitattributes(5)).
/// No attribute is matched with a name: one that could be meant is taken to be.
final class FileConversion {
    private let walk: PathWalk
    private let place: RepositoryPlace
    private let settings: RepositorySettings
    /// The `.gitattributes` that are tracked.
    private let tracked: Set<[UInt8]>
    private let home: [UInt8]?

    /// What was found of a file with attributes.
    private var known: [[UInt8]: Bool] = [:]
    private lazy var repositoryMayConvert =
        settings.namesOtherFiles || mayConvert("info/attributes".utf8, from: place.common)
    private lazy var userMayConvert = lookAtUser()

    /// - Parameter home: the user's home directory; nil when it is not known.
    init(
        _ walk: PathWalk, _ place: RepositoryPlace, _ settings: RepositorySettings, tracked: Set<[UInt8]>,
        home: [UInt8]?
    ) {
        self.walk = walk
        self.place = place
        self.settings = settings
        self.tracked = tracked
        self.home = home
    }

    /// The longest file that is read, in bytes.
    private static let limit = 1 << 20
    /// In whatever way they are written.
    private static let words = ["text", "crlf", "eol", "filter", "ident", "working-tree-encoding", "[attr]"]
    private static let attributes = Array(".gitattributes".utf8)

    /// Whether a file's bytes may be converted.
    ///
    /// - Parameter name: its name from the top.
    func mayConcern(_ name: ArraySlice<UInt8>) -> Bool {
        if repositoryMayConvert { return true }
        var end = name.startIndex
        while true {
            if isConverting(Array(name[..<end] + Self.attributes)) { return true }
            guard let slash = name[end...].firstIndex(of: UInt8(ascii: "/")) else { return userMayConvert }
            end = slash + 1
        }
    }

    private func isConverting(_ path: [UInt8]) -> Bool {
        if let found = known[path] { return found }
        let found: Bool
        do throws(Errno) {
            // Of one that is not checked out git reads what it has.
            found =
                try place.top.attributes(of: path) == nil ? tracked.contains(path) : mayConvert(path, from: place.top)
        } catch {
            found = true
        }
        known[path] = found
        return found
    }

    /// By what is set for the user and for the machine. Where a program has git's files elsewhere (`XDG_CONFIG_HOME`, `GIT_CONFIG_GLOBAL`) is not known.
    private func lookAtUser() -> Bool {
        guard let home else { return true }
        for path in [Array("/etc/gitattributes".utf8), home + Array("/.config/git/attributes".utf8)]
        where mayConvert(path, from: nil) {
            return true
        }
        let configs = [
            Array("/etc/gitconfig".utf8), home + Array("/.gitconfig".utf8), home + Array("/.config/git/config".utf8),
        ]
        for path in configs {
            switch contents(path, from: nil) {
            case .none: continue
            case .unreadable: return true
            case .bytes(let bytes):
                guard let config = GitConfig(bytes), config.value("core", "attributesfile") == nil,
                    !config.includesOthers
                else { return true }
            }
        }
        return false
    }

    private enum Contents { case none, unreadable, bytes([UInt8]) }

    private func contents(_ path: some BidirectionalCollection<UInt8>, from directory: HeldFile?) -> Contents {
        do throws(Errno) {
            return .bytes(try walk.follow(path, from: directory).file.contents(limit: Self.limit).bytes)
        } catch .noSuchFileOrDirectory, .notDirectory {
            return .none
        } catch {
            return .unreadable
        }
    }

    private func mayConvert(_ path: some BidirectionalCollection<UInt8>, from directory: HeldFile?) -> Bool {
        switch contents(path, from: directory) {
        case .none: return false
        case .unreadable: return true
        case .bytes(let bytes):
            let text = String(decoding: bytes, as: UTF8.self)
            return Self.words.contains { text.contains($0) }
        }
    }
}
