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
        guard case .artifact(let file) = try self.inode(inode), !handle.isReader else { return }
        // What it wrote is another host's to settle.
        if !store.leases.areHeld, store.leases.state == .lost { throw Errno.hostIsDown }
        try flush(file, handle, request.caller)
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
