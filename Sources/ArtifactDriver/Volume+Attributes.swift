internal import Artifacts
internal import ArtifactStore
internal import CLinux
public import FuseKernel
public import Glibc
internal import Synchronization
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
                attributes: try node.withDescriptor { path throws(Errno) in try Linux.attributes(path) },
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

    /// A directory of the tree looks like the real directory it shows, or the one that this would be made in.
    func attributes(of directory: TreeDirectory) throws(Errno) -> stat {
        var shown = try directory.real.nearestExistingAttributes()
        shown.st_ino = ino_t(directory.stableNumber)
        if directory.place != .ordinaryTree { shown.st_nlink = 1 }  // "not counted": find(1) then trusts no count.
        return shown
    }

    func attributes(of file: ArtifactFile) throws(Errno) -> stat {
        let standing = self.standing(of: namespace.place(of: file.id)?.parent.scope)
        return try file.state.withLock { state throws(Errno) -> stat in
            try self.shown(self.realAttributes(of: file, state), as: standing)
        }
    }

    /// The real file's attributes, wherever it is.
    func realAttributes(of file: ArtifactFile, _ state: borrowing ArtifactFile.State) throws(Errno) -> stat {
        if let descriptor = state.open.any { return try Linux.attributes(descriptor) }
        switch state.phase {
        case .published:
            guard let place = namespace.place(of: file.id),
                case .artifact(let realName) = OverwritePolicy.classify(place.name, in: place.parent.place)
            else { throw Errno.noSuchFileOrDirectory }
            return try publishedAttributes(realName, in: place.parent)
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
        case .tree(let directory):
            try enforce(
                .refused(Refusal(.notPermitted, .fixedDirectory)), Operation.setAttributes.rawValue, directory.path,
                request.caller)
        case .made:
            try enforce(
                .refused(Refusal(.notPermitted, .hiddenEntry)), Operation.setAttributes.rawValue, "", request.caller)
        case .artifact(let file): try change(file, changes, handle: handle, caller: request.caller)
        case .free(let node): try change(node, changes, caller: request.caller)
        }
        return try reply(for: found)
    }

    private func change(
        _ file: ArtifactFile, _ changes: AttributeChanges, handle: HandleID?, caller: Caller
    ) throws(Errno) {
        awaitRelease(of: file)
        let place = namespace.place(of: file.id)
        let standing = self.standing(of: place?.parent.scope)
        let path = place.map { $0.parent.path(of: $0.name) } ?? "(removed file)"
        try file.state.withLock { state throws(Errno) in
            let fileState = state.fileState(standing: standing)
            if let size = changes.size {
                let isWriter = handle.map { handle in state.writers.contains { $0.handle == handle } } ?? false
                let operation: Operation = isWriter ? .writeOnHandle : .truncate
                try enforce(OverwritePolicy.judge(operation, on: fileState), operation.rawValue, path, caller)
                if let descriptor = state.open.writing {
                    _ = try Linux.call { ftruncate(descriptor.rawValue, off_t(size)) }
                } else {
                    let descriptor = try open(file, state, O_WRONLY)
                    defer { try? descriptor.close() }
                    _ = try Linux.call { ftruncate(descriptor.rawValue, off_t(size)) }
                }
            }
            guard
                changes.mode != nil || changes.user != nil || changes.group != nil || changes.accessed != nil
                    || changes.modified != nil
            else { return }
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
            try withDescriptor(of: file, state) { descriptor throws(Errno) in
                try apply(changes, to: descriptor)
            }
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

    private func change(_ node: FreeNode, _ changes: AttributeChanges, caller: Caller) throws(Errno) {
        try enforceLive(node.scope, .setAttributes, "scratch", caller)
        try node.withDescriptor { path throws(Errno) in try change(node, path, changes) }
    }

    private func change(_ node: FreeNode, _ path: FileDescriptor, _ changes: AttributeChanges) throws(Errno) {
        if let size = changes.size {
            let writing = node.open.withLock { $0.writing }
            if let writing {
                _ = try Linux.call { ftruncate(writing.rawValue, off_t(size)) }
            } else {
                _ = try Linux.withPath(of: path) { path throws(Errno) in
                    try Linux.call { truncate(path, off_t(size)) }
                }
            }
        }
        try apply(changes, to: path)
    }

    /// Owner before mode: a change of owner drops the set-id bits.
    private func apply(_ changes: AttributeChanges, to descriptor: FileDescriptor) throws(Errno) {
        if changes.user != nil || changes.group != nil {
            let user = changes.user ?? UInt32.max
            let group = changes.group ?? UInt32.max
            _ = try Linux.call { fchownat(descriptor.rawValue, "", user, group, Linux.emptyPath | AT_SYMLINK_NOFOLLOW) }
        }
        if let mode = changes.mode {
            _ = try Linux.withPath(of: descriptor) { path throws(Errno) in
                try Linux.call { chmod(path, mode & 0o7777) }
            }
        }
        if changes.accessed != nil || changes.modified != nil {
            var times = [Self.time(changes.accessed), Self.time(changes.modified)]
            _ = try Linux.call { utimensat(descriptor.rawValue, "", &times, Linux.emptyPath | AT_SYMLINK_NOFOLLOW) }
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
        var result = statvfs()
        guard let descriptor = try root.real.current()?.descriptor.rawValue else { throw Errno.ioError }
        _ = try Linux.call { fstatvfs(descriptor, &result) }
        return result
    }

    public func inodeFlags(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> UInt32 {
        let immutable: UInt32 = 0x10  // FS_IMMUTABLE_FL, linux/fs.h
        guard case .artifact(let file) = try self.inode(inode) else { return 0 }
        let standing = self.standing(of: namespace.place(of: file.id)?.parent.scope)
        let state = file.state.withLock { $0.fileState(standing: standing) }
        return state == .sealed || state == .sealing ? immutable : 0
    }
}
