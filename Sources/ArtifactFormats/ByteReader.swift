/// Reads a part of a file in order through a small buffer, so that no size in the file decides how much memory is used.
struct ByteReader<Source: ByteSource> {
    /// The file offset of the next byte, and where the part ends.
    private(set) var position: Int64
    let end: Int64
    private let source: Source
    /// What the part is, for reasons: "the Parquet footer".
    private let name: String
    private var buffer: [UInt8] = []
    private var index = 0

    init(_ source: Source, from start: Int64, to end: Int64, name: String) {
        self.source = source
        self.position = start
        self.end = end
        self.name = name
    }

    /// How many bytes of the part are left.
    var remaining: Int64 { end - position }

    mutating func byte() throws(FormatError) -> UInt8 {
        if index == buffer.count {
            guard remaining > 0 else { throw .invalid(reason: "\(name) ends too early") }
            buffer = try source.bytes(at: position, length: Int(min(remaining, 32 * 1024)))
            index = 0
        }
        let byte = buffer[index]
        index += 1
        position += 1
        return byte
    }

    mutating func skip(_ length: Int64) throws(FormatError) {
        guard length >= 0, length <= remaining else { throw .invalid(reason: "\(name) holds a length beyond its end") }
        position += length
        if length <= Int64(buffer.count - index) {
            index += Int(length)
        } else {
            buffer = []
            index = 0
        }
    }

    /// The next bytes; `limit` is the most the caller would keep.
    mutating func bytes(_ length: Int64, limit: Int) throws(FormatError) -> [UInt8] {
        guard length >= 0, length <= remaining else { throw .invalid(reason: "\(name) holds a length beyond its end") }
        guard length <= Int64(limit) else { throw .invalid(reason: "\(name) holds a text of \(length) bytes") }
        var result: [UInt8] = []
        result.reserveCapacity(Int(length))
        for _ in 0..<length { result.append(try byte()) }
        return result
    }

    mutating func littleEndian(_ size: Int) throws(FormatError) -> UInt64 {
        var value: UInt64 = 0
        for place in 0..<size { value |= UInt64(try byte()) << (8 * UInt64(place)) }
        return value
    }
}
