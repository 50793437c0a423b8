internal import ArtifactStore
internal import Glibc
internal import Logging
internal import Synchronization
internal import SystemCalls

/// An artifact that came back, and may go again.
public struct RecalledArtifact: Sendable, Hashable {
    /// Its path on the mount, from its root.
    public var path: String
    /// In bytes.
    public var size: Int64
    /// Of its bytes.
    public var sha256: String
    /// The mirror that has it, and the object's key there.
    public var mirror: String
    public var key: String

    /// Such an artifact.
    public init(path: String, size: Int64, sha256: String, mirror: String, key: String) {
        (self.path, self.size, self.sha256, self.mirror, self.key) = (path, size, sha256, mirror, key)
    }
}

/// Artifacts that came back, of which so much stays that their bytes have no more than a limit: those go first that were opened longest ago. What is
/// larger than all of it stays until the next one comes.
final class RecallCache: Sendable {
    fileprivate struct State {
        var present: [String: (artifact: RecalledArtifact, used: UInt64)] = [:]
        var bytes: Int64 = 0
    }

    private let store: Store
    private let limit: Int64
    /// A leaf in the order of locks; nothing is removed under it.
    private let state = Lock(State())

    init(of store: Store, limit: Int64, _ present: [RecalledArtifact]) {
        (self.store, self.limit) = (store, limit)
        state.withLock { state in
            for artifact in present { state.add(artifact, at: 0) }
        }
    }

    func used(_ path: String) {
        let now = Clock.monotonic()
        state.withLock { $0.present[path]?.used = now }
    }

    /// One has come: others go for it, by whoever brought it.
    func came(_ artifact: RecalledArtifact) {
        let now = Clock.monotonic()
        let doomed = state.withLock { state -> [RecalledArtifact] in
            state.add(artifact, at: now)
            var doomed: [RecalledArtifact] = []
            while state.bytes > limit,
                let oldest = state.present.values.filter({ $0.artifact.path != artifact.path }).min(by: {
                    ($0.used, $0.artifact.path) < ($1.used, $1.artifact.path)
                })?.artifact
            {
                state.remove(oldest.path)
                doomed.append(oldest)
            }
            return doomed
        }
        for one in doomed {
            do throws(EvictionObstacle) {
                _ = try store.evict(
                    EvictionRequest(
                        path: one.path, sha256: one.sha256, mirror: one.mirror, key: one.key, objectVersion: nil,
                        agent: Agent(user: geteuid(), process: getpid(), program: "artifactfs")))
            } catch {
                // What stays counts, and is tried again when the next one comes.
                state.withLock { $0.add(one, at: now) }
                Logger(label: "artifactfs.cache").warning("\(one.path) stays in the cache: \(error.words)")
            }
        }
    }
}

extension RecallCache.State {
    fileprivate mutating func add(_ artifact: RecalledArtifact, at time: UInt64) {
        remove(artifact.path)
        present[artifact.path] = (artifact, time)
        bytes = bytes.addingReportingOverflow(artifact.size).partialValue
    }

    fileprivate mutating func remove(_ path: String) {
        guard let old = present.removeValue(forKey: path) else { return }
        bytes = bytes.subtractingReportingOverflow(old.artifact.size).partialValue
    }
}
