internal import Dispatch
internal import Synchronization

/// Work that no program waits for: publishing and quarantine. A few threads at most, none when there is nothing to do.
final class SealQueue: Sendable {
    private struct State {
        var waiting: [@Sendable () -> Void] = []
        var running = 0
    }

    private let workers: Int
    private let state = Mutex(State())
    private let group = DispatchGroup()
    private let queue = DispatchQueue(label: "artifactfs.seal", attributes: .concurrent)

    init(workers: Int) { self.workers = workers }

    /// How many pieces of work are queued or running.
    var pending: Int { state.withLock { $0.waiting.count + $0.running } }

    /// Queues a piece of work.
    func submit(_ work: @escaping @Sendable () -> Void) {
        let starts = state.withLock { state in
            state.waiting.append(work)
            guard state.running < workers else { return false }
            state.running += 1
            return true
        }
        if starts { queue.async(group: group) { self.work() } }
    }

    private func work() {
        while true {
            let next: (@Sendable () -> Void)? = state.withLock { state in
                if state.waiting.isEmpty {
                    state.running -= 1
                    return nil
                }
                return state.waiting.removeFirst()
            }
            guard let next else { return }
            next()
        }
    }

    /// Waits until nothing is queued or running.
    func drain() { group.wait() }
}
