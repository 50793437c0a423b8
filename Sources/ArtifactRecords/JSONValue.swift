/// A JSON value, for the ledger's lines and what plugs into them. Its text is always one line of valid UTF-8.
public enum JSONValue: Sendable, Hashable, CustomStringConvertible {
    case null
    case bool(Bool)
    case integer(Int64)
    /// Not finite numbers are written as null.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// The text, on one line.
    public var description: String {
        var text: [UInt8] = []
        write(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// A member of an object.
    public subscript(key: String) -> JSONValue? { if case .object(let members) = self { members[key] } else { nil } }

    /// The string, if it is one.
    public var string: String? { if case .string(let value) = self { value } else { nil } }

    /// The members, if it is an object.
    public var object: JSONObject? { if case .object(let members) = self { members } else { nil } }

    /// The integer, if it is one.
    public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }

    /// Appends the text, which is UTF-8.
    package func write(to text: inout [UInt8]) {
        switch self {
        case .null: text.append(contentsOf: "null".utf8)
        case .bool(let value): text.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value): Self.write(value, to: &text)
        case .number(let value): text.append(contentsOf: (value.isFinite ? value.description : "null").utf8)
        case .string(let value): Self.write(value, to: &text)
        case .array(let values):
            text.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                value.write(to: &text)
            }
            text.append(UInt8(ascii: "]"))
        case .object(let members):
            text.append(UInt8(ascii: "{"))
            Self.write(members, to: &text)
            text.append(UInt8(ascii: "}"))
        }
    }

    /// Members in their order, without an object's braces.
    package static func write(_ object: JSONObject, to text: inout [UInt8]) {
        var isFirst = true
        for member in object.members {
            if !isFirst { text.append(UInt8(ascii: ",")) }
            isFirst = false
            write(member.key, to: &text)
            text.append(UInt8(ascii: ":"))
            member.value.write(to: &text)
        }
    }

    private static func write(_ value: Int64, to text: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = digits.count
            var rest = value.magnitude
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            if value < 0 { text.append(UInt8(ascii: "-")) }
            text.append(contentsOf: digits[start...])
        }
    }

    /// A string with its quotes. Control characters are escaped, also those of terminals beyond ASCII (C1) and the line
    /// separators that some readers split lines at.
    package static func write(_ string: String, to text: inout [UInt8]) {
        var string = string
        string.withUTF8 { bytes in
            text.append(UInt8(ascii: "\""))
            // Nearly every string: a ledger's line is written with every artifact.
            if bytes.allSatisfy({ (0x20...0x7e).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
            {
                text.append(contentsOf: bytes)
            } else {
                var decoder = UTF8()
                var input = bytes.makeIterator()
                while case .scalarValue(let scalar) = decoder.decode(&input) { write(scalar, to: &text) }
            }
            text.append(UInt8(ascii: "\""))
        }
    }

    private static func write(_ scalar: Unicode.Scalar, to text: inout [UInt8]) {
        switch scalar {
        case "\"": text.append(contentsOf: "\\\"".utf8)
        case "\\": text.append(contentsOf: "\\\\".utf8)
        case "\n": text.append(contentsOf: "\\n".utf8)
        case "\r": text.append(contentsOf: "\\r".utf8)
        case "\t": text.append(contentsOf: "\\t".utf8)
        case "\u{0}"..<"\u{20}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
            let digits = String(scalar.value, radix: 16)
            text.append(contentsOf: ("\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits).utf8)
        default: text.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }

    /// Reads one value; nothing but blanks may follow.
    ///
    /// - Returns: nil for what is not JSON, and for more than 64 levels.
    public init?(parsing bytes: some Collection<UInt8>) {
        // Lines of a ledger lie in one piece of memory.
        let found =
            bytes.withContiguousStorageIfAvailable { Self.read($0) } ?? Array(bytes).withUnsafeBufferPointer(Self.read)
        guard let found else { return nil }
        self = found
    }

    /// The same of what Python writes by default: `NaN`, `Infinity` and `-Infinity` are numbers.
    package init?(parsingWithNaN bytes: some Collection<UInt8>) {
        let found =
            bytes.withContiguousStorageIfAvailable { Self.read($0, hasNaN: true) }
            ?? Array(bytes).withUnsafeBufferPointer { Self.read($0, hasNaN: true) }
        guard let found else { return nil }
        self = found
    }

    private static func read(_ bytes: UnsafeBufferPointer<UInt8>) -> JSONValue? { read(bytes, hasNaN: false) }

    private static func read(_ bytes: UnsafeBufferPointer<UInt8>, hasNaN: Bool) -> JSONValue? {
        var reader = JSONReader(bytes, hasNaN: hasNaN)
        return reader.document()
    }
}

/// Reads what `JSONValue` writes, and any other JSON.
private struct JSONReader {
    /// Used within ``JSONValue/read(_:)`` only.
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    private let hasNaN: Bool

    init(_ bytes: UnsafeBufferPointer<UInt8>, hasNaN: Bool) { (self.bytes, self.hasNaN) = (bytes, hasNaN) }

    mutating func document() -> JSONValue? {
        guard let value = value(depth: 0) else { return nil }
        skipBlanks()
        return position == bytes.count ? value : nil
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard let byte = next, byte == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func take(word: StaticString, _ value: JSONValue) -> JSONValue? {
        let word = Array(word.description.utf8)
        guard bytes[position...].starts(with: word) else { return nil }
        position += word.count
        return value
    }

    private mutating func value(depth: Int) -> JSONValue? {
        guard depth < 64 else { return nil }
        skipBlanks()
        switch next {
        case UInt8(ascii: "{"): return object(depth: depth)
        case UInt8(ascii: "["): return array(depth: depth)
        case UInt8(ascii: "\""): return string().map { .string($0) }
        case UInt8(ascii: "t"): return take(word: "true", .bool(true))
        case UInt8(ascii: "f"): return take(word: "false", .bool(false))
        case UInt8(ascii: "n"): return take(word: "null", .null)
        case UInt8(ascii: "N") where hasNaN: return take(word: "NaN", .number(.nan))
        case UInt8(ascii: "I") where hasNaN: return take(word: "Infinity", .number(.infinity))
        case UInt8(ascii: "-") where hasNaN:
            if let negative = take(word: "-Infinity", .number(-.infinity)) { return negative }
            return number()
        default: return number()
        }
    }

    private mutating func object(depth: Int) -> JSONValue? {
        guard take("{") else { return nil }
        var members = JSONObject()
        if take("}") { return .object(members) }
        repeat {
            skipBlanks()
            guard let key = string(), take(":"), let value = value(depth: depth + 1) else { return nil }
            members.add(key, value)
        } while take(",")
        return take("}") ? .object(members) : nil
    }

    private mutating func array(depth: Int) -> JSONValue? {
        guard take("[") else { return nil }
        var values: [JSONValue] = []
        if take("]") { return .array(values) }
        repeat {
            guard let value = value(depth: depth + 1) else { return nil }
            values.append(value)
        } while take(",")
        return take("]") ? .array(values) : nil
    }

    private mutating func number() -> JSONValue? {
        let start = position
        while let byte = next, "+-.eE0123456789".utf8.contains(byte) { position += 1 }
        guard position > start else { return nil }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if let integer = Int64(text) { return .integer(integer) }
        return Double(text).map { .number($0) }
    }

    private mutating func string() -> String? {
        guard next == UInt8(ascii: "\"") else { return nil }
        position += 1
        let start = position
        // Nearly every string has nothing but its characters.
        while let byte = next, byte &- 0x20 < 0x5f, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
            position += 1
        }
        if next == UInt8(ascii: "\"") {
            defer { position += 1 }
            return String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
        }
        var result = Array(bytes[start..<position])
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: result, as: UTF8.self)
            case 0..<0x20: return nil
            case UInt8(ascii: "\\"):
                guard let scalar = escaped() else { return nil }
                result.append(contentsOf: String(scalar).utf8)
            default: result.append(byte)
            }
        }
        return nil
    }

    private mutating func escaped() -> Unicode.Scalar? {
        guard let byte = next else { return nil }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            guard let first = hexadecimal() else { return nil }
            guard (0xD800..<0xDC00).contains(first) else { return Unicode.Scalar(first) }
            guard next == UInt8(ascii: "\\") else { return nil }
            position += 1
            guard next == UInt8(ascii: "u") else { return nil }
            position += 1
            guard let second = hexadecimal(), (0xDC00..<0xE000).contains(second) else { return nil }
            return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        default: return nil
        }
    }

    private mutating func hexadecimal() -> UInt32? {
        guard position + 4 <= bytes.count else { return nil }
        defer { position += 4 }
        let digits = bytes[position..<position + 4]
        // A sign is a number's for Swift, and not for JSON.
        guard digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }) else { return nil }
        return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    }
}
