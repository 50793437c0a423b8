internal import ArtifactRecords

/// JSON as the benchmark's files have it: for people to read, too.
extension JSONValue {
    /// The number, if it is one, whole or not.
    var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The elements, if it is an array.
    var elements: [JSONValue]? { if case .array(let values) = self { values } else { nil } }

    /// Members in their order; no key comes twice.
    static func members(_ members: [(String, JSONValue)]) -> JSONValue {
        var object = JSONObject()
        for (key, value) in members { object[key] = value }
        return .object(object)
    }

    /// A number; a whole one without a fraction.
    static func measured(_ value: Double) -> JSONValue {
        Int64(exactly: value).map { .integer($0) } ?? .number(value)
    }

    /// The value as text, a member a line; values that are one line stay one.
    func written(indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .array(let values) where !values.isEmpty:
            if values.allSatisfy({ $0.double != nil }) {
                return "[" + values.map { $0.written() }.joined(separator: ", ") + "]"
            }
            return "[\n" + values.map { inner + $0.written(indent: inner) }.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let members) where !members.members.isEmpty:
            let lines = members.members.map {
                inner + JSONValue.string($0.key).description + ": " + $0.value.written(indent: inner)
            }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(indent)}"
        default: return description
        }
    }

    /// Reads a file's text.
    init(reading text: String, from name: String) throws(BenchFailure) {
        guard let value = JSONValue(parsing: text.utf8) else { throw BenchFailure("\(name) is not JSON") }
        self = value
    }
}
