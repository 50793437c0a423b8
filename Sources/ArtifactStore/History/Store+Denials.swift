internal import ArtifactRecords
public import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A refused operation, for the ledger.
public struct Denial: Sendable {
    /// Why, and with which errno.
    public var refusal: Refusal
    /// What was asked for, such as `rename-onto`.
    public var operation: String
    /// Where, on the mount.
    public var path: String
    /// The user who asked.
    public var user: UInt32
    /// The process that asked, 0 when it is not known.
    public var process: Int32
    /// Its program.
    public var program: String
    /// What the rule alone does not say.
    public var detail: String?

    /// A denial.
    public init(
        refusal: Refusal, operation: String, path: String, user: UInt32, process: Int32, program: String,
        detail: String? = nil
    ) {
        self.refusal = refusal
        self.operation = operation
        self.path = path
        self.user = user
        self.process = process
        self.program = program
        self.detail = detail
    }

    /// The longest text of one member in the ledger, in bytes.
    private static let longest = 1024

    /// What repeated denials have in common.
    struct Kind: Hashable {
        let user: UInt32
        let rule: Rule
        /// Where, without the last name.
        let directory: String
    }

    var kind: Kind {
        let directory = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[..<$0] } ?? ""
        return Kind(user: user, rule: refusal.rule, directory: String(directory))
    }

    func entry(mount: String) -> LedgerEntry {
        func text(_ value: String) -> String {
            value.utf8.count <= Self.longest
                ? value : String(decoding: value.utf8.prefix(Self.longest), as: UTF8.self) + "..."
        }
        return LedgerEntry(
            .denied(
                .init(
                    mount: mount, rule: refusal.rule.rawValue, errno: refusal.errnoName, operation: text(operation),
                    path: text(path), uid: Int64(user), pid: Int64(process), command: text(program),
                    detail: detail.map(text))))
    }
}

/// How many denials get a line of their own: a program that tries for ever must not fill the disk. The others are counted.
struct DenialBudget {
    /// So many at once.
    static let most = 100
    /// One more after so many nanoseconds.
    static let interval: UInt64 = 1_000_000_000

    private var left = Self.most
    private var refilled: UInt64 = 0
    /// Of these there is a line.
    private var kinds: Set<Denial.Kind> = []
    /// So many kinds have their first denial in a line whatever else is refused.
    static let mostKinds = 1000
    /// How many got no line since the last time, by rule.
    private(set) var counts: [Rule: Int] = [:]

    /// Asks for a line.
    ///
    /// - Parameters:
    ///   - now: on a clock that only goes up, in nanoseconds.
    ///   - hasRoom: whether a line can be kept.
    mutating func spend(_ kind: Denial.Kind, now: UInt64, hasRoom: Bool) -> Bool {
        let steps = now >= refilled ? (now - refilled) / Self.interval : 0
        if steps > 0 {
            left = min(Self.most, left + Int(clamping: min(steps, UInt64(Self.most))))
            refilled = now
        }
        let isFirst = hasRoom && kinds.count < Self.mostKinds && kinds.insert(kind).inserted
        guard hasRoom, left > 0 || isFirst else {
            counts[kind.rule, default: 0] += 1
            return false
        }
        left = max(0, left - 1)
        return true
    }

    /// What has no line, as one; it is counted from 0 again.
    mutating func takeCounts(mount: String) -> LedgerEntry? {
        guard !counts.isEmpty else { return nil }
        var byRule: JSONObject = [:]
        for rule in Rule.allCases { if let count = counts[rule] { byRule[rule.rawValue] = .integer(Int64(count)) } }
        counts = [:]
        return LedgerEntry(.denialsCounted(mount: mount, byRule: byRule))
    }
}

extension Store {
    /// How many lines may wait at most that a denial adds one.
    private static let mostWaiting = 200

    /// Keeps a denial in the ledger, or its number: the first of its kind has a line of its own, and of the others a hundred at once, and then
    /// one a second. Nothing waits for the disk; a line goes with the next that is written.
    ///
    /// - Returns: whether ``settle()`` has something to write.
    @discardableResult
    public func record(_ denial: Denial) -> Bool {
        guard let writable else { return false }
        let time = Clock.monotonic()
        let hasRoom = writable.ledger.waiting < Self.mostWaiting
        let (mount, kind) = (writable.staging.mountID, denial.kind)
        let (isKept, counted) = denialBudget.withLock { budget -> (Bool, LedgerEntry?) in
            guard budget.spend(kind, now: time, hasRoom: hasRoom) else { return (false, nil) }
            return (true, budget.takeCounts(mount: mount))
        }
        guard isKept else { return false }
        writable.ledger.appendLater([counted, denial.entry(mount: mount)].compactMap { $0 })
        return true
    }

    /// Writes the numbers of the denials that have no lines, at the end.
    func recordDenialCounts() {
        guard let writable,
            let entry = denialBudget.withLock({ $0.takeCounts(mount: writable.staging.mountID) })
        else { return }
        writable.ledger.appendLater([entry])
    }
}
