import Artifacts
import SystemPackage
import Testing

@Suite struct RuleTests {
    @Test func anOverwriteReadsAsTheSeedSays() throws {
        let path = "production/base/analysis_sequences/chr1.tsv"
        for operation in [Operation.openTruncating, .renameOnto] {
            let refusal = try #require(OverwritePolicy.judge(operation, on: .sealed).refusal)
            #expect(refusal.errno == .fileExists)
            #expect(
                refusal.reason(path: path)
                    == "artifact exists and overwrite not allowed: \(path) (production artifacts are immutable)")
        }
    }

    /// Each rule says what happened, why and what to do, in its own words.
    @Test func everyRuleHasItsOwnTexts() {
        var reasons: Set<String> = []
        var waysOut: Set<String> = []
        for rule in Rule.allCases {
            let refusal = Refusal(.notPermitted, rule)
            let reason = refusal.reason(path: "PATH")
            #expect(reason.contains(": PATH ("), "\(rule)")
            #expect(reason.hasSuffix(")") && reason.utf8.count > 40, "\(rule): \(reason)")
            #expect(!reason.contains("()") && !reason.contains("  "), "\(rule): \(reason)")
            #expect(refusal.wayOut.utf8.count > 10, "\(rule): \(refusal.wayOut)")
            #expect(refusal.wayOut.last != ".", "\(rule): \(refusal.wayOut)")
            let because = reason.split(separator: "PATH").last.map(String.init) ?? ""
            #expect(reasons.insert(because).inserted, "\(rule) gives another rule's reason")
            #expect(waysOut.insert(refusal.wayOut).inserted, "\(rule) gives another rule's way out")
        }
    }

    /// The raw values stand in logs and in `denials.jsonl`: changing one breaks their readers.
    @Test func theNamesOfRulesAreStable() {
        #expect(
            Rule.allCases.map(\.rawValue) == [
                "production-immutable", "being-written", "written-by-another", "frozen-session", "sealed-attributes",
                "no-exchange", "no-links", "invalid-name", "name-too-long", "unknown-directory", "fixed-directory",
                "directory-in-use", "no-special-files", "plain-files-only", "failed-check", "crosses-trees",
                "reserved-attribute", "foreign-attribute", "hidden-entry",
            ])
    }
}
