internal import ArtifactRecords
internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The hidden files of `.artifactfs/`: what the mount says of itself.
extension Volume {
    func open(_ made: MadeEntry, _ flags: OpenFlags, caller: Caller) throws(Errno) -> Opened {
        if case .keptReason(let id, _) = made, !flags.isWritable, !flags.truncates {
            return Opened(
                handle: handles.openContent(try store.quarantine().reason(of: id)), traits: [.directIO, .noFlush])
        }
        if case .record(let record) = made, !flags.isWritable, !flags.truncates {
            return Opened(handle: handles.openContent(record.content), traits: [.directIO, .noFlush])
        }
        if case .versionRecord(let record) = made, !flags.isWritable, !flags.truncates {
            return Opened(handle: handles.openContent(record.content), traits: [.directIO, .noFlush])
        }
        guard made.isFile else { throw Errno.tooManySymbolicLinkLevels }
        guard !flags.isWritable, !flags.truncates else {
            try refuseMade(.operation(.openToWrite), made, shownPath(of: .made(made)), caller)
        }
        guard case .hiddenFile(let file, _) = made else { throw Errno.isDirectory }
        let content = content(of: file, for: viewer(of: caller))
        return Opened(handle: handles.openContent(content), traits: [.directIO, .noFlush])
    }

    /// Who a hidden file is made for when somebody asks.
    func viewer(of caller: Caller) -> Viewer {
        caller.user == 0 || caller.user == geteuid() ? .everybody : .user(caller.user)
    }

    /// A hidden file's bytes, as they are now.
    func content(of file: HiddenFile, for viewer: Viewer) -> [UInt8] {
        switch file {
        case .schema: Array(store.schemaText.utf8)
        case .status: Array(statusText(for: viewer).utf8)
        case .denials: Array(denialsText(for: viewer).utf8)
        case .runs: Array(runsText(for: viewer).utf8)
        case .versions: Array(versionChanges.text(for: viewer).utf8)
        case .promotions: Array(promotionAnswers.text(for: viewer).utf8)
        }
    }

    func statusText(for viewer: Viewer) -> String {
        var counts: JSONObject = [:]
        var total = 0
        for (rule, count) in denials.counts(for: viewer) {
            counts[rule.rawValue] = number(count)
            total += count
        }
        // In this order: what goes on meanwhile is counted twice rather than not at all.
        let waits = waiting.counts
        let staged = stagedCounts()
        let publishing = max(seals.pending, staged.sealing - waits.room - waits.store)
        let passthrough: JSONObject = [
            "on": .bool(!opensNothing && connection?.hasPassthrough ?? false),
            "obstacle": text(passthroughObstacle),
        ]
        let fields: JSONObject = [
            "version": .string(options.version),
            "pid": number(Int(getpid())),
            "store": .string(store.path),
            "mount_point": .string(options.mountPoint),
            "read_only": .bool(store.isReadOnly),
            "as_of": text(moment?.source.words),
            "session": text(session(of: viewer.user ?? ownUser)?.description),
            "live_sessions": .array(liveSessions().map { .string($0.description) }),
            "sessions": .array(sessions(for: viewer)),
            "passthrough": .object(passthrough),
            "durability": .string(store.durability.rawValue),
            "hardening": hardening(),
            "lease": lease(),
            "sharing": store.sharing.map { .object($0.json) } ?? .null,
            "writer_endings": .string(processes.seesAllEndings ? "seen" : "seen of the driver's own user only"),
            "publishing": number(publishing),
            "waiting_for_room": number(waits.room),
            "waiting_for_store": number(waits.store),
            "writing": number(staged.writing),
            "settling": number(staged.settling),
            "held": number(staged.held),
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

    /// Why the kernel does not move bytes by itself; nil when it does.
    private var passthroughObstacle: String? {
        guard opensNothing, !wantsOpens, options.opensReadOnly == nil else { return connection?.passthroughObstacle }
        return "the kernel keeps what it read of small files (-o passthrough)"
    }

    /// What the mount's lease is; null in a store of one host.
    private func lease() -> JSONValue {
        guard let state = store.leases.state else { return .null }
        let fields: JSONObject = [
            "state": .string(state.rawValue), "seconds": .integer(Int64(store.leases.times.seconds)),
        ]
        return .object(fields)
    }

    /// Whether what is sealed becomes immutable, where not, and what failed; null without `--harden`.
    private func hardening() -> JSONValue {
        let hardening = store.hardening
        guard let words = hardening.words else { return .null }
        let obstacles = hardening.obstacles.map { obstacle -> JSONValue in
            let fields: JSONObject = [
                "place": .string(obstacle.place), "file_system": .string(obstacle.fileSystem),
                "reason": .string(obstacle.reason),
            ]
            return .object(fields)
        }
        let failures = hardening.failures
        let fields: JSONObject = [
            "words": .string(words), "obstacles": .array(obstacles), "failed": number(failures.count),
            "last_failure": text(failures.last),
        ]
        return .object(fields)
    }

    private func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
    private func number(_ value: Int) -> JSONValue { .integer(Int64(value)) }

    /// The sessions whose files may change by this mount.
    private func liveSessions() -> [SessionName] {
        (sessions.all.map(\.name) + (currentSession.map { [$0] } ?? [])).sorted()
    }

    /// The same, with who began them and whose `current` they are. Who may not know of everybody learns of the viewer's own.
    private func sessions(for viewer: Viewer) -> [JSONValue] {
        guard let currentSession else { return [] }
        let users = jobs?.ofUsers ?? [:]
        let all = [LiveSessions.Begun(name: currentSession, user: ownUser)] + sessions.all
        return all.map { session in
            var having = users.filter { $0.value == session.name && (viewer.user ?? $0.key) == $0.key }.keys.sorted()
            let asker = viewer.user ?? ownUser
            if users[asker] == nil, session.name == currentSession { having = (having + [asker]).sorted() }
            let fields: JSONObject = [
                "session": .string(session.name.description), "user": number(Int(session.user)),
                "is_mounts": .bool(session.name == currentSession),
                "current_of": .array(having.map { number(Int($0)) }),
            ]
            return .object(fields)
        }
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

    private struct StagedCounts {
        var (writing, settling, sealing, held, empty, transient) = (0, 0, 0, 0, 0, 0)
    }

    /// How many staged files are in which state.
    private func stagedCounts() -> StagedCounts {
        var counts = StagedCounts()
        for directory in artifactDirectories.staged {
            switch directory.artifact.stage {
            case .making:
                if directory.state.withLock({ $0.isTransient }) { counts.transient += 1 } else { counts.writing += 1 }
            case .sealing: counts.sealing += 1
            case .published, .kept: break
            }
        }
        for file in namespace.pinnedArtifacts {
            switch file.state.withLock({ $0.fileState(standing: .production) }) {
            case .writing: counts.writing += 1
            case .settling: counts.settling += 1
            case .held: counts.held += 1
            case .empty: counts.empty += 1
            case .transient: counts.transient += 1
            case .sealing: counts.sealing += 1
            case .sealed, .live, .frozen: break
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

extension MadeEntry {
    /// Whether it can be opened as a file.
    var isFile: Bool {
        switch self {
        case .hiddenFile, .keptReason, .record, .versionRecord: true
        case .hiddenDirectory, .quarantine, .records, .versions, .currentSession, .latestCheckpoint, .siblingLink: false
        }
    }

    /// Whether it is a directory.
    var isDirectory: Bool {
        switch self {
        case .hiddenDirectory, .quarantine, .records, .versions: true
        default: false
        }
    }
}

extension HiddenFile {
    /// Whether it says the same to everybody.
    var isEverybodys: Bool { self == .schema }

    /// Whether programs tell the driver something by an attribute of it.
    var isSpokenTo: Bool { self == .runs || self == .versions || self == .promotions }
}

/// What hidden files said when their size was last asked for, on a read-only mount, which knows no handles.
final class HiddenContents: Sendable {
    private struct Key: Hashable {
        let file: HiddenFile
        let viewer: Viewer
    }

    /// More users than this look at the same moment nowhere.
    private static let most = 64
    private let contents = Lock<[Key: [UInt8]]>([:])

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
