internal import CLinux
internal import Glibc
package import SystemPackage

/// Locks and leases.
extension SystemCall {
    /// flock(2).
    ///
    /// - Throws: `EWOULDBLOCK` when `waiting` is false and another open file has the lock.
    package static func lock(
        _ descriptor: FileDescriptor, waiting: Bool, isShared: Bool = false
    ) throws(Errno) {
        let kind = isShared ? LOCK_SH : LOCK_EX
        try retry(.lock, descriptor) { flock(descriptor.rawValue, waiting ? kind : kind | LOCK_NB) }
    }

    /// flock(2), `LOCK_UN`.
    package static func unlock(_ descriptor: FileDescriptor) { _ = flock(descriptor.rawValue, LOCK_UN) }

    /// A lock of fcntl(2) on a whole file, of the open file as flock(2)'s are (`F_OFD_SETLK`); not waited for, and let go with `close`.
    ///
    /// - Parameter descriptor: open for writing.
    /// - Throws: `EAGAIN` or `EACCES` when another open file has one.
    package static func lockRange(_ descriptor: FileDescriptor) throws(Errno) {
        try retry(.lock, descriptor) { clinux_lock_open_file(descriptor.rawValue) }
    }

    /// Closes a descriptor by which a `flock` is held, or was asked for.
    ///
    /// A lock is the open file's, not the descriptor's: a child that another thread has forked, and that has not come to its exec yet,
    /// has the file open too, and with `close` alone the lock would be held until then.
    package static func closeLock(_ descriptor: FileDescriptor) {
        unlock(descriptor)
        close(descriptor)
    }

    /// Whether nobody can write to a file: no descriptor that is open for writing and no shared writable mapping is left anywhere, also none that
    /// was made through a descriptor which is closed (a read lease is granted then only, fcntl(2); fs/locks.c, `check_conflicting_open`).
    ///
    /// - Parameter descriptor: open for reading only, and not used for leases otherwise.
    /// - Returns: nil when the file system or the system does not say.
    package static func hasNoWriters(_ descriptor: FileDescriptor) -> Bool? {
        let (setSignal, setLease): (Int32, Int32) = (10, 1024)  // F_SETSIG, F_SETLEASE
        do throws(Errno) {
            // Who opens the file in this moment has the lease broken, with a signal to us: not SIGIO, which would end the process.
            try retry(.lease, descriptor) { clinux_fcntl_int(descriptor.rawValue, setSignal, SIGURG) }
            try retry(.lease, descriptor) { clinux_fcntl_int(descriptor.rawValue, setLease, Int32(F_RDLCK)) }
            try retry(.lease, descriptor) { clinux_fcntl_int(descriptor.rawValue, setLease, Int32(F_UNLCK)) }
            return true
        } catch { return error == .resourceTemporarilyUnavailable ? false : nil }
    }
}
