internal import Artifacts
internal import ArtifactStore
public import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// Entries that are made when they are read: links to what is newest, and the hidden files.
extension Volume {
    public func readLink(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8] {
        let target: String?
        switch try self.inode(inode) {
        case .free(let node):
            return try node.withDescriptor { descriptor throws(Errno) in try SystemCall.linkTarget(descriptor) }
        case .made(.currentSession(let newest)): target = newest ?? currentSession?.description
        case .made(.latestCheckpoint(_, let newest)): target = newest
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

    /// The file of a type with free names that was sealed last, when no real file is called `latest`.
    func latestTarget(in directory: TreeDirectory) -> String? {
        guard directory.isProduction, case .typed(_, _, let type) = directory.location, type.hasLatest,
            let real = try? directory.real.current()
        else { return nil }
        // Taken before the files are looked at: what changes meanwhile makes it another state.
        let state = (try? SystemCall.attributes(real.descriptor)).flatMap { ListingState($0, staged: 0) }
        if let state, let known = directory.newest.withLock({ $0 }), known.state == state { return known.name }
        guard let newest = try? newestFile(in: directory, real, type) else { return nil }
        if let state, newest.isSettled { directory.newest.withLock { $0 = .init(state: state, name: newest.name) } }
        return newest.name
    }

    /// Looks at every file: which was sealed last, or, where none says when it was, modified last. It is settled when no file's times can
    /// change any more, as they do after a `cp -p`.
    private func newestFile(
        in directory: TreeDirectory, _ real: Directory, _ type: ArtifactType
    ) throws(Errno) -> (name: String?, isSettled: Bool) {
        var newest: (name: String, sealed: String, time: timespec)?
        var isSettled = true
        let settled = Clock.now().tv_sec &- store.schema.settlingSeconds &- 1
        for found in try Listing(of: real.descriptor) {
            if found.name == MadeNames.latest { return (nil, true) }
            guard let realName = found.name, let name = type.virtualName(forReal: realName),
                let attributes = try? publishedFile(realName, in: directory).attributes
            else { continue }
            let time = attributes.st_mtim
            if attributes.st_ctim.tv_sec >= settled { isSettled = false }
            let sealed = Store.sealingTime(of: RealFile(directory: real, name: realName)) ?? ""
            if let known = newest,
                (known.sealed, known.time.tv_sec, known.time.tv_nsec, known.name)
                    > (sealed, time.tv_sec, time.tv_nsec, name)
            {
                continue
            }
            newest = (name, sealed, time)
        }
        return (newest?.name, isSettled)
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
        case .hiddenFile(let file, for: let viewer):
            shown.st_ino = ino_t(StableNumber.of(StoreLayout.privateDirectory + "/" + file.rawValue))
            shown.st_mode = S_IFREG | (file.isEverybodys ? 0o444 : 0o400)
            if !file.isEverybodys {
                (shown.st_uid, shown.st_gid) = (geteuid(), getegid())
                if case .user(let user) = viewer { shown.st_uid = user }
            }
            shown.st_mtim = Clock.now()
            shown.st_size = off_t(sizeShown(of: file, for: viewer))
        case .currentSession(let newest):
            shown.st_ino = ino_t(StableNumber.of("development/" + MadeNames.current))
            shown.st_mode = S_IFLNK | 0o777
            shown.st_size = off_t((newest ?? currentSession?.description)?.utf8.count ?? 0)
        case .latestCheckpoint(let parent, let target):
            if case .tree(let directory)? = namespace[parent] {
                shown.st_ino = ino_t(StableNumber.of(directory.path(of: MadeNames.latest)))
            }
            shown.st_mode = S_IFLNK | 0o777
            shown.st_size = off_t(target.utf8.count)
        }
        return shown
    }

    /// What `stat` says of a hidden file's size: none where it is made when it is opened, as in proc(5), so that nothing is made for a
    /// `stat`. A read-only mount has no opens, and its kernel reads no more than it was told of: there the bytes are made now, and kept
    /// for the read. They are few: what is refused on such a mount the kernel refuses.
    private func sizeShown(of file: HiddenFile, for viewer: Viewer) -> Int {
        if file == .schema { return store.schemaText.utf8.count }
        guard store.isReadOnly else { return 0 }
        let content = content(of: file, for: viewer)
        hiddenContents.keep(content, of: file, for: viewer)
        return content.count
    }

    /// Who a hidden file is made for when somebody asks.
    func viewer(of caller: Caller) -> Viewer {
        caller.user == 0 || caller.user == geteuid() ? .everybody : .user(caller.user)
    }

    /// A hidden file's entry for who looks it up: the kernel keeps no name of them, so every user is asked for.
    func hiddenEntry(_ file: HiddenFile, in parent: InodeNumber, _ caller: Caller) -> Entry {
        let viewer = file.isEverybodys ? .everybody : viewer(of: caller)
        return entry(madeInode(.hiddenFile(file, for: viewer), file.rawValue, in: parent))
    }

    /// A hidden file's bytes, as they are now.
    func content(of file: HiddenFile, for viewer: Viewer) -> [UInt8] {
        switch file {
        case .schema: Array(store.schemaText.utf8)
        case .status: Array(statusText(for: viewer).utf8)
        case .denials: Array(denialsText(for: viewer).utf8)
        }
    }

    private func statusText(for viewer: Viewer) -> String {
        var counts: JSONObject = [:]
        var total = 0
        for (rule, count) in denials.counts(for: viewer) {
            counts[rule.rawValue] = number(count)
            total += count
        }
        let staged = stagedCounts()
        let waits = waiting.counts
        let passthrough: JSONObject = [
            "on": .bool(!store.isReadOnly && connection?.hasPassthrough ?? false),
            "obstacle": text(
                store.isReadOnly
                    ? "a read-only mount needs none: the kernel keeps what was read" : connection?.passthroughObstacle),
        ]
        let fields: JSONObject = [
            "version": .string(options.version),
            "pid": number(Int(getpid())),
            "store": .string(store.path),
            "mount_point": .string(options.mountPoint),
            "read_only": .bool(store.isReadOnly),
            "session": text(sessionTarget()),
            "passthrough": .object(passthrough),
            "durability": .string(store.durability.rawValue),
            "writer_endings": .string(seesAllEndings ? "seen" : "seen of the driver's own user only"),
            "publishing": number(seals.pending),
            "waiting_for_room": number(waits.room),
            "waiting_for_store": number(waits.store),
            "writing": number(staged.writing),
            "empty": number(staged.empty),
            "transient": number(staged.transient),
            "sealed_since_mount": number(counters.sealed.load(ordering: .relaxed)),
            "quarantined_since_mount": number(counters.quarantined.load(ordering: .relaxed)),
            "empty_since_mount": number(counters.empty.load(ordering: .relaxed)),
            "open_files": number(store.descriptors.openFiles),
            "known_inodes": number(namespace.count),
            "denials": .object(["total": number(total), "by_rule": .object(counts)]),
            "errors": .object(errors()),
            "uptime_seconds": number(Int((Clock.monotonic() &- startTime) / 1_000_000_000)),
        ]
        return JSONValue.object(fields).description + "\n"
    }

    /// What failed that no rule refused.
    private func errors() -> JSONObject {
        let failures = connection?.failureSummary ?? FailureSummary()
        let counts = failures.counts.map { failure -> JSONValue in
            let fields: JSONObject = [
                "errno": .string(failure.errno), "operation": .string(failure.operation),
                "count": number(failure.count),
            ]
            return .object(fields)
        }
        return [
            "total": number(failures.counts.reduce(0) { $0 &+ $1.count }), "counts": .array(counts),
            "last": text(failures.last.map { TimeText.rfc3339($0) }),
        ]
    }

    private func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
    private func number(_ value: Int) -> JSONValue { .integer(Int64(value)) }

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

    private func denialsText(for viewer: Viewer) -> String {
        denials.kept(for: viewer).map { denial in
            let fields: JSONObject = [
                "time": .string(TimeText.rfc3339(denial.time)),
                "operation": .string(denial.operation),
                "path": .string(denial.path),
                "errno": .string(denial.refusal.errnoName),
                "rule": .string(denial.refusal.rule.rawValue),
                "reason": .string(denial.refusal.reason(path: denial.path)),
                "detail": text(denial.detail),
                "way_out": .string(denial.refusal.wayOut),
                "user": number(Int(denial.user)),
                "pid": number(Int(denial.process)),
                "program": .string(denial.program),
            ]
            return JSONValue.object(fields).description + "\n"
        }.joined()
    }
}

extension HiddenFile {
    /// Whether it says the same to everybody.
    var isEverybodys: Bool { self == .schema }
}

/// What hidden files said when their size was last asked for, on a read-only mount, which knows no handles.
final class HiddenContents: Sendable {
    private struct Key: Hashable {
        let file: HiddenFile
        let viewer: Viewer
    }

    /// More users than this look at the same moment nowhere.
    private static let most = 64
    private let contents = Mutex<[Key: [UInt8]]>([:])

    func known(_ file: HiddenFile, for viewer: Viewer) -> [UInt8]? {
        contents.withLock { $0[Key(file: file, viewer: viewer)] }
    }

    func keep(_ content: [UInt8], of file: HiddenFile, for viewer: Viewer) {
        let key = Key(file: file, viewer: viewer)
        contents.withLock { contents in
            if contents[key] == nil, contents.count >= Self.most, let other = contents.keys.first {
                contents[other] = nil
            }
            contents[key] = content
        }
    }
}
