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

/// Runs that are all or nothing (SEMANTICS 2.7): what their processes make in production is held until they end, and then published together
/// or kept back.
extension Volume {
    /// The run that is all or nothing and that a caller is of, who writes to production.
    ///
    /// - Throws: `EPERM` when it is over: what it made was published or kept back.
    func allOrNothing(
        _ caller: Caller, _ path: @autoclosure () -> String, _ operation: String
    ) throws(Errno) -> JobRun? {
        guard let jobs, jobs.hasAllOrNothing, let run = jobs.run(for: caller)?.holder else { return nil }
        try enforce(
            OverwritePolicy.judgeInRun(isOver: run.isOver), operation, path(), caller, detail: run.words)
        return run
    }

    /// Directories are not published together with others.
    func refuseDirectoryInRun(_ caller: Caller, _ path: String, _ operation: String) throws(Errno) {
        guard let run = try allOrNothing(caller, path, operation) else { return }
        try enforce(OverwritePolicy.judgeDirectoryInRun(), operation, path, caller, detail: run.words)
    }

    /// What a run's process hears of it: what became of what the run made.
    func runAttribute(_ caller: Caller) throws(Errno) -> [UInt8] {
        guard let run = jobs?.run(for: caller), run.process == caller.process else { throw Errno.noData }
        return Array(JSONValue.object(run.outcome.withLock { $0 }).description.utf8)
    }

    // MARK: - Its end

    /// The command of a run has ended, as its process says.
    func end(_ run: JobRun, _ facts: JSONObject, _ caller: Caller) throws(Errno) {
        // What the command has left may just be closing what it wrote.
        if caller.canWait, isWrittenTo(by: run) { throw Errno.answerWhenTold }
        // All that it made is read.
        if caller.isMovable { throw Errno.takesLong }
        guard let jobs, jobs.end(run) else { throw Errno.noSuchFileOrDirectory }
        if let status = facts["status"]?.integer, status == 0 {
            publish(run)
        } else {
            let how =
                facts["signal"]?.integer.map { "was ended by signal \($0)" }
                ?? "ended with status \(facts["status"]?.integer.map(String.init) ?? "that is not known")"
            keepBack(run, collect(run), "the command of its run, \(run.id), " + how, .makerFailed)
        }
        tellEnd(run, facts)
        connection?.reconsider()
    }

    private func tellEnd(_ run: JobRun, _ facts: JSONObject) {
        var facts = facts
        for (name, value) in run.outcome.withLock({ $0 }).sorted { facts[name] = value }
        store.recordRun(.runEnded(line(run, facts)))
    }

    /// Whether somebody has a file of a run open to write, and it is to be waited for that: for a while only.
    private func isWrittenTo(by run: JobRun) -> Bool {
        let now = Clock.monotonic()
        let wait = store.schema.settleSeconds * 1000
        let isFirst = run.patience.compareExchange(
            expected: 0, desired: now &+ UInt64(wait) &* 1_000_000, ordering: .relaxed
        ).exchanged
        guard now < run.patience.load(ordering: .relaxed),
            namespace.pinnedArtifacts.contains(where: { file in
                file.state.withLock { $0.heldBy === run && !$0.isTransient && !$0.writers.isEmpty }
            })
        else { return false }
        // Nobody tells that it has waited long enough.
        if isFirst { seals.submit(after: wait + 1, isQuiet: true) { self.connection?.reconsider() } }
        return true
    }

    /// The process that said it is a run is gone.
    ///
    /// - Returns: whether it is waited for still.
    func settle(_ process: RunProcess) -> Bool {
        let run = process.run
        guard let jobs, jobs.end(run) else { return false }
        seals.submit(user: run.user, isLong: true) {
            self.abandon(run, "its run, \(run.id), ended before it could say how its command did")
        }
        return false
    }

    /// The mount ends: nothing of what goes on is published.
    func endRuns() {
        for run in jobs?.runs ?? [] where run.isAllOrNothing && jobs?.end(run) == true {
            abandon(run, "the mount ended before its run did, \(run.id)")
        }
    }

    private func abandon(_ run: JobRun, _ reason: String) {
        keepBack(run, collect(run), reason, .makerFailed)
        tellEnd(run, ["error": .string(reason)])
        connection?.reconsider()
    }

    // MARK: - What it made

    /// A file of a run that is over: nobody changes it any more.
    private struct Member {
        let file: ArtifactFile
        let place: (parent: TreeDirectory, name: String)
        let staged: RealFile
        let birth: ArtifactFile.Birth?
        /// Why it is not to be published.
        var fault: ArtifactFile.Spoiled?
        var path: String { place.parent.path(of: place.name) }
    }

    private enum Found: Sendable {
        case nothing
        case member(RealFile, ArtifactFile.Birth?, ArtifactFile.Spoiled?)
        case empty(RealFile, ArtifactFile.Birth?, ArtifactFile.Writer?)
    }

    /// All that a run made and that has its name still, by their paths. What nothing was written to is gone then.
    private func collect(_ run: JobRun) -> [Member] {
        var members = look(for: run)
        // What is closed from here on came too late; what was in between is there by now.
        run.isCollected.store(true, ordering: .sequentiallyConsistent)
        members += look(for: run)
        return members.sorted { $0.path < $1.path }
    }

    private func look(for run: JobRun) -> [Member] {
        var members: [Member] = []
        for file in namespace.pinnedArtifacts {
            guard let place = namespace.place(of: file.id) else { continue }
            switch file.state.withLock({ take(file, &$0, place, of: run) }) {
            case .nothing: continue
            case .member(let staged, let birth, let fault):
                members.append(Member(file: file, place: place, staged: staged, birth: birth, fault: fault))
                if case .discarded = file.state.withLock({ $0.phase }) { break }
                continue
            case .empty(let staged, let birth, let writer):
                tellEmpty(
                    place.parent.path(of: place.name), staged, birth, writer,
                    "nothing was written to it when its run ended")
                namespace.unpin(file.id)
            }
            connection?.invalidate(name: place.name, in: place.parent.id)
        }
        return members
    }

    /// Takes a file for the end of its run. Its lock is held.
    private func take(
        _ file: ArtifactFile, _ state: inout ArtifactFile.State, _ place: (parent: TreeDirectory, name: String),
        of run: JobRun
    ) -> Found {
        guard state.heldBy === run, case .staged(let staged) = state.phase, !state.isTransient else { return .nothing }
        if let writer = state.writers.first {
            let program = writer.watch?.program ?? ""
            let who = program.isEmpty ? "process \(writer.thread)" : "\(program), process \(writer.thread),"
            let fault = ArtifactFile.Spoiled(
                reason: "\(who) had it open to write when its run had ended, \(run.id)", rule: .beingWritten)
            // Its name is free, and its bytes go to quarantine when it is closed.
            state.spoiled = fault
            state.phase = .discarded(staged)
            store.staging?.release(staged)
            namespace.removeName(of: file.id)
            return .member(staged, state.birth, fault)
        }
        let size = (try? staged.attributes().st_size) ?? 1
        guard size > 0 else {
            let (birth, writer) = (state.birth, state.lastWriter)
            guard (try? remove(file, &state, place.name, place.parent, for: nil)) != nil else { return .nothing }
            return .empty(staged, birth, writer)
        }
        var fault = state.spoiled
        if fault == nil, store.schema.publishing == .exit,
            case .keepsBack(let reason) = Settlement.judge(
                state.makers.map(\.fact), store.schema.benignExits, isOver: true)
        {
            fault = .init(reason: reason, rule: .makerFailed)
        }
        // Nobody takes it for a whole one before all are.
        state.phase = .sealing(staged)
        state.isKeptBack = true
        return .member(staged, state.birth, fault)
    }

    private func publish(_ run: JobRun) {
        let members = collect(run)
        guard !members.contains(where: { $0.fault != nil }) else { return keepBack(run, members, "", .makerFailed) }
        guard !members.isEmpty else {
            run.outcome.withLock { $0["published"] = .integer(0) }
            return
        }
        let requests = members.compactMap { request($0, of: run) }
        guard requests.count == members.count else {
            return keepBack(run, members, "its name is none of an artifact", .storeFailed)
        }
        switch store.publishTogether(requests, run: run.id) {
        case .sealed(let sizes):
            for (index, member) in members.enumerated() { sealed(member, requests[index], sizes[index]) }
            run.outcome.withLock { $0["published"] = .integer(Int64(members.count)) }
        case .refused(let faults, let stuck):
            var members = members
            for fault in faults { members[fault.index].fault = .init(reason: fault.reason, rule: fault.rule) }
            // It could not be helped.
            for index in stuck { sealed(members[index], requests[index], (0, true)) }
            keepBack(
                run, members.enumerated().filter { !stuck.contains($0.offset) }.map(\.element), "", .makerFailed)
        }
    }

    private func sealed(_ member: Member, _ request: PublishRequest, _ how: (size: Int64, lostModes: Bool)) {
        counters.sealed.add(1, ordering: .relaxed)
        finish(member.file, .published, at: request, isSmall: how.size <= ArtifactFile.fewBytes)
        if how.lostModes { connection?.invalidate(member.file.id, andData: false) }
    }

    private func request(_ member: Member, of run: JobRun) -> PublishRequest? {
        let (writer, maker, madeFrom, isReadOnly, goesBack) = member.file.state.withLock { state in
            (
                state.lastWriter, whoMade(state), state.madeFrom, !state.open.isOpen || state.open.isReadOnly,
                state.goesBack
            )
        }
        guard case .artifact(let realName) = classify(member.place.name, in: member.place.parent) else { return nil }
        let file = member.file
        var request = PublishRequest(
            staged: member.staged, target: member.place.parent.real, name: realName,
            check: contentCheck(member.place.name, in: member.place.parent),
            record: draft(member.place, member.birth, by: maker, ending: writer?.ending),
            origin: goesBack ? member.birth?.origin?.file : nil,
            attributesLock: { change in file.state.withLock { _ in change() } })
        request.record.run = (member.birth?.run ?? run).inRecord
        noteUsed(madeFrom, in: &request)
        request.checked = writer?.checked
        request.requiresNoWriters = isReadOnly
        request.inputs = (member.birth?.run ?? run).inputs
        if case .typed(_, _, let type) = member.place.parent.location { request.notesTime = type.hasLatest }
        return request
    }

    /// Keeps all of it back, and says so of each.
    ///
    /// - Parameter reason: why; that of the first at fault when empty, and of each its own.
    private func keepBack(_ run: JobRun, _ members: [Member], _ reason: String, _ rule: Rule) {
        let first = members.first { $0.fault != nil }
        let cause = reason.isEmpty ? first?.fault?.rule ?? rule : rule
        let why =
            reason.isEmpty
            ? "nothing of its run, \(run.id), is published: \(first.map { "\($0.path): \($0.fault?.reason ?? "")" } ?? "")"
            : reason
        var isWritten: [Bool] = []
        var kept: [TogetherKept] = []
        for member in members {
            let (phase, maker, goesBack) = member.file.state.withLock { ($0.phase, whoMade($0), $0.goesBack) }
            if case .discarded = phase {
                isWritten.append(true)
                continue
            }
            isWritten.append(false)
            kept.append(
                TogetherKept(
                    staged: member.staged, path: member.path, record: draft(member.place, member.birth, by: maker),
                    origin: goesBack ? member.birth?.origin?.file : nil))
        }
        let (places, entry) = store.keepTogether(
            kept, of: run.inRecord, owner: (run.user, members.first?.birth?.group ?? 0), reason: why, rule: cause)
        var next = 0
        for (member, isWritten) in zip(members, isWritten) {
            let fault = reason.isEmpty || isWritten ? member.fault : nil
            let (detail, rule) = (fault?.reason ?? why, fault?.rule ?? cause)
            if isWritten {
                denials.add(
                    .ofPublishing(rule), operation: "publish", path: member.path,
                    caller: Caller(user: run.user, group: 0, process: run.process, umask: 0), program: "",
                    detail: detail + "; its bytes go to quarantine when it is closed")
                continue
            }
            let place = places[next]
            next += 1
            counters.quarantined.add(1, ordering: .relaxed)
            fail(member.file, member.place, member.birth, detail + "; " + place, rule)
            if let origin = member.birth?.origin { connection?.invalidate(name: origin.name, in: origin.directory) }
        }
        if !members.isEmpty {
            log.warning("nothing of a run was published", metadata: ["run": "\(run.id)", "reason": "\(why)"])
        }
        run.outcome.withLock { outcome in
            outcome["published"] = .integer(0)
            outcome["kept_back"] = .integer(Int64(members.count))
            outcome["quarantined"] = entry.map { .string($0) }
            let faults = members.filter { $0.fault != nil }.prefix(Self.mostFaults).map { member -> JSONValue in
                .object([
                    "path": .string(member.path), "reason": .string(member.fault?.reason ?? ""),
                ])
            }
            if reason.isEmpty, !faults.isEmpty { outcome["faults"] = .array(Array(faults)) }
        }
    }

    /// So many are told to who ran it; all are in `denials.jsonl`.
    private static let mostFaults = 20
}
