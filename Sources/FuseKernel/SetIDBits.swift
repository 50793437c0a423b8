internal import CFuse
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Taking set-user-id and set-group-id away from files that somebody else changed.
///
/// The session agrees on HANDLE_KILLPRIV_V2, without which the kernel asks for `security.capability` before each single write. It makes
/// this our duty (linux/fuse.h). The kernel says when in flags that libfuse 3.14 does not pass on, so the bits go with each change that is
/// seen. The store's own file system does not do it, because the process that writes there may be root. Who is root keeps them, as
/// CAP_FSETID's holders do.
///
/// A write by passthrough comes with no request at all. A file system had better open files that have such bits without a backing
/// file (`dropped(from:)` tells); where it does not, the bits go when the file is opened to be written.
///
/// What is left: bits that an owner sets while another user has the file open for passthrough writes.
public enum SetIDBits {
    /// The mode without the bits that go (fs/attr.c, `setattr_should_drop_suidgid`), or nil when none does. Set-group-id without
    /// group execution is no privilege and stays.
    public static func dropped(from mode: UInt32) -> UInt32? {
        guard mode & S_IFMT == S_IFREG else { return nil }
        var left = mode & ~S_ISUID
        if mode & S_IXGRP != 0 { left &= ~S_ISGID }
        return left == mode ? nil : left
    }

    /// Before a change through the file system's own handlers, or one that will not be seen.
    static func drop(_ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber) throws(Errno) {
        guard request.caller.user != 0 else { return }
        let mode = try fs.attributes(request, inode: inode, handle: nil).attributes.st_mode
        guard dropped(from: mode) != nil else { return }
        var changes = AttributeChanges()
        changes.dropsSetID = true
        _ = try fs.setAttributes(request, inode: inode, changes: changes, handle: nil)
    }

    /// The same as part of a change of attributes.
    static func drop(
        _ fs: any FileSystem, _ request: borrowing Request, _ inode: InodeNumber, in changes: inout AttributeChanges
    ) throws(Errno) {
        guard changes.mode == nil else { return }
        let mode = try fs.attributes(request, inode: inode, handle: nil).attributes.st_mode
        if dropped(from: mode) != nil { changes.dropsSetID = true }
    }

    /// Before a write by the session. The C functions are `fstat` and `fchmod`.
    static func drop(_ descriptor: FileDescriptor, _ caller: Caller) throws(Errno) {
        guard caller.user != 0 else { return }
        guard let left = dropped(from: try SystemCall.attributes(descriptor).st_mode) else { return }
        try SystemCall.setMode(descriptor, left)
    }
}
