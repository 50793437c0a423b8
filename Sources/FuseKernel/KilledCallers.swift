internal import CFuse
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What a thread is handling.
///
/// Written by that thread alone, and read by who looks for the request of a killed program: what is torn between two requests names none that the kernel
/// waits for.
final class HandledRequest: Sendable {
    /// The kernel's number of the request; 0 for none.
    private let unique = Atomic<UInt64>(0)
    private let process = Atomic<UInt32>(0)

    /// Notes a request, when it may be answered before it is done: one that only looks.
    func begin(_ buffer: borrowing fuse_buf) {
        guard let header = RequestHeader(buffer), header.onlyLooks else { return }
        process.store(header.process, ordering: .relaxed)
        unique.store(header.unique, ordering: .releasing)
    }

    func end() { unique.store(0, ordering: .relaxed) }

    /// Who asked, when it is this request.
    func process(of request: UInt64) -> UInt32? {
        unique.load(ordering: .acquiring) == request ? process.load(ordering: .relaxed) : nil
    }
}

/// What the threads of a pool are handling, as long as the pool lives.
final class HandledRequests: Sendable {
    private let all = Lock<[HandledRequest]>([])

    func add(_ one: HandledRequest) { all.withLock { $0.append(one) } }

    /// Who asked for what a thread handles; nil when none handles it, or it is not one that may be answered before it is done.
    func process(of request: UInt64) -> UInt32? {
        all.withLock { all in all.lazy.compactMap { $0.process(of: request) }.first }
    }
}

/// The beginning of a request as it came from the kernel (linux/fuse.h, `fuse_in_header`).
struct RequestHeader {
    let operation: UInt32
    let unique: UInt64
    let process: UInt32
    /// The request that it is about, of an INTERRUPT.
    let interrupted: UInt64?
    private let opensToWrite: Bool

    private static let size = 40
    private static let (lookup, getattr, readlink, open, read, statfs):
        (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) =
            (1, 3, 5, 14, 15, 17)
    private static let (getxattr, listxattr, opendir, readdir): (UInt32, UInt32, UInt32, UInt32) = (22, 23, 27, 28)
    private static let (access, interrupt, readdirplus): (UInt32, UInt32, UInt32) = (34, 36, 44)

    /// - Returns: nil when the bytes are not in memory, or too few.
    init?(_ buffer: borrowing fuse_buf) {
        guard buffer.flags.rawValue & FUSE_BUF_IS_FD.rawValue == 0, let bytes = buffer.mem, buffer.size >= Self.size
        else {
            return nil
        }
        operation = bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        unique = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        process = bytes.loadUnaligned(fromByteOffset: 32, as: UInt32.self)
        let hasMore = buffer.size >= Self.size + 8
        interrupted =
            operation == Self.interrupt && hasMore
            ? bytes.loadUnaligned(fromByteOffset: Self.size, as: UInt64.self) : nil
        let flags = hasMore ? bytes.loadUnaligned(fromByteOffset: Self.size, as: UInt32.self) : 0
        opensToWrite = Int32(truncatingIfNeeded: flags) & (O_ACCMODE | O_TRUNC | O_CREAT) != O_RDONLY
    }

    /// Whether it changes nothing, neither bytes nor names.
    var onlyLooks: Bool {
        switch operation {
        case Self.lookup, Self.getattr, Self.readlink, Self.read, Self.statfs, Self.getxattr, Self.listxattr,
            Self.opendir, Self.readdir, Self.access, Self.readdirplus:
            true
        case Self.open: !opensToWrite
        default: false
        }
    }
}

/// Lets programs end that were killed while a handler waits for a store that does not answer.
///
/// The kernel lets nobody end who waits for a request that a driver has read (fs/fuse/dev.c, `request_wait_answer`: "Either request is already in
/// userspace, or it was forced. Wait it out."), it only sends INTERRUPT, once for a request, at the first signal. So `kill -9` would be of no use on a
/// mount whose store is frozen, which is a network's file system whose server is away: on that file system itself it is. Who asked and has a signal
/// that ends it is answered `EINTR` then, after a second; what its handler says later nobody waits for, and it is taken back as of any request that was
/// given up. What changes anything is not answered before it is done: what comes after it, such as RELEASE, must find it done.
final class KilledCallers: Sendable {
    private struct Interrupted {
        let request: UInt64
        let since: UInt64
    }

    private struct State {
        var interrupted: [Interrupted] = []
        var hasThread = false
    }

    /// How often it is looked, in milliseconds.
    private static let interval: Int32 = 250
    /// After how long a killed program is let go, in nanoseconds: most handlers are done by then.
    private static let patience: UInt64 = 1_000_000_000
    /// Of more than these the first are looked for only.
    private static let most = 4096

    private let device: Int32
    private let state = Lock(State())
    private let handled: HandledRequests
    private let wake = PosixSemaphore()
    private let isEnded = Atomic(false)

    /// - Parameters:
    ///   - device: of the connection.
    ///   - handled: what the threads are at.
    init(device: Int32, among handled: HandledRequests) {
        (self.device, self.handled) = (device, handled)
    }

    /// The kernel has sent INTERRUPT.
    func note(_ request: UInt64) {
        let starts = state.withLock { state in
            guard state.interrupted.count < Self.most, !isEnded.load(ordering: .relaxed) else { return false }
            state.interrupted.append(Interrupted(request: request, since: Clock.monotonic()))
            defer { state.hasThread = true }
            return !state.hasThread
        }
        guard starts else { return }
        guard let thread = WorkerThread(name: "artifactfs-kill", { self.serve() }) else {
            return state.withLock { $0.hasThread = false }
        }
        thread.detach()
    }

    /// The descriptor is about to be closed.
    func end() {
        isEnded.store(true, ordering: .relaxed)
        wake.post()
    }

    /// Until all of them are done with.
    private func serve() {
        while true {
            _ = wake.wait(milliseconds: Self.interval)
            let goesOn = state.withLock { state in
                if isEnded.load(ordering: .relaxed) { state.interrupted = [] }
                state.interrupted.removeAll { one in
                    guard let process = handled.process(of: one.request) else { return true }
                    guard Clock.monotonic() &- one.since >= Self.patience, Self.isEnding(process) else { return false }
                    answer(one.request)
                    return true
                }
                state.hasThread = !state.interrupted.isEmpty
                return state.hasThread
            }
            if !goesOn { return }
        }
    }

    /// Whether a thread has a signal that ends it: the kernel makes SIGKILL of every one that does (kernel/signal.c, `complete_signal`).
    ///
    /// - Parameter process: 0 when it is none of this mount's namespace of processes: then it is not known.
    private static func isEnding(_ process: UInt32) -> Bool {
        guard process > 0,
            let file = try? SystemCall.open(SystemCall.currentDirectory, "/proc/\(process)/status", O_RDONLY)
        else { return false }
        defer { SystemCall.close(file) }
        guard let bytes = try? SystemCall.bytes(file, at: 0, count: 4096) else { return false }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("SigPnd:") {
            let mask = line.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) } ?? 0
            return mask & (1 << (UInt64(SIGKILL) - 1)) != 0
        }
        return false
    }

    /// Answers for the thread that handles it (`fuse_out_header`). A request that was answered in this moment is not there any more (ENOENT).
    private func answer(_ request: UInt64) {
        var header = AnswerHeader(unique: request)
        _ = withUnsafeBytes(of: &header) { Glibc.write(device, $0.baseAddress, $0.count) }
    }

    private struct AnswerHeader {
        var length: UInt32 = 16
        var error: Int32 = -EINTR
        var unique: UInt64
    }
}
