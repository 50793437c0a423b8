internal import Artifacts
internal import Synchronization
internal import SystemCalls

/// The directories of a store by their paths: one object a path. Those of sessions and tests go with who uses them; the others are few.
final class KnownDirectories: Sendable {
    private struct Transient { weak var directory: RealDirectory? }

    private struct State {
        var lasting: [String: RealDirectory] = [:]
        var transient: [String: Transient] = [:]
        /// When so many are transient, those that are gone are taken out.
        var limit = KnownDirectories.fewest
    }

    private static var fewest: Int { 64 }

    /// A leaf in the order of locks.
    private let state = Lock(State())

    var count: Int { state.withLock { $0.lasting.count + $0.transient.values.count { $0.directory != nil } } }

    /// The directory of a path, or a new one.
    func find(_ path: String, make: () -> RealDirectory) -> RealDirectory {
        let isTransient = Self.isTransient(path)
        return state.withLock { state in
            if let known = isTransient ? state.transient[path]?.directory : state.lasting[path] { return known }
            let new = make()
            guard isTransient else {
                state.lasting[path] = new
                return new
            }
            if state.transient.count >= state.limit {
                state.transient = state.transient.filter { $0.value.directory != nil }
                state.limit = max(Self.fewest, state.transient.count * 2)
            }
            state.transient[path] = Transient(directory: new)
            return new
        }
    }

    /// Whether a path is a session's or a test's directory, or in one.
    private static func isTransient(_ path: String) -> Bool {
        let parts = path.split(separator: "/", maxSplits: 2)
        return parts.count == 3
            && (parts[1] == StoreLayout.sessionsDirectory || parts[1] == StoreLayout.testsDirectory)
    }
}
