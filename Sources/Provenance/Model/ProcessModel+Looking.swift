internal import ArtifactRecords
internal import Glibc
internal import Synchronization
internal import SystemCalls

/// Looks at a process: what it runs, what it has open, what it was made from.
extension ProcessModel {
    func entry(of thread: Int32) -> Entry? {
        let (now, session) = (Clock.sinceBoot(), self.session)
        return state.withLock { state in
            guard let entry = state.threads[thread], entry.isValid(at: now, in: session) else { return nil }
            return entry
        }
    }

    func keep(_ known: SeenProcess, _ thread: Int32) {
        let entry = Entry(known: known, end: Clock.sinceBoot() &+ Self.validity, session: session)
        state.withLock { state in
            // A thread's own end is not heard.
            state.threads[thread] = Entry(known: known, end: entry.end, session: 0)
            state.threads[known.process] = entry
        }
        tidy()
    }

    /// Looks at a process one of whose threads waits for our answer.
    ///
    /// - Parameter process: which one that is, where that is known.
    func look(at thread: Int32, of known: Int32? = nil) -> SeenProcess? {
        let process: Int32
        if let known {
            process = known
        } else if let entry = entry(of: thread) {
            // It was looked at when it was heard that it runs this program.
            if entry.known.memory.isOfProgram == true, entry.known.sight?.isNew == true,
                entry.known.open.written.keys.allSatisfy({ flow($0).isRead })
            {
                return entry.known
            }
            process = entry.known.process
        } else {
            guard let found = ProcFile.processID(ofThread: thread) else { return nil }
            process = found
        }
        guard let known = see(process, waitsForUs: true) else { return nil }
        keep(known, thread)
        wasMadeUnheard(known)
        return known
    }

    /// It was not heard that a process was made: that was before anybody listened. When it is the only one that its maker has, whom that one
    /// makes from now on comes after it.
    private func wasMadeUnheard(_ known: SeenProcess) {
        let session = self.session
        guard session != 0,
            let (origin, start) = known.sight.flatMap({ sight in known.start.map { (sight.origin, $0) } }),
            origin.parent > 1, state.withLock({ $0.makers[known.process] == nil && $0.makers.count < Self.most })
        else { return }
        guard state.withLock({ $0.threads[origin.parent]?.known.hasChildren }) != true,
            pipes.children(of: origin.parent) == [known.process]
        else { return }
        _ = memory(of: origin.parent)
        guard let maker = state.withLock({ $0.threads[origin.parent]?.known }) else { return }
        state.withLock { $0.makers[known.process] = maker }
        maker.made(
            .init(
                known: known, made: .init(memory: maker.memory, time: .start(start, process: known.process)),
                begin: Clock.monotonic() &- (Clock.sinceBoot() &- Moment.time(ofTick: start)), end: nil,
                session: session))
    }

    /// What a process is now; nil when it is gone.
    ///
    /// - Parameter waitsForUs: whether it does nothing until we are done.
    func see(_ process: Int32, waitsForUs: Bool = false) -> SeenProcess? {
        guard let sight = ProcFile.sight(of: process) else { return nil }
        let (origin, name) = (sight.origin, sight.name)
        let job = job(origin.group)
        // That it was made was heard, to the nanosecond.
        let heard = state.withLock { $0.threads[process]?.known.memory.start }
        let memory = ProcessMemory(
            origin.memory, name: name, isOfProgram: origin.isProgram,
            start: heard.flatMap { Moment.isSame(origin.start, $0) ? $0 : nil } ?? Moment.time(ofTick: origin.start),
            making: .start(origin.start, process: process), job: job)
        let known = known(process, origin, memory)
        known.sight = sight
        let former = known.memory
        if former !== memory {
            if former.isOfProgram == origin.isProgram, former.name.isEmpty || former.name == name,
                former.id == nil || origin.memory == nil || former.id == origin.memory
            {
                former.isNamed(origin.memory, job)
                known.began(origin.start)
                if known.isFirstLook() {
                    // That it was made was heard before.
                    inherit(former, known, origin, from: nil, known.open, waitsForUs)
                } else {
                    // What goes on may be another thing by now.
                    if !origin.isProgram, origin.memory != nil { _ = ends(of: known, origin) }
                    let open = known.open
                    joinMaker(known, former, origin.parent, open)
                    join(
                        known, origin.parent, read: Set(open.read.keys), written: Set(open.written.keys), open,
                        waitsForUs)
                }
                return known
            }
            // Of one that was seen as a part of a pipeline only it is learned what it is.
            if former.isOfProgram == nil { former.hand(to: memory) }
        }
        let open = known.open
        if former !== memory, !known.begin(memory, after: former, start: origin.start) { return known }
        _ = known.isFirstLook()
        inherit(memory, known, origin, from: former === memory ? nil : former, open, waitsForUs)
        if origin.isProgram, former !== memory {
            former.hasBecomeProgram { ProcFile.bytesWritten(byThread: process) == 0 }
        }
        if let id = origin.memory { state.withLock { _ = $0.memories.insert(id) } }
        return known
    }

    /// The one object for a process.
    private func known(_ process: Int32, _ origin: ProcFile.Descent, _ memory: ProcessMemory) -> SeenProcess {
        let (now, session) = (Clock.sinceBoot(), self.session)
        // Within a tick a number may be given again, whose former owner's end is not heard yet.
        let isYoung = now < Moment.time(ofTick: origin.start) &+ Self.youth
        let birth = isYoung ? try? SystemCall.birth(ofProcess: process) : nil
        return state.withLock { state in
            if let entry = state.threads[process], entry.known.process == process,
                entry.known.start.map({ $0 == origin.start }) ?? entry.isValid(at: now, in: session),
                entry.known.isBorn(birth)
            {
                return entry.known
            }
            let known = SeenProcess(process, start: origin.start, memory)
            _ = known.isBorn(birth)
            state.threads[process] = Entry(known: known, end: now &+ Self.validity, session: session)
            return known
        }
    }

    /// What a process has open to read, the pipes that it has, and which standard streams.
    private func ends(
        of known: SeenProcess, _ origin: ProcFile.Descent
    ) -> (all: [ReadFile], SeenProcess.Open, streams: Set<Int32>) {
        var open = SeenProcess.Open()
        var all: [ReadFile] = []
        var standard: Set<ObjectIdentifier> = []
        let own = Set(known.open.own.values.map { ObjectIdentifier($0.file) })
        func add(_ pipe: UInt64, _ number: Int32, to ends: inout [UInt64: Int32]) {
            ends[pipe] = min(ends[pipe] ?? number, number)
        }
        let moment = moments.now
        let descriptors = ProcFile.descriptors(
            of: known.process, below: observesOutside ? [UInt8(ascii: "/")] : place.isEmpty ? nil : place,
            seesFlags: !origin.isProgram)
        let isOfShell = isOfShell(known)
        let named = uses(of: PipeSights.namedEnds(descriptors), known.process, start: origin.start, at: moment)
        for descriptor in descriptors {
            // A shell's child marks what it does not pass on.
            let isPassedOn = origin.isProgram || !descriptor.isClosedOnExec
            if let pipe = descriptor.pipe {
                for pipe in ProcFile.isFifo(pipe) ? named[pipe] ?? [] : [pipe] {
                    if !isPassedOn, !isOfShell {
                        if descriptor.isRead { open.kept.read.insert(pipe) }
                        if descriptor.isWritten { open.kept.written.insert(pipe) }
                    }
                    guard isPassedOn else { continue }
                    if descriptor.isRead { add(pipe, descriptor.number, to: &open.read) }
                    // What is said on the standard error stream is no data.
                    if descriptor.isWritten, descriptor.number != STDERR_FILENO {
                        add(pipe, descriptor.number, to: &open.written)
                    }
                }
            } else if descriptor.isRead, let file = file(shownAt: descriptor.target),
                !file.isOutside || !descriptor.isWritten
            {
                all.append(file)
                guard isPassedOn else { continue }
                if descriptor.number <= STDERR_FILENO { standard.insert(ObjectIdentifier(file)) }
                if !own.contains(ObjectIdentifier(file)) { open.files.append((file, descriptor.number)) }
            }
        }
        if !isOfShell { keep(&open) }
        // A pipe to itself tells nothing: a shell's child has such ends before it runs its command.
        for pipe in Set(open.read.keys).intersection(open.written.keys) {
            (open.read[pipe], open.written[pipe]) = (nil, nil)
        }
        known.has(open, standard: standard)
        return (all, open, Set(descriptors.lazy.map(\.number).filter { $0 <= STDERR_FILENO }))
    }

    /// What a process has from others at the beginning: what was opened for it, whose pipes it reads, what it was made from.
    ///
    /// - Parameters:
    ///   - former: what it was before; nil of one that is new.
    ///   - before: what it had open then.
    ///   - waitsForUs: whether it does nothing until we are done.
    private func inherit(
        _ memory: ProcessMemory, _ known: SeenProcess, _ origin: ProcFile.Descent, from former: ProcessMemory?,
        _ before: SeenProcess.Open, _ waitsForUs: Bool
    ) {
        let now = moments.now
        // Of what ends it is not shown what it has open, but nobody has closed it. What goes on has closed its standard streams itself.
        let isEnding = origin.memory == nil && !before.isRedirected
        let (files, open, streams) = ends(of: known, origin)
        // The ends that a program has beside its standard streams may be of pipes that it made for others: those that it was given its parent has too.
        let isGiven = given(open, by: origin.parent)
        var read = Set(open.read.filter { isGiven($0.key, $0.value) }.keys)
        var written = Set(open.written.filter { isGiven($0.key, $0.value) }.keys)
        let own = Set((former?.reads ?? []).filter { $0.how == .process }.map { ObjectIdentifier($0.file) })
        for file in files {
            let how: ArtifactRecord.How = own.contains(ObjectIdentifier(file)) ? .process : .ancestor
            memory.note(.init(file: file, moment: now, how: how))
        }
        if former != nil {
            // A standard stream that is another thing now was another thing before the program ran: the shell's child opens what it is to be.
            func isKept(_ descriptor: Int32) -> Bool {
                isEnding || descriptor <= STDERR_FILENO && !streams.contains(descriptor) && !before.isRedirected
            }
            for held in before.own.values where isEnding || held.isStandard {
                memory.note(.init(file: held.file, moment: now, how: .process))
            }
            for given in before.files where isKept(given.descriptor) {
                memory.note(.init(file: given.file, moment: now, how: .ancestor))
            }
            read.formUnion(before.read.filter { isKept($0.value) }.keys)
            // Seen late, when it has closed its standard input: what was opened to write is in the place of another one. The pipe of a pipeline only
            // that one has for whom the shell made it; what a group of commands has, each of them may have put something else in the place of.
            let input = before.read.first { $0.value == STDIN_FILENO && !read.contains($0.key) }?.key
            if let input, !streams.contains(STDIN_FILENO), before.own.isEmpty,
                !ends(of: origin.parent).read.contains(input)
            {
                read.insert(input)
            }
            written.formUnion(before.written.filter { isKept($0.value) }.keys)
        }
        if !origin.isProgram, memory.parent == nil, let parent = parent(of: known.process, origin) {
            memory.note(parent)
        }
        for pipe in read { memory.note(flow(pipe)) }
        for pipe in written { flow(pipe).note(writer: memory) }
        joinMaker(known, memory, origin.parent, open)
        if !read.isEmpty || !written.isEmpty {
            join(known, origin.parent, read: read, written: written, open, waitsForUs)
            if let pipe = read.first(where: { open.read[$0] == STDIN_FILENO }) {
                findEnded(pipe, known, memory, origin.parent, former)
            }
        }
    }

    /// Tells of a process's ends of pipes whether it was given them.
    private func given(_ open: SeenProcess.Open, by parent: Int32) -> (UInt64, Int32) -> Bool {
        let hasOthers = [open.read.values, open.written.values].contains { $0.contains { $0 > STDERR_FILENO } }
        let ends = hasOthers ? ends(of: parent) : (read: [], written: [])
        return { pipe, number in
            number <= STDERR_FILENO || ProcFile.isFifo(pipe) || ends.read.contains(pipe) || ends.written.contains(pipe)
        }
    }

    /// Finds who wrote to a pipe and has ended: the shell's child before the one that reads it; or, when there was none, the reader before it ran
    /// its program, as a shell writes a here-document.
    ///
    /// - Parameters:
    ///   - memory: what the reader is.
    ///   - former: what it was before.
    private func findEnded(
        _ pipe: UInt64, _ reader: SeenProcess, _ memory: ProcessMemory, _ parent: Int32, _ former: ProcessMemory?
    ) {
        let process = reader.process
        guard !flow(pipe).isWritten, !ProcFile.isFifo(pipe) else { return }
        if memory.isOfProgram == false, reader.hasMade(pipe), !ends(of: parent).read.contains(pipe) {
            return flow(pipe).note(writer: memory)
        }
        guard let shell = state.withLock({ $0.threads[parent]?.known }),
            let (child, before) = shell.child(process), child.session == session, session != 0
        else { return }
        let ends = ends(of: parent)
        // It reads itself for a moment what it has written: seen without that when it opened the command's output.
        if before == nil, JobKind.writesDocumentsItself.contains(shell.memory.name), shell.isSeen,
            shell.open.read[pipe] == nil, ends.read.contains(pipe), !ends.written.contains(pipe)
        {
            return flow(pipe).note(starter: shell.memory)
        }
        guard !ends.read.contains(pipe), !ends.written.contains(pipe) else { return }
        if let before {
            // Of one that was looked at it is known what it wrote to. The end of one before it may be told late.
            let isGone =
                before.end != nil || !ProcFile.isAlive(before.known.process)
                || !ProcFile.hasDescriptors(before.known.process)
            if isGone, !before.known.isSeen, before.session == session { flow(pipe).note(writer: before.known.memory) }
            return
        }
        // It has written nothing, so its maker has, which may have closed it already.
        if ProcFile.bytesWritten(byThread: process) == 0 { return flow(pipe).note(starter: child.made.memory) }
        // With what it had read by then: a substitution in the document.
        if let former, former.isOfProgram == false { return flow(pipe).note(writer: former) }
        // As it was made.
        let writer = ProcessMemory(nil, name: "", isOfProgram: false)
        writer.note(child.made)
        flow(pipe).note(writer: writer)
    }

    /// The process that this one was made from, and that it has the memory of.
    private func parent(of process: Int32, _ origin: ProcFile.Descent) -> ProcessMemory.Parent? {
        guard let id = origin.memory, state.withLock({ $0.memories.contains(id) }) else { return nil }
        var (child, start, parent) = (process, origin.start, origin.parent)
        for _ in 0..<Self.mostLevels where parent > 1 {
            if let known = state.withLock({ $0.threads[parent]?.known }), known.memory.id == id {
                return .init(memory: known.memory, time: .start(start, process: child))
            }
            // One that has opened nothing stands in between.
            guard let between = patientOrigin(of: parent), between.memory == id, !between.isProgram else { return nil }
            (child, start, parent) = (parent, between.start, between.parent)
        }
        return nil
    }

    /// Of a process that may be running another program at this moment.
    private func patientOrigin(of process: Int32) -> ProcFile.Descent? { origin(of: process, within: Self.patience) }

    /// - Parameter limit: it is waited for so many milliseconds.
    func origin(of process: Int32, within limit: Int32) -> ProcFile.Descent? {
        let found = Lock<ProcFile.Descent?>(nil)
        let isDone = reader.run(within: limit) {
            let origin = ProcFile.origin(of: process)
            found.withLock { $0 = origin }
        }
        return isDone == true ? found.withLock { $0 } : nil
    }
}
