/// Thrift's compact protocol (thrift-compact-protocol.md in Apache Thrift), as far as reading Parquet's footer needs it.
///
/// Nothing in the bytes is trusted: every length is held against what is left, nesting against ``depthLimit``.
struct ThriftReader<Source: ByteSource> {
    /// A field's or an element's type.
    enum Kind: UInt8 {
        case yes = 1
        case no
        case byte
        case int16
        case int32
        case int64
        case double
        case binary
        case list
        case set
        case map
        case structure
        case uuid
    }

    /// How deep what is skipped may nest; Parquet's metadata nests less than ten levels.
    static var depthLimit: Int { 32 }

    private var reader: ByteReader<Source>
    private let name: String

    init(_ source: Source, from start: Int64, to end: Int64, name: String) {
        reader = ByteReader(source, from: start, to: end, name: name)
        self.name = name
    }

    private var damaged: FormatError { .invalid(reason: "\(name) is damaged") }

    /// The next field of a structure, nil at its end. `id` is that of the field before it, 0 at first.
    mutating func nextField(_ id: inout Int64) throws(FormatError) -> Kind? {
        let header = try reader.byte()
        if header == 0 { return nil }
        guard let kind = Kind(rawValue: header & 0x0F) else { throw damaged }
        id = header >> 4 == 0 ? try zigzag() : id + Int64(header >> 4)
        guard id > -32_769, id < 32_768 else { throw damaged }
        return kind
    }

    /// A list's length, when its elements are of this kind.
    mutating func list(of kind: Kind) throws(FormatError) -> Int64 {
        let (count, found) = try listHeader()
        guard count == 0 || found == kind else { throw damaged }
        return count
    }

    /// An integer of any width.
    mutating func integer(_ kind: Kind) throws(FormatError) -> Int64 {
        switch kind {
        case .byte: Int64(Int8(bitPattern: try reader.byte()))
        case .int16, .int32, .int64: try zigzag()
        default: throw damaged
        }
    }

    /// The bytes of a text, of which there may be at most `limit`.
    mutating func binary(_ kind: Kind, limit: Int) throws(FormatError) -> [UInt8] {
        guard kind == .binary else { throw damaged }
        return try reader.bytes(try length(), limit: limit)
    }

    /// Demands a kind that the caller is about to read.
    func expect(_ kind: Kind, _ wanted: Kind) throws(FormatError) {
        guard kind == wanted else { throw damaged }
    }

    /// Passes over a value, whatever is in it.
    mutating func skip(_ kind: Kind, isElement: Bool = false, depth: Int = 0) throws(FormatError) {
        guard depth < Self.depthLimit else { throw .invalid(reason: "\(name) nests too deep") }
        switch kind {
        case .yes, .no:
            // A field's value is in its header; an element's is a byte.
            if isElement { try reader.skip(1) }
        case .byte: try reader.skip(1)
        case .int16, .int32, .int64: _ = try varint()
        case .double: try reader.skip(8)
        case .uuid: try reader.skip(16)
        case .binary: try reader.skip(try length())
        case .list, .set:
            let (count, element) = try listHeader()
            for _ in 0..<count { try skip(element, isElement: true, depth: depth + 1) }
        case .map:
            let count = try length()
            if count == 0 { return }
            let kinds = try reader.byte()
            guard let key = Kind(rawValue: kinds >> 4), let value = Kind(rawValue: kinds & 0x0F) else { throw damaged }
            for _ in 0..<count {
                try skip(key, isElement: true, depth: depth + 1)
                try skip(value, isElement: true, depth: depth + 1)
            }
        case .structure:
            var id: Int64 = 0
            while let field = try nextField(&id) { try skip(field, depth: depth + 1) }
        }
    }

    /// How many bytes are left.
    var remaining: Int64 { reader.remaining }

    private mutating func listHeader() throws(FormatError) -> (Int64, Kind) {
        let header = try reader.byte()
        let short = Int64(header >> 4)
        let count = short == 15 ? try length() : short
        // Every element takes at least a byte.
        guard count <= reader.remaining else { throw damaged }
        guard let kind = Kind(rawValue: header & 0x0F) else {
            guard count == 0 else { throw damaged }
            return (0, .byte)
        }
        return (count, kind)
    }

    /// A length; never more than is left.
    private mutating func length() throws(FormatError) -> Int64 {
        let value = try varint()
        guard value <= UInt64(reader.remaining) else { throw damaged }
        return Int64(value)
    }

    private mutating func zigzag() throws(FormatError) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    private mutating func varint() throws(FormatError) -> UInt64 {
        var value: UInt64 = 0
        for place in 0..<10 {
            let byte = try reader.byte()
            value |= UInt64(byte & 0x7F) << UInt64(7 * place)
            if byte & 0x80 == 0 { return value }
        }
        throw damaged
    }
}
