public import Glibc
public import SystemCalls
public import SystemPackage

/// A real file: a name in an open directory. Every operation is relative to the directory and never follows a symbolic
/// link.
///
/// In a shared store what a name leads to is asked of the file system's server: what this machine remembers, and that there was nothing, is
/// no answer to who is to write.
public struct RealFile: Sendable {
    /// Where the file is.
    public let directory: Directory
    /// Its name there; no `/`.
    public let name: String

    /// A file that may or may not exist.
    public init(directory: Directory, name: String) {
        self.directory = directory
        self.name = name
    }

    /// Opens the file, or makes it with `O_CREAT`; `O_NOFOLLOW` and `O_CLOEXEC` are added.
    ///
    /// The corresponding C function is `openat`.
    public func open(_ flags: Int32, mode: UInt32 = 0) throws(Errno) -> FileDescriptor {
        directory.refresh(always: false)
        return try SystemCall.open(directory.descriptor, name, flags | O_NOFOLLOW, mode)
    }

    /// The file's attributes; a symbolic link's own.
    ///
    /// The corresponding C function is `fstatat`.
    public func attributes() throws(Errno) -> stat {
        if directory.bound.isShared { return try look().attributes }
        return try SystemCall.attributes(directory.descriptor, name)
    }

    /// What has the name, and which file it is; a symbolic link itself.
    ///
    /// The corresponding C function is `statx`.
    public func look() throws(Errno) -> FoundFile {
        if directory.bound.isShared { return try SystemCall.lookFreshly(directory.descriptor, name) }
        return try SystemCall.look(directory.descriptor, name)
    }

    /// The same for who only wants to see it: in a shared store what was found may be as old as the store's schema allows, but nothing is not
    /// there before the server has said so.
    public func lookToShow() throws(Errno) -> FoundFile {
        directory.refresh(always: false)
        do throws(Errno) { return try SystemCall.look(directory.descriptor, name) } catch {
            guard directory.bound.isShared, error == .noSuchFileOrDirectory || error == .staleNFSFileHandle else {
                throw error
            }
            return try look()
        }
    }

    /// Opens the file if it is still the one that was seen under this name, whatever the name leads to by now. A fifo does not make it
    /// wait, nor somebody's lease.
    ///
    /// - Parameter flags: `O_*`; `O_NOFOLLOW`, `O_NONBLOCK` and `O_CLOEXEC` are added.
    /// - Throws: `ESTALE` when the name leads to another file.
    public func open(_ flags: Int32, seen identity: FileIdentity) throws(Errno) -> FileDescriptor {
        let descriptor: FileDescriptor
        do throws(Errno) {
            descriptor = try open(flags | O_NONBLOCK)
        } catch .tooManySymbolicLinkLevels, .noSuchAddressOrDevice, .isDirectory {
            // A link, a socket, a fifo that nobody reads: it was a plain file.
            throw .staleNFSFileHandle
        }
        do throws(Errno) {
            guard try SystemCall.look(descriptor).identity == identity else { throw Errno.staleNFSFileHandle }
            return descriptor
        } catch {
            SystemCall.close(descriptor)
            throw error
        }
    }

    /// Whether something has the name, or may have it: only `ENOENT` says no.
    public var exists: Bool {
        do throws(Errno) {
            _ = try attributes()
            return true
        } catch { return error != .noSuchFileOrDirectory }
    }

    /// Removes the name.
    ///
    /// The corresponding C function is `unlinkat`.
    public func unlink() throws(Errno) { try SystemCall.unlink(directory.descriptor, name) }

    /// Gives the file another name, also in another directory of the file system.
    ///
    /// - Parameter flags: `RENAME_NOREPLACE` (1), `RENAME_EXCHANGE` (2) or 0.
    ///
    /// The corresponding C function is `renameat2`.
    public func rename(to other: RealFile, flags: UInt32 = 0) throws(Errno) {
        if flags == SystemCall.noReplace {
            try SystemCall.moveWithoutReplacing(directory.descriptor, name, other.directory.descriptor, other.name)
        } else {
            try SystemCall.rename(directory.descriptor, name, other.directory.descriptor, other.name, flags)
        }
    }

    /// Gives another file this name too.
    func link(from other: RealFile) throws(Errno) {
        try SystemCall.link(other.directory.descriptor, other.name, directory.descriptor, name)
    }

    /// Moves it without replacing anything. A directory goes as it is: its owner needs the right to write to it for that (rename(2)), and has it
    /// meanwhile.
    func moveWhole(to other: RealFile) throws(Errno) { try moveWhole(to: other, flags: SystemCall.noReplace) }

    /// Gives a file a name that nobody else gives to anything, as ``moveWhole(to:)``.
    ///
    /// On file systems of other machines nothing is linked and unlinked by names: what this one remembers of a name may be another file by now (seen on
    /// GlusterFS, for seconds, of a name whose file had another link), and then the one would be linked and the other one's last name taken away. There
    /// it replaces a place that was made for it, so that the server moves what has the name.
    func moveWholeToOwnName(_ other: RealFile) throws(Errno) {
        guard !FileSystemKind.isLocal(other.directory.descriptor) else { return try moveWhole(to: other) }
        try other.makePlace(forDirectory: try attributes().isDirectory)
        do throws(Errno) { try moveWhole(to: other, flags: 0) } catch {
            other.removePlace()
            throw error
        }
    }

    /// Makes something empty under a name, unless that is there: no artifact is empty.
    private func makePlace(forDirectory isDirectory: Bool) throws(Errno) {
        do throws(Errno) {
            if isDirectory { return try SystemCall.makeDirectory(directory.descriptor, name, 0o700) }
            SystemCall.close(try open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600))
        } catch .fileExists {
            let found = try attributes()
            guard found.isDirectory == isDirectory, isDirectory || found.isRegular && found.st_size == 0 else {
                throw .fileExists
            }
        }
    }

    /// Removes what `makePlace` made.
    private func removePlace() {
        guard let found = try? attributes() else { return }
        if found.isDirectory {
            // Fails when it is not empty.
            try? SystemCall.unlink(directory.descriptor, name, isDirectory: true)
        } else if found.isRegular, found.st_size == 0 {
            try? unlink()
        }
    }

    private func moveWhole(to other: RealFile, flags: UInt32) throws(Errno) {
        do throws(Errno) { return try rename(to: other, flags: flags) } catch {
            guard error == .permissionDenied, let found = try? attributes(), found.isDirectory,
                found.permissions & 0o200 == 0, (try? setMode(found.permissions | 0o200)) != nil
            else { throw error }
            do throws(Errno) { try rename(to: other, flags: flags) } catch {
                try? setMode(found.permissions)
                throw error
            }
            try? other.setMode(found.permissions)
        }
    }

    /// Gives a file that is known another name, replacing what has it. A call that was done and reports an error all the same, as when a
    /// server's reply is lost, is a success.
    public func rename(to other: RealFile, seen identity: FileIdentity) throws(Errno) {
        do throws(Errno) { try rename(to: other) } catch {
            guard !exists, (try? other.look().identity) == identity else { throw error }
        }
    }

    /// Sets the permission bits. `EOPNOTSUPP` for a symbolic link.
    ///
    /// The corresponding C function is `fchmodat`.
    public func setMode(_ mode: UInt32) throws(Errno) {
        try SystemCall.setMode(directory.descriptor, name, mode)
    }

    /// Sets owner and group; nil leaves one as it is.
    ///
    /// The corresponding C function is `fchownat`.
    public func setOwner(user: UInt32?, group: UInt32?) throws(Errno) {
        try SystemCall.setOwner(directory.descriptor, name, user: user, group: group)
    }

    /// Sets the times of access and modification; `UTIME_NOW` and `UTIME_OMIT` in `tv_nsec` mean what they do in C.
    ///
    /// The corresponding C function is `utimensat`.
    public func setTimes(access: timespec, modification: timespec) throws(Errno) {
        try SystemCall.setTimes(directory.descriptor, name, access: access, modification: modification)
    }

    /// Sets the length.
    public func truncate(to length: Int64) throws(Errno) {
        let descriptor = try open(O_WRONLY | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        try SystemCall.truncate(descriptor, to: length)
    }

    /// The value of an extended attribute.
    ///
    /// - Throws: `ENODATA` when the file does not have it.
    ///
    /// The corresponding C function is `getxattr`.
    public func extendedAttribute(_ attribute: String) throws(Errno) -> [UInt8] {
        try throughPath { path throws(Errno) in
            try SystemCall.extendedAttribute(attribute, ofPath: path)
        }
    }

    /// Sets an extended attribute.
    ///
    /// - Parameter flags: `XATTR_CREATE` (1), `XATTR_REPLACE` (2) or 0.
    ///
    /// The corresponding C function is `setxattr`.
    public func setExtendedAttribute(_ attribute: String, to value: [UInt8], flags: Int32 = 0) throws(Errno) {
        try throughPath { path throws(Errno) in
            try SystemCall.setExtendedAttribute(attribute, value, ofPath: path, flags: flags)
        }
    }

    /// The names of the extended attributes; those that are not UTF-8 are left out.
    ///
    /// The corresponding C function is `listxattr`.
    public func extendedAttributes() throws(Errno) -> [String] {
        let list = try throughPath { path throws(Errno) in
            try SystemCall.extendedAttributeNames(ofPath: path)
        }
        return list.split(separator: 0).compactMap { String(validating: $0, as: UTF8.self) }
    }

    /// Removes an extended attribute.
    ///
    /// The corresponding C function is `removexattr`.
    public func removeExtendedAttribute(_ attribute: String) throws(Errno) {
        try throughPath { path throws(Errno) in
            try SystemCall.removeExtendedAttribute(attribute, ofPath: path)
        }
    }

    /// There are no calls for attributes relative to a directory before kernel 6.13. A descriptor opened with `O_PATH`
    /// names exactly this file, needs no permission on it and wakes no fifo; /proc/self/fd leads back to it
    /// (proc_pid_fd(5)).
    private func throughPath<Value>(
        _ body: (UnsafePointer<CChar>) throws(Errno) -> Value
    ) throws(Errno) -> Value {
        let descriptor = try open(SystemCall.pathOnly)
        defer { SystemCall.close(descriptor) }
        return try SystemCall.withPath(of: descriptor, body)
    }
}
