internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// When processes were made: numbers that go up with each, and that no two have.
///
/// The kernel numbers its processes so since 6.9 (pidfs). On an older one it is the tick of the clock, which `stat` tells, and below that the
/// process's own number, which within a tick goes up too, unless it has just begun anew.
package final class ProcessBirths: Sendable {
    /// For so many milliseconds `stat` of a process is waited for.
    private static let patience: Int32 = 100
    /// No process's number takes more (PID_MAX_LIMIT of include/linux/threads.h).
    private static let processBits: UInt64 = 22

    private let reader = PatientReader(mostAtWork: 2, mostThreads: 8)
    /// Whether the kernel's numbers are used, once that was asked. A leaf in the order of locks.
    private let known: Lock<Bool?>

    /// A number that another thread finds.
    private final class Found: Sendable {
        let number = Lock<UInt64?>(nil)
        let thread = Atomic<Int32>(0)
    }

    /// - Parameter usesNumbers: false as on an older kernel, for tests; nil where the kernel decides.
    package init(usesNumbers: Bool? = nil) { known = Lock(usesNumbers) }

    private var usesNumbers: Bool {
        if let known = known.withLock({ $0 }) { return known }
        let isInOrder = Self.isInOrder()
        known.withLock { $0 = isInOrder }
        return isInOrder
    }

    /// A thread's process, and when it was made; nil when it is gone.
    package func birth(ofThread thread: Int32) -> ProcessBirth? {
        guard thread > 0 else { return nil }
        if usesNumbers, let number = try? SystemCall.birth(ofProcess: thread) {
            return ProcessBirth(process: thread, number: number)
        }
        // Only a process's first thread has the process's number.
        guard let process = ProcFile.processID(ofThread: thread) else { return nil }
        let number = usesNumbers ? try? SystemCall.birth(ofProcess: process) : start(of: process)
        return number.map { ProcessBirth(process: process, number: $0) }
    }

    /// Reading `stat` may have to wait for the process.
    private func start(of process: Int32) -> UInt64? {
        let found = Found()
        let isDone = reader.run(within: Self.patience) {
            found.number.withLock { $0 = ProcFile.origin(of: process)?.start }
        }
        guard isDone == true, let tick = found.number.withLock({ $0 }) else { return nil }
        return Self.number(tick: tick, process: process)
    }

    private static func number(tick: UInt64, process: Int32) -> UInt64 {
        tick << processBits | UInt64(UInt32(bitPattern: process)) & (1 << processBits - 1)
    }

    /// What has this number or a higher one is made from now on.
    package func next() -> UInt64? {
        guard usesNumbers else {
            return lastProcess().map { Self.number(tick: Clock.ticksSinceBoot(), process: $0) &+ 1 }
        }
        let found = Found()
        // A thread has a number of the same row.
        let thread = WorkerThread(name: "artifactfs-count") {
            let number = try? SystemCall.birth(ofThread: SystemCall.thread)
            found.number.withLock { $0 = number }
        }
        thread?.join()
        return found.number.withLock { $0 }
    }

    /// The number that was given last (proc_loadavg(5)).
    private func lastProcess() -> Int32? {
        guard let file = try? SystemCall.open(SystemCall.currentDirectory, "/proc/loadavg", O_RDONLY) else {
            return nil
        }
        defer { SystemCall.close(file) }
        guard let text = try? SystemCall.bytes(file, atMost: 256) else { return nil }
        let last = text.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }).last
        return last.flatMap { Int32(String(decoding: $0, as: UTF8.self)) }
    }

    /// Whether the kernel gives the numbers in the order in which threads are made, and not in that in which somebody asks for them.
    private static func isInOrder() -> Bool {
        let (begun, end) = (PosixSemaphore(), PosixSemaphore())
        func start(_ found: Found) -> WorkerThread? {
            let thread = WorkerThread(name: "artifactfs-count") {
                found.thread.store(SystemCall.thread, ordering: .releasing)
                begun.post()
                end.wait()
            }
            if thread != nil { begun.wait() }
            return thread
        }
        let (first, second) = (Found(), Found())
        guard let one = start(first) else { return false }
        let other = start(second)
        let later = try? SystemCall.birth(ofThread: second.thread.load(ordering: .acquiring))
        let earlier = try? SystemCall.birth(ofThread: first.thread.load(ordering: .acquiring))
        for _ in 0...1 { end.post() }
        one.join()
        other?.join()
        guard let earlier, let later else { return false }
        return earlier < later
    }
}
