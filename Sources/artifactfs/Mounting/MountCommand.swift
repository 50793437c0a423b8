public import ArgumentParser
public import ArtifactStore
import Artifacts
import Glibc

extension Durability: ExpressibleByArgument {}

/// `artifactfs mount`
struct MountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount",
        abstract: "Mount a store.",
        usage: """
            artifactfs mount <store> <mountpoint> [--read-only] [--allow-other]
                  [--session <session>] [--durability <durability>]
                  [--as-of <moment>] [--root]
                  [--mirror [--endpoint <url>] [--profile <profile>]
                  [--cache <directory>] [--cache-size <size>]]
                  [--[no-]passthrough] [--harden] [--foreground] [-o <options> ...]
            """,
        discussion: """
            Mounts and goes to the background; the command returns when the mount can be used. As root the mount can serve all users \
            (--allow-other), files belong to whoever writes them, and the kernel moves the bytes itself (passthrough). Without \
            root, fusermount3 mounts for the calling user.

            EXAMPLES:
              artifactfs mount /data/spliceai_eval /mnt/art
              # for everyone to read
              artifactfs mount /data/spliceai_eval /mnt/art --read-only --allow-other
              # production as it was when a paper was sent
              artifactfs mount --as-of paper-v1 /data/spliceai_eval /mnt/then
              # every store below a directory, as /mnt/all/<source>/<build>/<model>
              artifactfs mount --root /data /mnt/all
              # a mirror's production, without a store
              artifactfs mount --mirror s3://lab-results/spliceai /mnt/mirror
              # go on with a session
              artifactfs mount /data/spliceai_eval /mnt/art --session 20260215_143022
              # records tell too which files below these directories were read
              artifactfs mount /data/spliceai_eval /mnt/art --allow-other -o observe=/data/ref:/home
            """)

    @Argument(help: "The store's directory; with --root one that stores lie below.", completion: .directory)
    var store: String
    @Argument(help: "An empty directory to mount it on.", completion: .directory)
    var mountpoint: String
    @Flag(
        name: .long,
        help:
            "Show every store below a directory, each by its own schema and with a session of its own, opened when somebody goes into it."
    )
    var root = false
    @Flag(
        name: .long,
        help:
            "Show the production of a mirror, read-only: the store is its URL, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, and what is opened comes from there."
    )
    var mirror = false
    @OptionGroup var server: ServerArguments
    @Option(
        name: .long, help: "With --mirror: where what came is kept. (default: artifactfs/mirrors in ~/.cache)",
        completion: .directory)
    var cache: String?
    @Option(
        name: .long,
        help: "With --mirror: how much of it is kept, such as 300MB or 1.5GiB. (default: 10GB)")
    var cacheSize: String?
    @Flag(name: .long, help: "The kernel answers EROFS to every change.")
    var readOnly = false
    @Option(
        name: .long,
        help:
            "Show production as it was, read-only: at a tag, a date, or a line of a ledger ('artifactfs production --help')."
    )
    var asOf: String?
    @Flag(name: .shortAndLong, help: "Stay in the foreground and log to standard error.")
    var foreground = false
    @Option(name: .long, help: "Go on with a session, YYYYMMDD_HHMMSS, instead of beginning one.")
    var session: String?
    @Flag(name: .long, help: "Let other users use the mount.")
    var allowOther = false
    @Flag(
        inversion: .prefixedNo,
        help:
            "Whether the kernel moves bytes by itself, where it can (6.9 and newer). Default: yes; read-only, where artifacts are large."
    )
    var passthrough: Bool?
    @Option(
        name: .long,
        help: "synced: an artifact is on disk before its name counts (the default). relaxed: no waiting for the disk.")
    var durability: Durability?
    @Flag(
        name: .long,
        help:
            "Make what is sealed immutable for everybody, root too (chattr +i), where file system and rights allow it."
    )
    var harden = false
    @Option(name: .customShort("o"), parsing: .singleValue, help: "Options as of mount(8), separated by commas.")
    var options: [String] = []

    func run() throws {
        try reporting {
            let list = try OptionList(options)
            let shown = try mirrored()
            var request = MountRequest(
                store: try shown?.store ?? Paths.absolute(store), mountPoint: try Paths.absolute(mountpoint),
                isReadOnly: shown != nil || readOnly || list.isReadOnly || asOf != nil || list.asOf != nil,
                allowsOthers: allowOther || list.allowsOthers,
                passthrough: passthrough ?? list.passthrough, savesPower: list.savesPower, extra: list.others)
            if let name = session ?? list.session {
                guard let parsed = SessionName(name) else {
                    throw Failure(.cannotAnswer, "'\(name)' is not a session's name; sessions are YYYYMMDD_HHMMSS")
                }
                request.session = parsed
            }
            request.isRoot = root || list.isRoot
            request.mirror = shown
            request.observed = list.observed
            request.asOf = asOf ?? list.asOf
            try checkRoot(request)
            if request.isReadOnly, request.session != nil {
                throw Failure(.cannotAnswer, "a read-only mount has no session: leave --session or --read-only out")
            }
            if let durability {
                request.durability = durability
            } else if let text = list.durability {
                guard let parsed = Durability(rawValue: text) else {
                    throw Failure(.cannotAnswer, "durability is synced or relaxed, not '\(text)'")
                }
                request.durability = parsed
            }
            request.hardens = harden || list.hardens
            request.seesProvenance = !list.noProvenance
            request = try Preflight.check(request, allowsNonempty: list.allowsNonempty)
            if let asOf = request.asOf { try PastProduction.prepare(request.store, at: asOf) }
            if foreground {
                try Serve.run(request)
            } else {
                Terminal.show(try Background.start(request.store))
            }
        }
    }
}

extension MountCommand {
    /// The mirror that is to be shown, with what is known of it here; nil where it is a store.
    private func mirrored() throws -> MirrorMount? {
        let isURL = store.hasPrefix("s3://") || store.hasPrefix("gs://")
        guard mirror else {
            if isURL { throw Failure(.usage, "\(store) is a mirror's URL, and no store: --mirror mounts one") }
            guard cache == nil, cacheSize == nil, server.endpoint == nil, server.profile == nil else {
                throw Failure(.usage, "--cache, --cache-size, --endpoint and --profile go with --mirror")
            }
            return nil
        }
        guard isURL else {
            throw Failure(.usage, "--mirror: \(store) is no URL, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")
        }
        guard !root, asOf == nil, session == nil else {
            throw Failure(.usage, "--mirror goes without --root, --as-of and --session")
        }
        let size = try SizeArgument.bytes(cacheSize ?? "10GB", of: "--cache-size")
        return try MirrorMount(store, endpoint: server.endpoint, profile: server.profile, cache: cache, limit: size)
    }

    /// What is of one store cannot be said of all.
    private func checkRoot(_ request: MountRequest) throws {
        guard request.isRoot else { return }
        let one: String? =
            request.session != nil
            ? "--session goes on with a session of one store"
            : request.asOf != nil
                ? "--as-of shows a moment of one store"
                : request.observed != nil ? "-o observe looks at the inputs of one store" : nil
        guard let one else { return }
        throw Failure(
            .cannotAnswer,
            "\(one), and --root mounts all below \(request.store): leave one of the two out, or mount that store by itself, at "
                + "another mount point")
    }
}

/// What is to be mounted, checked.
struct MountRequest {
    var store: String
    var mountPoint: String
    /// Whether `store` is a directory with stores below it, all of which are shown.
    var isRoot = false
    var isReadOnly = false
    var allowsOthers = false
    /// Whether the kernel moves bytes by itself; nil for what suits.
    var passthrough: Bool?
    var savesPower = false
    var extra: [String] = []
    var session: SessionName?
    var durability = Durability.synced
    /// The moment that is shown, as it was named; nil for now.
    var asOf: String?
    /// The directories outside of the store whose files are told as inputs; nil where none are looked at.
    var observed: [String]?
    /// Whether what is sealed becomes immutable.
    var hardens = false
    /// Whether records tell which programs made what, with which code and from what.
    var seesProvenance = true
    /// The mirror whose production is shown, where it is none of a store.
    var mirror: MirrorMount?

    init(
        store: String, mountPoint: String, isReadOnly: Bool, allowsOthers: Bool, passthrough: Bool?, savesPower: Bool,
        extra: [String]
    ) {
        self.store = store
        self.mountPoint = mountPoint
        self.isReadOnly = isReadOnly
        self.allowsOthers = allowsOthers
        self.passthrough = passthrough
        self.savesPower = savesPower
        self.extra = extra
    }
}
