internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Logging
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What is whole and cannot be published for now: it keeps its name and can be read, and is tried again until the mount ends.
extension Volume {
    /// Leaves a file in phase `sealing` staged.
    ///
    /// - Parameter took: how long the try took, in nanoseconds.
    func leaveWaiting(
        _ file: ArtifactFile, in place: (parent: TreeDirectory, name: String), _ birth: ArtifactFile.Birth?,
        _ reason: String, _ rule: Rule, took: UInt64
    ) {
        let (staged, writer) = file.state.withLock { state -> (RealFile?, ArtifactFile.Writer?) in
            guard case .sealing(let staged) = state.phase else { return (nil, nil) }
            // It may not have been noted for want of room.
            if let writer = state.lastWriter { noteFinished(&state, staged, writer) }
            // As long as it waits it takes no descriptor from others.
            state.open.unhold(passthrough)
            guard case .sealing(let renamed) = state.phase else { return (staged, state.lastWriter) }
            return (renamed, state.lastWriter)
        }
        guard let staged else { return }
        let entry = WaitingFiles.Entry(
            file: file, bytes: (try? Int64(staged.attributes().st_size)) ?? 0, target: place.parent.real)
        let isNew = waiting.add(
            entry, of: birth?.user ?? 0, because: rule, took: took, now: Clock.monotonic())
        if isNew {
            let path = place.parent.path(of: place.name)
            let detail =
                reason + "; it stays staged, and is published by itself when "
                + (rule == .noRoom ? "there is room" : "that is over")
            let process = writer.map { $0.closer > 0 ? $0.closer : $0.thread } ?? birth?.thread ?? 0
            denials.add(
                .ofPublishing(rule), operation: "publish", path: path,
                caller: Caller(user: birth?.user ?? 0, group: birth?.group ?? 0, process: process, umask: 0),
                program: writer?.program ?? "", detail: detail)
            log.warning("not published yet", metadata: ["path": "\(path)", "reason": "\(reason)"])
        }
        setTimerForWaiting()
    }

    func hasRoom(for entry: WaitingFiles.Entry) -> Bool {
        store.seemsToHaveRoom(for: entry.bytes, in: entry.target)
    }

    /// Tells of what became of a file, which may have waited.
    func waitingHasEnded(_ file: ArtifactFile, isPublished: Bool) {
        guard waiting.isAny else { return }
        submitAgain(
            waiting.end(file.id, isPublished: isPublished, now: Clock.monotonic(), hasRoom: hasRoom(for:)))
    }

    private func submitAgain(_ entries: [WaitingFiles.Entry]) {
        for entry in entries { seals.submit(entry.file, bytes: entry.bytes, publish: seal) }
    }

    // MARK: - When

    func setTimerForWaiting() {
        guard let delay = waiting.startTimer() else { return }
        seals.submit(after: delay, isQuiet: true) {
            self.waiting.timerHasEnded()
            self.publishWaiting()
        }
    }

    /// Something was removed: there may be room.
    func lookForRoom() {
        guard waiting.isAny, waiting.beginLook() else { return }
        seals.submit { self.publishWaiting() }
    }

    /// Tries what waits, where there is room.
    private func publishWaiting() {
        waiting.lookBegins()
        let now = Clock.monotonic()
        guard !waiting.isStopping else { return }
        submitAgain(waiting.next(now: now, hasRoom: hasRoom(for:)))
        if waiting.leftoversAreDue(now: now), store.seemsToHaveRoom {
            seals.submit(isLong: true) { self.recoverLeftovers() }
        }
        setTimerForWaiting()
    }

    /// Publishes what killed mounts had finished and the store had no room for when it was opened.
    ///
    /// - Parameter isNews: something was left that nobody has looked at.
    func recoverLeftovers(isNews: Bool = false) {
        let start = Clock.monotonic()
        guard isNews || waiting.leftoversAreDue(now: start) else { return }
        let report = store.recoverAgain()
        report.write(to: log, alsoWaiting: isNews)
        let now = Clock.monotonic()
        waiting.noteLeftovers(!report.waiting.isEmpty || report.wasBusy, took: now &- start, now: now)
        setTimerForWaiting()
    }

    /// The last try before the mount ends.
    func publishWaitingAtLast() {
        waiting.stop()
        submitAgain(waiting.next(now: Clock.monotonic(), evenIfTriedJustNow: true, hasRoom: hasRoom(for:)))
    }
}
