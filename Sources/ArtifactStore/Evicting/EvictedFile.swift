public import Artifacts
internal import Glibc
public import SystemCalls
public import SystemPackage

/// An artifact whose bytes are in a mirror and not here, as a mount shows it.
public struct EvictedFile: Sendable {
    /// What its real name says.
    public let mark: EvictionMark
    /// The empty file that gets its bytes again, which has its owner, access list and extended attributes; nil where that is lost.
    public let place: RealFile?
    /// That file with the size, mode and time of the artifact: what it will be.
    public let found: FoundFile
}

extension EvictionMark {
    /// What a real name says; nil of everything but a link that says that something is evicted.
    ///
    /// - Throws: `ENOENT` when nothing has the name.
    public init?(of file: RealFile) throws(Errno) {
        let descriptor = try file.open(SystemCall.pathOnly)
        defer { SystemCall.close(descriptor) }
        guard try SystemCall.attributes(descriptor).isSymbolicLink else { return nil }
        self.init(try SystemCall.linkTarget(descriptor))
    }

    /// Where an artifact has its place that is evicted, from the store: an empty file with its extended attributes.
    ///
    /// - Parameter real: its real path, from the store.
    public static func place(ofReal real: String) -> String {
        "\(StoreLayout.privateDirectory)/\(StoreFormat.evicted)/\(EscapedName.unique(real))"
    }

    /// What a place shows that stands for the artifact.
    func shown(_ place: FoundFile) -> FoundFile {
        var found = place.standingForFile
        found.attributes.st_mode = S_IFREG | mode
        found.attributes.st_size = off_t(size)
        found.attributes.st_blocks = 0
        found.attributes.st_nlink = 1
        let (seconds, rest) = modified.quotientAndRemainder(dividingBy: 1_000_000_000)
        found.attributes.st_mtim = timespec(
            tv_sec: Int(rest < 0 ? seconds - 1 : seconds), tv_nsec: Int(rest < 0 ? rest + 1_000_000_000 : rest))
        return found
    }
}

extension Store {
    /// What is evicted under a real name; nil of anything else.
    ///
    /// - Parameter directory: its directory, relative to the store.
    /// - Throws: `ENOENT` when nothing has the name.
    public func evicted(_ file: RealFile, in directory: String) throws(Errno) -> EvictedFile? {
        guard let mark = try EvictionMark(of: file) else { return nil }
        let place = try? EvictionShelf.open(beneath: root)?.place(of: directory + "/" + file.name)
        if let place, let found = try? place.look(), found.isRegular {
            return EvictedFile(mark: mark, place: place, found: mark.shown(found))
        }
        return EvictedFile(mark: mark, place: nil, found: mark.shown(try file.look()))
    }
}

/// Where what is evicted has its places: `.artifactfs/evicted`; and where it is for a moment on its way: `.artifactfs/evicting`.
struct EvictionShelf {
    /// Empty files, by the unique names of the real paths.
    let places: Directory
    /// A directory for each artifact on its way, by the same name.
    let moving: Directory

    /// In a directory of `moving`: the link that is to have the real name, and then the artifact that had it.
    static let fileName = "file"
    /// In a directory of `moving`: what the ledger is to say.
    static let intentName = "intent"

    /// - Parameter root: the store.
    /// - Returns: nil of a store in which nothing was ever evicted.
    static func open(beneath root: Directory) throws(Errno) -> EvictionShelf? {
        do throws(Errno) {
            let own = try root.directory(StoreLayout.privateDirectory)
            return EvictionShelf(
                places: try own.directory(StoreFormat.evicted), moving: try own.directory(StoreFormat.evicting))
        } catch .noSuchFileOrDirectory { return nil }
    }

    /// The same, made when it is missing.
    ///
    /// - Parameter own: `.artifactfs`.
    static func made(in own: Directory) throws(Errno) -> EvictionShelf {
        EvictionShelf(
            places: try own.directory(StoreFormat.evicted, orMakeWith: 0o700),
            moving: try own.directory(StoreFormat.evicting, orMakeWith: 0o700))
    }

    /// - Parameter real: a real path, from the store.
    func place(of real: String) -> RealFile { places.file(EscapedName.unique(real)) }
}
