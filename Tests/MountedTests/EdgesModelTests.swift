import TestSupport
import Testing

/// What the proof of edges rests on: that traces are understood.
extension MountedTests {
    @Suite struct EdgesModelTests {
        /// On kept traces of real jobs and on short ones by hand.
        @Test func theModelByItself() throws {
            let ran = try EdgesHarness.ownTests()
            #expect(ran.succeeded && ran.errors.contains("\nOK"), "\(ran)")
        }
    }
}
