internal import CFuse
internal import Glibc
internal import Logging
internal import Synchronization
internal import SystemCalls
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
    /// Whether the kernel compares modes and users before it asks (`default_permissions`).
    ///
    /// It needs a directory's attributes for that and forgets them with every name that comes or goes, so that each costs a GETATTR
    /// more (fs/fuse/dir.c, `fuse_dir_changed`). Without it the file system must check, and answers `access`.
    public var checksPermissions = true
    /// Whether the kernel should move file bytes by itself where it can.
    public var passthrough = true
    /// Whether idle processors are kept from sleeping while requests come one after the other, where the system lets the driver.
    public var keepsProcessorsAwake = true
    /// More `-o` options, as for mount(8).
    public var extra: [String] = []
    /// Whether the kernel enforces POSIX ACLs, which the file system keeps as `system.posix_acl_*` attributes, where it can.
    ///
    /// Then the kernel checks permissions (fs/fuse/inode.c, `process_init_reply`), and the file system keeps mode and ACL in step
    /// (libfuse, `FUSE_CAP_POSIX_ACL`). With ACLs or without, the kernel does not apply the umask, which a default ACL replaces: the file
    /// system applies `Caller.umask` where a directory has none.
    public var posixACL = false
    /// Where the backing files are, to find out whether they are on overlayfs, which passthrough must allow for.
    public var backingDirectory: String?
    /// The most threads that handle requests.
    public var workers = 16

    /// Options for a mount point; the rest has defaults.
    public init(mountPoint: String, fileSystemName: String) {
        self.mountPoint = mountPoint
        self.fileSystemName = fileSystemName
    }

    /// mount(8)'s form. Neither set-id bits nor devices count.
    var text: String {
        var options = ["nosuid", "nodev", "subtype=" + subtype]
        if checksPermissions { options.append("default_permissions") }
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
    private let pool = Lock<WorkerPool?>(nil)
    private let isMounted = Atomic<Bool>(false)
    private let isRunning = Atomic<Bool>(false)

    /// Prepares a session.
    ///
    /// - Throws: `SessionError` when libfuse does not take the options.
    public init(fileSystem: any FileSystem, options: MountOptions) throws(SessionError) {
        self.options = options
        dispatcher = Dispatcher(
            fileSystem: fileSystem, negotiation: Negotiation(options), isReadOnly: options.isReadOnly,
            workers: options.workers)
        LibraryLog.install()
        LibraryLog.keep()
        defer { _ = LibraryLog.take() }
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

    deinit {
        detach()
        fuse_session_destroy(session.raw)
    }

    /// Mounts. As root by mount(2), otherwise by fusermount3.
    ///
    /// - Throws: `SessionError` with libfuse's or fusermount3's own words.
    public func mount() throws(SessionError) {
        LibraryLog.keep()
        defer { _ = LibraryLog.take() }
        // fusermount3 says what is wrong on standard error only.
        let (result, error, said) = StandardError.capturing { () -> (Int32, Errno) in
            let result = fuse_session_mount(session.raw, options.mountPoint)
            return (result, Errno(rawValue: errno))
        }
        guard result == 0 else {
            let words = [said, LibraryLog.take()].compactMap { $0 }
            throw SessionError(words.isEmpty ? "mount failed: \(error)" : words.joined(separator: "; "), errno: error)
        }
        isMounted.store(true, ordering: .releasing)
        let device = fuse_session_fd(session.raw)
        if cfuse_changes_init() != 0 {
            var io = Negotiation.customIO()
            guard fuse_session_custom_io(session.raw, &io, device) == 0 else {
                unmount()
                throw SessionError("libfuse refused the driver's read and write functions")
            }
        }
        SystemCall.setNonBlocking(FileDescriptor(rawValue: device))
        let pool = WorkerPool(
            session: session, device: device, limit: options.workers, keepsProcessorsAwake: options.keepsProcessorsAwake
        )
        self.pool.withLock { $0 = pool }
        dispatcher.attach(session: session, pool: pool)
    }

    /// Serves until the mount is gone or `stop` is called, then unmounts and stops the file system.
    public func run() {
        guard let pool = pool.withLock({ $0 }) else { return }
        isRunning.store(true, ordering: .sequentiallyConsistent)
        pool.run()
        pool.finishRequests()
        dispatcher.finish()
        if pool.isUnmounted.load(ordering: .acquiring) { dispatcher.fileSystem.allIsClosed() }
        dispatcher.disconnect()
        detach()
        dispatcher.stop()
        self.pool.withLock { $0 = nil }
    }

    /// Ends `run`. May be called from any thread.
    public func stop() { pool.withLock { $0 }?.stop() }

    /// Ends `run` as `stop` does, and may be called by a signal handler: it only stores, writes to an eventfd and posts semaphores
    /// (signal-safety(7)). For after `mount`.
    public var stopper: @Sendable () -> Void {
        let pool = pool.withLock { $0 }
        return { pool?.stop() }
    }

    /// Unmounts, detaching the mount from the tree when it is in use. While `run` serves, it is `run` that does it, as after `stop`:
    /// the descriptor must not be closed under those who wait on it.
    public func unmount() {
        if isRunning.load(ordering: .sequentiallyConsistent) { stop() } else { detach() }
    }

    private func detach() {
        guard isMounted.exchange(false, ordering: .acquiringAndReleasing) else { return }
        fuse_session_unmount(session.raw)
    }
}

/// What other programs say on standard error while they work for this process.
private enum StandardError {
    /// Runs with standard error led into a pipe. For the time before other threads run: a pipe's worth of text is kept, 64 KiB.
    static func capturing(_ body: () -> (Int32, Errno)) -> (result: Int32, error: Errno, text: String?) {
        let standard = FileDescriptor(rawValue: 2)
        guard let own = try? SystemCall.duplicate(standard), let ends = try? SystemCall.makePipe() else {
            let (result, error) = body()
            return (result, error, nil)
        }
        SystemCall.setNonBlocking(ends.reading)
        SystemCall.duplicate(ends.writing, to: standard)
        SystemCall.close(ends.writing)
        let (result, error) = body()
        SystemCall.duplicate(own, to: standard)
        SystemCall.close(own)
        defer { SystemCall.close(ends.reading) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { (try? SystemCall.read(ends.reading, into: $0)) ?? 0 }
        guard count > 0 else { return (result, error, nil) }
        let text = String(decoding: buffer[..<count], as: UTF8.self)
        return (result, error, text.split(separator: "\n").joined(separator: "; "))
    }
}

/// What libfuse would print.
private enum LibraryLog {
    /// Lines for an error's text, while a session is made or mounted; nil otherwise.
    private static let lines = Lock<[String]?>(nil)
    private static let log = Logger(label: "artifactfs.libfuse")

    static func install() {
        fuse_set_log_func { level, format, arguments in
            guard let format, let arguments else { return }
            var buffer = [CChar](repeating: 0, count: 512)
            vsnprintf(&buffer, buffer.count, format, arguments)
            var text = buffer.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
            while text.last == "\n" { text.removeLast() }
            let isKept = LibraryLog.lines.withLock { lines in
                lines?.append(text)
                return lines != nil
            }
            if !isKept { LibraryLog.log.log(level: LibraryLog.level(level), "\(text)") }
        }
    }

    private static func level(_ level: fuse_log_level) -> Logger.Level {
        switch level {
        case FUSE_LOG_EMERG, FUSE_LOG_ALERT, FUSE_LOG_CRIT: .critical
        case FUSE_LOG_ERR: .error
        case FUSE_LOG_WARNING: .warning
        case FUSE_LOG_NOTICE: .notice
        case FUSE_LOG_INFO: .info
        default: .debug
        }
    }

    /// From now on lines are kept for an error's text instead of being logged.
    static func keep() { lines.withLock { $0 = [] } }

    /// What was said since `keep`. From now on lines are logged.
    static func take() -> String? {
        let text = lines.withLock { lines in
            defer { lines = nil }
            return (lines ?? []).joined(separator: "; ")
        }
        return text.isEmpty ? nil : text
    }
}
