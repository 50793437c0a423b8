internal import FuseKernel
internal import Synchronization

/// Work that no program waits for: publishing and quarantine. A few threads at most, asleep when there is nothing to do.
///
/// Files to publish are taken several at a time, because what publishing costs for one it costs for many: a write of the ledger, a
/// commit of the disk. The first of them goes at once; a worker that has nothing left waits for more for a while instead of being
/// woken for each, since a program that makes many files needs the processors itself.
final class SealQueue: Sendable {
    typealias Publish = @Sendable ([ArtifactFile]) -> Void

    private let workers: SealWorkers

    /// - Parameters:
    ///   - workers: how many threads there are at most.
    ///   - gathers: what was taken together is dear, whatever it is: so as much as comes in a short while is taken together, except the
    ///     first. A disk commits many files as quickly as one.
    ///   - whenIdle: runs when nothing waits any more, before a worker rests.
    init(workers: Int, gathers: Bool = false, whenIdle: @escaping @Sendable () -> Void) {
        self.workers = SealWorkers(most: workers, gathers: gathers, whenIdle: whenIdle)
    }

    deinit { workers.end() }

    /// How many pieces of work are queued or running.
    var pending: Int { workers.pending }

    /// Queues a file to be published, perhaps with others.
    func submit(_ file: ArtifactFile, bytes: Int64, publish: @escaping Publish) {
        workers.submit(.publish(file, weight: 1 + Int(clamping: bytes >> 16), by: publish))
    }

    /// Queues a piece of work.
    func submit(_ work: @escaping @Sendable () -> Void) { workers.submit(.other(work)) }

    /// Waits until nothing is queued or running.
    func drain() { workers.drain() }
}

/// What waits, in order, and what is taken together.
private struct SealBacklog {
    enum Work: Sendable {
        case publish(ArtifactFile, weight: Int, by: SealQueue.Publish)
        case other(@Sendable () -> Void)

        var weight: Int { if case .publish(_, let weight, _) = self { weight } else { 1 } }
    }

    /// How much is taken together: a small file weighs 1.
    static let batch = 64

    /// From `first` on; before it, what was taken.
    private var waiting: [Work?] = []
    private var first = 0
    private(set) var weight = 0

    var count: Int { waiting.count - first }

    mutating func add(_ work: Work) {
        waiting.append(work)
        weight += work.weight
    }

    /// The next work, with as many of the files behind it as go together.
    mutating func next() -> (@Sendable () -> Void)? {
        switch take() {
        case nil: return nil
        case .other(let work): return work
        case .publish(let file, var weight, let publish):
            var files = [file]
            while count > 0, case .publish(let file, let more, _)? = waiting[first], weight + more <= Self.batch {
                _ = take()
                files.append(file)
                weight += more
            }
            return { [files] in publish(files) }
        }
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

/// The threads. Apart from the queue, so that they do not keep it alive.
private final class SealWorkers: Sendable {
    private struct State {
        var backlog = SealBacklog()
        /// Workers that are not asleep.
        var running = 0
        /// Workers that wait for the first work.
        var asleep = 0
        /// Whether a worker waits for more.
        var isResting = false
        /// How many wait until there is nothing to do.
        var drains = 0
        var isEnded = false
    }

    private enum Start { case nothing, resting, sleeping, thread }

    /// How much waits before another worker is worth its while.
    private static let backlog = 256
    /// How long a worker waits for more, in milliseconds.
    private static let restTime: Int32 = 2

    private let most: Int
    private let gathers: Bool
    private let whenIdle: @Sendable () -> Void
    private let state = Mutex(State())
    private let sleep = Semaphore()
    private let rest = Semaphore()
    private let drained = Semaphore()

    init(most: Int, gathers: Bool, whenIdle: @escaping @Sendable () -> Void) {
        self.most = most
        self.gathers = gathers
        self.whenIdle = whenIdle
    }

    var pending: Int { state.withLock { $0.backlog.count + $0.running - ($0.isResting ? 1 : 0) } }

    func submit(_ work: SealBacklog.Work) {
        let start = state.withLock { state -> Start in
            state.backlog.add(work)
            if state.isResting, state.backlog.weight >= SealBacklog.batch {
                state.isResting = false
                return .resting
            }
            guard state.running == 0 || state.running < most && state.backlog.weight >= Self.backlog else {
                return .nothing
            }
            state.running += 1
            guard state.asleep > 0 else { return .thread }
            state.asleep -= 1
            return .sleeping
        }
        switch start {
        case .nothing: break
        case .resting: rest.post()
        case .sleeping: sleep.post()
        case .thread:
            if let thread = WorkerThread(name: "artifactfs-seal", { self.serve() }) {
                thread.detach()
            } else {
                // No thread to be had: whoever brings the work does it, and what waits.
                _ = workOff(as: .caller)
            }
        }
    }

    private enum Who { case worker, caller }

    private func serve() {
        while workOff(as: .worker) {
            sleep.wait()
            if state.withLock({ $0.isEnded }) { return }
        }
    }

    /// Works until there is nothing left.
    ///
    /// - Returns: whether the thread is to sleep until there is more.
    private func workOff(as who: Who) -> Bool {
        while true {
            while let next = state.withLock({ $0.backlog.next() }) {
                next()
                if gathers { awaitMore(evenWithWork: true) }
            }
            whenIdle()
            awaitMore(evenWithWork: false)
            let (isDone, sleeps, drains) = state.withLock { state -> (Bool, Bool, Int) in
                guard state.backlog.count == 0 else { return (false, false, 0) }
                state.running -= 1
                let sleeps = who == .worker && !state.isEnded
                if sleeps { state.asleep += 1 }
                guard state.running == 0 else { return (true, sleeps, 0) }
                defer { state.drains = 0 }
                return (true, sleeps, state.drains)
            }
            for _ in 0..<drains { drained.post() }
            if isDone { return sleeps }
        }
    }

    /// Waits for more to come, until a batch is full. The only worker does.
    private func awaitMore(evenWithWork: Bool) {
        let rests = state.withLock { state in
            guard evenWithWork ? state.backlog.weight < SealBacklog.batch : state.backlog.count == 0,
                state.running == 1, state.drains == 0, !state.isEnded
            else { return false }
            state.isResting = true
            return true
        }
        guard rests, !rest.wait(milliseconds: Self.restTime) else { return }
        let wasWoken = state.withLock { state in
            defer { state.isResting = false }
            return !state.isResting
        }
        // Woken just when the time was over: the post is, or will be, there.
        if wasWoken { rest.wait() }
    }

    func drain() {
        let (wakes, waits) = state.withLock { state -> (Bool, Bool) in
            guard state.running > 0 else { return (false, false) }
            state.drains += 1
            defer { state.isResting = false }
            return (state.isResting, true)
        }
        if wakes { rest.post() }
        if waits { drained.wait() }
    }

    /// Nothing is submitted any more. What waits is done before the threads end.
    func end() {
        let (asleep, wakes) = state.withLock { state -> (Int, Bool) in
            state.isEnded = true
            defer { (state.asleep, state.isResting) = (0, false) }
            return (state.asleep, state.isResting)
        }
        for _ in 0..<asleep { sleep.post() }
        if wakes { rest.post() }
    }
}
