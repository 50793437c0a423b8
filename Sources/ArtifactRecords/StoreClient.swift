internal import Glibc
internal import SystemCalls
public import SystemPackage

/// Through whose eyes a store is seen: one run of one machine's kernel, and one mount there of the file system that the store is on.
///
/// Whoever is the same client sees the same flock(2)s. Of others that is not known: on some file systems each client has its own (NFS with
/// `local_lock`, Lustre with `localflock`, BeeGFS by default).
public struct StoreClient: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    /// As a token says it.
    public init(_ description: String) { self.description = description }

    /// This process's own.
    ///
    /// - Parameter root: open on the store's directory.
    /// - Throws: what fstat(2) throws; `ENOSYS` where the run of the machine has no name.
    public init(of root: FileDescriptor) throws(Errno) {
        let boot = Machine.boot
        guard !boot.isEmpty else { throw .noFunction }
        description = "\(boot)/\(try SystemCall.attributes(root).st_dev)"
    }
}
