internal import Artifacts
internal import ArtifactStore
public import FuseKernel
public import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

extension Volume {
    public func attributes(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID?
    ) throws(Errno) -> AttributesReply {
        try reply(for: try self.inode(inode))
    }

    private func reply(for inode: Inode) throws(Errno) -> AttributesReply {
        switch inode {
        case .tree(let directory):
            AttributesReply(
                attributes: try attributes(of: directory),
                timeout: isWatched(directory) ? Timeout.watched : Timeout.treeAttributes)
        case .artifact(let file):
            AttributesReply(
                attributes: try attributes(of: file),
                timeout: timeout(ofArtifact: file))
        case .free(let node):
            AttributesReply(
                attributes: try node.withDescriptor { path throws(Errno) in try SystemCall.attributes(path) },
                timeout: timeout(of: node.scope))
        case .made(let made): AttributesReply(attributes: attributes(of: made), timeout: Timeout.none)
        }
    }

    /// Only for root alone (`MountOptions.checksPermissions`), whom no mode keeps from anything but from running what nobody may run.
    public func access(_ request: borrowing Request, inode: InodeNumber, mode: Int32) throws(Errno) {
        guard mode & X_OK != 0 else { return }
        let shown = try reply(for: try self.inode(inode)).attributes.st_mode
        guard shown & S_IFMT == S_IFDIR || shown & 0o111 != 0 else { throw Errno.permissionDenied }
    }

    private func timeout(ofArtifact file: ArtifactFile) -> Double {
        let parent = namespace.place(of: file.id)?.parent
        return timeout(of: parent?.scope, in: parent)
    }

    // MARK: - What is shown

    /// A directory of the tree looks like the real directory it shows, or the one that this would be made in. The kernel is told.
    func attributes(of directory: TreeDirectory) throws(Errno) -> stat {
        var shown = try directory.real.tell()
        shown.st_ino = ino_t(directory.stableNumber)
        if directory.place != .ordinaryTree { shown.st_nlink = 1 }  // "not counted": find(1) then trusts no count.
        return shown
    }

    /// - Parameter isByName: whether the file must have its name still, open handles or not.
    func attributes(of file: ArtifactFile, isByName: Bool = false) throws(Errno) -> stat {
        let standing = self.standing(of: namespace.place(of: file.id)?.parent.scope)
        return try file.state.withLock { state throws(Errno) -> stat in
            if isByName || state.open.any == nil, case .published = state.phase {
                let found = try foundPublished(file)
                if state.identity == nil { state.identity = found.identity }
                guard state.identity == found.identity else { throw Errno.staleNFSFileHandle }
                return self.shown(found.attributes, as: standing)
            }
            return try self.shown(self.realAttributes(of: file, state), as: standing)
        }
    }

    /// What has a published file's name.
    private func foundPublished(_ file: ArtifactFile) throws(Errno) -> FoundFile {
        guard let place = namespace.place(of: file.id),
            case .artifact(let realName) = OverwritePolicy.classify(place.name, in: place.parent.place)
        else { throw Errno.noSuchFileOrDirectory }
        return try publishedFile(realName, in: place.parent)
    }

    /// The real file's attributes, wherever it is.
    func realAttributes(of file: ArtifactFile, _ state: borrowing ArtifactFile.State) throws(Errno) -> stat {
        if let descriptor = state.open.any { return try SystemCall.attributes(descriptor) }
        switch state.phase {
        case .published:
            let found = try foundPublished(file)
            guard state.identity == found.identity else { throw Errno.staleNFSFileHandle }
            return found.attributes
        case .staged(let real), .sealing(let real), .discarded(let real): return try real.attributes()
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

    public func setAttributes(
        _ request: borrowing Request, inode: InodeNumber, changes: AttributeChanges, handle: HandleID?
    ) throws(Errno) -> AttributesReply {
        let found = try self.inode(inode)
        switch found {
        case .tree(let directory): try change(directory, changes, caller: request.caller)
        case .made:
            try enforce(
                .refused(Refusal(.notPermitted, .hiddenEntry)), Operation.setAttributes.rawValue, "", request.caller)
        case .artifact(let file): try change(file, changes, handle: handle, caller: request.caller)
        case .free(let node): try change(node, changes, handle: handle, caller: request.caller)
        }
        return try reply(for: found)
    }

    /// The tree's own directories are as the store has them; a session's or a test's own are its owner's, as everywhere.
    private func change(_ directory: TreeDirectory, _ changes: AttributeChanges, caller: Caller) throws(Errno) {
        let verdict = OverwritePolicy.judgeChange(
            ofDirectoryIn: directory.place, standing: standing(of: directory.scope))
        try enforce(verdict, Operation.setAttributes.rawValue, directory.path, caller)
        guard changes.size == nil else { throw Errno.isDirectory }
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

    private func change(
        _ file: ArtifactFile, _ changes: AttributeChanges, handle: HandleID?, caller: Caller
    ) throws(Errno) {
        try deferIfClosing(file, caller)
        let place = namespace.place(of: file.id)
        let standing = self.standing(of: place?.parent.scope)
        let path = place.map { $0.parent.path(of: $0.name) } ?? "(removed file)"
        if let size = changes.size { try truncate(file, to: size, handle: handle, standing, path, caller) }
        guard changes.changesMore else { return }
        try file.state.withLock { state throws(Errno) in
            let fileState = state.fileState(standing: standing)
            // What a truncation brings along (the kernel sets the times itself) is part of the truncation.
            if changes.size == nil {
                let facts = Facts(isSettling: isSettling(state, caller))
                try enforce(
                    OverwritePolicy.judge(.setAttributes, on: fileState, facts: facts),
                    Operation.setAttributes.rawValue, path, caller)
            }
            var changes = changes
            if fileState == .sealing || fileState == .sealed, let mode = changes.mode {
                changes.mode = mode & 0o555  // As when it was sealed.
            }
            // What is staged is to be an artifact, and no artifact is a program that runs as somebody else.
            if !state.isPublished, let mode = changes.mode { changes.mode = mode & 0o1777 }
            try withDescriptor(of: file, state) { descriptor throws(Errno) in
                try apply(changes, to: descriptor, for: caller)
            }
        }
    }

    /// A truncation on a handle does not hold the file's lock, for which others' `stat` would wait: as long as the handle is open the
    /// file is the writer's. One by path holds it, so that no seal begins meanwhile.
    private func truncate(
        _ file: ArtifactFile, to size: Int64, handle: HandleID?, _ standing: Standing, _ path: String, _ caller: Caller
    ) throws(Errno) {
        let writing = try file.state.withLock { state throws(Errno) -> FileDescriptor? in
            let isWriter = handle.map { handle in state.writers.contains { $0.handle == handle } } ?? false
            let operation: Operation = isWriter ? .writeOnHandle : .truncate
            let verdict = OverwritePolicy.judge(operation, on: state.fileState(standing: standing))
            try enforce(verdict, operation.rawValue, path, caller)
            if isWriter, let descriptor = state.open.writing { return descriptor }
            try truncate(file, state, to: size, caller)
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

    /// ftruncate(2) for a caller, so that quotas hold.
    func truncate(_ descriptor: FileDescriptor, to size: Int64, _ caller: Caller) throws(Errno) {
        try rights.acting(for: caller) { () throws(Errno) in
            try SystemCall.truncate(descriptor, to: size)
        }
    }

    /// truncate(2) of the file that an `O_PATH` descriptor names.
    func truncate(atPath descriptor: FileDescriptor, to size: Int64, _ caller: Caller) throws(Errno) {
        try rights.acting(for: caller) { () throws(Errno) in
            try SystemCall.truncate(ofPath: descriptor, to: size)
        }
    }

    /// Whether a caller is the process that wrote a file a few seconds ago.
    func isSettling(_ state: borrowing ArtifactFile.State, _ caller: Caller) -> Bool {
        guard let settling = state.settling, Clock.monotonic() < settling.deadline, caller.process > 0 else {
            return false
        }
        return ProcFile.isSameProcess(caller.process, settling.closer)
            || ProcFile.isSameProcess(caller.process, settling.opener)
    }

    private func change(
        _ node: FreeNode, _ changes: AttributeChanges, handle: HandleID?, caller: Caller
    ) throws(Errno) {
        try enforceLive(node.scope, .setAttributes, shownPath(of: node), caller)
        try node.withDescriptor { path throws(Errno) in
            if let size = changes.size {
                guard node.kind == S_IFREG else { throw node.kind == S_IFDIR ? Errno.isDirectory : .invalidArgument }
                let isWriter = handle.map { $0 != Self.readerHandle } ?? false
                if try takesLong(toCut: path, to: size, caller) { throw Errno.takesLong }
                if isWriter, let writing = node.open.withLock({ $0.writing }) {
                    try truncate(writing, to: size, caller)
                } else {
                    try truncate(atPath: path, to: size, caller)
                }
            }
            if changes.changesMore { try apply(changes, to: path, for: caller) }
        }
    }

    /// As the caller, whom the kernel asks for what a change needs: a file's owner for its mode, root for another owner.
    private func apply(
        _ changes: AttributeChanges, to descriptor: FileDescriptor, for caller: Caller
    ) throws(Errno) {
        if changes.dropsSetID { try Self.dropSetID(descriptor) }
        try rights.acting(for: caller) { () throws(Errno) in try Self.apply(changes, to: descriptor) }
    }

    /// What a write or a change of owner takes away, whoever makes it, is taken by the driver itself.
    private static func dropSetID(_ descriptor: FileDescriptor) throws(Errno) {
        guard let left = SetIDBits.dropped(from: try SystemCall.attributes(descriptor).st_mode) else { return }
        try SystemCall.setMode(ofPath: descriptor, left)
    }

    /// Owner before mode: a change of owner drops the set-id bits.
    private static func apply(_ changes: AttributeChanges, to descriptor: FileDescriptor) throws(Errno) {
        if changes.user != nil || changes.group != nil {
            try SystemCall.setOwner(ofPath: descriptor, user: changes.user, group: changes.group)
        }
        if let mode = changes.mode { try SystemCall.setMode(ofPath: descriptor, mode) }
        if changes.accessed != nil || changes.modified != nil {
            try SystemCall.setTimes(
                ofPath: descriptor, access: Self.time(changes.accessed), modification: Self.time(changes.modified))
        }
    }

    private static func time(_ time: AttributeChanges.Time?) -> timespec {
        switch time {
        case nil: timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)  // UTIME_OMIT
        case .now?: timespec(tv_sec: 0, tv_nsec: (1 << 30) - 1)  // UTIME_NOW
        case .at(let time)?: time
        }
    }

    /// Refuses a change in an ended session's free tree.
    func enforceLive(
        _ scope: Scope, _ operation: Operation, _ path: @autoclosure () -> String, _ caller: Caller
    ) throws(Errno) {
        let state = OverwritePolicy.stateOfPublished(in: standing(of: scope))
        let verdict = OverwritePolicy.judge(operation, on: state, facts: Facts(isInOrdinaryTree: true))
        try enforce(verdict, operation.rawValue, path(), caller)
    }

    public func statistics(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> FileSystemStatistics {
        guard let directory = try root.real.current() else { throw Errno.ioError }
        return try withExtendedLifetime(directory) { () throws(Errno) in
            try SystemCall.statistics(directory.descriptor)
        }
    }

    public func inodeFlags(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> UInt32 {
        let immutable: UInt32 = 0x10  // FS_IMMUTABLE_FL, linux/fs.h
        guard case .artifact(let file) = try self.inode(inode) else { return 0 }
        let standing = self.standing(of: namespace.place(of: file.id)?.parent.scope)
        let state = file.state.withLock { $0.fileState(standing: standing) }
        return state == .sealed || state == .sealing ? immutable : 0
    }
}
