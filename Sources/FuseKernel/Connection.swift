internal import CFuse
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// What a file system may ask of the kernel outside of replies. Valid from `FileSystem.start` until `FileSystem.stop`.
public final class KernelConnection: Sendable {
    /// Whether the kernel moves file bytes by itself on this mount.
    public let hasPassthrough: Bool
    /// Why not, in words, when it does not.
    public let passthroughObstacle: String?
    private let descriptor: Int32
    /// The session, while it may still be told things. Guarded, because it goes while seals may be under way.
    private let session: Lock<SessionPointer?>
    /// Whether `descriptor` is still the kernel's: afterwards its number may be another file's.
    private let isOpen = Atomic<Bool>(true)
    private let workers: WorkerPool?
    private let late: LateAnswers?
    private let failures: Failures?
    /// The mount's own, where this one is for one of several file systems on it.
    private let whole: KernelConnection?
    private let space: InodeSpace?

    init(
        hasPassthrough: Bool, obstacle: String?, descriptor: Int32, session: SessionPointer?, workers: WorkerPool?,
        late: LateAnswers? = nil, failures: Failures? = nil
    ) {
        self.hasPassthrough = hasPassthrough
        passthroughObstacle = obstacle
        self.descriptor = descriptor
        self.session = Lock(session)
        self.workers = workers
        self.late = late
        self.failures = failures
        (whole, space) = (nil, nil)
    }

    private init(_ whole: KernelConnection, _ space: InodeSpace) {
        hasPassthrough = whole.hasPassthrough
        passthroughObstacle = whole.passthroughObstacle
        descriptor = whole.descriptor
        session = Lock(nil)
        (workers, late, failures) = (nil, nil, nil)
        (self.whole, self.space) = (whole, space)
    }

    /// The same for one of several file systems on the mount, which numbers its inodes as if it were alone.
    public func numbered(in space: InodeSpace) -> KernelConnection { KernelConnection(whole ?? self, space) }

    /// What failed since the mount began that no rule refused; of all file systems on it.
    public var failureSummary: FailureSummary {
        if let whole { return whole.failureSummary }
        return failures?.summary ?? FailureSummary()
    }

    /// The kernel's side is gone.
    func end() {
        isOpen.store(false, ordering: .sequentiallyConsistent)
        session.withLock { $0 = nil }
    }

    /// Tells that the handler is about to take long or to wait: somebody else should look for requests.
    public func willBlock() { if let whole { whole.willBlock() } else { workers?.appoint() } }

    /// Something came that requests wait for whose handlers threw `Errno.answerLater`: they are handled again.
    public func reconsider() { if let whole { whole.reconsider() } else { late?.reconsider() } }

    /// Registers an open file as backing file. It stays registered when the descriptor is closed.
    ///
    /// The kernel's interface is the ioctl `FUSE_DEV_IOC_BACKING_OPEN` (linux/fuse.h, kernel 6.9).
    public func register(_ descriptor: FileDescriptor) throws(Errno) -> BackingID {
        if let whole { return try whole.register(descriptor) }
        guard isOpen.load(ordering: .acquiring) else { throw Errno(rawValue: ENODEV) }
        return try Self.register(descriptor, on: self.descriptor)
    }

    static func register(_ descriptor: FileDescriptor, on device: Int32) throws(Errno) -> BackingID {
        var map = (fd: descriptor.rawValue, flags: UInt32(0), padding: UInt64(0))
        // _IOW(229, 1, struct fuse_backing_map)
        let id = try SystemCall.control(FileDescriptor(rawValue: device), request: 0x4010_e501, &map)
        guard id > 0 else { throw Errno.ioError }
        return BackingID(rawValue: id)
    }

    /// Ends a registration. Open files keep theirs.
    public func unregister(_ backing: BackingID) {
        if let whole { return whole.unregister(backing) }
        // The kernel ended all registrations with the connection.
        if isOpen.load(ordering: .acquiring) { Self.unregister(backing, on: descriptor) }
    }

    static func unregister(_ backing: BackingID, on device: Int32) {
        var id = UInt32(bitPattern: backing.rawValue)
        // _IOW(229, 2, uint32_t)
        _ = try? SystemCall.control(FileDescriptor(rawValue: device), request: 0x4004_e502, &id)
    }

    /// Drops the kernel's memory of a name. Never call it from a handler that the kernel waits for on the same directory.
    public func invalidate(name: String, in parent: InodeNumber) {
        if let whole, let space { return whole.invalidate(name: name, in: space.onMount(parent)) }
        guard let session = session.withLock({ $0 }) else { return }
        _ = name.withCString { fuse_lowlevel_notify_inval_entry(session.raw, parent.rawValue, $0, strlen($0)) }
    }

    /// Drops cached attributes and, when `andData`, cached pages of an inode.
    public func invalidate(_ inode: InodeNumber, andData: Bool) {
        if let whole, let space { return whole.invalidate(space.onMount(inode), andData: andData) }
        guard let session = session.withLock({ $0 }) else { return }
        _ = fuse_lowlevel_notify_inval_inode(session.raw, inode.rawValue, andData ? 0 : -1, 0)
    }
}

/// libfuse's session. libfuse's functions on it may be called from any thread; it is destroyed after the last of them.
struct SessionPointer: @unchecked Sendable {
    // Proof: `fuse_session` locks its own state (lib/fuse_i.h, `struct fuse_session.lock`), and `Session` frees it in `deinit` only.
    let raw: OpaquePointer
}
