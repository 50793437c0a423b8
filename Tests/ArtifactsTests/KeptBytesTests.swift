import Artifacts
import SystemPackage
import Testing

/// What was kept back is published by the rule that kept it back.
@Suite struct KeptBytesTests {
    /// What a check or another writer stood against was all written; of everything else, and of what no rule is known for, it may be cut.
    @Test func whatMayBeCutNeedsAReason() {
        for rule in Rule.allCases.map(Optional.some) + [nil] {
            let isWhole = rule == .failedCheck || rule == .anotherWriter
            let verdict = KeptBytes.judgePublishing(keptBy: rule, despite: nil)
            #expect(
                verdict == (isWhole ? .allowed : .refused(Refusal(.notPermitted, .needsReason))), "\(rule as Rule?)")
            #expect(KeptBytes.judgePublishing(keptBy: rule, despite: "it is whole") == .allowed)
            #expect(KeptBytes.mayBeCut(keptBy: rule) == !isWhole)
        }
    }

    @Test(arguments: ["", " ", "\t\n", "\u{0}\u{1}", "\u{a0}\u{2003}"]) func nothingIsNoReason(text: String) {
        #expect(!KeptBytes.isReason(text))
        #expect(KeptBytes.judgePublishing(keptBy: .makerFailed, despite: text).refusal?.rule == .needsReason)
    }

    /// Who is refused reads how to go on.
    @Test func theRefusalSaysHowToGoOn() throws {
        let refusal = try #require(KeptBytes.judgePublishing(keptBy: nil, despite: nil).refusal)
        #expect(refusal.wayOut.contains("--despite") && refusal.wayOut.contains(ArtifactAttribute.despite))
        #expect(refusal.reason(path: "x").contains("may be cut"))
    }
}
