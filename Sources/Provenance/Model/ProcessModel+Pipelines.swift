internal import Glibc
internal import Synchronization
internal import SystemCalls

/// Finds who is at the other end of a pipe.
extension ProcessModel {
    func flow(_ pipe: UInt64) -> PipeFlow {
        state.withLock { state in
            if let flow = state.pipes[pipe] { return flow }
            if state.pipes.count >= Self.most { state.pipes = [:] }
            let flow = PipeFlow()
            state.pipes[pipe] = flow
            return flow
        }
    }

    /// Of a process's pipes each with the numbers of its uses that the process may be of: itself, where it has no name.
    ///
    /// - Parameters:
    ///   - start: when the process was made; nil when that is not known.
    ///   - moment: before it was looked at.
    func uses(
        of ends: PipeSights.Ends, _ process: Int32, start: UInt64?, at moment: Moment
    ) -> [UInt64: [UInt64]] {
        var numbers: [UInt64: [UInt64]] = [:]
        for pipe in ends.read.union(ends.written) where ProcFile.isFifo(pipe) {
            guard let start = start ?? origin(of: process, within: Self.eventPatience)?.start else { continue }
            let holder = NamedPipes.PipeHolder(
                process: process, start: start, seen: moment, isReader: ends.read.contains(pipe),
                isWriter: ends.written.contains(pipe))
            numbers[pipe] = named.uses(of: pipe, by: holder) { other in
                let ends = pipes.ends(of: other)
                return ends.read.contains(pipe) || ends.written.contains(pipe)
            }
        }
        return numbers
    }

    /// Finds who is at the other ends of a process's pipes, where that is not known: in its pipeline, or the one that made it.
    func join(
        _ known: SeenProcess, _ parent: Int32, read: Set<UInt64>, written: Set<UInt64>, _ open: SeenProcess.Open,
        _ waitsForUs: Bool
    ) {
        var (process, parent) = (known.process, parent)
        var (sources, sinks) = (read.filter { flow($0).seeksWriter() }, written.filter { flow($0).seeksReader() })
        let standard = Set(open.written.filter { $0.value == STDOUT_FILENO }.keys)
        for _ in 0..<Self.mostLevels where parent > 1 && !(sources.isEmpty && sinks.isEmpty) {
            var left = Self.mostOfPipeline
            // The programs of a pipeline are made one after the other.
            for child in pipes.children(of: parent).sorted(by: {
                abs(Int($0) - Int(process)) < abs(Int($1) - Int(process))
            })
            where child != process && left > 0 {
                var next = [child]
                while let member = next.popLast(), left > 0 {
                    left -= 1
                    let ends = ends(of: member)
                    let both = ends.read.intersection(ends.written)
                    let (reads, writes) = (ends.read.subtracting(both), ends.written.subtracting(both))
                    let isJoined = !reads.isDisjoint(with: sinks) || !writes.isDisjoint(with: sources)
                    if isJoined {
                        let memory = memory(of: member)
                        for pipe in reads { memory.note(flow(pipe)) }
                        for pipe in writes { flow(pipe).note(writer: memory) }
                        // And so on, both ways, to where it is not known yet: who runs jobs may give all of them a pipe that leads nowhere.
                        sources.formUnion(reads.filter { flow($0).lacksWriter })
                        sinks.formUnion(writes.filter { flow($0).lacksReader })
                    }
                    next.append(contentsOf: pipes.children(of: member))
                }
            }
            let ends = waitsForUs ? settledEnds(of: parent, sinks) : ends(of: parent)
            let isInPipeline = !ends.read.isDisjoint(with: sources) || !ends.written.isDisjoint(with: sinks)
            // A shell that makes a pipeline has the ends of it for a moment, and those of a substitution for its command: who waits for what comes reads it.
            let read = ends.read.subtracting(ends.written).intersection(sinks).filter { !flow($0).isRead }
            let awaited = read.isEmpty ? [] : awaited(by: parent, of: ends.read, standard).intersection(read)
            if !awaited.isEmpty {
                let memory = memory(of: parent)
                for pipe in awaited { memory.note(flow(pipe)) }
                state.withLock { $0.threads[parent]?.known }?.had(ends)
                return
            }
            // A program that has started another one may write to it, if nobody else does.
            let written = ends.written.subtracting(ends.read).intersection(sources).filter { !flow($0).isWritten }
            if !written.isEmpty {
                let memory = memory(of: parent)
                for pipe in written { flow(pipe).note(starter: memory) }
                return
            }
            // A part of a pipeline that is a shell: the pipeline is that of the one above.
            guard isInPipeline, let above = ProcFile.parent(of: parent) else { return }
            (process, parent) = (parent, above)
        }
    }

    /// Whether a process is a shell, or a shell's child that has run no program; also where that is not known.
    func isOfShell(_ known: SeenProcess) -> Bool {
        let name = known.sight?.name ?? known.memory.name
        return name.isEmpty || JobKind.shells.contains(name)
    }

    /// Those of which a process has both ends: a queue, from the program that made it.
    func keep(_ open: inout SeenProcess.Open) {
        let all = (
            read: open.kept.read.union(open.read.keys), written: open.kept.written.union(open.written.keys)
        )
        let both = all.read.intersection(all.written)
        open.kept.read.formUnion(both)
        open.kept.written.formUnion(both)
    }

    /// Joins a process with the program that made it, through what that one has given it and it passes on to nobody: the pipe of which it has kept
    /// one end, the maker having the other; and a queue, of which both have both ends, when the maker is seen to read.
    func joinMaker(_ known: SeenProcess, _ memory: ProcessMemory, _ parent: Int32, _ open: SeenProcess.Open) {
        let all = open.kept.read.union(open.kept.written)
        guard !all.isEmpty, parent > 1 else { return }
        let ends = ends(of: parent)
        var shared: Set<UInt64> = []
        for pipe in all {
            switch (open.kept.read.contains(pipe), open.kept.written.contains(pipe)) {
            case (false, true) where ends.read.contains(pipe): shared.insert(pipe)
            case (true, false) where ends.written.contains(pipe):
                memory.note(flow(pipe))
                flow(pipe).note(starter: self.memory(of: parent))
            case (true, true):
                if ends.read.contains(pipe) { shared.insert(pipe) }
                // It may be about to run a program that reads what the maker writes.
                if memory.isOfProgram == false, ends.written.contains(pipe) {
                    flow(pipe).note(starter: self.memory(of: parent))
                }
            default: break
            }
        }
        guard !shared.isEmpty else { return }
        for pipe in awaited(by: parent, of: ends.read, memory.isOfProgram == false ? shared : []).intersection(shared) {
            flow(pipe).note(writer: memory)
            self.memory(of: parent).note(flow(pipe), since: Clock.sinceBoot())
        }
    }

    /// The pipes that a process has, a moment later where it goes on and has an end of a pipe of which nobody is known who reads it: a shell
    /// closes what is not its own, or begins to read, and who writes to the pipe has not begun meanwhile.
    private func settledEnds(of process: Int32, _ sinks: Set<UInt64>) -> PipeSights.Ends {
        var ends = ends(of: process)
        for _ in 0..<Self.mostPauses {
            guard
                ends.read.subtracting(ends.written).contains(where: { sinks.contains($0) && flow($0).mayAwaitReader() }
                ),
                case .runs = ProcFile.wait(of: process)
            else { return ends }
            usleep(Self.pause)
            ends = self.ends(of: process)
        }
        return ends
    }

    /// The pipes that a process reads at this moment; of one that waits for several things, those that a program's standard output goes to.
    private func awaited(by process: Int32, of read: Set<UInt64>, _ standard: Set<UInt64>) -> Set<UInt64> {
        switch ProcFile.wait(of: process) {
        case .none, .runs: return []
        case .several: return standard
        case .onPipe(let thread):
            let pipe = Lock<UInt64?>(nil)
            let isDone = reader.run(within: Self.patience) {
                let number = ProcFile.descriptorRead(by: thread).flatMap {
                    ProcFile.pipeNumber(ofProcess: process, descriptor: $0)
                }
                pipe.withLock { $0 = number }
            }
            return isDone == true ? pipe.withLock { $0 }.map { [$0] } ?? [] : []
        }
    }

    /// The pipes that a process has.
    func ends(of process: Int32) -> PipeSights.Ends {
        let moment = moments.now
        let ends = pipes.ends(of: process)
        guard ends.read.contains(where: ProcFile.isFifo) || ends.written.contains(where: ProcFile.isFifo) else {
            return ends
        }
        let start = state.withLock { $0.threads[process]?.known.start }
        let uses = uses(of: ends, process, start: start, at: moment)
        func named(_ pipes: Set<UInt64>) -> Set<UInt64> {
            Set(pipes.flatMap { ProcFile.isFifo($0) ? uses[$0] ?? [] : [$0] })
        }
        return (named(ends.read), named(ends.written))
    }

    /// Of a process of which nothing else is known yet, that it is there.
    func memory(of process: Int32) -> ProcessMemory {
        let (now, session) = (Clock.sinceBoot(), self.session)
        let (known, isNew) = state.withLock { state -> (SeenProcess, Bool) in
            if let entry = state.threads[process], entry.isValid(at: now, in: session) { return (entry.known, false) }
            let known = SeenProcess(process, start: nil, ProcessMemory(nil, name: "", isOfProgram: nil))
            state.threads[process] = Entry(known: known, end: now &+ Self.validity, session: session)
            return (known, true)
        }
        guard isNew else { return known.memory }
        // Soon: nobody waits.
        _ = reader.submit { [self] in
            guard let origin = ProcFile.origin(of: process) else { return }
            known.memory.isNamed(origin.memory, job(origin.group))
            if let id = origin.memory { state.withLock { _ = $0.memories.insert(id) } }
        }
        return known.memory
    }
}
