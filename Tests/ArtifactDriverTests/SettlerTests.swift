import FuseKernel
import Synchronization
import SystemCalls
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
}
