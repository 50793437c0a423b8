import ArtifactRecords
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Provenance
@testable import SystemCalls

/// What is concluded from what processes did.
@Suite final class ProcessModelTests {
    private let places = Mutex<[TemporaryDirectory]>([])

    private func file(_ name: String) throws -> ReadFile {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/" + name
        SystemCall.close(try SystemCall.open(SystemCall.currentDirectory, path, O_WRONLY | O_CREAT, 0o600))
        let found = try SystemCall.look(SystemCall.currentDirectory, path)
        // Of which file it is the kernel may say the same of the next, once this is gone.
        places.withLock { $0.append(directory) }
        return ReadFile(found.identity, path: name, version: ReadFile.BytesState(found.attributes))
    }

    private func memory(_ isOfProgram: Bool = true) -> ProcessMemory {
        ProcessMemory(nil, name: "test", isOfProgram: isOfProgram)
    }

    private func reads(
        _ memory: ProcessMemory, _ file: ReadFile, at time: UInt64, last: Int32 = 0, how: ArtifactRecord.How = .process
    ) {
        memory.note(.init(file: file, moment: Moment(time: time, lastProcess: last), how: how))
    }

    private func edges(_ memory: ProcessMemory, at time: UInt64) -> [String: ArtifactRecord.How] {
        Dictionary(uniqueKeysWithValues: ProcessMemory.edges(of: [(memory, time)]).map { ($0.file.path, $0.how) })
    }

    /// A process is after a moment when it began in a later tick, or in the same one with a later number; numbers begin again.
    @Test func momentsAndProcesses() {
        let tick = UInt64(1_000_000_000 / sysconf(Int32(_SC_CLK_TCK)))
        let moment = Moment(time: 5 * tick + 3, lastProcess: 100)
        #expect(moment.isBefore(start: 6, of: 7) == true && moment.isBefore(start: 4, of: 7) == false)
        #expect(moment.isBefore(start: 5, of: 101) == true && moment.isBefore(start: 5, of: 100) == false)
        #expect(moment.isBefore(start: 5, of: 99) == false)
        // Numbers have begun again since.
        #expect(Moment(time: 5 * tick, lastProcess: 32_700).isBefore(start: 5, of: 301) == true)
        #expect(Moment(time: 5 * tick, lastProcess: 301).isBefore(start: 5, of: 32_700) == false)
        #expect(Moment(time: 5 * tick, lastProcess: 0).isBefore(start: 5, of: 7) == nil)
        for number in [Int32.min, -1, .max] {
            _ = Moment(time: .max, lastProcess: number).isBefore(start: .max, of: .max)
            _ = Moment(time: 5 * tick, lastProcess: number).isBefore(start: 5, of: .min)
        }
    }

    /// A process that was seen and one that was heard of are the same when they began in the same tick, or nearly.
    @Test func beginnings() {
        let tick = UInt64(1_000_000_000 / sysconf(Int32(_SC_CLK_TCK)))
        #expect(Moment.isSame(7, 7 * tick) && Moment.isSame(7, 8 * tick) && Moment.isSame(7, 6 * tick + 1))
        #expect(!Moment.isSame(7, 9 * tick) && !Moment.isSame(7, 5 * tick) && !Moment.isSame(.max, 0))
        #expect(!Moment.isSame(0, .max))
    }

    /// Of a program that reads and writes thousands of files in turns, its later files are told with what it opened last.
    @Test func ofVeryManyTheLastAreTold() throws {
        let writer = memory()
        let files = try (0..<300).map { try file("f\($0)") }
        var told = 0
        for (number, file) in files.enumerated() {
            reads(writer, file, at: UInt64(number))
            let share = writer.share()
            #expect(share.told + share.leftOut == number + 1)
            told += share.told
        }
        #expect(told > 10_000 && told <= 20_000 + 300 * 32, "\(told)")
        #expect(writer.share().leftOut > 200)
        let last = ProcessMemory.edges(of: [(writer, .max)], most: writer.share().told).map(\.file.path)
        #expect(last.count == writer.share().told && last.contains("f299") && !last.contains("f0"))
    }

    /// Only what was read before the last write counts.
    @Test func onlyWhatWasReadBefore() throws {
        let (writer, a, b) = (memory(), try file("a"), try file("b"))
        reads(writer, a, at: 10)
        reads(writer, b, at: 30)
        #expect(edges(writer, at: 20) == ["a": .process])
        #expect(edges(writer, at: 30) == ["a": .process, "b": .process])
        #expect(edges(writer, at: 9).isEmpty)
    }

    /// Memory goes to a child as it was when that was made; what cannot be told is a guess.
    @Test func childrenRemember() throws {
        let (parent, child) = (memory(), memory(false))
        let files = try ["before", "after", "perhaps", "own"].map { try file($0) }
        let tick = UInt64(1_000_000_000 / sysconf(Int32(_SC_CLK_TCK)))
        reads(parent, files[0], at: 5 * tick, last: 40)
        reads(parent, files[1], at: 5 * tick + 1, last: 50)
        reads(parent, files[2], at: 5 * tick + 2, last: 0)
        child.note(ProcessMemory.Parent(memory: parent, time: .start(5, process: 45)))
        reads(child, files[3], at: 6 * tick)
        #expect(edges(child, at: .max) == ["before": .ancestor, "perhaps": .job, "own": .process])
        let heard = memory(false)
        heard.note(ProcessMemory.Parent(memory: parent, time: .at(5 * tick)))
        #expect(edges(heard, at: .max) == ["before": .ancestor])
    }

    /// Pipes lead from who writes to who reads, over others; the first of several ways that holds counts.
    @Test func pipesJoin() throws {
        let (cat, awk, sort, tee) = (memory(), memory(), memory(), memory())
        let (a, b) = (try file("a"), try file("b"))
        reads(cat, a, at: 1)
        reads(awk, b, at: 2)
        let (first, second) = (PipeFlow(), PipeFlow())
        #expect(!first.isRead && !first.isWritten)
        first.note(writer: cat)
        awk.note(first)
        second.note(writer: awk)
        sort.note(second)
        #expect(first.isRead && first.isWritten)
        #expect(edges(sort, at: 5) == ["a": .pipe, "b": .pipe])
        #expect(edges(awk, at: 5) == ["a": .pipe, "b": .process])
        #expect(edges(cat, at: 5) == ["a": .process] && edges(tee, at: 5).isEmpty)
        // A writer's own reading is the better way.
        reads(sort, a, at: 3, how: .ancestor)
        #expect(edges(sort, at: 5) == ["a": .ancestor, "b": .pipe])
        // In a circle.
        cat.note(second)
        #expect(edges(cat, at: 5) == ["a": .process, "b": .pipe])
    }

    /// Who started a program writes to its pipe, unless somebody else does.
    @Test func whoStartsWrites() throws {
        let (starter, other, reader) = (memory(), memory(), memory())
        let (a, b) = (try file("a"), try file("b"))
        reads(starter, a, at: 1)
        reads(other, b, at: 1)
        let pipe = PipeFlow()
        reader.note(pipe)
        pipe.note(starter: starter)
        #expect(edges(reader, at: 1_000_000_000) == ["a": .pipe] && !pipe.isWritten)
        pipe.note(writer: other)
        #expect(edges(reader, at: 5) == ["b": .pipe])
    }

    /// That who started a program wrote to it is a guess: what that one opened while the artifact was closed, which its time does not tell from
    /// before, is no input, unless it opened it before it made the program.
    @Test func whoStartedIsAGuess() throws {
        let tick = Moment.time(ofTick: 1)
        let starter = memory()
        let (a, b, c) = (try file("a"), try file("b"), try file("c"))
        let reader = ProcessMemory(
            nil, name: "sort", isOfProgram: true, start: 5 * tick, making: .start(5, process: 100))
        let pipe = PipeFlow()
        reader.note(pipe)
        pipe.note(starter: starter)
        let closed = 5 * tick + 4
        reads(starter, a, at: 5 * tick + 1, last: 99)
        reads(starter, b, at: 5 * tick + 3, last: 100)
        reads(starter, c, at: closed + 1, last: 100)
        #expect(edges(reader, at: closed) == ["a": .pipe])
        // Of a writer that was seen the time is enough.
        let writer = memory()
        reads(writer, b, at: 5 * tick + 3, last: 100)
        pipe.note(writer: writer)
        #expect(edges(reader, at: closed) == ["b": .pipe])
    }

    /// What real processes have open, and what they wait for.
    @Test func descriptorsOfProcesses() throws {
        let child = try Child(["bash", "-c", "exec 7< /etc/passwd; sleep 61 | sleep 60; true"])
        var stages: [Int32] = []
        #expect(
            eventually(within: 30) {
                stages = ProcFile.children(of: child.process)
                return stages.count == 2 && stages.allSatisfy { ProcFile.program(ofThread: $0) == "sleep" }
            })
        let sights = PipeSights()
        let pipes = stages.map { sights.ends(of: $0) }
        let sleeper = try #require(stages.max())
        let input = try #require(ProcFile.pipeNumber(ofProcess: sleeper, descriptor: 0))
        #expect(pipes.contains { $0.written.contains(input) })
        let open = ProcFile.descriptors(of: sleeper, below: [UInt8(ascii: "/")], seesFlags: true)
        #expect(open.contains { $0.pipe == input && $0.number == 0 && $0.isRead && !$0.isWritten })
        #expect(open.contains { $0.number == 7 && $0.target.elementsEqual("/etc/passwd".utf8) && !$0.isClosedOnExec })
        #expect(ProcFile.isAlive(sleeper))
        #expect(
            eventually(within: 30) { if case .none = ProcFile.wait(of: sleeper) { true } else { false } },
            "sleep waits for a clock")
        let reader = try Child(["bash", "-c", "sleep 60 | cat; true"])
        #expect(
            eventually(within: 30) {
                ProcFile.children(of: reader.process).contains { stage in
                    guard case .onPipe(let thread) = ProcFile.wait(of: stage) else { return false }
                    return thread == stage
                }
            })
        for process in stages + ProcFile.children(of: reader.process) { kill(process, SIGKILL) }
        child.kill()
        reader.kill()
        #expect(eventually(within: 30) { !ProcFile.isAlive(sleeper) } && !ProcFile.hasDescriptors(sleeper))
    }

    /// A program's memory is another one's than that of the program before it, and its child's is the same.
    @Test func memoriesOfPrograms() throws {
        let child = try Child(["sh", "-c", "read line < /proc/self/comm; (sleep 60; true); true"])
        var fork: Int32 = 0
        #expect(
            eventually(within: 30) {
                fork = ProcFile.children(of: child.process).first ?? 0
                return !ProcFile.children(of: fork).isEmpty
            })
        let own = try #require(ProcFile.origin(of: child.process))
        let made = try #require(ProcFile.sight(of: fork))
        #expect(own.memory != nil && made.origin.memory == own.memory && !made.origin.isProgram && own.isProgram)
        let program = try #require(ProcFile.children(of: fork).first)
        #expect(eventually(within: 30) { ProcFile.sight(of: program)?.name == "sleep" })
        #expect(ProcFile.origin(of: program)?.memory != own.memory)
        kill(program, SIGKILL)
        child.kill()
    }

    /// A shell's child that is seen with a pipe's end before it runs its command may write what its shell had read; once it has run the
    /// command, and has written nothing, only that one writes.
    @Test func whatAShellHadDoesNotComeThroughItsCommandsPipe() throws {
        let model = ProcessModel(mountPoint: "", reader: PatientReader())
        let (own, read, beside) = (try file("e"), try file("a"), try file("b"))
        let script = """
            import os, signal
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            (r, w) = os.pipe()
            if not os.fork():
                os.dup2(w, 1); os.close(r); os.close(w)
                signal.sigwait([signal.SIGUSR1])
                os.execvp("sleep", ["sleep", "61"])
            if not os.fork():
                os.dup2(r, 0); os.close(r); os.close(w)
                os.execvp("sleep", ["sleep", "60"])
            os.close(r); os.close(w)
            signal.sigwait([signal.SIGTERM])
            """
        let shell = try Child([testPython, "-c", script])
        func child(_ time: String) -> Int32? {
            ProcFile.children(of: shell.process).first { child in
                (try? contents("/proc/\(child)/cmdline"))?.split(separator: "\0").last.map { $0 == time } ?? false
            }
        }
        #expect(eventually(within: 30) { child("60") != nil })
        let reader = try #require(child("60"))
        let writer = try #require(ProcFile.children(of: shell.process).first { $0 != reader })
        _ = model.opens(own.identity, by: shell.process) { own }
        model.hear(.made(process: writer, by: shell.process, time: Clock.monotonic()))
        _ = model.opens(beside.identity, by: reader) { beside }
        let memory = try #require(model.state.withLock { $0.threads[reader]?.known.memory })
        if model.isHeard {
            #expect(edges(memory, at: ProcessModel.now) == ["b": .process, "e": .pipe])
        }
        kill(writer, SIGUSR1)
        #expect(eventually(within: 30) { child("61") != nil })
        _ = model.opens(read.identity, by: writer) { read }
        // It may be looked at by who has heard of its program too.
        #expect(
            eventually(within: 30) { edges(memory, at: ProcessModel.now) == ["a": .pipe, "b": .process] },
            "\(edges(memory, at: ProcessModel.now))")
    }
}
