/// Whether something is so.
public enum SharedAnswer: String, Sendable, CaseIterable {
    case yes, no, unknown
}

/// An answer to a ``SharedQuestion``.
public struct SharedFact: Sendable, Hashable {
    public let answer: SharedAnswer
    /// What more there is to say, a part of a sentence; empty when there is nothing.
    public let detail: String
    /// How long it took at most, in milliseconds; nil of what is not measured.
    public let milliseconds: Int64?

    public init(_ answer: SharedAnswer, _ detail: String = "", milliseconds: Int64? = nil) {
        self.answer = answer
        self.detail = detail
        self.milliseconds = milliseconds
    }

    /// What was not asked.
    public static let unknown = SharedFact(.unknown)

    /// Two hosts' answers as one: it is so when both say so, and not when one does.
    public func and(_ other: SharedFact) -> SharedFact {
        let answer: SharedAnswer =
            self.answer == .no || other.answer == .no
            ? .no : self.answer == .yes && other.answer == .yes ? .yes : .unknown
        // What led to the answer is said.
        let details = [self, other].filter { $0.answer == answer && !$0.detail.isEmpty }.map(\.detail)
        let detail = details.count == 2 && details[0] != details[1] ? details.joined(separator: "; ") : details.first
        let times = [milliseconds, other.milliseconds].compactMap { $0 }
        return SharedFact(answer, detail ?? "", milliseconds: times.max())
    }

    /// Of something that was to be seen.
    ///
    /// - Parameter milliseconds: how long it took at most; nil when it was not seen within ``SharedFacts/patience``.
    public static func seen(after milliseconds: Int64?) -> SharedFact {
        guard let milliseconds else {
            return SharedFact(.no, "not within \(SharedFacts.patience / 1000) s")
        }
        return SharedFact(milliseconds <= SharedFacts.longestCache ? .yes : .no, milliseconds: max(0, milliseconds))
    }
}

/// What a probe on two hosts has found of the file system that a store lies on.
public struct SharedFacts: Sendable, Hashable {
    /// How long what a host remembers may hide what another one has done, in milliseconds: who takes a dead mount's place waits so long.
    public static let longestCache: Int64 = 5_000
    /// How long a probe looks for what is to be seen, in milliseconds. A mount whose lease is not renewed for 30 s is dead.
    public static let patience: Int64 = 35_000

    private var facts: [SharedQuestion: SharedFact]
    /// Whether both hosts were one: a run of a kernel, and a mount in it.
    public var isOneMachine: Bool

    public init(_ facts: [SharedQuestion: SharedFact], isOneMachine: Bool) {
        self.facts = facts
        self.isOneMachine = isOneMachine
    }

    /// What is not there was not asked.
    public subscript(_ question: SharedQuestion) -> SharedFact {
        get { facts[question] ?? .unknown }
        set { facts[question] = newValue }
    }

    /// What two hosts have found as one.
    public init(_ one: [SharedQuestion: SharedFact], _ other: [SharedQuestion: SharedFact], isOneMachine: Bool) {
        var facts: [SharedQuestion: SharedFact] = [:]
        for question in SharedQuestion.allCases {
            facts[question] = (one[question] ?? .unknown).and(other[question] ?? .unknown)
        }
        self.init(facts, isOneMachine: isOneMachine)
    }

    /// What follows from them.
    public var verdict: SharedVerdict {
        if isOneMachine { return .unknown(["both were one machine, whose answer says nothing of two"]) }
        var (against, open): ([String], [String]) = ([], [])
        func take(_ answer: SharedAnswer, no: String, unknown: String) {
            switch answer {
            case .yes: break
            case .no: against.append(no)
            case .unknown: open.append(unknown)
            }
        }
        switch self[.links].answer {
        case .yes:
            take(
                self[.link].answer, no: "two hosts may both win a name by link(2)",
                unknown: "whether one host alone wins a name by link(2)")
        case .no:
            take(
                Self.both(self[.exclusiveCreate].answer, self[.renameRaced].answer),
                no: "it has no hard links, and two hosts may both win a name without them",
                unknown: "how one host alone wins a name, without hard links")
        case .unknown: open.append("whether it has hard links")
        }
        take(
            Self.either(self[.contents].answer, self[.modification].answer),
            no: "a lease that one host renews is not seen by the other within \(Self.longestCache / 1000) s",
            unknown: "whether a lease that one host renews is seen by the other")
        take(
            Self.either(self[.lookedForName].answer, self[.listedName].answer),
            no: "a new name is not seen by the other host within \(Self.longestCache / 1000) s",
            unknown: "whether a new name is seen by the other host")
        return !against.isEmpty ? .oneHost(against) : open.isEmpty ? .severalHosts : .unknown(open)
    }

    private static func both(_ one: SharedAnswer, _ other: SharedAnswer) -> SharedAnswer {
        one == .no || other == .no ? .no : one == .yes && other == .yes ? .yes : .unknown
    }

    private static func either(_ one: SharedAnswer, _ other: SharedAnswer) -> SharedAnswer {
        one == .yes || other == .yes ? .yes : one == .no && other == .no ? .no : .unknown
    }
}

/// Whether several hosts may use a store at once.
public enum SharedVerdict: Sendable, Hashable {
    case severalHosts
    /// With what is against it.
    case oneHost([String])
    /// With what is not known.
    case unknown([String])

    /// Its name in JSON.
    public var name: String {
        switch self {
        case .severalHosts: "several-hosts"
        case .oneHost: "one-host"
        case .unknown: "unknown"
        }
    }

    /// Why, as parts of sentences.
    public var reasons: [String] {
        switch self {
        case .severalHosts: []
        case .oneHost(let reasons), .unknown(let reasons): reasons
        }
    }

    /// A line.
    public var words: String {
        switch self {
        case .severalHosts: "several hosts may use this store"
        case .oneHost(let reasons): "only one host at a time may write: \(reasons.joined(separator: "; "))"
        case .unknown(let reasons):
            "it is not known whether several hosts may use this store: \(reasons.joined(separator: "; "))"
        }
    }
}
