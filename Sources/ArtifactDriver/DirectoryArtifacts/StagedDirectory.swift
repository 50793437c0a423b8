internal import ArtifactRecords
internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Logging
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A directory in staging that is to be an artifact of production: one that is made there, or that was renamed there and is sealed when those who
/// made it have ended well.
final class StagedDirectory: AwaitsMakers {
    struct State: Sendable {
        /// Its name on the mount.
        var parent: TreeDirectory
        var name: String
        var real: RealFile
        /// Whether it has a temporary name: it is never published under that.
        var isTransient: Bool
        /// Where it comes from, when it was promoted.
        var origin: FormerPlace?
        var makers: [ArtifactFile.Maker] = []
        /// Whether a file was made in it: before that there is nothing to publish.
        var hasFile = false
        /// Until when it waits for its makers, on the monotonic clock; nil while it is being made.
        var settleEnd: UInt64?
        /// What becomes of it is known.
        var isDecided = false

        var path: String { parent.path(of: name) }
    }

    /// Where a promoted directory was.
    struct FormerPlace: Sendable {
        let file: RealFile
        let parent: TreeDirectory
        let name: String
        var path: String { parent.path(of: name) }
    }

    let artifact: ArtifactDirectory
    /// Known as long as it is staged.
    let node: FreeNode
    /// Who made it or renamed it.
    let caller: Caller
    let program: String
    let time = Clock.now()
    /// The run that it is of.
    let run: JobRun?
    /// A leaf in the order of locks, but for the directory's own.
    let state: Lock<State>

    var id: InodeNumber { node.id }

    init(
        _ artifact: ArtifactDirectory, _ node: FreeNode, _ state: State, by caller: Caller, _ program: String,
        of run: JobRun?
    ) {
        self.run = run
        (self.artifact, self.node, self.caller, self.program) = (artifact, node, caller, program)
        self.state = Lock(state)
    }
}

extension Volume {
    /// Makes a directory known that is in staging now.
    func add(_ staged: StagedDirectory) {
        namespace.remember(staged.node.id)
        artifactDirectories.add(staged)
    }

    /// It is in staging no more.
    func remove(_ staged: StagedDirectory) {
        artifactDirectories.remove(staged)
        namespace.forget(staged.node.id, lookups: 1)
    }

    /// Who makes what is in a directory: those who write, and the script that runs them, whose next command may write more.
    func makersOfDirectory(_ caller: Caller) -> [ArtifactFile.Maker] {
        let makers = self.makers(of: caller)
        guard let writer = makers.first(where: { $0.role == .writer })?.watch,
            let leader = processes.leader(of: writer)
        else { return makers }
        return makers + [.init(role: .writer, watch: leader, thread: leader.process)]
    }

    /// A file was made in it.
    func noteFile(in artifact: ArtifactDirectory?) {
        guard let artifact, artifact.isMaking else { return }
        artifactDirectories.staged(artifact)?.state.withLock { $0.hasFile = true }
    }

    /// Notes who has to do with what is in it from now on.
    func note(_ makers: [ArtifactFile.Maker], of staged: StagedDirectory) {
        let isNews = staged.state.withLock { state in
            let before = state.makers.count
            state.makers.note(makers)
            return state.makers.count > before && !state.isTransient && !state.isDecided
        }
        if isNews { settleLater(staged) }
    }

    /// Waits for those who make it; of one that was renamed for a time only.
    func settleLater(_ staged: StagedDirectory) {
        let (end, watches) = staged.state.withLock { ($0.settleEnd, $0.makers.compactMap(\.watch)) }
        settleLater(settler.add(staged, until: end, watches))
    }

    /// Whether a caller is of the job that makes a directory.
    func isSameJob(_ caller: Caller, _ staged: StagedDirectory) -> Bool {
        let makers = staged.state.withLock { $0.makers }
        let seen = makers.lazy.filter { $0.role == .writer }.map { [processes] maker in
            maker.watch.flatMap { processes.isSameJob(caller.process, $0) }
        }
        return Job.includes(seen, isSameUser: staged.caller.user == caller.user)
    }

    /// What a caller is to a directory that is being made.
    func asker(_ caller: Caller, of staged: StagedDirectory) -> Asker {
        Asker(
            isSameUser: staged.caller.user == caller.user, isSameJob: isSameJob(caller, staged), isKeptBack: false)
    }

    private enum Decision { case waits, nothing, seals, keepsBack(String) }

    /// Judges a directory by its makers.
    ///
    /// - Returns: whether it still waits for them.
    func settle(_ staged: StagedDirectory) -> Bool {
        let decision = staged.state.withLock { state -> Decision in
            guard !state.isDecided else { return .nothing }
            guard !state.isTransient, state.hasFile || state.settleEnd != nil else { return .waits }
            let isOver = state.settleEnd.map { Clock.monotonic() >= $0 } ?? false
            var judged = Settlement.judge(state.makers.map(\.fact), store.schema.benignExits, isOver: isOver)
            // A rename says that it is whole; with `publish: close` nobody's end is asked for.
            if store.schema.publishing == .close, state.settleEnd != nil { judged = .publishes(endingIsUnknown: true) }
            switch judged {
            case .waits: return .waits
            case .publishes:
                if state.settleEnd == nil, !staged.artifact.beginSealing() { return .waits }
                state.isDecided = true
                return .seals
            case .keepsBack(let reason):
                _ = staged.artifact.beginSealing(isSure: true)
                state.isDecided = true
                return .keepsBack(reason)
            }
        }
        switch decision {
        case .waits: return true
        case .nothing: return false
        case .seals:
            let real = staged.state.withLock { state in
                state.real = store.staging?.finish(state.real, process: staged.caller.process) ?? state.real
                return state.real
            }
            wasFound(staged.node, real.name, in: .staging(real.directory))
            submit(staged) { request, type in self.store.publishDirectory(request, of: type) }
        case .keepsBack(let reason):
            submit(staged) { request, _ in self.store.keepDirectory(request, reason: reason) }
        }
        return false
    }

    /// Does on a thread of its own what becomes of a directory.
    private func submit(
        _ staged: StagedDirectory, _ work: @escaping @Sendable (PublishRequest, TypeDefinition) -> PublishOutcome
    ) {
        seals.submit(user: staged.caller.user, isLong: true) {
            guard let (request, type) = self.request(staged) else { return }
            self.end(staged, work(request, type), at: request)
        }
    }

    private func request(_ staged: StagedDirectory) -> (PublishRequest, TypeDefinition)? {
        let state = staged.state.withLock { $0 }
        guard case .typed(_, let layer, let type) = state.parent.location,
            let destination = Promotion.Destination(state.name, of: type, in: layer, isDirectory: true)
        else { return nil }
        let caller = staged.caller
        var writer = ArtifactRecord.Writer()
        (writer.uid, writer.gid) = (caller.user, caller.group)
        writer.pid = caller.process > 0 ? caller.process : nil
        if state.makers.contains(where: { $0.fact.ending == .unknown }) { writer.exit = .unknown }
        var record = destination.record.written(by: writer, opened: staged.time, closed: Clock.now())
        record.origin = state.origin.map { .init(path: $0.path) }
        record.run = staged.run?.inRecord
        let maker = state.makers.first { $0.role == .writer }?.watch
        maker?.awaitFacts(atMost: Self.patience)
        maker?.facts?.fill(&record)
        var request = destination.request(state.real, at: state.parent.real, record, origin: state.origin?.file)
        request.inputs = staged.run?.inputs ?? []
        return (request, type)
    }

    private func end(_ staged: StagedDirectory, _ outcome: PublishOutcome, at request: PublishRequest) {
        let state = staged.state.withLock { $0 }
        switch outcome {
        case .sealed:
            counters.sealed.add(1, ordering: .relaxed)
            staged.artifact.endSealing(in: .production)
            wasFound(staged.node, request.name, in: .top(request.target))
            remove(staged)
            // Others' write bits are gone, and the kernel may have been told of them.
            connection?.invalidate(staged.node.id, andData: false)
        case .restored(let reason, let rule):
            let origin = state.origin
            if let origin { wasFound(staged.node, origin.file.name, in: .top(origin.parent.real)) }
            fail(staged, state, reason + (origin.map { "; it is back at " + $0.path } ?? ""), rule)
            // Last: who still has the name that it had takes it for nothing else meanwhile.
            if let scope = origin?.parent.scope { staged.artifact.endSealing(in: scope) }
        case .quarantined(let reason, let rule), .waiting(let reason, let rule):
            counters.quarantined.add(1, ordering: .relaxed)
            // What is there is nobody's to change any more.
            fail(staged, state, reason, rule)
        case .stillOpen: break  // Is refused before.
        }
    }

    /// Tells of a directory that was not published, and that its name is free: in this order, so that who waits for it hears why.
    private func fail(_ staged: StagedDirectory, _ state: StagedDirectory.State, _ reason: String, _ rule: Rule) {
        denials.add(
            .ofPublishing(rule), operation: "publish", path: state.path, caller: staged.caller,
            program: staged.program, detail: reason)
        log.warning("a directory was not published", metadata: ["path": "\(state.path)", "reason": "\(reason)"])
        remove(staged)
        connection?.invalidate(name: state.name, in: state.parent.id)
        if let origin = state.origin { connection?.invalidate(name: origin.name, in: origin.parent.id) }
    }

    /// A node is found under another name from now on.
    func wasFound(_ node: FreeNode, _ name: String, in parent: FreeDirectory) {
        withEntryName(name) { node.wasFound($0, in: parent) }
    }
}
