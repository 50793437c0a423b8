internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Evicted artifacts that come back because somebody has opened them: each once, however many wait for it, and several at a time. Nobody who
/// handles requests waits here.
final class Recalls: Sendable {
    /// How it stands with one.
    enum RecallProgress {
        case goesOn
        /// Why not, for people, and whether for want of room.
        case failed(String, isFull: Bool)
    }

    private struct Failed {
        let words: String
        let isFull: Bool
        /// Until when it is not tried again, on the monotonic clock.
        let end: UInt64
    }

    private struct State {
        /// In the order in which they were asked for.
        var queue: [(path: String, agent: Agent)] = []
        /// Those in the queue, and those that come just now.
        var wanted: Set<String> = []
        var failed: [String: Failed] = [:]
        var threads = 0
        var isEnded = false
    }

    private let store: Store
    private let processes: RecallProcesses
    private let cache: RecallCache?
    /// Told when something has come, or has not.
    private let connection = Lock<KernelConnection?>(nil)
    /// A leaf in the order of locks; nothing is waited for under it.
    private let state = Lock(State())
    private let ended = PosixSemaphore()

    /// So many come at once.
    private static let most = 4
    /// For how long what has failed is not tried again, in nanoseconds: many open at once.
    private static let rest: UInt64 = 5_000_000_000

    /// - Parameters:
    ///   - command: a program and its arguments (`RecallProcesses`).
    ///   - limit: how much of what came back stays at most, and what is here already.
    init(
        _ store: Store, by command: [String], limit: (bytes: Int64, present: [RecalledArtifact])? = nil
    ) {
        self.store = store
        cache = limit.map { RecallCache(of: store, limit: $0.bytes, $0.present) }
        processes = RecallProcesses(by: command)
    }

    /// Somebody has opened it, whose bytes are here.
    func used(_ path: @autoclosure () -> String) { if let cache { cache.used(path()) } }

    func start(_ connection: KernelConnection) { self.connection.withLock { $0 = connection } }

    /// Has an artifact brought back.
    ///
    /// - Parameter agent: who wants it first, for the ledger.
    func ask(_ path: String, for agent: @autoclosure () -> Agent) -> RecallProgress {
        let now = Clock.monotonic()
        let (progress, starts) = state.withLock { state -> (RecallProgress, Bool) in
            if let failed = state.failed[path], now < failed.end {
                return (.failed(failed.words, isFull: failed.isFull), false)
            }
            if state.isEnded { return (.failed("the mount ends", isFull: false), false) }
            guard state.wanted.insert(path).inserted else { return (.goesOn, false) }
            state.failed = state.failed.filter { now < $0.value.end }
            state.queue.append((path, agent()))
            guard state.threads < Self.most else { return (.goesOn, false) }
            state.threads += 1
            return (.goesOn, true)
        }
        guard starts else { return progress }
        if let thread = WorkerThread(name: "artifactfs-back", { [self] in work() }) {
            thread.detach()
            return progress
        }
        let isLast = state.withLock { state in
            state.threads -= 1
            return state.threads == 0
        }
        // Others bring it, where there are any.
        guard isLast else { return progress }
        state.withLock { ($0.queue, $0.wanted) = ([], []) }
        return .failed("the system has no thread for it", isFull: false)
    }

    /// Ends what is on its way.
    func end() {
        let threads = state.withLock { state in
            (state.isEnded, state.queue) = (true, [])
            return state.threads
        }
        processes.end()
        for _ in 0..<threads { ended.wait() }
    }

    private var isEnded: Bool { state.withLock { $0.isEnded } }

    private func work() {
        while let (path, agent) = next() {
            var came: RecalledArtifact?
            let failure = bring(path, agent, &came)
            state.withLock { state in
                state.wanted.remove(path)
                state.failed[path] = failure
            }
            connection.withLock { $0 }?.reconsider()
            // Whoever waits for it does not wait for what goes.
            if let came { cache?.came(came) }
        }
    }

    private func next() -> (path: String, agent: Agent)? {
        let (next, isEnded) = state.withLock { state -> ((path: String, agent: Agent)?, Bool) in
            if !state.queue.isEmpty { return (state.queue.removeFirst(), false) }
            state.threads -= 1
            return (nil, state.isEnded)
        }
        if next == nil, isEnded { ended.post() }
        return next
    }

    /// - Parameter came: what has come.
    private func bring(_ path: String, _ agent: Agent, _ came: inout RecalledArtifact?) -> Failed? {
        func failed(_ words: String, isFull: Bool = false) -> Failed {
            Failed(words: words, isFull: isFull, end: Clock.monotonic() &+ Self.rest)
        }
        do throws(EvictionObstacle) {
            guard let recall = try store.beginRecall(of: path, goesOn: { !isEnded }) else { return nil }
            defer { SystemCall.closeLock(recall.descriptor) }
            switch processes.fetch(recall) {
            case .failed(let reason, let isFull):
                store.abandon(recall)
                return failed("mirror '\(recall.mark.mirror)': \(reason)", isFull: isFull)
            case .done(let key):
                do throws(EvictionObstacle) { try store.finish(recall, key: key, by: agent) } catch {
                    store.abandon(recall)
                    throw error
                }
                came = RecalledArtifact(
                    path: path, size: recall.mark.size, sha256: recall.mark.sha256, mirror: recall.mark.mirror, key: key
                )
                return nil
            }
        } catch {
            if case .system(_, let errno) = error {
                return failed(error.words, isFull: DiskRoom.isForWantOfRoom(errno))
            }
            return failed(error.words)
        }
    }
}
