import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import FuseKernel

/// Threads of which no user has all.
@Suite struct FairThreadsTests {
    /// Work that waits until it may go, and who began.
    private final class Held: Sendable {
        private let state = Mutex<(begun: [UInt32: Int], ended: [UInt32: Int], late: Int)>(([:], [:], 0))
        private let gate = PosixSemaphore()

        func work(of user: UInt32) -> FairThreads.Work {
            { isTooLate in
                if isTooLate { return self.state.withLock { $0.late += 1 } }
                self.state.withLock { $0.begun[user, default: 0] += 1 }
                self.gate.wait()
                self.state.withLock { $0.ended[user, default: 0] += 1 }
            }
        }

        func go(_ count: Int = 1) { for _ in 0..<count { gate.post() } }
        func begun(_ user: UInt32) -> Int { state.withLock { $0.begun[user] ?? 0 } }
        var ended: Int { state.withLock { $0.ended.values.reduce(0, +) } }
        var late: Int { state.withLock { $0.late } }
    }

    @Test func nobodyHasAll() {
        let (threads, held) = (FairThreads(name: "test", most: 16), Held())
        for _ in 0..<40 { #expect(threads.submit(of: 1, held.work(of: 1))) }
        #expect(eventually { held.begun(1) == 8 })
        for user: UInt32 in 2...5 {
            #expect(threads.submit(of: user, held.work(of: user)))
            #expect(eventually { held.begun(user) == 1 }, "user \(user) does not wait for user 1")
        }
        #expect(held.begun(1) == 8, "no more than half")
        held.go(44)
        #expect(eventually { held.ended == 44 }, "\(held.ended)")
        threads.end(within: 10_000_000_000)
        #expect(held.late == 0)
        #expect(!threads.submit(of: 1, held.work(of: 1)), "after the end whoever brings it does it")
    }

    /// What waits is done by turns.
    @Test func usersTakeTurns() {
        let (threads, gate) = (FairThreads(name: "test", most: 2), PosixSemaphore())
        let order = Order()
        let begun = PosixSemaphore()
        #expect(
            threads.submit(of: 9) { _ in
                begun.post()
                gate.wait()
            })
        begun.wait()
        // Of two threads one is held, and nobody else but 9 has one: another user gets the other.
        let second = PosixSemaphore()
        #expect(
            threads.submit(of: 8) { _ in
                begun.post()
                second.wait()
            })
        begun.wait()
        for user: UInt32 in [1, 1, 1, 2, 2, 3] {
            #expect(threads.submit(of: user) { _ in order.add(user) })
        }
        second.post()
        #expect(eventually { order.users.count == 6 })
        #expect(order.users == [1, 2, 3, 1, 2, 1])
        gate.post()
        threads.end(within: 10_000_000_000)
    }

    private final class Order: Sendable {
        private let state = Mutex<[UInt32]>([])
        var users: [UInt32] { state.withLock { $0 } }
        func add(_ user: UInt32) { state.withLock { $0.append(user) } }
    }

    /// At the end what is under way is waited for, and what was not begun in time is ended all the same.
    @Test func theEnd() {
        let (threads, held) = (FairThreads(name: "test", most: 4), Held())
        for _ in 0..<10 { #expect(threads.submit(of: 1, held.work(of: 1))) }
        #expect(eventually { held.begun(1) == 2 })
        let hasEnded = Flag()
        let ending = WorkerThread(name: "test-end") {
            threads.end(within: 0)
            hasEnded.set()
        }
        #expect(eventually { held.late == 8 }, "what waits is told at once that it is too late")
        #expect(!hasEnded.isUp, "what is under way is waited for")
        held.go(2)
        ending?.join()
        #expect(hasEnded.isUp && held.ended == 2)
    }

    /// Without a thread to be had, whoever brings work does it; where there is one, that does all.
    @Test(arguments: [0, 1]) func withoutThreads(available: Int) {
        let started = Starter(left: available)
        let (threads, held) = (FairThreads(name: "test", most: 8, startThread: started.start), Held())
        #expect(threads.submit(of: 1, held.work(of: 1)) == (available > 0))
        #expect(threads.submit(of: 2, held.work(of: 2)) == (available > 0))
        held.go(2)
        #expect(eventually { held.ended == 2 * available })
        threads.end(within: 10_000_000_000)
    }

    private final class Starter: Sendable {
        private let left: Atomic<Int>

        init(left: Int) { self.left = Atomic(left) }

        func start(_ name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
            guard left.subtract(1, ordering: .relaxed).oldValue > 0, let thread = WorkerThread(name: name, body) else {
                return false
            }
            thread.detach()
            return true
        }
    }
}

/// What counts as trouble.
@Suite struct TroubleTests {
    @Test func aReadOnlyMountSaysSo() {
        #expect(!Failures(isReadOnly: true).isTrouble(.readOnlyFileSystem))
        #expect(Failures(isReadOnly: false).isTrouble(.readOnlyFileSystem))
        #expect(Failures(isReadOnly: false).summary.counts.isEmpty && Failures(isReadOnly: false).summary.last == nil)
    }

    /// A rule may give an errno that means trouble elsewhere; the kernel gets the same.
    @Test func aRefusalIsNone() {
        #expect(Errno.tooManyOpenFiles.asRefusal.isRefusal && !Errno.tooManyOpenFiles.isRefusal)
        for number: Int32 in [.min, -1, 0, 1, 28, 511, 512, 4096, 99_999, 100_000, 100_512, 1_000_000, 1_000_001, .max]
        {
            let error = Errno(rawValue: number)
            #expect((1...511).contains(error.asAnswer.rawValue), "\(number)")
            #expect(error.asRefusal.asAnswer == error.asAnswer, "\(number)")
            #expect(error.asAnswer.rawValue == number || !(1...511).contains(number))
        }
        #expect(Errno.answerLater.asRefusal == .answerLater)
    }
}
