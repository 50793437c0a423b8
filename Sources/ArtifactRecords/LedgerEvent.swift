internal import Artifacts

/// One thing that happened in a store, as a line of its ledger says it.
public enum LedgerEvent: Sendable, Hashable {
    /// A mount began a session.
    case sessionBegun(session: String, mount: String)
    /// A mount took up a session again.
    case sessionResumed(session: String, mount: String)
    /// A session is to be removed with all that is in it.
    case sessionRemoved(RemovedSession)
    /// A session that was to be removed is there still.
    case sessionKept(session: String, mount: String, reason: String)
    /// A run began.
    case runBegun(RunLine)
    /// Its command ended.
    case runEnded(RunLine)
    /// All intents of a run that is all or nothing are written: they count from here on.
    case runSealing(mount: String, run: String, artifacts: Int64)
    /// A file of a session or a test is about to come into staging, to be published with others.
    case promotionIntent(PromotionIntent)
    /// An artifact is whole and checked, and is about to get its name.
    case sealIntent(SealIntent)
    /// It has its name.
    case sealed(SealIntent, isRecovered: Bool)
    /// Bytes were put into quarantine, under a name.
    case quarantined(NotPublished, as: String)
    /// What was in quarantine is to be removed.
    case discarded(LeftQuarantine)
    /// What was in quarantine goes to a session or a test.
    case takenOut(LeftQuarantine)
    /// A promotion failed: the file is where it was.
    case restored(NotPublished)
    /// Recovery found neither the staged file nor the artifact.
    case sealAbandoned(NotPublished)
    /// An artifact that nothing was written to is gone.
    case removedEmpty(Removal)
    /// An old temporary file was removed.
    case removedTransient(Removal)
    /// A sealed artifact is about to leave its name, alone or with others.
    case unsealIntent(UnsealedArtifact)
    /// It has left it.
    case unsealed(UnsealedArtifact)
    /// It has not.
    case unsealAbandoned(UnsealedArtifact)
    /// A former version is to be removed.
    case versionRemoved(RemovedVersion)
    /// One that was to be removed is there still, for a reason.
    case versionKept(RemovedVersion)
    /// A sealed artifact's bytes are in a mirror only.
    case evicted(EvictedArtifact)
    /// They are here again.
    case recalled(EvictedArtifact)
    /// A moment got a name.
    case tagged(TagLine)
    /// The owner of a sealed artifact set its mode or times.
    case attributesSet(OwnersChange)
    /// The immutable flag of something sealed is about to be taken for a moment.
    case flagLifted(LiftedFlag)
    /// It has it again.
    case flagRestored(LiftedFlag)
    /// A signature of a sealed artifact was made, and is kept.
    case attested(AttestedArtifact)
    /// A mirror has what was sent of artifacts.
    case mirrored(MirroredObjects)
    /// An operation was refused.
    case denied(DeniedOperation)
    /// So many more were refused, by rule.
    case denialsCounted(mount: String, byRule: JSONObject)
    /// The line before this one is not whole.
    case ledgerRepaired
    /// This file of the ledger is full: it goes on in another one.
    case ledgerContinues(file: String)
    /// What a newer version knows.
    case other(name: String, members: JSONObject)

    /// A run of an experiment (`artifactfs run`).
    public struct RunLine: Sendable, Hashable {
        /// The mount on which it is.
        public var mount: String
        /// Its id.
        public var run: String
        /// Its session.
        public var session: String
        /// Who runs it.
        public var uid: Int64
        /// The process that runs it.
        public var pid: Int64
        /// What that says of it.
        public var facts: JSONObject

        /// A run.
        public init(mount: String, run: String, session: String, uid: Int64, pid: Int64, facts: JSONObject) {
            (self.mount, self.run, self.session) = (mount, run, session)
            (self.uid, self.pid, self.facts) = (uid, pid, facts)
        }
    }

    /// A file that was not published.
    public struct NotPublished: Sendable, Hashable {
        /// The mount that wrote it; empty when it is not known.
        public var mount: String
        /// Its name in the mount's staging directory; empty when it is not known.
        public var staged: String
        /// Why, a sentence for people.
        public var reason: String
        /// The rule that it was judged by; nil when it is not known, as in lines of earlier versions.
        public var rule: String?
        /// What is known of it, as it was read or is to be written.
        public var record: JSONObject

        /// Such a file.
        public init(mount: String, staged: String, reason: String, rule: String? = nil, record: JSONObject) {
            (self.mount, self.staged, self.reason, self.rule) = (mount, staged, reason, rule)
            self.record = record
        }
    }

    /// A file that goes out of quarantine and is not published.
    public struct LeftQuarantine: Sendable, Hashable {
        /// The mount by which that is done.
        public var mount: String
        /// Its name in quarantine.
        public var quarantined: String
        /// The path on the mount that it was written to.
        public var path: String
        /// Where it goes, on the mount.
        public var to: String?
        /// In bytes.
        public var size: Int64
        /// SHA-256 of its bytes, where that was known.
        public var sha256: String?
        /// Why it was kept back, where that is known.
        public var reason: String?
        /// Who does it.
        public var uid: Int64
        /// The process, 0 when it is not known.
        public var pid: Int64
        /// Its program.
        public var command: String

        /// Such a file.
        public init(
            mount: String, quarantined: String, path: String, to: String? = nil, size: Int64, sha256: String? = nil,
            reason: String? = nil, uid: Int64, pid: Int64, command: String
        ) {
            (self.mount, self.quarantined, self.path, self.to) = (mount, quarantined, path, to)
            (self.size, self.sha256, self.reason) = (size, sha256, reason)
            (self.uid, self.pid, self.command) = (uid, pid, command)
        }
    }

    /// A file that is gone.
    public struct Removal: Sendable, Hashable {
        /// The mount that wrote it.
        public var mount: String
        /// Its name in the mount's staging directory.
        public var staged: String
        /// The path on the mount.
        public var path: String
        /// In bytes; of a temporary file.
        public var size: Int64?
        /// Who wrote it, where that is known.
        public var uid: Int64?
        /// The process, 0 when it is not known.
        public var pid: Int64?
        /// Its program.
        public var command: String?
        /// Why, for people.
        public var detail: String?

        /// Such a file.
        public init(
            mount: String, staged: String, path: String, size: Int64? = nil, uid: Int64? = nil, pid: Int64? = nil,
            command: String? = nil, detail: String? = nil
        ) {
            (self.mount, self.staged, self.path, self.size) = (mount, staged, path, size)
            (self.uid, self.pid, self.command, self.detail) = (uid, pid, command, detail)
        }
    }

    /// Attributes that the owner of a sealed artifact set.
    public struct OwnersChange: Sendable, Hashable {
        /// The mount by which it was done.
        public var mount: String
        /// The path on the mount.
        public var path: String
        /// The permission bits in octal digits, where they were set.
        public var mode: String?
        /// The time of modification, where it was set.
        public var modified: String?
        /// Who did it.
        public var uid: Int64
        /// The process, 0 when it is not known.
        public var pid: Int64
        /// Its program.
        public var command: String

        /// Such a change.
        public init(
            mount: String, path: String, mode: String? = nil, modified: String? = nil, uid: Int64, pid: Int64,
            command: String
        ) {
            (self.mount, self.path, self.mode, self.modified) = (mount, path, mode, modified)
            (self.uid, self.pid, self.command) = (uid, pid, command)
        }
    }

    /// A sealed artifact of which a signature is kept.
    public struct AttestedArtifact: Sendable, Hashable {
        /// The mount, or what had the store open, by which it was done.
        public var mount: String
        /// The path on the mount.
        public var path: String
        /// From 1, where that is known.
        public var version: Int64?
        /// As its record has it.
        public var sha256: String
        /// The key's name: SHA-256 of the public one as PEM.
        public var key: String
        /// Who signed.
        public var uid: Int64
        /// The process.
        public var pid: Int64
        /// Its program.
        public var command: String

        /// Such an artifact.
        public init(
            mount: String, path: String, version: Int64?, sha256: String, key: String, uid: Int64, pid: Int64,
            command: String
        ) {
            (self.mount, self.path, self.version, self.sha256) = (mount, path, version, sha256)
            (self.key, self.uid, self.pid, self.command) = (key, uid, pid, command)
        }
    }

    /// An operation that was refused.
    public struct DeniedOperation: Sendable, Hashable {
        /// The mount that refused it.
        public var mount: String
        /// The rule.
        public var rule: String
        /// The errno's name.
        public var errno: String
        /// What was asked for.
        public var operation: String
        /// The path on the mount.
        public var path: String
        /// Who asked.
        public var uid: Int64
        /// The process, 0 when it is not known.
        public var pid: Int64
        /// Its program.
        public var command: String
        /// What the rule alone does not say.
        public var detail: String?

        /// Such an operation.
        public init(
            mount: String, rule: String, errno: String, operation: String, path: String, uid: Int64, pid: Int64,
            command: String, detail: String? = nil
        ) {
            (self.mount, self.rule, self.errno, self.operation) = (mount, rule, errno, operation)
            (self.path, self.uid, self.pid, self.command, self.detail) = (path, uid, pid, command, detail)
        }
    }
}

/// As members of a line.
extension LedgerEvent {
    /// Names the kind of event; stable, lower case.
    public enum Name: String, Sendable, CaseIterable {
        case sessionBegun = "session-begun"
        case sessionResumed = "session-resumed"
        case sessionRemoved = "session-removed"
        case sessionKept = "session-kept"
        case runBegun = "run-begun"
        case runEnded = "run-ended"
        case runSealing = "run-sealing"
        case promotionIntent = "promotion-intent"
        case sealIntent = "seal-intent"
        case sealed
        case quarantined
        case discarded
        case takenOut = "taken-out"
        case restored
        case sealAbandoned = "seal-abandoned"
        case removedEmpty = "removed-empty"
        case removedTransient = "removed-transient"
        case unsealIntent = "unseal-intent"
        case superseded
        case retracted
        case unsealAbandoned = "unseal-abandoned"
        case versionRemoved = "version-removed"
        case versionKept = "version-kept"
        case evicted
        case recalled
        case tagged
        case attributesSet = "attributes-set"
        case flagLifted = "flag-lifted"
        case flagRestored = "flag-restored"
        case attested
        case mirrored
        case denied
        case denialsCounted = "denials-counted"
        case ledgerRepaired = "ledger-repaired"
        case ledgerContinues = "ledger-continues"
    }

    /// What the line calls it.
    public var name: String {
        switch self {
        case .sessionBegun: Name.sessionBegun.rawValue
        case .sessionResumed: Name.sessionResumed.rawValue
        case .sessionRemoved: Name.sessionRemoved.rawValue
        case .sessionKept: Name.sessionKept.rawValue
        case .runBegun: Name.runBegun.rawValue
        case .runEnded: Name.runEnded.rawValue
        case .runSealing: Name.runSealing.rawValue
        case .promotionIntent: Name.promotionIntent.rawValue
        case .sealIntent: Name.sealIntent.rawValue
        case .sealed: Name.sealed.rawValue
        case .quarantined: Name.quarantined.rawValue
        case .discarded: Name.discarded.rawValue
        case .takenOut: Name.takenOut.rawValue
        case .restored: Name.restored.rawValue
        case .sealAbandoned: Name.sealAbandoned.rawValue
        case .removedEmpty: Name.removedEmpty.rawValue
        case .removedTransient: Name.removedTransient.rawValue
        case .unsealIntent: Name.unsealIntent.rawValue
        case .unsealed(let artifact): artifact.unsealing.rawValue
        case .unsealAbandoned: Name.unsealAbandoned.rawValue
        case .versionRemoved: Name.versionRemoved.rawValue
        case .versionKept: Name.versionKept.rawValue
        case .evicted: Name.evicted.rawValue
        case .recalled: Name.recalled.rawValue
        case .tagged: Name.tagged.rawValue
        case .attributesSet: Name.attributesSet.rawValue
        case .flagLifted: Name.flagLifted.rawValue
        case .flagRestored: Name.flagRestored.rawValue
        case .attested: Name.attested.rawValue
        case .mirrored: Name.mirrored.rawValue
        case .denied: Name.denied.rawValue
        case .denialsCounted: Name.denialsCounted.rawValue
        case .ledgerRepaired: Name.ledgerRepaired.rawValue
        case .ledgerContinues: Name.ledgerContinues.rawValue
        case .other(let name, _): name
        }
    }

    /// The members that follow the line's first four.
    public var members: JSONObject {
        switch self {
        case .sessionBegun(let session, let mount), .sessionResumed(let session, let mount):
            return ["session": .string(session), "mount": .string(mount)]
        case .sessionRemoved(let session): return session.members
        case .sessionKept(let session, let mount, let reason):
            return ["session": .string(session), "mount": .string(mount), "reason": .string(reason)]
        case .runBegun(let run), .runEnded(let run): return run.members
        case .runSealing(let mount, let run, let artifacts):
            return ["mount": .string(mount), "run": .string(run), "artifacts": .integer(artifacts)]
        case .promotionIntent(let intent): return intent.members
        case .sealIntent(let intent): return intent.members()
        case .sealed(let intent, let isRecovered):
            return intent.members(isRecovered ? ["recovered": .bool(true)] : [:])
        case .quarantined(let file, let name): return file.members(quarantined: name)
        case .discarded(let file), .takenOut(let file): return file.members
        case .restored(let file), .sealAbandoned(let file): return file.members()
        case .removedEmpty(let file), .removedTransient(let file): return file.members
        case .unsealIntent(let artifact), .unsealed(let artifact), .unsealAbandoned(let artifact):
            return artifact.members
        case .versionRemoved(let version), .versionKept(let version): return version.members
        case .evicted(let artifact), .recalled(let artifact): return artifact.members
        case .tagged(let line): return line.members
        case .attributesSet(let change): return change.members
        case .flagLifted(let lift), .flagRestored(let lift): return lift.members
        case .attested(let artifact): return artifact.members
        case .mirrored(let objects): return objects.members
        case .denied(let operation): return operation.members
        case .denialsCounted(let mount, let byRule):
            return ["mount": .string(mount), "by_rule": .object(byRule)]
        case .ledgerRepaired:
            return [
                "note": .string(
                    "the line before this one is not whole: a driver or the machine stopped while writing it")
            ]
        case .ledgerContinues(let file): return ["file": .string(file)]
        case .other(_, let members): return members
        }
    }

    /// What a line says; a line that lacks what its event must have is an event that is not known.
    public init(_ line: JSONValue) {
        self = Self.known(line) ?? .other(name: line["event"]?.string ?? "", members: LedgerLine.members(of: line))
    }

    private static func known(_ line: JSONValue) -> LedgerEvent? {
        guard let name = line["event"]?.string.flatMap(Name.init) else { return nil }
        let mount = line["mount"]?.string
        switch name {
        case .sessionBegun, .sessionResumed:
            guard let session = line["session"]?.string, let mount else { return nil }
            return name == .sessionBegun
                ? .sessionBegun(session: session, mount: mount) : .sessionResumed(session: session, mount: mount)
        case .sessionRemoved: return RemovedSession(line).map { .sessionRemoved($0) }
        case .sessionKept:
            guard let session = line["session"]?.string, let mount, let reason = line["reason"]?.string else {
                return nil
            }
            return .sessionKept(session: session, mount: mount, reason: reason)
        case .runBegun: return RunLine(line).map { .runBegun($0) }
        case .runEnded: return RunLine(line).map { .runEnded($0) }
        case .runSealing:
            guard let mount, let run = line["run"]?.string, let artifacts = line["artifacts"]?.integer else {
                return nil
            }
            return .runSealing(mount: mount, run: run, artifacts: artifacts)
        case .promotionIntent: return PromotionIntent(line).map { .promotionIntent($0) }
        case .sealIntent: return SealIntent(line).map { .sealIntent($0) }
        case .sealed:
            return SealIntent(line).map { .sealed($0, isRecovered: line["recovered"] == .bool(true)) }
        case .quarantined:
            guard let name = line["quarantined"]?.string else { return nil }
            return NotPublished(line).map { .quarantined($0, as: name) }
        case .discarded: return LeftQuarantine(line).map { .discarded($0) }
        case .takenOut: return LeftQuarantine(line).map { .takenOut($0) }
        case .restored: return NotPublished(line).map { .restored($0) }
        case .sealAbandoned: return NotPublished(line).map { .sealAbandoned($0) }
        case .removedEmpty: return Removal(line).map { .removedEmpty($0) }
        case .removedTransient: return Removal(line).map { .removedTransient($0) }
        case .unsealIntent: return UnsealedArtifact(line).map { .unsealIntent($0) }
        case .superseded, .retracted:
            return UnsealedArtifact(line).flatMap { $0.unsealing.rawValue == name.rawValue ? .unsealed($0) : nil }
        case .unsealAbandoned: return UnsealedArtifact(line).map { .unsealAbandoned($0) }
        case .versionRemoved: return RemovedVersion(line).map { .versionRemoved($0) }
        case .versionKept: return RemovedVersion(line).map { .versionKept($0) }
        case .evicted: return EvictedArtifact(line).map { .evicted($0) }
        case .recalled: return EvictedArtifact(line).map { .recalled($0) }
        case .tagged: return TagLine(line).map { .tagged($0) }
        case .attributesSet: return OwnersChange(line).map { .attributesSet($0) }
        case .flagLifted: return LiftedFlag(line).map { .flagLifted($0) }
        case .flagRestored: return LiftedFlag(line).map { .flagRestored($0) }
        case .attested: return AttestedArtifact(line).map { .attested($0) }
        case .mirrored: return MirroredObjects(line).map { .mirrored($0) }
        case .denied: return DeniedOperation(line).map { .denied($0) }
        case .denialsCounted:
            guard let mount, case .object(let byRule)? = line["by_rule"] else { return nil }
            return .denialsCounted(mount: mount, byRule: byRule)
        case .ledgerRepaired: return .ledgerRepaired
        case .ledgerContinues: return line["file"]?.string.map { .ledgerContinues(file: $0) }
        }
    }
}

extension LedgerEvent.RunLine {
    fileprivate var members: JSONObject {
        [
            "mount": .string(mount), "run": .string(run), "session": .string(session), "uid": .integer(uid),
            "pid": .integer(pid), "facts": .object(facts),
        ]
    }

    fileprivate init?(_ line: JSONValue) {
        guard let mount = line["mount"]?.string, let run = line["run"]?.string, let session = line["session"]?.string,
            let uid = line["uid"]?.integer, let pid = line["pid"]?.integer, case .object(let facts)? = line["facts"]
        else { return nil }
        self.init(mount: mount, run: run, session: session, uid: uid, pid: pid, facts: facts)
    }
}

extension LedgerEvent.NotPublished {
    fileprivate func members(quarantined name: String? = nil) -> JSONObject {
        var all: JSONObject = ["mount": .string(mount), "staged": .string(staged)]
        all.add("quarantined", name.map { .string($0) })
        all.add("reason", .string(reason))
        all.add("rule", rule.map { .string($0) })
        all.add("record", .object(record))
        return all
    }

    fileprivate init?(_ line: JSONValue) {
        guard let mount = line["mount"]?.string, let staged = line["staged"]?.string,
            let reason = line["reason"]?.string
        else { return nil }
        self.init(mount: mount, staged: staged, reason: reason, rule: line["rule"]?.string, record: [:])
        if case .object(let record)? = line["record"] { self.record = record }
    }
}

extension LedgerEvent.LeftQuarantine {
    fileprivate var members: JSONObject {
        var all: JSONObject = [
            "mount": .string(mount), "quarantined": .string(quarantined), "path": .string(path),
        ]
        all.add("to", to.map { .string($0) })
        all.add("size", .integer(size))
        all.add("sha256", sha256.map { .string($0) })
        all.add("reason", reason.map { .string($0) })
        all.add("uid", .integer(uid))
        all.add("pid", .integer(pid))
        all.add("command", .string(command))
        return all
    }

    fileprivate init?(_ line: JSONValue) {
        guard let mount = line["mount"]?.string, let quarantined = line["quarantined"]?.string,
            let path = line["path"]?.string, let size = line["size"]?.integer, let uid = line["uid"]?.integer,
            let pid = line["pid"]?.integer, let command = line["command"]?.string
        else { return nil }
        self.init(
            mount: mount, quarantined: quarantined, path: path, to: line["to"]?.string, size: size,
            sha256: line["sha256"]?.string, reason: line["reason"]?.string, uid: uid, pid: pid, command: command)
    }
}

extension LedgerEvent.Removal {
    fileprivate var members: JSONObject {
        var all: JSONObject = ["mount": .string(mount), "staged": .string(staged), "path": .string(path)]
        all.add("size", size.map { .integer($0) })
        all.add("uid", uid.map { .integer($0) })
        all.add("pid", pid.map { .integer($0) })
        all.add("command", command.map { .string($0) })
        all.add("detail", detail.map { .string($0) })
        return all
    }

    fileprivate init?(_ line: JSONValue) {
        guard let mount = line["mount"]?.string, let staged = line["staged"]?.string, let path = line["path"]?.string
        else { return nil }
        self.init(
            mount: mount, staged: staged, path: path, size: line["size"]?.integer, uid: line["uid"]?.integer,
            pid: line["pid"]?.integer, command: line["command"]?.string, detail: line["detail"]?.string)
    }
}

extension LedgerEvent.OwnersChange {
    fileprivate var members: JSONObject {
        var all: JSONObject = ["mount": .string(mount), "path": .string(path)]
        all.add("mode", mode.map { .string($0) })
        all.add("modified", modified.map { .string($0) })
        all.add("uid", .integer(uid))
        all.add("pid", .integer(pid))
        all.add("command", .string(command))
        return all
    }

    fileprivate init?(_ line: JSONValue) {
        guard let mount = line["mount"]?.string, let path = line["path"]?.string, let uid = line["uid"]?.integer,
            let pid = line["pid"]?.integer, let command = line["command"]?.string
        else { return nil }
        self.init(
            mount: mount, path: path, mode: line["mode"]?.string, modified: line["modified"]?.string, uid: uid,
            pid: pid, command: command)
    }
}

extension LedgerEvent.AttestedArtifact {
    fileprivate var members: JSONObject {
        var all: JSONObject = ["mount": .string(mount), "path": .string(path)]
        all.add("version", version.map { .integer($0) })
        all.add("sha256", .string(sha256))
        all.add("key", .string(key))
        all.add("uid", .integer(uid))
        all.add("pid", .integer(pid))
        all.add("command", .string(command))
        return all
    }

    fileprivate init?(_ line: JSONValue) {
        guard let mount = line["mount"]?.string, let path = line["path"]?.string,
            let sha256 = line["sha256"]?.string, let key = line["key"]?.string, let uid = line["uid"]?.integer,
            let pid = line["pid"]?.integer, let command = line["command"]?.string
        else { return nil }
        self.init(
            mount: mount, path: path, version: line["version"]?.integer, sha256: sha256, key: key, uid: uid, pid: pid,
            command: command)
    }
}

extension LedgerEvent.DeniedOperation {
    fileprivate var members: JSONObject {
        var all: JSONObject = [
            "mount": .string(mount), "rule": .string(rule), "errno": .string(errno), "operation": .string(operation),
            "path": .string(path), "uid": .integer(uid), "pid": .integer(pid), "command": .string(command),
        ]
        all.add("detail", detail.map { .string($0) })
        return all
    }

    fileprivate init?(_ line: JSONValue) {
        guard let mount = line["mount"]?.string, let rule = line["rule"]?.string, let errno = line["errno"]?.string,
            let operation = line["operation"]?.string, let path = line["path"]?.string,
            let uid = line["uid"]?.integer, let pid = line["pid"]?.integer, let command = line["command"]?.string
        else { return nil }
        self.init(
            mount: mount, rule: rule, errno: errno, operation: operation, path: path, uid: uid, pid: pid,
            command: command, detail: line["detail"]?.string)
    }
}
