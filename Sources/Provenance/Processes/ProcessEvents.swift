internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Hears what the processes of this machine do, as long as somebody needs it: an idle mount is woken by nobody. Root's driver only
/// (`CAP_NET_ADMIN`); others hear nothing.
final class ProcessEvents: Sendable {
    /// For so long after it was needed last it goes on, in nanoseconds.
    private static let rest: UInt64 = 1_000_000_000

    private let handle: @Sendable (SystemCall.ProcessEvent) -> Void
    private let isListening = Atomic(false)
    /// Where the kernel does not tell, it is not asked again.
    private let isImpossible = Atomic(false)
    private let lastNeed = Atomic<UInt64>(0)
    private let sessions = Atomic(0)
    /// What is done when everything is heard that has happened before it was asked for. A leaf in the order of locks.
    private let tasks = Lock<[Task]>([])
    /// Rings when somebody waits for that.
    private let bell = try? SystemCall.makeEvent()

    private struct Task: Sendable { let body: @Sendable () -> Void }

    private static let mostTasks = 4096
    /// In milliseconds.
    private static let patience: Int32 = 100

    /// - Parameter handle: called by one thread at a time, in the order of the events.
    init(_ handle: @escaping @Sendable (SystemCall.ProcessEvent) -> Void) { self.handle = handle }

    /// Whether it is heard now what processes do.
    var isHeard: Bool { isListening.load(ordering: .relaxed) && !isImpossible.load(ordering: .relaxed) }

    /// What was heard since this changed last is whole: what is not told has not happened. 0 while nothing is heard.
    var session: Int { isHeard ? sessions.load(ordering: .acquiring) : 0 }

    deinit { if let bell { SystemCall.close(bell) } }

    /// Does something when all is heard that has happened by now, soon; nothing while nothing is heard.
    func afterwards(_ body: @escaping @Sendable () -> Void) {
        guard isHeard else { return }
        tasks.withLock { if $0.count < Self.mostTasks { $0.append(Task(body: body)) } }
    }

    /// Waits for a moment until that is done.
    func catchUp() {
        guard isHeard, let bell, tasks.withLock({ !$0.isEmpty }) else { return }
        let isDone = PosixSemaphore()
        tasks.withLock { $0.append(Task { isDone.post() }) }
        SystemCall.signal(bell)
        _ = isDone.wait(milliseconds: Self.patience)
    }

    /// From now on events are needed, for a while.
    func need() {
        lastNeed.store(Clock.monotonic(), ordering: .relaxed)
        guard !isImpossible.load(ordering: .relaxed), !isListening.load(ordering: .acquiring),
            !isListening.exchange(true, ordering: .acquiringAndReleasing)
        else { return }
        guard let socket = try? SystemCall.openProcessEvents() else {
            isImpossible.store(true, ordering: .relaxed)
            return isListening.store(false, ordering: .releasing)
        }
        sessions.add(1, ordering: .acquiringAndReleasing)
        if let thread = WorkerThread(name: "artifactfs-forks", { self.serve(socket) }) {
            thread.detach()
        } else {
            SystemCall.close(socket)
            isListening.store(false, ordering: .releasing)
        }
    }

    private func waitForNews(_ socket: FileDescriptor) {
        var polled = [socket.rawValue, bell?.rawValue ?? -1].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        if poll(&polled, 2, 500) > 0, polled[1].revents != 0, let bell { _ = try? SystemCall.bytes(bell, atMost: 8) }
    }

    private func serve(_ socket: FileDescriptor) {
        WorkerThread.hurry()
        while Clock.monotonic() &- lastNeed.load(ordering: .relaxed) < Self.rest {
            waitForNews(socket)
            // What has happened before these were asked for can be read by now.
            let asked = tasks.withLock { tasks in
                defer { tasks = [] }
                return tasks
            }
            while let event = SystemCall.nextProcessEvent(socket) {
                if event == .lost { sessions.add(1, ordering: .acquiringAndReleasing) }
                handle(event)
            }
            for task in asked { task.body() }
        }
        SystemCall.close(socket)
        isListening.store(false, ordering: .releasing)
    }
}
