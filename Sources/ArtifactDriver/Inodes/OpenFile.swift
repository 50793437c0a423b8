internal import FuseKernel
internal import Glibc
internal import SystemPackage

/// The descriptors and the backing file that all open handles of one inode share.
///
/// Handles need nothing of their own: the kernel keeps each handle's access mode. Guarded by its inode's lock.
struct OpenFile: Sendable {
    /// Who moves the bytes. It is decided by the first open and stays until the last release, because the kernel refuses to mix
    /// (fs/fuse/iomode.c, `fuse_inode_uncached_io_start`).
    enum Transfer: Sendable {
        case undecided
        case kernel(BackingID)
        case driver
        /// The kernel keeps the pages of a file that never changes. What it lacks it asks for, and the driver opens the file for that.
        case pages
    }

    private(set) var reading: FileDescriptor?
    private(set) var writing: FileDescriptor?
    private(set) var readers: Int32 = 0
    private(set) var writers: Int32 = 0
    /// Keeps the descriptors while a file is published.
    private(set) var holds: Int32 = 0
    private(set) var transfer: Transfer = .undecided

    /// A descriptor that can at least be asked for attributes, if one is open.
    var any: FileDescriptor? { writing ?? reading }

    /// A descriptor to read through.
    var forReading: FileDescriptor? { reading ?? writing }

    /// A descriptor that can be read from, if one is open.
    var readable: FileDescriptor? { reading ?? (isWritingReadable ? writing : nil) }

    /// Whether what the kernel read stays right from one open to the next.
    var keepsPages: Bool { if case .pages = transfer { true } else { false } }

    /// The backing file, when the kernel moves the bytes.
    var backing: BackingID? { if case .kernel(let id) = transfer { id } else { nil } }

    /// Counts a handle, opening what it needs.
    ///
    /// - Parameters:
    ///   - writable: whether the handle may write.
    ///   - connection: registers the backing file; nil when the mount has no passthrough.
    ///   - caller: who opens it. Where another handle's descriptor serves, the file's permissions are looked at for this caller.
    ///   - open: opens the real file with `O_*` flags and the caller's rights.
    mutating func add(
        writable: Bool, connection: KernelConnection?, for caller: Caller, _ rights: CallerRights,
        open: (Int32) throws(Errno) -> FileDescriptor
    ) throws(Errno) {
        if writable {
            if let writing {
                try rights.check(W_OK, on: writing, for: caller)
            } else {
                do throws(Errno) {
                    writing = try open(O_RDWR)
                } catch .permissionDenied {
                    writing = try open(O_WRONLY)
                }
            }
            writers += 1
        } else {
            if let shared = reading ?? (isWritingReadable ? writing : nil) {
                try rights.check(R_OK, on: shared, for: caller)
            } else {
                reading = try open(O_RDONLY)
            }
            readers += 1
        }
        decideTransfer(connection, for: caller, rights)
    }

    /// Counts a handle that reads a file which never changes, when the kernel may keep its pages: nothing is opened.
    ///
    /// - Returns: whether it may; otherwise `add` it.
    mutating func addToPages() -> Bool {
        switch transfer {
        case .undecided where any == nil: transfer = .pages
        case .pages: break
        case .undecided, .kernel, .driver: return false
        }
        readers += 1
        return true
    }

    /// Whether any handle is open.
    var isOpen: Bool { readers > 0 || writers > 0 }

    /// Counts a handle of a file that is open already.
    mutating func join(writable: Bool) {
        if writable { writers += 1 } else { readers += 1 }
    }

    /// Counts the handle that a creation opened.
    mutating func adopt(
        _ descriptor: FileDescriptor, writable: Bool, connection: KernelConnection?, for caller: Caller,
        _ rights: CallerRights
    ) {
        writing = descriptor
        if writable { writers += 1 } else { readers += 1 }
        decideTransfer(connection, for: caller, rights)
    }

    /// Without root a file that its owner may not read can still be open to write.
    private var isWritingReadable: Bool {
        guard let writing else { return false }
        return fcntl(writing.rawValue, F_GETFL) & O_ACCMODE == O_RDWR
    }

    /// The kernel writes to a backing file with the rights of the thread that registered it (fs/fuse/passthrough.c,
    /// `fuse_backing_open`), so that is done as the caller.
    private mutating func decideTransfer(
        _ connection: KernelConnection?, for caller: Caller, _ rights: CallerRights
    ) {
        guard case .undecided = transfer else { return }
        transfer = .driver
        guard let connection, let descriptor = any else { return }
        let id = try? rights.acting(for: caller) { () throws(Errno) in try connection.register(descriptor) }
        if let id { transfer = .kernel(id) }
    }

    /// The last handle that may write, or that may only read, is one fewer.
    mutating func remove(writable: Bool, connection: KernelConnection?) {
        if writable { writers -= 1 } else { readers -= 1 }
        closeIfIdle(connection)
    }

    /// Keeps a descriptor to read through, opened now where there is none. One that could write goes with the last handle: whether anybody
    /// else can still write is then to be found out.
    mutating func hold(open: (Int32) throws(Errno) -> FileDescriptor) throws(Errno) {
        if reading == nil { reading = try open(O_RDONLY) }
        holds += 1
        guard !isOpen, let writer = writing else { return }
        try? writer.close()
        writing = nil
    }

    /// Whether nothing of this mount's can write to the file any more.
    var isReadOnly: Bool { writing == nil && backing == nil }

    /// Ends `hold`, if there is one.
    mutating func unhold(_ connection: KernelConnection?) {
        guard holds > 0 else { return }
        holds -= 1
        closeIfIdle(connection)
    }

    private mutating func closeIfIdle(_ connection: KernelConnection?) {
        guard readers <= 0, writers <= 0 else { return }
        if case .kernel(let id) = transfer { connection?.unregister(id) }
        transfer = .undecided
        try? writing?.close()
        writing = nil
        guard holds <= 0 else { return }
        try? reading?.close()
        reading = nil
    }
}
