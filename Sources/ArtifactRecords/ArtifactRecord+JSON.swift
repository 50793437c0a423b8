internal import ArtifactFormats
internal import Artifacts
internal import Glibc

extension ArtifactRecord {
    /// The record as it is written; what is not known has no member.
    public var json: JSONObject {
        var all = JSONObject()
        all.reserve(8)
        all.add("artifact", artifact.json)
        all.add("times", times.json)
        all.add("writer", writer?.json)
        all.add("job", job?.json)
        all.add("code", code, \.json)
        all.add("inputs", inputs, \.json)
        if inputsLeftOut > 0 { all.add("inputs_left_out", .integer(inputsLeftOut)) }
        all.add("outside", outside, \.json)
        if outsideLeftOut > 0 { all.add("outside_left_out", .integer(outsideLeftOut)) }
        all.add("outside_seen", outsideSeen?.rawValue)
        if !outsideBelow.isEmpty { all.add("outside_below", outsideBelow) }
        all.add("run", run?.json)
        all.add("origin", origin?.json)
        all.add("recovered_from", recovered?.json)
        all.add("adopted", adopted?.json)
        all.add("attributes", attributes)
        all.addMissing(unknown)
        return all
    }

    private static let members: Set<String> = [
        "artifact", "times", "writer", "job", "code", "inputs", "inputs_left_out", "outside", "outside_left_out",
        "outside_seen", "outside_below", "run", "origin", "recovered_from", "adopted", "attributes",
    ]

    /// Reads a record: as ``json`` has it, or with all members in one object, as stores of earlier versions have it.
    public init(_ json: JSONObject) {
        guard json["path"] == nil else {
            self.init(flat: json)
            return
        }
        self.init()
        artifact = Artifact(json.object("artifact"))
        times = Times(json.object("times"))
        writer = json["writer"].map { _ in Writer(json.object("writer")) }
        job = json["job"].map { _ in WriterJob(json.object("job")) }
        code = json.objects("code").map(Code.init)
        inputs = json.objects("inputs").map(Input.init)
        inputsLeftOut = json["inputs_left_out"]?.integer ?? 0
        outside = json.objects("outside").map(OutsideInput.init)
        outsideLeftOut = json["outside_left_out"]?.integer ?? 0
        outsideSeen = json["outside_seen"]?.string.flatMap(OutsideSight.init)
        outsideBelow = json.strings("outside_below") ?? []
        run = json["run"].map { _ in ExperimentRun(json.object("run")) }
        origin = json["origin"].map { _ in PromotionOrigin(json.object("origin")) }
        recovered = json["recovered_from"].map { _ in RecoveredFrom(json.object("recovered_from")) }
        adopted = json["adopted"].map { _ in Adopted(json.object("adopted")) }
        attributes = json.object("attributes")
        for member in json.members where !Self.members.contains(member.key) { unknown.add(member.key, member.value) }
    }

    /// As it was written before it had parts.
    private init(flat json: JSONObject) {
        self.init()
        artifact = Artifact(json)
        if let rows = json["rows"]?.integer { artifact.content.rows = rows }
        artifact.content.columns = FormatFacts.Column.list(json["columns"])
        times = Times(json)
        var writer = Writer(json)
        // All of a command line in one text: where its arguments ended is not known any more.
        if let command = json["command"] { unknown.add("command", command) }
        if json["ending"]?.string == "unknown" { writer.exit = .unknown }
        self.writer = writer.json.members.isEmpty ? nil : writer
        origin = json["origin"]?.string.map { PromotionOrigin(path: $0) }
    }
}

extension ArtifactRecord.Artifact {
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.reserve(12)
        all.add("path", path)
        all.add("type", type)
        all.add("layer", layer?.rawValue)
        all.add("mode", mode?.rawValue)
        all.add("session", session)
        all.add("test", test)
        all.add("kind", kind?.rawValue)
        all.add("key", key)
        all.add("format", format)
        all.add("size", size)
        all.add("sha256", sha256)
        all.add("version", version)
        all.add("state", state?.rawValue)
        all.add("content", content.json)
        return all
    }

    fileprivate init(_ json: JSONObject) {
        path = json["path"]?.string
        type = json["type"]?.string
        layer = json["layer"]?.string.flatMap(Layer.init)
        mode = json["mode"]?.string.flatMap(Mode.init)
        session = json["session"]?.string
        test = json["test"]?.string
        kind = json["kind"]?.string.flatMap(TypeDefinition.Kind.init)
        key = json["key"]?.string
        format = json["format"]?.string
        size = json["size"]?.integer
        sha256 = json["sha256"]?.string
        version = json["version"]?.integer
        state = json["state"]?.string.flatMap(ArtifactRecord.State.init)
        content = FormatFacts(json.object("content"))
    }
}

extension ArtifactRecord.Times {
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.add("opened", opened)
        all.add("closed", closed)
        all.add("sealed", sealed)
        return all
    }

    fileprivate init(_ json: JSONObject) {
        opened = json.time("opened")
        closed = json.time("closed")
        sealed = json.time("sealed")
    }
}

extension ArtifactRecord.Writer {
    var json: JSONObject {
        var all = JSONObject()
        all.reserve(8)
        all.add("user", user)
        all.add("uid", uid.map(Int64.init))
        all.add("gid", gid.map(Int64.init))
        all.add("host", host)
        all.add("pid", pid.map(Int64.init))
        all.add("program", program)
        all.add("argv", argv)
        if argvIsCut { all.add("argv_is_cut", .bool(true)) }
        all.add("cwd", cwd)
        all.add("namespace", namespace)
        all.add("started", started)
        switch exit {
        case .status(let status): all.add("exit", ["status": .integer(Int64(status))] as JSONObject)
        case .signal(let signal): all.add("exit", ["signal": .integer(Int64(signal))] as JSONObject)
        case .unknown: all.add("exit", "unknown")
        case nil: break
        }
        all.add("environment", environment)
        return all
    }

    fileprivate init(_ json: JSONObject) {
        user = json["user"]?.string
        uid = json["uid"]?.integer.flatMap { UInt32(exactly: $0) }
        gid = json["gid"]?.integer.flatMap { UInt32(exactly: $0) }
        host = json["host"]?.string
        pid = json["pid"]?.integer.flatMap { Int32(exactly: $0) }
        program = json["program"]?.string
        argv = json.strings("argv")
        if case .bool(true) = json["argv_is_cut"] { argvIsCut = true }
        cwd = json["cwd"]?.string
        namespace = json["namespace"]?.string
        started = json.time("started")
        if let status = json["exit"]?["status"]?.integer.flatMap({ Int32(exactly: $0) }) {
            exit = .status(status)
        } else if let signal = json["exit"]?["signal"]?.integer.flatMap({ Int32(exactly: $0) }) {
            exit = .signal(signal)
        } else if json["exit"] != nil {
            exit = .unknown
        }
        environment = json.object("environment")
    }
}

extension ArtifactRecord.WriterJob {
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.add("id", id)
        all.add("kind", kind)
        all.add("processes", processes, \.json)
        return all
    }

    fileprivate init(_ json: JSONObject) {
        id = json["id"]?.string
        kind = json["kind"]?.string
        processes = json.objects("processes").map(ArtifactRecord.Process.init)
    }
}

extension ArtifactRecord.Process {
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.add("pid", pid.map(Int64.init))
        all.add("program", program)
        all.add("argv", argv)
        all.add("cwd", cwd)
        return all
    }

    fileprivate init(_ json: JSONObject) {
        pid = json["pid"]?.integer.flatMap { Int32(exactly: $0) }
        program = json["program"]?.string
        argv = json.strings("argv")
        cwd = json["cwd"]?.string
    }
}

extension ArtifactRecord.Code {
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.add("path", path)
        all.add("commit", commit)
        all.add("branch", branch)
        all.add("remote", remote)
        all.add("dirty", dirty.map { JSONValue.bool($0) })
        all.add("role", role)
        all.add("script", script)
        all.add("sha256", sha256)
        return all
    }

    fileprivate init(_ json: JSONObject) {
        path = json["path"]?.string
        commit = json["commit"]?.string
        branch = json["branch"]?.string
        remote = json["remote"]?.string
        if case .bool(let value)? = json["dirty"] { dirty = value }
        role = json["role"]?.string
        script = json["script"]?.string
        sha256 = json["sha256"]?.string
    }
}

extension ArtifactRecord.Input {
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.add("path", path)
        all.add("version", version)
        all.add("sha256", sha256)
        all.add("how", how?.rawValue)
        all.add("at", at)
        return all
    }

    fileprivate init(_ json: JSONObject) {
        path = json["path"]?.string
        version = json["version"]?.integer
        sha256 = json["sha256"]?.string
        how = json["how"]?.string.flatMap(ArtifactRecord.How.init)
        at = json["at"]?.string
    }
}

extension ArtifactRecord.OutsideInput {
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.add("path", path)
        all.add("size", size)
        all.add("modified", modified)
        all.add("sha256", sha256)
        all.add("how", how?.rawValue)
        all.add("at", at)
        return all
    }

    fileprivate init(_ json: JSONObject) {
        path = json["path"]?.string
        size = json["size"]?.integer
        modified = json["modified"]?.string
        sha256 = json["sha256"]?.string
        how = json["how"]?.string.flatMap(ArtifactRecord.How.init)
        at = json["at"]?.string
    }
}

extension ArtifactRecord.ExperimentRun {
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.add("id", id)
        all.add("experiment", experiment)
        return all
    }

    fileprivate init(_ json: JSONObject) {
        id = json["id"]?.string
        experiment = json["experiment"]?.string
    }
}

extension ArtifactRecord.PromotionOrigin {
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.add("path", path)
        all.add("session", session)
        all.add("test", test)
        all.add("sha256", sha256)
        all.add("check", check)
        all.add("promoted_by", promoter?.json)
        return all
    }

    fileprivate init(_ json: JSONObject) {
        path = json["path"]?.string
        promoter = json["promoted_by"].map { _ in ArtifactRecord.Writer(json.object("promoted_by")) }
        session = json["session"]?.string
        test = json["test"]?.string
        sha256 = json["sha256"]?.string
        check = json["check"]?.string
    }
}

extension ArtifactRecord.Adopted {
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.add("uid", uid.map(Int64.init))
        all.add("modified", modified)
        return all
    }

    fileprivate init(_ json: JSONObject) {
        self.init()
        uid = json["uid"]?.integer.flatMap { UInt32(exactly: $0) }
        modified = json["modified"]?.string
    }
}

extension ArtifactRecord.RecoveredFrom {
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.add("id", id)
        all.add("rule", rule)
        all.add("reason", reason)
        all.add("despite", despite)
        all.add("uid", uid.map(Int64.init))
        return all
    }

    fileprivate init(_ json: JSONObject) {
        id = json["id"]?.string
        rule = json["rule"]?.string
        reason = json["reason"]?.string
        despite = json["despite"]?.string
        uid = json["uid"]?.integer.flatMap { UInt32(exactly: $0) }
    }
}

extension FormatFacts {
    /// The details stand beside rows and columns, which no detail is called.
    fileprivate var json: JSONObject {
        var all = JSONObject()
        all.add("rows", rows)
        if let columns { all.add("columns", .array(columns.map(\.json))) }
        for (name, value) in details.sorted(by: { $0.key < $1.key }) where all[name] == nil {
            all.add(name, value)
        }
        return all
    }

    fileprivate init(_ json: JSONObject) {
        self.init(rows: json["rows"]?.integer, columns: Column.list(json["columns"]), details: Self.details(json))
    }

    fileprivate static func details(_ json: JSONObject) -> [String: String] {
        var found: [String: String] = [:]
        for member in json.members { if let text = member.value.string { found[member.key] = text } }
        return found
    }
}

extension FormatFacts.Column {
    fileprivate var json: JSONValue {
        var all: JSONObject = ["name": .string(name)]
        all.add("type", type)
        return .object(all)
    }

    fileprivate static func list(_ json: JSONValue?) -> [FormatFacts.Column]? {
        guard case .array(let all)? = json else { return nil }
        return all.compactMap { column in
            column["name"]?.string.map { FormatFacts.Column(name: $0, type: column["type"]?.string) }
        }
    }
}

/// Members of records: added when they are known, read with what they must be.
extension JSONObject {
    fileprivate mutating func add(_ key: String, _ text: String?) {
        if let text { add(key, .string(text)) }
    }

    fileprivate mutating func add(_ key: String, _ number: Int64?) {
        if let number { add(key, .integer(number)) }
    }

    fileprivate mutating func add(_ key: String, _ time: timespec?) {
        if let time { add(key, .string(TimeText.rfc3339(time))) }
    }

    fileprivate mutating func add(_ key: String, _ texts: [String]?) {
        if let texts { add(key, .array(texts.map { .string($0) })) }
    }

    fileprivate mutating func add(_ key: String, _ members: JSONObject?) {
        if let members, !members.members.isEmpty { add(key, .object(members)) }
    }

    fileprivate mutating func add<Part>(_ key: String, _ parts: [Part], _ json: (Part) -> JSONObject) {
        if !parts.isEmpty { add(key, .array(parts.map { .object(json($0)) })) }
    }

    fileprivate func object(_ key: String) -> JSONObject {
        if case .object(let members)? = self[key] { members } else { [:] }
    }

    fileprivate func objects(_ key: String) -> [JSONObject] {
        guard case .array(let all)? = self[key] else { return [] }
        return all.compactMap { if case .object(let members) = $0 { members } else { nil } }
    }

    fileprivate func strings(_ key: String) -> [String]? {
        guard case .array(let all)? = self[key] else { return nil }
        return all.compactMap(\.string)
    }

    fileprivate func time(_ key: String) -> timespec? { self[key]?.string.flatMap(TimeText.time) }
}
