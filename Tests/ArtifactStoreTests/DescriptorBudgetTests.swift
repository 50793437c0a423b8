import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// Who gives a descriptor up when there are too many.
@Suite struct DescriptorBudgetTests {
    private final class Holder: DescriptorHolder {
        struct State {
            var isOpen = true
            var wasUsed = false
            var isNeeded = false
        }

        let state = Mutex(State())

        func giveUpDescriptor() -> Bool {
            state.withLock { state in
                guard state.isOpen, !state.isNeeded, !state.wasUsed else {
                    state.wasUsed = false
                    return false
                }
                state.isOpen = false
                return true
            }
        }

        func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }
        var isOpen: Bool { state.withLock { $0.isOpen } }
    }

    /// 20 places: 64 descriptors are the driver's own.
    private let budget = DescriptorBudget(processLimit: 84)

    private func add(_ count: Int) -> [Holder] {
        (0..<count).map { _ in
            let holder = Holder()
            _ = budget.add(holder)
            return holder
        }
    }

    @Test func noMoreThanTheLimitAreKept() {
        let holders = add(50)
        #expect(budget.count == 20 && holders.filter(\.isOpen).count == 20)
        #expect(holders.last?.isOpen == true, "the newest is never the one to go")
    }

    @Test func whoWasUsedOrIsNeededStays() {
        let holders = add(20)
        for holder in holders.prefix(5) { holder.set { $0.wasUsed = true } }
        for holder in holders.suffix(5) { holder.set { $0.isNeeded = true } }
        let more = add(5)
        #expect(holders.prefix(5).allSatisfy(\.isOpen) && holders.suffix(5).allSatisfy(\.isOpen))
        #expect(holders.filter(\.isOpen).count == 15 && more.allSatisfy(\.isOpen) && budget.count == 20)
    }

    @Test func allAreKeptWhenAllAreNeeded() {
        let holders = add(20)
        for holder in holders { holder.set { $0.isNeeded = true } }
        let more = Holder()
        more.set { $0.isNeeded = true }
        _ = budget.add(more)
        #expect(budget.count == 21 && holders.allSatisfy(\.isOpen))
        holders[3].set { $0.isNeeded = false }
        _ = add(1)
        #expect(!holders[3].isOpen && budget.count == 21)
    }

    /// The files that programs have open come first, down to a few that are used all the time.
    @Test func openFilesTakePlaces() {
        let holders = add(20)
        for _ in 0..<2 { budget.fileOpened() }
        #expect(budget.count == 18 && holders.filter(\.isOpen).count == 18)
        for _ in 0..<100 { budget.fileOpened() }
        #expect(budget.count == 16, "no fewer than that")
        for _ in 0..<102 { budget.fileClosed() }
        _ = add(4)
        #expect(budget.count == 20 && budget.openFiles == 0)
    }

    @Test func placesAreUsedAgain() {
        let holder = Holder()
        let place = budget.add(holder)
        budget.remove(place)
        #expect(budget.count == 0)
        #expect(budget.add(Holder()) == place)
    }

    /// Whoever has most is refused, and only they.
    @Test func whoHasManyFilesIsRefusedAlone() throws {
        let budget = DescriptorBudget(processLimit: 10_064)
        var own = 0
        while (try? budget.admit(own: own, waiting: 0)) != nil {
            budget.fileOpened()
            own += 1
        }
        #expect((7450...7550).contains(own), "three quarters: \(own)")
        #expect(throws: Errno.tooManyOpenFiles) { try budget.admit(own: own, waiting: 0) }
        #expect(throws: Never.self) { try budget.admit(own: 0, waiting: 0) }
        #expect(throws: Never.self) { try budget.admit(own: 1000, waiting: 0) }
        // What waits to be published is whose it is.
        #expect(throws: Errno.tooManyOpenFiles) { try budget.admit(own: 5000, waiting: 2000) }
        #expect(throws: Never.self) { try budget.admit(own: 1, waiting: 2000) }
        for _ in 0..<own { budget.fileClosed() }
        #expect(throws: Never.self) { try budget.admit(own: own / 2, waiting: 0) }
    }

    /// The process has too many open, by whatever: users are refused before the driver is.
    @Test func theDriversOwnAreKept() throws {
        let (tight, roomy) = (DescriptorBudget(processLimit: 1), DescriptorBudget(processLimit: 1 << 20))
        #expect(throws: Errno.tooManyOpenFiles, "even descriptor 0 would be one of them") {
            try tight.admit(own: 0, waiting: 1)
        }
        for _ in 0...(1 << 18) { roomy.fileOpened() }
        #expect(throws: Never.self) { try roomy.admit(own: 0, waiting: 0) }
    }
}
