internal import Artifacts
internal import ArtifactStore
public import FuseKernel
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// Opening: what kind of inode it is decides who does it.
extension Volume {
    /// A handle that only reads a real file needs no number, unless it is to be known when it is closed.
    static let readerHandle = HandleID(rawValue: 0)

    public func open(_ request: borrowing Request, inode: InodeNumber, flags: OpenFlags) throws(Errno) -> Opened {
        // Nothing here changes by this mount: the kernel keeps what was read, and no open has to be asked for. Large files are opened: it would
        // keep their bytes twice, and they come slower.
        if opensNothing { throw Errno.noFunction }
        switch try self.inode(inode) {
        case .tree: throw Errno.isDirectory
        case .artifact(let file): return try open(file, flags, caller: request.caller)
        case .free(let node): return try open(node, flags, caller: request.caller)
        case .kept(let kept): return try open(kept, flags, caller: request.caller)
        case .made(let made): return try open(made, flags, caller: request.caller)
        }
    }

    /// A handle's traits. Where the driver moves the bytes, those that a handle only writes go to it as they are: by way of the page
    /// cache they would be copied once more.
    func traits(_ flags: OpenFlags, _ backing: BackingID?, needsFlush: Bool = false) -> OpenTraits {
        var traits: OpenTraits = needsFlush || store.isShared && flags.isWritable ? [] : [.noFlush]
        if backing == nil, flags.isWritable, !flags.isReadable { traits.insert(.directIO) }
        return traits
    }
}

extension HandleID {
    /// The upper sixteen bits are the kernel's side's (`HandleOwners`).
    private static let readerBit: UInt64 = 1 << 47

    /// A handle that only reads a real file, and of which is to be known when it is closed.
    init(reading number: UInt64) { self.init(rawValue: number | Self.readerBit) }

    /// Whether it only reads a real file.
    var isReader: Bool { rawValue == 0 || rawValue & Self.readerBit != 0 }

    /// The number of one that only reads, if it has one.
    var readingNumber: UInt64? { rawValue & Self.readerBit != 0 ? rawValue ^ Self.readerBit : nil }
}
