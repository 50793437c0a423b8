import ArtifactStore
import FuseKernel
import SystemPackage
import TestSupport
import SystemCalls
import Testing

@testable import ArtifactDriver

/// Who closes files faster than they are published waits before making more; others do not, and nobody for ever.
@Suite struct AdmissionTests {
    @Test func whoMakesTooManyWaits() throws {
        let harness = try Harness()
        let volume = harness.volume
        let gate = PosixSemaphore()
        defer { for _ in 0..<4 { gate.post() } }
        for _ in 0..<4 { volume.seals.submit { gate.wait() } }
        var (hog, other) = (harness.caller, harness.caller)
        (hog.user, other.user) = (61001, 61002)
        (hog.canWait, other.canWait) = (true, true)
        func answer(_ caller: Caller, creating: Bool = true) -> Errno? {
            do throws(Errno) {
                try volume.admit(caller, openFiles: 1, creating: creating)
                return nil
            } catch { return error }
        }
        #expect(answer(hog) == nil)
        for _ in 0...(harness.store.descriptors.mostWaiting + 64) { volume.seals.submit(user: 61001) {} }
        #expect(answer(hog) == .answerLater)
        #expect(answer(other) == nil && answer(hog, creating: false) == nil)
        hog.canWait = false
        #expect(answer(hog) == nil)
        for _ in 0..<4 { gate.post() }
        harness.settle()
        hog.canWait = true
        #expect(answer(hog) == nil)
    }
}
