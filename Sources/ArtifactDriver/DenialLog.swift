internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// The last refused operations with their reasons, and how often each rule refused.
final class DenialLog: Sendable {
    struct Denial: Sendable {
        let time: timespec
        let refusal: Refusal
        let operation: String
        let path: String
        let user: UInt32
        let process: Int32
        let program: String
        /// What the rule alone does not say, such as the line at fault.
        var detail: String?
    }

    /// A denial's number, from 0.
    struct ID: Sendable, Hashable { fileprivate let number: Int }

    private struct State {
        var last: [Denial] = []
        var next = 0
        var total = 0
        var counts: [Rule: Int] = [:]
    }

    /// How many are kept.
    private static let capacity = 1000
    private let state = Mutex(State())
    /// Keeps a denial for longer than the mount lives.
    private let keep: @Sendable (Denial) -> Void

    init(keep: @escaping @Sendable (Denial) -> Void = { _ in }) { self.keep = keep }

    /// Counts and keeps a refusal.
    ///
    /// - Parameters:
    ///   - program: the caller's, when it may be gone by now.
    ///   - detail: what the rule alone does not say.
    @discardableResult
    func add(
        _ refusal: Refusal, operation: String, path: String, caller: Caller, program: String? = nil,
        detail: String? = nil
    ) -> ID {
        let denial = Denial(
            time: Clock.now(), refusal: refusal, operation: operation, path: path, user: caller.user,
            process: caller.process, program: program ?? ProcFile.program(ofThread: caller.process), detail: detail)
        keep(denial)
        return state.withLock { state in
            defer { state.total += 1 }
            state.counts[refusal.rule, default: 0] += 1
            if state.last.count < Self.capacity {
                state.last.append(denial)
            } else {
                state.last[state.next] = denial
                state.next = (state.next + 1) % Self.capacity
            }
            return ID(number: state.total)
        }
    }

    /// Says more about a refusal, as long as it is kept.
    func amend(_ id: ID, detail: String) {
        state.withLock { state in
            guard state.total - id.number <= state.last.count else { return }
            state.last[id.number % Self.capacity].detail = detail
        }
    }

    /// Oldest first.
    var all: [Denial] { state.withLock { Array($0.last[$0.next...] + $0.last[..<$0.next]) } }
    var counts: [(rule: Rule, count: Int)] {
        state.withLock { state in Rule.allCases.compactMap { rule in state.counts[rule].map { (rule, $0) } } }
    }
}
