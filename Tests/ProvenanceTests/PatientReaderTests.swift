import Glibc
import Synchronization
import SystemCalls
import TestSupport
import Testing

@testable import Provenance

/// Reading that may get stuck: nobody waits for it longer than said, and as many as get stuck cost so many threads and no more.
@Suite struct PatientReaderTests {
    @Test func whatIsQuickIsDone() {
        let reader = PatientReader()
        let count = Atomic(0)
        for _ in 0..<200 { #expect(reader.run(within: 60_000) { count.add(1, ordering: .relaxed) } == true) }
        #expect(count.load(ordering: .relaxed) == 200)
    }

    @Test func whatIsStuckIsLeft() {
        let reader = PatientReader(stuckAfter: 1)
        let gate = PosixSemaphore()
        let begun = Atomic(0)
        let ended = Atomic(0)
        // A thread that has just been started may need a while to begin.
        for _ in 0..<5000 where begun.load(ordering: .relaxed) < 64 {
            let isDone = reader.run(within: 1) {
                begun.add(1, ordering: .relaxed)
                gate.wait()
                ended.add(1, ordering: .relaxed)
            }
            #expect(isDone != true)
        }
        let stuck = begun.load(ordering: .relaxed)
        #expect(stuck == 64)
        #expect(reader.run(within: 1) {} == nil, "then nothing is begun any more")
        for _ in 0..<stuck { gate.post() }
        #expect(eventually(within: 60) { ended.load(ordering: .relaxed) == stuck })
        #expect(reader.run(within: 60_000) {} == true, "and it goes on when they are back")
    }

    /// What waits for who waits for us is left at once, whatever the limit.
    @Test func whatSleepsIsLeft() {
        let reader = PatientReader()
        let gate = PosixSemaphore()
        let isOver = Atomic(false)
        #expect(reader.runAwake(within: 3_600_000) { gate.wait() } == false)
        gate.post()
        #expect(reader.runAwake(within: 60_000) { isOver.store(true, ordering: .relaxed) } == true)
        let wasDone = isOver.load(ordering: .relaxed)
        #expect(wasDone)
    }

    /// As long as some threads are left, what is stuck delays nobody else.
    @Test func othersGoOn() {
        let reader = PatientReader(stuckAfter: 1)
        let gate = PosixSemaphore()
        for _ in 0..<20 { _ = reader.run(within: 10) { gate.wait() } }
        // With so many stuck nobody waits for long, and a busy machine may not be done by then.
        for _ in 0..<50 { #expect(eventually(within: 60) { reader.run(within: 60_000) {} == true }) }
        for _ in 0..<20 { gate.post() }
    }

    /// Where the system has no thread to give, nobody waits for one.
    @Test func withoutThreads() {
        let reader = PatientReader(startThread: { _ in nil })
        for _ in 0..<100 {
            #expect(reader.run(within: 3_600_000) {} == nil)
            #expect(!reader.submit {})
        }
    }

    @Test func fromManyThreads() {
        let reader = PatientReader()
        let done = Atomic(0)
        runThreads(32) { _ in
            for _ in 0..<100 where reader.run(within: 60_000, { done.add(1, ordering: .relaxed) }) != true {
                Issue.record("it was not done in a minute")
            }
        }
        #expect(done.load(ordering: .relaxed) == 3200)
    }
}
