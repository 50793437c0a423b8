internal import CLinux
package import Glibc
package import SystemPackage

/// The system calls that the store makes, as Swift. The one loop over `EINTR` is here.
package enum SystemCall {
    /// `O_PATH` of open(2), which Glibc hides without `_GNU_SOURCE`; the same on x86-64, arm64 and riscv64.
    package static let pathOnly: Int32 = 0o10_000_000
    /// `RENAME_NOREPLACE` of renameat2(2).
    package static let noReplace: UInt32 = 1

    /// Calls until the answer is not `EINTR`.
    ///
    /// - Parameter call: returns what the system call returns, negative with `errno` set on failure.
    @discardableResult
    package static func retry<Value: SignedInteger>(_ call: () -> Value) throws(Errno) -> Value {
        while true {
            let value = call()
            if value >= 0 { return value }
            let error = Errno(rawValue: errno)
            if error != .interrupted { throw error }
        }
    }

    /// The same, unless a test makes the call fail.
    @discardableResult
    private static func retry<Value: SignedInteger>(
        _ call: Faults.Call, _ name: String = "", _ body: () -> Value
    ) throws(Errno) -> Value {
        switch Faults.fault(in: call, name) {
        case nil: return try retry(body)
        case .fails(let error): throw error
        case .isDoneAndFails(let error):
            try retry(body)
            throw error
        }
    }

    /// openat(2) with `O_CLOEXEC`.
    package static func open(
        _ directory: FileDescriptor, _ name: String, _ flags: Int32, _ mode: UInt32 = 0
    ) throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try retry(.open, name) { clinux_openat(directory.rawValue, name, flags, mode) })
    }

    /// fstat(2).
    package static func attributes(_ descriptor: FileDescriptor) throws(Errno) -> stat {
        var result = stat()
        try retry { fstat(descriptor.rawValue, &result) }
        return result
    }

    /// fstatat(2) with `AT_SYMLINK_NOFOLLOW`.
    package static func attributes(_ directory: FileDescriptor, _ name: String) throws(Errno) -> stat {
        var result = stat()
        try retry { fstatat(directory.rawValue, name, &result, AT_SYMLINK_NOFOLLOW) }
        return result
    }

    /// statx(2) of a name, which is not followed when it is a symbolic link.
    package static func look(_ directory: FileDescriptor, _ name: UnsafePointer<CChar>) throws(Errno) -> FoundFile {
        var attributes = stat()
        var born: Int64 = 0
        try retry { clinux_stat_at(directory.rawValue, name, AT_SYMLINK_NOFOLLOW, &attributes, &born) }
        return FoundFile(attributes: attributes, identity: FileIdentity(attributes, born: born))
    }

    /// statx(2) of an open descriptor, `O_PATH` too.
    package static func look(_ descriptor: FileDescriptor) throws(Errno) -> FoundFile {
        var attributes = stat()
        var born: Int64 = 0
        try retry { clinux_stat_at(descriptor.rawValue, "", Int32(CLINUX_AT_EMPTY_PATH), &attributes, &born) }
        return FoundFile(attributes: attributes, identity: FileIdentity(attributes, born: born))
    }

    /// renameat2(2).
    package static func rename(
        _ from: FileDescriptor, _ name: String, _ to: FileDescriptor, _ newName: String, _ flags: UInt32
    ) throws(Errno) {
        try retry(flags & noReplace == 0 ? .rename : .renameWithoutReplacing, newName) {
            clinux_renameat2(from.rawValue, name, to.rawValue, newName, flags)
        }
    }

    /// linkat(2), without following a symbolic link.
    package static func link(
        _ from: FileDescriptor, _ name: String, _ to: FileDescriptor, _ newName: String
    ) throws(Errno) {
        try retry(.link, newName) { linkat(from.rawValue, name, to.rawValue, newName, 0) }
    }

    /// Moves a name without replacing anything; fails with `EEXIST` when the new name is taken.
    ///
    /// On a local file system renameat2(2) with `RENAME_NOREPLACE`. Others pretend to know the flag and replace (ceph-fuse before 2024), or
    /// ask only what this machine remembers: there, and where a file system does not know the flag, linkat(2) and unlinkat(2).
    package static func moveWithoutReplacing(
        _ from: FileDescriptor, _ name: String, _ to: FileDescriptor, _ newName: String
    ) throws(Errno) {
        let isLocal = FileSystemKind.isLocal(to)
        if isLocal {
            do throws(Errno) {
                return try rename(from, name, to, newName, noReplace)
            } catch .invalidArgument, .noFunction, .notSupported {
                // Below.
            }
        }
        let ours = try attributes(from, name)
        do throws(Errno) { try link(from, name, to, newName) } catch {
            // A reply may be lost on its way, and the call made twice: what is there decides.
            if !isLinked(ours, from, name, to, newName) {
                switch error {
                case .notPermitted, .notSupported, .noFunction:
                    // There are no links here, so nothing better than the flag.
                    guard !isLocal else { throw error }
                    do throws(Errno) { _ = try attributes(to, newName) } catch .noSuchFileOrDirectory {
                        return try rename(from, name, to, newName, noReplace)
                    }
                    throw .fileExists
                default: throw error
                }
            }
        }
        // The new name counts now. An old one that stays is found by recovery.
        try? unlink(from, name)
    }

    /// Whether a file has the new name after link(2) said that it does not.
    private static func isLinked(
        _ ours: stat, _ from: FileDescriptor, _ name: String, _ to: FileDescriptor, _ newName: String
    ) -> Bool {
        do throws(Errno) {
            let found = try attributes(to, newName)
            return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
        } catch .noSuchFileOrDirectory {
            // This machine may still remember that there was no such name: the number of names is the server's (open(2), `O_EXCL`).
            guard let now = try? attributes(from, name) else { return false }
            return now.st_ino == ours.st_ino && now.st_nlink > ours.st_nlink
        } catch { return false }
    }

    /// unlinkat(2); `AT_REMOVEDIR` when it is a directory.
    package static func unlink(_ directory: FileDescriptor, _ name: String, isDirectory: Bool = false) throws(Errno) {
        try retry(.unlink, name) { unlinkat(directory.rawValue, name, isDirectory ? AT_REMOVEDIR : 0) }
    }

    /// fsync(2).
    package static func sync(_ descriptor: FileDescriptor) throws(Errno) {
        try retry(.sync) { fsync(descriptor.rawValue) }
    }

    /// sync_file_range(2): begins to write what a file has in memory.
    static func beginSync(_ descriptor: FileDescriptor) { _ = clinux_begin_sync(descriptor.rawValue) }

    /// fdatasync(2).
    package static func syncData(_ descriptor: FileDescriptor) throws(Errno) {
        try retry(.sync) { fdatasync(descriptor.rawValue) }
    }

    /// pread(2), once.
    package static func read(
        _ descriptor: FileDescriptor, at offset: Int64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> Int {
        guard let base = buffer.baseAddress, !buffer.isEmpty else { return 0 }
        return try retry(.read) { pread(descriptor.rawValue, base, buffer.count, off_t(offset)) }
    }

    /// pread(2) until `count` bytes are read or the file ends.
    package static func bytes(
        _ descriptor: FileDescriptor, at offset: Int64, count: Int
    ) throws(Errno) -> [UInt8] {
        // Swift's own allocation would end the process where there is no room, and a file's size may be any number.
        guard let base = malloc(max(count, 1)) else { throw .noMemory }
        defer { free(base) }
        let buffer = UnsafeMutableRawBufferPointer(start: base, count: max(count, 0))
        var filled = 0
        while filled < count {
            // Past the last offset there is (the kernel says EINVAL to it): on purpose no trap.
            let got = try read(
                descriptor, at: offset &+ Int64(filled), into: .init(rebasing: buffer[filled..<count]))
            if got == 0 { break }
            filled += got
        }
        return [UInt8](buffer[..<filled])
    }

    /// write(2) until everything is written.
    package static func write(_ descriptor: FileDescriptor, _ bytes: [UInt8]) throws(Errno) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = try retry(.write) {
                rest.withUnsafeBytes { Glibc.write(descriptor.rawValue, $0.baseAddress, $0.count) }
            }
            guard written > 0 else { throw .ioError }
            rest = rest.dropFirst(written)
        }
    }

    /// Whether nobody can write to a file: no descriptor that is open for writing and no shared writable mapping is left anywhere, also none that
    /// was made through a descriptor which is closed (a read lease is granted then only, fcntl(2); fs/locks.c, `check_conflicting_open`).
    ///
    /// - Parameter descriptor: open for reading only, and not used for leases otherwise.
    /// - Returns: nil when the file system or the system does not say.
    static func hasNoWriters(_ descriptor: FileDescriptor) -> Bool? {
        let (setSignal, setLease): (Int32, Int32) = (10, 1024)  // F_SETSIG, F_SETLEASE
        do throws(Errno) {
            // Who opens the file in this moment has the lease broken, with a signal to us: not SIGIO, which would end the process.
            try retry { clinux_fcntl_int(descriptor.rawValue, setSignal, SIGURG) }
            try retry(.lease) { clinux_fcntl_int(descriptor.rawValue, setLease, Int32(F_RDLCK)) }
            try retry { clinux_fcntl_int(descriptor.rawValue, setLease, Int32(F_UNLCK)) }
            return true
        } catch { return error == .resourceTemporarilyUnavailable ? false : nil }
    }

    /// flock(2).
    ///
    /// - Throws: `EWOULDBLOCK` when `waiting` is false and another open file has the lock.
    package static func lock(_ descriptor: FileDescriptor, waiting: Bool) throws(Errno) {
        try retry { flock(descriptor.rawValue, waiting ? LOCK_EX : LOCK_EX | LOCK_NB) }
    }

    /// flock(2), `LOCK_UN`.
    package static func unlock(_ descriptor: FileDescriptor) { _ = flock(descriptor.rawValue, LOCK_UN) }

    /// close(2). Its errors are not reported: what must be on disk was synced before.
    package static func close(_ descriptor: FileDescriptor) { _ = Glibc.close(descriptor.rawValue) }

    /// The time of day.
    package static func now() -> timespec {
        var time = timespec()
        _ = clock_gettime(CLOCK_REALTIME, &time)
        return time
    }

    /// How many seconds ago a time of day was; negative for one to come. A file may bear any time, so what does not fit is clamped.
    package static func secondsSince(_ time: timespec) -> Int {
        let (seconds, overflow) = now().tv_sec.subtractingReportingOverflow(time.tv_sec)
        return overflow ? (time.tv_sec < 0 ? .max : .min) : seconds
    }
}

extension stat {
    /// The permission bits, set-id bits and sticky bit.
    var permissions: UInt32 { st_mode & 0o7777 }
    var isDirectory: Bool { st_mode & S_IFMT == S_IFDIR }
    var isRegular: Bool { st_mode & S_IFMT == S_IFREG }
    var isSymbolicLink: Bool { st_mode & S_IFMT == S_IFLNK }

    /// Whether both tell the same size and time of modification.
    func isModified(like other: stat) -> Bool {
        (st_size, st_mtim.tv_sec, st_mtim.tv_nsec) == (other.st_size, other.st_mtim.tv_sec, other.st_mtim.tv_nsec)
    }
}
