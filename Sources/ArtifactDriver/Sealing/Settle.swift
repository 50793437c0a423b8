internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Between the last close and the seal: a file is published when its makers have ended well (SEMANTICS 2.2).
extension Volume {
    /// What a file becomes that nobody has open for writing any more.
    enum Closed: Sendable {
        case nothing
        case publish(bytes: Int64)
        /// It waits to hear how its makers end.
        case settle
        case quarantine(reason: String, rule: Rule)
        /// A killed or failed writer that wrote nothing: only the name was taken.
        case drop(reason: String)
    }

    /// Who has to do with a file's bytes when a caller opens it to write, or gives it its name: the caller's process, and then others.
    func makers(of caller: Caller) -> [ArtifactFile.Maker] {
        // With `publish: close` nobody is waited for.
        guard store.schema.publishing == .exit else { return [] }
        guard let watch = processes.watch(caller.process) else {
            return [.init(role: .writer, watch: nil, thread: caller.process)]
        }
        processes.opensToWrite(caller.process, watch)
        if !watch.isSeen(as: nil) { processes.observeOpening(watch) }
        let upstream = processes.upstream(of: watch)
        let shell = processes.shell(of: watch)
        return [.init(role: .writer, watch: watch, thread: caller.process)]
            + (shell.map { [.init(role: .shell, watch: $0, thread: $0.process)] } ?? [])
            + upstream.processes.map { .init(role: .upstream, watch: $0, thread: $0.process) }
            + (upstream.isUnknown ? [.init(role: .upstream, watch: nil, thread: 0)] : [])
    }

    /// The process that writes, to be followed to its end and to be told of in the record.
    func watch(_ caller: Caller, among makers: [ArtifactFile.Maker]) -> (any WatchedProcess)? {
        // It comes first.
        if let maker = makers.first { return maker.watch }
        guard store.schema.publishing == .close, let watch = processes.watch(caller.process) else { return nil }
        processes.opensToWrite(caller.process, watch)
        if !watch.isSeen(as: nil) { processes.observeOpening(watch) }
        return watch
    }

    /// Whether a caller is of the job that makes a file. Asked without the file's lock: what `/proc` says may wait for a process that closes
    /// this very file.
    func isSameJob(_ caller: Caller, _ file: ArtifactFile) -> Bool {
        let (makers, user, run, isHeld) = file.state.withLock {
            ($0.makers, $0.birth?.user, $0.heldBy, $0.fileState(standing: .production) == .held)
        }
        if let run, isOf(run, caller) { return true }
        // When that is over, it is nobody's.
        if isHeld { return false }
        let seen = makers.lazy.filter { $0.role == .writer }.map { [processes] maker in
            maker.watch.flatMap { processes.isSameJob(caller.process, $0) }
        }
        return Job.includes(seen, isSameUser: user == caller.user)
    }

    /// Whether a caller is of a run that goes on.
    private func isOf(_ run: JobRun, _ caller: Caller) -> Bool { !run.isOver && jobs?.run(for: caller)?.holder === run }

    /// The same, of a file in a state where it matters.
    func facts(for caller: Caller, _ file: ArtifactFile) -> Facts {
        let isAsked = file.state.withLock { state in
            // What a change of the file's name or attributes would ask; a session's file is nobody's job.
            OverwritePolicy.asksWho(
                .setAttributes, on: state.fileState(standing: .production), isKeptBack: state.isKeptBack,
                publishing: store.schema.publishing)
        }
        return Facts(isSameJob: isAsked && isSameJob(caller, file))
    }

    /// What a caller is to a file that is being made; nil of any other.
    func asker(_ caller: Caller, of file: ArtifactFile) -> Asker? {
        let (isMade, user, isKeptBack) = file.state.withLock { state in
            switch state.phase {
            case .staged, .settling, .sealing: (true, state.birth?.user, state.isKeptBack)
            case .published, .former, .discarded, .gone: (false, nil, false)
            }
        }
        guard isMade else { return nil }
        return Asker(
            isSameUser: user.map { $0 == caller.user } ?? true,
            isSameJob: isSameJob(caller, file), isKeptBack: isKeptBack)
    }

    /// Decides about a file that has bytes and no writers. Its lock is held, and the phase is set, so that nobody can open it to write in
    /// between.
    func conclude(
        _ state: inout ArtifactFile.State, _ real: RealFile, bytes: Int64, writer: ArtifactFile.Writer
    ) -> Closed {
        if let run = state.heldBy { return hold(&state, real, for: run, writer) }
        var writer = writer
        if store.schema.publishing == .exit {
            let now = Clock.monotonic()
            if case .settling = state.phase {
            } else {
                state.settleEnd = now + UInt64(store.schema.settleSeconds) * 1_000_000_000
            }
            let facts = state.makers.map(\.fact)
            switch Settlement.judge(facts, store.schema.benignExits, isOver: now >= state.settleEnd) {
            case .waits:
                if case .settling = state.phase { return .settle }
                // Should the driver be killed now, nobody knows any more how the makers end: it is published as such.
                state.phase = .settling(store.staging?.finish(real, process: writer.thread) ?? real)
                beginAttributeWindow(&state, writer)
                return .settle
            case .keepsBack(let reason):
                keepBack(&state, real, writer)
                return .quarantine(reason: reason, rule: .makerFailed)
            case .publishes(let endingIsUnknown): if endingIsUnknown { writer.ending = .unknown }
            }
        }
        beginSealing(&state, real, writer: writer)
        noteFinished(&state, real, writer)
        return .publish(bytes: bytes)
    }

    /// What a run that is all or nothing has made, and is done with, waits for the run's end.
    func hold(
        _ state: inout ArtifactFile.State, _ real: RealFile, for run: JobRun, _ writer: ArtifactFile.Writer
    ) -> Closed {
        state.lastWriter = writer
        guard run.isCollected.load(ordering: .sequentiallyConsistent) else {
            state.isHeld = true
            return .nothing
        }
        keepBack(&state, real, writer)
        return .quarantine(reason: "its run, \(run.id), had ended before it was closed", rule: .runIsOver)
    }

    /// From here on nobody takes the file for a whole one, until its name is gone.
    func keepBack(_ state: inout ArtifactFile.State, _ real: RealFile, _ writer: ArtifactFile.Writer) {
        // Whatever becomes of the driver, it is finished no more.
        state.phase = .settling(store.staging?.resume(real) ?? real)
        state.lastWriter = writer
        state.isKeptBack = true
    }

    /// Judges a settling file again: one of its makers has ended, or it has waited long enough.
    ///
    /// - Returns: whether it still waits.
    func settle(_ file: ArtifactFile) -> Bool {
        let closed = file.state.withLock { state -> Closed in
            guard case .settling(let real) = state.phase, !state.isKeptBack, let writer = state.lastWriter else {
                return .nothing
            }
            // What cannot be looked at now is looked at again.
            guard let size = try? real.attributes().st_size else { return .settle }
            return conclude(&state, real, bytes: Int64(size), writer: writer)
        }
        if case .settle = closed { return true }
        perform(closed, file)
        connection?.reconsider()
        return false
    }

    /// Does what was decided, without locks.
    func perform(_ closed: Closed, _ file: ArtifactFile) {
        switch closed {
        case .nothing: break
        case .publish(let bytes): seals.submit(file, bytes: bytes, publish: seal)
        case .quarantine(let reason, let rule):
            seals.submit {
                self.quarantine(file, reason: reason, rule)
                self.connection?.reconsider()
            }
        case .drop(let reason): seals.submit { self.drop(file, reason: reason) }
        case .settle:
            let (end, makers) = file.state.withLock { ($0.settleEnd, $0.makers) }
            // One of them may have ended before it was followed, and is heard of then: a pidfd stays readable.
            settleLater(settler.add(file, until: end, makers.compactMap(\.watch)))
        }
    }

    /// Judges what waits for its makers: one of them has ended, or it has waited long enough.
    ///
    /// - Returns: whether it still waits.
    func settle(_ waiting: any AwaitsMakers) -> Bool {
        switch waiting {
        case let file as ArtifactFile: settle(file)
        case let directory as StagedDirectory: settle(directory)
        case let process as RunProcess: settle(process)
        default: false
        }
    }

    /// Without a thread to be had, time alone decides.
    func settleLater(_ left: [any AwaitsMakers]) {
        for waiting in left {
            seals.submit(after: store.schema.settleSeconds * 1000 + 1) {
                if self.settle(waiting) { self.settleLater([waiting]) }
            }
        }
    }

    /// Who may still set attributes of a closed file, and until when.
    func beginAttributeWindow(_ state: inout ArtifactFile.State, _ writer: ArtifactFile.Writer) {
        state.lastWriter = writer
        state.settling = .init(
            opener: writer.thread, closer: writer.closer,
            deadline: Clock.monotonic() + UInt64(store.schema.settlingSeconds) * 1_000_000_000)
    }
}
