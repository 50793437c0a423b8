internal import ArtifactRecords
internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Opening an artifact, by the policy of the state that it is in.
extension Volume {
    func open(_ file: ArtifactFile, _ flags: OpenFlags, caller: Caller) throws(Errno) -> Opened {
        try withBytes(of: file, for: caller, .openToRead) { () throws(Errno) in try openHere(file, flags, caller) }
    }

    private func openHere(_ file: ArtifactFile, _ flags: OpenFlags, _ caller: Caller) throws(Errno) -> Opened {
        var found = try open(file, flags, caller, isSameJob: nil)
        // Only of files that are being made: sealed ones are opened without asking who asks.
        if found == nil { found = try open(file, flags, caller, isSameJob: isSameJob(caller, file)) }
        guard var opened = found else { throw Errno.resourceBusy }
        recalls?.used(shownPath(of: .artifact(file)))
        if flags.isReadable, let number = noteRead(file, caller), opened.handle.isReader {
            passesOn(number, &opened)
        }
        return opened
    }

    /// - Parameter isSameJob: whether the caller is of the job that makes the file; nil when that was not asked.
    /// - Returns: nil when that is to be asked.
    private func open(
        _ file: ArtifactFile, _ flags: OpenFlags, _ caller: Caller, isSameJob: Bool?
    ) throws(Errno) -> Opened? {
        let changes = flags.isWritable || flags.truncates
        if changes { try deferIfClosing(file, caller) }
        let operation: Operation = flags.truncates ? .openTruncating : changes ? .openToWrite : .openToRead
        let place = namespace.place(of: file.id)
        let standing = self.standing(of: place?.parent.scope)
        let isPublished = changes && place?.parent.isProduction == true
        let run = isPublished ? try allOrNothing(caller, shownPath(of: .artifact(file)), operation.rawValue) : nil
        let makers = isPublished ? self.makers(of: caller) : []
        let making =
            flags.isWritable && place?.parent.isProduction == false ? processes.opensToMake(caller.process) : nil
        let watch = isPublished ? self.watch(caller, among: makers) : making?.watch
        let opened = try file.state.withLock { state throws(Errno) -> (reply: Opened, toCut: FileDescriptor?)? in
            if !changes, standing == .production, mayKeepPages(&state) {
                store.descriptors.fileOpened()
                return (Opened(handle: Self.readerHandle, backing: nil, traits: [.noFlush, .keepCache]), nil)
            }
            let fileState = state.fileState(standing: standing)
            let isBeingMade = OverwritePolicy.asksWho(
                operation, on: fileState, isKeptBack: state.isKeptBack, publishing: store.schema.publishing)
            if isBeingMade, isSameJob == nil { return nil }
            if changes || isBeingMade {
                if !changes, isSameJob == false, caller.canWait, fileState != .held {
                    if fileState != .writing { throw Errno.answerWhenTold }
                    // Its last close may be on the way.
                    if state.isPerhapsClosing { throw Errno.answerLater }
                }
                let facts = Facts(
                    isSameUser: state.birth.map { $0.user == caller.user } ?? true, isSameJob: isSameJob ?? false,
                    isKeptBack: state.isKeptBack)
                try enforce(
                    OverwritePolicy.judge(operation, on: fileState, facts: facts), operation.rawValue,
                    shownPath(of: .artifact(file)), caller, detail: isBeingMade ? whoMakes(state) : nil)
            }
            // Copied out for the closure; the state is exclusively ours while the lock is held.
            let current = state
            try state.open.add(
                writable: flags.isWritable, connection: passthrough, for: caller, rights
            ) { mode throws(Errno) in try self.open(file, current, mode, for: caller) }
            store.descriptors.fileOpened()
            // For a file that cannot be cut.
            let before = state.isHeld ? (state.makers, state.madeFrom, state.spoiled, state.goesBack) : nil
            if changes {
                state.resumeWriting(in: store.staging)
                // The kernel tells of the last close when the program has gone on.
                if Settlement.beginsAnew(truncates: flags.truncates, writers: state.writers.count { !$0.isClosing }) {
                    for index in state.writers.indices { state.writers[index].voided = state.makers }
                    (state.makers, state.madeFrom) = ([], [])
                    if state.isHeld || state.isTransient { state.spoiled = nil }
                }
                if case .staged = state.phase {
                    state.note(makers)
                    if state.isHeld { (state.isHeld, state.goesBack) = (false, false) }
                    if let run { state.heldBy = run }
                }
            }
            if flags.truncates {
                do throws(Errno) {
                    if flags.isWritable, let writing = state.open.writing {
                        if try takesLong(toCut: writing, to: 0, caller) { throw Errno.takesLong }
                    } else {
                        try truncate(file, state, to: 0, caller)
                    }
                } catch {
                    if let before {
                        (state.makers, state.madeFrom, state.spoiled, state.goesBack) = before
                        state.isHeld = true
                    }
                    state.open.remove(writable: flags.isWritable, connection: passthrough)
                    store.descriptors.fileClosed()
                    throw error
                }
            }
            guard flags.isWritable else {
                var traits: OpenTraits = [.noFlush]
                if state.open.backing == nil, state.fileState(standing: standing) == .sealed {
                    traits.insert(.keepCache)  // Sealed bytes never change.
                }
                return (Opened(handle: Self.readerHandle, backing: state.open.backing, traits: traits), nil)
            }
            noteMaking(making, state, truncates: flags.truncates)
            let handle = handles.nextNumber()
            state.writers.append(
                .init(
                    handle: handle, thread: caller.process, watch: watch, isOfSession: making != nil,
                    othersWrote: flags.truncates ? 0 : nil))
            let reply = Opened(
                handle: handle, backing: state.open.backing,
                traits: self.traits(
                    flags, state.open.backing, needsFlush: making?.mayBecomeAnother == true || needsFlush(state)))
            return (reply, flags.truncates ? state.open.writing : nil)
        }
        guard let opened else { return nil }
        if let descriptor = opened.toCut {
            // Without the lock, for which others' `stat` would wait: the handle is counted already.
            do throws(Errno) {
                try truncate(descriptor, to: 0, caller)
            } catch {
                store.descriptors.fileClosed()
                release(file, opened.reply.handle)
                throw error
            }
        }
        return opened.reply
    }

    /// Who makes a file, for who has to wait for it.
    private func whoMakes(_ state: borrowing ArtifactFile.State) -> String? {
        if let run = state.heldBy { return "it is of the run \(run.id), which goes on" }
        guard let birth = state.birth else { return nil }
        let maker = state.makers.first { $0.role == .writer }?.fact
        let who = maker.map { $0.program.isEmpty ? "process \($0.process)" : "\($0.program), process \($0.process)," }
        return "\(who ?? "another program") writes it since \(TimeText.rfc3339(birth.time))"
    }

    /// Counts a reader of a sealed file when the kernel may keep the pages, which never change. The first time it may not: reading
    /// them into the cache is a round trip that passthrough saves.
    private func mayKeepPages(_ state: inout ArtifactFile.State) -> Bool {
        guard case .published = state.phase, state.isSmall else { return false }
        guard state.wasOpened || passthrough == nil else {
            state.wasOpened = true
            return false
        }
        return state.open.addToPages()
    }

    /// Whether anybody learns something from a writer's FLUSH: of files that are to be published.
    private func needsFlush(_ state: borrowing ArtifactFile.State) -> Bool {
        if case .staged = state.phase { return true }
        return false
    }

    /// Opens the real file, wherever it is.
    ///
    /// - Parameter caller: whose rights decide; nil on the driver's own account.
    /// - Throws: `ESTALE` when its name leads to another file than the one that the kernel checked: it then looks the path up anew.
    func open(
        _ file: ArtifactFile, _ state: borrowing ArtifactFile.State, _ flags: Int32, for caller: Caller? = nil
    ) throws(Errno) -> FileDescriptor {
        switch state.phase {
        case .published:
            guard let place = namespace.place(of: file.id), let real = try view.realFile(place.name, in: place.parent)
            else {
                throw Errno.noSuchFileOrDirectory
            }
            guard let identity = state.identity else { throw Errno.staleNFSFileHandle }
            if let caller {
                do throws(Errno) {
                    return try rights.acting(for: caller) { () throws(Errno) in try real.open(flags, seen: identity) }
                } catch {
                    guard let path = try evictedPlace(of: file, identity, flags, after: error) else { throw error }
                    return path
                }
            }
            do throws(Errno) { return try real.open(flags, seen: identity) } catch {
                if let path = try evictedPlace(of: file, identity, flags, after: error) { return path }
                guard let former = formerFile(of: file, state, error) else { throw error }
                return try former.open(flags, seen: identity)
            }
        case .former(let name, let directory, let number):
            let real = try formerFile(name, in: directory, number)
            guard let identity = state.identity else { throw Errno.staleNFSFileHandle }
            guard let caller else { return try real.open(flags, seen: identity) }
            let path = try real.open(SystemCall.pathOnly, seen: identity)
            defer { try? path.close() }
            return try rights.acting(for: caller) { () throws(Errno) in try SystemCall.reopen(path, flags) }
        case .staged(let real), .settling(let real), .sealing(let real), .discarded(let real):
            guard let caller else { return try real.open(flags | O_NONBLOCK) }
            // Nobody but the driver may search staging; the file itself is the caller's or not.
            let path = try real.open(SystemCall.pathOnly)
            defer { try? path.close() }
            return try rights.acting(for: caller) { () throws(Errno) in try SystemCall.reopen(path, flags) }
        // A name that the kernel still remembers: it looks it up anew, and finds it free.
        case .gone: throw caller == nil ? Errno.noSuchFileOrDirectory : .staleNFSFileHandle
        }
    }

    /// Runs with a descriptor of a file whose lock is held, which names it whoever may open it (`O_PATH`) and is good for its attributes.
    func withDescriptor<Result>(
        of file: ArtifactFile, _ state: borrowing ArtifactFile.State,
        _ body: (FileDescriptor) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        if let descriptor = state.open.any { return try body(descriptor) }
        let descriptor = try open(file, state, SystemCall.pathOnly)
        defer { try? descriptor.close() }
        return try body(descriptor)
    }

    /// Puts the answer off for a little while when every writer of a file has closed it and the kernel's RELEASE may be on the way.
    ///
    /// `close` returns before RELEASE is handled, but RELEASE is in the queue before the next request of the same process
    /// (fs/fuse/file.c, `fuse_file_put`). Without this a program could close an artifact and then append to it, depending on which
    /// worker is faster. A shell's `>` (open, dup2, close) looks the same until its command writes: it costs that time once.
    ///
    /// What is on its way to quarantine gives its name back in a moment: who begins anew is answered then.
    func deferIfClosing(_ file: ArtifactFile, _ caller: Caller) throws(Errno) {
        guard caller.canWait else { return }
        let (isPerhapsClosing, isKeptBack) = file.state.withLock { ($0.isPerhapsClosing, $0.isKeptBack) }
        if isKeptBack { throw Errno.answerWhenTold }
        if isPerhapsClosing { throw Errno.answerLater }
    }
}
