import Artifacts
import SystemPackage
import Testing

/// Who belongs to the job that makes a file, and where that matters.
@Suite struct JobTests {
    private static let sights: [Bool?] = [true, false, nil]

    /// Every sight of no, one, two and three writers.
    @Test(arguments: [false, true]) func everySightOfUpToThreeWriters(isSameUser: Bool) {
        var all: [[Bool?]] = [[]]
        for _ in 0..<3 { all += all.flatMap { known in Self.sights.map { known + [$0] } } }
        #expect(all.count > 60)
        for seen in all {
            let expected =
                seen.contains(true) ? true : seen.contains(false) ? false : isSameUser
            #expect(Job.includes(seen, isSameUser: isSameUser) == expected, "\(seen), same user: \(isSameUser)")
        }
    }

    /// What `/proc` says is asked for no longer than it matters.
    @Test func theFirstThatIsEnds() {
        var asked = 0
        let seen = [false, true, true].lazy.map { isSame -> Bool? in
            asked += 1
            return isSame
        }
        #expect(Job.includes(seen, isSameUser: false) && asked == 2)
    }

    @Test func whereItMattersWhoAsks() {
        for operation in Operation.allCases {
            for state in FileState.allCases {
                #expect(OverwritePolicy.asksWho(operation, on: state, publishing: .close) == (state == .held))
                // Where the answer is another for the job, who asks is found out.
                let answers = [false, true].map {
                    OverwritePolicy.judge(operation, on: state, facts: Facts(isSameJob: $0))
                }
                if answers[0] != answers[1] {
                    #expect(OverwritePolicy.asksWho(operation, on: state, publishing: .exit), "\(operation), \(state)")
                }
                let isAsked = state == .settling || state == .held || state == .writing && operation == .openToRead
                #expect(OverwritePolicy.asksWho(operation, on: state, publishing: .exit) == isAsked)
            }
        }
    }

    @Test func askersAsText() {
        var texts: Set<String> = []
        for user in [false, true] {
            for job in [false, true] {
                for isKeptBack in [false, true] {
                    let asker = Asker(isSameUser: user, isSameJob: job, isKeptBack: isKeptBack)
                    #expect(Asker(text: asker.text) == asker)
                    texts.insert(asker.text)
                }
            }
        }
        #expect(texts.count == 8)
        for text in ["", "same-user", "same-job same-user", "same-user same-job x", "user job", "same-user  "] {
            #expect(Asker(text: text) == nil, "\(text)")
        }
    }
}
