internal import Glibc

/// The inode numbers of one of several file systems on a mount: the upper half of a number says which it is, the lower half is the file
/// system's own.
///
/// What `stat` shows as a file's number is changed as well, for programs know a file by it and by the mount's device: two file systems may
/// give the same.
public struct InodeSpace: Sendable, Hashable {
    /// Which one it is; 0 is whoever has several.
    public let index: UInt32
    /// What tells its files from those of the others.
    private let salt: UInt64

    private static let shift: UInt64 = 32

    /// - Parameter salt: another one for each, and for one file system the same at every mount.
    public init(index: UInt32, salt: UInt64) {
        self.index = index
        self.salt = salt
    }

    /// Which one a number is of that the kernel sent.
    public static func index(of inode: InodeNumber) -> UInt32 { UInt32(truncatingIfNeeded: inode.rawValue >> shift) }

    /// The file system's own number.
    public static func own(_ inode: InodeNumber) -> InodeNumber {
        InodeNumber(rawValue: inode.rawValue & (1 << shift - 1))
    }

    /// The kernel's number for one of the file system's own.
    public func onMount(_ inode: InodeNumber) -> InodeNumber {
        InodeNumber(rawValue: UInt64(index) << Self.shift | Self.own(inode).rawValue)
    }

    /// What `stat` and a listing show.
    public func shown(_ number: UInt64) -> UInt64 {
        // 0 is no file's: readdir(3) would leave it out.
        number == salt ? salt : number ^ salt
    }

    /// An entry as the kernel gets it.
    public func onMount(_ entry: Entry) -> Entry {
        // "No such name".
        guard entry.inode.rawValue != 0 else { return entry }
        var entry = entry
        entry.inode = onMount(entry.inode)
        entry.attributes.st_ino = ino_t(shown(UInt64(entry.attributes.st_ino)))
        return entry
    }

    /// Attributes as the kernel gets them.
    public func onMount(_ reply: AttributesReply) -> AttributesReply {
        var reply = reply
        reply.attributes.st_ino = ino_t(shown(UInt64(reply.attributes.st_ino)))
        return reply
    }
}
