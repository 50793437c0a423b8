public import SystemPackage

/// A file system as the kernel sees it, one method a request.
///
/// Handlers *return values* (or throw the errno that the caller gets); the session replies. A handler may be called from several
/// threads at once. A name or a buffer that a handler is given is valid only during the call.
///
/// Requests that have no method here are answered `ENOSYS` once and then not sent again by the kernel. POSIX and BSD locks are
/// among them by design: the kernel then keeps locks itself, which is correct for all programs on the mount and costs nothing.
public protocol FileSystem: AnyObject, Sendable {
    /// The kernel and the session agreed on what the mount can do (INIT). Called once, before any other request.
    func start(_ connection: KernelConnection)
    /// The mount is gone (DESTROY, or the session's end). Called once, after the last request.
    func stop()
    /// The mount is gone, and with it every handle, also those whose RELEASE the kernel has dropped (fs/fuse/dev.c, `fuse_abort_conn`). Called
    /// before `stop`, unless the mount was only detached.
    func allIsClosed()
    /// What kind of place an inode is, in a few words, for the log of what failed.
    func kind(of inode: InodeNumber) -> String

    // Names
    func lookup(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno) -> Entry
    /// The kernel forgets `lookups` of the references that entries in replies gave it.
    func forget(_ inode: InodeNumber, lookups: UInt64)
    /// What a symbolic link says. The kernel asks once for each inode that it knows.
    func readLink(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8]
    func makeNode(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32, device: UInt64
    ) throws(Errno) -> Entry
    func makeDirectory(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32
    ) throws(Errno) -> Entry
    func makeSymbolicLink(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, target: EntryName
    ) throws(Errno) -> Entry
    func link(
        _ request: borrowing Request, inode: InodeNumber, newParent: InodeNumber, newName: EntryName
    ) throws(Errno) -> Entry
    func unlink(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno)
    func removeDirectory(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno)
    func rename(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName,
        newParent: InodeNumber, newName: EntryName, flags: RenameFlags
    ) throws(Errno)

    // Attributes
    func attributes(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID?
    ) throws(Errno) -> AttributesReply
    func setAttributes(
        _ request: borrowing Request, inode: InodeNumber, changes: AttributeChanges, handle: HandleID?
    ) throws(Errno) -> AttributesReply
    func statistics(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> FileSystemStatistics
    /// The whole value of an extended attribute. The session answers size queries and `ERANGE`.
    func extendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName
    ) throws(Errno) -> [UInt8]
    /// The names, each ended by a NUL byte, as `listxattr(2)` gives them.
    func extendedAttributeNames(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8]
    func setExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName, value: UnsafeRawBufferPointer, flags: Int32
    ) throws(Errno)
    func removeExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName
    ) throws(Errno)

    /// access(2) and chdir(2), which the kernel decides by itself where it checks permissions (`MountOptions.checksPermissions`).
    ///
    /// - Parameter mode: `R_OK`, `W_OK`, `X_OK`.
    func access(_ request: borrowing Request, inode: InodeNumber, mode: Int32) throws(Errno)

    // Files
    /// Before `open` and `create`: whether somebody may have another file open. What it throws is a refusal, whatever the errno.
    ///
    /// - Parameters:
    ///   - openFiles: how many the user has open on this mount.
    ///   - creating: for `create`.
    func admit(_ caller: Caller, openFiles: Int, creating: Bool) throws(Errno)
    /// `ENOSYS` is remembered: the kernel opens every file by itself from then on, reads through its cache with handle 0, and sends no
    /// RELEASE.
    func open(_ request: borrowing Request, inode: InodeNumber, flags: OpenFlags) throws(Errno) -> Opened
    func create(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32, flags: OpenFlags
    ) throws(Errno) -> Created
    /// Where the bytes for a read are. The session moves them; not called for handles with a backing file.
    func read(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, size: Int
    ) throws(Errno) -> ReadSource
    /// The descriptor that a write goes to. The session moves the bytes; not called for handles with a backing file.
    func write(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, size: Int
    ) throws(Errno) -> FileDescriptor
    /// The session could not write all bytes of a write to the descriptor that `write` gave.
    func writeFailed(inode: InodeNumber, handle: HandleID, _ error: Errno)
    /// One `close` of one duplicate of a handle. `request.caller.process` is the closing task. `ENOSYS` is remembered as with `open`.
    func flush(_ request: borrowing Request, inode: InodeNumber, handle: HandleID) throws(Errno)
    /// The last duplicate is closed and no mapping is left. It has no caller, and nobody waits for it.
    func release(inode: InodeNumber, handle: HandleID)
    func sync(_ request: borrowing Request, inode: InodeNumber, handle: HandleID, dataOnly: Bool) throws(Errno)
    func allocate(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, mode: Int32, offset: Int64, length: Int64
    ) throws(Errno)
    func copyRange(_ request: borrowing Request, _ copy: RangeCopy) throws(Errno) -> Int
    /// `SEEK_DATA` and `SEEK_HOLE`; the kernel does the others itself.
    func seek(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, whence: Int32
    ) throws(Errno) -> Int64
    /// The flags of `FS_IOC_GETFLAGS` (`lsattr`), the one ioctl that is answered. Other ioctls get `ENOTTY` from the session.
    func inodeFlags(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> UInt32

    // Directories
    func openDirectory(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> OpenedDirectory
    /// Adds entries from `offset` on to `buffer` until it says it is full. Offset 0 is the beginning; an entry's `nextOffset` is
    /// where the entry after it begins. When `buffer.wantsAttributes`, each entry added counts as a lookup.
    func readDirectory(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64,
        into buffer: inout DirectoryBuffer
    ) throws(Errno)
    func releaseDirectory(inode: InodeNumber, handle: HandleID)
    func syncDirectory(_ request: borrowing Request, inode: InodeNumber, handle: HandleID, dataOnly: Bool) throws(Errno)
}

extension FileSystem {
    public func admit(_ caller: Caller, openFiles: Int, creating: Bool) throws(Errno) {}
}

extension FileSystem {
    public func allIsClosed() {}
    public func kind(of inode: InodeNumber) -> String { "a file" }
}
