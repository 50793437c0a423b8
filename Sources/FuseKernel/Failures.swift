public import Glibc
internal import Logging
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What a request asks for, in the words of fuse_lowlevel_ops.
enum RequestKind: String, Sendable {
    case lookup, readlink, mknod, mkdir, symlink, link, unlink, rmdir, rename
    case getattr, setattr, statfs, access, getxattr, listxattr, setxattr, removexattr, ioctl
    case open, create, read, write, flush, release, fsync, fallocate, lseek
    case copyFileRange = "copy_file_range"
    case opendir, readdir, releasedir, fsyncdir, forget
}

/// A request's kind and the inode that it is about; of a name the directory.
struct Doing: Sendable {
    let kind: RequestKind
    let inode: UInt64

    init(_ kind: RequestKind, _ inode: UInt64) {
        self.kind = kind
        self.inode = inode
    }
}

/// How often requests failed, by errno and by what was asked for.
public struct FailureSummary: Sendable {
    /// Requests of one kind that failed with one errno.
    public struct Count: Sendable {
        /// As in errno(3).
        public let errno: String
        /// As in fuse_lowlevel_ops.
        public let operation: String
        /// How many.
        public let count: Int
    }

    /// The most frequent first.
    public var counts: [Count] = []
    /// When the last one failed, UTC.
    public var last: timespec?

    /// Nothing failed.
    public init() {}
}

/// Failures of requests: errnos that mean trouble, with the machine, the disk or the driver, when no rule gave them. Each is counted; the first
/// of a kind is logged at once, further ones at most once a minute, with how many there were.
///
/// What says that something is not there, is not permitted or is another file by now (`ENOENT`, `EACCES`, `ESTALE`, upon which the kernel looks
/// again) is an ordinary answer. What the kernel does by itself with a backing file fails without the driver.
final class Failures: Sendable {
    private struct Key: Hashable {
        let errno: Int32
        let kind: RequestKind
    }

    private struct Known {
        var count = 0
        /// Those since then were not logged.
        var logged = 0
        /// When the next one is logged, on the monotonic clock.
        var next: UInt64 = 0
    }

    private struct State {
        var known: [Key: Known] = [:]
        var last: timespec?
    }

    private static let log = Logger(label: "artifactfs.requests")
    /// In nanoseconds.
    private static let pause: UInt64 = 60_000_000_000
    private static let names: [Int32: String] = [
        EIO: "EIO", EMFILE: "EMFILE", ENFILE: "ENFILE", ENOMEM: "ENOMEM", ENOSPC: "ENOSPC", EDQUOT: "EDQUOT",
        EROFS: "EROFS", EUCLEAN: "EUCLEAN", EBADMSG: "EBADMSG", EREMOTEIO: "EREMOTEIO", ETIMEDOUT: "ETIMEDOUT",
    ]

    /// Then `EROFS` is an answer.
    private let isReadOnly: Bool
    /// A leaf in the order of locks; nothing is logged under it.
    private let state = Lock(State())

    init(isReadOnly: Bool) { self.isReadOnly = isReadOnly }

    /// Whether an errno means trouble.
    func isTrouble(_ error: Errno) -> Bool {
        switch error.rawValue {
        case EIO, EMFILE, ENFILE, ENOMEM, ENOSPC, EDQUOT, EUCLEAN, EBADMSG, EREMOTEIO, ETIMEDOUT: true
        case EROFS: !isReadOnly
        default: false
        }
    }

    func note(_ error: Errno, _ doing: Doing, _ caller: Caller, _ fileSystem: any FileSystem) {
        let now = Clock.monotonic()
        let count = state.withLock { state -> Int? in
            state.last = Clock.now()
            var known = state.known[Key(errno: error.rawValue, kind: doing.kind)] ?? Known()
            known.count += 1
            defer { state.known[Key(errno: error.rawValue, kind: doing.kind)] = known }
            guard now >= known.next else { return nil }
            known.next = now &+ Self.pause
            defer { known.logged = known.count }
            return known.count - known.logged
        }
        guard let count else { return }
        Self.log.error(
            "a request failed",
            metadata: [
                "operation": "\(doing.kind.rawValue)", "errno": "\(Self.name(error.rawValue)) (\(error))",
                "of": "\(fileSystem.kind(of: InodeNumber(rawValue: doing.inode)))", "user": "\(caller.user)",
                "times": "\(count)",
            ])
    }

    private static func name(_ errno: Int32) -> String { names[errno] ?? "errno \(errno)" }

    var summary: FailureSummary {
        state.withLock { state in
            var summary = FailureSummary()
            summary.last = state.last
            summary.counts = state.known.map {
                .init(errno: Self.name($0.key.errno), operation: $0.key.kind.rawValue, count: $0.value.count)
            }
            .sorted { ($1.count, $0.errno, $0.operation) < ($0.count, $1.errno, $1.operation) }
            return summary
        }
    }
}
