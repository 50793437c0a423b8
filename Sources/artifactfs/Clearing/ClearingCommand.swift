import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs gc`
struct ClearingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Make room: remove old sessions, and what was kept back or left long ago.",
        usage: """
            artifactfs gc [PLACE] [--keep-last N] [--keep-within SPAN]
                          [--keep-tag TAG]... [--session NAME]...
                          [--quarantine-older-than SPAN]
                          [--temporary-older-than SPAN] [--versions]
                          [--delete] [--json]
            """,
        discussion: """
            Shows what would be removed, and what stays and why; with --delete it is removed. Without a rule for sessions none is \
            removed; what any rule keeps stays. Never removed is a session that a mount has, or that has a file from which an \
            artifact of production was made and whose bytes are nowhere else in production.

            A session goes with all that is in it. What its metadata.json says stays in the ledger, so that runs and their metrics are \
            found as before. With --versions those former versions go that the schema's keep_versions does not keep: none, unless it says \
            so, and never one that a tag shows, that something which is there or kept was made from, or that is signed. What they were, \
            and that they were removed, stays known. What is in quarantine is somebody's bytes: it goes only when it is asked for. For the store's owner and root; \
            mounts go on, and what is open can be read until it is closed.

            SPANS: 90s, 10m, 2h, 30d, 1w.

            EXAMPLES:
              artifactfs gc --keep-last 20 --keep-within 30d
              artifactfs gc --keep-last 20 --keep-within 30d --delete
              artifactfs gc --session 20260215_143022 --delete
              artifactfs gc --quarantine-older-than 90d /data/spliceai_eval
              artifactfs gc --versions

            EXIT STATUS: 0; 1 something that was to go, or a session that was named, stays, 2 it cannot be looked up, 3 not a store, \
            64 wrong usage.
            """)

    @Argument(
        help: "A mount, a path on it, or a store's directory; without it $ARTIFACTFS_STORE, else where one stands.",
        completion: .directory)
    var place: String?
    @Option(
        name: .long, parsing: .unconditional,
        help: ArgumentHelp("Keep the N sessions that began last, of all users.", valueName: "n"))
    var keepLast: Int?
    @Option(
        name: .long, help: ArgumentHelp("Keep the sessions that were changed within so long.", valueName: "span"))
    var keepWithin: String?
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Keep the sessions that went on at the moment of this tag ('artifactfs tag').", valueName: "tag"))
    var keepTag: [String] = []
    @Option(name: .long, help: ArgumentHelp("Remove this session, and no others but named ones.", valueName: "name"))
    var session: [String] = []
    @Option(
        name: .long, help: ArgumentHelp("Discard what was kept back longer ago than that.", valueName: "span"))
    var quarantineOlderThan: String?
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Remove temporary files that mounts left which have ended, and that are older.", valueName: "span"))
    var temporaryOlderThan: String?
    @Flag(name: .long, help: "Remove former versions that the schema's keep_versions lets go.")
    var versions = false
    @Flag(name: .long, help: "Remove it.")
    var delete = false
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false

    func run() throws {
        try reporting {
            let quarantine = try quarantineOlderThan.map { try Self.span($0, "--quarantine-older-than") }
            let temporary = try temporaryOlderThan.map { try Self.span($0, "--temporary-older-than") }
            let store = try open()
            defer { store.close() }
            let rules = try rules(store)
            let now = Int64(Clock.now().tv_sec)
            let hasSessionRules = rules != Retention()
            var page = ClearingPage(
                removes: delete, hasRules: hasSessionRules || quarantine != nil || temporary != nil || versions,
                rules: rules,
                span: keepWithin)
            do {
                var clearing = try SessionClearing(store, rules, span: keepWithin, now: now)
                page.sessions = clearing.run(removing: delete)
                page.items = page.sessions.filter { $0.decision == .remove }.map(Self.item)
                if versions {
                    page.versions = try ClearedVersions(store, now: now).run(removing: delete)
                    page.items += page.versions.filter { $0.kept == nil }.map(Self.item)
                }
                if let quarantine { page.items += try self.quarantine(store, older: quarantine, now) }
                if let temporary { page.items += try self.temporary(store, older: temporary) }
            } catch let error as Errno {
                throw Failure(.cannotAnswer, "cannot look through \(store.path): \(error)")
            }
            if json { page.printJSON() } else { page.show() }
            if page.hasFailed { throw ExitCode(Status.failed.rawValue) }
        }
    }

    /// In seconds since 1970.
    private static func moment(of text: String, in store: Store) throws -> Int64 {
        guard let name = TagName(text),
            let tag = try StoreMoment.asking(store, { () throws(Errno) in try store.tag(named: name) }),
            let time = TimeText.time(tag.moment)
        else {
            throw Failure(
                .usage, "--keep-tag \(text): \(store.path) has no such tag; 'artifactfs tag --list' lists them")
        }
        return Int64(time.tv_sec)
    }

    private func rules(_ store: Store) throws -> Retention {
        if let keepLast, keepLast < 1 {
            throw Failure(
                .usage, "--keep-last \(keepLast): that would keep none; name the sessions that are to go: --session")
        }
        let names = try session.map { text in
            guard let name = SessionName(text) else {
                throw Failure(.usage, "--session \(text): sessions are named YYYYMMDD_HHMMSS")
            }
            return name
        }
        if !names.isEmpty, keepLast != nil || keepWithin != nil || !keepTag.isEmpty {
            throw Failure(
                .usage, "--session names what goes: it goes without --keep-last, --keep-within and --keep-tag")
        }
        return Retention(
            last: keepLast, within: try keepWithin.map { try Self.span($0, "--keep-within") },
            moments: try keepTag.map { try Self.moment(of: $0, in: store) }, named: names.isEmpty ? nil : Set(names))
    }

    private static func span(_ text: String, _ option: String) throws -> Int64 {
        guard let seconds = TimeSpan.seconds(text), seconds > 0 else {
            throw Failure(.usage, "\(option) \(text): that is no span of time, such as 30d, 2h or 10m")
        }
        return seconds
    }

    /// The store, to read unless something is to be removed; only for its owner and root.
    private func open() throws -> Store {
        let place = try StorePlace.find(place)
        guard let named = place.store, let path = try Paths.resolved(named) else {
            throw Failure(.cannotAnswer, "the mount at \(place.path) does not say where its store is")
        }
        let own = path + "/" + StoreLayout.privateDirectory
        let owner = try? SystemCall.attributes(SystemCall.currentDirectory, own).st_uid
        guard geteuid() == 0 || owner == geteuid() else {
            throw Failure(
                .cannotAnswer,
                "\(path) is \(owner.map { UserName.of($0) } ?? "another user")'s: its owner and root make room in it; "
                    + "what is yours you may remove at its real path with 'rm -r'")
        }
        guard delete else { return try ShownArtifact.openStore(path) }
        return try Store(
            at: path, readOnly: false, durability: .synced,
            checkCommand: ["/proc/self/exe", CheckContentsCommand.name])
    }

    private static func item(_ row: ClearedVersion) -> ClearedItem {
        ClearedItem(
            kind: .version, name: row.title, changed: row.left, files: row.files, bytes: row.bytes, user: row.owner,
            isRemoved: row.isRemoved, failure: row.failure)
    }

    private static func item(_ row: ClearedSession) -> ClearedItem {
        ClearedItem(
            kind: .session, name: row.name.description, changed: row.survey?.changed, files: row.survey?.files ?? 0,
            bytes: row.survey?.bytes ?? 0, user: row.survey?.owner, isRemoved: row.isRemoved, failure: row.failure)
    }

    private func quarantine(_ store: Store, older span: Int64, _ now: Int64) throws -> [ClearedItem] {
        guard let reader = try? store.quarantine() else { return [] }
        let agent = Agent(user: geteuid(), process: getpid(), program: "artifactfs")
        return try reader.entries().compactMap { entry -> ClearedItem? in
            // Without a time in its reason or its name: since when it has its place here.
            let time = TimeText.time(entry.time) ?? (try? reader.file(entry).attributes().st_ctim)
            guard let time, Retention.isOlder(Int64(time.tv_sec), than: span, at: now) else { return nil }
            let extent = (try? reader.extent(of: entry)) ?? (files: 1, bytes: entry.size)
            var item = ClearedItem(
                kind: .quarantine, name: entry.id, changed: Int64(time.tv_sec), files: extent.files,
                bytes: extent.bytes, user: entry.owner)
            guard delete else { return item }
            do throws(Errno) {
                try store.discard(entry, by: agent)
                item.isRemoved = true
            } catch {
                item.failure =
                    "it stays in quarantine: " + (error == .resourceBusy ? "somebody is publishing it" : "\(error)")
            }
            return item
        }
    }

    private func temporary(_ store: Store, older span: Int64) throws -> [ClearedItem] {
        let found = try store.temporaryFiles(keepingSeconds: Int(clamping: span))
        var items = found.map { file in
            ClearedItem(kind: .temporary, name: file.path, changed: file.changed, bytes: file.bytes)
        }
        guard delete, !items.isEmpty else { return items }
        let report = store.recoverAgain(keepingSeconds: Int(clamping: span))
        var removed = report.removed
        for index in items.indices {
            if let place = removed.firstIndex(of: items[index].name) {
                removed.remove(at: place)
                items[index].isRemoved = true
            } else {
                items[index].failure =
                    report.wasBusy ? "a mount is beginning just now; try again" : "it stays: it is open, or was changed"
            }
        }
        return items
    }
}
