import Glibc
import TestSupport
import Testing

extension MountedTests {
    /// The certain edges of records against those that `strace -f` saw of the same jobs, with strace and without it.
    ///
    /// What is said is true, of every job, on a busy machine as well. That all is said is not asked of every job: what a short program was given open
    /// may be gone before it is looked at, and some ways are not followed yet (Semantics 4).
    @Suite(.enabled(if: EdgesHarness.canTrace, "needs strace")) struct EdgesTests {
        /// All jobs run once, two at a time; each case looks at its own.
        private enum Runs {
            static let byThisUser = Result { try EdgesHarness.results() }
            static let byNobody = Result { try EdgesHarness.results("--ordinary-user", "--untraced") }
        }

        private func check(_ job: String, _ runs: Result<[String: EdgesHarness.Result], any Error>) throws {
            let result = try #require(try runs.get()[job])
            let details = result.details.joined(separator: "\n")
            #expect(result.unexpectedlyAbsent.isEmpty && result.problems.isEmpty, "\(result.problems) \(details)")
            #expect(result.falseEdges.isEmpty && result.otherBytes.isEmpty, "\(details)")
        }

        /// Most of what strace saw is told.
        private func checkAll(_ runs: Result<[String: EdgesHarness.Result], any Error>) throws {
            let results = try runs.get()
            #expect(EdgesHarness.jobs.count >= 80 && results.keys.sorted() == EdgesHarness.jobs)
            let expected = results.values.reduce(0) { $0 + $1.expected }
            let missing = results.values.reduce(0) { $0 + $1.missing.count }
            #expect(expected > 200 && missing * 3 < expected, "\(missing) of \(expected) edges are missing")
        }

        @Test func mostIsTold() throws { try checkAll(Runs.byThisUser) }

        @Test(arguments: EdgesHarness.jobs) func nothingIsFalse(_ job: String) throws {
            try check(job, Runs.byThisUser)
        }

        /// A driver without root, of an ordinary user's mount, hears of no process. Against the jobs' comments, with which the traces agree; without
        /// a trace `late_close`, whose input is opened within the tick (4 ms mostly) after the last write that a file's time does not tell, looks false.
        @Test(
            .enabled(if: geteuid() == 0, "it becomes an ordinary user"),
            arguments: EdgesHarness.jobs.filter { $0 != "late_close" })
        func nothingIsFalseOfAnOrdinaryUser(_ job: String) throws {
            try check(job, Runs.byNobody)
        }
    }
}
