import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs status`
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "List the mounts, or show one.",
        discussion: """
            Without a mount point it lists every artifactfs mount on this machine. With one it shows the session, what is being \
            written and published, and what was refused and why; of a mount with --root the stores that were looked for, and why \
            one cannot be opened.
            """)

    @Argument(help: "Where a store is mounted.", completion: .directory)
    var mountpoint: String?
    @Flag(name: .long, help: "Print JSON: an object for one mount, an array for all.")
    var json = false

    func run() throws {
        try reporting {
            guard let mountpoint else { return list() }
            let path = try Paths.resolvedDirectory(of: mountpoint)
            guard let mount = MountEntry.holding(path) ?? MountEntry.at(path), mount.isArtifacts else {
                throw Failure(
                    .cannotAnswer, "\(path) is not on a mount of artifactfs; 'artifactfs status' lists the mounts")
            }
            if mount.isRoot {
                let status = try MountStatus.whole(of: mount)
                return json ? print(status.value.description) : status.showRoot()
            }
            let status = try MountStatus.of(mount)
            // Users see their own on the mount; what an older driver does not show, the store's owner finds there.
            let kept =
                status.isReached
                ? KeptBack.read(mount.mountPoint) ?? status.string("store").flatMap { KeptBack.read($0) } : nil
            if json { print(status.withQuarantine(kept).description) } else { status.show(kept) }
        }
    }

    private func list() {
        let mounts = MountEntry.artifacts()
        let answers = MountStatus.ask(mounts)
        if json {
            let values = zip(mounts, answers).map { mount, answer -> JSONValue in
                if case .answered(let status) = answer { return status.value }
                let fields: JSONObject = [
                    "store": .string(mount.source), "mount_point": .string(mount.mountPoint),
                    "problem": .string(problem(mount, answer)),
                ]
                return .object(fields)
            }
            print(JSONValue.array(values).description)
            return
        }
        if mounts.isEmpty { print("nothing is mounted; mount a store with 'artifactfs mount STORE MOUNTPOINT'") }
        for (mount, answer) in zip(mounts, answers) {
            print(
                "\(Terminal.printable(mount.mountPoint))\t\(Terminal.printable(mount.source))\t"
                    + Terminal.printable(problem(mount, answer)))
        }
    }

    /// A few words on a mount.
    private func problem(_ mount: MountEntry, _ answer: MountStatus.Answer) -> String {
        switch answer {
        case .answered(let status) where mount.isRoot:
            let failed = status.integer("failed") ?? 0
            return "stores: \(status.integer("open") ?? 0) in use"
                + (failed > 0 ? ", \(failed) cannot be opened" : "")
        case .answered(let status):
            return status.boolean("read_only") ? "read-only" : "session \(status.string("session") ?? "none")"
        case .dead: return "dead: its driver is gone"
        case .refused: return "\(mount.owner)'s alone"
        case .silent:
            guard let driver = DriverProcess.serving(mount) else { return "does not answer" }
            return driver.state == .stopped
                ? "does not answer: its driver, process \(driver.process), is stopped"
                : "does not answer: its driver is process \(driver.process)"
        }
    }
}

/// A mount's `status.json`.
struct MountStatus {
    enum Answer {
        case answered(MountStatus)
        case dead
        /// Another user's, without `allow_other`.
        case refused
        /// Nothing came in time.
        case silent
    }

    let value: JSONValue

    /// Asks a driver of a store.
    ///
    /// - Throws: `Failure` when it does not answer, with the reason, and for what is above several stores.
    static func of(_ mount: MountEntry) throws -> MountStatus {
        if mount.isRoot {
            _ = try whole(of: mount)
            throw Failure(
                .cannotAnswer,
                "the mount at \(mount.mountPoint) shows every store below \(mount.source): name one of them, or a path in it; "
                    + "'artifactfs status \(mount.mountPoint)' lists those that were looked for")
        }
        guard mount.whole != nil else { return try whole(of: mount) }
        let answer = ask([mount]).first
        if case .answered(let status)? = answer { return status }
        if let problem = rootProblem(mount) {
            throw Failure(
                .failed, "the store \(mount.source), shown at \(mount.mountPoint), cannot be opened: \(problem)")
        }
        return try understood(answer, mount)
    }

    /// Why the driver of a mount of several cannot open one of them; nil when it can.
    private static func rootProblem(_ mount: MountEntry) -> String? {
        guard let root = MountEntry.at(mount.wholeMountPoint), case .answered(let status)? = ask([root]).first,
            case .array(let stores)? = status.value["stores"]
        else { return nil }
        let own = stores.first { $0["store"]?.string == mount.source && $0["problem"] != nil }
        if let own { return own["problem"]?.string }
        return stores.isEmpty && (status.integer("failed") ?? 0) > 0 ? "the driver's log says why" : nil
    }

    /// Asks a driver, of whatever it shows.
    static func whole(of mount: MountEntry) throws -> MountStatus { try understood(ask([mount]).first, mount) }

    private static func understood(_ answer: Answer?, _ mount: MountEntry) throws -> MountStatus {
        switch answer {
        case .answered(let status)?: return status
        case .dead?:
            throw Failure(
                .mountPoint,
                "the mount at \(mount.mountPoint) is dead: its driver is gone; "
                    + "clean it up with 'artifactfs unmount \(mount.mountPoint)'")
        case .refused?:
            throw Failure(
                .mountPoint,
                "the mount at \(mount.mountPoint) is \(mount.owner)'s alone, and this user may not look into it")
        case .silent?, nil: throw mount.silence
        }
    }

    /// Asks drivers, all at the same time.
    static func ask(_ mounts: [MountEntry], within time: Int64 = Patience.usual) -> [Answer] {
        // Not an array of questions, which cannot be copied.
        func answers(_ mounts: ArraySlice<MountEntry>, _ deadline: Int64) -> [Answer] {
            guard let mount = mounts.first else { return [] }
            let question = Patience { ask(mount.mountPoint) }
            let others = answers(mounts.dropFirst(), deadline)
            let answer = question.answer(until: deadline) { DriverProcess.serving(mount)?.state == .stopped }
            return [understood(answer)] + others
        }
        return answers(mounts[...], Patience.now() + time)
    }

    /// The errno, or 0 and the text.
    private static func ask(_ mountPoint: String) -> [UInt8] {
        do throws(Errno) { _ = try SystemCall.statistics(atPath: mountPoint) } catch {
            if error.rawValue == ENOTCONN { return [UInt8(ENOTCONN)] }
        }
        do throws(Errno) {
            return [0] + (try Paths.read(mountPoint + "/.artifactfs/status.json"))
        } catch { return [UInt8(truncatingIfNeeded: error.rawValue)] }
    }

    private static func understood(_ answer: [UInt8]?) -> Answer {
        guard let answer, let first = answer.first else { return .silent }
        if first == 0, let value = JSONValue(parsing: Array(answer.dropFirst())) {
            return .answered(MountStatus(value: value))
        }
        return Int32(first) == EACCES || Int32(first) == EPERM ? .refused : .dead
    }

    func integer(_ key: String) -> Int64? { value[key]?.integer }
    func string(_ key: String) -> String? { value[key]?.string }
    func boolean(_ key: String) -> Bool { value[key] == .bool(true) }

    /// What its lease is, of a mount of a store that several hosts use.
    private var lease: HeldLease.State? { value["lease"]?["state"]?.string.flatMap(HeldLease.State.init) }
    /// Whether it has its lease, or needs none.
    var isLeaseHeld: Bool { lease == nil || lease == .held }
    /// Whether the store answered lately, as far as its lease tells.
    var isReached: Bool { lease != .lapsed }

    /// The sessions whose files may change by the mount.
    var liveSessions: [SessionName] {
        guard case .array(let names)? = value["live_sessions"] else { return [] }
        return names.compactMap { $0.string.flatMap(SessionName.init) }
    }

    /// Of a mount of several stores those of the stores that are in use, where this user may know; of one store its own.
    var ofStores: [MountStatus] {
        guard case .array(let stores)? = value["stores"] else { return [self] }
        return stores.compactMap { $0["status"].map { MountStatus(value: $0) } }
    }

    /// The same with what the store has in quarantine.
    func withQuarantine(_ kept: KeptBack?) -> JSONValue {
        guard case .object(var fields) = value else { return value }
        let counts: JSONObject? = kept.map {
            [
                "files": .integer(Int64($0.files)), "bytes": .integer($0.bytes), "is_more": .bool($0.isMore),
                "directory": .string($0.directory),
            ]
        }
        fields["quarantine"] = counts.map { .object($0) } ?? .null
        return .object(fields)
    }

    /// What failed without a rule, the most frequent first.
    private func errors() -> String {
        let errors = value["errors"]
        guard let total = errors?["total"]?.integer, total > 0, case .array(let counts)? = errors?["counts"] else {
            return "none"
        }
        let kinds = counts.map { count in
            "\(count["errno"]?.string ?? "?") \(count["operation"]?.string ?? "?") \(count["count"]?.integer ?? 0)"
        }
        return "\(total) (\(kinds.joined(separator: ", "))), the last at \(errors?["last"]?.string ?? "?")"
    }

    /// For people: of a mount of several stores.
    func showRoot() {
        func line(_ name: String, _ text: String) {
            Terminal.show(name + String(repeating: " ", count: max(1, 14 - name.utf8.count)) + text, indent: 14)
        }
        line("below", string("root") ?? "?")
        line("mounted at", string("mount_point") ?? "?")
        line("mode", boolean("read_only") ? "read-only" : "read and write")
        line("stores", "\(integer("open") ?? 0) in use, \(integer("seen") ?? 0) looked for")
        line("publishing", String(integer("publishing") ?? 0))
        line(
            "driver",
            "process \(integer("pid") ?? 0), version \(string("version") ?? "?"), up \(integer("uptime_seconds") ?? 0) s"
        )
        guard case .array(let stores)? = value["stores"] else { return }
        for store in stores {
            let words: String
            switch store["state"]?.string {
            case "open":
                let status = store["status"].map { MountStatus(value: $0) }
                words =
                    status?.boolean("read_only") == true
                    ? "read-only" : "session \(status?.string("session") ?? "none")"
            case "failed": words = "cannot be opened: \(store["problem"]?.string ?? "?")"
            case let state: words = state ?? "?"
            }
            line("", "\(store["path"]?.string ?? "?"): \(words)")
        }
    }

    /// For people.
    func show(_ kept: KeptBack?) {
        func line(_ name: String, _ text: String) {
            Terminal.show(name + String(repeating: " ", count: max(1, 14 - name.utf8.count)) + text, indent: 14)
        }
        func number(_ key: String) -> String { String(integer(key) ?? 0) }
        line("store", string("store") ?? "?")
        line("mounted at", string("mount_point") ?? "?")
        line("mode", boolean("read_only") ? "read-only" : "read and write, durability \(string("durability") ?? "?")")
        line("session", string("session") ?? "none")
        if let hardening = value["hardening"], let words = hardening["words"]?.string {
            line("hardening", words)
            if let failed = hardening["failed"]?.integer, failed > 0 {
                line(
                    "",
                    "\(failed) \(failed == 1 ? "is" : "are") not immutable all the same, the last \(hardening["last_failure"]?.string ?? "?"); "
                        + "'artifactfs verify --harden' as root makes it so")
            }
        }
        if let lease = value["lease"], let state = lease["state"]?.string {
            let words =
                switch HeldLease.State(rawValue: state) {
                case .held: "held; without it for \(lease["seconds"]?.integer ?? 0) s this mount is dead to other hosts"
                case .lapsed: "LAPSED: the store was not reached in time; nothing is published or written until it is"
                case .lost: "LOST: another host has what was staged here; unmount, and mount again"
                case nil: state
                }
            line("lease", words)
        }
        if let sharing = value["sharing"]?["words"]?.string { line("several hosts", sharing) }
        let passthrough = value["passthrough"]
        line(
            "passthrough",
            passthrough?["on"] == .bool(true) ? "on" : "off: " + (passthrough?["obstacle"]?.string ?? "unknown"))
        line("writing", "\(number("writing")) artifacts, \(number("empty")) empty, \(number("transient")) temporary")
        if let held = integer("held"), held > 0 {
            line("held", "\(held) of runs with --all-or-nothing, which go on")
        }
        if let settling = integer("settling"), settling > 0 {
            line(
                "settling", "\(settling) closed, while \(settling == 1 ? "its program runs" : "their programs run") on")
        }
        if let endings = string("writer_endings"), endings != "seen" { line("endings", endings) }
        line("publishing", number("publishing"))
        let (room, failed) = (integer("waiting_for_room") ?? 0, integer("waiting_for_store") ?? 0)
        if room > 0 { line("", "\(room) more \(room == 1 ? "waits" : "wait") for room on the disk") }
        if failed > 0 {
            line("", "\(failed) more \(failed == 1 ? "waits" : "wait") because the store's file system fails")
        }
        line("since mount", "\(number("sealed_since_mount")) sealed, \(number("quarantined_since_mount")) quarantined")
        if let kept {
            let files = kept.files == 1 ? "1 file" : "\(kept.files) files"
            line(
                "quarantine",
                kept.files == 0
                    ? "empty"
                    : "\(files), \(kept.isMore ? "more than " : "")\(ShownText.bytes(kept.bytes)): 'artifactfs recover list \(Shell.quoted(kept.store))'"
            )
        } else {
            line(
                "quarantine",
                isReached ? "only the store's owner may look" : "not looked at, as the store is not reached")
        }
        line("errors", errors())
        line("open files", number("open_files"))
        line(
            "driver", "process \(number("pid")), version \(string("version") ?? "?"), up \(number("uptime_seconds")) s")
        let denials = value["denials"]
        line("refused", String(denials?["total"]?.integer ?? 0))
        if case .object(let rules)? = denials?["by_rule"] {
            for (rule, count) in rules.sorted {
                line("", "\(rule): \(count.integer ?? 0)")
            }
        }
        if (denials?["total"]?.integer ?? 0) > 0 {
            line("", "reasons in \(string("mount_point") ?? "")/.artifactfs/denials.jsonl")
        }
    }
}
