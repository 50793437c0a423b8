public import Glibc

/// Which file it is, whatever its names are: as long as nobody holds a file, its number may be used again for another one, which was
/// born later.
public struct FileIdentity: Hashable, Sendable {
    /// The file system's device number.
    public let device: UInt64
    /// The inode's number there.
    public let number: UInt64
    /// When it was made, in nanoseconds and only to be compared; 0 where the file system does not say (statx(2), `STATX_BTIME`).
    public let born: Int64
    /// The `S_IFMT` bits.
    public let kind: UInt32

    init(_ attributes: stat, born: Int64) {
        device = UInt64(attributes.st_dev)
        number = UInt64(attributes.st_ino)
        self.born = born
        kind = attributes.st_mode & S_IFMT
    }
}

/// A file that was looked at: what `stat` shows, and which file it is.
public struct FoundFile: Sendable {
    /// What `stat` shows.
    public var attributes: stat
    /// Which file it is.
    public let identity: FileIdentity

    /// Whether it is a plain file.
    public var isRegular: Bool { identity.kind == S_IFREG }
}

extension FoundFile {
    /// The same inode, as the plain file that it stands for.
    package var standingForFile: FoundFile {
        var shown = attributes
        shown.st_mode = shown.st_mode & ~S_IFMT | S_IFREG
        return FoundFile(attributes: shown, identity: FileIdentity(shown, born: identity.born))
    }
}
