import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls

/// Something that goes when room is made.
struct ClearedItem {
    enum Kind: String { case session, version, quarantine, temporary }
    let kind: Kind
    let name: String
    /// In seconds since 1970; nil where that is not known.
    var changed: Int64?
    var files: Int64 = 1
    var bytes: Int64
    var user: UInt32?
    var isRemoved = false
    var failure: String?
}

/// What was, or would be, removed to make room, and what stays and why.
struct ClearingPage {
    var sessions: [ClearedSession] = []
    var versions: [ClearedVersion] = []
    /// What goes; sessions and versions too.
    var items: [ClearedItem] = []
    /// Whether it was to be removed.
    let removes: Bool
    /// Whether anything was asked to go.
    let hasRules: Bool
    let rules: Retention
    /// As it was given.
    let span: String?

    /// So many sessions that stay are named with what keeps them.
    private static let mostNamed = 20

    /// Whether something stays that was to go.
    var hasFailed: Bool {
        items.contains { $0.failure != nil }
            || rules.named != nil
                && sessions.contains { if case .keep(.held) = $0.decision { true } else { false } }
    }

    func show() {
        if !items.isEmpty { table() }
        for item in items {
            if let failure = item.failure { Terminal.complain("\(item.name): \(failure)") }
        }
        keeps()
        keepsOfVersions()
        sum()
    }

    private func table() {
        let table = TextTable(
            heads: ["what", "name", "changed", "files", "size", "user"],
            areNumbers: [false, false, false, true, true, false])
        let rows = items.map { item in
            [
                item.kind.rawValue, Terminal.printable(item.name), item.changed.map(Self.day) ?? "?", "\(item.files)",
                ShownText.bytes(item.bytes), item.user.map { Terminal.printable(UserName.of($0)) } ?? "?",
            ]
        }
        let ends = [false, true, false, false, false, false]
        for line in table.lines(rows, keepsEnds: ends, width: Terminal.columns) { print(line) }
    }

    private static func day(_ seconds: Int64) -> String {
        var time = Clock.now()
        (time.tv_sec, time.tv_nsec) = (Int(clamping: seconds), 0)
        return String(TimeText.rfc3339(time).prefix(10))
    }

    private func keeps() {
        var counts: [String: Int] = [:]
        var named: [String] = []
        for row in sessions {
            guard case .keep(let reason) = row.decision else { continue }
            counts[word(reason), default: 0] += 1
            if case .held(let hold) = reason, hold != .live { named.append("\(row.name) stays: \(Self.words(hold))") }
            if rules.named != nil, case .held(.live) = reason {
                named.append("\(row.name) stays: a mount has it; 'artifactfs session end' ends it")
            }
        }
        for text in named.prefix(Self.mostNamed) { Terminal.show(text) }
        if named.count > Self.mostNamed {
            Terminal.show("and \(named.count - Self.mostNamed) more; --json names all")
        }
        let all = counts.values.reduce(0, +)
        guard all > 0 else { return }
        let words = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }
        Terminal.show("\(all) \(all == 1 ? "session stays" : "sessions stay"): " + words.joined(separator: ", "))
    }

    /// How many versions stay and why; those that something holds are named.
    private func keepsOfVersions() {
        var counts: [String: Int] = [:]
        var named: [String] = []
        for row in versions {
            guard let kept = row.kept else { continue }
            counts[Self.word(kept), default: 0] += 1
            if case .held(let hold) = kept { named.append("\(row.title) stays: \(Self.words(hold))") }
        }
        for line in named.prefix(Self.mostNamed) { Terminal.show(line, indent: 4) }
        if named.count > Self.mostNamed {
            Terminal.show("\(named.count - Self.mostNamed) more are held by something: --json names them")
        }
        let all = counts.values.reduce(0, +)
        guard all > 0 else { return }
        let words = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }
        Terminal.show(
            "\(all) \(all == 1 ? "former version stays" : "former versions stay"): " + words.joined(separator: ", "))
    }

    private static func word(_ reason: VersionRetention.VersionKeepReason) -> String {
        switch reason {
        case .noRule: "that the schema keeps (keep_versions in schema.yaml)"
        case .last: "of the last ones"
        case .within: "that left their names lately"
        case .held(.tag): "of a tag"
        case .held(.needed): "needed"
        case .held(.signed): "signed"
        case .held(.obstacle): "that cannot be removed"
        }
    }

    private static func words(_ hold: VersionRetention.VersionHold) -> String {
        switch hold {
        case .tag(let name): "the tag \(name) shows it"
        case .needed(let by): "\(by) was made from it"
        case .signed: "a signature of it is kept"
        case .obstacle(let why): why
        }
    }

    private func word(_ reason: Retention.KeepReason) -> String {
        switch reason {
        case .noRule: "without a rule that says what is to go"
        case .notNamed: "not named"
        case .last: "of the last \(rules.last ?? 0)"
        case .within: "changed within \(span ?? "")"
        case .tag: "of a tag"
        case .held(.live): "live"
        case .held(.needed): "needed"
        case .held(.obstacle): "that cannot be removed"
        }
    }

    private static func words(_ hold: Retention.Hold) -> String {
        switch hold {
        case .live: "a mount has it"
        case .needed(let by, let input):
            "\(by) was made from \(input), whose bytes are nowhere else in production"
        case .obstacle(let why): why
        }
    }

    private func sum() {
        let gone = removes ? items.filter(\.isRemoved) : items
        let bytes = gone.reduce(Int64(0)) { $0.addingReportingOverflow($1.bytes).partialValue }
        let kinds: [(ClearedItem.Kind, String, String)] = [
            (.session, "session", "sessions"), (.version, "former version", "former versions"),
            (.quarantine, "of quarantine", "of quarantine"),
            (.temporary, "temporary file", "temporary files"),
        ]
        let words = kinds.compactMap { kind, one, many -> String? in
            let count = gone.count { $0.kind == kind }
            return count == 0 ? nil : "\(count) \(count == 1 ? one : many)"
        }
        let what = words.joined(separator: ", ") + ", \(ShownText.bytes(bytes))"
        if !words.isEmpty {
            Terminal.show(removes ? "removed \(what)" : "would remove \(what); --delete removes it")
        } else if !hasRules {
            Terminal.show(
                "nothing is to go: say what stays with --keep-last, --keep-within or --keep-tag, or what goes with --session, "
                    + "--versions, --quarantine-older-than or --temporary-older-than")
        } else {
            Terminal.show(removes ? "nothing was removed" : "nothing would be removed")
        }
    }

    // MARK: - JSON

    private func json(_ row: ClearedVersion, _ reason: VersionRetention.VersionKeepReason) -> JSONObject {
        var object: JSONObject = [
            "kind": .string(ClearedItem.Kind.version.rawValue), "name": .string(row.title), "action": .string("keep"),
            "bytes": .integer(row.bytes),
        ]
        switch reason {
        case .noRule: object["why"] = .string("no-rule")
        case .last: object["why"] = .string("last")
        case .within: object["why"] = .string("within")
        case .held(.tag(let name)): (object["why"], object["tag"]) = (.string("tag"), .string(name))
        case .held(.needed(let by)): (object["why"], object["needed_by"]) = (.string("needed"), .string(by))
        case .held(.signed): object["why"] = .string("signed")
        case .held(.obstacle(let why)): (object["why"], object["obstacle"]) = (.string("obstacle"), .string(why))
        }
        return object
    }

    func printJSON() {
        for row in versions { if let kept = row.kept { print(JSONValue.object(json(row, kept))) } }
        for row in sessions {
            guard case .keep(let reason) = row.decision else { continue }
            print(JSONValue.object(json(row, reason)))
        }
        for item in items {
            var object: JSONObject = [
                "kind": .string(item.kind.rawValue), "name": .string(item.name), "action": .string("remove"),
                "removed": .bool(item.isRemoved), "files": .integer(item.files), "bytes": .integer(item.bytes),
            ]
            object["changed"] = item.changed.map { .integer($0) }
            object["uid"] = item.user.map { .integer(Int64($0)) }
            object["failure"] = item.failure.map { .string($0) }
            print(JSONValue.object(object))
        }
    }

    private func json(_ row: ClearedSession, _ reason: Retention.KeepReason) -> JSONObject {
        var object: JSONObject = [
            "kind": .string("session"), "name": .string(row.name.description), "action": .string("keep"),
        ]
        switch reason {
        case .noRule: object["why"] = .string("no-rule")
        case .notNamed: object["why"] = .string("not-named")
        case .last: object["why"] = .string("keep-last")
        case .within: object["why"] = .string("keep-within")
        case .tag: object["why"] = .string("keep-tag")
        case .held(.live): object["why"] = .string("live")
        case .held(.needed(let by, let input)):
            object["why"] = .string("needed")
            object["needed_by"] = .string(by)
            object["input"] = .string(input)
        case .held(.obstacle(let why)):
            object["why"] = .string("obstacle")
            object["obstacle"] = .string(why)
        }
        if let survey = row.survey {
            object["files"] = .integer(survey.files)
            object["bytes"] = .integer(survey.bytes)
        }
        return object
    }
}
