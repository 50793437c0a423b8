internal import CFuse
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

extension Errno {
    /// Not for programs: a handler throws it where something that is on its way decides, when `Caller.canWait`. The request is handled again
    /// when the file system says that something came (`KernelConnection.reconsider`), and at the latest after `LateAnswers.longest`, when
    /// it cannot wait any more. Meanwhile no thread waits for it.
    public static let answerLater = Errno(rawValue: 1_000_000)

    /// Not for programs: a handler throws it, before it changes anything, where it is about to do what may take long on the caller's
    /// account, when `Caller.isMovable`. A thread that no other request needs handles the request again; of those no user has all.
    public static let takesLong = Errno(rawValue: 1_000_001)

    /// Marks a trouble's errno that a rule gave, or whose reason was told already: it is an answer and no failure.
    public var asRefusal: Errno {
        rawValue > 0 && rawValue < Self.refusals ? Errno(rawValue: rawValue + Self.refusals) : self
    }
    private static let refusals: CInt = 100_000
    var isRefusal: Bool { rawValue > Self.refusals && rawValue < 2 * Self.refusals }

    /// What the kernel is told.
    var asAnswer: Errno {
        if self == .takesLong || isForLater { return .resourceTemporarilyUnavailable }
        let plain = isRefusal ? rawValue - Self.refusals : rawValue
        // The kernel's own words for a mount whose driver is gone: a store that cannot be reached says them too (GlusterFS, when it is cut off).
        switch Errno(rawValue: plain) {
        case .socketNotConnected, .connectionAbort, .socketShutdown: return .hostIsDown
        default: break
        }
        // 0 would say "done", and the kernel takes 1 to 511 (fs/fuse/dev.c, `fuse_dev_do_write`).
        return (1...511).contains(plain) ? Errno(rawValue: plain) : .ioError
    }

    /// The same where the file system knows when it is decided, and says so (`KernelConnection.reconsider`): the request waits for up to
    /// `LateAnswers.longestTold`.
    public static let answerWhenTold = Errno(rawValue: 1_000_002)

    /// The same where it may take as long as it likes, because something is on its way that has an end of its own: the request waits until it is
    /// told, or its caller is interrupted.
    public static let answerWhenDone = Errno(rawValue: 1_000_003)

    /// Whether it is for this file only.
    var isForLater: Bool { self == .answerLater || self == .answerWhenTold || self == .answerWhenDone }

    /// Until when a request waits that began to wait then, on the monotonic clock.
    fileprivate func end(from begin: UInt64) -> UInt64 {
        switch self {
        case .answerWhenDone: .max
        case .answerWhenTold: begin &+ UInt64(LateAnswers.longestTold) * 1_000_000
        default: begin &+ UInt64(LateAnswers.longest) * 1_000_000
        }
    }
}

/// Requests whose answers must wait for something that users control, such as a `close` that may be under way. They are handled again by a
/// thread of their own, which there is from the first of them on and which sleeps while there are none.
final class LateAnswers: Sendable {
    /// Handles a request again.
    typealias Attempt = @Sendable (any FileSystem, borrowing Request) throws(Errno) -> Reply

    private struct Waiting: Sendable {
        let request: SentRequest
        let doing: Doing
        let attempt: Attempt
        /// On the monotonic clock.
        let begin: UInt64
        var end: UInt64
    }

    private struct State {
        var waiting: [Waiting] = []
        var hasThread = false
        /// Whether the thread is to look at all of them.
        var isReconsidered = false
        var isEnded = false
    }

    /// In milliseconds.
    static let longest: Int32 = 50
    /// In milliseconds: more than a minute, which is the longest that a schema lets a file settle.
    static let longestTold: Int32 = 65_000
    /// More than these are answered at once.
    private static let most = 4096

    private let state = Lock(State())
    private let count = Atomic<Int>(0)
    private let wake = PosixSemaphore()
    private let ended = PosixSemaphore()

    /// Keeps a request.
    ///
    /// - Parameter reason: what it waits for: until it is told (`Errno.answerWhenTold`), also where the thread that looks comes late to it.
    /// - Returns: false when it is to be answered now.
    func keep(
        _ request: SentRequest, _ doing: Doing, _ attempt: @escaping Attempt, _ dispatcher: Dispatcher,
        for reason: Errno = .answerLater
    ) -> Bool {
        let begin = Clock.monotonic()
        let end = reason.end(from: begin)
        if reason == .answerWhenDone { watch(request) }
        let (isKept, starts) = state.withLock { state -> (Bool, Bool) in
            guard !state.isEnded, state.waiting.count < Self.most else { return (false, false) }
            state.waiting.append(Waiting(request: request, doing: doing, attempt: attempt, begin: begin, end: end))
            // What it waits for may have come since it was decided that it waits.
            state.isReconsidered = true
            defer { state.hasThread = true }
            return (true, !state.hasThread)
        }
        guard isKept else { return false }
        count.add(1, ordering: .sequentiallyConsistent)
        guard starts else {
            wake.post()
            return true
        }
        if let thread = WorkerThread(name: "artifactfs-late", { self.serve(dispatcher) }) {
            thread.detach()
            return true
        }
        // No thread to be had: whoever brought it answers.
        let waiting = state.withLock { state in
            state.hasThread = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for var one in waiting { answer(&one, dispatcher, canWait: false) }
        return true
    }

    /// Has it looked at when its caller is interrupted.
    private func watch(_ request: SentRequest) {
        fuse_req_interrupt_func(
            request.raw,
            { _, data in
                guard let data else { return }
                Unmanaged<LateAnswers>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.reconsider() }
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Something came that requests may wait for. Costs next to nothing while none does.
    func reconsider() {
        guard count.load(ordering: .sequentiallyConsistent) > 0 else { return }
        let isNew = state.withLock { state in
            defer { state.isReconsidered = true }
            return !state.isReconsidered
        }
        if isNew { wake.post() }
    }

    /// Answers what waits, and keeps nothing more.
    func end() {
        let hasThread = state.withLock { state in
            state.isEnded = true
            return state.hasThread
        }
        guard hasThread else { return }
        wake.post()
        ended.wait()
    }

    private func serve(_ dispatcher: Dispatcher) {
        while true {
            let (all, isEnded) = state.withLock { state -> ([Waiting], Bool) in
                defer {
                    state.waiting = []
                    state.isReconsidered = false
                }
                return (state.waiting, state.isEnded)
            }
            var left: [Waiting] = []
            for var one in all {
                let canWait = !isEnded && Clock.monotonic() < one.end
                if !answer(&one, dispatcher, canWait: canWait) { left.append(one) }
            }
            if isEnded, all.isEmpty { break }
            let (time, isReconsidered) = state.withLock { state -> (Int32?, Bool) in
                state.waiting = left + state.waiting
                let now = Clock.monotonic()
                let next = state.waiting.map(\.end).min()
                return (
                    next.map { $0 > now ? Int32(clamping: ($0 - now) / 1_000_000 + 1) : 0 },
                    state.isReconsidered || state.isEnded
                )
            }
            if isReconsidered { continue }
            if let time { _ = wake.wait(milliseconds: time) } else { wake.wait() }
        }
        ended.post()
    }

    /// - Returns: whether it waits here no more.
    @discardableResult
    private func answer(_ one: inout Waiting, _ dispatcher: Dispatcher, canWait: Bool) -> Bool {
        // Who was killed waits for the answer all the same (fs/fuse/dev.c, `request_wait_answer`).
        if one.end == .max, fuse_req_interrupted(one.request.raw) != 0 {
            dispatcher.fail(Request(one.request.raw), one.doing, .interrupted)
            count.subtract(1, ordering: .sequentiallyConsistent)
            return true
        }
        switch dispatcher.handle(one.request, one.doing, one.attempt, canWait: canWait, isMovable: true) {
        case nil: break
        case Errno.takesLong?: dispatcher.takeLong(one.request, one.doing, one.attempt)
        case Errno.answerWhenTold?:
            one.end = Errno.answerWhenTold.end(from: one.begin)
            return false
        case Errno.answerWhenDone?:
            if one.end != .max { watch(one.request) }
            one.end = .max
            return false
        default: return false
        }
        count.subtract(1, ordering: .sequentiallyConsistent)
        return true
    }
}

/// A request that libfuse keeps until it is answered.
struct SentRequest: @unchecked Sendable {
    // Proof: a `fuse_req_t` lives until its answer (lib/fuse_lowlevel.c, `fuse_free_req`), which any one thread may send.
    let raw: fuse_req_t
}
