internal import Synchronization
internal import SystemCalls

/// Threads for work that users bring and that may take long: a few, of which no user has all.
///
/// A user gets one more thread as long as more are left for all others than that user has already: of 16 the first 8, of the rest the next
/// half of what is left. What a user brings beyond that waits, and users take turns. Threads are started when they are needed; few of them
/// stay to sleep.
final class FairThreads: Sendable {
    /// A piece of work. It is told whether it is too late to do it, and then only ends what waits for it.
    typealias Work = @Sendable (_ isTooLate: Bool) -> Void

    private struct State {
        /// How many threads work for a user; nobody who has none is in it.
        var running: [UInt32: Int] = [:]
        var busy = 0
        /// Whose work waits, whose turn it is first; nobody stands in it twice.
        var turns: [UInt32] = []
        /// The first to do last.
        var waiting: [UInt32: [Work]] = [:]
        var threads = 0
        /// Threads asleep whom nobody has woken.
        var idle = 0
        /// Set by `end`: from when on, on the monotonic clock, nothing is begun.
        var end: UInt64?
        var isEnded: Bool { end != nil }
        var isTooLate: Bool { end.map { Clock.monotonic() >= $0 } ?? false }
    }

    private let name: String
    private let most: Int
    private let startThread: @Sendable (String, @escaping @Sendable () -> Void) -> Bool
    /// A leaf in the order of locks; no work is done under it.
    private let state = Lock(State())
    private let wake = PosixSemaphore()
    /// Posted by the last thread, once `end` was called.
    private let ended = PosixSemaphore()

    /// So many threads sleep when there is nothing to do; the others end.
    private static let kept = 2

    /// - Parameters:
    ///   - name: at most 15 bytes, for ps(1).
    ///   - most: how many threads there are at most.
    ///   - startThread: for tests.
    init(
        name: String, most: Int,
        startThread: @escaping @Sendable (String, @escaping @Sendable () -> Void) -> Bool = { name, body in
            guard let thread = WorkerThread(name: name, body) else { return false }
            thread.detach()
            return true
        }
    ) {
        self.name = name
        self.most = max(2, most)
        self.startThread = startThread
    }

    /// Takes a piece of work.
    ///
    /// - Returns: false when there is no thread for it and whoever brings it must do it.
    func submit(of user: UInt32, _ work: @escaping Work) -> Bool {
        state.withLock { state in
            guard !state.isEnded else { return false }
            if state.waiting[user] == nil { state.turns.append(user) }
            state.waiting[user, default: []].insert(work, at: 0)
            recruit(&state)
            if state.threads > 0 { return true }
            // No thread at all, and so nobody else's work either.
            state.waiting[user] = nil
            state.turns = []
            return false
        }
    }

    /// Does what was brought, for so many nanoseconds; what is left then is only ended. Waits until all of it is. Nothing more is taken.
    func end(within time: UInt64) {
        let threads = state.withLock { state in
            state.end = Clock.monotonic() &+ time
            for _ in 0..<state.idle { wake.post() }
            state.idle = 0
            return state.threads
        }
        guard threads > 0 else { return }
        if ended.wait(milliseconds: Int32(clamping: time / 1_000_000)) { return }
        while let (_, work) = state.withLock({ state in Self.next(&state, ofAny: true) }) { work(true) }
        ended.wait()
    }

    /// The next piece of work that a thread may begin.
    ///
    /// - Parameter ofAny: whoever has how many threads.
    private static func next(_ state: inout State, ofAny: Bool, most: Int = 0) -> (user: UInt32, work: Work)? {
        guard let turn = state.turns.firstIndex(where: { ofAny || mayBegin($0, state, most) }) else { return nil }
        let user = state.turns.remove(at: turn)
        guard let work = state.waiting[user]?.popLast() else { return nil }
        if state.waiting[user]?.isEmpty == true { state.waiting[user] = nil } else { state.turns.append(user) }
        return (user, work)
    }

    private static func mayBegin(_ user: UInt32, _ state: borrowing State, _ most: Int) -> Bool {
        state.running[user, default: 0] < most - state.busy
    }

    /// Sees to it that somebody does what may be begun.
    private func recruit(_ state: inout State) {
        guard state.turns.contains(where: { Self.mayBegin($0, state, most) }) else { return }
        if state.idle > 0 {
            state.idle -= 1
            wake.post()
        } else if state.threads < most, startThread(name, { self.serve() }) {
            state.threads += 1
        }
    }

    private enum Step { case work(UInt32, Work, isTooLate: Bool), sleep, end }

    private func serve() {
        while true {
            switch state.withLock({ step(&$0) }) {
            case .work(let user, let work, let isTooLate):
                work(isTooLate)
                state.withLock { state in
                    state.busy -= 1
                    let left = state.running[user, default: 1] - 1
                    state.running[user] = left > 0 ? left : nil
                }
            case .sleep: wake.wait()
            case .end: return
            }
        }
    }

    private func step(_ state: inout State) -> Step {
        if let (user, work) = Self.next(&state, ofAny: state.isEnded, most: most) {
            state.busy += 1
            state.running[user, default: 0] += 1
            // One that has ended may have made room for two.
            if !state.isEnded { recruit(&state) }
            return .work(user, work, isTooLate: state.isTooLate)
        }
        guard state.isEnded || state.idle >= Self.kept else {
            state.idle += 1
            return .sleep
        }
        state.threads -= 1
        if state.isEnded, state.threads == 0 { ended.post() }
        return .end
    }
}
