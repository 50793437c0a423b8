internal import FuseKernel
internal import Synchronization
internal import SystemCalls

/// Work that no program waits for: publishing and quarantine. A few threads at most, asleep when there is nothing to do.
///
/// What takes long has threads of its own (`SealBacklog`): a small file never waits for a large one, whoever wrote it, and in each lane
/// users take turns.
///
/// Small files to publish are taken several at a time, because what publishing costs for one it costs for many: a write of the ledger,
/// a commit of the disk. The first of them goes at once; a worker that has nothing left waits for more for a while instead of being
/// woken for each, since a program that makes many files needs the processors itself.
///
/// Where the system has no thread to give (`RLIMIT_NPROC`), one thread does all, what is quick first; and without any the work waits:
/// it is never done by who brings it, because that is a request's handler, and publishing tells the kernel things for which it may have
/// to wait for that request. Every further piece of work tries again, and `drain` does it all itself.
final class SealQueue: Sendable {
    typealias Publish = @Sendable ([ArtifactFile]) -> Void
    /// Starts a thread with a name; false when there is none to be had.
    typealias ThreadStart = @Sendable (String, @escaping @Sendable () -> Void) -> Bool

    private let workers: SealWorkers

    /// - Parameters:
    ///   - workers: how many threads one lane has at most.
    ///   - gathers: what was taken together is dear, whatever it is: so as much as comes in a short while is taken together, except the
    ///     first. A disk commits many files as quickly as one.
    ///   - startThread: for tests.
    ///   - whenIdle: runs when nothing waits any more, before a worker rests.
    init(
        workers: Int, gathers: Bool = false,
        startThread: @escaping ThreadStart = { name, body in
            guard let thread = WorkerThread(name: name, body) else { return false }
            thread.detach()
            return true
        },
        whenIdle: @escaping @Sendable () -> Void
    ) {
        self.workers = SealWorkers(most: workers, gathers: gathers, startThread: startThread, whenIdle: whenIdle)
    }

    deinit { workers.end() }

    /// Takes a thread for later, so that there is one when the system has no more.
    func start() { workers.reserve() }

    /// How many pieces of work are queued, put off or running.
    var pending: Int { workers.pending }

    /// How many pieces of work wait, of a user and of all.
    struct Waiting: Sendable {
        var own: Int
        var all: Int
    }

    func waiting(of user: UInt32) -> Waiting { workers.waiting(of: user) }

    /// Queues a file to be published, perhaps with others.
    ///
    /// - Parameters:
    ///   - bytes: its size, holes included.
    ///   - user: whose it is; who made it when not given. Its lock is taken then.
    ///   - delay: not before so many milliseconds.
    func submit(
        _ file: ArtifactFile, bytes: Int64, user: UInt32? = nil, after delay: Int = 0, publish: @escaping Publish
    ) {
        let user = user ?? file.state.withLock { $0.birth?.user ?? 0 }
        workers.submit(
            .publish(file, weight: 1 + Int(clamping: max(0, bytes) >> 16), by: publish), of: user,
            in: SealBacklog.Lane(bytes: bytes), after: delay)
    }

    /// Queues a piece of work.
    ///
    /// - Parameters:
    ///   - delay: not before so many milliseconds. Nobody wakes for it meanwhile.
    ///   - user: whose it is.
    ///   - isLong: it takes so long that small files are not to wait for it.
    ///   - isQuiet: nothing is published by it: while it is put off nobody waits for it, and it does not count as pending.
    func submit(
        after delay: Int = 0, user: UInt32 = 0, isLong: Bool = false, isQuiet: Bool = false,
        _ work: @escaping @Sendable () -> Void
    ) {
        workers.submit(.other(work), of: user, in: isLong ? .long : .short, after: delay, isQuiet: isQuiet)
    }

    /// Waits until nothing is queued or running. What was put off is done now.
    ///
    /// - Parameters:
    ///   - limit: for so many milliseconds at most, then `abandon`s the rest; nil waits as long as it takes.
    ///   - interval: how often `tell` is called, in milliseconds.
    ///   - tell: gets how many pieces of work are left.
    /// - Returns: how many pieces of work are left.
    @discardableResult
    func drain(atMost limit: Int? = nil, telling interval: Int = 10_000, _ tell: (Int) -> Void = { _ in }) -> Int {
        workers.drain(atMost: limit, telling: interval, tell)
    }

    /// Begins nothing any more, now or later, and ends every `drain`. What is under way goes on as long as the process does.
    func abandon() { workers.abandon() }
}

/// The threads. Apart from the queue, so that they do not keep it alive.
private final class SealWorkers: Sendable {
    private typealias Lane = SealBacklog.Lane

    private struct Later {
        let due: UInt64
        let work: SealBacklog.Work
        let user: UInt32
        let lane: SealBacklog.Lane
        let isQuiet: Bool
    }

    private struct State {
        var backlog: SealBacklog
        /// The latest first.
        var later: [Later] = []
        var threads = 0
        /// Workers that wait for the first work.
        var asleep = 0
        /// What those are to do that were woken.
        var assigned: [SealBacklog.Lane] = []
        /// Whether the short lane's worker waits for more.
        var isResting = false
        /// Who waits until there is nothing to do.
        var drains: [PosixSemaphore] = []
        var hasTimer = false
        var isAbandoned = false
        var isEnded = false

        var isNothingPutOff: Bool { later.allSatisfy(\.isQuiet) }
        var pending: Int { backlog.count + backlog.running + later.count { !$0.isQuiet } - (isResting ? 1 : 0) }
    }

    private enum Start { case nothing, resting, sleeping, thread(SealBacklog.Lane) }

    /// How much waits before another worker for small files is worth its while.
    private static let backlog = 256
    /// How long a worker waits for more, in milliseconds.
    private static let restTime: Int32 = 2

    private let gathers: Bool
    private let startThread: SealQueue.ThreadStart
    private let whenIdle: @Sendable () -> Void
    private let state: Lock<State>
    private let sleep = PosixSemaphore()
    private let rest = PosixSemaphore()
    private let timer = PosixSemaphore()

    init(
        most: Int, gathers: Bool, startThread: @escaping SealQueue.ThreadStart, whenIdle: @escaping @Sendable () -> Void
    ) {
        self.gathers = gathers
        self.startThread = startThread
        self.whenIdle = whenIdle
        state = Lock(State(backlog: SealBacklog(workers: most)))
    }

    var pending: Int {
        let pending = state.withLock { $0.pending }
        if pending > 0 { recruit() }  // There may be a thread by now.
        return pending
    }

    // MARK: - Bringing work

    func waiting(of user: UInt32) -> SealQueue.Waiting {
        state.withLock { .init(own: $0.backlog.count(of: user), all: $0.backlog.count) }
    }

    func submit(
        _ work: SealBacklog.Work, of user: UInt32, in lane: SealBacklog.Lane, after delay: Int, isQuiet: Bool = false
    ) {
        if delay > 0 {
            return submitLater(
                Later(due: Self.time(after: delay), work: work, user: user, lane: lane, isQuiet: isQuiet))
        }
        let start = state.withLock { state -> Start in
            guard !state.isAbandoned else { return .nothing }
            state.backlog.add(work, of: user, in: lane)
            return Self.start(for: lane, &state)
        }
        perform(start)
    }

    private static func time(after milliseconds: Int) -> UInt64 {
        let (delay, isEver) = UInt64(clamping: milliseconds).multipliedReportingOverflow(by: 1_000_000)
        let (time, isOver) = Clock.monotonic().addingReportingOverflow(delay)
        return isEver || isOver ? .max : time
    }

    /// Who is to do what a lane has.
    private static func start(for lane: SealBacklog.Lane, _ state: inout State) -> Start {
        guard state.backlog.hasWork(in: lane) else { return .nothing }
        if lane == .short {
            if state.isResting {
                guard state.backlog.weight(in: lane) >= SealBacklog.batch else { return .nothing }
                state.isResting = false
                return .resting
            }
            guard state.backlog.running(in: lane) == 0 || state.backlog.weight(in: lane) >= backlog else {
                return .nothing
            }
        }
        guard state.backlog.hasRoom(in: lane) else { return .nothing }
        state.backlog.begin(lane)
        guard state.asleep > 0 else {
            state.threads += 1
            return .thread(lane)
        }
        state.asleep -= 1
        state.assigned.append(lane)
        return .sleeping
    }

    /// - Returns: false when there is no thread to be had.
    @discardableResult
    private func perform(_ start: Start) -> Bool {
        switch start {
        case .nothing: break
        case .resting: rest.post()
        case .sleeping: sleep.post()
        case .thread(let lane):
            if startThread("artifactfs-seal", { self.serve(lane) }) { return true }
            // Whoever works, or works next, finds it.
            let isIdle = state.withLock { state in
                state.threads -= 1
                state.backlog.end(lane)
                return takeIdleDrains(&state)
            }
            for drain in isIdle { drain.post() }
            return false
        }
        return true
    }

    /// Sees to it that every lane with work has a worker.
    private func recruit() {
        for lane in SealBacklog.Lane.allCases {
            let start = state.withLock { state -> Start in
                Self.queueDue(&state)
                return state.backlog.running(in: lane) == 0 ? Self.start(for: lane, &state) : .nothing
            }
            perform(start)
        }
    }

    func reserve() {
        let isFirst = state.withLock { state in
            guard state.threads == 0, !state.isEnded else { return false }
            state.threads += 1
            return true
        }
        guard isFirst, !startThread("artifactfs-seal", { self.serve(nil) }) else { return }
        state.withLock { $0.threads -= 1 }
    }

    // MARK: - Later

    private func submitLater(_ later: Later) {
        enum Timer { case nothing, wake, start }
        let timer = state.withLock { state -> Timer in
            guard !state.isAbandoned else { return .nothing }
            let place = state.later.firstIndex { $0.due <= later.due } ?? state.later.count
            state.later.insert(later, at: place)
            guard state.hasTimer else {
                state.hasTimer = true
                return .start
            }
            return place == state.later.count - 1 ? .wake : .nothing
        }
        switch timer {
        case .nothing: break
        case .wake: self.timer.post()
        case .start:
            // Without it the next work that comes brings this along.
            if !startThread("artifactfs-later", { self.keepTime() }) { state.withLock { $0.hasTimer = false } }
        }
    }

    /// Queues what is due: of what was put off, or of all of it.
    private static func queueDue(_ state: inout State, all: Bool = false) {
        guard !state.later.isEmpty else { return }
        let now = Clock.monotonic()
        while let next = state.later.last, all || next.due <= now {
            state.later.removeLast()
            state.backlog.add(next.work, of: next.user, in: next.lane)
        }
    }

    /// Sleeps until something is due; for ever while nothing is put off.
    private func keepTime() {
        while true {
            let (next, isEnded) = state.withLock { state -> (UInt64?, Bool) in
                Self.queueDue(&state)
                return (state.later.last?.due, state.isEnded && state.later.isEmpty)
            }
            recruit()
            if isEnded { return }
            guard let next else {
                timer.wait()
                continue
            }
            let now = Clock.monotonic()
            guard next > now else { continue }
            // A millisecond more, so that it is over then.
            _ = timer.wait(milliseconds: Int32(clamping: (next - now) / 1_000_000 + 1))
        }
    }

    // MARK: - Working

    /// - Parameter first: the lane to begin with; nil sleeps first.
    private func serve(_ first: SealBacklog.Lane?) {
        var lane = first
        if first == nil {
            let sleeps = state.withLock { state in
                if !state.isEnded { state.asleep += 1 }
                return !state.isEnded
            }
            guard sleeps else { return }
            lane = awaitAssignment()
        }
        while let current = lane {
            switch workOff(current) {
            case .work(let next): lane = next
            case .sleep: lane = awaitAssignment()
            case .end: return
            }
        }
    }

    /// Sleeps; nil when the threads are to end.
    private func awaitAssignment() -> SealBacklog.Lane? {
        sleep.wait()
        return state.withLock { $0.assigned.popLast() }
    }

    private enum Next: Sendable { case work(SealBacklog.Lane), sleep, end }

    /// Works until a lane has nothing left.
    private func workOff(_ lane: SealBacklog.Lane) -> Next {
        while let taken = state.withLock({ state in
            Self.queueDue(&state)
            return state.backlog.next(in: lane)
        }) {
            taken.run()
            state.withLock { $0.backlog.finish(taken, in: lane) }
            if lane != .short { whenIdle() } else if gathers { awaitMore(evenWithWork: true) }
        }
        if lane == .short {
            whenIdle()
            awaitMore(evenWithWork: false)
        }
        let (next, drains) = state.withLock { state -> (Next, [PosixSemaphore]) in
            guard !state.backlog.hasWork(in: lane) else { return (.work(lane), []) }
            state.backlog.end(lane)
            // Where another thread could not be had.
            for other in SealBacklog.Lane.allCases where state.backlog.running(in: other) == 0 {
                guard state.backlog.hasWork(in: other) else { continue }
                state.backlog.begin(other)
                return (.work(other), [])
            }
            let drains = takeIdleDrains(&state)
            if state.isEnded {
                state.threads -= 1
                return (.end, drains)
            }
            state.asleep += 1
            return (.sleep, drains)
        }
        for drain in drains { drain.post() }
        return next
    }

    /// Those who wait until there is nothing to do, when that is so.
    private func takeIdleDrains(_ state: inout State) -> [PosixSemaphore] {
        guard state.backlog.running == 0, state.backlog.count == 0, state.isNothingPutOff else { return [] }
        defer { state.drains = [] }
        return state.drains
    }

    /// Waits for more small files to come, until a batch is full. The only worker does.
    private func awaitMore(evenWithWork: Bool) {
        let rests = state.withLock { state in
            guard
                evenWithWork
                    ? state.backlog.weight(in: .short) < SealBacklog.batch : !state.backlog.hasWork(in: .short),
                state.backlog.running(in: .short) == 1, state.drains.isEmpty, !state.isEnded
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

    // MARK: - The end

    func drain(atMost limit: Int?, telling interval: Int, _ tell: (Int) -> Void) -> Int {
        let end = limit.map { Self.time(after: $0) } ?? .max
        let mine = PosixSemaphore()
        let (wakes, waits) = state.withLock { state -> (Bool, Bool) in
            Self.queueDue(&state, all: true)
            guard state.pending > 0 || state.isResting, !state.isAbandoned else { return (false, false) }
            state.drains.append(mine)
            defer { state.isResting = false }
            return (state.isResting, true)
        }
        if wakes { rest.post() }
        guard waits else { return pending }
        var told = Clock.monotonic()
        while true {
            recruit()
            let hasThreads = workOffWithoutThreads(until: end)
            let now = Clock.monotonic()
            let next = min(end, told &+ UInt64(min(max(1, interval), 1 << 32)) * 1_000_000)
            // Without threads what was put off has nobody else who would look at it.
            let most: UInt64 = hasThreads ? 1_000_000_000 : 1_000_000
            let time = next > now ? min(next - now, most) : 0
            if mine.wait(milliseconds: Int32(clamping: time / 1_000_000 + 1)) { return pending }
            if Clock.monotonic() >= next, next != end {
                tell(pending)
                told = Clock.monotonic()
            } else if Clock.monotonic() >= end {
                abandon()
                return pending
            }
        }
    }

    /// Does what waits when there is no thread that could.
    ///
    /// - Returns: whether there are threads.
    private func workOffWithoutThreads(until end: UInt64) -> Bool {
        while Clock.monotonic() < end {
            let found = state.withLock { state -> (hasThreads: Bool, work: (SealBacklog.Lane, SealBacklog.Taken)?) in
                guard state.threads == 0 else { return (true, nil) }
                Self.queueDue(&state)
                for lane in SealBacklog.Lane.allCases {
                    if let taken = state.backlog.next(in: lane) {
                        state.backlog.begin(lane)
                        return (false, (lane, taken))
                    }
                }
                return (false, nil)
            }
            if found.hasThreads { return true }
            guard let (lane, taken) = found.work else { return false }
            taken.run()
            let drains = state.withLock { state in
                state.backlog.finish(taken, in: lane)
                state.backlog.end(lane)
                return takeIdleDrains(&state)
            }
            if !drains.isEmpty { whenIdle() }
            for drain in drains { drain.post() }
        }
        return state.withLock { $0.threads > 0 }
    }

    func abandon() {
        let (drains, gone) = state.withLock { state in
            state.isAbandoned = true
            defer { (state.drains, state.later) = ([], []) }
            return (state.drains, (state.backlog.removeAll(), state.later))
        }
        _ = gone  // Destroyed here, outside the lock.
        for drain in drains { drain.post() }
    }

    /// Nothing is submitted any more. What waits is done before the threads end.
    func end() {
        let (asleep, wakes, hasTimer) = state.withLock { state -> (Int, Bool, Bool) in
            state.isEnded = true
            Self.queueDue(&state, all: true)
            defer { (state.asleep, state.threads, state.isResting) = (0, state.threads - state.asleep, false) }
            return (state.asleep, state.isResting, state.hasTimer)
        }
        for _ in 0..<asleep { sleep.post() }
        if wakes { rest.post() }
        if hasTimer { timer.post() }
        recruit()
    }
}
