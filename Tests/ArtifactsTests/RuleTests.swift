import Artifacts
import SystemPackage
import Testing

@Suite struct RuleTests {
    @Test func anOverwriteSaysWhatExists() throws {
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

    /// Where a name is wrong, the way out says which are right, with one that is.
    @Test func theWayOutOfAWrongNameIsARightOne() throws {
        let wrong = Refusal(.invalidArgument, .invalidName)
        let places = ArtifactSchema.builtIn.types.map { Place.typed($0) } + [.plots, .sessions, .tests]
        for place in places {
            let names = try #require(place.names)
            let wayOut = wrong.wayOut(in: place)
            #expect(wayOut.contains(names.words) && wayOut.hasSuffix("for example: \(names.example)"), "\(wayOut)")
            #expect(!wayOut.contains("explain"), "no circle")
            let words = names.example.split(separator: " ").map(String.init)
            guard case .artifact = OverwritePolicy.classify(words.last ?? "", in: place) else {
                Issue.record("\(names.example) is no name of \(place)")
                continue
            }
            #expect((words.first == "mkdir") == (place == .sessions || place == .tests))
        }
        #expect(wrong.wayOut(in: .scopeRoot).contains("metadata.json"))
        #expect(wrong.wayOut(in: .fixed).contains("<layer>/<type>/"))
        #expect(wrong.wayOut(in: .production).contains("<layer>/<type>/"))
        let other = Refusal(.fileExists, .productionImmutable)
        #expect(other.wayOut(in: .plots) == other.wayOut)
    }

    /// Who reads of a failed check reads it in the log: the way out leads on from there.
    @Test func theWayOutLeadsOn() {
        let failed = Refusal(.invalidArgument, .failedCheck).wayOut
        #expect(!failed.contains("denials") && failed.contains("quarantine") && failed.contains("again"), "\(failed)")
        let fixed = Refusal(.notPermitted, .fixedDirectory)
        let ways = [Action.operation(.setAttributes), .operation(.renameFrom), .removeDirectory].map {
            fixed.wayOut(in: .production, of: $0)
        }
        #expect(Set(ways + [fixed.wayOut]).count == 4, "each for what was tried: \(ways)")
    }

    /// The raw values stand in logs and in `denials.jsonl`: changing one breaks their readers.
    @Test func theNamesOfRulesAreStable() {
        #expect(
            Rule.allCases.map(\.rawValue) == [
                "production-immutable", "being-written", "not-whole-yet", "written-by-another", "another-writer",
                "frozen-session",
                "sealed-attributes", "no-exchange", "no-links", "invalid-name", "name-too-long", "unknown-directory",
                "fixed-directory",
                "directory-in-use", "mount-session", "another-users-session", "session-in-use", "no-special-files",
                "sibling-links", "plain-files-only", "failed-check", "empty",
                "no-room",
                "store-failed", "maker-failed", "held-by-run", "run-is-over", "files-only-in-run", "needs-reason",
                "kept-back", "not-sealed", "not-yours-to-supersede", "no-reason", "not-superseded", "not-promotable",
                "crosses-trees",
                "reserved-attribute", "foreign-attribute", "hidden-entry", "read-only-mount", "cut-off", "evicted",
                "posix",
            ])
    }
}
