import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// What became of a file that was to be promoted with others, or what would.
struct PromotionLine {
    let from: String
    let to: String?
    let size: Int64
    /// `promoted`, `promotable`, `refused`, `as-it-was` or `left-out`.
    let state: String
    /// Why not, in words.
    let reason: String?
    /// Whether there is nothing of that name.
    let isMissing: Bool
}

/// What is to be promoted, and how.
struct PromotionPlan {
    var paths: [String] = []
    var scopes: [String] = []
    var keeps = false
    var check: String?
    /// Which files were looked at; nil where nobody has.
    var files: String?
    /// What was kept back and is meant instead, and why it is to be published although it may be cut.
    var kept: [QuarantineEntry] = []
    var despite: String?
}

/// Where files are promoted: on a mount, as its user, or in a store's own directory, for its owner.
struct PromotingPlace {
    /// The mount; nil for a store's directory.
    let mount: MountEntry?
    /// The store's directory; nil where the mount does not say it.
    let store: String?

    /// For how long what reads whole files may take, in milliseconds.
    private static let longest: Int64 = 6 * 3_600_000

    /// Where what is at a path on the mount is for this user.
    func location(of path: String) throws -> String {
        if let mount { return mount.mountPoint + "/" + path }
        let store = store ?? ""
        return store + "/" + (try ShownArtifact.openStore(store).schema.realPath(ofShown: path))
    }

    /// Promotes, or says what would become of it.
    ///
    /// - Parameter isTrial: nothing changes.
    /// - Returns: a line a file, and which files they were.
    func promote(_ plan: PromotionPlan, isTrial: Bool) throws -> (lines: [PromotionLine], files: String) {
        if let mount { return try promote(plan, isTrial, on: mount) }
        guard let store else { throw Failure(.cannotAnswer, "the store's directory is not known") }
        let opened = try Store(
            at: store, readOnly: isTrial, durability: .synced,
            checkCommand: ["/proc/self/exe", CheckContentsCommand.name])
        defer { opened.close() }
        var request = PromotionRequest(paths: plan.paths, scopes: plan.scopes, keeps: plan.keeps)
        request.check = plan.check
        var set =
            plan.kept.isEmpty
            ? opened.promotionSet(request) : opened.keptSet(plan.kept, by: geteuid()) { _ in plan.despite }
        opened.lookInside(&set)
        let files: String
        do throws(Errno) { files = try set.state() } catch {
            throw Failure(.failed, "cannot tell one file from another: \(error)")
        }
        if isTrial {
            _ = opened.judge(&set, request)
        } else if let seen = plan.files, seen != files {
            throw Failure(.failed, Self.changed)
        } else {
            _ = opened.promote(&set, request, by: ArtifactRecord.Writer(ofThisProcess: ()))
        }
        let lines = set.members.map { member in
            PromotionLine(
                from: member.from, to: member.to, size: member.size,
                state: member.isPromoted ? "promoted" : member.fault != nil ? "refused" : "promotable",
                reason: member.fault == nil ? nil : PromotionSet.words(of: member).joined(separator: "; "),
                isMissing: member.fault?.refusal.errno == .noSuchFileOrDirectory)
        }
        return (lines + set.leftOut.map { Self.leftOut($0.path, $0.reason) }, files)
    }

    static let changed =
        "something changed after the check of the files had begun; nothing was promoted, run it again"

    private static func leftOut(_ path: String, _ reason: String) -> PromotionLine {
        PromotionLine(from: path, to: nil, size: 0, state: "left-out", reason: reason, isMissing: false)
    }

    private func promote(
        _ plan: PromotionPlan, _ isTrial: Bool, on mount: MountEntry
    ) throws -> (lines: [PromotionLine], files: String) {
        let ticket = "\(getpid())-\(Clock.monotonic())"
        var facts: JSONObject = ["ticket": .string(ticket)]
        if !plan.paths.isEmpty { facts["paths"] = .array(plan.paths.map { .string($0) }) }
        if !plan.kept.isEmpty { facts["kept"] = .array(plan.kept.map { .string($0.id) }) }
        facts["despite"] = plan.despite.map { .string($0) }
        if !plan.scopes.isEmpty { facts["scopes"] = .array(plan.scopes.map { .string($0) }) }
        if plan.keeps { facts["keep"] = .bool(true) }
        if isTrial { facts["dry_run"] = .bool(true) }
        facts["check"] = plan.check.map { .string($0) }
        facts["files"] = plan.files.map { .string($0) }
        let value = Array(JSONValue.object(["promote": .object(facts)]).description.utf8)
        guard value.count <= 65_536 else {
            throw Failure(
                .cannotAnswer, "these are too many paths at a time; name fewer, or the session that they are of")
        }
        let door = mount.mountPoint + "/" + StoreLayout.privateDirectory + "/" + StoreLayout.promotionsFile
        let answer = Patience.find(within: Self.longest, on: mount) { () -> [UInt8] in
            let code = Patience.number { () throws(Errno) in
                try SystemCall.setExtendedAttribute(ArtifactAttribute.promotions, value, ofPath: door, flags: 0)
            }
            return Array("\(code)\n".utf8) + (Paths.contents(door, limit: 256 << 20) ?? [])
        }
        guard let answer else { throw mount.silence }
        let lines = answer.split(separator: UInt8(ascii: "\n"))
        let code = lines.first.flatMap { Int32(String(decoding: $0, as: UTF8.self)) } ?? EIO
        var files: String?
        var told: [PromotionLine] = []
        for line in lines.dropFirst() {
            guard let value = JSONValue(parsing: line), value["ticket"]?.string == ticket else { continue }
            if value["state"]?.string == "answered" {
                files = value["files"]?.string
            } else {
                told.append(Self.line(value))
            }
        }
        guard let files else {
            if code == EROFS {
                throw Failure(
                    .failed,
                    "cannot promote: the mount at \(mount.mountPoint) is read-only; use one that is not, or the store's directory as its owner"
                )
            }
            let what = plan.kept.isEmpty ? "promote" : "publish what was kept back"
            if !isTrial, let lost = mount.lost(code, what) { throw lost }
            throw Failure(.failed, "cannot \(what): \(Errno(rawValue: code)); nothing has changed")
        }
        return (told, files)
    }

    private static func line(_ value: JSONValue) -> PromotionLine {
        PromotionLine(
            from: value["path"]?.string ?? "?", to: value["to"]?.string, size: value["size"]?.integer ?? 0,
            state: value["state"]?.string ?? "?", reason: value["reason"]?.string,
            isMissing: value["errno"]?.integer == Int64(ENOENT))
    }
}

/// What somebody names to be promoted.
struct PromotionNames {
    private(set) var plan = PromotionPlan()
    let place: PromotingPlace

    init(_ arguments: [String], store: String?) throws {
        // A path says where it is; what has a name only is where one stands, or of `--store`.
        var found: StorePlace?
        if store == nil, let path = arguments.first(where: { Self.isPath($0) }) { found = try StorePlace.find(path) }
        let at = try found ?? StorePlace.find(store)
        place = PromotingPlace(mount: at.mount, store: at.store)
        for argument in arguments { try add(argument, store: store) }
    }

    private static func isPath(_ argument: String) -> Bool {
        argument.contains("/") || (try? SystemCall.attributes(atPath: argument)) != nil
    }

    private mutating func add(_ argument: String, store: String?) throws {
        if let session = try Self.session(argument, place) {
            plan.scopes.append(StoreLayout.shownDirectory(of: .session(session)))
        } else if let scope = try Self.scope(argument, place) {
            plan.scopes.append(StoreLayout.shownDirectory(of: scope))
        } else if Self.isPath(argument) {
            let artifact = try ShownArtifact.find(argument, store: store)
            guard artifact.mount?.mountPoint == place.mount?.mountPoint, artifact.store == place.store else {
                throw Failure(
                    .cannotAnswer,
                    "\(artifact.full) is in another store, or on another mount; what is promoted together is in one")
            }
            plan.paths.append(artifact.path)
        } else {
            let path = place.mount?.mountPoint ?? place.store ?? "."
            let run: KnownRun
            do { run = try KnownRuns(path).find(argument) } catch let failure as Failure {
                throw Failure(
                    failure.status, "\(argument) is no path, and no session: " + failure.text)
            }
            guard let session = run.session.flatMap({ SessionName($0) }) else {
                throw Failure(.cannotAnswer, "the session of run \(run.id) is not known; name the session")
            }
            plan.scopes.append(StoreLayout.shownDirectory(of: .session(session)))
        }
    }

    /// A session by its name alone.
    private static func session(_ argument: String, _ place: PromotingPlace) throws -> SessionName? {
        var name = argument
        if let mount = place.mount, argument == "current" || argument == "development/current" {
            let link = Patience.find(on: mount) {
                Array((Paths.link(mount.mountPoint + "/development/current") ?? "").utf8)
            }
            guard let link else { throw mount.silence }
            name = String(decoding: link, as: UTF8.self)
        } else if argument.hasPrefix("development/") {
            name = String(argument.dropFirst("development/".count))
        }
        return SessionName(name)
    }

    /// A session or a test by its directory.
    private static func scope(_ argument: String, _ place: PromotingPlace) throws -> Scope? {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 2, parts[0] == Mode.test.rawValue, let test = TestName(parts[1]) { return .test(test) }
        guard let full = try Paths.resolved(try Paths.absolute(argument)) else { return nil }
        if let mount = place.mount {
            guard full.utf8.starts(with: (mount.mountPoint + "/").utf8) else { return nil }
            let names = Paths.rest(of: full, in: mount.mountPoint).split(separator: "/").map(String.init)
            guard names.count == 2 else { return nil }
            if names[0] == Mode.development.rawValue { return SessionName(names[1]).map { .session($0) } }
            return names[0] == Mode.test.rawValue ? TestName(names[1]).map { .test($0) } : nil
        }
        let names = Paths.rest(of: full, in: place.store ?? "").split(separator: "/").map(String.init)
        guard names.count == 3, Layer.allCases.contains(where: { $0.directoryName == names[0] }) else { return nil }
        if names[1] == StoreLayout.sessionsDirectory { return SessionName(names[2]).map { .session($0) } }
        return names[1] == StoreLayout.testsDirectory ? TestName(names[2]).map { .test($0) } : nil
    }
}
