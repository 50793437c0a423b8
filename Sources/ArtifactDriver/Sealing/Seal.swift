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

/// Publishing and quarantine, on the seal queue: no program waits for what happens here.
extension Volume {
    /// A file in phase `sealing`.
    private struct Sealing {
        let file: ArtifactFile
        let place: (parent: TreeDirectory, name: String)
        let birth: ArtifactFile.Birth?
        let request: PublishRequest
    }

    /// From here on a killed driver's file is published by the next mount: it is known to be finished.
    func noteFinished(_ state: inout ArtifactFile.State, _ staged: RealFile, _ writer: ArtifactFile.Writer) {
        guard let finished = store.staging?.finish(staged, process: writer.thread) else { return }
        state.phase = .sealing(finished)
    }

    /// Publishes files in phase `sealing`, as many together as there are descriptors for: each takes one until it is published.
    func seal(_ files: [ArtifactFile]) {
        let most = max(1, store.descriptors.mostWaiting)
        for start in stride(from: 0, to: files.count, by: most) {
            seal(Array(files[start..<min(start + most, files.count)]), again: 50)
        }
    }

    /// - Parameter delay: after how many milliseconds a file is tried again that somebody can still write to.
    private func seal(_ files: [ArtifactFile], again delay: Int) {
        let sealings = files.compactMap(sealing)
        let start = Clock.monotonic()
        let outcomes = store.publish(sealings.map(\.request))
        // A share of what they took together.
        let took = (Clock.monotonic() &- start) / UInt64(max(1, sealings.count))
        for (sealing, outcome) in zip(sealings, outcomes) {
            guard case .stillOpen = outcome else {
                end(sealing, outcome, took: took)
                continue
            }
            waiting.skip(sealing.file.id)
            // A mapping outlives its descriptor; whoever has it ends some time, and nobody is told.
            if delay == Self.longestDelay / 2 {
                log.notice(
                    "a program can still write to a file that was closed: it is published when that program ends",
                    metadata: ["path": "\(sealing.place.parent.path(of: sealing.place.name))"])
            }
            seals.submit(sealing.file, bytes: 0, after: delay) { files in
                self.seal(files, again: min(delay * 2, Self.longestDelay))
            }
        }
    }

    /// For so many milliseconds it is waited for what is being found out of a writer's code; of a large repository it is not known in time.
    static let patience: Int32 = 250
    /// In milliseconds; 50 doubled a few times.
    private static let longestDelay = 3200

    private func sealing(_ file: ArtifactFile) -> Sealing? {
        let (phase, birth, goesBack, descriptor, isReadOnly, writer, maker, madeFrom) = file.state.withLock { state in
            // What has waited for room had none.
            if state.open.holds == 0, case .sealing(let staged) = state.phase {
                try? state.open.hold { flags throws(Errno) in try staged.open(flags | O_NOFOLLOW) }
            }
            return (
                state.phase, state.birth, state.goesBack, state.open.holds > 0 ? state.open.readable : nil,
                state.open.isReadOnly, state.lastWriter, whoMade(state), state.madeFrom
            )
        }
        guard case .sealing(let staged) = phase, let place = namespace.place(of: file.id),
            case .artifact(let realName) = OverwritePolicy.classify(place.name, in: place.parent.place)
        else { return nil }
        // The phase holds the descriptor until `finish`.
        var request = PublishRequest(
            staged: staged, target: place.parent.real, name: realName, descriptor: descriptor,
            check: contentCheck(place.name, in: place.parent),
            record: draft(place, birth, by: maker, ending: writer?.ending),
            origin: goesBack ? birth?.origin?.file : nil,
            attributesLock: { change in file.state.withLock { _ in change() } })
        noteUsed(madeFrom, in: &request)
        request.checked = writer?.checked
        // While somebody reads it through a backing file that was opened to write, there is no telling who else could.
        request.requiresNoWriters = isReadOnly
        request.inputs = birth?.run?.inputs ?? []
        request.canWait = true
        if case .typed(_, _, let type) = place.parent.location { request.notesTime = type.hasLatest }
        return Sealing(file: file, place: place, birth: birth, request: request)
    }

    /// - Parameter took: how long it took to learn it, in nanoseconds.
    private func end(_ sealing: Sealing, _ outcome: PublishOutcome, took: UInt64) {
        let (file, place, birth) = (sealing.file, sealing.place, sealing.birth)
        switch outcome {
        case .sealed(_, let size, let lostModes):
            counters.sealed.add(1, ordering: .relaxed)
            let isOther = finish(file, .published, at: sealing.request, isSmall: size <= ArtifactFile.fewBytes)
            // The mount shows the owner's write bit for ever; others' go with the seal, and the kernel may have been told of them.
            if lostModes || isOther { connection?.invalidate(file.id, andData: false) }
            waitingHasEnded(file, isPublished: true)
        case .waiting(let reason, let rule): leaveWaiting(file, in: place, birth, reason, rule, took: took)
        case .quarantined(let reason, let rule):
            counters.quarantined.add(1, ordering: .relaxed)
            fail(file, place, birth, reason, rule)
        case .restored(let reason, let rule):
            fail(file, place, birth, reason, rule)
            if let origin = birth?.origin { connection?.invalidate(name: origin.name, in: origin.directory) }
        case .stillOpen: break  // Tried again.
        }
    }

    /// Puts away what a killed or failed writer, or a removal, left.
    func quarantine(_ file: ArtifactFile, reason: String, _ rule: Rule) {
        let (phase, birth, maker) = file.state.withLock { ($0.phase, $0.birth, whoMade($0)) }
        let place = namespace.place(of: file.id)
        switch phase {
        case .settling(let staged), .sealing(let staged), .discarded(let staged):
            var detail = reason
            do throws(Errno) {
                let kept = try store.quarantine(
                    staged, reason: reason, rule: rule,
                    record: place.map { draft($0, birth, by: maker) } ?? ArtifactRecord(path: birth?.path ?? ""))
                counters.quarantined.add(1, ordering: .relaxed)
                detail += "; the bytes are kept in .artifactfs/quarantine/" + kept
            } catch {
                // The bytes stay in staging, where the next mount's recovery finds them.
                log.error(
                    "cannot move a file to quarantine", metadata: ["file": "\(staged.name)", "errno": "\(error)"])
            }
            if let place {
                fail(file, place, birth, detail, rule)
            } else {
                finish(file, .gone)
            }
        case .published, .former, .staged, .gone: break
        }
    }

    /// Frees the name of a file in phase `sealing` that nothing was written to, and tells of it.
    func drop(_ file: ArtifactFile, reason: String) {
        let (phase, birth, writer) = file.state.withLock { ($0.phase, $0.birth, $0.lastWriter) }
        guard case .sealing(let staged) = phase else { return }
        let place = namespace.place(of: file.id)
        try? store.staging?.remove(staged)
        if let place { tellEmpty(place.parent.path(of: place.name), staged, birth, writer, reason) }
        namespace.removeName(of: file.id)
        file.state.withLock { state in
            state.phase = .gone
            state.lastWriter = nil
        }
        namespace.unpin(file.id)
        if let place { connection?.invalidate(name: place.name, in: place.parent.id) }
    }

    /// Tells who made an artifact, and the ledger, that nothing was written to it and that its name is free.
    func tellEmpty(
        _ path: String, _ staged: RealFile, _ birth: ArtifactFile.Birth?, _ writer: ArtifactFile.Writer?,
        _ reason: String
    ) {
        counters.empty.add(1, ordering: .relaxed)
        let process = writer.map { $0.closer > 0 ? $0.closer : $0.thread } ?? birth?.thread ?? 0
        let (user, program) = (birth?.user ?? 0, writer?.program ?? "")
        denials.add(
            .ofPublishing(.emptyFile), operation: "publish", path: path,
            caller: Caller(user: user, group: birth?.group ?? 0, process: process, umask: 0),
            program: program, detail: reason)
        store.recordEmpty(staged, path: path, user: user, process: process, program: program, reason: reason)
        log.warning(
            "nothing was written to it: its name is free", metadata: ["path": "\(path)", "reason": "\(reason)"])
    }

    func fail(
        _ file: ArtifactFile, _ place: (parent: TreeDirectory, name: String), _ birth: ArtifactFile.Birth?,
        _ reason: String, _ rule: Rule
    ) {
        let writer = file.state.withLock { $0.lastWriter }
        if let denial = writer?.denial {
            denials.amend(denial, detail: reason)
        } else {
            let process = writer.map { $0.closer > 0 ? $0.closer : $0.thread } ?? birth?.thread ?? 0
            denials.add(
                .ofPublishing(rule), operation: "publish",
                path: place.parent.path(of: place.name),
                caller: Caller(user: birth?.user ?? 0, group: birth?.group ?? 0, process: process, umask: 0),
                program: writer?.program ?? "", detail: reason)
        }
        namespace.removeName(of: file.id)
        finish(file, .gone)
        waitingHasEnded(file, isPublished: false)
        connection?.invalidate(name: place.name, in: place.parent.id)
    }

    /// - Parameter request: what was published.
    /// - Returns: whether another file than the staged one is at the real path: a copy, where that is another file system.
    @discardableResult
    func finish(
        _ file: ArtifactFile, _ phase: ArtifactFile.Phase, at request: PublishRequest? = nil, isSmall: Bool = false
    ) -> Bool {
        defer { namespace.unpin(file.id) }
        return file.state.withLock { state in
            let staged = state.open.any.flatMap { try? SystemCall.look($0) }?.identity
            // On the file system of staging it is the staged file itself.
            state.identity =
                if let staged, staged.device == request?.target.device { staged } else {
                    request.flatMap { request in
                        try? request.target.refresh().map { directory throws(Errno) in
                            try directory.file(request.name).look().identity
                        }
                    }
                }
            if case .sealing = state.phase { state.open.unhold(passthrough) }
            state.phase = phase
            state.isSmall = isSmall
            state.birth = nil
            state.lastWriter = nil
            state.goesBack = false
            state.makers = []
            state.madeFrom = []
            state.written = nil
            state.isKeptBack = false
            (state.heldBy, state.isHeld) = (nil, false)
            return staged != state.identity
        }
    }

    /// What is known of an artifact when it is published.
    func draft(
        _ place: (parent: TreeDirectory, name: String), _ birth: ArtifactFile.Birth?, by maker: (any WatchedProcess)?,
        ending: WriterEnding? = nil
    ) -> ArtifactRecord {
        let path = place.parent.path(of: place.name)
        var record = ArtifactRecord(path: path, scope: place.parent.scope)
        if case .typed(_, let layer, let type) = place.parent.location {
            record = ArtifactRecord(place.name, of: type, in: layer, place.parent.scope, path: path)
        }
        (record.times.opened, record.times.closed) = (birth?.time, Clock.now())
        if let birth {
            var writer = ArtifactRecord.Writer()
            (writer.uid, writer.gid) = (birth.user, birth.group)
            // Of a process in another pid namespace the kernel tells 0.
            writer.pid = birth.thread > 0 ? birth.thread : nil
            // Who had closed the file lived still; it may have ended since.
            writer.exit = ending?.exit ?? (ending == nil ? nil : maker?.ending.exit)
            record.writer = writer
        }
        record.run = birth?.run?.inRecord
        record.origin = birth?.origin.map { ArtifactRecord.PromotionOrigin(path: $0.path) }
        maker?.awaitFacts(atMost: Self.patience)
        maker?.facts?.fill(&record)
        // Who had made a file in a session has made it; who moved it has promoted it.
        if let made = birth?.origin?.maker?.facts {
            record.origin?.promoter = record.writer
            record.writer = nil
            made.fill(&record)
            record.writer?.uid = made.rights?.user
            record.writer?.gid = made.rights?.group
            record.writer?.exit = birth?.origin?.maker?.ending.exit ?? .unknown
        }
        return record
    }

    /// Who made a file: the process that made it, or else who wrote to it last.
    func whoMade(_ state: borrowing ArtifactFile.State) -> (any WatchedProcess)? {
        state.makers.first { $0.role == .writer && $0.thread == state.birth?.thread }?.watch ?? state.lastWriter?.watch
    }
}

extension WriterEnding {
    /// For a record; nil while the process lives.
    var exit: ArtifactRecord.Exit? {
        switch self {
        case .running: nil
        case .unknown: .unknown
        case .succeeded: .status(0)
        case .failed(let status): .status(status)
        case .killed(let signal): .signal(signal)
        }
    }
}
