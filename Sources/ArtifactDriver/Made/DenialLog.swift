internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The last refused operations with their reasons, and how often each rule refused.
final class DenialLog: Sendable {
    struct RefusedOperation: Sendable {
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

    /// Finds a denial again, as long as it is kept.
    struct ID: Sendable, Hashable {
        fileprivate let user: UInt32
        fileprivate let number: Int
    }

    /// What is kept of one user, oldest first.
    private struct Kept {
        private var denials: [(number: Int, denial: RefusedOperation)?] = []
        /// From here on; before it, what went.
        private var first = 0
        var count: Int { denials.count - first }
        var all: some Sequence<(number: Int, denial: RefusedOperation)> { denials[first...].lazy.compactMap { $0 } }

        mutating func add(_ denial: RefusedOperation, _ number: Int) { denials.append((number, denial)) }

        mutating func removeOldest() {
            guard count > 0 else { return }
            denials[first] = nil
            first += 1
            if first * 2 > denials.count {
                denials.removeSubrange(..<first)
                first = 0
            }
        }

        mutating func amend(_ number: Int, detail: String) {
            guard let place = denials.lastIndex(where: { $0?.number == number }) else { return }
            denials[place]?.denial.detail = detail
        }
    }

    private struct State {
        var kept: [UInt32: Kept] = [:]
        var count = 0
        var total = 0
        var counts: [Counted: Int] = [:]
    }

    private struct Counted: Hashable {
        let user: UInt32
        let rule: Rule
    }

    /// How many are kept.
    static let capacity = 1000
    private let state = Lock(State())
    /// Keeps a denial for longer than the mount lives.
    private let keep: @Sendable (RefusedOperation) -> Void

    private let programs: @Sendable (Int32) -> String

    /// - Parameter programs: the name of the program that a thread runs.
    init(
        programs: @escaping @Sendable (Int32) -> String = { _ in "" },
        keep: @escaping @Sendable (RefusedOperation) -> Void = { _ in }
    ) {
        self.programs = programs
        self.keep = keep
    }

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
        let denial = RefusedOperation(
            time: Clock.now(), refusal: refusal, operation: operation, path: path, user: caller.user,
            process: caller.process, program: program ?? programs(caller.process), detail: detail)
        keep(denial)
        return state.withLock { state in
            defer { state.total += 1 }
            state.counts[Counted(user: caller.user, rule: refusal.rule), default: 0] += 1
            if state.count >= Self.capacity { Self.makeRoom(in: &state) }
            state.kept[caller.user, default: Kept()].add(denial, state.total)
            state.count += 1
            return ID(user: caller.user, number: state.total)
        }
    }

    /// Nobody's denials push out those of who has fewer.
    private static func makeRoom(in state: inout State) {
        guard let most = state.kept.max(by: { $0.value.count < $1.value.count })?.key else { return }
        state.kept[most]?.removeOldest()
        state.count -= 1
        if state.kept[most]?.count == 0 { state.kept[most] = nil }
    }

    /// Says more about a refusal, as long as it is kept.
    func amend(_ id: ID, detail: String) {
        state.withLock { $0.kept[id.user]?.amend(id.number, detail: detail) }
    }

    /// What a viewer may know, oldest first.
    func kept(for viewer: Viewer) -> [RefusedOperation] {
        let found = state.withLock { state in
            switch viewer {
            case .everybody: state.kept.values.flatMap { Array($0.all) }
            case .user(let user): state.kept[user].map { Array($0.all) } ?? []
            }
        }
        return found.sorted { $0.number < $1.number }.map(\.denial)
    }

    /// How often each rule refused, as far as a viewer may know.
    func counts(for viewer: Viewer) -> [(rule: Rule, count: Int)] {
        let counts = state.withLock { $0.counts }
        var sums: [Rule: Int] = [:]
        for (key, count) in counts where viewer == .everybody || viewer == .user(key.user) {
            sums[key.rule, default: 0] += count
        }
        return Rule.allCases.compactMap { rule in sums[rule].map { (rule, $0) } }
    }
}
