public import ArtifactRecords
internal import Artifacts
public import Glibc

/// A lineage as a Process Run Crate (https://w3id.org/ro/wfrun/process/0.5), which is an RO-Crate 1.1.
///
/// What is copied is a file or a dataset of the crate. What is not is named, with its hash and where it was: so the crate says nothing that
/// needs the store to be there.
public struct RunCrate {
    /// What a crate says of itself.
    public struct Cover: Sendable {
        /// What it is of, for people.
        public var name: String
        /// The store, for people.
        public var store: String
        /// Where the store is: a URI.
        public var storeURI: String
        /// Where paths of the store are found: a URI without a slash at its end; nil where the store is not mounted.
        public var mountURI: String?
        /// When the crate is made.
        public var made: timespec

        /// A cover.
        public init(name: String, store: String, storeURI: String, mountURI: String?, made: timespec) {
            (self.name, self.store, self.storeURI, self.mountURI, self.made) = (name, store, storeURI, mountURI, made)
        }
    }

    /// The name of the file that makes a directory a crate.
    public static let metadataName = "ro-crate-metadata.json"

    private static let profile = "https://w3id.org/ro/wfrun/process/0.5"
    private let graph: LineageGraph
    private let cover: Cover
    private let copied: Set<Int>
    private var entities: [JSONValue] = []
    private var known: Set<String> = []
    private var parts: [String] = []
    private var actions: [String] = []

    /// - Parameter copied: the nodes whose bytes are in the crate, at their paths.
    public init(_ graph: LineageGraph, copied: Set<Int>, _ cover: Cover) {
        (self.graph, self.copied, self.cover) = (graph, copied, cover)
        var ids: [String] = []
        for place in graph.nodes.indices { ids.append(add(node: place)) }
        addActions(ids)
        addSurroundings()
    }

    /// The text of ``metadataName``.
    public var metadata: JSONValue {
        .object([
            "@context": .array([
                .string("https://w3id.org/ro/crate/1.1/context"),
                // What the profile adds, and what the context of 1.1 lacks.
                .object([
                    "environment": .string("https://w3id.org/ro/terms/workflow-run#environment"),
                    "sha256": .string("https://schema.org/sha256"),
                ]),
            ]),
            "@graph": .array(entities),
        ])
    }

    // MARK: - Artifacts

    private mutating func add(node place: Int) -> String {
        let node = graph.nodes[place]
        var entity: JSONObject = [:]
        let id: String
        if copied.contains(place) {
            let isDirectory = node.record?.artifact.kind == .directory
            id = Self.encoded(node.path) + (isDirectory ? "/" : "")
            entity = ["@id": .string(id), "@type": .string(isDirectory ? "Dataset" : "File")]
            if !isDirectory { entity["encodingFormat"] = .string(Self.mediaType(of: node.name)) }
            parts.append(id)
        } else {
            id = "#" + StableName.of(node)
            entity = ["@id": .string(id), "@type": .string("CreativeWork")]
            if node.nature == .outside {
                entity["url"] = node.path.hasPrefix("/") ? .string("file://" + Self.encoded(node.path)) : nil
            } else {
                entity["url"] = cover.mountURI.map { .string($0 + "/" + Self.encoded(node.path)) }
            }
        }
        entity["name"] = .string(node.title)
        entity["description"] = .string(Self.description(of: node))
        entity["version"] = node.version.map { .string("\($0)") }
        entity["sha256"] = node.sha256.map { .string($0) }
        entity["contentSize"] = (node.record?.artifact.size ?? node.size).map { .string("\($0)") }
        entity["dateModified"] = (node.record?.times.closed).map { .string(Self.text($0)) }
        entity["datePublished"] = (node.record?.times.sealed).map { .string(Self.text($0)) }
        add(id, entity)
        return id
    }

    private static func description(of node: LineageNode) -> String {
        let origin = node.record?.origin?.path.map { "promoted from \($0)" }
        let words = [node.record?.artifact.type.map { "of type \($0)" }, origin, node.gap]
        let what =
            switch node.nature {
            case .artifact: "an artifact"
            case .file: "a file of the store"
            case .outside: "a file"
            }
        return ([what] + words.compactMap { $0 }).joined(separator: ", ")
    }

    // MARK: - Processes

    /// A process is an action, with all that it wrote.
    private mutating func addActions(_ ids: [String]) {
        var inputs = [[String]](repeating: [], count: ids.count)
        for edge in graph.edges where edge.from != edge.to { inputs[edge.to].append(ids[edge.from]) }
        var order: [String] = []
        var made: [String: [Int]] = [:]
        for (place, node) in graph.nodes.enumerated() {
            guard let record = node.record, record.commandLine != nil || record.writer?.program != nil else { continue }
            let id = "#" + StableName.ofWriter(record, of: node)
            if made[id] == nil { order.append(id) }
            made[id, default: []].append(place)
        }
        for id in order {
            let places = made[id] ?? []
            guard let first = places.first, let record = graph.nodes[first].record else { continue }
            var action = self.action(id, record)
            // What a process wrote and read again is its result.
            let results = places.map { ids[$0] }
            let objects = places.flatMap { inputs[$0] }.filter { !results.contains($0) }
            action["object"] = Self.references(objects)
            action["result"] = Self.references(results)
            let ends = places.compactMap {
                graph.nodes[$0].record?.times.closed ?? graph.nodes[$0].record?.times.sealed
            }
            let end = ends.max { ($0.tv_sec, $0.tv_nsec) < ($1.tv_sec, $1.tv_nsec) }
            action["endTime"] = end.map { .string(Self.text($0)) }
            add(id, action)
            actions.append(id)
        }
    }

    private mutating func action(_ id: String, _ record: ArtifactRecord) -> JSONObject {
        let writer = record.writer ?? .init()
        let command = record.commandLine ?? writer.program ?? ""
        var action: JSONObject = ["@id": .string(id), "@type": .string("CreateAction")]
        action["name"] = .string(LineageGraph.shortened(command, to: 80))
        let ending: String? =
            switch writer.exit {
            case .status(let status)?: "ended with status \(status)"
            case .signal(let signal)?: "ended by signal \(signal)"
            case .unknown?, nil: nil
            }
        let words = [
            command, writer.cwd.map { "in \($0)" }, writer.host.map { "on \($0)" }, record.job?.id.map { "job \($0)" },
            record.run?.id.map { "run \($0)" }, ending,
        ]
        action["description"] = .string(words.compactMap { $0 }.joined(separator: ", "))
        action["startTime"] = writer.started.map { .string(Self.text($0)) }
        if writer.exit == .status(0) { action["actionStatus"] = .string("http://schema.org/CompletedActionStatus") }
        action["agent"] = Self.references([agent(writer)].compactMap { $0 })
        action["instrument"] = Self.references([instrument(record, writer)])
        var variables: [String] = []
        for (name, value) in writer.environment.sorted {
            let id = "#" + StableName.of("variable", [name, value.string ?? value.description])
            add(
                id,
                [
                    "@id": .string(id), "@type": .string("PropertyValue"), "name": .string(name),
                    "value": .string(value.string ?? value.description),
                ])
            variables.append(id)
        }
        action["environment"] = Self.references(variables)
        return action
    }

    private mutating func agent(_ writer: ArtifactRecord.Writer) -> String? {
        guard let name = StableName.ofUser(writer) else { return nil }
        let id = "#" + name
        let user = writer.user ?? writer.uid.map { "user \($0)" } ?? ""
        add(
            id,
            [
                "@id": .string(id), "@type": .string("Person"), "name": .string(user),
                "affiliation": Self.reference("#keeper"),
                "description": .string("a user of the machine" + (writer.host.map { " " + $0 } ?? "")),
            ])
        return id
    }

    /// The script that was run, else the program.
    private mutating func instrument(_ record: ArtifactRecord, _ writer: ArtifactRecord.Writer) -> String {
        if let code = record.code.first(where: { $0.role == "script" && $0.script != nil }), let script = code.script {
            let version = code.commit.map { $0 + (code.dirty == true ? " with changes" : "") }
            let name = StableName.of("code", [writer.host, script, version, code.sha256, code.remote])
            let id = Self.genid(writer.host, name)
            let local = "file://" + Self.encoded(script)
            var entity: JSONObject = [
                "@id": .string(id), "@type": .string("SoftwareSourceCode"), "name": .string(Self.lastName(script)),
                "url": .string(code.remote ?? local),
                "version": .string(version ?? code.sha256 ?? "not recorded"),
            ]
            entity["codeRepository"] = code.remote.map { .string($0) }
            entity["sha256"] = code.sha256.map { .string($0) }
            entity["description"] = .string("the script \(script)")
            add(id, entity)
            return id
        }
        let program = writer.program ?? writer.argv?.first ?? "a program that was not recorded"
        let code = record.code.first { $0.role == "program" }
        let name = StableName.of("program", [writer.host, program, code?.commit])
        let id = Self.genid(writer.host, name)
        let local = program.hasPrefix("/") ? "file://" + Self.encoded(program) : id
        add(
            id,
            [
                "@id": .string(id), "@type": .string("SoftwareApplication"), "name": .string(Self.lastName(program)),
                "url": .string(code?.remote ?? local), "softwareVersion": .string(code?.commit ?? "not recorded"),
                "description": .string("the program \(program)"),
            ])
        return id
    }

    /// The name of something that has none in the web (RFC 5785, RDF 1.1 section 3.5): the profile wants one that is absolute.
    private static func genid(_ host: String?, _ name: String) -> String {
        let host = (host ?? "").utf8.allSatisfy { isUnreserved($0) } ? host ?? "" : ""
        return "http://\(host.isEmpty ? "localhost" : host)/.well-known/genid/\(name)"
    }

    // MARK: - What is around it

    private mutating func addSurroundings() {
        let authors = graph.asked.compactMap { graph.nodes[$0].record?.writer }.compactMap(StableName.ofUser).map {
            "#" + $0
        }
        var root: JSONObject = ["@id": .string("./"), "@type": .string("Dataset"), "name": .string(cover.name)]
        root["description"] = .string(
            "How \(cover.name) was made, as the records of \(cover.store) tell: \(actions.count) processes, "
                + "\(graph.nodes.count) artifacts and files, of which \(copied.count) are in this crate.")
        root["datePublished"] = .string(Self.text(cover.made))
        root["license"] = Self.reference("#license")
        root["author"] = Self.references(authors.isEmpty ? ["#keeper"] : authors)
        root["publisher"] = Self.reference("#keeper")
        root["conformsTo"] = Self.reference(Self.profile)
        root["hasPart"] = Self.references(parts)
        root["mentions"] = Self.references(actions)
        let around: [JSONObject] = [
            [
                "@id": .string(Self.metadataName), "@type": .string("CreativeWork"),
                "conformsTo": Self.reference("https://w3id.org/ro/crate/1.1"), "about": Self.reference("./"),
            ],
            root,
            [
                "@id": .string(Self.profile), "@type": .string("CreativeWork"), "name": .string("Process Run Crate"),
                "version": .string("0.5"),
            ],
            [
                "@id": .string("#license"), "@type": .string("CreativeWork"), "name": .string("No license is stated"),
                "description": .string("Ask whoever made it."),
            ],
            [
                "@id": .string("#keeper"), "@type": .string("Organization"),
                "name": .string("Whoever keeps \(cover.store)"), "url": .string(cover.storeURI),
            ],
        ]
        entities = around.map { .object($0) } + entities
    }

    private mutating func add(_ id: String, _ entity: JSONObject) {
        if known.insert(id).inserted { entities.append(.object(entity)) }
    }

    private static func reference(_ id: String) -> JSONValue { .object(["@id": .string(id)]) }

    /// One is no list: RO-Crate 1.1 wants JSON-LD compacted.
    private static func references(_ ids: [String]) -> JSONValue? {
        var seen: Set<String> = []
        let all = ids.filter { seen.insert($0).inserted }
        return all.count > 1 ? .array(all.map(reference)) : all.first.map(reference)
    }

    private static func lastName(_ path: String) -> String {
        path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[path.utf8.index(after: $0)...]) } ?? path
    }

    /// To the millisecond, as the profile has it.
    static func text(_ time: timespec) -> String { TimeText.rfc3339(time).prefix(23) + "+00:00" }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// A path in a URI (RFC 3986).
    public static func encoded(_ path: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        for byte in path.utf8 {
            if isUnreserved(byte) || byte == UInt8(ascii: "/") {
                text.append(byte)
            } else {
                text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func mediaType(of name: String) -> String {
        let types = [
            ".tsv": "text/tab-separated-values", ".csv": "text/csv", ".json": "application/json",
            ".jsonl": "application/jsonl", ".txt": "text/plain", ".md": "text/markdown", ".png": "image/png",
            ".svg": "image/svg+xml", ".pdf": "application/pdf", ".parquet": "application/vnd.apache.parquet",
            ".gz": "application/gzip", ".yaml": "application/yaml", ".html": "text/html", ".h5": "application/x-hdf5",
        ]
        return types.first { name.hasSuffix($0.key) }?.value ?? "application/octet-stream"
    }
}
