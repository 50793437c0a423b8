public import SystemPackage

/// What a file system may ask of the kernel outside of replies. Valid from `FileSystem.start` until `FileSystem.stop`.
public final class KernelConnection: Sendable {
    /// Whether the kernel moves file bytes by itself on this mount.
    public let hasPassthrough: Bool
    /// Why not, in words, when it does not.
    public let passthroughObstacle: String?

    init(hasPassthrough: Bool, passthroughObstacle: String?) {
        self.hasPassthrough = hasPassthrough
        self.passthroughObstacle = passthroughObstacle
    }

    /// Registers an open file as backing file. It stays registered when the descriptor is closed.
    public func register(_ descriptor: FileDescriptor) throws(Errno) -> BackingID { throw Errno.notSupported }
    /// Ends a registration. Open files keep theirs.
    public func unregister(_ backing: BackingID) {}
    /// Drops the kernel's memory of a name. Never call it from a handler that the kernel waits for on the same directory.
    public func invalidate(name: String, in parent: InodeNumber) {}
    /// Drops cached attributes and, when `andData`, cached pages of an inode.
    public func invalidate(_ inode: InodeNumber, andData: Bool) {}
}

/// The entries of one directory reply.
public struct DirectoryBuffer: ~Copyable {
    /// Whether each entry carries attributes and counts as a lookup (READDIRPLUS).
    public let wantsAttributes: Bool

    init(wantsAttributes: Bool) { self.wantsAttributes = wantsAttributes }

    /// Adds a name with its type and number (READDIR).
    ///
    /// - Parameters:
    ///   - type: the `S_IFMT` bits.
    ///   - nextOffset: where the entry after this one begins.
    /// - Returns: false when the entry did not fit: stop.
    public mutating func add(name: String, inodeNumber: UInt64, type: UInt32, nextOffset: Int64) -> Bool { false }

    /// Adds a name with its attributes (READDIRPLUS).
    ///
    /// - Returns: false when the entry did not fit: stop, and take the lookup back.
    public mutating func add(name: String, entry: Entry, nextOffset: Int64) -> Bool { false }
}
