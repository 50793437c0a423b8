internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Reading what was kept back, with the rights of who reads.
extension Volume {
    func open(_ kept: KeptFile, _ flags: OpenFlags, caller: Caller) throws(Errno) -> Opened {
        guard !flags.isWritable, !flags.truncates else {
            try refuseKept(.operation(flags.truncates ? .openTruncating : .openToWrite), kept, caller)
        }
        let descriptor = try withPath(of: kept, for: caller) { path throws(Errno) in
            try rights.acting(for: caller) { () throws(Errno) in try SystemCall.reopen(path, O_RDONLY | O_NONBLOCK) }
        }
        store.descriptors.fileOpened()
        return Opened(handle: handles.openFile(descriptor), traits: [.noFlush])
    }

    /// For what the kernel reads by itself, after it has asked for the permission.
    func openToRead(_ kept: KeptFile) throws(Errno) -> FileDescriptor {
        try withPath(of: kept, for: nil) { path throws(Errno) in
            try SystemCall.reopen(path, O_RDONLY | O_NONBLOCK)
        }
    }

    /// Runs with a descriptor that names the file and needs no permission on it.
    func withPath<Result>(
        of kept: KeptFile, for caller: Caller?, _ body: (FileDescriptor) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        let path = try kept.openPath(in: store)
        defer { SystemCall.close(path) }
        if let caller, kept.isInQuarantine {
            let owner = try SystemCall.attributes(path).st_uid
            guard seesKept(owner, caller) else { throw Errno.noSuchFileOrDirectory }
        }
        return try body(path)
    }
}
