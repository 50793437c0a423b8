import Artifacts
import Testing

/// Which former versions stay when room is made.
@Suite struct VersionRetentionTests {
    private static let now: Int64 = 1_772_366_400

    @Test func everyCombination() {
        for last in [nil, 1, 3, 1_000_000] as [Int?] {
            for within in [nil, 1, 100, Int64.max] as [Int64?] {
                guard let rule = VersionRetention(last: last, within: within) else {
                    #expect(last == nil && within == nil)
                    continue
                }
                for rank in [0, 1, 2, 3, 999_999, 1_000_000] {
                    for left in [nil, Self.now, Self.now - 100, Self.now - 101, .min, .max] as [Int64?] {
                        let kept = rule.keeps(rank: rank, left: left, at: Self.now)
                        // What is from the future, and what left at a time that is not known, is not old.
                        let isYoung = within.map { span in
                            guard let left else { return true }
                            let (age, overflows) = Self.now.subtractingReportingOverflow(left)
                            return overflows ? left > Self.now : age <= span
                        }
                        let expected: VersionRetention.VersionKeepReason? =
                            last.map { rank < $0 } ?? false ? .last : isYoung ?? false ? .within : nil
                        #expect(kept == expected, "\(rule), \(rank), \(left as Int64?)")
                        #expect(VersionRetention.all.keeps(rank: rank, left: left, at: Self.now) == .noRule)
                    }
                }
            }
        }
    }

    /// A rule that keeps nothing, or says nothing, is none.
    @Test func rulesThatAreNone() {
        let none: [(Int?, Int64?)] = [(nil, nil), (0, nil), (-1, nil), (1_000_001, nil), (nil, 0), (nil, -1), (1, 0)]
        for (last, within) in none { #expect(VersionRetention(last: last, within: within) == nil) }
    }

    /// From the moment of sealing, and not in that of leaving any more; what is not known may be.
    @Test func whatHadItsNameAtAMoment() {
        for (moment, had) in [(9, false), (10, true), (19, true), (20, false)] as [(Int64, Bool)] {
            #expect(VersionRetention.had(moment, sealed: 10, left: 20) == had)
        }
        #expect(VersionRetention.had(5, sealed: nil, left: 20) && VersionRetention.had(25, sealed: 10, left: nil))
        #expect(!VersionRetention.had(25, sealed: nil, left: 20) && !VersionRetention.had(5, sealed: 10, left: nil))
    }

    /// A type says it, else the schema.
    @Test func aTypeMaySayOtherwise() throws {
        let rule = try #require(VersionRetention(last: 2, within: nil))
        let other = try #require(VersionRetention(last: nil, within: 60))
        func type(_ name: String, _ keep: VersionRetention?) -> TypeDefinition {
            TypeDefinition(name: name, layers: [.base], formats: [".tsv"], keepVersions: keep)
        }
        let types = [type("a", nil), type("b", other), type("c", .all)]
        let schema = try ArtifactSchema(types: types, keepVersions: rule)
        #expect(schema.types.map(schema.retention) == [rule, other, .all])
        #expect(try ArtifactSchema(types: [type("a", nil)]).keepVersions == .all, "nothing is ever removed")
        #expect(ArtifactSchema.builtIn.types.allSatisfy { ArtifactSchema.builtIn.retention(of: $0) == .all })
        #expect(type("a", rule) != type("a", nil) && type("a", rule) == type("a", rule))
    }

    @Test func spansAreReadAsTheyAreWritten() {
        for (seconds, text) in [
            (1, "1s"), (60, "1m"), (3600, "1h"), (86_400, "1d"), (604_800, "7d"), (7_776_000, "90d"), (90, "90s"),
            (0, "0d"),
        ] as [(Int64, String)] {
            #expect(TimeSpan.text(ofSeconds: seconds) == text && TimeSpan.seconds(text) == seconds)
        }
        #expect(TimeSpan.seconds("2w") == 1_209_600)
        for text in ["", "d", "-1d", "1", "1y", "1.5d", "99999999999999999999d", "9223372036854775807w"] {
            #expect(TimeSpan.seconds(text) == nil, "\(text)")
        }
    }
}
