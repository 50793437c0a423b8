internal import Artifacts
internal import ArtifactStore
public import FuseKernel
public import Glibc
internal import SystemCalls
public import SystemPackage

/// Operations on the attributes of an inode: what kind it is decides who does it.
extension Volume {
    public func attributes(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID?
    ) throws(Errno) -> AttributesReply {
        let found = try self.inode(inode)
        do throws(Errno) { return try reply(for: found) } catch {
            // Who has it open reads on when it is gone, and the kernel asks for its size meanwhile.
            guard case .kept = found, error == .staleNFSFileHandle, let handle,
                let descriptor = try? handles.file(handle)
            else { throw error }
            return AttributesReply(
                attributes: Self.shown(try SystemCall.attributes(descriptor)), timeout: Timeout.none)
        }
    }

    private func reply(for inode: Inode) throws(Errno) -> AttributesReply {
        switch inode {
        case .tree(let directory):
            AttributesReply(
                attributes: try attributes(of: directory),
                timeout: bounded(isWatched(directory) ? Timeout.watched : Timeout.treeAttributes))
        case .artifact(let file): try reply(for: file)
        case .free(let node):
            AttributesReply(
                attributes: try node.withDescriptor { path throws(Errno) in try SystemCall.attributes(path) },
                timeout: timeout(ofFree: node.scope))
        case .kept(let kept): AttributesReply(attributes: try attributes(of: kept), timeout: Timeout.none)
        case .made(let made): AttributesReply(attributes: attributes(of: made), timeout: Timeout.none)
        }
    }

    private func reply(for file: ArtifactFile) throws(Errno) -> AttributesReply {
        let attributes = try attributes(of: file)
        let timeout = timeout(ofArtifact: file)
        return AttributesReply(attributes: attributes, timeout: hasMoreNames(attributes, file) ? Timeout.none : timeout)
    }

    /// Only for root alone (`MountOptions.checksPermissions`), whom no mode keeps from anything but from running what nobody may run.
    public func access(_ request: borrowing Request, inode: InodeNumber, mode: Int32) throws(Errno) {
        guard mode & X_OK != 0 else { return }
        let shown = try reply(for: try self.inode(inode)).attributes.st_mode
        guard shown & S_IFMT == S_IFDIR || shown & 0o111 != 0 else { throw Errno.permissionDenied }
    }

    public func setAttributes(
        _ request: borrowing Request, inode: InodeNumber, changes: AttributeChanges, handle: HandleID?
    ) throws(Errno) -> AttributesReply {
        let found = try self.inode(inode)
        switch found {
        case .tree(let directory): try change(directory, changes, caller: request.caller)
        case .artifact(let file): try change(file, changes, handle: handle, caller: request.caller)
        case .free(let node): try change(node, changes, handle: handle, caller: request.caller)
        case .kept(let kept):
            let isOwners = changes.user == nil && changes.group == nil
            let operation: Operation = changes.size != nil ? .truncate : isOwners ? .setAttributes : .setOwner
            try refuseKept(.operation(operation), kept, request.caller)
        case .made(.siblingLink(let parent, let name, _)): try changeLink(name, in: parent, changes, request.caller)
        case .made(let made): try refuseMade(.operation(.setAttributes), made, shownPath(of: found), request.caller)
        }
        return try reply(for: found)
    }

    public func statistics(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> FileSystemStatistics {
        try statistics()
    }

    /// The room of the store's file system.
    func statistics() throws(Errno) -> FileSystemStatistics {
        try top.statistics { () throws(Errno) in
            guard let directory = try root.real.current() else { throw Errno.ioError }
            return try withExtendedLifetime(directory) { () throws(Errno) in
                try SystemCall.statistics(directory.descriptor)
            }
        }
    }

    public func inodeFlags(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> UInt32 {
        guard case .artifact(let file) = try self.inode(inode) else { return 0 }
        return inodeFlags(of: file)
    }

    public func readLink(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8] {
        switch try self.inode(inode) {
        case .free(let node):
            try node.withDescriptor { descriptor throws(Errno) in try SystemCall.linkTarget(descriptor) }
        case .made(let made): Array(try target(of: made).utf8)
        case .tree, .artifact, .kept: throw Errno.invalidArgument
        }
    }
}
