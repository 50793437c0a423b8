import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// A run of an experiment, as far as it is known; what is not known is nil.
struct KnownRun {
    let id: String
    var experiment: String?
    var user: UInt32?
    /// RFC 3339.
    var begun: String?
    var session: String?
    /// Whether that was removed (`artifactfs gc`), as far as the ledgers are this user's to read.
    var hasLostSession = false
    /// What was said of it at its beginning and at its end.
    var facts: JSONObject = [:]
    /// What its session says that it measured, where no ledger was read.
    var metrics: JSONValue?
    /// Whether it goes on, on the mount that was asked.
    var goesOn = false
    /// Whether its end is known.
    var hasEnded = false
    /// What it made that was published, by paths on the mount; nil where the ledgers are not this user's to read.
    var artifacts: [String]?

    /// How many it made.
    var made: Int64? { artifacts.map { Int64($0.count) } ?? facts["published"]?.integer }

    /// How it ended, in words.
    var ending: String {
        if goesOn { return "goes on" }
        if let status = facts["status"]?.integer { return "status \(status)" }
        if let signal = facts["signal"]?.integer { return "signal \(signal)" }
        return facts["error"]?.string ?? "its end is not known"
    }

    /// How long it took, in words.
    var duration: String? {
        let number: Double
        switch facts["seconds"] {
        case .number(let value)?: number = value
        case .integer(let value)?: number = Double(value)
        default: return nil
        }
        guard number.isFinite, number >= 0, number < 1e9 else { return nil }
        let seconds = Int(number)
        if seconds < 60 { return "\(Int(number * 10) / 10).\(Int(number * 10) % 10) s" }
        if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
        return "\(seconds / 3600) h \(seconds / 60 % 60) min"
    }

    /// All of it; what is not known has no member.
    var json: JSONValue {
        var all: JSONObject = ["run": .string(id)]
        all["experiment"] = experiment.map { .string($0) }
        all["uid"] = user.map { .integer(Int64($0)) }
        all["user"] = user.flatMap { UserName.known($0) }.map { .string($0) }
        all["begun"] = begun.map { .string($0) }
        all["session"] = session.map { .string($0) }
        if hasLostSession { all["session_removed"] = .bool(true) }
        all["goes_on"] = .bool(goesOn)
        for (name, value) in facts.sorted where all[name] == nil { all[name] = value }
        all["made"] = made.map { .integer($0) }
        all["artifacts"] = artifacts.map { .array($0.map { .string($0) }) }
        return .object(all)
    }
}

/// The runs that are known of a store: by its ledgers, for who may read them, else by what the sessions that this user may read say of them.
struct KnownRuns {
    /// The newest first.
    let runs: [KnownRun]
    /// The mount, or the store's directory.
    let path: String
    /// Where sessions are, below it.
    private let sessions: String

    init(_ argument: String) throws {
        let full = try Paths.resolvedDirectory(of: argument)
        let mount = (MountEntry.holding(full) ?? MountEntry.at(full)).flatMap { $0.isArtifacts ? $0 : nil }
        var store: String?
        if let mount {
            store = try MountStatus.of(mount).string("store")
            (path, sessions) = (mount.mountPoint, mount.mountPoint + "/development")
        } else {
            guard let real = try Paths.resolved(full),
                (try? SystemCall.attributes(SystemCall.currentDirectory, real + "/" + StoreLayout.privateDirectory))?
                    .isDirectory == true
            else {
                throw Failure(
                    .notAStore,
                    "\(full) is neither on a mount of artifactfs nor a store's directory; 'artifactfs status' lists the mounts"
                )
            }
            store = real
            (path, sessions) = (real, real + "/" + StoreLayout.directory(of: .mode(.development)))
        }
        var found: [String: KnownRun] = [:]
        if try store.map({ try Self.read(ledgersOf: $0, &found) }) != true { Self.read(sessions, &found) }
        if let mount { Self.noteGoing(mount, &found) }
        runs = found.values.sorted { ($0.begun ?? "", $0.id) > ($1.begun ?? "", $1.id) }
    }

    /// The run that is meant.
    ///
    /// - Parameter name: its id, or the beginning of it.
    func find(_ name: String) throws -> KnownRun {
        if let run = runs.first(where: { $0.id == name }) { return run }
        let begun = runs.filter { $0.id.hasPrefix(name) }
        guard let run = begun.first else {
            throw Failure(.cannotAnswer, "no run is called \(name); 'artifactfs runs' lists those that you may see")
        }
        guard begun.count == 1 else {
            throw Failure(.cannotAnswer, "\(name) may be any of \(begun.count) runs; give more of its id")
        }
        return run
    }

    /// The last of what a run said, where that was kept and this user may read it.
    func output(of run: KnownRun) -> String? {
        guard let session = run.session, SessionName(session) != nil, !run.id.contains("/") else { return nil }
        return Paths.contents("\(sessions)/\(session)/logs/\(run.id).log", limit: 1 << 17).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    /// - Returns: false where they are not this user's to read.
    private static func read(ledgersOf store: String, _ found: inout [String: KnownRun]) throws -> Bool {
        let own = store + "/" + StoreLayout.privateDirectory + "/ledger"
        guard (try? SystemCall.checkAccess(atPath: own, R_OK | X_OK)) != nil else { return false }
        let (ofRun, isSealed, hasRun, ofSession) = (
            Array("\"event\":\"run-".utf8), Array("\"event\":\"sealed\"".utf8), Array("\"run\":{".utf8),
            Array("\"event\":\"session-".utf8)
        )
        var removed: Set<String> = []
        try ShownArtifact.openStore(store).withLedgers { reader in
            try reader.forEachLine { line in
                if LedgerReader.contains(line, ofRun) {
                    if let line = LedgerLine(parsing: line) { note(line, &found) }
                } else if LedgerReader.contains(line, ofSession) {
                    switch LedgerLine(parsing: line)?.event {
                    case .sessionRemoved(let session)?: removed.insert(session.session)
                    case .sessionKept(let session, _, _)?: removed.remove(session)
                    default: break
                    }
                } else if LedgerReader.contains(line, isSealed), LedgerReader.contains(line, hasRun),
                    let record = LedgerLine(parsing: line)?.record, let id = record.run?.id
                {
                    found[id, default: KnownRun(id: id)].artifacts =
                        (found[id]?.artifacts ?? [])
                        + [record.artifact.path ?? "?"]
                }
            }
        }
        for (id, run) in found {
            if run.artifacts == nil { found[id]?.artifacts = [] }
            if let session = run.session { found[id]?.hasLostSession = removed.contains(session) }
        }
        return true
    }

    private static func note(_ line: LedgerLine, _ found: inout [String: KnownRun]) {
        switch line.event {
        case .runBegun(let run), .runEnded(let run):
            var known = found[run.run] ?? KnownRun(id: run.run)
            known.user = UInt32(exactly: run.uid)
            known.session = run.session
            for (name, value) in run.facts.sorted { known.facts[name] = value }
            if case .runBegun = line.event {
                known.begun = line.time
                known.experiment = run.facts["experiment"]?.string
                known.facts["experiment"] = nil
            } else {
                known.hasEnded = true
            }
            found[run.run] = known
        default: break
        }
    }

    /// By the sessions' `metadata.json`.
    private static func read(_ sessions: String, _ found: inout [String: KnownRun]) {
        for name in Paths.names(sessions) where SessionName(name) != nil {
            let file = "\(sessions)/\(name)/\(StoreLayout.metadataName)"
            guard let text = Paths.contents(file, limit: 16 << 20), let value = JSONValue(parsing: text),
                case .object(var facts)? = value["run"], let id = facts["id"]?.string
            else { continue }
            var run = KnownRun(id: id)
            run.experiment = value["experiment_name"]?.string.flatMap { $0 == id ? nil : $0 }
            run.begun = value["created_at"]?.string
            run.session = name
            run.user = try? SystemCall.attributes(atPath: file).st_uid
            run.hasEnded = true
            run.metrics = value["metrics"]
            facts["id"] = nil
            facts["session"] = nil
            facts["config"] = value["config"]
            run.facts = facts
            found[id] = run
        }
    }

    private static func noteGoing(_ mount: MountEntry, _ found: inout [String: KnownRun]) {
        let lines = Paths.contents(mount.mountPoint + "/" + StoreLayout.privateDirectory + "/runs.jsonl") ?? []
        for line in lines.split(separator: UInt8(ascii: "\n")) {
            guard let value = JSONValue(parsing: line), let id = value["run"]?.string else { continue }
            var run = found[id] ?? KnownRun(id: id)
            run.goesOn = true
            run.experiment = run.experiment ?? value["experiment"]?.string
            run.session = run.session ?? value["session"]?.string
            run.user = run.user ?? value["uid"]?.integer.flatMap { UInt32(exactly: $0) }
            found[id] = run
        }
    }
}
