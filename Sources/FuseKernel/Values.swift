public import Glibc
public import SystemPackage

/// The kernel's name for an inode on this mount (FUSE's nodeid). It is not `st_ino`.
public struct InodeNumber: RawRepresentable, Hashable, Sendable {
    /// The number as the kernel sends it.
    public var rawValue: UInt64
    /// Wraps a number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The mount's root directory (`FUSE_ROOT_ID`).
    public static let root = InodeNumber(rawValue: 1)
}

/// The file system's own name for an open file or directory (FUSE's `fh`).
public struct HandleID: RawRepresentable, Hashable, Sendable {
    /// The value as the kernel keeps it.
    public var rawValue: UInt64
    /// Wraps a value.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A file that the kernel reads and writes by itself for an inode: FUSE passthrough's backing id. Never 0.
public struct BackingID: RawRepresentable, Hashable, Sendable {
    /// The id that the kernel gave.
    public var rawValue: Int32
    /// Wraps an id.
    public init(rawValue: Int32) { self.rawValue = rawValue }
}

/// One component of a path, as bytes in the kernel's request. Valid only during the call that received it.
public struct EntryName {
    /// The bytes, NUL-terminated.
    public let pointer: UnsafePointer<CChar>
    /// The number of bytes, without the NUL.
    public let count: Int

    /// Wraps a C string that outlives the value.
    public init(_ pointer: UnsafePointer<CChar>) {
        self.pointer = pointer
        count = strlen(pointer)
    }

    /// The name as text, or nil when it is not valid UTF-8.
    public var string: String? { String(validatingCString: pointer) }

    /// The bytes.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: pointer, count: count) }
}

/// Who made a request.
public struct Caller: Sendable {
    /// The caller's file system user id.
    public var user: UInt32
    /// The caller's file system group id.
    public var group: UInt32
    /// The calling *thread's* id; 0 when it is in another pid namespace or the kernel itself.
    public var process: Int32
    /// The caller's umask. Set for requests that create; the kernel has not applied it to the mode, because a default ACL replaces it.
    public var umask: UInt32
    /// Whether the handler may throw `Errno.answerLater`.
    public var canWait = false
    /// Whether the handler may throw `Errno.takesLong`.
    public var isMovable = false

    /// A caller with the given ids.
    public init(user: UInt32, group: UInt32, process: Int32, umask: UInt32) {
        self.user = user
        self.group = group
        self.process = process
        self.umask = umask
    }
}

/// What a lookup or a creation found.
public struct Entry: Sendable {
    /// The inode, or 0 for "no such name", which the kernel may then remember for `entryTimeout`.
    public var inode: InodeNumber
    /// Tells two lives of one inode number apart.
    public var generation: UInt64
    /// What `stat` shows.
    public var attributes: stat
    /// For how many seconds the kernel may trust the name.
    public var entryTimeout: Double
    /// For how many seconds the kernel may trust the attributes.
    public var attributesTimeout: Double

    /// An entry as the kernel will cache it; timeouts in seconds.
    public init(
        inode: InodeNumber, generation: UInt64 = 0, attributes: stat, entryTimeout: Double, attributesTimeout: Double
    ) {
        self.inode = inode
        self.generation = generation
        self.attributes = attributes
        self.entryTimeout = entryTimeout
        self.attributesTimeout = attributesTimeout
    }
}

/// What `stat` shows, and for how long the kernel may trust it.
public struct AttributesReply: Sendable {
    /// What `stat` shows.
    public var attributes: stat
    /// In seconds.
    public var timeout: Double

    /// A reply; the timeout in seconds.
    public init(attributes: stat, timeout: Double) {
        self.attributes = attributes
        self.timeout = timeout
    }
}

/// What `chmod`, `chown`, `truncate` and `utimensat` ask for. Nil means unchanged.
public struct AttributeChanges: Sendable {
    /// A time stamp to set.
    public enum Time: Sendable {
        case now
        case at(timespec)
    }
    /// Permission bits.
    public var mode: UInt32?
    /// Owner.
    public var user: UInt32?
    /// Group.
    public var group: UInt32?
    /// Size in bytes.
    public var size: Int64?
    /// Time of the last access.
    public var accessed: Time?
    /// Time of the last modification.
    public var modified: Time?
    /// Whether the set-id bits that go with such a change (`SetIDBits.dropped`) are to be taken away, before the rest and by whomever the
    /// change is made: not something that the caller asked for.
    public var dropsSetID = false

    /// Whether anything but the size changes.
    public var changesMore: Bool {
        mode != nil || user != nil || group != nil || accessed != nil || modified != nil || dropsSetID
    }

    /// No change.
    public init() {}
}

/// `statvfs(2)`'s figures.
public typealias FileSystemStatistics = statvfs

/// The flags of `open(2)`.
public struct OpenFlags: OptionSet, Sendable {
    /// `O_*` bits.
    public var rawValue: Int32
    /// Wraps `O_*` bits.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Whether the handle may write.
    @inlinable public var isWritable: Bool { rawValue & O_ACCMODE != O_RDONLY }
    /// Whether the handle may read.
    @inlinable public var isReadable: Bool { rawValue & O_ACCMODE != O_WRONLY }
    /// `O_TRUNC`.
    @inlinable public var truncates: Bool { rawValue & O_TRUNC != 0 }
    /// `O_EXCL`.
    @inlinable public var isExclusive: Bool { rawValue & O_EXCL != 0 }
}

/// The flags of `renameat2(2)`.
public struct RenameFlags: OptionSet, Sendable {
    /// `RENAME_*` bits.
    public var rawValue: UInt32
    /// Wraps `RENAME_*` bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// `RENAME_NOREPLACE`.
    public static let noReplace = RenameFlags(rawValue: 1)
    /// `RENAME_EXCHANGE`.
    public static let exchange = RenameFlags(rawValue: 2)
}

/// How the kernel is to treat an open file.
public struct OpenTraits: OptionSet, Sendable {
    /// The bits.
    public var rawValue: UInt32
    /// Wraps the bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// `FOPEN_DIRECT_IO`: no page cache (files made up on the fly, whose size is not known).
    public static let directIO = OpenTraits(rawValue: 1 << 0)
    /// `FOPEN_KEEP_CACHE`: pages cached by an earlier open are still true.
    public static let keepCache = OpenTraits(rawValue: 1 << 1)
    /// `FOPEN_CACHE_DIR`: the kernel may keep the listing.
    public static let cacheDirectory = OpenTraits(rawValue: 1 << 3)
    /// `FOPEN_NOFLUSH`: no FLUSH at close.
    public static let noFlush = OpenTraits(rawValue: 1 << 5)
    /// `FOPEN_PARALLEL_DIRECT_WRITES`.
    public static let parallelDirectWrites = OpenTraits(rawValue: 1 << 6)
}

/// An open file.
public struct Opened: Sendable {
    /// The file system's name for the handle.
    public var handle: HandleID
    /// The backing file, for reads and writes that do not come here. All opens of an inode that are open at one time use one.
    public var backing: BackingID?
    /// How the kernel is to treat it.
    public var traits: OpenTraits

    /// An open file.
    public init(handle: HandleID, backing: BackingID? = nil, traits: OpenTraits = []) {
        self.handle = handle
        self.backing = backing
        self.traits = traits
    }
}

/// An open directory.
public struct OpenedDirectory: Sendable {
    /// The file system's name for the handle.
    public var handle: HandleID
    /// `.keepCache` and `.cacheDirectory` only.
    public var traits: OpenTraits

    /// An open directory.
    public init(handle: HandleID, traits: OpenTraits = []) {
        self.handle = handle
        self.traits = traits
    }
}

/// A file that was made and opened in one request.
public struct Created: Sendable {
    /// The name's entry.
    public var entry: Entry
    /// The handle.
    public var opened: Opened

    /// A new file.
    public init(entry: Entry, opened: Opened) {
        self.entry = entry
        self.opened = opened
    }
}

/// Where the bytes of a read are.
public enum ReadSource: Sendable {
    /// In this file, at the offset that was asked for. It stays open at least as long as the handle.
    case file(FileDescriptor)
    /// In this file, at the offset that was asked for; the session closes it.
    case openedFile(FileDescriptor)
    /// Here: exactly the bytes to return, at most as many as were asked for.
    case bytes([UInt8])
}

/// A `copy_file_range(2)`.
public struct RangeCopy: Sendable {
    /// Where from.
    public var source: (inode: InodeNumber, handle: HandleID, offset: Int64)
    /// Where to.
    public var destination: (inode: InodeNumber, handle: HandleID, offset: Int64)
    /// In bytes.
    public var length: Int

    /// A copy of `length` bytes.
    public init(
        source: (inode: InodeNumber, handle: HandleID, offset: Int64),
        destination: (inode: InodeNumber, handle: HandleID, offset: Int64), length: Int
    ) {
        self.source = source
        self.destination = destination
        self.length = length
    }
}
