internal import ArtifactRecords
internal import Glibc
internal import Synchronization
internal import SystemCalls

/// What processes have read, and how it came to those that write: a model of processes, fed by their opens.
///
/// Every statement of it is of what was seen. A process is looked at when it opens a file for the first time, then a few times more, because a young
/// one may run another program, and from then on once in a while. A program is told from another one by its memory (`ProcFile.MemoryID`).
package final class ProcessModel: Sendable {
    /// A process, and what it runs now.
    final class SeenProcess: Sendable {
        /// What it has open, as that was seen last.
        struct Open: Sendable {
            /// What it has opened itself and nobody has closed, by the numbers of the handles; whether it was seen to pass it on to another program
            /// as a standard stream.
            var own: [UInt64: (file: ReadFile, isStandard: Bool)] = [:]
            /// What it was given and passes on, with the lowest descriptor.
            var files: [(file: ReadFile, descriptor: Int32)] = []
            /// The pipes that it passes on, with the lowest descriptor.
            var (read, written): ([UInt64: Int32], [UInt64: Int32]) = ([:], [:])
        }

        private struct State {
            var memory: ProcessMemory
            var start: UInt64?
            var open = Open()
            var isSeen = false
            /// Whom it has made last.
            var children: [Child] = []
        }

        /// A process that it has made.
        struct Child: Sendable {
            let known: SeenProcess
            /// When it was made, and what it had then.
            let made: ProcessMemory.Parent
            /// On the monotonic clock.
            let begin: UInt64
            var end: UInt64?
            /// Where it was heard.
            let session: Int
        }

        let process: Int32
        private let state: Lock<State>
        /// How many opens are looked at before it is known well.
        let looksLeft = Atomic(ProcessModel.firstLooks)
        /// How often it is still looked for the other ends of its pipes.
        let searchesLeft = Atomic(ProcessModel.mostSearches)

        init(_ process: Int32, start: UInt64?, _ memory: ProcessMemory) {
            self.process = process
            state = Lock(State(memory: memory, start: start))
        }

        var memory: ProcessMemory { state.withLock { $0.memory } }

        /// When it was made, in ticks since the machine's start; nil when that was not seen yet.
        var start: UInt64? { state.withLock { $0.start } }

        /// Whether its descriptors were looked at.
        var isSeen: Bool { state.withLock { $0.isSeen } }

        /// Whether its descriptors were never looked at; they are now.
        func isFirstLook() -> Bool {
            state.withLock { state in
                defer { state.isSeen = true }
                return !state.isSeen
            }
        }

        func began(_ start: UInt64) { state.withLock { if $0.start == nil { $0.start = start } } }

        /// It has made another process.
        func made(_ child: Child) {
            state.withLock { state in
                if state.children.count >= 32 { state.children.removeFirst(16) }
                state.children.append(child)
            }
        }

        func hasEnded(_ process: Int32, _ time: UInt64) {
            state.withLock { state in
                guard let index = state.children.lastIndex(where: { $0.known.process == process }) else { return }
                state.children[index].end = time
            }
        }

        /// A child, and the one that was made before it and may have lived then; nil when the child's making was not heard.
        func child(_ process: Int32) -> (child: Child, before: Child?)? {
            state.withLock { state in
                guard let index = state.children.lastIndex(where: { $0.known.process == process }) else { return nil }
                let child = state.children[index]
                return (child, state.children[..<index].last { $0.end.map { $0 > child.begin } ?? true })
            }
        }

        var open: Open { state.withLock { $0.open } }

        /// - Returns: false when somebody else has seen that first.
        func begin(_ memory: ProcessMemory, after former: ProcessMemory, start: UInt64?) -> Bool {
            let isFirst = state.withLock { state in
                guard state.memory === former else { return false }
                state.memory = memory
                if let start { state.start = start }
                return true
            }
            if isFirst { looksLeft.store(ProcessModel.firstLooks, ordering: .relaxed) }
            return isFirst
        }

        func hold(_ number: UInt64, _ file: ReadFile) { state.withLock { $0.open.own[number] = (file, false) } }

        /// A handle of it is closed.
        ///
        /// - Parameter name: what it is called now. A program closes its standard input itself; before it was run, a shell has closed what
        ///   its command is not to have.
        func closed(_ number: UInt64, called name: String) {
            state.withLock { state in
                guard let held = state.open.own[number] else { return }
                if !held.isStandard || state.memory.name == name { state.open.own[number] = nil }
            }
        }

        /// What was seen of its descriptors.
        func has(_ open: Open, standard: Set<ObjectIdentifier>) {
            state.withLock { state in
                let own = state.open.own.mapValues { held in
                    (held.file, held.isStandard || standard.contains(ObjectIdentifier(held.file)))
                }
                state.open = open
                state.open.own = own
            }
        }
    }

    private struct Entry {
        let known: SeenProcess
        /// Until when a thread's number is taken to be the same thread's, on the clock of moments.
        var end: UInt64
        /// As long as that goes on, its end would have been heard; 0 of none.
        var session: Int

        func isValid(at now: UInt64, in session: Int) -> Bool { now < end || session != 0 && self.session == session }
    }

    private struct State {
        /// By the numbers of threads.
        var threads: [Int32: Entry] = [:]
        /// By the numbers of pipes.
        var pipes: [UInt64: PipeFlow] = [:]
        /// What was read, by its path on the mount.
        var files: [String: ReadFile] = [:]
        /// Of whose memories it is known what they are.
        var memories: Set<ProcFile.MemoryID> = []
        /// Who made a process, by its number, as long as it lives.
        var makers: [Int32: SeenProcess] = [:]
        /// Who opened what is to be told when it is closed.
        var handles: [UInt64: SeenProcess] = [:]
        var nextHandle: UInt64 = 1
    }

    /// So many opens of a program are looked at, before it is taken to be one that goes on.
    static let firstLooks = 8
    /// In nanoseconds: meanwhile a process does not end, be forgotten, and its number come back as another's.
    private static let validity: UInt64 = 200_000_000
    /// Whoever is at the other end of a pipe is there within the first few opens.
    static let mostSearches = 3
    private static let most = 8192
    private static let mostFiles = 65_536
    /// A program of a pipeline is not farther from its shell than that.
    private static let mostLevels = 8
    private static let mostOfPipeline = 64
    /// In milliseconds: for what is read of a process that may be running another program at this moment.
    private static let patience: Int32 = 1000

    /// Where the files are shown, with a slash; empty when that is not known.
    private let place: [UInt8]
    private let moments = MomentSource()
    private let reader: PatientReader
    /// Set once.
    private let events = Lock<ProcessEvents?>(nil)
    /// A leaf in the order of locks.
    private let state = Lock(State())

    /// - Parameters:
    ///   - mountPoint: where the files are shown.
    ///   - reader: reads of processes what may have to wait for them.
    init(mountPoint: String, reader: PatientReader) {
        place = mountPoint.isEmpty ? [] : Array(mountPoint.utf8) + [UInt8(ascii: "/")]
        self.reader = reader
        let events = ProcessEvents { [weak self] in self?.hear($0) }
        self.events.withLock { $0 = events }
    }

    // MARK: - What is heard

    /// - Parameter event: of any process of this machine.
    private func hear(_ event: SystemCall.ProcessEvent) {
        switch event {
        case .made(let process, let parent, let time): heard(process, isMadeBy: parent, time)
        // It has not begun yet to do anything.
        case .ran(let process, _): hasBecomeAnother(process)
        case .ended(let process, let time):
            let maker = state.withLock { state in
                state.threads[process] = nil
                return state.makers.removeValue(forKey: process)
            }
            maker?.hasEnded(process, time)
        case .lost: break
        }
    }

    private func heard(_ process: Int32, isMadeBy parent: Int32, _ time: UInt64) {
        let session = self.session
        let now = (boot: Clock.sinceBoot(), monotonic: Clock.monotonic())
        guard let entry = state.withLock({ $0.threads[parent] }) else { return }
        let from = entry.known
        // Its number may have become another's while nothing was heard.
        guard entry.isValid(at: now.boot, in: session) || from.start == ProcFile.origin(of: parent)?.start else {
            return
        }
        state.withLock { $0.threads[parent]?.session = session }
        let begin = now.boot &- (now.monotonic &- time)
        let made = ProcessMemory.Parent(memory: from.memory, time: .at(begin))
        let memory = ProcessMemory(from.memory.id, name: from.memory.name, isOfProgram: false)
        memory.note(made)
        let known = state.withLock { state in
            if state.makers.count < Self.most { state.makers[process] = from }
            // It may have opened something before we came to this.
            if let seen = state.threads[process]?.known, seen.memory.isOfProgram == false,
                let start = seen.start, Moment.isSame(start, begin)
            {
                return seen
            }
            let known = SeenProcess(process, start: nil, memory)
            state.threads[process] = Entry(known: known, end: now.boot &+ Self.validity, session: session)
            return known
        }
        if known.memory !== memory { known.memory.note(made) }
        from.made(.init(known: known, made: made, begin: time, session: session))
    }

    // MARK: - What happens

    /// A thread opens a file to read. It waits for our answer.
    ///
    /// - Parameter file: called when it is new to its process.
    /// - Returns: a number, when it is to be told that the handle is closed.
    func opens(_ identity: FileIdentity, by thread: Int32, _ file: () -> ReadFile?) -> UInt64? {
        guard thread > 0 else { return nil }
        let known: SeenProcess
        if let entry = entry(of: thread), entry.known.looksLeft.load(ordering: .relaxed) <= 0 {
            known = entry.known
            if known.memory.hasRead(identity) { return nil }
        } else {
            listen()
            guard let seen = look(at: thread) else { return nil }
            known = seen
            known.looksLeft.subtract(1, ordering: .relaxed)
        }
        let memory = known.memory
        guard let file = file().map(shared) else { return nil }
        memory.note(.init(file: file, moment: now, how: .process))
        // It may run another program, with this open still.
        guard memory.isOfProgram == false else { return nil }
        let number = state.withLock { state -> UInt64? in
            guard state.handles.count < Self.most else { return nil }
            defer { state.nextHandle += 1 }
            state.handles[state.nextHandle] = known
            return state.nextHandle
        }
        // The kernel has not been told of it yet: nobody closes it before.
        if let number { known.hold(number, file) }
        // What it makes of that is seen as soon as it has our answer.
        let process = known.process
        _ = reader.submit { [self] in _ = see(process) }
        return number
    }

    /// The last descriptor of a file is closed that was opened to read.
    func closed(_ number: UInt64) {
        guard let known = state.withLock({ $0.handles.removeValue(forKey: number) }) else { return }
        known.closed(number, called: ProcFile.program(ofThread: known.process))
    }

    /// A process has become another program, it was seen. Called on a thread that may wait.
    func hasBecomeAnother(_ process: Int32) {
        guard let known = state.withLock({ $0.threads[process]?.known }) else { return }
        let former = known.memory
        guard see(process) == nil else { return }
        // It is gone: what it was made from it did not remember any more.
        _ = known.begin(ProcessMemory(nil, name: "", isOfProgram: true), after: former, start: nil)
    }

    /// A thread opens a file to write. It waits for our answer.
    func opensToWrite(_ thread: Int32) {
        guard thread > 0 else { return }
        if let entry = entry(of: thread), entry.known.looksLeft.load(ordering: .relaxed) <= 0 { return }
        listen()
        look(at: thread)?.looksLeft.subtract(1, ordering: .relaxed)
    }

    /// A thread closes a file that it, or a process that it comes from, has written to. It waits for our answer, and may be running another program
    /// at this moment.
    ///
    /// - Parameter name: what it is called by now.
    /// - Returns: what it may remember; nil when that is not seen.
    func closes(_ thread: Int32, called name: String) -> ProcessMemory? {
        guard thread > 0 else { return nil }
        if let entry = entry(of: thread) {
            let memory = entry.known.memory
            if memory.isOfProgram == true, memory.name == name { return memory }
        }
        guard let process = ProcFile.processID(ofThread: thread) else { return nil }
        // Nobody waits for long for what may wait for us.
        let found = Lock<SeenProcess?>(nil)
        let isDone = reader.run(within: Self.patience) { [self] in
            let seen = see(process)
            found.withLock { $0 = seen }
        }
        guard isDone == true, let known = found.withLock({ $0 }) else {
            return entry(of: thread).map(\.known.memory).flatMap { $0.name == name ? $0 : nil }
        }
        keep(known, thread)
        return known.memory
    }

    /// Whether a process has written anything.
    func hasWritten(_ thread: Int32) -> Bool {
        let written = Lock<UInt64>(0)
        // In execve(2) it would have to be waited for.
        let isDone = reader.run(within: Self.patience) {
            let bytes = ProcFile.bytesWritten(byThread: thread) ?? 0
            written.withLock { $0 = bytes }
        }
        return isDone == true && written.withLock { $0 } > 0
    }

    /// Now, for ``ProcessMemory/edges(of:)``.
    package static var now: UInt64 { Clock.sinceBoot() }

    /// The order of what a process reads and of what it makes is told by the times that are heard, or else by the numbers of processes.
    private var now: Moment {
        events.withLock { $0 }?.isHeard == true ? Moment(time: Clock.sinceBoot(), lastProcess: 0) : moments.now
    }

    private var session: Int { events.withLock { $0 }?.session ?? 0 }

    private func listen() { events.withLock { $0 }?.need() }

    // MARK: - Looking

    private func entry(of thread: Int32) -> Entry? {
        let now = Clock.sinceBoot()
        return state.withLock { state in
            guard let entry = state.threads[thread], now < entry.end else { return nil }
            return entry
        }
    }

    private func keep(_ known: SeenProcess, _ thread: Int32) {
        let entry = Entry(known: known, end: Clock.sinceBoot() &+ Self.validity, session: session)
        state.withLock { state in
            // A thread's own end is not heard.
            state.threads[thread] = Entry(known: known, end: entry.end, session: 0)
            state.threads[known.process] = entry
        }
        tidy()
    }

    /// Looks at a process one of whose threads waits for our answer.
    private func look(at thread: Int32) -> SeenProcess? {
        let process: Int32
        if let entry = entry(of: thread) {
            process = entry.known.process
        } else {
            guard let found = ProcFile.processID(ofThread: thread) else { return nil }
            process = found
        }
        guard let known = see(process) else { return nil }
        keep(known, thread)
        return known
    }

    /// What a process is now; nil when it is gone.
    private func see(_ process: Int32) -> SeenProcess? {
        guard let (origin, name) = ProcFile.originAndName(of: process) else { return nil }
        let memory = ProcessMemory(origin.memory, name: name, isOfProgram: origin.isProgram)
        let known = known(process, origin, memory)
        let former = known.memory
        if former !== memory {
            if former.isOfProgram == origin.isProgram, former.name.isEmpty || former.name == name,
                former.id == nil || origin.memory == nil || former.id == origin.memory
            {
                former.isNamed(origin.memory)
                known.began(origin.start)
                if known.isFirstLook() {
                    // That it was made was heard before.
                    inherit(former, known, origin, from: nil, known.open)
                } else {
                    // What goes on may be another thing by now.
                    if !origin.isProgram, origin.memory != nil { _ = ends(of: known, origin) }
                    let open = known.open
                    let read = open.read.keys.filter { !flow($0).isWritten }
                    let written = open.written.keys.filter { !flow($0).isRead }
                    if !read.isEmpty || !written.isEmpty, known.searchesLeft.load(ordering: .relaxed) > 0 {
                        known.searchesLeft.subtract(1, ordering: .relaxed)
                        join(
                            process, origin.parent, read: Set(read), written: Set(written),
                            standard: Set(open.written.filter { $0.value == STDOUT_FILENO }.keys))
                    }
                }
                return known
            }
            // Of one that was seen as a part of a pipeline only it is learned what it is.
            if former.isOfProgram == nil { former.hand(to: memory) }
        }
        let open = known.open
        if former !== memory, !known.begin(memory, after: former, start: origin.start) { return known }
        _ = known.isFirstLook()
        inherit(memory, known, origin, from: former === memory ? nil : former, open)
        if let id = origin.memory { state.withLock { _ = $0.memories.insert(id) } }
        return known
    }

    /// The one object for a process.
    private func known(_ process: Int32, _ origin: ProcFile.Descent, _ memory: ProcessMemory) -> SeenProcess {
        let (now, session) = (Clock.sinceBoot(), self.session)
        return state.withLock { state in
            if let entry = state.threads[process], entry.known.process == process,
                entry.known.start.map({ $0 == origin.start }) ?? entry.isValid(at: now, in: session)
            {
                return entry.known
            }
            let known = SeenProcess(process, start: origin.start, memory)
            state.threads[process] = Entry(known: known, end: now &+ Self.validity, session: session)
            return known
        }
    }

    /// What a process has open to read, and the pipes that it has.
    private func ends(of known: SeenProcess, _ origin: ProcFile.Descent) -> (all: [ReadFile], SeenProcess.Open) {
        var open = SeenProcess.Open()
        var all: [ReadFile] = []
        var standard: Set<ObjectIdentifier> = []
        let own = Set(known.open.own.values.map { ObjectIdentifier($0.file) })
        func add(_ pipe: UInt64, _ number: Int32, to ends: inout [UInt64: Int32]) {
            ends[pipe] = min(ends[pipe] ?? number, number)
        }
        for descriptor in ProcFile.descriptors(of: known.process) {
            // A shell's child marks what it does not pass on.
            let isPassedOn = origin.isProgram || !descriptor.isClosedOnExec
            if let pipe = descriptor.pipe {
                guard isPassedOn else { continue }
                if descriptor.isRead { add(pipe, descriptor.number, to: &open.read) }
                // What is said on the standard error stream is no data.
                if descriptor.isWritten, descriptor.number != STDERR_FILENO {
                    add(pipe, descriptor.number, to: &open.written)
                }
            } else if descriptor.isRead, let file = file(shownAt: descriptor.target) {
                all.append(file)
                guard isPassedOn else { continue }
                if descriptor.number <= STDERR_FILENO { standard.insert(ObjectIdentifier(file)) }
                if !own.contains(ObjectIdentifier(file)) { open.files.append((file, descriptor.number)) }
            }
        }
        // A pipe to itself tells nothing: a shell's child has such ends before it runs its command.
        for pipe in Set(open.read.keys).intersection(open.written.keys) {
            (open.read[pipe], open.written[pipe]) = (nil, nil)
        }
        known.has(open, standard: standard)
        return (all, open)
    }

    /// What a process has from others at the beginning: what was opened for it, whose pipes it reads, what it was made from.
    ///
    /// - Parameters:
    ///   - former: what it was before; nil of one that is new.
    ///   - before: what it had open then.
    private func inherit(
        _ memory: ProcessMemory, _ known: SeenProcess, _ origin: ProcFile.Descent, from former: ProcessMemory?,
        _ before: SeenProcess.Open
    ) {
        let now = moments.now
        // Of what ends it is not shown what it has open, but nobody has closed it. What goes on has closed its standard streams itself.
        let isEnding = origin.memory == nil
        let (files, open) = ends(of: known, origin)
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
            func isKept(_ descriptor: Int32) -> Bool { isEnding || descriptor <= STDERR_FILENO }
            for held in before.own.values where isEnding || held.isStandard {
                memory.note(.init(file: held.file, moment: now, how: .process))
            }
            for given in before.files where isKept(given.descriptor) {
                memory.note(.init(file: given.file, moment: now, how: .ancestor))
            }
            read.formUnion(before.read.filter { isKept($0.value) }.keys)
            written.formUnion(before.written.filter { isKept($0.value) }.keys)
        }
        if !origin.isProgram, memory.parent == nil, let parent = parent(of: known.process, origin) {
            memory.note(parent)
        }
        for pipe in read { memory.note(flow(pipe)) }
        for pipe in written { flow(pipe).note(writer: memory) }
        if !read.isEmpty || !written.isEmpty {
            join(
                known.process, origin.parent, read: read, written: written,
                standard: Set(open.written.filter { $0.value == STDOUT_FILENO }.keys))
            if let pipe = read.first(where: { open.read[$0] == STDIN_FILENO }) {
                findEnded(pipe, known.process, origin.parent)
            }
        }
    }

    /// Tells of a process's ends of pipes whether it was given them.
    private func given(_ open: SeenProcess.Open, by parent: Int32) -> (UInt64, Int32) -> Bool {
        let hasOthers = [open.read.values, open.written.values].contains { $0.contains { $0 > STDERR_FILENO } }
        let ends = hasOthers ? ends(of: parent) : (read: [], written: [])
        return { pipe, number in
            number <= STDERR_FILENO || ends.read.contains(pipe) || ends.written.contains(pipe)
        }
    }

    /// Finds who wrote to a pipe and has ended: the shell's child before the one that reads it; or, when there was none, the reader before it ran
    /// its program, as a shell writes a here-document.
    private func findEnded(_ pipe: UInt64, _ process: Int32, _ parent: Int32) {
        guard !flow(pipe).isWritten, let shell = state.withLock({ $0.threads[parent]?.known }),
            let (child, before) = shell.child(process), child.session == session, session != 0
        else { return }
        let ends = ends(of: parent)
        guard !ends.read.contains(pipe), !ends.written.contains(pipe) else { return }
        if let before {
            // Of one that was looked at it is known what it wrote to. The end of one before it may be told late.
            let isGone =
                before.end != nil || !ProcFile.isAlive(before.known.process)
                || ProcFile.descriptors(of: before.known.process).isEmpty
            if isGone, !before.known.isSeen, before.session == session { flow(pipe).note(writer: before.known.memory) }
            return
        }
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
    private func patientOrigin(of process: Int32) -> ProcFile.Descent? {
        let found = Lock<ProcFile.Descent?>(nil)
        let isDone = reader.run(within: Self.patience) {
            let origin = ProcFile.origin(of: process)
            found.withLock { $0 = origin }
        }
        return isDone == true ? found.withLock { $0 } : nil
    }

    // MARK: - Pipelines

    private func flow(_ pipe: UInt64) -> PipeFlow {
        state.withLock { state in
            if let flow = state.pipes[pipe] { return flow }
            if state.pipes.count >= Self.most { state.pipes = [:] }
            let flow = PipeFlow()
            state.pipes[pipe] = flow
            return flow
        }
    }

    /// Finds who is at the other ends of a process's pipes: in its pipeline, or the one that made it.
    ///
    /// - Parameter standard: what its standard output goes to.
    private func join(
        _ process: Int32, _ parent: Int32, read: Set<UInt64>, written: Set<UInt64>, standard: Set<UInt64>
    ) {
        var (process, parent) = (process, parent)
        var (sources, sinks) = (read, written)
        for _ in 0..<Self.mostLevels where parent > 1 && !(sources.isEmpty && sinks.isEmpty) {
            var left = Self.mostOfPipeline
            // The programs of a pipeline are made one after the other.
            for child in ProcFile.children(of: parent).sorted(by: {
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
                        // And so on, both ways.
                        sources.formUnion(reads)
                        sinks.formUnion(writes)
                    }
                    next.append(contentsOf: ProcFile.children(of: member))
                }
            }
            let ends = ends(of: parent)
            let isInPipeline = !ends.read.isDisjoint(with: sources) || !ends.written.isDisjoint(with: sinks)
            // A shell that makes a pipeline has the ends of it for a moment, and those of a substitution for its command: who waits for what comes reads it.
            let read = ends.read.subtracting(ends.written).intersection(sinks).filter { !flow($0).isRead }
            let awaited = read.isEmpty ? [] : awaited(by: parent, of: ends.read, standard).intersection(read)
            if !awaited.isEmpty {
                let memory = memory(of: parent)
                for pipe in awaited { memory.note(flow(pipe)) }
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

    /// The pipes that a process reads at this moment; of one that waits for several things, those that a program's standard output goes to.
    private func awaited(by process: Int32, of read: Set<UInt64>, _ standard: Set<UInt64>) -> Set<UInt64> {
        switch ProcFile.wait(of: process) {
        case .none: return []
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

    /// What is said on the standard error stream is no data.
    private func ends(of process: Int32) -> (read: Set<UInt64>, written: Set<UInt64>) {
        ProcFile.pipes(ofProcess: process, countsErrors: false)
    }

    /// Of a process of which nothing else is known yet, that it is there.
    private func memory(of process: Int32) -> ProcessMemory {
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
            known.memory.isNamed(origin.memory)
            if let id = origin.memory { state.withLock { _ = $0.memories.insert(id) } }
        }
        return known.memory
    }

    // MARK: - Files

    /// The one object for a file.
    private func shared(_ file: ReadFile) -> ReadFile {
        state.withLock { state in
            if let known = state.files[file.path], known.identity == file.identity, known.version == file.version {
                return known
            }
            // They are kept by who has read them; it is looked up for who is given one open.
            if state.files.count >= Self.mostFiles { state.files = [:] }
            state.files[file.path] = file
            return file
        }
    }

    private func file(shownAt target: [UInt8]) -> ReadFile? {
        guard !place.isEmpty, target.count > place.count, target.starts(with: place) else { return nil }
        let path = String(decoding: target.dropFirst(place.count), as: UTF8.self)
        return state.withLock { $0.files[path] }
    }

    /// Forgets who is gone, once in a while: what they have read stays with those who have it from them.
    private func tidy() {
        let numbers = state.withLock { state -> [Int32] in
            return state.threads.count > Self.most ? Array(state.threads.keys) : []
        }
        guard !numbers.isEmpty else { return }
        let gone = numbers.filter { kill($0, 0) != 0 && errno == ESRCH }
        state.withLock { state in
            for number in gone { state.threads[number] = nil }
            // All of them live: those who were not seen of late are looked at again.
            if state.threads.count > Self.most {
                let now = Clock.sinceBoot()
                state.threads = state.threads.filter { now < $0.value.end }
            }
            state.memories = Set(state.threads.values.compactMap(\.known.memory.id))
        }
    }
}
