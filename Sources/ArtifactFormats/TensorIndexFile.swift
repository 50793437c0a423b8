/// The `.index` of TensorFlow's tensor bundle (tensor_bundle.h): a table as LevelDB's (table_format.md), in blocks with check sums, that
/// tells where each tensor lies in the `.data-00000-of-00001` beside it.
enum TensorIndexFile {
    private static let footerLength: Int64 = 48
    private static let magic: UInt64 = 0xDB47_7524_8B80_FB57
    /// A block has a byte for its compression and a check sum behind it.
    private static let trailerLength: Int64 = 5
    /// TensorFlow writes blocks of 256 KiB; one entry may be larger, and none is so large.
    private static let longestBlock: Int64 = 64 << 20

    static func checkQuickly(_ source: some ByteSource) throws(FormatError) { _ = try footer(of: source) }

    static func facts(of source: some ByteSource) throws(FormatError) -> FormatFacts {
        let index = try footer(of: source)
        guard let blocks = try block(index, of: source) else {
            throw .invalid(reason: "its table's index is compressed, which TensorFlow does not write")
        }
        var tensors: Int64 = 0
        var hasHeader = false
        var end: Int64 = 0
        for entry in try entries(blocks) {
            var value = entry.value[...]
            let place = try handle(&value, before: index.lowerBound)
            guard place.lowerBound == end else {
                throw .invalid(reason: "its table's blocks do not lie one behind the other: it is damaged")
            }
            end = place.upperBound + trailerLength
            // What is compressed has a check sum all the same.
            guard let content = try block(place, of: source) else { continue }
            for entry in try entries(content) {
                // The header has the empty key, which comes first.
                if entry.keyLength == 0 { hasHeader = true } else { tensors += 1 }
            }
        }
        guard hasHeader else { throw .invalid(reason: "its table has no tensor bundle's header") }
        return FormatFacts(details: ["tensors": String(tensors)])
    }

    /// Where the table's index lies.
    private static func footer(of source: some ByteSource) throws(FormatError) -> Range<Int64> {
        let footer = try source.tail(Int(footerLength))
        guard footer.count == Int(footerLength), ZipDirectory.number(footer, 40, 8) == magic else {
            throw .invalid(
                reason: "it does not end as the index of a TensorFlow checkpoint: it is cut short or something else")
        }
        var rest = footer[..<40]
        let end = source.count - footerLength
        _ = try handle(&rest, before: end)
        let index = try handle(&rest, before: end)
        guard index.upperBound + trailerLength == end else {
            throw .invalid(reason: "its table's index does not end where its footer begins: it is damaged")
        }
        return index
    }

    private static let damaged = FormatError.invalid(reason: "its table is damaged")

    private static func number(_ bytes: inout ArraySlice<UInt8>) throws(FormatError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while let byte = bytes.popFirst(), shift < 64 {
            guard shift < 63 || byte < 2 else { throw damaged }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw damaged
    }

    /// A block's place, its trailer not counted.
    private static func handle(
        _ bytes: inout ArraySlice<UInt8>, before end: Int64
    ) throws(FormatError) -> Range<Int64> {
        let offset = try number(&bytes)
        let size = try number(&bytes)
        guard end >= trailerLength, offset <= UInt64(end - trailerLength),
            size <= UInt64(end - trailerLength) - offset
        else {
            throw .invalid(reason: "its table has a block outside of the file: it is damaged or cut short")
        }
        return Int64(offset)..<(Int64(offset) + Int64(size))
    }

    /// A block's content when it is not compressed. Its check sum is looked at in any case.
    private static func block(_ place: Range<Int64>, of source: some ByteSource) throws(FormatError) -> [UInt8]? {
        let size = place.upperBound - place.lowerBound
        guard size <= longestBlock else { throw .invalid(reason: "its table has a block of \(size) bytes") }
        let bytes = try source.bytes(at: place.lowerBound, length: Int(size + trailerLength))
        var sum = Checksum.CRC32C()
        bytes.withUnsafeBytes { sum.take(UnsafeRawBufferPointer(rebasing: $0[...Int(size)])) }
        // LevelDB stores the sum rotated and with a constant, so that the sum of sums is none.
        let masked = (sum.value >> 15 | sum.value << 17) &+ 0xA282_EAD8
        guard ZipDirectory.number(bytes, Int(size) + 1, 4) == UInt64(masked) else {
            throw .invalid(
                reason: "the block at byte \(place.lowerBound) of its table has not its check sum: it is damaged")
        }
        return bytes[Int(size)] == 0 ? Array(bytes[..<Int(size)]) : nil
    }

    private struct Entry {
        var keyLength: UInt64
        var value: [UInt8]
    }

    private static func entries(_ block: [UInt8]) throws(FormatError) -> [Entry] {
        guard block.count >= 4 else { throw damaged }
        let restarts = ZipDirectory.number(block, block.count - 4, 4)
        guard restarts <= UInt64((block.count - 4) / 4) else { throw damaged }
        var rest = block[..<(block.count - 4 - 4 * Int(restarts))]
        var entries: [Entry] = []
        var before: UInt64 = 0
        while !rest.isEmpty {
            let shared = try number(&rest)
            let own = try number(&rest)
            let length = try number(&rest)
            guard shared <= before, own <= UInt64(rest.count), length <= UInt64(rest.count) - own else { throw damaged }
            rest.removeFirst(Int(own))
            entries.append(Entry(keyLength: shared + own, value: Array(rest.prefix(Int(length)))))
            rest.removeFirst(Int(length))
            before = shared + own
        }
        return entries
    }
}
