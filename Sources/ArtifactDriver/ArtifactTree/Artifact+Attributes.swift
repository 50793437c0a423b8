internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Attributes of artifacts and of the tree's own directories: what is shown, and what may be changed.
extension Volume {
    func timeout(ofArtifact file: ArtifactFile) -> Double {
        let parent = namespace.place(of: file.id)?.parent
        return timeout(of: parent?.scope, in: parent)
    }

    /// A directory of the tree looks like the real directory it shows, or the one that this would be made in. The kernel is told.
    func attributes(of directory: TreeDirectory) throws(Errno) -> stat {
        var shown =
            directory.location == .root
            ? try top.attributes { () throws(Errno) in try directory.real.tell() } : try directory.real.tell()
        shown.st_ino = ino_t(directory.stableNumber)
        if directory.place != .ordinaryTree { shown.st_nlink = 1 }  // "not counted": find(1) then trusts no count.
        return shown
    }

    /// - Parameter isByName: whether the file must have its name still, open handles or not.
    func attributes(of file: ArtifactFile, isByName: Bool = false) throws(Errno) -> stat {
        let standing = self.standing(of: file)
        return try file.state.withLock { state throws(Errno) -> stat in
            if isByName || state.open.any == nil, case .published = state.phase {
                let found: FoundFile
                do throws(Errno) {
                    found = try foundPublished(file)
                    if state.identity == nil { state.identity = found.identity }
                    guard state.identity == found.identity || adoptsEvicted(found, file, &state) else {
                        throw Errno.staleNFSFileHandle
                    }
                } catch {
                    guard !isByName, let former = formerFile(of: file, state, error) else { throw error }
                    return try self.shown(former.attributes(), as: standing)
                }
                return self.shown(found.attributes, as: standing)
            }
            return try self.shown(self.realAttributes(of: file, state), as: standing)
        }
    }

    /// What has a published file's name.
    private func foundPublished(_ file: ArtifactFile) throws(Errno) -> FoundFile {
        guard let place = namespace.place(of: file.id) else { throw Errno.noSuchFileOrDirectory }
        return try view.find(place.name, in: place.parent)
    }

    /// The real file's attributes, wherever it is.
    func realAttributes(of file: ArtifactFile, _ state: borrowing ArtifactFile.State) throws(Errno) -> stat {
        if let descriptor = state.open.any { return try SystemCall.attributes(descriptor) }
        switch state.phase {
        case .published:
            let found: FoundFile
            do throws(Errno) {
                found = try foundPublished(file)
                guard state.identity == found.identity else { throw Errno.staleNFSFileHandle }
            } catch {
                guard let former = formerFile(of: file, state, error) else { throw error }
                return try former.attributes()
            }
            return found.attributes
        case .former(let name, let directory, let number):
            return try formerFile(name, in: directory, number).attributes()
        case .staged(let real), .settling(let real), .sealing(let real), .discarded(let real):
            return try real.attributes()
        case .gone: throw Errno.noSuchFileOrDirectory
        }
    }

    /// A sealed file shows its owner's write bit: the refusal is then ours, with a reason, and not the kernel's (SEMANTICS 2.3).
    func shown(_ attributes: stat, as standing: Standing) -> stat {
        guard standing == .production, !store.isReadOnly else { return attributes }
        var shown = attributes
        shown.st_mode |= S_IWUSR
        return shown
    }

    // MARK: - Changes

    /// The tree's own directories are as the store has them; a session's or a test's own are its owner's, as everywhere.
    func change(_ directory: TreeDirectory, _ changes: AttributeChanges, caller: Caller) throws(Errno) {
        let standing = standing(of: directory.scope)
        let operation: Operation = changes.user == nil && changes.group == nil ? .setAttributes : .setOwner
        let verdict = OverwritePolicy.judgeChange(operation, ofDirectoryIn: directory.place, standing: standing)
        try enforce(verdict, operation.rawValue, directory.path, caller)
        guard changes.size == nil else { throw Errno.isDirectory }
        guard OverwritePolicy.keepsAttributes(ofDirectoryIn: directory.place, standing: standing) else { return }
        try eachReal(of: directory) { real throws(Errno) in try apply(changes, to: real, for: caller) }
    }

    /// Runs with the real directory of one of the tree, made now when nothing was written to it yet, and of a session's or a test's own with
    /// those in the other layers: what is private in one is private in all.
    func eachReal(of directory: TreeDirectory, _ body: (FileDescriptor) throws(Errno) -> Void) throws(Errno) {
        var all = [try ensure(directory)]
        if case .scope(let scope) = directory.location {
            for other in store.otherDirectories(of: scope) { if let real = try other.refresh() { all.append(real) } }
        }
        for real in all { try withExtendedLifetime(real) { () throws(Errno) in try body(real.descriptor) } }
    }

    func change(
        _ file: ArtifactFile, _ changes: AttributeChanges, handle: HandleID?, caller: Caller
    ) throws(Errno) {
        try deferIfClosing(file, caller)
        let standing = self.standing(of: file)
        let job = self.facts(for: caller, file)
        if let size = changes.size { try truncate(file, to: size, handle: handle, standing, caller, job) }
        guard changes.changesMore else { return }
        try withBytes(of: file, for: caller, .setAttributes) { () throws(Errno) in
            try changeMore(file, changes, standing, job, caller)
        }
    }

    private func changeMore(
        _ file: ArtifactFile, _ changes: AttributeChanges, _ standing: Standing, _ job: Facts, _ caller: Caller
    ) throws(Errno) {
        try file.state.withLock { state throws(Errno) in
            let fileState = state.fileState(standing: standing)
            let isSettling = self.isSettling(state, caller)
            var changes = changes
            changes.mode = changes.mode.map { fileState.permitted(mode: $0) }
            try withDescriptor(of: file, state) { descriptor throws(Errno) in
                if fileState.isImmutable { try Self.leaveOutWhatIsSo(&changes, of: descriptor) }
                // What a truncation brings along (the kernel sets the times itself) is part of the truncation.
                if changes.size == nil {
                    let isOwners = changes.user == nil && changes.group == nil
                    let operation: Operation = isOwners ? .setAttributes : .setOwner
                    let facts = Facts(isSameJob: job.isSameJob, isSettling: isSettling)
                    try enforce(
                        OverwritePolicy.judge(operation, on: fileState, facts: facts), operation.rawValue,
                        shownPath(of: .artifact(file)), caller)
                }
                if fileState.isImmutable {
                    // What its link says is what is shown.
                    if changes.changesMore, try evicted(file) != nil { throw Errno.isEvicted }
                    try apply(changes, toSealed: descriptor, for: caller)
                } else {
                    try apply(changes, to: descriptor, for: caller)
                }
            }
            if fileState.isImmutable, !isSettling { record(changes, of: file, caller) }
        }
    }

    /// cp(1), tar(1) and chmod(1) ask for the owner that a file has already.
    private static func leaveOutWhatIsSo(
        _ changes: inout AttributeChanges, of descriptor: FileDescriptor
    ) throws(Errno) {
        guard changes.user != nil || changes.group != nil else { return }
        let found = try SystemCall.attributes(descriptor)
        if changes.user == found.st_uid { changes.user = nil }
        if changes.group == found.st_gid { changes.group = nil }
    }

    /// What the owner of a sealed file changed is in the ledger.
    private func record(_ changes: AttributeChanges, of file: ArtifactFile, _ caller: Caller) {
        guard changes.mode != nil || changes.accessed != nil || changes.modified != nil else { return }
        let modified: timespec? =
            switch changes.modified {
            case nil: nil
            case .now?: Clock.now()
            case .at(let time)?: time
            }
        store.recordAttributes(
            path: shownPath(of: .artifact(file)), mode: changes.mode, modified: modified, user: caller.user,
            process: caller.process, program: processes.program(ofThread: caller.process))
    }

    /// A truncation on a handle does not hold the file's lock, for which others' `stat` would wait: as long as the handle is open the
    /// file is the writer's. One by path holds it, so that no seal begins meanwhile.
    private func truncate(
        _ file: ArtifactFile, to size: Int64, handle: HandleID?, _ standing: Standing, _ caller: Caller, _ facts: Facts
    ) throws(Errno) {
        let writing = try file.state.withLock { state throws(Errno) -> FileDescriptor? in
            let isWriter = handle.map { handle in state.writers.contains { $0.handle == handle } } ?? false
            let operation: Operation = isWriter ? .writeOnHandle : .truncate
            let verdict = OverwritePolicy.judge(operation, on: state.fileState(standing: standing), facts: facts)
            try enforce(verdict, operation.rawValue, shownPath(of: .artifact(file)), caller)
            if isWriter, let descriptor = state.open.writing { return descriptor }
            try truncate(file, state, to: size, caller)
            // It is not as it was where it came from.
            if state.isHeld { state.goesBack = false }
            return nil
        }
        guard let writing else { return }
        if try takesLong(toCut: writing, to: size, caller) { throw Errno.takesLong }
        try truncate(writing, to: size, caller)
    }

    /// truncate(2), for a caller who need not have the file open: as if the caller opened it.
    func truncate(
        _ file: ArtifactFile, _ state: borrowing ArtifactFile.State, to size: Int64, _ caller: Caller
    ) throws(Errno) {
        let descriptor = try open(file, state, O_WRONLY, for: caller)
        defer { try? descriptor.close() }
        if try takesLong(toCut: descriptor, to: size, caller) { throw Errno.takesLong }
        try truncate(descriptor, to: size, caller)
    }

    /// Whether a caller is the process that wrote a file a few seconds ago.
    func isSettling(_ state: borrowing ArtifactFile.State, _ caller: Caller) -> Bool {
        guard let settling = state.settling, Clock.monotonic() < settling.deadline, caller.process > 0 else {
            return false
        }
        return processes.isSameProcess(caller.process, settling.closer) == true
            || processes.isSameProcess(caller.process, settling.opener) == true
    }

    /// `FS_IOC_GETFLAGS`: what is sealed shows as immutable (lsattr(1)).
    func inodeFlags(of file: ArtifactFile) -> UInt32 {
        let immutable: UInt32 = 0x10  // FS_IMMUTABLE_FL, linux/fs.h
        let standing = self.standing(of: file)
        return file.state.withLock { $0.fileState(standing: standing) }.isImmutable ? immutable : 0
    }
}
