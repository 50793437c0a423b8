public import ArtifactRecords
public import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What is known of a store that lies where several hosts may use it.
public struct StoreSharing: Sendable, Hashable {
    /// What a probe has left.
    public enum Probe: Sendable, Hashable {
        case found(SharedReport)
        case never
        /// With the reason, a part of a sentence.
        case unreadable(String)
    }

    /// The store's path, for people.
    let path: String
    /// What people call the file system.
    public let fileSystem: String
    /// Its type (statfs(2)).
    let type: Int64
    public let probe: Probe

    /// Looks at a store.
    ///
    /// - Parameter root: the store's directory.
    /// - Returns: nil where its file system is this machine's alone.
    init?(_ root: Directory, _ path: String) {
        guard FileSystemKind.isShared(root.descriptor) else { return nil }
        self.init(
            path: path, type: Int64(FileSystemKind.number(of: root.descriptor)), probe: Self.read(root))
    }

    init(path: String, type: Int64, probe: Probe) {
        self.path = path
        self.type = type
        self.probe = probe
        fileSystem = FileSystemKind.name(ofNumber: Int(clamping: type))
    }

    private static func read(_ root: Directory) -> Probe {
        do throws(Errno) {
            let file = try root.directory(StoreLayout.privateDirectory).file(StoreFormat.sharedName)
            let descriptor = try file.open(O_RDONLY | O_NONBLOCK)
            defer { SystemCall.close(descriptor) }
            let bytes = try SystemCall.bytes(descriptor, at: 0, count: SharedReport.longest + 1)
            guard bytes.count <= SharedReport.longest, let value = JSONValue(parsing: bytes),
                let report = SharedReport(value)
            else { return .unreadable("it is not what a probe writes") }
            return .found(report)
        } catch .noSuchFileOrDirectory { return .never } catch { return .unreadable("\(error)") }
    }

    /// Whether several hosts may use it; unknown without a probe of this very kind of file system.
    public var verdict: SharedVerdict {
        guard case .found(let report) = probe else { return .unknown(["it was not probed"]) }
        guard report.hosts.allSatisfy({ $0.type == type }) else { return .unknown(["it was probed elsewhere"]) }
        return report.facts.verdict
    }

    /// A line.
    public var words: String {
        let way = "run 'artifactfs doctor --shared \(ShellWord.quoted(path))' on two hosts at once"
        let place = "the store is on \(fileSystem), which several hosts may use"
        switch probe {
        case .never: return "\(place), and was never probed: \(way)"
        case .unreadable(let reason):
            return "\(place), and what a probe has found cannot be read (.artifactfs/shared.json: \(reason)): \(way)"
        case .found(let report):
            guard report.hosts.allSatisfy({ $0.type == type }) else {
                let kinds = Set(report.hosts.map(\.fileSystem)).sorted().joined(separator: " and ")
                return "\(place), and was probed on \(kinds) only: \(way)"
            }
            let names = report.hosts.map(\.name).joined(separator: " and ")
            return "\(place): \(report.facts.verdict.words) (probed by \(names) at \(report.time))"
        }
    }

    /// For the mount's status.
    public var json: JSONObject {
        var members: JSONObject = [
            "file_system": .string(fileSystem), "words": .string(words), "verdict": .string(verdict.name),
        ]
        if case .found(let report) = probe { members["probe"] = .object(report.json) }
        return members
    }
}
