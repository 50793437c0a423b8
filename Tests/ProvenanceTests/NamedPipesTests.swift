import Testing

@testable import Provenance

/// A named pipe's uses are told apart (Semantics 4). Times are ticks, and the numbers of processes are given one after the other.
@Suite struct NamedPipesTests {
    private let pipes = NamedPipes()

    /// Sees a process have the pipe at a time at which the process `last` was the newest.
    private func see(
        _ process: Int32, last: Int32, reads: Bool = false, writes: Bool = false, have: Set<Int32> = []
    ) -> [UInt64] {
        let seen = Moment(time: Moment.time(ofTick: 7), lastProcess: last)
        let holder = NamedPipes.PipeHolder(process: process, start: 7, seen: seen, isReader: reads, isWriter: writes)
        return pipes.uses(of: 1, by: holder) { have.contains($0) }
    }

    /// `cut a > one & sort < one; cat b > one & sort < one`, whoever is seen first, and whoever is not seen.
    @Test(arguments: [true, false], [true, false]) func oneAfterTheOther(isReaderFirst: Bool, isReaderSeen: Bool) {
        var first: Set<UInt64> = []
        if isReaderFirst, isReaderSeen { first.formUnion(see(11, last: 11, reads: true)) }
        first.formUnion(see(10, last: 11, writes: true))
        if !isReaderFirst, isReaderSeen { first.formUnion(see(11, last: 11, reads: true)) }
        #expect(first.count == 1)
        let second = see(13, last: 13, reads: true)
        #expect(second == see(12, last: 13, writes: true) && first.isDisjoint(with: second))
        // Seen again.
        #expect(see(13, last: 20, reads: true) == second)
    }

    /// `{ echo; cut a; } > one` twice, in a shell that goes on: that it has the pipe again joins nobody with those of before.
    @Test func groupsOfAShell() {
        let first = see(5, last: 11, writes: true)
        #expect(see(11, last: 11, writes: true, have: [5]) == first && see(10, last: 11, reads: true) == first)
        let second = see(12, last: 13, reads: true, have: [5])
        #expect(second != first && see(13, last: 13, writes: true, have: [5, 12]) == second)
        #expect(see(5, last: 13, writes: true, have: [12, 13]) == first + second)
    }

    /// Two write, and one reads all that.
    @Test func severalWriters() {
        let first = see(10, last: 12, writes: true)
        #expect(see(12, last: 12, reads: true) == first)
        #expect(see(11, last: 12, writes: true, have: [12]) == first)
    }

    /// What both ends were seen of is over when nobody has it any more: also for who was there before.
    @Test func whatIsOver() {
        let first = see(10, last: 12, writes: true)
        #expect(see(12, last: 12, reads: true) == first)
        #expect(see(9, last: 15, reads: true) != first)
        #expect(see(8, last: 15, writes: true, have: [9]) != first)
    }

    /// When it is not known what the newest process was, within a tick nobody is joined.
    @Test func whatIsNotKnown() { #expect(see(10, last: 0, writes: true) != see(11, last: 0, reads: true)) }

    /// A number that is given again is another process's.
    @Test func numbersComeAgain() {
        let first = see(10, last: 11, writes: true)
        let holder = NamedPipes.PipeHolder(
            process: 10, start: 9, seen: Moment(time: Moment.time(ofTick: 9), lastProcess: 10), isReader: true,
            isWriter: false)
        #expect(pipes.uses(of: 1, by: holder) { _ in false } != first)
    }

    /// Several threads look at once: nobody is of two uses, and both ends are of the same.
    @Test func looksAtOnce() async {
        let all = await withTaskGroup(of: [UInt64].self) { group in
            for number in Int32(0)..<40 {
                group.addTask {
                    see(number + 10, last: 50, reads: number % 2 == 0, writes: number % 2 == 1, have: Set(10...50))
                }
            }
            var all: [[UInt64]] = []
            for await uses in group { all.append(uses) }
            return all
        }
        #expect(Set(all).count == 1)
    }
}
