internal import Dispatch
internal import Synchronization

/// Work that no program waits for: publishing and quarantine. A few threads at most, none when there is nothing to do.
///
/// Files to publish are taken several at a time, because what publishing costs for one it costs for many: a write of the ledger, a
/// commit of the disk. The first of them goes at once; a worker that has nothing left waits for more for a while instead of being
/// woken for each, since a program that makes many files needs the processors itself.
final class SealQueue: Sendable {
    typealias Publish = @Sendable ([ArtifactFile]) -> Void

    private enum Work: Sendable {
        case publish(ArtifactFile, weight: Int, by: Publish)
        case other(@Sendable () -> Void)

        var weight: Int { if case .publish(_, let weight, _) = self { weight } else { 1 } }
    }

    private struct State {
        /// From `first` on; before it, what was taken.
        private var waiting: [Work?] = []
        private var first = 0
        private(set) var weight = 0
        var running = 0
        /// Whether a worker waits for more.
        var isResting = false
        var drains = 0

        var count: Int { waiting.count - first }

        mutating func add(_ work: Work) {
            waiting.append(work)
            weight += work.weight
        }

        /// The next work, with as many of the files behind it as go together.
        mutating func next() -> (@Sendable () -> Void)? {
            guard let next = take() else { return nil }
            guard case .publish(let file, var weight, let publish) = next else {
                if case .other(let work) = next { return work }
                return nil
            }
            var files = [file]
            while count > 0, case .publish(let file, let more, _)? = waiting[first], weight + more <= SealQueue.batch {
                _ = take()
                files.append(file)
                weight += more
            }
            return { [files] in publish(files) }
        }

        private mutating func take() -> Work? {
            guard count > 0 else { return nil }
            let next = waiting[first]
            waiting[first] = nil
            first += 1
            if first == waiting.count || first >= 1024 {
                waiting.removeSubrange(..<first)
                first = 0
            }
            weight -= next?.weight ?? 0
            return next
        }
    }

    /// How much is taken together: a small file weighs 1.
    private static let batch = 64
    /// How much waits before another worker is worth its while.
    private static let backlog = 256
    /// How long a worker waits for more.
    private static let rest = DispatchTimeInterval.milliseconds(2)

    private let workers: Int
    /// Whether a worker rests between batches too.
    private let gathers: Bool
    private let state = Mutex(State())
    private let group = DispatchGroup()
    private let whenIdle: @Sendable () -> Void
    private let queue = DispatchQueue(label: "artifactfs.seal", attributes: .concurrent)
    private let resting = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - gathers: what was taken together is dear, whatever it is: so as much as comes in a short while is taken together, except the
    ///     first. A disk commits many files as quickly as one.
    ///   - whenIdle: runs when nothing waits any more, before a worker rests.
    init(workers: Int, gathers: Bool = false, whenIdle: @escaping @Sendable () -> Void) {
        self.workers = workers
        self.gathers = gathers
        self.whenIdle = whenIdle
    }

    /// How many pieces of work are queued or running.
    var pending: Int { state.withLock { $0.count + $0.running - ($0.isResting ? 1 : 0) } }

    /// Queues a file to be published, perhaps with others.
    func submit(_ file: ArtifactFile, bytes: Int64, publish: @escaping Publish) {
        submit(.publish(file, weight: 1 + Int(clamping: bytes >> 16), by: publish))
    }

    /// Queues a piece of work.
    func submit(_ work: @escaping @Sendable () -> Void) { submit(.other(work)) }

    private func submit(_ work: Work) {
        let (starts, wakes) = state.withLock { state -> (Bool, Bool) in
            state.add(work)
            if state.isResting, state.weight >= Self.batch {
                state.isResting = false
                return (false, true)
            }
            guard state.running == 0 || state.running < workers && state.weight >= Self.backlog else {
                return (false, false)
            }
            state.running += 1
            return (true, false)
        }
        if wakes { resting.signal() }
        if starts { queue.async(group: group) { self.work() } }
    }

    private func work() {
        while true {
            while let next = state.withLock({ $0.next() }) {
                next()
                if gathers { rest(evenWithWork: true) }
            }
            whenIdle()
            rest(evenWithWork: false)
            let isDone = state.withLock { state in
                guard state.count == 0 else { return false }
                state.running -= 1
                return true
            }
            if isDone { return }
        }
    }

    /// Waits for more to come, until a batch is full. The only worker does.
    private func rest(evenWithWork: Bool) {
        let rests = state.withLock { state in
            guard evenWithWork ? state.weight < Self.batch : state.count == 0, state.running == 1, state.drains == 0
            else { return false }
            state.isResting = true
            return true
        }
        guard rests else { return }
        if resting.wait(timeout: .now() + Self.rest) == .success { return }
        let wasWoken = state.withLock { state in
            defer { state.isResting = false }
            return !state.isResting
        }
        // Woken just when the time was over: the signal is, or will be, there.
        if wasWoken { resting.wait() }
    }

    /// Waits until nothing is queued or running.
    func drain() {
        let wakes = state.withLock { state in
            state.drains += 1
            defer { state.isResting = false }
            return state.isResting
        }
        if wakes { resting.signal() }
        group.wait()
        state.withLock { $0.drains -= 1 }
    }
}
