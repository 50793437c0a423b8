import FuseKernel
import Glibc
import Synchronization
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

    @Test func aLargeFileGoesAlone() {
        let seen = Seen()
        let queue = queue(seen, workers: 1)
        queue.submit { usleep(20_000) }
        for number in 2...4 { queue.submit(file(number), bytes: 1, publish: publish(seen)) }
        queue.submit(file(5), bytes: 1 << 40, publish: publish(seen))
        for number in 6...7 { queue.submit(file(number), bytes: 1, publish: publish(seen)) }
        queue.drain()
        #expect(seen.batches.withLock { $0 } == [[2, 3, 4], [5], [6, 7]])
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
