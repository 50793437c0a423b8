internal import ArtifactStore
internal import Artifacts
public import FuseKernel
internal import Provenance
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// Closing: what kind of inode it is decides who does it.
extension Volume {
    public func flush(_ request: borrowing Request, inode: InodeNumber, handle: HandleID) throws(Errno) {
        if store.isReadOnly { throw Errno.noFunction }
        if let number = handle.readingNumber { return processes.closes(number, by: request.caller.process) }
        let found = try self.inode(inode)
        guard !handle.isReader else { return }
        // What it wrote is another host's to settle.
        if !store.leases.areHeld, store.leases.state == .lost { throw Errno.hostIsDown }
        if store.isShared { try hearOfWrites(to: found, request.caller) }
        if case .artifact(let file) = found { try flush(file, handle, request.caller) }
    }

    /// In a shared store who closes a file hears whether the server has taken what was written, as on its file system itself (GlusterFS says that there is no
    /// room at close only).
    private func hearOfWrites(to found: Inode, _ caller: Caller) throws(Errno) {
        guard let descriptor = writing(found) else { return }
        if caller.isMovable { throw Errno.takesLong }
        do throws(Errno) { try SystemCall.flushByClosing(descriptor) } catch {
            if case .artifact(let file) = found { writeFailed(file, error) }
            throw error
        }
    }

    /// What a file is written by; who closes it has it open until that is answered.
    private func writing(_ found: Inode) -> FileDescriptor? {
        switch found {
        case .artifact(let file): file.state.withLock { $0.open.writing }
        case .free(let node): node.open.withLock { $0.writing }
        case .tree, .made, .kept: nil
        }
    }

    public func writeFailed(inode: InodeNumber, handle: HandleID, _ error: Errno) {
        guard case .artifact(let file)? = namespace[inode] else { return }
        writeFailed(file, error)
    }

    /// The last duplicate of a handle is closed and no mapping is left.
    public func release(inode: InodeNumber, handle: HandleID) {
        if let number = handle.readingNumber { processes.closed(number) }
        guard let found = namespace[inode] else { return }
        switch found {
        case .made: _ = handles.close(handle)
        case .kept:
            _ = handles.close(handle)
            store.descriptors.fileClosed()
        case .tree: break
        case .free(let node): release(node, handle)
        case .artifact(let file):
            store.descriptors.fileClosed()
            release(file, handle)
            connection?.reconsider()
        }
        sweepIfDue()
    }

    public func allIsClosed() {
        for file in namespace.pinnedArtifacts {
            for handle in file.state.withLock({ $0.writers.map(\.handle) }) { release(file, handle) }
        }
    }
}
