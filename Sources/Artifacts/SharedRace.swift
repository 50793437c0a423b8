/// What came of a round for one host that wanted a name.
public enum RaceOutcome: Character, Sendable, CaseIterable {
    /// The name is this host's.
    case won = "w"
    /// It is not.
    case lost = "l"
    /// The call was refused as one that is not known, or failed otherwise.
    case failed = "f"
}

/// How two hosts that wanted one name came out of it, a round after the other.
public struct SharedRace: Sendable, Hashable {
    /// A host's outcomes, in the order of the rounds.
    public private(set) var outcomes: [RaceOutcome]

    public init(_ outcomes: [RaceOutcome] = []) { self.outcomes = outcomes }

    /// From the text that another host has written; nil of what is none.
    public init?(text: String) {
        guard text.utf8.count <= Self.mostRounds else { return nil }
        var all: [RaceOutcome] = []
        for letter in text {
            guard let outcome = RaceOutcome(rawValue: letter) else { return nil }
            all.append(outcome)
        }
        outcomes = all
    }

    /// So many rounds are told at most.
    public static let mostRounds = 1_000

    public var text: String { String(outcomes.map(\.rawValue)) }

    public mutating func add(_ outcome: RaceOutcome) { outcomes.append(outcome) }

    /// What both have seen: exactly one has to win each round.
    public func fact(with other: SharedRace, ofUs name: String, ofThem otherName: String) -> SharedFact {
        guard outcomes.count == other.outcomes.count, !outcomes.isEmpty else {
            return SharedFact(.unknown, "the hosts do not agree on what they did")
        }
        var (ours, theirs, both, none, failed) = (0, 0, 0, 0, 0)
        for (one, two) in zip(outcomes, other.outcomes) {
            switch (one, two) {
            case (.failed, _), (_, .failed): failed += 1
            case (.won, .won): both += 1
            case (.lost, .lost): none += 1
            case (.won, .lost): ours += 1
            case (.lost, .won): theirs += 1
            }
        }
        let rounds = outcomes.count
        if both > 0 { return SharedFact(.no, "both won \(both) of \(rounds)") }
        if none > 0 { return SharedFact(.no, "none won \(none) of \(rounds)") }
        if failed == rounds { return SharedFact(.unknown, "refused") }
        if failed > 0 { return SharedFact(.unknown, "\(failed) of \(rounds) failed") }
        // In the order of the names: both hosts say the same.
        let counts = [(name, ours), (otherName, theirs)].sorted { $0.0 < $1.0 }
        return SharedFact(.yes, "\(rounds) rounds, \(counts[0].1) : \(counts[1].1)")
    }
}
