import ArtifactRecords
import Artifacts
import FuseKernel
import Provenance
import Testing

@testable import ArtifactDriver

/// SEMANTICS 2.4 with processes that are played: which session is whose.
@Suite struct JobSessionTests {
    private static let names = (0..<6).compactMap { SessionName("20260101_00000\($0)") }
    private let processes: PlayedProcesses
    private let jobs: JobSessions
    private let names = Self.names

    init() throws {
        try #require(names.count == 6)
        processes = PlayedProcesses([])
        jobs = JobSessions(own: names[0], processes: processes)
        // The machine's first, a shell of user 1000 at a prompt, and one of user 2000.
        processes.make(1, by: 0, session: 1, user: 0)
        processes.make(10, by: 1, session: 10, isAtPrompt: true)
        processes.make(20, by: 1, session: 20, user: 2000, isAtPrompt: true)
    }

    private func caller(_ process: Int32, user: UInt32 = 1000) -> Caller {
        Caller(user: user, group: user, process: process, umask: 0)
    }
    private func session(_ process: Int32, user: UInt32 = 1000) -> SessionName {
        jobs.session(for: caller(process, user: user))
    }
    private func begin(_ index: Int, by process: Int32, user: UInt32 = 1000) {
        jobs.willDiffer()
        jobs.begin(names[index], for: caller(process, user: user))
    }

    /// What was typed before keeps its session, be it that it never asked; what is typed then has the new one, and so has the shell.
    @Test func aJobAtAPromptIsNotMoved() {
        processes.make(11, by: 10)
        processes.make(12, by: 11)
        processes.make(13, by: 10)
        begin(1, by: 13)
        #expect(session(11) == names[0] && session(12) == names[0])
        #expect(session(13) == names[1] && session(10) == names[1])
        processes.make(14, by: 10)
        processes.make(15, by: 12, session: 15)
        #expect(session(14) == names[1] && session(15) == names[0], "a session of setsid(2) makes no job")
        processes.make(16, by: 10)
        begin(2, by: 16)
        #expect(session(14) == names[1] && session(12) == names[0] && session(10) == names[2])
        // Another terminal.
        processes.make(30, by: 1, session: 30, isAtPrompt: true)
        processes.make(31, by: 30)
        #expect(session(30) == names[2] && session(31) == names[2])
    }

    @Test func usersHaveTheirOwn() {
        processes.make(11, by: 10)
        processes.make(21, by: 20, user: 2000)
        begin(1, by: 11)
        #expect(session(20, user: 2000) == names[0] && session(21, user: 2000) == names[0])
        begin(2, by: 21, user: 2000)
        #expect(session(20, user: 2000) == names[2] && session(10) == names[1])
        // sudo and its kin: what one user starts as another is that one's.
        processes.make(12, by: 11, user: 2000)
        #expect(session(12, user: 2000) == names[2])
        // A server that acts for others.
        processes.make(40, by: 1, user: 0)
        #expect(session(40) == names[1] && session(40, user: 2000) == names[2] && session(40, user: 0) == names[0])
        #expect(jobs.ofUsers == [1000: names[1], 2000: names[2]])
    }

    /// A script goes on in what it has begun; what it had running before does not.
    @Test func aScriptMovesItself() {
        processes.make(11, by: 10)
        processes.make(12, by: 11)
        processes.make(13, by: 11)
        #expect(session(12) == names[0])
        begin(1, by: 13)
        processes.make(14, by: 11)
        processes.make(15, by: 12)
        #expect(session(11) == names[1] && session(14) == names[1])
        #expect(session(12) == names[0] && session(15) == names[0])
        // Its maker is gone: it has what it had.
        processes.remove(12)
        begin(2, by: 14)
        #expect(session(15) == names[0] && session(11) == names[2])
    }

    /// A service manager starts jobs, each in a session of its own (setsid(2)), and is none; so is a program that outlived who started it.
    @Test func servicesStartJobs() {
        processes.make(50, by: 1, session: 50)
        processes.make(51, by: 50, session: 51)
        processes.make(52, by: 51)
        processes.make(11, by: 10)
        begin(1, by: 11)
        processes.make(53, by: 50, session: 53)
        processes.make(54, by: 51)
        processes.make(55, by: 51, session: 55)
        #expect(session(54) == names[0] && session(52) == names[0] && session(53) == names[1])
        #expect(session(55) == names[0], "51 is known to have asked by now")
    }

    /// A number that another process has by now, and a group's number with it.
    @Test func aReusedNumberIsNoticed() {
        processes.make(11, by: 10)
        processes.make(12, by: 11)
        begin(1, by: 12)
        #expect(session(11) == names[1])
        processes.make(13, by: 10)
        begin(2, by: 13)
        #expect(session(11) == names[1] && session(12) == names[1])
        processes.remove(11)
        processes.make(11, by: 10)
        #expect(session(11) == names[2] && session(12) == names[1])
        processes.make(14, by: 11)
        #expect(session(14) == names[2])
    }

    @Test func whoIsNotSeenHasTheUsers() {
        processes.make(11, by: 10)
        #expect(session(0) == names[0] && session(99) == names[0] && jobs.count == 0, "nobody is looked at")
        begin(1, by: 11)
        #expect(session(0) == names[1] && session(99, user: 2000) == names[0])
        begin(2, by: 0, user: 2000)
        #expect(session(0, user: 2000) == names[2] && session(21, user: 2000) == names[2])
    }

    @Test func anEndedSessionIsNobodysAnyMore() {
        processes.make(11, by: 10)
        processes.make(12, by: 10)
        begin(1, by: 11)
        #expect(session(12) == names[0] && session(10) == names[1])
        jobs.end(names[1])
        processes.make(13, by: 10)
        #expect(session(13) == names[0] && session(10) == names[0] && session(11) == names[1])
    }

    /// A run has its session with all that descends from it, and changes nobody else's.
    @Test func aRunIsOneWithAllThatDescends() throws {
        func run(_ process: Int32, _ index: Int) throws -> JobRun {
            let said: JSONObject = ["id": .string("r\(index)"), "inputs": .array([.string("/p")])]
            return try #require(JobRun(said, session: names[index], process: process, user: 1000))
        }
        jobs.willDiffer()
        processes.make(11, by: 10)
        processes.make(12, by: 11)
        #expect(jobs.run(for: caller(12)) == nil && session(12) == names[0])
        #expect(try jobs.begin(run(11, 1), for: caller(11)) && !jobs.begin(run(11, 1), for: caller(0)))
        processes.make(13, by: 11, session: 13)
        processes.make(14, by: 13, isAtPrompt: true)
        processes.make(15, by: 14)
        processes.make(16, by: 15, user: 2000)
        for process: Int32 in [11, 13, 14, 15] {
            #expect(session(process) == names[1] && jobs.run(for: caller(process))?.id == "r1", "\(process)")
        }
        #expect(session(16, user: 2000) == names[1] && jobs.run(for: caller(16, user: 2000))?.inputs == ["/p"])
        #expect(session(10) == names[0] && jobs.run(for: caller(10)) == nil && jobs.ofUsers.isEmpty)
        // In it somebody begins another one.
        begin(2, by: 15)
        #expect(session(14) == names[2] && session(11) == names[2] && session(10) == names[0])
        processes.make(17, by: 10)
        #expect(session(17) == names[0])
        // A run in a run.
        processes.make(18, by: 14)
        processes.make(19, by: 18)
        #expect(try jobs.begin(run(18, 3), for: caller(18)))
        #expect(session(19) == names[3] && jobs.run(for: caller(19))?.id == "r3" && jobs.runs.count == 2)
        // What is left when it ends, and has never asked.
        processes.make(20_000, by: 18)
        #expect(jobs.endRun(for: caller(19)) == nil && jobs.endRun(for: caller(18))?.id == "r3")
        #expect(jobs.endRun(for: caller(18)) == nil && jobs.runs.map(\.id) == ["r1"])
        processes.remove(18)
        #expect(session(20_000) == names[3] && jobs.run(for: caller(20_000))?.id == "r3")
        for said: JSONObject in [[:], ["id": .string("")], ["id": .string(String(repeating: "x", count: 256))]] {
            #expect(JobRun(said, session: names[0], process: 1, user: 0) == nil)
        }
    }

    /// 10,000 jobs, one after the other: those that are gone are forgotten. Those that run stay as they are.
    @Test func manyJobs() {
        processes.make(11, by: 10)
        begin(1, by: 11)
        for number in Int32(0)..<100 { processes.make(1000 + number, by: 10) }
        for number in Int32(0)..<100 { #expect(session(1000 + number) == names[1]) }
        begin(2, by: 11)
        for number in Int32(0)..<10_000 {
            let process = 2000 + number
            processes.make(process, by: 10)
            guard session(process) == names[2] else {
                Issue.record("job \(number)")
                return
            }
            processes.remove(process)
        }
        #expect(jobs.count < 5000)
        for number in Int32(0)..<100 { #expect(session(1000 + number) == names[1]) }
        // A chain without an end.
        for number in Int32(0)..<200 { processes.make(20_000 + number, by: 20_000 + (number + 199) % 200) }
        _ = session(20_199)
    }
}
