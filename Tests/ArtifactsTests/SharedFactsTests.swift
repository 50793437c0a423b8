import Artifacts
import Testing

/// What follows from what two hosts have found.
@Suite struct SharedFactsTests {
    /// Every answer to every question that the verdict asks for, and that no other question changes it.
    @Test func everyVerdict() {
        let asked: [SharedQuestion] = [
            .links, .link, .exclusiveCreate, .renameRaced, .contents, .modification, .lookedForName, .listedName,
        ]
        let answers = SharedAnswer.allCases
        var counts: [String: Int] = [:]
        for number in 0..<6561 {  // 3 to the power of 8
            var rest = number
            var given: [SharedQuestion: SharedAnswer] = [:]
            for question in asked {
                given[question] = answers[rest % 3]
                rest /= 3
            }
            func has(_ question: SharedQuestion, _ answer: SharedAnswer) -> Bool { given[question] == answer }
            // What is needed is that names are won by one, that leases are seen and that names are.
            let names =
                has(.links, .yes)
                ? has(.link, .yes) : has(.links, .no) && has(.exclusiveCreate, .yes) && has(.renameRaced, .yes)
            let isLost =
                has(.links, .yes)
                ? has(.link, .no) : has(.links, .no) && (has(.exclusiveCreate, .no) || has(.renameRaced, .no))
            let leases = has(.contents, .yes) || has(.modification, .yes)
            let seen = has(.lookedForName, .yes) || has(.listedName, .yes)
            let isLate =
                has(.contents, .no) && has(.modification, .no) || has(.lookedForName, .no) && has(.listedName, .no)
            for others in answers {
                var facts = SharedFacts([:], isOneMachine: false)
                for question in SharedQuestion.allCases {
                    facts[question] = SharedFact(given[question] ?? others)
                }
                let verdict = facts.verdict
                switch verdict {
                case .severalHosts: #expect(names && leases && seen && !isLost && !isLate, "\(given)")
                case .oneHost(let reasons): #expect((isLost || isLate) && !reasons.isEmpty, "\(given)")
                case .unknown(let reasons):
                    #expect(!(isLost || isLate) && !(names && leases && seen) && !reasons.isEmpty, "\(given)")
                }
                counts[verdict.name, default: 0] += 1
                facts.isOneMachine = true
                #expect(facts.verdict == .unknown(["both were one machine, whose answer says nothing of two"]))
            }
        }
        #expect(counts.keys.sorted() == ["one-host", "several-hosts", "unknown"])
        #expect(SharedFacts([:], isOneMachine: false).verdict.name == "unknown", "what was not asked is not known")
    }

    @Test func twoAnswersAreOne() {
        let together: [SharedAnswer: [SharedAnswer: SharedAnswer]] = [
            .yes: [.yes: .yes, .no: .no, .unknown: .unknown],
            .no: [.yes: .no, .no: .no, .unknown: .no],
            .unknown: [.yes: .unknown, .no: .no, .unknown: .unknown],
        ]
        for one in SharedAnswer.allCases {
            for other in SharedAnswer.allCases {
                let both = SharedFact(one, "one", milliseconds: 7).and(SharedFact(other, "other", milliseconds: 9))
                #expect(both.answer == together[one]?[other])
                #expect(both.milliseconds == 9)
                #expect(both.detail.contains("one") == (both.answer == one))
                #expect(both.detail.contains("other") == (both.answer == other))
            }
        }
        #expect(SharedFact(.no, "same").and(SharedFact(.no, "same")).detail == "same")
        let facts = SharedFacts(
            [.link: SharedFact(.yes), .flock: SharedFact(.yes)], [.link: SharedFact(.yes)], isOneMachine: false)
        #expect(facts[.link].answer == .yes && facts[.flock].answer == .unknown && facts[.owner] == .unknown)
    }

    @Test func whatIsSeenLateIsNotSeen() {
        #expect(SharedFact.seen(after: 0).answer == .yes)
        #expect(SharedFact.seen(after: SharedFacts.longestCache).answer == .yes)
        #expect(SharedFact.seen(after: SharedFacts.longestCache + 1).answer == .no)
        #expect(SharedFact.seen(after: nil) == SharedFact(.no, "not within 35 s"))
        #expect(SharedFact.seen(after: .min).milliseconds == 0)
    }

    @Test(
        arguments: [
            ("wl", "lw", .yes, "2 rounds, 1 : 1"), ("ww", "ll", .yes, "2 rounds, 2 : 0"),
            ("ww", "lw", .no, "both won 1 of 2"), ("ll", "lw", .no, "none won 1 of 2"),
            ("ff", "ff", .unknown, "refused"), ("wf", "lw", .unknown, "1 of 2 failed"),
            ("wf", "ww", .no, "both won 1 of 2"), ("w", "ll", .unknown, "the hosts do not agree on what they did"),
            ("", "", .unknown, "the hosts do not agree on what they did"),
        ] as [(String, String, SharedAnswer, String)])
    func races(one: String, other: String, answer: SharedAnswer, detail: String) throws {
        let (first, second) = (try #require(SharedRace(text: one)), try #require(SharedRace(text: other)))
        #expect(first.fact(with: second, ofUs: "a", ofThem: "b") == SharedFact(answer, detail))
        // The other host says the same of it.
        #expect(second.fact(with: first, ofUs: "b", ofThem: "a") == SharedFact(answer, detail))
    }

    @Test func nonsenseIsNoRace() {
        #expect(SharedRace(text: "wx") == nil)
        #expect(SharedRace(text: String(repeating: "w", count: SharedRace.mostRounds + 1)) == nil)
        #expect(SharedRace(text: "wlf")?.text == "wlf")
    }

    /// Times in seconds: by how much the second clock is ahead, what that may be wrong, and how far a file's time is before each clock.
    @Test(
        arguments: [
            (3600, 0, 0, 0, .no, .no), (3600, 0, 3600, 0, .yes, .no), (3600, 0, 0, -3600, .yes, .no),
            (-86_400, 0, -43_200, 43_200, .yes, .no), (3600, 0, 100, 700, .unknown, .no),
            (0, 0, 0, 0, .unknown, .yes), (0, 0, 50, 50, .yes, .yes), (0, 0, 50, -50, .unknown, .yes),
            (1, 0, 0, 0, .no, .yes), (2, 0, 2, 0, .yes, .no), (5, 4, 0, 0, .unknown, .unknown),
        ] as [(Int64, Int64, Int64, Int64, SharedAnswer, SharedAnswer)])
    func clocks(
        difference: Int64, uncertainty: Int64, first: Int64, second: Int64, times: SharedAnswer, agree: SharedAnswer
    ) {
        let unit = Int64(1_000_000_000)
        let clocks = SharedClocks(
            difference: difference * unit, uncertainty: uncertainty * unit, first: first * unit,
            second: second * unit)
        #expect(clocks.serverTimes.answer == times, "\(clocks.serverTimes)")
        #expect(clocks.agreement.answer == agree, "\(clocks.agreement)")
    }

    /// Numbers that another host has written are any.
    @Test func anyNumberOfAClock() {
        let numbers: [Int64] = [.min, -1, 0, 1, .max]
        for difference in numbers {
            for uncertainty in numbers {
                for first in numbers {
                    for second in numbers {
                        let clocks = SharedClocks(
                            difference: difference, uncertainty: uncertainty, first: first, second: second)
                        #expect(!clocks.agreement.detail.isEmpty)
                        #expect(SharedAnswer.allCases.contains(clocks.serverTimes.answer))
                    }
                }
            }
        }
        #expect(SharedClocks.seconds(-1_023_000_000) == "1.023 s")
        #expect(SharedClocks.seconds(5_000_000) == "0.005 s")
    }

    /// They are a column of a table.
    @Test func wordsFit() {
        for question in SharedQuestion.allCases {
            #expect(question.words.count <= 32, "\(question)")
            #expect(!question.without.isEmpty)
            for word in question.without.split(separator: " ") { #expect(word.count <= 33) }
        }
        #expect(Set(SharedQuestion.allCases.map(\.words)).count == SharedQuestion.allCases.count)
    }
}
