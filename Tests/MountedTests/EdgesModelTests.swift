import TestSupport
import Testing

/// What the proof of edges rests on: that traces are understood, and that jobs do what their comments say.
extension MountedTests {
    @Suite struct EdgesModelTests {
        /// On kept traces of real jobs and on short ones by hand.
        @Test func theModelByItself() throws {
            let ran = try EdgesHarness.ownTests()
            #expect(ran.succeeded && ran.errors.contains("\nOK"), "\(ran)")
        }

        /// On this machine, with its shells and programs.
        @Test(.enabled(if: EdgesHarness.canTrace, "needs strace")) func jobsDoWhatTheirCommentsSay() throws {
            let results = try EdgesHarness.results("--model-only")
            #expect(EdgesHarness.jobs.count >= 60 && results.keys.sorted() == EdgesHarness.jobs)
            for result in results.values.sorted(by: { $0.job < $1.job }) {
                let details = result.details.joined(separator: "\n")
                #expect(!result.failed, "\(details)")
                #expect(result.unexpectedlyAbsent.isEmpty, "\(result.job)")
            }
        }
    }
}
