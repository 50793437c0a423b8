internal import Synchronization
internal import SystemCalls

/// What is heard of the processes of this machine.
extension ProcessModel {
    /// - Parameter event: of any process of this machine.
    func hear(_ event: SystemCall.ProcessEvent) {
        switch event {
        case .made(let process, let parent, let time): heard(process, isMadeBy: parent, time)
        // It has not begun yet to do anything.
        case .ran(let process, _): hasBecomeAnother(process)
        case .ended(let process, let time):
            let maker = state.withLock { state in
                let entry = state.threads.removeValue(forKey: process)
                if observesOutside, let known = entry?.known {
                    if state.ended.count >= Self.mostEnded { state.ended = [:] }
                    state.ended[process] = known
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
        guard entry.isValid(at: now.boot, in: session) || from.start == ProcFile.origin(of: parent)?.start else {
            return
        }
        state.withLock { $0.threads[parent]?.session = session }
        let begin = now.boot &- (now.monotonic &- time)
        let made = ProcessMemory.Parent(memory: from.memory, time: .at(begin))
        let memory = ProcessMemory(from.memory.id, name: from.memory.name, isOfProgram: false, start: begin)
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
}
