internal import Artifacts
internal import FuseKernel
internal import Provenance
internal import Synchronization
internal import SystemCalls

/// Which session `current` is, for each process (SEMANTICS 2.4).
///
/// A process has the session that its maker had when it was made, as it has its maker's working directory. What a user starts anew has the
/// user's. `mkdir development/<name>` moves the user's, and that of the process which does it and of those that it was made by, up to where
/// the user started them. So nothing that runs already is ever moved by what is begun elsewhere.
///
/// What was found out of a process is kept while it lives: who made it may end before.
final class JobSessions: Sendable {
    /// A process that has asked, or that one which did was made by.
    private struct Known {
        let number: UInt64
        let user: UInt32
        let isAtPrompt: Bool
        var history: SessionHistory
        /// The run that it is of.
        var run: JobRun?
    }

    private struct State {
        var users: [UInt32: SessionHistory] = [:]
        var known: [Int32: Known] = [:]
        /// With so many it is looked for those that have ended.
        var limit = JobSessions.fewest
    }

    /// One of a row of processes, each of which was made by the next.
    private struct Link {
        let birth: ProcessBirth
        let kin: ProcessKin?
        var isKnown = false
        /// The run that it is known to be of.
        var run: JobRun?
    }

    /// No job that people write is deeper.
    private static let mostAncestors = 64
    private static let fewest = 4096
    /// There are no more processes on a usual machine; of some that are forgotten it is found out anew.
    private static let most = 65_536

    /// The mount's, with which everybody begins.
    private let own: SessionName
    private let processes: any ProcessObserver
    /// Whether there ever was a second one: without, nobody is looked at.
    private let hasMoved = Atomic(false)
    /// How many runs there are, of which it is not known that they are over: without, nobody is looked at for them.
    private let runCount = Atomic(0)
    /// Whether one of them is or was all or nothing: without, who writes to production is not looked at for that.
    private let hasAny = Atomic(false)
    /// A leaf in the order of locks.
    private let state = Lock(State())

    init(own: SessionName, processes: any ProcessObserver) { (self.own, self.processes) = (own, processes) }

    /// Whether `current` may be another one for another process. Once true it stays so.
    var differs: Bool { hasMoved.load(ordering: .acquiring) }

    /// From now on it may.
    func willDiffer() { hasMoved.store(true, ordering: .releasing) }

    /// How many processes are known.
    var count: Int { state.withLock { $0.known.count } }

    /// The session of what a user starts now.
    func session(of user: UInt32) -> SessionName {
        guard differs else { return own }
        return state.withLock { $0.users[user]?.now ?? own }
    }

    /// The users who have one that is not the mount's.
    var ofUsers: [UInt32: SessionName] { state.withLock { $0.users.mapValues(\.now) } }

    /// The session of who asks.
    func session(for caller: Caller) -> SessionName {
        guard differs else { return own }
        guard let birth = processes.birth(ofThread: caller.process) else { return session(of: caller.user) }
        let found = state.withLock { state -> SessionName? in
            guard let known = state.known[birth.process], known.number == birth.number, known.user == caller.user else {
                return nil
            }
            return now(known, state)
        }
        if let found { return found }
        let row = links(from: birth, isWhole: false)
        guard isOwn(row, caller) else { return session(of: caller.user) }
        let session = state.withLock { state -> SessionName in
            note(row, of: caller.user, &state)
            return state.known[birth.process].map { now($0, state) } ?? own
        }
        forgetEnded()
        return session
    }

    /// Somebody began one.
    func begin(_ session: SessionName, for caller: Caller) {
        let birth = processes.birth(ofThread: caller.process)
        let row = birth.map { links(from: $0, isWhole: true) } ?? []
        // What is made from here on is of the new one. Where that cannot be told, what is made after who asks.
        let number = processes.nextBirth() ?? birth.map { $0.number &+ 1 } ?? .max
        state.withLock { state in
            if isOwn(row, caller) {
                note(row, of: caller.user, &state)
                for link in row { state.known[link.birth.process]?.history.move(to: session, at: number) }
            }
            // What a run does is nobody else's.
            if let birth, state.known[birth.process]?.run != nil { return }
            state.users[caller.user, default: SessionHistory(own)].move(to: session, at: number)
        }
        forgetEnded()
    }

    /// One has ended: what is started from now on by users who have it has the mount's. What runs with it keeps it, and is refused there.
    func end(_ session: SessionName) {
        let number = processes.nextBirth() ?? .max
        state.withLock { state in
            for user in state.users.keys where state.users[user]?.now == session {
                state.users[user]?.move(to: own, at: number)
            }
        }
    }

    // MARK: - Runs

    /// The runs that go on.
    var runs: [JobRun] {
        guard runCount.load(ordering: .acquiring) > 0 else { return [] }
        return state.withLock { state in
            state.known.compactMap { process, known in
                known.run.flatMap { $0.process == process && !$0.isOver ? $0 : nil }
            }
        }
    }

    /// The caller is of a run from now on, with all that it makes, and has its session.
    ///
    /// - Returns: false when the caller is not seen.
    func begin(_ run: JobRun, for caller: Caller) -> Bool {
        guard let birth = processes.birth(ofThread: caller.process), birth.process == run.process else { return false }
        let kin = processes.kin(of: birth.process)
        state.withLock { state in
            state.known[birth.process] = Known(
                number: birth.number, user: caller.user, isAtPrompt: kin?.isAtPrompt ?? false,
                history: SessionHistory(run.session), run: run)
        }
        if run.isAllOrNothing { hasAny.store(true, ordering: .releasing) }
        runCount.add(1, ordering: .releasing)
        return true
    }

    /// Whether some run is or was all or nothing.
    var hasAllOrNothing: Bool { hasAny.load(ordering: .acquiring) }

    /// The run that who asks has begun, and that goes on.
    func ownRun(of caller: Caller) -> JobRun? {
        run(for: caller).flatMap { $0.process == caller.process && !$0.isOver ? $0 : nil }
    }

    /// The caller's run is over; what is left of it stays of it.
    func endRun(for caller: Caller) -> JobRun? {
        guard let run = ownRun(of: caller), end(run) else { return nil }
        return run
    }

    /// A run is over.
    ///
    /// - Returns: false when it was before.
    func end(_ run: JobRun) -> Bool {
        guard run.end() else { return false }
        noteProcesses(of: run)
        return true
    }

    /// Keeps of what a run has made by now that it is of the run: when its process is gone, that is not seen any more.
    func noteProcesses(of run: JobRun) {
        var next = processes.children(of: run.process)
        var count = 0
        while let process = next.popLast(), count < Self.mostLeft {
            count += 1
            if let birth = processes.birth(ofThread: process) {
                let row = links(from: birth, isWhole: false)
                if let user = row.first?.kin?.user { state.withLock { note(row, of: user, &$0) } }
            }
            next += processes.children(of: process)
        }
    }

    /// So many processes that a run leaves behind are looked at.
    private static let mostLeft = 4096

    /// The run that who asks is of.
    func run(for caller: Caller) -> JobRun? {
        guard runCount.load(ordering: .acquiring) > 0 else { return nil }
        _ = session(for: caller)
        guard let birth = processes.birth(ofThread: caller.process) else { return nil }
        return state.withLock { state in
            state.known[birth.process].flatMap { $0.number == birth.number ? $0.run : nil }
        }
    }

    // MARK: - Who was made by whom

    /// A shell at a prompt is no job: it has what its user has.
    private func now(_ known: Known, _ state: borrowing State) -> SessionName {
        known.isAtPrompt && known.run == nil ? state.users[known.user]?.now ?? own : known.history.now
    }

    /// Of who acts for others, as a file server does, nothing is kept.
    private func isOwn(_ row: [Link], _ caller: Caller) -> Bool {
        row.first.map { $0.kin == nil || $0.kin?.user == caller.user } ?? false
    }

    /// A process, who made it, who made that one, and so on up to where the user started it; or up to one that is known.
    private func links(from birth: ProcessBirth, isWhole: Bool) -> [Link] {
        var row: [Link] = []
        var next: ProcessBirth? = birth
        while let birth = next, row.count < Self.mostAncestors {
            var link = Link(birth: birth, kin: processes.kin(of: birth.process))
            (link.isKnown, link.run) = state.withLock { state in
                guard let known = state.known[birth.process], known.number == birth.number else {
                    return (false, nil)
                }
                return (true, known.run)
            }
            row.append(link)
            guard let kin = link.kin, kin.parent > 0, isWhole || !link.isKnown else { break }
            next = processes.birth(ofThread: kin.parent)
        }
        return Array(row.prefix(length(of: row)))
    }

    /// How many of them belong together, from the first.
    private func length(of row: [Link]) -> Int {
        // Whatever descends from a run is of it.
        if let index = row.firstIndex(where: { $0.run != nil }) {
            return index + row[index...].prefix { $0.run === row[index].run }.count
        }
        // From the last one down: what the machine's own services start.
        var isService = false
        var length = row.count
        for index in row.indices.reversed() {
            let (link, maker) = (row[index], index + 1 < row.count ? row[index + 1] : nil)
            let leads = link.kin?.session == link.birth.process
            guard let maker else {
                isService = link.birth.process == 1 || link.kin?.parent == 1 && leads
                continue
            }
            guard let kin = link.kin, let makers = maker.kin, kin.user == makers.user else {
                (length, isService) = (index + 1, maker.birth.process == 1 && leads)
                continue
            }
            // It makes each of its services the leader of a session; what it makes otherwise is its own.
            let isStarted = isService && !maker.isKnown && kin.session != makers.session
            if makers.isAtPrompt || isStarted { length = index + 1 }
            isService = isStarted && leads
        }
        return length
    }

    /// Keeps what each of a row has. The last one was started by its user, or is known.
    private func note(_ row: [Link], of user: UInt32, _ state: inout State) {
        var maker: SessionHistory?
        var run: JobRun?
        for link in row.reversed() {
            if let known = state.known[link.birth.process], known.number == link.birth.number,
                known.user == user || known.run != nil
            {
                (maker, run) = (known.history, known.run)
                continue
            }
            let before = maker ?? state.users[user] ?? SessionHistory(own)
            let history = SessionHistory(before.session(at: link.birth.number))
            state.known[link.birth.process] = Known(
                number: link.birth.number, user: user, isAtPrompt: link.kin?.isAtPrompt ?? false, history: history,
                run: run)
            maker = history
        }
    }

    /// Forgets processes that are gone, when there are many.
    private func forgetEnded() {
        let known = state.withLock { state -> [(Int32, UInt64)] in
            guard state.known.count > state.limit else { return [] }
            // Another thread need not look too.
            state.limit = .max
            return state.known.map { ($0.key, $0.value.number) }
        }
        guard !known.isEmpty else { return }
        let ended = known.filter { processes.birth(ofThread: $0.0)?.number != $0.1 }
        state.withLock { state in
            for (process, number) in ended where state.known[process]?.number == number { state.known[process] = nil }
            while state.known.count > Self.most, let some = state.known.keys.first { state.known[some] = nil }
            state.limit = max(Self.fewest, state.known.count * 2)
        }
    }
}
