internal import Dispatch
internal import Synchronization

/// Work that no program waits for: publishing and quarantine. A few threads at most, none when there is nothing to do.
final class SealQueue: Sendable {
    private struct State {
        /// From `first` on; before it, what was taken.
        private var waiting: [(@Sendable () -> Void)?] = []
        private var first = 0
        var running = 0

        var count: Int { waiting.count - first }

        mutating func add(_ work: @escaping @Sendable () -> Void) { waiting.append(work) }

        mutating func next() -> (@Sendable () -> Void)? {
            guard count > 0 else { return nil }
            let next = waiting[first]
            waiting[first] = nil
            first += 1
            if first == waiting.count || first >= 1024 {
                waiting.removeSubrange(..<first)
                first = 0
            }
            return next
        }
    }

    private let workers: Int
    private let state = Mutex(State())
    private let group = DispatchGroup()
    private let whenIdle: @Sendable () -> Void
    private let queue = DispatchQueue(label: "artifactfs.seal", attributes: .concurrent)

    /// - Parameter whenIdle: runs when nothing waits any more, before a worker rests.
    init(workers: Int, whenIdle: @escaping @Sendable () -> Void) {
        self.workers = workers
        self.whenIdle = whenIdle
    }

    /// How many pieces of work are queued or running.
    var pending: Int { state.withLock { $0.count + $0.running } }

    /// Queues a piece of work.
    func submit(_ work: @escaping @Sendable () -> Void) {
        let starts = state.withLock { state in
            state.add(work)
            guard state.running < workers else { return false }
            state.running += 1
            return true
        }
        if starts { queue.async(group: group) { self.work() } }
    }

    private func work() {
        while true {
            while let next = state.withLock({ $0.next() }) { next() }
            whenIdle()
            let isDone = state.withLock { state in
                guard state.count == 0 else { return false }
                state.running -= 1
                return true
            }
            if isDone { return }
        }
    }

    /// Waits until nothing is queued or running.
    func drain() { group.wait() }
}
