import Artifacts
import FuseKernel
import Provenance
import Synchronization
import SystemCalls
import TestSupport
import Testing

@testable import ArtifactDriver

@Suite struct SettlerTests {
    /// While a thread is tried and not to be had, others bring files too: whoever tried gets them all.
    @Test func withoutAThreadNoFileIsForgotten() throws {
        let settler = Settler { _, _ in false }
        settler.start { _ in false }
        let file = { @Sendable (number: UInt64) in ArtifactFile(id: InodeNumber(rawValue: number), size: 1) }
        #expect(settler.add(file(1), until: 1, []).map(\.id.rawValue) == [1])
        #expect(settler.count == 0)

        let second = Mutex<[UInt64]?>(nil)
        let inner = Mutex<Settler?>(nil)
        let late = Settler { _, _ in
            let others = inner.withLock { $0 }?.add(file(2), until: 2, []).map(\.id.rawValue)
            second.withLock { $0 = others }
            return false
        }
        inner.withLock { $0 = late }
        late.start { _ in false }
        #expect(late.add(file(1), until: 1, []).map(\.id.rawValue).sorted() == [1, 2])
        #expect(second.withLock { $0 } == [], "it was told that somebody sees to it")
        #expect(late.count == 0)
        inner.withLock { $0 = nil }
    }

    /// How it ended is known already, so that nothing is heard of it any more.
    private final class Gone: WatchedProcess {
        let (process, session, descriptor): (Int32, Int32, Int32) = (11, 1, -1)
        let program = "sort"
        let ending = WriterEnding.succeeded
        let facts: WriterFacts? = nil
        func isSeen(as name: String?) -> Bool { true }
        func awaitFacts(atMost milliseconds: Int32) {}
        func lookAgain() {}
        func isCalled(_ program: String) {}
    }

    /// A file is judged at once whose makers are known to have ended, and not when it has waited long enough; and each once for each of them.
    @Test func whoHasEndedIsHeard() throws {
        let judged = Mutex<[UInt64]>([])
        let settler = Settler()
        settler.start { file in
            judged.withLock { $0.append(file.id.rawValue) }
            return false
        }
        let file = ArtifactFile(id: InodeNumber(rawValue: 7), size: 1)
        #expect(settler.add(file, until: .max - 1, [Gone(), Gone()]).isEmpty)
        #expect(eventually { settler.count == 0 })
        #expect(judged.withLock { !$0.isEmpty && $0.allSatisfy { $0 == 7 } })
        settler.finish(atMost: 0)
    }
}
