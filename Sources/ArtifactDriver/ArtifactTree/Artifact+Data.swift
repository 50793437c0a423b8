internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The descriptors that an artifact's bytes go through.
extension Volume {
    /// What a file's open handles share; nil when they need none.
    func sharedDescriptor(of file: ArtifactFile, writing: Bool) -> FileDescriptor? {
        file.state.withLock { writing ? $0.open.writing : $0.open.forReading }
    }

    /// A descriptor for one read, which nobody shares.
    func openToRead(_ file: ArtifactFile, for caller: Caller) throws(Errno) -> FileDescriptor {
        try withBytes(of: file, for: caller, .openToRead) { () throws(Errno) in
            try file.state.withLock { state throws(Errno) in try open(file, state, O_RDONLY) }
        }
    }
}
