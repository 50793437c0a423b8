internal import CFuse
internal import CLinux
internal import Glibc
internal import Logging
internal import Synchronization
public import SystemPackage

/// How a file system is to be mounted.
public struct MountOptions: Sendable {
    /// The directory to mount on, absolute.
    public var mountPoint: String
    /// What `/proc/mounts` shows as the source.
    public var fileSystemName: String
    /// The type is `fuse.<subtype>`.
    public var subtype = "artifactfs"
    /// The kernel answers `EROFS` to every change.
    public var isReadOnly = false
    /// Other users may use the mount (`allow_other`).
    public var allowsOthers = false
    /// Whether the kernel should move file bytes by itself where it can.
    public var passthrough = true
    /// More `-o` options, as for mount(8).
    public var extra: [String] = []
    /// The most threads that handle requests.
    public var workers = 16

    /// Options for a mount point; the rest has defaults.
    public init(mountPoint: String, fileSystemName: String) {
        self.mountPoint = mountPoint
        self.fileSystemName = fileSystemName
    }

    /// mount(8)'s form. The kernel checks permissions, and neither set-id bits nor devices count.
    var text: String {
        var options = ["default_permissions", "nosuid", "nodev", "subtype=" + subtype]
        // libfuse splits at commas; a backslash keeps one.
        let name = fileSystemName.flatMap { $0 == "," || $0 == "\\" ? ["\\", $0] : [$0] }
        options.append("fsname=" + String(name))
        if isReadOnly { options.append("ro") }
        if allowsOthers { options.append("allow_other") }
        return (options + extra).joined(separator: ",")
    }
}

/// A mount that cannot be made.
public struct SessionError: Error, CustomStringConvertible, Sendable {
    /// What happened, for people.
    public let description: String
    /// What the system said, where it said something.
    public let errno: Errno?

    /// An error with a sentence for people.
    public init(_ description: String, errno: Errno? = nil) {
        self.description = description
        self.errno = errno
    }
}

/// A mounted file system: from `mount` to the end of `run`.
public final class Session: Sendable {
    private let options: MountOptions
    private let dispatcher: Dispatcher
    private let session: SessionPointer
    private let pool = Mutex<WorkerPool?>(nil)
    private let isMounted = Atomic<Bool>(false)

    /// Prepares a session.
    ///
    /// - Throws: `SessionError` when libfuse does not take the options.
    public init(fileSystem: any FileSystem, options: MountOptions) throws(SessionError) {
        self.options = options
        dispatcher = Dispatcher(
            fileSystem: fileSystem, negotiation: Negotiation(wantsPassthrough: options.passthrough))
        LibraryLog.install()
        var arguments = fuse_args()
        defer { fuse_opt_free_args(&arguments) }
        for argument in ["artifactfs", "-o", options.text] {
            guard fuse_opt_add_arg(&arguments, argument) == 0 else {
                throw SessionError("out of memory", errno: .noMemory)
            }
        }
        var table = Operations.table()
        let userdata = Unmanaged.passUnretained(dispatcher).toOpaque()
        guard let raw = cfuse_session_new(&arguments, &table, userdata) else {
            throw SessionError(LibraryLog.take() ?? "libfuse refused the options '\(options.text)'")
        }
        session = SessionPointer(raw: raw)
    }

    deinit { fuse_session_destroy(session.raw) }

    /// Mounts. As root by mount(2), otherwise by fusermount3.
    ///
    /// - Throws: `SessionError` with libfuse's or fusermount3's own words.
    public func mount() throws(SessionError) {
        _ = LibraryLog.take()
        guard fuse_session_mount(session.raw, options.mountPoint) == 0 else {
            let error = Errno(rawValue: errno)
            throw SessionError(LibraryLog.take() ?? "mount failed: \(error)", errno: error)
        }
        isMounted.store(true, ordering: .releasing)
        let device = fuse_session_fd(session.raw)
        if CFUSE_PASSTHROUGH_BY_LIBFUSE == 0 {
            var io = Negotiation.customIO()
            guard fuse_session_custom_io(session.raw, &io, device) == 0 else {
                unmount()
                throw SessionError("libfuse refused the driver's read and write functions")
            }
        }
        _ = clinux_fcntl_int(device, F_SETFL, clinux_fcntl_int(device, F_GETFL, 0) | O_NONBLOCK)
        let pool = WorkerPool(session: session, device: device, limit: options.workers)
        self.pool.withLock { $0 = pool }
        dispatcher.attach(session: session, pool: pool)
    }

    /// Serves until the mount is gone or `stop` is called, then unmounts and stops the file system.
    public func run() {
        guard let pool = pool.withLock({ $0 }) else { return }
        pool.run()
        unmount()
        dispatcher.stop()
        self.pool.withLock { $0 = nil }
    }

    /// Ends `run`. May be called from any thread.
    public func stop() { pool.withLock { $0 }?.stop() }

    /// Unmounts, detaching the mount from the tree when it is in use.
    public func unmount() {
        guard isMounted.exchange(false, ordering: .acquiringAndReleasing) else { return }
        fuse_session_unmount(session.raw)
    }
}

/// What libfuse would print.
private enum LibraryLog {
    private static let lines = Mutex<[String]>([])
    private static let log = Logger(label: "artifactfs.libfuse")

    static func install() {
        fuse_set_log_func { level, format, arguments in
            guard let format, let arguments else { return }
            var buffer = [CChar](repeating: 0, count: 512)
            vsnprintf(&buffer, buffer.count, format, arguments)
            var text = buffer.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
            while text.last == "\n" { text.removeLast() }
            LibraryLog.lines.withLock { lines in
                lines.append(text)
                if lines.count > 8 { lines.removeFirst() }
            }
            if level.rawValue > FUSE_LOG_ERR.rawValue { LibraryLog.log.debug("\(text)") }
        }
    }

    /// What was said since the last call.
    static func take() -> String? {
        let text = lines.withLock { lines in
            defer { lines = [] }
            return lines.joined(separator: "; ")
        }
        return text.isEmpty ? nil : text
    }
}
