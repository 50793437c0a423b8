internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The descriptors that bytes in `logs/` and `scratch/` go through.
extension Volume {
    /// What a file's open handles share; nil when they need none.
    func sharedDescriptor(of node: FreeNode, writing: Bool) -> FileDescriptor? {
        node.open.withLock { writing ? $0.writing : $0.forReading }
    }

    /// A descriptor for one read, which nobody shares.
    func openToRead(_ node: FreeNode) throws(Errno) -> FileDescriptor {
        guard node.kind == S_IFREG else { throw Errno.invalidArgument }
        return try node.withDescriptor { path throws(Errno) in try SystemCall.reopen(path, O_RDONLY) }
    }

    /// The last duplicate of a handle is closed and no mapping is left.
    func release(_ node: FreeNode, _ handle: HandleID) {
        store.descriptors.fileClosed()
        node.open.withLock { $0.remove(writable: !handle.isReader, connection: passthrough) }
        if !handle.isReader, let artifact = node.artifact {
            endChange(of: artifact)
            connection?.reconsider()
        }
    }
}
