internal import CLinux
internal import Glibc
package import SystemPackage

/// Opening, making, moving and removing names.
extension SystemCall {
    /// `O_PATH` of open(2), which Glibc hides without `_GNU_SOURCE`; the same on x86-64, arm64 and riscv64.
    package static let pathOnly = Int32(CLINUX_O_PATH)
    /// `O_TMPFILE` of open(2), which Glibc hides likewise: a file without a name, in a directory.
    package static let unnamedFile: Int32 = 0o20_000_000 | O_DIRECTORY
    /// `RENAME_NOREPLACE` of renameat2(2).
    package static let noReplace: UInt32 = 1
    /// `RENAME_EXCHANGE` of renameat2(2).
    package static let exchange: UInt32 = 2

    // MARK: - Opening

    /// openat(2) with `O_CLOEXEC`.
    package static func open(
        _ directory: FileDescriptor, _ name: UnsafePointer<CChar>, _ flags: Int32, _ mode: UInt32 = 0
    ) throws(Errno) -> FileDescriptor {
        FileDescriptor(
            rawValue: try retry(.open, name, in: directory) { clinux_openat(directory.rawValue, name, flags, mode) })
    }

    /// openat2(2) of a path that leads never out of a directory, and never through a symbolic link.
    ///
    /// - Throws: `ENOSYS` where there is no openat2, `EPERM` also where a container's filter forbids it.
    package static func openBeneath(
        _ directory: FileDescriptor, _ path: UnsafePointer<CChar>, _ flags: Int32
    ) throws(Errno) -> FileDescriptor {
        FileDescriptor(
            rawValue: try retry(.open, path, in: directory) {
                clinux_openat_beneath(directory.rawValue, path, flags, 0)
            })
    }

    /// Opens a file below a directory, never through a symbolic link, also with a kernel without openat2(2).
    ///
    /// - Parameter path: relative, without `..`.
    package static func openFile(
        beneath root: FileDescriptor, _ path: String, _ flags: Int32
    ) throws(Errno) -> FileDescriptor {
        do throws(Errno) { return try openBeneath(root, path, flags | O_CLOEXEC) } catch {
            guard error == .noFunction || error == .notPermitted else { throw error }
            // A directory after the other.
            let parts = path.split(separator: "/").map(String.init)
            guard let name = parts.last, !parts.contains("..") else { throw Errno.notPermitted }
            var directory = try open(root, ".", O_RDONLY | O_DIRECTORY)
            for part in parts.dropLast() {
                defer { close(directory) }
                directory = try open(directory, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            }
            defer { close(directory) }
            return try open(directory, name, flags | O_NOFOLLOW)
        }
    }

    /// A descriptor that names a file without opening it, never through a symbolic link: openat(2) with `O_PATH`.
    package static func openPath(
        _ name: UnsafePointer<CChar>, in directory: FileDescriptor
    ) throws(Errno) -> FileDescriptor { try open(directory, name, pathOnly | O_NOFOLLOW) }

    /// Opens the file that a descriptor names, `O_PATH` ones above all. Nobody makes it wait (a fifo, a lease).
    package static func reopen(_ descriptor: FileDescriptor, _ flags: Int32) throws(Errno) -> FileDescriptor {
        try withPath(of: descriptor) { path throws(Errno) in
            FileDescriptor(
                rawValue: try retry(.open, descriptor) { clinux_openat(AT_FDCWD, path, flags | O_NONBLOCK, 0) })
        }
    }

    /// The path that leads to an open descriptor's file, whatever its names are: `/proc/self/fd/<n>` (proc_pid_fd(5)).
    package static func withPath<Result>(
        of descriptor: FileDescriptor, _ body: (UnsafePointer<CChar>) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        try withShortPath { path in
            path.append("/proc/self/fd/")
            path.append(descriptor.rawValue)
        } _: { path throws(Errno) in
            try body(path)
        }
    }

    /// close(2). Its errors are not reported: what must be on disk was synced before.
    package static func close(_ descriptor: FileDescriptor) { _ = Glibc.close(descriptor.rawValue) }

    // MARK: - Making

    /// mkdirat(2).
    package static func makeDirectory(
        _ directory: FileDescriptor, _ name: UnsafePointer<CChar>, _ mode: UInt32
    ) throws(Errno) {
        try retry(.makeDirectory, name, in: directory) { mkdirat(directory.rawValue, name, mode) }
    }

    /// mknodat(2).
    package static func makeNode(
        _ directory: FileDescriptor, _ name: UnsafePointer<CChar>, _ mode: UInt32, device: UInt64
    ) throws(Errno) {
        try retry(.makeNode, name, in: directory) { mknodat(directory.rawValue, name, mode, dev_t(device)) }
    }

    /// symlinkat(2).
    package static func makeSymbolicLink(
        _ directory: FileDescriptor, _ name: UnsafePointer<CChar>, to target: UnsafePointer<CChar>
    ) throws(Errno) {
        try retry(.makeNode, name, in: directory) { symlinkat(target, directory.rawValue, name) }
    }

    /// linkat(2), without following a symbolic link.
    package static func link(
        _ from: FileDescriptor, _ name: UnsafePointer<CChar>, _ to: FileDescriptor, _ newName: UnsafePointer<CChar>
    ) throws(Errno) {
        try retry(.link, newName, in: from, and: to) { linkat(from.rawValue, name, to.rawValue, newName, 0) }
    }

    /// linkat(2) of the file that a descriptor names, `O_PATH` ones above all.
    package static func link(
        _ descriptor: FileDescriptor, _ to: FileDescriptor, _ newName: UnsafePointer<CChar>
    ) throws(Errno) {
        try withPath(of: descriptor) { path throws(Errno) in
            _ = try retry(.link, newName, in: to) { linkat(AT_FDCWD, path, to.rawValue, newName, AT_SYMLINK_FOLLOW) }
        }
    }

    // MARK: - Moving and removing

    /// renameat2(2).
    package static func rename(
        _ from: FileDescriptor, _ name: UnsafePointer<CChar>, _ to: FileDescriptor, _ newName: UnsafePointer<CChar>,
        _ flags: UInt32
    ) throws(Errno) {
        try retry(flags & noReplace == 0 ? .rename : .renameWithoutReplacing, newName, in: from, and: to) {
            clinux_renameat2(from.rawValue, name, to.rawValue, newName, flags)
        }
    }

    /// Moves a name without replacing anything; fails with `EEXIST` when the new name is taken.
    ///
    /// On a local file system renameat2(2) with `RENAME_NOREPLACE`. Others pretend to know the flag and replace (ceph-fuse before 2024), or
    /// ask only what this machine remembers: there, and where a file system does not know the flag, linkat(2) and unlinkat(2).
    package static func moveWithoutReplacing(
        _ from: FileDescriptor, _ name: UnsafePointer<CChar>, _ to: FileDescriptor, _ newName: UnsafePointer<CChar>
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
        if !isLocal, ours.isDirectory { return try moveDirectory(ours, from, name, to, newName) }
        do throws(Errno) { try linkSurely(from, name, to, newName) } catch {
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

    /// The same of a directory on another machine's file system: it has no links, and flags are not known everywhere. rename(2) alone replaces no directory
    /// but an empty one, and the server is who sees that; a name of which this machine knows that it is there is not asked for.
    private static func moveDirectory(
        _ ours: stat, _ from: FileDescriptor, _ name: UnsafePointer<CChar>, _ to: FileDescriptor,
        _ newName: UnsafePointer<CChar>
    ) throws(Errno) {
        do throws(Errno) {
            _ = try attributes(to, newName)
            throw Errno.fileExists
        } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
        }
        do throws(Errno) { try rename(from, name, to, newName, 0) } catch {
            // The reply of what was done may be lost.
            if let found = try? attributes(to, newName), (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino) {
                return
            }
            throw [.directoryNotEmpty, .notDirectory].contains(error) ? .fileExists : error
        }
    }

    /// link(2), and once more after an error that does not tell whether it was done: then `EEXIST` does, and this machine forgets that there was no
    /// such name (fs/fuse/dir.c, `create_new_entry`).
    private static func linkSurely(
        _ from: FileDescriptor, _ name: UnsafePointer<CChar>, _ to: FileDescriptor, _ newName: UnsafePointer<CChar>
    ) throws(Errno) {
        do throws(Errno) { try link(from, name, to, newName) } catch {
            switch error {
            case .ioError, .timedOut, .staleNFSFileHandle, .hostIsDown, .socketNotConnected, .connectionAbort,
                .connectionReset:
                try link(from, name, to, newName)
            default: throw error
            }
        }
    }

    /// Whether a file has the new name after link(2) said that it does not.
    private static func isLinked(
        _ ours: stat, _ from: FileDescriptor, _ name: UnsafePointer<CChar>, _ to: FileDescriptor,
        _ newName: UnsafePointer<CChar>
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
    package static func unlink(
        _ directory: FileDescriptor, _ name: UnsafePointer<CChar>, isDirectory: Bool = false
    ) throws(Errno) {
        try retry(.unlink, name, in: directory) { unlinkat(directory.rawValue, name, isDirectory ? AT_REMOVEDIR : 0) }
    }

    /// umount2(2).
    ///
    /// - Parameter detaching: out of the tree at once, when it is in use too (`MNT_DETACH`).
    package static func unmount(_ path: UnsafePointer<CChar>, detaching: Bool) throws(Errno) {
        try retry(.unlink, path) { umount2(path, detaching ? Int32(MNT_DETACH) : 0) }
    }

    // MARK: - Symbolic links

    /// Where a symbolic link leads to that an `O_PATH` descriptor names: readlinkat(2) with an empty path.
    package static func linkTarget(_ descriptor: FileDescriptor) throws(Errno) -> [UInt8] {
        try target { start, size throws(Errno) in
            try retry(.readLink, descriptor) { readlinkat(descriptor.rawValue, "", start, size) }
        }
    }

    /// The same for a path.
    package static func linkTarget(atPath path: UnsafePointer<CChar>) throws(Errno) -> [UInt8] {
        try target { start, size throws(Errno) in try retry(.readLink, path) { readlink(path, start, size) } }
    }

    /// The path of a descriptor's file, as proc_pid_fd(5) shows it.
    package static func path(of descriptor: FileDescriptor) throws(Errno) -> [UInt8] {
        try withPath(of: descriptor) { path throws(Errno) in try linkTarget(atPath: path) }
    }

    private static func target(
        _ read: (UnsafeMutablePointer<CChar>, Int) throws(Errno) -> Int
    ) throws(Errno) -> [UInt8] {
        try withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer throws(Errno) in
            guard let start = buffer.baseAddress else { throw Errno.noMemory }
            let count = try read(start, buffer.count)
            return buffer[..<count].map { UInt8(bitPattern: $0) }
        }
    }
}
