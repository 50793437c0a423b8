public import ArtifactRecords

/// How an artifact was made, as SLSA v1 has it: by what our records say. What they do not say has no member.
public struct ProvenanceStatement: Sendable, Hashable {
    /// The type of such a statement's predicate.
    public static let predicateType = "https://slsa.dev/provenance/v1"
    /// What kind of build it is: a program wrote a file, and was observed.
    public static let buildType = "urn:x-artifactfs:observed-writer:v1"

    /// What the artifact consists of.
    public let subjects: [NamedDigest]
    /// What it was made from, as far as that has a name and a SHA-256.
    public let inputs: Set<NamedDigest>

    /// Reads a statement.
    public init(_ statement: JSONValue) throws(EnvelopeFault) {
        let (subjects, predicate) = try statement.parts(of: Self.predicateType)
        guard let definition = predicate["buildDefinition"] else {
            throw EnvelopeFault("does not say how it was made: it has no buildDefinition")
        }
        self.subjects = subjects
        guard case .array(let list)? = definition["resolvedDependencies"] else {
            inputs = []
            return
        }
        inputs = Set(list.compactMap(NamedDigest.init))
    }

    /// What of it is not what a statement says that is made now of the same artifact; nil when nothing is.
    public func difference(from now: ProvenanceStatement) -> String? {
        if Set(subjects) != Set(now.subjects) { return "its subject is not what the artifact is" }
        return inputs == now.inputs ? nil : "what it was made from is not what its record says"
    }

    /// The statement of an artifact; nil when it is not known on which machine it was made, which SLSA asks for.
    ///
    /// - Parameters:
    ///   - files: what it consists of, as the model's statement has it.
    ///   - isDirectory: whether it is a directory.
    public static func json(
        of record: ArtifactRecord, path: String, files: [ModelStatement.Resource], isDirectory: Bool
    ) -> JSONValue? {
        guard let writer = record.writer, let host = writer.host else { return nil }
        var statement = JSONObject.statement(
            of: files.map { file in
                .subject(file.name == ModelStatement.itself ? path : path + "/" + file.name, sha256: file.sha256)
            }, predicateType)
        var parameters = JSONObject()
        if let argv = writer.argv { parameters["argv"] = .array(argv.map { .string($0) }) }
        parameters["cwd"] = writer.cwd.map { .string($0) }
        var definition: JSONObject = [
            "buildType": .string(buildType), "externalParameters": .object(parameters),
        ]
        definition["internalParameters"] = internals(of: record, writer).map { .object($0) }
        let dependencies =
            record.inputs.map(Self.dependency) + record.outside.map(Self.dependency)
            + record.code.flatMap(Self.dependencies)
        if !dependencies.isEmpty { definition["resolvedDependencies"] = .array(dependencies.map { .object($0) }) }
        var details: JSONObject = ["builder": .object(["id": .string("urn:x-artifactfs:host:" + encoded(host))])]
        var metadata = JSONObject()
        metadata["invocationId"] = record.run?.id.map { .string($0) }
        metadata["startedOn"] = writer.started.map { .string(TimeText.rfc3339($0)) }
        metadata["finishedOn"] = record.times.closed.map { .string(TimeText.rfc3339($0)) }
        if metadata != JSONObject() { details["metadata"] = .object(metadata) }
        // The hash by which records name it, which is no file's.
        if isDirectory, let manifest = record.artifact.sha256 {
            details["byproducts"] = .array([.object(.subject("manifest", sha256: manifest))])
        }
        statement["predicate"] = .object([
            "buildDefinition": .object(definition), "runDetails": .object(details),
        ])
        return .object(statement)
    }

    /// What else is known, and how much is not.
    private static func internals(of record: ArtifactRecord, _ writer: ArtifactRecord.Writer) -> JSONObject? {
        var all = JSONObject()
        all["program"] = writer.program.map { .string($0) }
        if writer.argvIsCut { all["argv_is_cut"] = .bool(true) }
        all["experiment"] = record.run?.experiment.map { .string($0) }
        all["promoted_from"] = record.origin?.path.map { .string($0) }
        if record.inputsLeftOut > 0 { all["inputs_left_out"] = .integer(record.inputsLeftOut) }
        if record.outsideLeftOut > 0 { all["outside_left_out"] = .integer(record.outsideLeftOut) }
        all["outside_seen"] = record.outsideSeen.map { .string($0.rawValue) }
        return all == JSONObject() ? nil : all
    }

    private static func dependency(_ input: ArtifactRecord.Input) -> JSONObject {
        var all = JSONObject()
        all["name"] = input.path.map { path in .string(path + (input.version.map { "@\($0)" } ?? "")) }
        all["digest"] = input.sha256.map { .object(["sha256": .string($0)]) }
        all["annotations"] = input.how.map { .object(["how": .string($0.rawValue)]) }
        return all
    }

    private static func dependency(_ input: ArtifactRecord.OutsideInput) -> JSONObject {
        var all = JSONObject()
        all["name"] = input.path.map { .string($0) }
        all["digest"] = input.sha256.map { .object(["sha256": .string($0)]) }
        var notes = JSONObject()
        notes["how"] = input.how.map { .string($0.rawValue) }
        notes["size"] = input.size.map { .integer($0) }
        notes["modified"] = input.modified.map { .string($0) }
        if notes != JSONObject() { all["annotations"] = .object(notes) }
        return all
    }

    /// A repository at its commit, and the script.
    private static func dependencies(_ code: ArtifactRecord.Code) -> [JSONObject] {
        var found: [JSONObject] = []
        if let commit = code.commit {
            var all = JSONObject()
            // The short form of a remote (HOST:PATH) is no URI.
            let remote = code.remote.flatMap { $0.contains("://") ? $0 : nil }
            all["uri"] = remote.map { .string("git+\($0)@\(commit)") }
            all["name"] = (code.remote ?? code.path).map { .string($0) }
            all["digest"] = .object(["gitCommit": .string(commit)])
            var notes = JSONObject()
            notes["role"] = code.role.map { .string($0) }
            notes["dirty"] = code.dirty.map { .bool($0) }
            if notes != JSONObject() { all["annotations"] = .object(notes) }
            found.append(all)
        }
        if let script = code.script, let sha256 = code.sha256 {
            var all = JSONObject.subject(script, sha256: sha256)
            all["annotations"] = .object(["role": .string("script")])
            found.append(all)
        }
        return found
    }

    /// A part of a URN (RFC 8141).
    private static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var all: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                all.append(byte)
            default: all += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: all, as: UTF8.self)
    }
}
