public import ArtifactRecords
internal import Glibc

extension LineageGraph {
    /// The graph as W3C PROV-JSON: artifacts and what they were made from are entities, the processes that wrote them activities, users and
    /// programs agents.
    public var prov: JSONValue { ProvDocument(self).json }
}

/// A document of PROV (https://www.w3.org/submissions/prov-json/).
struct ProvDocument {
    private static let prefix = "artifactfs"
    private static let namespace = "urn:x-artifactfs:"

    private var entities: JSONObject = [:]
    private var activities: JSONObject = [:]
    private var agents: JSONObject = [:]
    /// By kind: their members, each with a name of its own.
    private var relations: [String: JSONObject] = [:]
    private var known: Set<String> = []

    init(_ graph: LineageGraph) {
        let names = graph.nodes.map { Self.name(StableName.of($0)) }
        var writers: [String?] = []
        for (node, name) in zip(graph.nodes, names) {
            if known.insert(name).inserted { entities.add(name, .object(Self.entity(node))) }
            writers.append(node.record.flatMap { add(writerOf: $0, node, name) })
        }
        for edge in graph.edges {
            let how = edge.how.map { ["\(Self.prefix):how": .string($0.rawValue)] as JSONObject } ?? [:]
            if let writer = writers[edge.to] {
                var used: JSONObject = ["prov:activity": .string(writer), "prov:entity": .string(names[edge.from])]
                used["prov:time"] = edge.at.flatMap(TimeText.time).map { .string(Self.text($0)) }
                add("used", [writer, names[edge.from], edge.how?.rawValue], used, how)
            }
            var derived: JSONObject = [
                "prov:generatedEntity": .string(names[edge.to]), "prov:usedEntity": .string(names[edge.from]),
            ]
            derived["prov:activity"] = writers[edge.to].map { .string($0) }
            add("wasDerivedFrom", [names[edge.to], names[edge.from], edge.how?.rawValue], derived, how)
        }
    }

    /// The whole document.
    var json: JSONValue {
        var all: JSONObject = ["prefix": .object([Self.prefix: .string(Self.namespace)])]
        for (kind, members) in [("entity", entities), ("activity", activities), ("agent", agents)]
        where !members.members.isEmpty { all.add(kind, .object(members)) }
        for (kind, members) in relations.sorted(by: { $0.key < $1.key }) { all.add(kind, .object(members)) }
        return .object(all)
    }

    private static func name(_ local: String) -> String { "\(prefix):\(local)" }

    private static func entity(_ node: LineageNode) -> JSONObject {
        var all: JSONObject = ["prov:label": .string(node.title), "\(prefix):path": .string(node.path)]
        all["\(prefix):nature"] = .string(node.nature.rawValue)
        all["\(prefix):sha256"] = node.sha256.map { .string($0) }
        all["\(prefix):version"] = node.version.map { .string("\($0)") }
        all["\(prefix):type"] = node.record?.artifact.type.map { .string($0) }
        all["\(prefix):size"] = (node.record?.artifact.size ?? node.size).map { .string("\($0)") }
        all["\(prefix):sealed"] = node.record?.times.sealed.map { .string(TimeText.rfc3339($0)) }
        all["\(prefix):modified"] = node.modified.map { .string($0) }
        all["\(prefix):promotedFrom"] = node.record?.origin?.path.map { .string($0) }
        return all
    }

    /// - Returns: the activity's name; nil where nothing is known of it.
    private mutating func add(writerOf record: ArtifactRecord, _ node: LineageNode, _ entity: String) -> String? {
        guard let writer = record.writer, writer.argv != nil || writer.program != nil || writer.pid != nil else {
            return nil
        }
        let name = Self.name(StableName.ofWriter(record, of: node))
        if known.insert(name).inserted { activities.add(name, .object(Self.activity(record, writer))) }
        var generated: JSONObject = ["prov:entity": .string(entity), "prov:activity": .string(name)]
        generated["prov:time"] = (record.times.closed ?? record.times.sealed).map { .string(Self.text($0)) }
        add("wasGeneratedBy", [entity, name], generated)
        if let user = StableName.ofUser(writer).map(Self.name) {
            if known.insert(user).inserted {
                agents.add(
                    user, .object(Self.agent(writer.user ?? "user \(writer.uid ?? 0)", "Person", host: writer.host)))
            }
            add("wasAssociatedWith", [name, user], ["prov:activity": .string(name), "prov:agent": .string(user)])
            add("wasAttributedTo", [entity, user], ["prov:entity": .string(entity), "prov:agent": .string(user)])
        }
        if let path = writer.program {
            let program = Self.name(StableName.of("program", [writer.host, path]))
            if known.insert(program).inserted {
                agents.add(program, .object(Self.agent(path, "SoftwareAgent", host: writer.host)))
            }
            add(
                "wasAssociatedWith", [name, program], ["prov:activity": .string(name), "prov:agent": .string(program)])
        }
        return name
    }

    private static func activity(_ record: ArtifactRecord, _ writer: ArtifactRecord.Writer) -> JSONObject {
        var all: JSONObject = [:]
        all["prov:startTime"] = writer.started.map { .string(text($0)) }
        let command = record.commandLine
        all["prov:label"] = (command ?? writer.program).map { .string($0) }
        all["\(prefix):command"] = command.map { .string($0) }
        all["\(prefix):directory"] = writer.cwd.map { .string($0) }
        all["\(prefix):host"] = writer.host.map { .string($0) }
        all["\(prefix):pid"] = writer.pid.map { .string("\($0)") }
        all["\(prefix):job"] = record.job?.id.map { .string($0) }
        all["\(prefix):run"] = record.run?.id.map { .string($0) }
        all["\(prefix):experiment"] = record.run?.experiment.map { .string($0) }
        if let code = ["script", "cwd"].lazy.compactMap({ role in record.code.first { $0.role == role } }).first {
            all["\(prefix):script"] = code.script.map { .string($0) }
            all["\(prefix):repository"] = (code.remote ?? code.path).map { .string($0) }
            all["\(prefix):commit"] = code.commit.map { .string($0) }
            all["\(prefix):dirty"] = code.dirty.map { .string("\($0)") }
        }
        return all
    }

    private static func agent(_ label: String, _ type: String, host: String?) -> JSONObject {
        var all: JSONObject = [
            "prov:label": .string(label),
            "prov:type": .object(["$": .string("prov:\(type)"), "type": .string("xsd:QName")]),
        ]
        all["\(prefix):host"] = host.map { .string($0) }
        return all
    }

    private mutating func add(_ kind: String, _ key: [String?], _ members: JSONObject, _ more: JSONObject = [:]) {
        let name = Self.name(StableName.of(kind, key))
        guard known.insert(name).inserted else { return }
        var all = members
        all.addMissing(more)
        relations[kind, default: [:]].add(name, .object(all))
    }

    /// A time with microseconds, as far as there are any, which is all that most readers keep.
    static func text(_ time: timespec) -> String {
        let text = TimeText.rfc3339(time)
        let micros = text.dropFirst(20).prefix(6)
        return text.prefix(19) + (micros == "000000" ? "" : "." + micros) + "+00:00"
    }
}
