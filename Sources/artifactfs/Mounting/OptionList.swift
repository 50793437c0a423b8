/// `-o` options: those of artifactfs, those that mount(8) keeps for itself, and those that go to libfuse and the kernel. Every
/// other is a mistake, and said so here: libfuse's own message names neither the option alone nor what it would take.
struct OptionList {
    var isReadOnly = false
    var allowsOthers = false
    /// Nil where nothing is said of it.
    var passthrough: Bool?
    var allowsNonempty = false
    var savesPower = false
    var session: String?
    var durability: String?
    /// The moment that is shown.
    var asOf: String?
    /// The directories of `observe`, as they were named; nil without it.
    var observed: [String]?
    /// Whether records tell nothing of processes.
    var noProvenance = false
    /// Whether what is sealed becomes immutable.
    var hardens = false
    /// Whether all stores below the directory are shown.
    var isRoot = false
    /// For libfuse, in the order given: of `noexec,exec` the last counts.
    var others: [String] = []

    /// What mount(8), mount.fuse3 and systemd say to each other, what is always so (nosuid, nodev), and times
    /// of access, which the kernel never sets on a FUSE mount (fs/fuse/inode.c, `S_NOATIME`).
    private static let ignored: Set<String> = [
        "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "_netdev", "nofail", "silent",
        "loud",
        "nosuid", "nodev", "suid", "dev", "atime", "diratime", "nodiratime", "relatime",
        "norelatime", "strictatime", "nostrictatime", "lazytime", "nolazytime",
    ]
    private static let ignoredWithValue: Set<String> = ["user", "comment", "helper", "uhelper"]
    /// What every libfuse from 3.14 on takes, and the kernel for this kind of file system.
    private static let passedOn: Set<String> = [
        "noexec", "exec", "noatime", "sync", "async", "dirsync", "auto_unmount", "allow_root", "debug",
        "default_permissions",
    ]
    private static let passedOnWithValue: Set<String> = [
        "max_read", "context", "fscontext", "defcontext", "rootcontext",
    ]

    /// - Throws: `Failure` that names the option which is not known, or lacks its value.
    init(_ lists: [String]) throws {
        for option in lists.flatMap({ $0.split(separator: ",").map(String.init) }) { try add(option) }
        if noProvenance, observed != nil {
            throw Failure(.usage, "observe and no_provenance in -o exclude each other: leave one of them out")
        }
    }

    private mutating func add(_ option: String) throws {
        let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts[0]
        guard parts.count > 1 else { return try addFlag(name) }
        let value = parts[1]
        switch name {
        case "session": session = value
        case "durability": durability = value
        case "as_of": asOf = value
        case "observe":
            let directories = value.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard directories.allSatisfy({ $0.hasPrefix("/") }) else {
                throw Failure(
                    .usage, "the option observe in -o takes directories, as observe=/data/ref:/home, not '\(value)'")
            }
            observed = (observed ?? []) + directories
        case "max_read" where UInt32(value).map({ $0 > 0 }) != true:
            throw Failure(
                .usage, "the option max_read in -o takes a number of bytes, such as max_read=131072, not '\(value)'")
        case _ where Self.passedOnWithValue.contains(name): others.append(option)
        case _ where Self.ignoredWithValue.contains(name) || Self.isForOthers(name): break
        default: throw unknown(option)
        }
    }

    private mutating func addFlag(_ name: String) throws {
        switch name {
        case "ro": isReadOnly = true
        case "rw": isReadOnly = false
        case "allow_other": allowsOthers = true
        case "passthrough": passthrough = true
        case "no_passthrough": passthrough = false
        case "no_provenance": noProvenance = true
        case "nonempty": allowsNonempty = true
        case "powersave": savesPower = true
        case "harden": hardens = true
        case "root": isRoot = true
        case "observe": observed = observed ?? []
        case "session", "durability", "as_of":
            throw Failure(.usage, "the option \(name) in -o needs a value: \(name)=...")
        case "remount":
            throw Failure(
                .usage, "a mounted store cannot be remounted with other options: unmount it, then mount it again")
        case _ where Self.passedOn.contains(name): others.append(name)
        case _ where Self.ignored.contains(name) || Self.isForOthers(name): break
        default: throw unknown(name)
        }
    }

    /// `x-systemd.automount`, `X-mount.mkdir`
    private static func isForOthers(_ name: String) -> Bool { name.hasPrefix("x-") || name.hasPrefix("X-") }

    private func unknown(_ option: String) -> Failure {
        Failure(
            .usage,
            "unknown option '\(option)' in -o: leave it out. Known are ro, rw, allow_other, allow_root, default_permissions, session=ID, "
                + "durability=synced|relaxed, as_of=MOMENT, observe[=DIR:...], no_provenance, harden, root, passthrough, no_passthrough, powersave, nonempty, noexec, noatime, sync, dirsync, "
                + "max_read=BYTES, auto_unmount, and what mount(8) keeps for itself (defaults, nofail, user, _netdev, x-...)"
        )
    }
}
