internal import ArtifactRecords
public import Artifacts
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// A sealed artifact whose bytes are to go, for a mirror has them.
public struct EvictionRequest: Sendable {
    /// Its path on the mount, from its root.
    public var path: String
    /// What its record says of its bytes.
    public var sha256: String
    /// What the mirror is called in which its bytes were proved a moment ago.
    public var mirror: String
    /// The object's key there.
    public var key: String
    /// Which version of the object it is, where the bucket has versions.
    public var objectVersion: String?
    /// Who asks.
    public var agent: Agent

    /// A request.
    public init(path: String, sha256: String, mirror: String, key: String, objectVersion: String?, agent: Agent) {
        (self.path, self.sha256, self.mirror, self.key) = (path, sha256, mirror, key)
        (self.objectVersion, self.agent) = (objectVersion, agent)
    }
}

/// Why an artifact is not evicted, or not brought back. Whatever it is, it is as it was.
public enum EvictionObstacle: Error, Sendable {
    /// Why, for people.
    case refused(String)
    /// The system refuses; `doing` completes "could not be".
    case system(doing: String, Errno)
    /// A test stopped here.
    case stopped

    /// For people.
    public var words: String {
        switch self {
        case .refused(let reason): reason
        case .system(let doing, let error): "it could not be \(doing): \(error)"
        case .stopped: "stopped"
        }
    }
}

extension EvictionObstacle: LiftFailure {
    package var isStop: Bool { if case .stopped = self { true } else { false } }

    static func attempt<Value>(_ doing: String, _ body: () throws(Errno) -> Value) throws(EvictionObstacle) -> Value {
        do throws(Errno) { return try body() } catch { throw .system(doing: doing, error) }
    }
}

/// The steps of evicting and recalling, in their order; a crash can come after each.
///
/// | step | what is on disk then | what the next opening makes of it |
/// | --- | --- | --- |
/// | `prepared` | the artifact; its empty place; a link and what the ledger is to say in `evicting` | both are removed |
/// | `exchanged` | the link at its real path, the artifact in `evicting` | the line is added, the bytes go |
/// | `logged` | the same, and an `evicted` line | the bytes go |
/// | `removed` | the link at its real path, and the empty place | nothing: it is evicted |
/// | `filled` | the same, and the place has the bytes | nothing: they are brought anew |
/// | `moved` | the artifact | nothing: the ledger does not say when it came back |
enum EvictionStep: String, CaseIterable, Sendable {
    case prepared
    case exchanged
    case logged
    case removed
    case filled
    case moved
}

extension Store {
    /// The real file that an artifact has which is a file, by its path on the mount; nil where nothing can have it.
    func artifactFile(_ path: String) throws(Errno) -> (file: RealFile, directory: RealDirectory)? {
        guard let destination = Promotion.Destination(path: path, in: schema, isDirectory: false) else { return nil }
        let directory = directory(for: destination.location)
        return try directory.refresh().map { ($0.file(destination.realName), directory) }
    }

    /// What an artifact's real name says; nil where it is not evicted.
    public func evictionMark(of path: String) throws(Errno) -> EvictionMark? {
        do throws(Errno) {
            return try artifactFile(path).flatMap { file throws(Errno) in try EvictionMark(of: file.file) }
        } catch .noSuchFileOrDirectory { return nil }
    }

    func evictionStep(_ step: EvictionStep) throws(EvictionObstacle) {
        if stopEvictingAfter.withLock({ $0 == step }) { throw .stopped }
    }

    /// What nobody else does meanwhile who evicts, recalls, supersedes or retracts in the store, by whichever mount.
    func holdForEviction(_ writable: Writable) throws(EvictionObstacle) -> StoreHold {
        try EvictionObstacle.attempt("changed: another change goes on") { () throws(Errno) in
            try Self.lock(
                try writable.ownDirectory.directory(StoreFormat.versionsDirectory, orMakeWith: 0o700), writable.staging)
        }
    }
}
