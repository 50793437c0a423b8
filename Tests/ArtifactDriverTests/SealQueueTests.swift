import FuseKernel
import Glibc
import Synchronization
import SystemCalls
import TestSupport
import Testing

@testable import ArtifactDriver

/// What waits to be published is taken together, in order, and never lost.
@Suite struct SealQueueTests {
    private final class Seen: Sendable {
        let batches = Mutex<[[UInt64]]>([])
        let idle = Atomic<Int>(0)
        var all: [UInt64] { batches.withLock { $0.flatMap { $0 } } }
        var count: Int { batches.withLock { $0.count } }
    }

    private func file(_ number: Int) -> ArtifactFile {
        ArtifactFile(id: InodeNumber(rawValue: UInt64(number)), size: 1)
    }

    private func queue(_ seen: Seen, workers: Int = 4, gathers: Bool = false) -> SealQueue {
        SealQueue(workers: workers, gathers: gathers) { seen.idle.add(1, ordering: .relaxed) }
    }

    private func publish(_ seen: Seen, taking microseconds: UInt32 = 0) -> SealQueue.Publish {
        { files in
            usleep(microseconds)
            seen.batches.withLock { $0.append(files.map(\.id.rawValue)) }
        }
    }

    @Test func takesTogetherWhatWaits() {
        let seen = Seen()
        let queue = queue(seen, workers: 1)
        for number in 1...300 { queue.submit(file(number), bytes: 4096, publish: publish(seen, taking: 3000)) }
        queue.drain()
        #expect(seen.all == (1...300).map { UInt64($0) }, "in order, each once")
        #expect(seen.count <= 12, "\(seen.count) batches")
        #expect(seen.batches.withLock { $0.allSatisfy { $0.count <= 64 } })
        #expect(queue.pending == 0)
        #expect(seen.idle.load(ordering: .relaxed) > 0)
    }

    @Test func gathersWhatComesWhileItRests() {
        let (seen, others) = (Seen(), Seen())
        let queue = queue(seen, workers: 1, gathers: true)
        queue.submit(file(1), bytes: 1, publish: publish(seen))
        #expect(eventually(within: 5) { seen.count == 1 }, "the first does not wait")
        // More come sooner than a worker has rested, nearly always: one after the other, as from one program.
        for number in 2...400 {
            queue.submit(file(number), bytes: 1, publish: publish(others))
            usleep(20)
        }
        queue.drain()
        #expect(others.all == (2...400).map { UInt64($0) })
        #expect(others.count < 200, "\(others.count) batches")
    }

    /// Holds who comes until it is opened for them.
    private final class Gate: Sendable {
        private let semaphore = PosixSemaphore()
        let entered = Atomic<Int>(0)

        func pass() {
            entered.add(1, ordering: .relaxed)
            semaphore.wait()
        }

        func open(_ times: Int) { for _ in 0..<times { semaphore.post() } }

        func hasHeld(_ count: Int) -> Bool {
            eventually(within: 20) { self.entered.load(ordering: .relaxed) >= count }
        }
    }

    private static let large: Int64 = 1 << 40

    @Test(arguments: [1, 4]) func aSmallFileWaitsForNoLargeOne(workers: Int) {
        let (seen, gate) = (Seen(), Gate())
        let queue = queue(seen, workers: workers)
        for number in 1...6 {
            queue.submit(file(number), bytes: Self.large, user: 1) { _ in gate.pass() }
            queue.submit(file(number), bytes: 64 << 20, user: 1) { _ in gate.pass() }
        }
        #expect(gate.hasHeld(2))
        queue.submit(file(10), bytes: 8, user: 1, publish: publish(seen))
        queue.submit(file(11), bytes: 8, user: 2, publish: publish(seen))
        #expect(eventually(within: 20) { seen.all.sorted() == [10, 11] })
        #expect(queue.pending > 0)
        gate.open(12)
        queue.drain()
        #expect(gate.entered.load(ordering: .relaxed) == 12 && queue.pending == 0)
    }

    @Test func aLargeFileWaitsForNoneOfAnotherUser() {
        let (seen, gate, other) = (Seen(), Gate(), Gate())
        let queue = queue(seen, workers: 4)
        for number in 1...8 { queue.submit(file(number), bytes: Self.large, user: 1) { _ in gate.pass() } }
        #expect(gate.hasHeld(1))
        for user in 2...4 { queue.submit(file(9), bytes: Self.large, user: UInt32(user)) { _ in other.pass() } }
        #expect(other.hasHeld(3))
        #expect(gate.entered.load(ordering: .relaxed) == 1, "nobody has all threads")
        gate.open(8)
        other.open(3)
        queue.drain()
        #expect(gate.entered.load(ordering: .relaxed) == 8 && queue.pending == 0)
    }

    @Test func usersTakeTurns() {
        let (seen, gate) = (Seen(), Gate())
        let queue = queue(seen, workers: 1)
        queue.submit { gate.pass() }
        #expect(gate.hasHeld(1))
        for number in 1...200 { queue.submit(file(number), bytes: 4 << 20, user: 1, publish: publish(seen)) }
        for number in 201...203 { queue.submit(file(number), bytes: 4 << 20, user: 2, publish: publish(seen)) }
        gate.open(1)
        queue.drain()
        #expect(Array(seen.all.prefix(7)) == [1, 201, 2, 202, 3, 203, 4])
        #expect(seen.all.count == 203 && seen.all.filter { $0 < 201 } == (1...200).map { UInt64($0) })
    }

    @Test func smallFilesOfManyUsersGoTogether() {
        let (seen, gate) = (Seen(), Gate())
        let queue = queue(seen, workers: 1)
        queue.submit { gate.pass() }
        #expect(gate.hasHeld(1))
        for number in 1...90 { queue.submit(file(number), bytes: 1, user: UInt32(number % 3), publish: publish(seen)) }
        gate.open(1)
        queue.drain()
        #expect(seen.all == (1...90).map { UInt64($0) } && seen.count == 2)
    }

    @Test func whoseWorkWaits() {
        let (seen, gate) = (Seen(), Gate())
        let queue = queue(seen, workers: 1)
        queue.submit { gate.pass() }
        #expect(gate.hasHeld(1))
        for number in 1...50 { queue.submit(file(number), bytes: 4 << 20, user: 1, publish: publish(seen)) }
        #expect(queue.waiting(of: 1).own == 50 && queue.waiting(of: 2).own == 0 && queue.waiting(of: 2).all == 50)
        gate.open(1)
        queue.drain()
        #expect(queue.waiting(of: 1).own == 0 && queue.waiting(of: 1).all == 0)
    }

    // MARK: - Without threads

    private final class Counter: Sendable {
        private let atomic: Atomic<Int>
        init(_ count: Int) { atomic = Atomic(count) }
        var count: Int { atomic.load(ordering: .relaxed) }
        func set(_ count: Int) { atomic.store(count, ordering: .relaxed) }
        func takeOne() -> Bool { atomic.subtract(1, ordering: .relaxed).oldValue > 0 }
    }

    /// Threads as long as there are some.
    private func queue(_ seen: Seen, threads: Int, workers: Int = 4) -> SealQueue {
        let left = Counter(threads)
        return withThreads(seen, workers) { left.takeOne() }
    }

    private func withThreads(_ seen: Seen, _ workers: Int, _ mayStart: @escaping @Sendable () -> Bool) -> SealQueue {
        SealQueue(
            workers: workers,
            startThread: { name, body in
                guard mayStart(), let thread = WorkerThread(name: name, body) else { return false }
                thread.detach()
                return true
            }, whenIdle: { seen.idle.add(1, ordering: .relaxed) })
    }

    @Test(arguments: 0...3) func threadsThatCannotBeHad(threads: Int) {
        let seen = Seen()
        let queue = queue(seen, threads: threads)
        queue.start()
        for round in 0..<3 {
            let mine = pthread_self()
            let byDrain = Counter(0)
            for number in 1...100 {
                let bytes: Int64 = number % 10 == 0 ? Self.large : number % 10 == 1 ? 64 << 20 : 1
                queue.submit(file(round * 100 + number), bytes: bytes, publish: publish(seen))
            }
            queue.submit(after: 3_600_000) { seen.batches.withLock { $0.append([0]) } }
            if threads == 0 {
                #expect(queue.pending == 101, "it is not done by who brings it")
                queue.submit { if pthread_equal(pthread_self(), mine) != 0 { byDrain.set(1) } }
            }
            queue.drain()
            #expect(byDrain.count == (threads == 0 ? 1 : 0), "the drain does it itself")
            #expect(queue.pending == 0)
        }
        #expect(seen.all.filter { $0 != 0 }.sorted() == (1...300).map { UInt64($0) })
        #expect(seen.all.filter { $0 == 0 }.count == 3)
    }

    @Test func aThreadThatCanBeHadLater() {
        let seen = Seen()
        let mayStart = Counter(0)
        let queue = withThreads(seen, 4) { mayStart.count > 0 }
        queue.start()
        queue.submit(file(1), bytes: 1, publish: publish(seen))
        queue.submit(file(2), bytes: Self.large, publish: publish(seen))
        #expect(queue.pending == 2 && seen.count == 0)
        mayStart.set(1)
        queue.submit(file(3), bytes: 1, publish: publish(seen))
        #expect(eventually(within: 20) { queue.pending == 0 })
        #expect(seen.all.sorted() == [1, 2, 3])
    }

    // MARK: - Later

    @Test func whatIsPutOff() {
        let seen = Seen()
        let queue = queue(seen)
        func note(_ number: UInt64) -> @Sendable () -> Void { { seen.batches.withLock { $0.append([number]) } } }
        queue.submit(after: 300, note(3))
        queue.submit(after: 60, note(2))
        queue.submit(file(4), bytes: Self.large, after: 600, publish: publish(seen))
        queue.submit(note(1))
        #expect(queue.pending >= 3)
        #expect(eventually(within: 20) { seen.count == 4 })
        #expect(seen.all == [1, 2, 3, 4])
        queue.submit(after: .max, note(5))
        queue.submit(after: 3_600_000, note(6))
        queue.drain()
        #expect(seen.all.sorted() == [1, 2, 3, 4, 5, 6], "done now")
        #expect(queue.pending == 0)
    }

    /// Nobody waits for what is not published, until it is due.
    @Test func whatIsQuiet() {
        let seen = Seen()
        let queue = queue(seen)
        queue.submit(after: 3_600_000, isQuiet: true) { seen.batches.withLock { $0.append([1]) } }
        #expect(queue.pending == 0)
        queue.submit(after: 1, isQuiet: true) {
            queue.submit(after: 3_600_000, isQuiet: true) { seen.batches.withLock { $0.append([3]) } }
            seen.batches.withLock { $0.append([2]) }
        }
        #expect(eventually(within: 20) { seen.all == [2] })
        queue.drain()
        #expect(seen.all.sorted() == [1, 2, 3] || seen.all.sorted() == [1, 2])
        #expect(queue.pending == 0)
    }

    // MARK: - The end

    @Test func aDrainIsBounded() {
        let (seen, gate) = (Seen(), Gate())
        let queue = queue(seen, workers: 1)
        queue.submit(file(1), bytes: Self.large) { _ in gate.pass() }
        queue.submit(file(2), bytes: Self.large, publish: publish(seen))
        #expect(gate.hasHeld(1))
        var told: [Int] = []
        let left = queue.drain(atMost: 100, telling: 10) { told.append($0) }
        #expect(left == 1 && !told.isEmpty && told.allSatisfy { $0 == 2 }, "\(left), \(told)")
        queue.submit(file(3), bytes: 1, publish: publish(seen))
        gate.open(1)
        #expect(eventually(within: 20) { queue.pending == 0 })
        #expect(seen.all.isEmpty, "nothing is begun any more")
    }

    @Test func abandoningEndsADrain() async {
        let (seen, gate, isDone) = (Seen(), Gate(), Counter(0))
        let queue = queue(seen, workers: 1)
        queue.submit(file(1), bytes: 1) { _ in gate.pass() }
        queue.submit(file(2), bytes: 1, publish: publish(seen))
        #expect(gate.hasHeld(1))
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                queue.drain()
                isDone.set(1)
            }
            queue.abandon()
            await group.waitForAll()
        }
        #expect(isDone.count == 1 && seen.all.isEmpty)
        gate.open(1)
    }

    @Test func otherWorkKeepsItsPlace() {
        let seen = Seen()
        let queue = queue(seen, workers: 1)
        queue.submit { usleep(20_000) }
        queue.submit(file(1), bytes: 1, publish: publish(seen))
        queue.submit { seen.batches.withLock { $0.append([0]) } }
        queue.submit(file(2), bytes: 1, publish: publish(seen))
        queue.drain()
        #expect(seen.batches.withLock { $0 } == [[1], [0], [2]])
    }

    @Test(arguments: [false, true]) func nothingWaitsForever(gathers: Bool) {
        let seen = Seen()
        let queue = queue(seen, gathers: gathers)
        var number = 0
        // Around the time for which a worker waits for more.
        for round in 0..<200 {
            for _ in 0...(round % 5) {
                number += 1
                queue.submit(file(number), bytes: 1, publish: publish(seen))
            }
            usleep(UInt32(round % 7) * 500)
            if round % 50 == 49 { queue.drain() }
        }
        queue.drain()
        #expect(seen.all.sorted() == (1...number).map { UInt64($0) })
        #expect(queue.pending == 0)
    }

    @Test(arguments: [false, true]) func fromManyThreads(gathers: Bool) async {
        let seen = Seen()
        let queue = queue(seen, gathers: gathers)
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<4 {
                group.addTask {
                    for number in 1...2000 {
                        queue.submit(
                            ArtifactFile(id: InodeNumber(rawValue: UInt64(thread * 2000 + number)), size: 1), bytes: 1,
                            publish: publish(seen))
                        if number % 400 == 0 { usleep(2000) }
                    }
                }
            }
        }
        queue.drain()
        #expect(seen.all.sorted() == (1...8000).map { UInt64($0) })
        #expect(queue.pending == 0)
    }
}
