/// One JSON document: RFC 8259, and the tokens `NaN`, `Infinity` and `-Infinity`.
///
/// Python's `json` writes those three by default and reads them back, and metrics of a diverged training are made of
/// them; refusing them would refuse what the program that wrote the file calls valid. Everything else is strict: no comments,
/// no trailing commas, no byte order mark, UTF-8 only, one value. Duplicate keys and lone surrogate escapes are accepted,
/// as by the RFC's grammar. Nesting is bounded at ``JSONScanner/depthLimit``.
enum JSONText {
    /// How much of each end the quick check reads.
    static let window = 64 * 1024

    static func checkQuickly(_ source: some ByteSource) throws(FormatError) {
        let head = try source.head(window)
        try WebPage.refuse(head)
        let tail = try source.tail(window)
        let isWhole = source.count <= Int64(window)
        guard let firstIndex = head.firstIndex(where: isNotBlank), let lastIndex = tail.lastIndex(where: isNotBlank)
        else {
            // More blanks than a window: only the whole check can tell.
            if isWhole { throw .invalid(reason: "it holds only blanks, a JSON value is expected") }
            return
        }
        let first = head[firstIndex]
        let last = tail[lastIndex]
        guard first != 0xEF else {
            throw .invalid(reason: "it begins with a byte order mark, which JSON does not allow")
        }
        guard opens(first) else {
            throw .invalid(reason: "its first character \(Excerpt.quoted(first)) cannot begin a JSON value")
        }
        guard closes(last, opened: first), !(isWhole && firstIndex == lastIndex && isBracketOrQuote(first)) else {
            throw .invalid(
                reason: "it begins with \(Excerpt.quoted(first)) but ends with \(Excerpt.quoted(last)): "
                    + "the JSON value is not closed")
        }
        // What is too large to be parsed at close may still be seen to hold several values, which is another format.
        guard !isWhole else { return }
        var scanner = JSONScanner()
        do throws(FormatError) {
            try scan(head, with: &scanner)
        } catch {
            if scanner.isPastEnd { throw error }
        }
    }

    /// JSON Lines: the first lines, and the last one.
    static func checkLinesQuickly(_ source: some ByteSource) throws(FormatError) {
        let head = try source.head(window)
        try WebPage.refuse(head)
        var scanner = JSONScanner(.lines)
        try scan(head, with: &scanner)
        if source.count <= Int64(window) {
            _ = try scanner.finish()
            return
        }
        let tail = try source.tail(window)
        let lines = tail.split(separator: 0x0A, omittingEmptySubsequences: false)
        // The first piece is the end of a line that began before.
        guard let last = lines.dropFirst().last(where: { !$0.allSatisfy(isBlank) }) else { return }
        var one = JSONScanner(.lines)
        do throws(FormatError) {
            try scan(tail[last.startIndex...], with: &one)
            _ = try one.finish()
        } catch {
            throw .invalid(reason: "its last line is not a whole JSON value: it is cut short")
        }
    }

    private static func isNotBlank(_ byte: UInt8) -> Bool { !isBlank(byte) }

    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    static func opens(_ byte: UInt8) -> Bool {
        isDigit(byte) || "{[\"-tfnNI".utf8.contains(byte)
    }

    private static func isBracketOrQuote(_ byte: UInt8) -> Bool { "{[\"".utf8.contains(byte) }

    private static func closes(_ last: UInt8, opened first: UInt8) -> Bool {
        switch first {
        case UInt8(ascii: "{"): last == UInt8(ascii: "}")
        case UInt8(ascii: "["): last == UInt8(ascii: "]")
        case UInt8(ascii: "\""): last == UInt8(ascii: "\"")
        case UInt8(ascii: "t"), UInt8(ascii: "f"): last == UInt8(ascii: "e")
        case UInt8(ascii: "n"): last == UInt8(ascii: "l")
        case UInt8(ascii: "N"): last == UInt8(ascii: "N")
        case UInt8(ascii: "I"): last == UInt8(ascii: "y")
        case UInt8(ascii: "-"): isDigit(last) || last == UInt8(ascii: "y")
        default: isDigit(last)
        }
    }
}

/// Parses JSON in pieces of any size, without keeping any of it.
struct JSONScanner: ChunkScanner {
    /// How many values a file has.
    enum Form {
        case oneValue
        /// One in each line (jsonlines.org); blank lines mean nothing.
        case lines
    }

    /// How deep objects and arrays may nest.
    static let depthLimit = 512

    private enum State {
        case value
        case valueOrEnd
        case key
        case keyOrEnd
        case colon
        case commaOrEnd
        case string
        case escape
        case hex
        case literal
        case minus
        case zero
        case integer
        case point
        case fraction
        case exponent
        case exponentSign
        case exponentDigits
        case done
    }

    private var state = State.value
    /// True for each open object, false for each open array.
    private var open: [Bool] = []
    /// The string under way is a key.
    private var isKey = false
    private var utf8 = UTF8Checker()
    /// The bytes of a literal still to come, the next in the low byte.
    private var literal: UInt64 = 0
    /// Hexadecimal digits of a `\u` still to come.
    private var hexDigits = 0
    private var offset: Int64 = 0
    private var line: Int64 = 1
    private var topLevel = ""
    private let form: Form
    /// The lines that held a value, with ``Form/lines``.
    private var values: Int64 = 0
    /// The line on which the value ended.
    private var lastLine: Int64 = 0
    /// How many numbers are NaN or an infinity.
    private var nonFinite: Int64 = 0
    /// What is wrong comes after a whole value.
    private(set) var isPastEnd = false

    init(_ form: Form = .oneValue) { self.form = form }

    mutating func consume(_ chunk: UnsafeRawBufferPointer) throws(FormatError) {
        var index = 0
        while index < chunk.count {
            if state == .string {
                index = try consumeString(chunk, from: index)
                continue
            }
            let byte = chunk[index]
            if state == .integer || state == .fraction, JSONText.isDigit(byte) {
                index &+= 1
                continue
            }
            // A number ends with the byte after it, which then is looked at again.
            if try step(byte, at: offset + Int64(index)) { index &+= 1 }
        }
        offset += Int64(chunk.count)
    }

    /// What the file is, when it ends here.
    func finish() throws(FormatError) -> FormatFacts {
        let isEnded =
            switch state {
            case .done: true
            // A number without a newline may be the beginning of a longer one.
            case .zero, .integer, .fraction, .exponentDigits: open.isEmpty && form == .oneValue
            case .value: form == .lines && open.isEmpty && values > 0
            default: false
            }
        guard isEnded else {
            let inside =
                switch state {
                case .string, .escape, .hex: "inside a string"
                case .literal, .minus, .point, .exponent, .exponentSign: "inside a number or a literal"
                case .zero, .integer, .fraction, .exponentDigits: "in a number, without a newline"
                case .value where open.isEmpty: "before any value"
                default: "with \(counted(Int64(open.count), "bracket")) still open"
                }
            throw .invalid(reason: "it ends on line \(line) \(inside): the JSON value is cut short")
        }
        var facts = FormatFacts()
        switch form {
        case .oneValue: facts.details["top_level"] = topLevel
        case .lines: facts.rows = state == .done ? values + 1 : values
        }
        if nonFinite > 0 { facts.details["non_finite"] = String(nonFinite) }
        return facts
    }

    // MARK: Strings

    /// Goes through a string to its end, an escape, or the end of the chunk; returns where to go on.
    private mutating func consumeString(
        _ chunk: UnsafeRawBufferPointer, from start: Int
    ) throws(FormatError) -> Int {
        var index = start
        var seen: UInt8 = 0
        while index < chunk.count {
            let byte = chunk[index]
            if byte == 0x22 || byte == 0x5C || byte < 0x20 { break }
            seen |= byte
            index &+= 1
        }
        if seen >= 0x80 || !utf8.isComplete {
            // The byte that ends the run takes part: it may come in the middle of a character.
            let end = min(index + 1, chunk.count)
            if let bad = utf8.firstError(in: UnsafeRawBufferPointer(rebasing: chunk[start..<end])) {
                let byte = chunk[start + bad]
                throw .invalid(reason: "line \(line) has a string that is not UTF-8 (byte \(Excerpt.hex(byte)))")
            }
        }
        guard index < chunk.count else { return index }
        switch chunk[index] {
        case 0x22: isKey ? (state = .colon) : endValue()
        case 0x5C: state = .escape
        default:
            throw .invalid(
                reason: "line \(line) has a string with an unescaped control character \(Excerpt.quoted(chunk[index]))")
        }
        return index + 1
    }

    // MARK: Everything else, a byte at a time

    /// Takes one byte; false when the byte ended a number and is still to be taken.
    private mutating func step(_ byte: UInt8, at position: Int64) throws(FormatError) -> Bool {
        switch state {
        case .value, .valueOrEnd, .key, .keyOrEnd, .colon, .commaOrEnd, .done:
            if JSONText.isBlank(byte) {
                if byte == 0x0A { try endLine() }
                return true
            }
            try structure(byte, at: position)
        case .string:
            break
        case .escape:
            if byte == UInt8(ascii: "u") {
                hexDigits = 4
                state = .hex
            } else {
                switch UnicodeScalar(byte) {
                case "\"", "\\", "/", "b", "f", "n", "r", "t": state = .string
                default: throw unexpected(byte, position, "in an escape")
                }
            }
        case .hex:
            let isHex = JSONText.isDigit(byte) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x66)
            guard isHex else { throw unexpected(byte, position, "in a \\u escape") }
            hexDigits -= 1
            if hexDigits == 0 { state = .string }
        case .literal:
            guard byte == UInt8(truncatingIfNeeded: literal) else { throw unexpected(byte, position, "in a literal") }
            literal >>= 8
            if literal == 0 { endValue() }
        default:
            return try number(byte, at: position)
        }
        return true
    }

    private mutating func endLine() throws(FormatError) {
        if form == .lines {
            if state == .done {
                values += 1
                state = .value
            } else if !open.isEmpty {
                throw .invalid(
                    reason: "line \(line) ends inside a JSON value; in JSON Lines each line is a whole value")
            }
        }
        line += 1
    }

    private mutating func structure(_ byte: UInt8, at position: Int64) throws(FormatError) {
        switch state {
        case .valueOrEnd where byte == UInt8(ascii: "]"), .keyOrEnd where byte == UInt8(ascii: "}"):
            close()
        case .value, .valueOrEnd:
            try beginValue(byte, at: position)
        case .key, .keyOrEnd:
            guard byte == UInt8(ascii: "\"") else {
                throw unexpected(byte, position, "where a key in quotes is expected")
            }
            isKey = true
            state = .string
        case .colon:
            guard byte == UInt8(ascii: ":") else { throw unexpected(byte, position, "where ':' is expected") }
            state = .value
        case .done:
            isPastEnd = true
            let expected =
                form == .lines
                ? "one value a line is expected"
                : "one value a file is expected"
                    + (line > lastLine && JSONText.opens(byte)
                        ? "; JSON Lines, one value a line, are named .jsonl" : "")
            throw .invalid(
                reason: "line \(line) goes on with \(Excerpt.quoted(byte)) after the end of the JSON value; \(expected)"
            )
        default:
            let inObject = open.last == true
            if byte == UInt8(ascii: ",") {
                state = inObject ? .key : .value
            } else {
                guard byte == (inObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                    throw unexpected(byte, position, "where ',' or '\(inObject ? "}" : "]")' is expected")
                }
                close()
            }
        }
    }

    private mutating func close() {
        open.removeLast()
        endValue()
    }

    private mutating func beginValue(_ byte: UInt8, at position: Int64) throws(FormatError) {
        let kind: String
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard open.count < Self.depthLimit else {
                throw .invalid(reason: "line \(line) nests deeper than \(Self.depthLimit) levels")
            }
            let isObject = byte == UInt8(ascii: "{")
            kind = isObject ? "object" : "array"
            if open.isEmpty { topLevel = kind }
            open.append(isObject)
            state = isObject ? .keyOrEnd : .valueOrEnd
            return
        case UInt8(ascii: "\""):
            kind = "string"
            isKey = false
            state = .string
        case UInt8(ascii: "-"):
            kind = "number"
            state = .minus
        case UInt8(ascii: "0"):
            kind = "number"
            state = .zero
        case UInt8(ascii: "1")...UInt8(ascii: "9"):
            kind = "number"
            state = .integer
        case UInt8(ascii: "t"): kind = begin(literal: "rue", as: "boolean")
        case UInt8(ascii: "f"): kind = begin(literal: "alse", as: "boolean")
        case UInt8(ascii: "n"): kind = begin(literal: "ull", as: "null")
        case UInt8(ascii: "N"):
            nonFinite += 1
            kind = begin(literal: "aN", as: "number")
        case UInt8(ascii: "I"):
            nonFinite += 1
            kind = begin(literal: "nfinity", as: "number")
        default: throw unexpected(byte, position, "where a value is expected")
        }
        if open.isEmpty { topLevel = kind }
    }

    private mutating func begin(literal rest: StaticString, as kind: String) -> String {
        literal = 0
        rest.withUTF8Buffer { for byte in $0.reversed() { literal = literal << 8 | UInt64(byte) } }
        state = .literal
        return kind
    }

    private mutating func number(_ byte: UInt8, at position: Int64) throws(FormatError) -> Bool {
        let isDigit = JSONText.isDigit(byte)
        switch state {
        case .minus:
            if byte == UInt8(ascii: "I") {
                nonFinite += 1
                _ = begin(literal: "nfinity", as: "number")
            } else {
                guard isDigit else { throw unexpected(byte, position, "in a number") }
                state = byte == UInt8(ascii: "0") ? .zero : .integer
            }
        case .zero, .integer, .fraction:
            if isDigit {
                guard state != .zero else { throw unexpected(byte, position, "after a leading zero") }
            } else if byte == UInt8(ascii: "."), state != .fraction {
                state = .point
            } else if byte | 0x20 == UInt8(ascii: "e") {
                state = .exponent
            } else {
                endValue()
                return false
            }
        case .point:
            guard isDigit else { throw unexpected(byte, position, "after a decimal point") }
            state = .fraction
        case .exponent where byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-"):
            state = .exponentSign
        case .exponent, .exponentSign:
            guard isDigit else { throw unexpected(byte, position, "in an exponent") }
            state = .exponentDigits
        default:
            guard isDigit else {
                endValue()
                return false
            }
        }
        return true
    }

    private mutating func endValue() {
        state = open.isEmpty ? .done : .commaOrEnd
        if open.isEmpty { lastLine = line }
    }

    private func unexpected(_ byte: UInt8, _ position: Int64, _ place: String) -> FormatError {
        .invalid(reason: "line \(line) (byte \(position)) has \(Excerpt.quoted(byte)) \(place)")
    }
}
