internal import Synchronization
internal import SystemCalls

/// Does on threads of its own what may have to wait for a process, and lets who asks wait for a while only.
///
/// A process's command line and environment are read from its memory. Its own page faults can hold the lock of that for as long as the file
/// system underneath them likes (proc_pid_cmdline(5) waits for `mmap_lock`, as ps(1) does), and no worker of the mount may wait for that.
package final class PatientReader: Sendable {
    /// Something to do, and who waits for it.
    private final class Task: Sendable {
        let body: @Sendable () -> Void
        let done = PosixSemaphore()
        /// Guarded by the reader's lock.
        let stage = Atomic(Stage.waits.rawValue)

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private enum Stage: Int { case waits, runs, isStuck, isOver }

    private struct State {
        var tasks: [Task] = []
        var threads = 0
        /// Threads whose task nobody waits for any more.
        var stuck = 0
        /// How many threads wait, less those that are called.
        var idle = 0
    }

    /// So many do their work at a time, and so many may be stuck besides.
    private static let (mostAtWork, mostThreads) = (8, 64)
    /// When as many are stuck as work otherwise, somebody does it on purpose, and nobody waits for longer than so many milliseconds.
    private static let shortLimit: Int32 = 5
    /// An idle thread ends, so that an idle mount costs nothing. In milliseconds.
    private static let rest: Int32 = 2000

    /// A leaf in the order of locks.
    private let state = Lock(State())
    private let bell = PosixSemaphore()

    package init() {}

    /// Does something and waits until it is done.
    ///
    /// - Parameter limit: for so many milliseconds at most. What was begun by then goes on.
    /// - Returns: whether it was done by then; nil when it was not begun, and is not.
    package func run(within limit: Int32, _ body: @escaping @Sendable () -> Void) -> Bool? {
        let task = Task(body)
        var limit = limit
        let starts = state.withLock { state -> Bool in
            if state.stuck >= Self.mostAtWork { limit = min(limit, Self.shortLimit) }
            state.tasks.append(task)
            if state.idle > 0 {
                state.idle -= 1
                bell.post()
                return false
            }
            guard state.threads - state.stuck < Self.mostAtWork, state.threads < Self.mostThreads else { return false }
            state.threads += 1
            return true
        }
        if starts {
            if let thread = WorkerThread(name: "artifactfs-look", { self.serve() }) {
                thread.detach()
            } else {
                state.withLock { $0.threads -= 1 }
            }
        }
        if task.done.wait(milliseconds: limit) { return true }
        return state.withLock { state in
            switch Stage(rawValue: task.stage.load(ordering: .relaxed)) {
            case .waits:
                state.tasks.removeAll { $0 === task }
                return nil
            case .runs:
                task.stage.store(Stage.isStuck.rawValue, ordering: .relaxed)
                state.stuck += 1
                return false
            case .isStuck, .isOver, nil: return true
            }
        }
    }

    private func serve() {
        while true {
            while let task = next() {
                task.body()
                state.withLock { state in
                    if task.stage.load(ordering: .relaxed) == Stage.isStuck.rawValue { state.stuck -= 1 }
                    task.stage.store(Stage.isOver.rawValue, ordering: .relaxed)
                }
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
            task.stage.store(Stage.runs.rawValue, ordering: .relaxed)
            return task
        }
    }
}
