internal import ArtifactRecords
internal import Artifacts
internal import SystemCalls
internal import SystemPackage

/// What a writer says of its artifact through extended attributes, for the record.
struct WriterStatement {
    /// By the attributes' names.
    private(set) var attributes: JSONObject = [:]
    /// The paths in `user.artifact.inputs`, as they were named.
    private(set) var inputs: [String] = []

    /// How much of all values together stands in a record, in bytes.
    static let mostBytes = 65_536
    /// How many inputs.
    static let mostInputs = 1000

    /// Reads a file's attributes; there are none where the file system keeps none.
    ///
    /// - Parameter further: inputs that its run has named.
    init(of file: FileDescriptor, and further: [String] = []) {
        defer { inputs += further.filter { !inputs.contains($0) } }
        let names = try? SystemCall.withPath(of: file) { path throws(Errno) in
            try SystemCall.extendedAttributeNames(ofPath: path)
        }
        var left = Self.mostBytes
        let all = (names ?? []).split(separator: 0).compactMap { String(validating: $0, as: UTF8.self) }
        for name in all.sorted() where Self.isWriters(name) {
            let value = try? SystemCall.withPath(of: file) { path throws(Errno) in
                try SystemCall.extendedAttribute(name, ofPath: path)
            }
            guard let value else { continue }
            add(name, value, &left)
        }
    }

    private static func isWriters(_ name: String) -> Bool {
        guard name.hasPrefix("user.") else { return false }
        return !name.hasPrefix(ArtifactAttribute.prefix) || ArtifactAttribute.settable.contains(name)
    }

    private mutating func add(_ name: String, _ value: [UInt8], _ left: inout Int) {
        if name == ArtifactAttribute.inputs, let paths = Self.paths(value) {
            inputs = paths
            return
        }
        guard value.count <= left else {
            attributes[name] = .object(["left_out": .integer(Int64(value.count))])
            return
        }
        left -= value.count
        attributes[name] = Self.json(value, isParsed: ArtifactAttribute.parsed.contains(name))
    }

    /// A value as it stands in a record: as JSON where it may be and is an object or an array, else as text, and what is no text as base64.
    static func json(_ value: [UInt8], isParsed: Bool) -> JSONValue {
        if isParsed, let json = JSONValue(parsing: value), json.isKeptExactly {
            switch json {
            case .object, .array: return json
            default: break
            }
        }
        if let text = String(validating: value, as: UTF8.self) { return .string(text) }
        return .object(["base64": .string(Base64Text.encoded(value))])
    }

    /// A JSON array of texts, or lines; nil for anything else, and for too many.
    static func paths(_ value: [UInt8]) -> [String]? {
        var paths: [String] = []
        if case .array(let all)? = JSONValue(parsing: value) {
            for one in all {
                guard let path = one.string else { return nil }
                paths.append(path)
            }
        } else {
            guard let text = String(validating: value, as: UTF8.self) else { return nil }
            paths = text.split(whereSeparator: \.isNewline).map(String.init)
        }
        guard paths.count <= mostInputs else { return nil }
        return paths.filter { !$0.isEmpty }
    }
}

extension JSONValue {
    /// Whether its text has the same numbers that were read: an integer of more digits than 64 bits hold does not.
    fileprivate var isKeptExactly: Bool {
        switch self {
        case .number(let value): value.isFinite && value.magnitude < 0x1p53
        case .array(let values): values.allSatisfy(\.isKeptExactly)
        case .object(let members): members.members.allSatisfy { $0.value.isKeptExactly }
        case .null, .bool, .integer, .string: true
        }
    }
}

extension ArtifactRecord {
    /// The same with what the writer said. What is known of an input by itself stays.
    func saying(_ statement: WriterStatement, _ finder: RecordFinder) -> ArtifactRecord {
        var all = self
        if !statement.attributes.members.isEmpty { all.attributes = statement.attributes }
        for path in statement.inputs {
            let (input, outside, _) = finder.declared(path)
            if let input, !all.inputs.contains(where: { $0.path == input.path && $0.how != .job }) {
                all.inputs.append(input)
            }
            if let outside, !all.outside.contains(where: { $0.path == outside.path }) { all.outside.append(outside) }
        }
        return all
    }
}
