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

    /// - Parameter handle: called by one thread at a time, in the order of the events.
    init(_ handle: @escaping @Sendable (SystemCall.ProcessEvent) -> Void) { self.handle = handle }

    /// Whether it is heard now what processes do.
    var isHeard: Bool { isListening.load(ordering: .relaxed) && !isImpossible.load(ordering: .relaxed) }

    /// What was heard since this changed last is whole: what is not told has not happened. 0 while nothing is heard.
    var session: Int { isHeard ? sessions.load(ordering: .acquiring) : 0 }

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

    private func serve(_ socket: FileDescriptor) {
        WorkerThread.hurry()
        while Clock.monotonic() &- lastNeed.load(ordering: .relaxed) < Self.rest {
            guard (try? SystemCall.waitToRead(socket) { 500 }) ?? false else { continue }
            while let event = SystemCall.nextProcessEvent(socket) {
                if event == .lost { sessions.add(1, ordering: .acquiringAndReleasing) }
                handle(event)
            }
        }
        SystemCall.close(socket)
        isListening.store(false, ordering: .releasing)
    }
}
