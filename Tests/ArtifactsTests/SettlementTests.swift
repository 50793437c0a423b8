import Artifacts
import Testing

/// SEMANTICS 2.2: what becomes of a file that its writers have closed, over every combination of endings.
@Suite struct SettlementTests {
    private static let endings: [WriterEnding] = [
        .running, .unknown, .succeeded, .failed(status: 1), .failed(status: 3), .failed(status: 141),
        .killed(signal: 9), .killed(signal: 13),
    ]
    private static let facts: [WriterFact] = endings.flatMap { ending in
        [WriterFact.Role.writer, .upstream, .shell].flatMap { role in
            ["grep", "python3", ""].map { WriterFact(role: role, ending: ending, program: $0, process: 7) }
        }
    }

    /// Written down once more, in other words.
    private func isFailure(_ fact: WriterFact) -> Bool {
        switch (fact.ending, fact.role) {
        case (.failed(141), _), (.killed(13), .upstream): false
        case (.failed(1), _): fact.program != "grep"
        case (.failed, _), (.killed, _): true
        case (.running, _), (.unknown, _), (.succeeded, _): false
        }
    }

    /// See `aShellPassesAStatusOn`.
    private func isPassedOn(_ one: WriterFact, by other: WriterFact) -> Bool {
        one.role == .writer && one.program == "grep" && other.role == .shell && one.ending == .failed(status: 1)
            && other.ending == one.ending
    }

    @Test func everyPairOfMakers() {
        for one in Self.facts {
            for other in Self.facts {
                for isOver in [false, true] {
                    let found = Settlement.judge([one, other], .builtIn, isOver: isOver)
                    let endings = [one.ending, other.ending]
                    if isPassedOn(one, by: other) || isPassedOn(other, by: one) { continue }
                    if isFailure(one) || isFailure(other) {
                        guard case .keepsBack(let reason) = found else {
                            Issue.record("\(one), \(other): \(found)")
                            continue
                        }
                        #expect(reason.contains("process 7") && !reason.hasSuffix("."), "\(reason)")
                    } else if !endings.contains(.running) && !endings.contains(.unknown) {
                        #expect(found == .publishes(endingIsUnknown: false))
                    } else if isOver {
                        #expect(found == .publishes(endingIsUnknown: endings.contains(.unknown)))
                    } else {
                        #expect(found == .waits)
                    }
                }
            }
        }
    }

    /// A shell ends with its last command's status: what is no failure of that is none of the shell.
    @Test func aShellPassesAStatusOn() {
        func judge(_ command: Int32, of program: String, _ shell: Int32) -> Bool {
            let found = Settlement.judge(
                [
                    WriterFact(ending: command == 0 ? .succeeded : .failed(status: command), program: program),
                    WriterFact(role: .shell, ending: .failed(status: shell), program: "bash", process: 5),
                ], .builtIn, isOver: false)
            if case .keepsBack(let reason) = found {
                #expect(
                    reason == "the shell that opened it for the writer (bash, process 5) ended with status \(shell)"
                        || command != 0)
            }
            return found == .publishes(endingIsUnknown: false)
        }
        #expect(judge(1, of: "grep", 1))
        #expect(!judge(1, of: "grep", 2) && !judge(0, of: "grep", 1) && !judge(1, of: "awk", 1))
    }

    /// Nobody known is unknown, not well.
    @Test func nobodyIsUnknown() {
        #expect(Settlement.judge([], .builtIn, isOver: false) == .waits)
        #expect(Settlement.judge([], .builtIn, isOver: true) == .publishes(endingIsUnknown: true))
    }

    @Test func reasonsNameWhoFailed() {
        func reason(_ fact: WriterFact) -> String? { Settlement.reason(fact, .builtIn) }
        #expect(
            reason(WriterFact(ending: .failed(status: 3), program: "awk", process: 12, heldOpen: true))
                == "the writer (awk, process 12) ended with status 3 while it held the file open")
        #expect(reason(WriterFact(ending: .killed(signal: 9))) == "the writer was killed by signal 9")
        #expect(
            reason(WriterFact(role: .upstream, ending: .failed(status: 1), program: "zcat", process: 5))
                == "a program whose output was written to it through a pipe (zcat, process 5) ended with status 1")
    }

    @Test(
        arguments: [
            (0, WriterEnding.succeeded), (1 << 8, .failed(status: 1)), (255 << 8, .failed(status: 255)),
            (9, .killed(signal: 9)), (0x80 | 11, .killed(signal: 11)), (UInt64.max, .killed(signal: 127)),
        ] as [(UInt64, WriterEnding)])
    func exitCodes(code: UInt64, ending: WriterEnding) { #expect(WriterEnding(exitCode: code) == ending) }
}
