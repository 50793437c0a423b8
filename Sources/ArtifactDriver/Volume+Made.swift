internal import Artifacts
internal import ArtifactStore
public import FuseKernel
internal import Glibc
internal import Synchronization
public import SystemPackage

/// Entries that are made when they are read: links to what is newest, and the hidden files.
extension Volume {
    public func readLink(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8] {
        let target: String?
        switch try self.inode(inode) {
        case .free(let node): return try Linux.linkTarget(node.descriptor)
        case .made(.currentSession): target = sessionTarget()
        case .made(.latestCheckpoint(let parent)):
            guard case .tree(let directory) = try self.inode(parent) else { throw Errno.noSuchFileOrDirectory }
            target = latestTarget(in: directory)
        default: throw Errno.invalidArgument
        }
        guard let target else { throw Errno.noSuchFileOrDirectory }
        return Array(target.utf8)
    }

    /// The mount's session; on a read-only mount the newest.
    func sessionTarget() -> String? {
        if let currentSession { return currentSession.description }
        return (try? store.sessions())?.max()?.description
    }

    /// The newest sealed file of a type with free names, when no real file is called `latest`.
    func latestTarget(in directory: TreeDirectory) -> String? {
        guard directory.isProduction, case .typed(_, _, let type) = directory.location, type.naming == .free,
            type.name == "meta_checkpoints", let real = try? directory.real.current(),
            let names = try? Linux.names(in: real.descriptor)
        else { return nil }
        var newest: (name: String, time: timespec)?
        for found in names {
            if found.name == MadeNames.latest { return nil }
            guard let name = type.virtualName(forReal: found.name),
                let time = try? publishedAttributes(found.name, in: directory).st_mtim
            else { continue }
            if let known = newest,
                (known.time.tv_sec, known.time.tv_nsec, known.name) > (time.tv_sec, time.tv_nsec, name)
            {
                continue
            }
            newest = (name, time)
        }
        return newest?.name
    }

    func attributes(of made: MadeEntry) -> stat {
        // They look like the root: the same owner, and times that do not matter.
        var shown = (try? attributes(of: root)) ?? stat()
        shown.st_nlink = 1
        shown.st_blocks = 0
        switch made {
        case .hiddenDirectory:
            shown.st_ino = ino_t(StableNumber.of(StoreLayout.privateDirectory))
            shown.st_mode = S_IFDIR | 0o555
        case .hiddenFile(let file):
            shown.st_ino = ino_t(StableNumber.of(StoreLayout.privateDirectory + "/" + file.rawValue))
            shown.st_mode = S_IFREG | 0o444
            shown.st_size = off_t(content(of: file).count)
        case .currentSession:
            shown.st_ino = ino_t(StableNumber.of("development/" + MadeNames.current))
            shown.st_mode = S_IFLNK | 0o777
            shown.st_size = off_t(sessionTarget()?.utf8.count ?? 0)
        case .latestCheckpoint(let parent):
            var target: String?
            if case .tree(let directory)? = namespace[parent] {
                target = latestTarget(in: directory)
                shown.st_ino = ino_t(StableNumber.of(directory.path(of: MadeNames.latest)))
            }
            shown.st_mode = S_IFLNK | 0o777
            shown.st_size = off_t(target?.utf8.count ?? 0)
        }
        return shown
    }

    /// A hidden file's bytes, as they are now.
    func content(of file: HiddenFile) -> [UInt8] {
        switch file {
        case .schema: Array(store.schemaText.utf8)
        case .status: Array(statusText().utf8)
        case .denials: Array(denialsText().utf8)
        }
    }

    private func statusText() -> String {
        var counts: [String: JSONValue] = [:]
        var total = 0
        for (rule, count) in denials.counts {
            counts[rule.rawValue] = .integer(count)
            total += count
        }
        let staged = stagedCounts()
        let fields: [(String, JSONValue)] = [
            ("version", .string(options.version)),
            ("pid", .integer(Int(getpid()))),
            ("store", .string(store.path)),
            ("mount_point", .string(options.mountPoint)),
            ("read_only", .boolean(store.isReadOnly)),
            ("session", sessionTarget().map { .string($0) } ?? .null),
            (
                "passthrough",
                .object([
                    ("on", .boolean(connection?.hasPassthrough ?? false)),
                    ("obstacle", connection?.passthroughObstacle.map { .string($0) } ?? .null),
                ])
            ),
            ("durability", .string(store.durability.rawValue)),
            ("publishing", .integer(seals.pending)),
            ("writing", .integer(staged.writing)),
            ("empty", .integer(staged.empty)),
            ("transient", .integer(staged.transient)),
            ("sealed_since_mount", .integer(counters.sealed.load(ordering: .relaxed))),
            ("quarantined_since_mount", .integer(counters.quarantined.load(ordering: .relaxed))),
            ("open_files", .integer(counters.openFiles.load(ordering: .relaxed))),
            ("known_inodes", .integer(namespace.count)),
            (
                "denials",
                .object([("total", .integer(total)), ("by_rule", .object(counts.sorted { $0.key < $1.key }))])
            ),
            ("uptime_seconds", .integer(Int((Clock.monotonic() - startTime) / 1_000_000_000))),
        ]
        return JSONValue.object(fields).text + "\n"
    }

    /// How many staged files are in which state.
    private func stagedCounts() -> (writing: Int, empty: Int, transient: Int) {
        var counts = (writing: 0, empty: 0, transient: 0)
        for file in namespace.pinnedArtifacts {
            switch file.state.withLock({ $0.fileState(standing: .production) }) {
            case .writing: counts.writing += 1
            case .empty: counts.empty += 1
            case .transient: counts.transient += 1
            case .sealing, .sealed, .live, .frozen: break
            }
        }
        return counts
    }

    private func denialsText() -> String {
        denials.all.map { denial in
            JSONValue.object([
                ("time", .string(Timestamp.text(denial.time))),
                ("operation", .string(denial.operation)),
                ("path", .string(denial.path)),
                ("errno", .string(denial.refusal.errnoName)),
                ("rule", .string(denial.refusal.rule.rawValue)),
                ("reason", .string(denial.refusal.reason(path: denial.path))),
                ("detail", denial.detail.map { .string($0) } ?? .null),
                ("way_out", .string(denial.refusal.wayOut)),
                ("user", .integer(Int(denial.user))),
                ("pid", .integer(Int(denial.process))),
                ("program", .string(denial.program)),
            ]).text + "\n"
        }.joined()
    }
}
