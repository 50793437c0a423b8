internal import CFuse
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The threads that take requests from the kernel.
///
/// At most one of them, the *leader*, looks for requests when there are none: first by polling for about 20 microseconds, because a
/// program's next request comes within that time and a sleeping thread takes longer to wake than a request to handle; then by sleeping
/// in `poll`. All others sleep on a semaphore. A thread that got a request handles it itself; it appoints another thread before
/// only when requests pile up, when handlers have lately been slow, or when the handler says that it will block. So a single busy
/// program wakes nobody, and an idle mount wakes never.
///
/// Most of what remains of a round trip would be waking the program's processor, which fell asleep meanwhile: while requests come
/// quickly, no processor may (`WakefulProcessors`), and a millisecond after the last request all may again. Tried before that, and of no use:
/// binding the leader to the program's processor. Bound together by hand they are a third faster, but the scheduler takes the program
/// elsewhere at its next wake-up, because the driver is running where it slept (select_idle_sibling in kernel/sched/fair.c).
///
/// A handler can be slow against all expectation, and then nobody would look for requests: while there is work, the thread that
/// called `run` looks every two milliseconds whether requests wait that nobody fetches, and appoints a thread. So a handler that waits for
/// another request (through a program, or through an invalidation) is late, never stuck. Where no more threads can be had it handles that
/// request itself. When all are stuck, as on a store that does not answer, there may be more of them for a while.
final class WorkerPool: Sendable {
    private let session: SessionPointer
    private let device: Int32
    private let limit: Int
    /// Whether a thread is looking for requests.
    private let hasLeader = Atomic<Bool>(false)
    /// Threads asleep on the semaphore.
    private let idle = Atomic<Int>(0)
    private let isStopping = Atomic<Bool>(false)
    /// Whether the kernel has no handle of the mount any more.
    let isUnmounted = Atomic<Bool>(false)
    /// What a request takes, in nanoseconds: it goes up a little when one took longer and down when one took less, and so stays
    /// near the median. An average would also count the slices of time that busy programs take from a thread in the middle of a
    /// request, and waking more threads would only make that worse.
    private let usualTime = Atomic<Int>(0)
    /// How well polling has paid lately; at 0 there is none.
    private let pollScore = Atomic<Int>(8)
    /// How quickly requests have come lately: up with each that came soon after the one before, down with each that did not. The
    /// leader's.
    private let haste = Atomic<Int>(0)
    private let threads = Lock<[WorkerThread]>([])
    /// What they are at, and the thread that called `run`.
    private let handled = HandledRequests()
    private let killed: KilledCallers
    /// When a thread may be asked for again, after there was none.
    private let nextStart = Atomic<UInt64>(0)
    private let semaphore: PosixSemaphore
    /// Readable when the pool is to stop.
    private let wake: FileDescriptor
    private let mayPoll: Bool
    /// Nil where idle processors are left alone.
    private let processors: WakefulProcessors?
    /// Threads that do not sleep on the semaphore.
    private let busy = Atomic<Int>(0)
    /// So many may be busy because requests pile up: the programs that send them need processors too.
    private let mostBusy: Int
    /// Whether the watching thread is looking every `watchTime`; otherwise it sleeps on `watcher`.
    private let isWatching = Atomic<Bool>(true)
    private let watcher: PosixSemaphore

    /// In nanoseconds.
    private static let finishTime: UInt64 = 2_000_000_000
    /// In milliseconds.
    private static let watchTime: Int32 = 2
    /// After so many looks in a row all threads are stuck, a tenth of a second: a store that does not answer must not keep those away who ask for no more
    /// than the mount's state. So many threads more there may be then.
    private static let (stuckLooks, mostStuck) = (50, 240)
    /// After so many looks in a row that found a leader, the watching thread sleeps; that found none, processors may.
    private static let quietLooks = 5
    private static let pollTime: UInt64 = 20_000
    private static let slow = 50_000
    private static let pause: UInt64 = 10_000_000
    private static let backlog = 8
    private static let longestScore = 16
    /// How long processors are kept awake without a request, in milliseconds.
    private static let wakefulTime: Int32 = 1
    /// A request that comes so soon after the one before is answered a tenth faster, or more, by processors that are awake.
    private static let soon: UInt64 = 200_000
    private static let mostHaste = 16

    init(session: SessionPointer, device: Int32, limit: Int, keepsProcessorsAwake: Bool) {
        self.session = session
        self.device = device
        self.limit = max(2, limit)
        semaphore = PosixSemaphore()
        watcher = PosixSemaphore()
        wake = (try? SystemCall.makeEvent()) ?? FileDescriptor(rawValue: -1)
        // On one processor polling only takes time from the program that is to send the request.
        let count = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        mayPoll = count > 1
        mostBusy = max(1, count / 2)
        killed = KilledCallers(device: device, among: handled)
        processors = mayPoll && keepsProcessorsAwake ? WakefulProcessors() : nil
    }

    deinit { SystemCall.close(wake) }

    /// Serves until the mount is gone or `stop` is called.
    func run() {
        // No thread at all: this one serves alone. Two, where there are two, so that one that blocks has another beside it although the
        // system has none to give by then; it sleeps until it is needed.
        if start(limit) {
            _ = start(limit)
            watch()
        } else {
            serve()
        }
        stop()
        while let thread = threads.withLock({ $0.popLast() }) { thread.join() }
        killed.end()
    }

    /// Ends the service. May be called from any thread.
    func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        SystemCall.signal(wake)
        for _ in 0..<limit + Self.mostStuck { semaphore.post() }
        watcher.post()
    }

    /// Sees to it that somebody looks for requests while handlers are slow; sleeps while all is quiet.
    private func watch() {
        var worker = makeWorker()
        defer { free(worker.buffer.mem) }
        var quiet = 0
        var leaderless = 0
        while !isDone {
            var stopped = pollfd(fd: wake.rawValue, events: Int16(POLLIN), revents: 0)
            if Glibc.poll(&stopped, 1, Self.watchTime) > 0 { return }
            if hasLeader.load(ordering: .sequentiallyConsistent) {
                leaderless = 0
                quiet += 1
                if quiet >= Self.quietLooks { rest() }
            } else {
                quiet = 0
                // By chance, or because all threads are at something that takes long.
                leaderless += 1
                if leaderless >= Self.quietLooks { processors?.release() }
                // Where the system has no thread to give this one does it: whom the others wait for may be waiting there.
                if hasRequest(), !appoint(beyondLimit: leaderless >= Self.stuckLooks), !isFull { serveOnce(&worker) }
            }
        }
    }

    /// Handles a request if there is one.
    private func serveOnce(_ worker: inout Worker) {
        let size = fuse_session_receive_buf(session.raw, &worker.buffer)
        if size > 0 { process(&worker) }
    }

    private func process(_ worker: inout Worker) {
        if let request = RequestHeader(worker.buffer)?.interrupted { killed.note(request) }
        worker.handled.begin(worker.buffer)
        fuse_session_process_buf(session.raw, &worker.buffer)
        worker.handled.end()
    }

    private func makeWorker() -> Worker {
        let worker = Worker()
        handled.add(worker.handled)
        return worker
    }

    /// Sleeps until a leader leaves to handle a request. Either that leader sees that nobody watches, or this sees that there is
    /// no leader: both write before they read.
    private func rest() {
        isWatching.store(false, ordering: .sequentiallyConsistent)
        if hasLeader.load(ordering: .sequentiallyConsistent), !isDone { watcher.wait() }
        isWatching.store(true, ordering: .sequentiallyConsistent)
    }

    /// The leader has a request and is about to handle it.
    private func leave() {
        hasLeader.store(false, ordering: .sequentiallyConsistent)
        if !isWatching.load(ordering: .sequentiallyConsistent), !isWatching.exchange(true, ordering: .relaxed) {
            watcher.post()
        }
    }

    private func hasRequest() -> Bool {
        var request = pollfd(fd: device, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&request, 1, 0) > 0
    }

    /// Lets another thread look for requests, if none does.
    ///
    /// - Parameter beyondLimit: whether there may be more threads than usual, as all wait for what may never come.
    /// - Returns: whether one does now, or will.
    @discardableResult
    func appoint(beyondLimit: Bool = false) -> Bool {
        if hasLeader.load(ordering: .acquiring) { return true }
        if idle.load(ordering: .acquiring) > 0 {
            semaphore.post()
            return true
        }
        return start(limit + (beyondLimit ? Self.mostStuck : 0))
    }

    /// Whether there are as many threads as there may be.
    private var isFull: Bool { threads.withLock { $0.count >= limit } }

    /// Starts a thread, as far as the system gives more (`RLIMIT_NPROC`); it is not asked again at once.
    private func start(_ limit: Int) -> Bool {
        guard Clock.monotonic() >= nextStart.load(ordering: .relaxed) else { return false }
        return threads.withLock { threads in
            guard threads.count < limit, !isStopping.load(ordering: .relaxed) else { return false }
            guard let thread = WorkerThread(name: "artifactfs", { self.serve() }) else {
                nextStart.store(Clock.monotonic() &+ Self.pause, ordering: .relaxed)
                return false
            }
            threads.append(thread)
            return true
        }
    }

    private var isDone: Bool {
        isStopping.load(ordering: .relaxed) || fuse_session_exited(session.raw) != 0
    }

    /// What a thread of the pool keeps to itself.
    private struct Worker {
        var buffer = fuse_buf()
        let handled = HandledRequest()
        /// Requests in a row that were there already when this thread looked.
        var streak = 0
    }

    private func serve() {
        var worker = makeWorker()
        defer { free(worker.buffer.mem) }
        busy.add(1, ordering: .relaxed)
        defer { busy.subtract(1, ordering: .relaxed) }
        while !isDone {
            let size = fuse_session_receive_buf(session.raw, &worker.buffer)
            if size > 0 {
                worker.streak += 1
                handle(&worker)
            } else if size == -EAGAIN {
                worker.streak = 0
                wait(&worker)
            } else if size != -EINTR {
                noteEnd(size)
                break
            }
        }
        // Whoever sleeps must learn of the end too.
        stop()
    }

    /// 0 is libfuse's word for ENODEV: the mount is gone.
    private func noteEnd(_ size: Int32) {
        if size == 0 || size == -ENODEV { isUnmounted.store(true, ordering: .releasing) }
    }

    /// Handles what the kernel has sent before `run` ended: above all the RELEASE of files that programs have closed, which nobody
    /// waits for. Programs that go on sending do not keep it for long.
    func finishRequests() {
        var worker = Worker()
        defer { free(worker.buffer.mem) }
        let end = Clock.monotonic() &+ Self.finishTime
        while Clock.monotonic() < end {
            let size = fuse_session_receive_buf(session.raw, &worker.buffer)
            if size > 0 {
                process(&worker)
            } else if size != -EINTR {
                return noteEnd(size)
            }
        }
    }

    private func handle(_ worker: inout Worker) {
        if isWorthAppointing(worker.streak) { appoint() }
        let start = Clock.monotonic()
        process(&worker)
        let time = Int(truncatingIfNeeded: Clock.monotonic() &- start)
        let usual = usualTime.load(ordering: .relaxed)
        let step = max(usual / 16, 250)
        usualTime.store(time > usual ? usual + step : max(0, usual - step), ordering: .relaxed)
    }

    private func isWorthAppointing(_ streak: Int) -> Bool {
        if hasLeader.load(ordering: .relaxed) { return false }
        if usualTime.load(ordering: .relaxed) > Self.slow { return true }
        return streak >= Self.backlog && busy.load(ordering: .relaxed) < mostBusy
    }

    /// Nothing to do: looks for the next request, or sleeps when another thread looks already.
    private func wait(_ worker: inout Worker) {
        guard hasLeader.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
        else {
            idle.add(1, ordering: .acquiringAndReleasing)
            busy.subtract(1, ordering: .relaxed)
            // Between the exchange and here the leader may have gone to handle a request; then nobody would look.
            if hasLeader.load(ordering: .acquiring), !isStopping.load(ordering: .acquiring) { semaphore.wait() }
            busy.add(1, ordering: .relaxed)
            idle.subtract(1, ordering: .acquiringAndReleasing)
            return
        }
        let hasRequest = pollBriefly(&worker.buffer)
        if !hasRequest { sleepUntilRequest() }
        leave()
        if hasRequest { handle(&worker) }
    }

    /// Polls for the next request while that has paid.
    ///
    /// - Returns: whether `buffer` holds one.
    private func pollBriefly(_ buffer: inout fuse_buf) -> Bool {
        let score = pollScore.load(ordering: .relaxed)
        guard mayPoll, score > 0 else { return false }
        let end = Clock.monotonic() &+ Self.pollTime
        repeat {
            let size = fuse_session_receive_buf(session.raw, &buffer)
            if size > 0 {
                if score < Self.longestScore { pollScore.store(score + 1, ordering: .relaxed) }
                hasten()
                return true
            }
            if size != -EAGAIN && size != -EINTR { return false }
        } while Clock.monotonic() < end
        pollScore.store(score - 1, ordering: .relaxed)
        return false
    }

    private func sleepUntilRequest() {
        // A tuple: an array would be allocated.
        var polls = (
            pollfd(fd: device, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wake.rawValue, events: Int16(POLLIN), revents: 0)
        )
        let start = Clock.monotonic()
        withUnsafeMutableBytes(of: &polls) {
            guard let polls = $0.assumingMemoryBound(to: pollfd.self).baseAddress else { return }
            if let processors, processors.isHeld {
                if Glibc.poll(polls, 2, Self.wakefulTime) != 0 { return }
                processors.release()
                haste.store(0, ordering: .relaxed)
            }
            _ = Glibc.poll(polls, 2, -1)
        }
        let time = Clock.monotonic() &- start
        // A request that came so soon would have been found by polling a little longer: try that again.
        if time < Self.pollTime * 2 { pollScore.store(Self.longestScore / 2, ordering: .relaxed) }
        if time < Self.soon { hasten() } else { slacken() }
    }

    private func hasten() {
        let haste = haste.load(ordering: .relaxed)
        if haste < Self.mostHaste {
            self.haste.store(haste + 1, ordering: .relaxed)
        } else if let processors, !processors.isHeld {
            processors.hold()
        }
    }

    private func slacken() {
        let haste = haste.load(ordering: .relaxed)
        if haste > 0 { self.haste.store(max(0, haste - 2), ordering: .relaxed) }
        if haste <= 2, let processors, processors.isHeld { processors.release() }
    }
}
