internal import ArtifactRecords
internal import Synchronization
internal import SystemCalls

/// What is heard of the processes of this machine.
extension ProcessModel {
    /// - Parameter event: of any process of this machine.
    func hear(_ event: SystemCall.ProcessEvent) {
        switch event {
        case .made(let process, let parent, let time): heard(process, isMadeBy: parent, time)
        // It has not begun yet to do anything.
        case .ran(let process, let time):
            // Who closes what it has written waits until it is seen.
            capture.withLock { $0 }?.hasRun(process)
            // Most are nobody's whom somebody has seen.
            guard let known = state.withLock({ $0.threads[process]?.known }) else { return }
            // It may be running the next program already, and wait for us. What others do is heard meanwhile.
            let isBegun = reader.run(within: Self.eventPatience) { [self] in hasBecomeAnother(process, at: time) }
            if isBegun == nil { _ = reader.submit { [self] in hasBecomeAnother(process, at: time) } }
            known.ran(time)
        case .ended(let process, let time):
            // Who was seen since may have its number.
            let other = state.withLock { $0.threads[process]?.known }.flatMap { known in
                known.isSeen(since: time) && (try? SystemCall.birth(ofProcess: process)).map(known.isBorn) == true
                    ? known : nil
            }
            let maker = state.withLock { state in
                if let known = state.threads[process]?.known, known !== other {
                    if state.ended.count >= Self.mostEnded { state.ended = [:] }
                    state.ended[process] = known
                    state.threads[process] = nil
                }
                return state.makers.removeValue(forKey: process)
            }
            maker?.hasEnded(process, time)
        case .lost: break
        }
    }

    func heard(_ process: Int32, isMadeBy parent: Int32, _ time: UInt64) {
        let session = self.session
        let now = (boot: Clock.sinceBoot(), monotonic: Clock.monotonic())
        guard let entry = state.withLock({ $0.threads[parent] }) else { return }
        let from = entry.known
        // Its number may have become another's while nothing was heard.
        let isSame =
            entry.isValid(at: now.boot, in: session)
            || origin(of: parent, within: Self.eventPatience).map { $0.start == from.start } ?? false
        guard isSame else { return from.madeUnknown() }
        state.withLock { $0.threads[parent]?.session = session }
        let begin = now.boot &- (now.monotonic &- time)
        let made = ProcessMemory.Parent(memory: from.memory, time: .at(begin))
        let memory = ProcessMemory(from.memory.id, name: from.memory.name, isOfProgram: false, start: begin)
        memory.note(made)
        var placeholder: ProcessMemory?
        let known = state.withLock { state in
            if state.makers.count < Self.most { state.makers[process] = from }
            // It may have opened something before we came to this.
            if let seen = state.threads[process]?.known, seen.memory.isOfProgram == false,
                let start = seen.start, Moment.isSame(start, begin)
            {
                return seen
            }
            let former = state.threads[process]
            let known = SeenProcess(process, start: nil, memory)
            state.threads[process] = Entry(known: known, end: now.boot &+ Self.validity, session: session)
            // It was seen as a part of a pipeline before this was heard.
            if let former, former.known.memory.isOfProgram == nil, former.isValid(at: now.boot, in: session) {
                placeholder = former.known.memory
            }
            return known
        }
        placeholder?.hand(to: memory)
        if known.memory !== memory { known.memory.note(made) }
        from.made(.init(known: known, made: made, begin: time, session: session))
    }

    /// A thread closes a descriptor of what was opened to read: its own, or one that it was given. It waits for our answer, and may be running another
    /// program at this moment.
    func closes(_ number: UInt64, by thread: Int32) {
        guard thread > 0, let held = state.withLock({ $0.handles[number] }) else { return }
        let time = Clock.monotonic()
        events.withLock { $0 }?.afterwards { [weak self] in self?.had(held, thread, until: time) }
    }

    /// A process had a file open until a time. When it had run its program before, that program was given it: who runs another one closes what is not
    /// passed on before that is heard.
    private func had(_ held: Held, _ process: Int32, until time: UInt64) {
        guard let known = state.withLock({ $0.threads[process]?.known ?? $0.ended[process] }), let begin = known.ranAt,
            begin < time
        else { return }
        let memory = known.memory
        guard memory.isOfProgram == true, !memory.hasRead(held.file.identity) else { return }
        let (boot, monotonic) = (Clock.sinceBoot(), Clock.monotonic())
        let moment = Moment(time: boot &- (monotonic &- begin), lastProcess: 0)
        let isOwn = held.known.process == process
        memory.note(.init(file: held.file, moment: moment, how: isOwn ? .process : .ancestor))
    }

    /// Waits for a moment until it is known who had what that was closed by now.
    func catchUp() { events.withLock { $0 }?.catchUp() }
}
