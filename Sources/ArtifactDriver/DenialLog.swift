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
        let detail: String?
    }

    private struct State {
        var last: [Denial] = []
        var next = 0
        var counts: [Rule: Int] = [:]
    }

    /// How many are kept.
    private static let capacity = 1000
    private let state = Mutex(State())

    func add(_ refusal: Refusal, operation: String, path: String, caller: Caller, detail: String? = nil) {
        let program = withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            ProcFile.read(caller.process, "comm", into: buffer).map { String(decoding: $0.dropLast(), as: UTF8.self) }
                ?? ""
        }
        let denial = Denial(
            time: Clock.now(), refusal: refusal, operation: operation, path: path, user: caller.user,
            process: caller.process, program: program, detail: detail)
        state.withLock { state in
            state.counts[refusal.rule, default: 0] += 1
            if state.last.count < Self.capacity {
                state.last.append(denial)
            } else {
                state.last[state.next] = denial
                state.next = (state.next + 1) % Self.capacity
            }
        }
    }

    /// Oldest first.
    var all: [Denial] { state.withLock { Array($0.last[$0.next...] + $0.last[..<$0.next]) } }
    var counts: [(rule: Rule, count: Int)] {
        state.withLock { state in Rule.allCases.compactMap { rule in state.counts[rule].map { (rule, $0) } } }
    }
}
