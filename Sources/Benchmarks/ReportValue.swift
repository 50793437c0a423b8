/// JSON, as far as the benchmark writes and reads it.
enum ReportValue: Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([ReportValue])
    /// In the order in which it is written.
    case object([(String, ReportValue)])

    subscript(key: String) -> ReportValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.0 == key }?.1
    }

    var text: String? { if case .string(let value) = self { value } else { nil } }
    var number: Double? { if case .number(let value) = self { value } else { nil } }
    var elements: [ReportValue]? { if case .array(let values) = self { values } else { nil } }

    // MARK: Writing

    /// The value as text, a member a line; values that are one line stay one.
    func written(indent: String = "") -> String {
        let inner = indent + "  "
        switch self {
        case .null: return "null"
        case .bool(let value): return value ? "true" : "false"
        case .number(let value):
            guard value.isFinite else { return "null" }
            return value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
        case .string(let value): return Self.quoted(value)
        case .array(let values):
            if values.isEmpty { return "[]" }
            if values.allSatisfy({ $0.number != nil }) {
                return "[" + values.map { $0.written() }.joined(separator: ", ") + "]"
            }
            return "[\n" + values.map { inner + $0.written(indent: inner) }.joined(separator: ",\n") + "\n\(indent)]"
        case .object(let members):
            if members.isEmpty { return "{}" }
            let lines = members.map { inner + Self.quoted($0.0) + ": " + $0.1.written(indent: inner) }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(indent)}"
        }
    }

    private static func quoted(_ string: String) -> String {
        var result = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let code = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - code.count) + code
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    // MARK: Reading

    /// Reads one value and nothing after it.
    init(reading text: String, from name: String) throws(BenchFailure) {
        var reader = Reader(bytes: Array(text.utf8), name: name)
        self = try reader.value(depth: 0)
        reader.skipBlanks()
        if reader.position < reader.bytes.count { throw reader.error("something after the value") }
    }

    private struct Reader {
        let bytes: [UInt8]
        let name: String
        var position = 0

        func error(_ what: String) -> BenchFailure {
            let line = 1 + bytes.prefix(position).lazy.filter { $0 == UInt8(ascii: "\n") }.count
            return BenchFailure("\(name):\(line): not the JSON that was expected: \(what)")
        }

        var next: UInt8? { position < bytes.count ? bytes[position] : nil }

        mutating func skipBlanks() {
            while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
        }

        mutating func take(_ word: StaticString) -> Bool {
            let wanted = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
            guard bytes[position...].starts(with: wanted) else { return false }
            position += wanted.count
            return true
        }

        mutating func value(depth: Int) throws(BenchFailure) -> ReportValue {
            if depth > 32 { throw error("nested too deeply") }
            skipBlanks()
            switch next {
            case UInt8(ascii: "{"): return try object(depth: depth)
            case UInt8(ascii: "["): return try array(depth: depth)
            case UInt8(ascii: "\""): return .string(try string())
            case UInt8(ascii: "t") where take("true"): return .bool(true)
            case UInt8(ascii: "f") where take("false"): return .bool(false)
            case UInt8(ascii: "n") where take("null"): return .null
            default: return .number(try number())
            }
        }

        mutating func object(depth: Int) throws(BenchFailure) -> ReportValue {
            var members: [(String, ReportValue)] = []
            position += 1
            skipBlanks()
            if take("}") { return .object(members) }
            while true {
                skipBlanks()
                let key = try string()
                skipBlanks()
                guard take(":") else { throw error("no ':' after \"\(key)\"") }
                members.append((key, try value(depth: depth + 1)))
                skipBlanks()
                if take("}") { return .object(members) }
                guard take(",") else { throw error("no ',' or '}'") }
            }
        }

        mutating func array(depth: Int) throws(BenchFailure) -> ReportValue {
            var values: [ReportValue] = []
            position += 1
            skipBlanks()
            if take("]") { return .array(values) }
            while true {
                values.append(try value(depth: depth + 1))
                skipBlanks()
                if take("]") { return .array(values) }
                guard take(",") else { throw error("no ',' or ']'") }
            }
        }

        mutating func string() throws(BenchFailure) -> String {
            guard take("\"") else { throw error("no string") }
            var result: [UInt8] = []
            while let byte = next {
                position += 1
                if byte == UInt8(ascii: "\"") { return String(decoding: result, as: UTF8.self) }
                guard byte == UInt8(ascii: "\\") else {
                    result.append(byte)
                    continue
                }
                let escaped = next
                position += 1
                switch escaped {
                case UInt8(ascii: "n"): result.append(0x0A)
                case UInt8(ascii: "t"): result.append(0x09)
                case UInt8(ascii: "r"): result.append(0x0D)
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(escaped ?? 0)
                case UInt8(ascii: "u"):
                    let digits = String(decoding: bytes[position...].prefix(4), as: UTF8.self)
                    guard let code = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(code) else {
                        throw error("an escape that is no character")
                    }
                    position += 4
                    result.append(contentsOf: String(scalar).utf8)
                default: throw error("an unknown escape")
                }
            }
            throw error("a string without an end")
        }

        mutating func number() throws(BenchFailure) -> Double {
            let start = position
            while let byte = next, "+-.eE0123456789".utf8.contains(byte) { position += 1 }
            guard let number = Double(String(decoding: bytes[start..<position], as: UTF8.self)) else {
                throw error("no value")
            }
            return number
        }
    }
}
