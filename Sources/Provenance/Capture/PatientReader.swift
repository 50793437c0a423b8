internal import Synchronization
package import SystemCalls

/// Does on threads of its own what may have to wait for a process, and lets who asks wait for a while only.
///
/// A process's command line and environment are read from its memory. Its own page faults can hold the lock of that for as long as the file
/// system underneath them likes (proc_pid_cmdline(5) waits for `mmap_lock`, as ps(1) does), and no worker of the mount may wait for that.
package final class PatientReader: Sendable {
    /// Something to do, and who waits for it.
    private final class Task: Sendable {
        let body: @Sendable () -> Void
        let done = PosixSemaphore()
        /// When it was begun, on the monotonic clock; 0 before.
        let begin = Atomic<UInt64>(0)
        /// The thread that does it; 0 before.
        let thread = Atomic<Int32>(0)

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private struct State {
        var tasks: [Task] = []
        var running: [Task] = []
        var threads = 0
        /// How many threads wait, less those that are called.
        var idle = 0
    }

    private static let mostTasks = 1024

    /// Starts a thread; nil when there is none to be had.
    package typealias ThreadSource = @Sendable (@escaping @Sendable () -> Void) -> WorkerThread?

    /// When as many are stuck as work otherwise, somebody does it on purpose, and nobody waits for longer than so many milliseconds.
    private static let shortLimit: Int32 = 5
    /// An idle thread ends, so that an idle mount costs nothing. In milliseconds.
    private static let rest: Int32 = 2000

    private let startThread: ThreadSource
    private let mostAtWork: Int
    private let mostThreads: Int
    /// In nanoseconds.
    private let stuckAfter: UInt64
    /// A leaf in the order of locks.
    private let state = Lock(State())
    private let bell = PosixSemaphore()

    /// - Parameters:
    ///   - mostAtWork: so many do their work at a time.
    ///   - mostThreads: so many there are with those that are stuck.
    ///   - milliseconds: what takes longer counts as stuck, and another thread may work in its place.
    ///   - startThread: for tests.
    package init(
        mostAtWork: Int = 8, mostThreads: Int = 64, stuckAfter milliseconds: UInt64 = 1000,
        startThread: @escaping ThreadSource = { WorkerThread(name: "artifactfs-look", $0) }
    ) {
        (self.mostAtWork, self.mostThreads, self.startThread) = (mostAtWork, mostThreads, startThread)
        stuckAfter = milliseconds * 1_000_000
    }

    /// Does something and waits until it is done.
    ///
    /// - Parameter limit: for so many milliseconds at most. What was begun by then goes on.
    /// - Returns: whether it was done by then; nil when it was not begun, and is not.
    package func run(within limit: Int32, _ body: @escaping @Sendable () -> Void) -> Bool? {
        let task = Task(body)
        guard let limit = add(task, limit) else { return nil }
        return task.done.wait(milliseconds: limit) ? true : giveUp(task)
    }

    /// The same, and is not waited for any longer once it has to wait itself: for a process, say, that is in execve(2) and waits for us. On a busy
    /// machine it is waited for longer than it would be with a short limit.
    package func runAwake(within limit: Int32, _ body: @escaping @Sendable () -> Void) -> Bool? {
        let task = Task(body)
        guard let limit = add(task, limit) else { return nil }
        var asleep = 0
        for _ in 0..<max(0, limit) {
            if task.done.wait(milliseconds: 1) { return true }
            let thread = task.thread.load(ordering: .relaxed)
            asleep = thread > 0 && ProcFile.isAsleep(thread) ? asleep + 1 : 0
            if asleep >= Self.mostAsleep { break }
        }
        return giveUp(task)
    }

    /// - Returns: as ``run(within:_:)``, of what was not done in time.
    private func giveUp(_ task: Task) -> Bool? {
        state.withLock { state in
            guard let index = state.tasks.firstIndex(where: { $0 === task }) else { return false }
            state.tasks.remove(at: index)
            return nil
        }
    }

    /// Looked at each millisecond.
    private static let mostAsleep = 2

    /// Does something soon, for which nobody waits.
    ///
    /// - Returns: false when there is too much to do already.
    package func submit(_ body: @escaping @Sendable () -> Void) -> Bool { add(Task(body), 0) != nil }

    /// - Returns: for how many milliseconds its end may be waited for; nil when it was not taken.
    private func add(_ task: Task, _ limit: Int32) -> Int32? {
        let now = Clock.monotonic()
        let (isTaken, starts, stuck) = state.withLock { state -> (Bool, Bool, Int) in
            let stuck = state.running.count { $0.begin.load(ordering: .relaxed) &+ stuckAfter < now }
            guard state.tasks.count < Self.mostTasks else { return (false, false, stuck) }
            state.tasks.append(task)
            if state.idle > 0 {
                state.idle -= 1
                bell.post()
                return (true, false, stuck)
            }
            guard state.threads - stuck < mostAtWork, state.threads < mostThreads else {
                return (true, false, stuck)
            }
            state.threads += 1
            return (true, true, stuck)
        }
        if starts {
            if let thread = startThread({ self.serve() }) {
                thread.detach()
            } else {
                let isServed = state.withLock { state in
                    state.threads -= 1
                    if state.threads == 0 { state.tasks.removeAll { $0 === task } }
                    return state.threads > 0
                }
                if !isServed { return nil }
            }
        }
        guard isTaken else { return nil }
        return stuck >= mostAtWork ? min(limit, Self.shortLimit) : limit
    }

    private func serve() {
        // Who is looked at goes on meanwhile, or waits for us.
        WorkerThread.hurry()
        while true {
            while let task = next() {
                task.body()
                state.withLock { $0.running.removeAll { $0 === task } }
                task.done.post()
            }
            let isCalled = bell.wait(milliseconds: Self.rest)
            let isOver = state.withLock { state in
                // Who was called is not counted as idle any more. Who wakes by itself leaves a call that came for another.
                if !isCalled { state.idle -= 1 }
                guard !isCalled, state.tasks.isEmpty else { return false }
                state.threads -= 1
                return true
            }
            if isOver { return }
        }
    }

    /// The next task; nil when there is none, and then the thread counts as idle.
    private func next() -> Task? {
        state.withLock { state in
            guard !state.tasks.isEmpty else {
                state.idle += 1
                return nil
            }
            let task = state.tasks.removeFirst()
            task.begin.store(max(1, Clock.monotonic()), ordering: .relaxed)
            task.thread.store(SystemCall.thread, ordering: .relaxed)
            state.running.append(task)
            return task
        }
    }
}
