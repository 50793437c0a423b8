internal import CLinux
package import Glibc
package import SystemPackage

/// What files are and whose, and what there is of room.
extension SystemCall {
    /// fstat(2); it works on `O_PATH` descriptors.
    package static func attributes(_ descriptor: FileDescriptor) throws(Errno) -> stat {
        var result = stat()
        try retry(.attributes, descriptor) { fstat(descriptor.rawValue, &result) }
        return result
    }

    /// fstatat(2) with `AT_SYMLINK_NOFOLLOW`.
    package static func attributes(
        _ directory: FileDescriptor, _ name: UnsafePointer<CChar>
    ) throws(Errno) -> stat {
        var result = stat()
        try retry(.attributes, name, in: directory) { fstatat(directory.rawValue, name, &result, AT_SYMLINK_NOFOLLOW) }
        return result
    }

    /// stat(2): symbolic links are followed.
    package static func attributes(atPath path: UnsafePointer<CChar>) throws(Errno) -> stat {
        var result = stat()
        try retry(.attributes, path) { fstatat(AT_FDCWD, path, &result, 0) }
        return result
    }

    /// statx(2) of a name, which is not followed when it is a symbolic link.
    package static func look(_ directory: FileDescriptor, _ name: UnsafePointer<CChar>) throws(Errno) -> FoundFile {
        var attributes = stat()
        var born: Int64 = 0
        try retry(.attributes, name, in: directory) {
            clinux_stat_at(directory.rawValue, name, AT_SYMLINK_NOFOLLOW, &attributes, &born)
        }
        return FoundFile(attributes: attributes, identity: FileIdentity(attributes, born: born))
    }

    /// statx(2) of an open descriptor, `O_PATH` too.
    package static func look(_ descriptor: FileDescriptor) throws(Errno) -> FoundFile {
        var attributes = stat()
        var born: Int64 = 0
        try retry(.attributes, descriptor) {
            clinux_stat_at(descriptor.rawValue, "", Int32(CLINUX_AT_EMPTY_PATH), &attributes, &born)
        }
        return FoundFile(attributes: attributes, identity: FileIdentity(attributes, born: born))
    }

    /// The same, as the file system's server has it now: a name that this machine remembers, or that it remembers not to be there, is asked for
    /// (statx(2), `AT_STATX_FORCE_SYNC`).
    package static func lookFreshly(
        _ directory: FileDescriptor, _ name: UnsafePointer<CChar>
    ) throws(Errno) -> FoundFile {
        try askAgain(directory)
        var attributes = stat()
        var born: Int64 = 0
        let flags = AT_SYMLINK_NOFOLLOW | Int32(CLINUX_AT_STATX_FORCE_SYNC)
        try retry(.attributes, name, in: directory) {
            clinux_stat_at(directory.rawValue, name, flags, &attributes, &born)
        }
        return FoundFile(attributes: attributes, identity: FileIdentity(attributes, born: born))
    }

    /// Asks the file system's server how a directory is: where it is not as this machine remembers it, the names that it remembers of it, and
    /// those that it remembers not to be there, are asked for from now on (fs/nfs/dir.c, `nfs_check_verifier`; `AT_STATX_FORCE_SYNC`).
    package static func askAgain(_ directory: FileDescriptor) throws(Errno) {
        var attributes = stat()
        var born: Int64 = 0
        let flags = Int32(CLINUX_AT_EMPTY_PATH | CLINUX_AT_STATX_FORCE_SYNC)
        try retry(.attributes, directory) { clinux_stat_at(directory.rawValue, "", flags, &attributes, &born) }
    }

    /// The same for the directory of a path that begins in another.
    package static func askAgain(_ directory: FileDescriptor, _ path: UnsafePointer<CChar>) throws(Errno) {
        var attributes = stat()
        var born: Int64 = 0
        let flags = AT_SYMLINK_NOFOLLOW | Int32(CLINUX_AT_STATX_FORCE_SYNC)
        try retry(.attributes, path, in: directory) {
            clinux_stat_at(directory.rawValue, path, flags, &attributes, &born)
        }
    }

    /// What is known here of an open descriptor's file, `O_PATH` too: a file system that is a process, or a server's, is not asked (statx(2),
    /// `AT_STATX_DONT_SYNC`). Device, number and kind are right, the rest may be old.
    package static func knownAttributes(_ descriptor: FileDescriptor) throws(Errno) -> stat {
        var attributes = stat()
        var born: Int64 = 0
        let flags = Int32(CLINUX_AT_EMPTY_PATH | CLINUX_AT_STATX_DONT_SYNC)
        try retry(.attributes, descriptor) { clinux_stat_at(descriptor.rawValue, "", flags, &attributes, &born) }
        return attributes
    }

    // MARK: - Mode

    /// fchmod(2), without the bits that are no permissions.
    package static func setMode(_ descriptor: FileDescriptor, _ mode: UInt32) throws(Errno) {
        try retry(.setMode, descriptor) { fchmod(descriptor.rawValue, mode & 0o7777) }
    }

    /// fchmodat(2) with `AT_SYMLINK_NOFOLLOW`: `EOPNOTSUPP` for a symbolic link.
    package static func setMode(
        _ directory: FileDescriptor, _ name: UnsafePointer<CChar>, _ mode: UInt32
    ) throws(Errno) {
        try retry(.setMode, name, in: directory) {
            fchmodat(directory.rawValue, name, mode & 0o7777, AT_SYMLINK_NOFOLLOW)
        }
    }

    /// chmod(2) of the file that a descriptor names, `O_PATH` ones above all.
    package static func setMode(ofPath descriptor: FileDescriptor, _ mode: UInt32) throws(Errno) {
        try withPath(of: descriptor) { path throws(Errno) in
            _ = try retry(.setMode, descriptor) { chmod(path, mode & 0o7777) }
        }
    }

    // MARK: - Owner

    /// fchown(2); nil leaves one as it is.
    package static func setOwner(
        _ descriptor: FileDescriptor, user: UInt32?, group: UInt32?
    ) throws(Errno) {
        try retry(.setOwner, descriptor) {
            fchown(descriptor.rawValue, user ?? UInt32.max, group ?? UInt32.max)
        }
    }

    /// fchownat(2), a symbolic link's own; nil leaves one as it is.
    package static func setOwner(
        _ directory: FileDescriptor, _ name: UnsafePointer<CChar>, user: UInt32?, group: UInt32?
    ) throws(Errno) {
        try retry(.setOwner, name, in: directory) {
            fchownat(directory.rawValue, name, user ?? UInt32.max, group ?? UInt32.max, AT_SYMLINK_NOFOLLOW)
        }
    }

    /// fchownat(2) of the file that a descriptor names, `O_PATH` ones above all; nil leaves one as it is.
    package static func setOwner(
        ofPath descriptor: FileDescriptor, user: UInt32?, group: UInt32?
    ) throws(Errno) {
        let flags = Int32(CLINUX_AT_EMPTY_PATH) | AT_SYMLINK_NOFOLLOW
        try retry(.setOwner, descriptor) {
            fchownat(descriptor.rawValue, "", user ?? UInt32.max, group ?? UInt32.max, flags)
        }
    }

    // MARK: - Times

    /// futimens(2); `UTIME_NOW` and `UTIME_OMIT` in `tv_nsec` mean what they do in C.
    package static func setTimes(
        _ descriptor: FileDescriptor, access: timespec, modification: timespec
    ) throws(Errno) {
        try withTimes(access, modification) { times throws(Errno) in
            _ = try retry(.setTimes, descriptor) { futimens(descriptor.rawValue, times) }
        }
    }

    /// utimensat(2), a symbolic link's own.
    package static func setTimes(
        _ directory: FileDescriptor, _ name: UnsafePointer<CChar>, access: timespec, modification: timespec
    ) throws(Errno) {
        try withTimes(access, modification) { times throws(Errno) in
            _ = try retry(.setTimes, name, in: directory) {
                utimensat(directory.rawValue, name, times, AT_SYMLINK_NOFOLLOW)
            }
        }
    }

    /// utimensat(2) of the file that a descriptor names, `O_PATH` ones above all.
    package static func setTimes(
        ofPath descriptor: FileDescriptor, access: timespec, modification: timespec
    ) throws(Errno) {
        let flags = Int32(CLINUX_AT_EMPTY_PATH) | AT_SYMLINK_NOFOLLOW
        try withTimes(access, modification) { times throws(Errno) in
            _ = try retry(.setTimes, descriptor) { utimensat(descriptor.rawValue, "", times, flags) }
        }
    }

    private static func withTimes(
        _ access: timespec, _ modification: timespec, _ body: (UnsafePointer<timespec>) throws(Errno) -> Void
    ) throws(Errno) {
        try withUnsafeTemporaryAllocation(of: timespec.self, capacity: 2) { times throws(Errno) in
            guard let start = times.baseAddress else { throw Errno.noMemory }
            (start[0], start[1]) = (access, modification)
            try body(start)
        }
    }

    // MARK: - Flags

    /// `FS_IOC_GETFLAGS` of an open file or directory, no `O_PATH` one: what lsattr(1) shows (ioctl_iflags(2)).
    package static func inodeFlags(_ descriptor: FileDescriptor) throws(Errno) -> UInt32 {
        var flags: Int32 = 0
        try retry(.inodeFlags, descriptor) { clinux_inode_flags(descriptor.rawValue, &flags) }
        return UInt32(bitPattern: flags)
    }

    /// `FS_IOC_SETFLAGS`: all flags of an open file or directory.
    package static func setInodeFlags(_ descriptor: FileDescriptor, _ flags: UInt32) throws(Errno) {
        try retry(.setInodeFlags, descriptor) {
            clinux_set_inode_flags(descriptor.rawValue, Int32(bitPattern: flags))
        }
    }

    // MARK: - Access and room

    /// Whether the thread may do something with an open file, `O_PATH` too, by its file system ids (faccessat2(2)).
    ///
    /// - Parameter mode: `R_OK`, `W_OK`, `X_OK`.
    package static func checkAccess(_ descriptor: FileDescriptor, _ mode: Int32) throws(Errno) {
        try retry(.checkAccess, descriptor) { clinux_may_access(descriptor.rawValue, mode) }
    }

    /// Whether the process may do something with a file, by its real ids (access(2)).
    package static func checkAccess(atPath path: UnsafePointer<CChar>, _ mode: Int32) throws(Errno) {
        try retry(.checkAccess, path) { access(path, mode) }
    }

    /// statvfs(3).
    package static func statistics(atPath path: UnsafePointer<CChar>) throws(Errno) -> statvfs {
        var result = statvfs()
        try retry(.statistics, path) { statvfs(path, &result) }
        return result
    }

    /// fstatvfs(3).
    package static func statistics(_ descriptor: FileDescriptor) throws(Errno) -> statvfs {
        var result = statvfs()
        try retry(.statistics, descriptor) { fstatvfs(descriptor.rawValue, &result) }
        return result
    }
}

extension stat {
    /// The permission bits, set-id bits and sticky bit.
    package var permissions: UInt32 { st_mode & 0o7777 }
    package var isDirectory: Bool { st_mode & S_IFMT == S_IFDIR }
    package var isRegular: Bool { st_mode & S_IFMT == S_IFREG }
    package var isSymbolicLink: Bool { st_mode & S_IFMT == S_IFLNK }

    /// Whether both tell the same size and time of modification.
    package func hasSameModification(as other: stat) -> Bool {
        (st_size, st_mtim.tv_sec, st_mtim.tv_nsec) == (other.st_size, other.st_mtim.tv_sec, other.st_mtim.tv_nsec)
    }
}
