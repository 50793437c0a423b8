/// Safetensors (github.com/huggingface/safetensors, "Format"): the length of a header in 8 bytes, the header in JSON, then the bytes of
/// the tensors, one behind the other, without holes and without anything after them. So the header tells how long the file is.
enum SafetensorsFile {
    /// The library reads no longer header (`MAX_HEADER_SIZE`).
    static let longestHeader: Int64 = 100_000_000
    /// Headers up to this length are read when the file is closed; a model of a hundred tensors has 10 KB.
    static let window: Int64 = 256 * 1024

    static func checkQuickly(_ source: some ByteSource) throws(FormatError) {
        let header = try header(of: source)
        if header.upperBound - header.lowerBound <= window { _ = try tensors(in: header, of: source) }
    }

    static func facts(of source: some ByteSource) throws(FormatError) -> FormatFacts {
        let tensors = try tensors(in: try header(of: source), of: source)
        return FormatFacts(details: ["tensors": String(tensors)])
    }

    /// Where the header lies.
    private static func header(of source: some ByteSource) throws(FormatError) -> Range<Int64> {
        let head = try source.head(8)
        guard source.count >= 10 else {
            throw .invalid(reason: "it is shorter than any safetensors file: it is cut short")
        }
        let length = ZipDirectory.number(head, 0, 8)
        guard length >= 2, length <= UInt64(longestHeader), length <= UInt64(source.count - 8) else {
            throw .invalid(
                reason: "its safetensors header would be \(length) bytes long, "
                    + "which does not fit a file of \(source.count) bytes")
        }
        return 8..<(8 + Int64(length))
    }

    /// Reads the header.
    ///
    /// - Returns: how many tensors there are.
    private static func tensors(in header: Range<Int64>, of source: some ByteSource) throws(FormatError) -> Int64 {
        try checkText(header, of: source)
        var reader = SafetensorsHeader(source, header)
        let places = try reader.places().sorted { ($0.begin, $0.end) < ($1.begin, $1.end) }
        var end: Int64 = 0
        for place in places {
            guard place.begin == end, place.end >= place.begin else {
                throw .invalid(
                    reason: "its safetensors header has a tensor at \(place.begin) to \(place.end), "
                        + "where \(end) is the next free byte")
            }
            end = place.end
        }
        let (total, overflow) = header.upperBound.addingReportingOverflow(end)
        guard !overflow, total == source.count else {
            throw .invalid(
                reason: "its safetensors header tells of \(overflow ? "too many" : String(total)) bytes, "
                    + "the file has \(source.count)" + (overflow || total > source.count ? ": it is cut short" : ""))
        }
        return Int64(places.count)
    }

    /// That the header is a JSON object.
    private static func checkText(_ header: Range<Int64>, of source: some ByteSource) throws(FormatError) {
        var scanner = JSONScanner()
        var offset = header.lowerBound
        do throws(FormatError) {
            while offset < header.upperBound {
                let piece = try source.bytes(at: offset, length: Int(min(header.upperBound - offset, 64 * 1024)))
                if offset == header.lowerBound, piece.first != UInt8(ascii: "{") {
                    throw .invalid(reason: "it does not begin with '{'")
                }
                let result: Result<Void, FormatError> = piece.withUnsafeBytes { raw in
                    do throws(FormatError) { return .success(try scanner.consume(raw)) } catch {
                        return .failure(error)
                    }
                }
                try result.get()
                offset += Int64(piece.count)
            }
            _ = try scanner.finish()
        } catch {
            guard case .invalid(let reason) = error else { throw error }
            throw .invalid(reason: "its safetensors header is damaged: \(reason)")
        }
    }
}

/// Takes the tensors' places out of a header whose grammar has been checked; what else is in it is passed over.
private struct SafetensorsHeader<Source: ByteSource> {
    struct Place {
        var begin: Int64
        var end: Int64
    }

    private var reader: ByteReader<Source>
    /// The byte that comes next.
    private var next: UInt8 = 0

    init(_ source: Source, _ header: Range<Int64>) {
        reader = ByteReader(source, from: header.lowerBound, to: header.upperBound, name: "its safetensors header")
    }

    /// More tensors than this are refused: their places are kept in memory.
    private static var limit: Int { 2_000_000 }

    private static func damaged(_ what: String) -> FormatError {
        .invalid(reason: "its safetensors header has \(what)")
    }

    mutating func places() throws(FormatError) -> [Place] {
        var places: [Place] = []
        next = try reader.byte()
        try members { (reader, name) throws(FormatError) in
            if name == Array("__metadata__".utf8) { return try reader.skipValue() }
            guard places.count < Self.limit else { throw Self.damaged("more than \(Self.limit) tensors") }
            guard let place = try reader.tensor() else {
                throw Self.damaged("a tensor \"\(Excerpt.text(name))\" without data_offsets")
            }
            places.append(place)
        }
        return places
    }

    private mutating func tensor() throws(FormatError) -> Place? {
        var place: Place?
        try members { (reader, name) throws(FormatError) in
            if name == Array("data_offsets".utf8) {
                place = try reader.offsets()
            } else {
                try reader.skipValue()
            }
        }
        return place
    }

    /// `[begin, end]`
    private mutating func offsets() throws(FormatError) -> Place {
        try take("[")
        let begin = try number()
        try take(",")
        let end = try number()
        try take("]")
        return Place(begin: begin, end: end)
    }

    /// Goes through an object. `body` gets each member's name, as it stands between the quotes, and takes its value.
    private mutating func members(
        _ body: (inout Self, [UInt8]) throws(FormatError) -> Void
    ) throws(FormatError) {
        try take("{")
        try skipBlanks()
        while next != UInt8(ascii: "}") {
            let name = try string()
            try take(":")
            try body(&self, name)
            try skipBlanks()
            guard next == UInt8(ascii: ",") else { break }
            try advance()
            try skipBlanks()
        }
        guard next == UInt8(ascii: "}") else { throw Self.damaged("an object that does not end") }
        try advance()
    }

    /// At the end of the header a blank comes: what looks for more finds that it is not there.
    private mutating func advance() throws(FormatError) { next = reader.remaining > 0 ? try reader.byte() : 0x20 }

    private mutating func skipBlanks() throws(FormatError) {
        while JSONText.isBlank(next), reader.remaining > 0 { try advance() }
    }

    private mutating func take(_ character: Unicode.Scalar) throws(FormatError) {
        try skipBlanks()
        guard next == UInt8(ascii: character) else {
            throw Self.damaged("\(Excerpt.quoted(next)) where '\(character)' is expected")
        }
        try advance()
    }

    /// The first bytes of a string, escapes as they stand: no name that is looked for has any.
    private mutating func string() throws(FormatError) -> [UInt8] {
        try take("\"")
        var text: [UInt8] = []
        while next != UInt8(ascii: "\"") {
            guard reader.remaining > 0 else { throw Self.damaged("a string that does not end") }
            if text.count < 64 { text.append(next) }
            if next == UInt8(ascii: "\\") { try advance() }
            try advance()
        }
        try advance()
        return text
    }

    /// A whole number that is not negative.
    private mutating func number() throws(FormatError) -> Int64 {
        try skipBlanks()
        guard JSONText.isDigit(next) else { throw Self.damaged("\(Excerpt.quoted(next)) where an offset is expected") }
        var value: Int64 = 0
        while JSONText.isDigit(next) {
            let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Int64(next - UInt8(ascii: "0")))
            guard !overflow, !carry else { throw Self.damaged("an offset that no file has") }
            value = sum
            try advance()
        }
        return value
    }

    /// Passes over a value of any kind: strings, and brackets that are balanced, as the grammar's check has seen.
    private mutating func skipValue() throws(FormatError) {
        try skipBlanks()
        var depth: Int64 = 0
        while true {
            switch next {
            case UInt8(ascii: "\""):
                _ = try string()
                if depth == 0 { return }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                // The bracket that is not the value's own ends it: a number or a word has none.
                if depth == 0 { return }
                depth -= 1
                if depth == 0 { return try advance() }
            case UInt8(ascii: ",") where depth == 0: return
            default: break
            }
            guard reader.remaining > 0 else { return }
            try advance()
        }
    }
}
