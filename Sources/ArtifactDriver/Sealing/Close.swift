internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Closing an artifact that was open to write: what every `close` tells, and what the last one decides.
extension Volume {
    /// One `close` of one duplicate. Structural checks happen here, so that a program that looks at `close`'s result learns of them.
    func flush(_ file: ArtifactFile, _ handle: HandleID, _ caller: Caller) throws(Errno) {
        let thread = caller.process
        let (isToBePublished, opener) = file.state.withLock { state -> (Bool, ArtifactFile.Writer?) in
            let index = state.writers.firstIndex { $0.handle == handle }
            let opener = index.map { state.writers[$0] }
            if let index {
                if let makers = state.writers[index].voided {
                    state.writers[index].voided = nil
                    state.note(makers)
                }
                if opener?.thread == thread { state.writers[index].isClosing = true }
            }
            guard case .staged = state.phase else {
                guard let index, opener?.isOfSession == true else { return (false, nil) }
                state.writers[index].isFlushed = true
                return (false, opener)
            }
            return (!state.isTransient, opener)
        }
        // The program too, now: when publishing fails, it may be gone.
        let sight = processes.look(at: thread)
        // A shell's child has become its command since it opened the file.
        if let watch = opener?.watch, watch.process == thread, !watch.isSeen(as: sight.program) {
            processes.observeClosing(watch, as: sight.program, mayBeLater: opener?.isFlushed == false)
        }
        if opener != nil { noteWritten(file, by: thread, called: sight.program) }
        guard isToBePublished else { return }
        let place = namespace.place(of: file.id)
        let check = place.flatMap { contentCheck($0.name, in: $0.parent) }
        // Before anything is noted: another thread begins anew.
        if caller.isMovable, let check, takesLong(toCheck: file, check) { throw Errno.takesLong }
        let fact = WriterFact(ending: sight.ending, program: sight.program, process: thread, heldOpen: true)
        let reason = Settlement.reason(fact, store.schema.benignExits)
        let spoils = reason != nil && isSpoiling(sight.ending, file, handle, closer: thread)
        let checked: (descriptor: FileDescriptor, opener: Int32)? = file.state.withLock { state in
            guard let index = state.writers.firstIndex(where: { $0.handle == handle }) else { return nil }
            state.writers[index].isFlushed = true
            state.writers[index].ending = sight.ending
            state.writers[index].closer = thread
            state.writers[index].program = sight.program
            if spoils, state.spoiled == nil { state.spoiled = reason.map { .init(reason: $0, rule: .makerFailed) } }
            let writer = state.writers[index]
            if processes.isSameProcess(thread, writer.thread) == true {
                // A shell's child has become its command since it opened the file.
                writer.watch?.isCalled(sight.program)
                state.note(sight.ending, program: sight.program, of: writer)
            }
            for maker in state.makers where maker.role == .upstream { maker.watch?.lookAgain() }
            guard let descriptor = state.open.writing else { return nil }
            return (descriptor, state.writers[index].thread)
        }
        guard let checked, reason == nil else { return }
        // A child that inherited the handle closes its copy while the file is half-written: only who opened it finishes it.
        guard processes.isSameProcess(thread, checked.opener) == true else { return }
        if try isOutOfRoom(checked.descriptor, for: caller) {
            // The kernel moves the bytes and tells nobody of a write that failed; on a full disk one probably did.
            file.state.withLock {
                $0.spoiled = .init(reason: "there was no room on the disk when it was closed", rule: .noRoom)
            }
            throw Errno.noSpace
        }
        guard let place, let check else { return }
        let (problem, contents) = try closeProblem(checked.descriptor, check)
        guard let problem else {
            return file.state.withLock { state in
                guard let index = state.writers.firstIndex(where: { $0.handle == handle }) else { return }
                state.writers[index].checked = contents
            }
        }
        let refusal = Refusal.ofPublishing(.failedCheck)
        file.state.withLock { state in
            guard let index = state.writers.firstIndex(where: { $0.handle == handle }) else { return }
            // A shell closes several duplicates for one redirection, and publishing fails for the same fault: one entry.
            if let denial = state.writers[index].denial { return denials.amend(denial, detail: problem) }
            state.writers[index].denial = denials.add(
                refusal, operation: "close", path: place.parent.path(of: place.name), caller: caller,
                program: sight.program,
                detail: problem)
        }
        throw refusal.errno
    }

    /// Whether a process that ends with a handle open leaves the file unfinished.
    ///
    /// The file's lock is not held: what `/proc` says of a process that is in `execve` comes when that has closed its files, and one of
    /// them may be this one, whose FLUSH takes the lock.
    private func isSpoiling(
        _ ending: WriterEnding, _ file: ArtifactFile, _ handle: HandleID, closer: Int32
    ) -> Bool {
        let known = file.state.withLock { state -> (opener: Int32, size: Int64?)? in
            guard let writer = state.writers.first(where: { $0.handle == handle }) else { return nil }
            return (writer.thread, state.open.any.flatMap { try? Int64(SystemCall.attributes($0).st_size) })
        }
        guard let known else { return false }
        return Settlement.isSpoiled(
            by: ending, isOpener: processes.isSameProcess(known.opener, closer) == true,
            written: processes.bytesWritten(byThread: known.opener), size: known.size)
    }

    /// Whether a user has no room left where a file with bytes lies.
    private func isOutOfRoom(_ descriptor: FileDescriptor, for caller: Caller) throws(Errno) -> Bool {
        let now = Clock.monotonic()
        guard now >= roomyUntil.load(ordering: .relaxed) else { return false }
        let room = DiskRoom(try SystemCall.statistics(descriptor), for: caller.user)
        // What nobody fills in that time is asked for again only then.
        if room.isPlenty { roomyUntil.store(now &+ Self.plentyTime, ordering: .relaxed) }
        guard room.isNone else { return false }
        return try SystemCall.attributes(descriptor).st_size > 0
    }

    /// In nanoseconds.
    private static let plentyTime: UInt64 = 50_000_000

    /// The kernel could not write all that a program gave it.
    func writeFailed(_ file: ArtifactFile, _ error: Errno) {
        file.state.withLock { state in
            guard case .staged = state.phase else { return }
            state.spoiled = .init(reason: "a write to it failed: \(error)", rule: .ofFailure(error))
        }
    }

    /// The last duplicate of a handle is closed and no mapping is left.
    func release(_ file: ArtifactFile, _ handle: HandleID) {
        let closed = file.state.withLock { state -> Closed in
            let isWriter = !handle.isReader
            var closed = Closed.nothing
            if isWriter, let index = state.writers.firstIndex(where: { $0.handle == handle }) {
                var writer = state.writers.remove(at: index)
                if writer.isOfSession, state.writers.isEmpty { noteMade(state, by: writer) }
                if !writer.isOfSession, !writer.isFlushed, writer.voided == nil, let watch = writer.watch {
                    writer.ending = watch.ending
                    if state.spoiled == nil {
                        state.spoiled = reason(of: writer).map { .init(reason: $0, rule: .makerFailed) }
                    }
                }
                if state.writers.isEmpty { closed = self.close(&state, lastWriter: writer) }
            }
            state.open.remove(writable: isWriter, connection: passthrough)
            if !state.open.isOpen, case .discarded = state.phase {
                return .quarantine(
                    reason: state.spoiled?.reason ?? "it was removed while it was being written",
                    rule: state.spoiled?.rule ?? .beingWritten)
            }
            return closed
        }
        perform(closed, file)
    }

    /// Why nothing is published that a writer closed as it ended.
    private func reason(of writer: ArtifactFile.Writer) -> String? {
        guard writer.voided == nil else { return nil }
        let fact = WriterFact(
            ending: writer.ending, program: writer.program.isEmpty ? writer.watch?.program ?? "" : writer.program,
            process: writer.closer > 0 ? writer.closer : writer.thread, heldOpen: true)
        return Settlement.reason(fact, store.schema.benignExits)
    }

    /// What a file becomes when its last writer is gone.
    private func close(_ state: inout ArtifactFile.State, lastWriter: ArtifactFile.Writer) -> Closed {
        guard case .staged(let real) = state.phase, !state.isTransient else { return .nothing }
        let size = state.open.any.flatMap { try? SystemCall.attributes($0).st_size } ?? 0
        let spoiled = state.spoiled ?? reason(of: lastWriter).map { .init(reason: $0, rule: .makerFailed) }
        switch LastClose.judge(isSpoiled: spoiled != nil, size: Int64(size)) {
        case .staysEmpty: return .nothing
        case .settles: return conclude(&state, real, bytes: Int64(size), writer: lastWriter)
        case .drops:
            state.phase = .sealing(real)
            state.lastWriter = lastWriter
            return .drop(reason: spoiled?.reason ?? "")
        case .keepsBack:
            if let run = state.heldBy, !run.isCollected.load(ordering: .sequentiallyConsistent) {
                state.spoiled = spoiled
                return hold(&state, real, for: run, lastWriter)
            }
            keepBack(&state, real, lastWriter)
            return .quarantine(reason: spoiled?.reason ?? "", rule: spoiled?.rule ?? .makerFailed)
        }
    }

    /// From here on the file is immutable. A descriptor that is open is kept while the bytes move to their real path; one that is not is opened
    /// when its turn comes, because many files may come at once that have waited.
    func beginSealing(_ state: inout ArtifactFile.State, _ real: RealFile, writer: ArtifactFile.Writer) {
        if state.open.any != nil {
            try? state.open.hold { flags throws(Errno) in try real.open(flags | O_NOFOLLOW) }
        }
        state.phase = .sealing(real)
        if state.settling == nil { beginAttributeWindow(&state, writer) }
        state.lastWriter = writer
    }
}
