import Artifacts
import SystemPackage
import Testing

@Suite struct PromotionPolicyTests {
    private static let artifact = NameClass.artifact(realName: "x.tsv")

    private func judge(
        _ subject: PromotionSubject, _ name: NameClass = artifact, isTaken: Bool = false, staysThere: Bool = false
    ) -> Refusal? {
        OverwritePolicy.judgePromotion(of: subject, named: name, isTaken: isTaken, staysThere: staysThere)
    }

    @Test func aPlainFileWithAFreeNameIsPromoted() {
        #expect(judge(.file(links: 1)) == nil)
        #expect(judge(.file(links: 1), staysThere: true) == nil)
        #expect(judge(.directory) == nil && judge(.directory, staysThere: true) == nil)
        #expect(judge(.file(links: 2), staysThere: true) == nil, "a copy has one name")
    }

    @Test func everythingElseIsRefused() {
        for staysThere in [false, true] {
            let isTaken = judge(.file(links: 1), isTaken: true, staysThere: staysThere)
            #expect(isTaken == Refusal(.fileExists, .productionImmutable))
            #expect(judge(.nothing, staysThere: staysThere) == Refusal(.noSuchFileOrDirectory, .posix))
            #expect(judge(.elsewhere, staysThere: staysThere) == Refusal(.invalidArgument, .notPromotable))
            #expect(judge(.strayDirectory, staysThere: staysThere) == Refusal(.isDirectory, .notPromotable))
            let taken = judge(.directory, isTaken: true, staysThere: staysThere)
            #expect(taken == Refusal(.fileExists, .productionImmutable))
            let nameless = judge(.directory, .invalid(.notInSchema), staysThere: staysThere)
            #expect(nameless == Refusal(.invalidArgument, .invalidName))
            let unfinished = judge(.directory, .transient, staysThere: staysThere)
            #expect(unfinished == Refusal(.invalidArgument, .invalidName))
            #expect(judge(.special, staysThere: staysThere) == Refusal(.notPermitted, .notPromotable))
            let transient = judge(.file(links: 1), .transient, staysThere: staysThere)
            #expect(transient == Refusal(.invalidArgument, .invalidName))
            let wrong = judge(.file(links: 1), .invalid(.notInSchema), staysThere: staysThere)
            #expect(wrong == Refusal(.invalidArgument, .invalidName))
            let long = judge(.file(links: 1), .invalid(.tooLong), staysThere: staysThere)
            #expect(long == Refusal(.fileNameTooLong, .nameTooLong))
        }
        #expect(judge(.file(links: 2)) == Refusal(.improperLink, .crossesTrees))
    }
}

extension PromotionPolicyTests {
    @Test(arguments: [
        (PromotionTrouble.isOpen, Errno.resourceBusy, Rule.beingWritten),
        (.sameName, .fileExists, .productionImmutable),
        (.anotherWriter, .fileExists, .anotherWriter), (.farAway, .improperLink, .storeFailed),
        (.nameless, .invalidArgument, .invalidName), (.inHoldingRun, .notPermitted, .heldByRun),
        (.keptBack(.beingWritten), .resourceBusy, .beingWritten),
        (.keptBack(.failedCheck), .invalidArgument, .failedCheck),
        (.keptBack(.anotherWriter), .fileExists, .anotherWriter),
        (.system(.permissionDenied), .permissionDenied, .posix),
        (.system(.noSuchFileOrDirectory), .noSuchFileOrDirectory, .posix), (.system(.ioError), .ioError, .storeFailed),
        (.system(.noSpace), .noSpace, .noRoom),
    ])
    func troubles(trouble: PromotionTrouble, errno: Errno, rule: Rule) {
        #expect(OverwritePolicy.judgePromotion(trouble) == Refusal(errno, rule))
    }
}
