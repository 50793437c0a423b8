/// The older format of LZMA ("LZMA alone", lzma-specification.txt by Igor Pavlov): 13 bytes that tell how it is coded and how long the content
/// is or that nobody knows, then the code, that has no check sum but an end that can be recognised when all of it is decoded.
struct LZMAStream<Source: ByteSource> {
    private var reader: ByteReader<Source>
    private var range: UInt32 = 0xFFFF_FFFF
    private var code: UInt32 = 0
    private var probabilities: [UInt16]
    private let literalContext: Int
    private let literalPosition: Int
    private let positionBits: Int
    /// How many bytes may be referred to, and those bytes.
    private let window: Int
    private var history: [UInt8] = []
    private var place = 0
    private var total: Int64 = 0
    /// How many bytes are to come; nil when only the end's mark tells.
    private var left: UInt64?
    private var out: [UInt8] = []

    /// Where the probabilities of each kind stand in their array.
    private enum At {
        static var isMatch: Int { 0 }
        static var isRepeat: Int { 192 }
        static var isOlder: Int { 204 }
        static var isSecond: Int { 216 }
        static var isThird: Int { 228 }
        static var isLong: Int { 240 }
        static var slot: Int { 432 }
        static var special: Int { 688 }
        static var align: Int { 804 }
        static var length: Int { 820 }
        static var repeatLength: Int { 820 + 514 }
        static var literal: Int { 820 + 2 * 514 }
    }

    /// A history of more is not decoded: nobody's presets use it.
    private static var longestWindow: UInt64 { 1 << 28 }

    init(_ source: Source) throws(FormatError) {
        reader = ByteReader(source, from: 0, to: source.count, name: "its lzma stream")
        var properties = Int(try reader.byte())
        guard properties < 9 * 5 * 5 else { throw Self.damaged }
        literalContext = properties % 9
        properties /= 9
        literalPosition = properties % 5
        positionBits = properties / 5
        let size = try reader.littleEndian(4)
        guard size <= Self.longestWindow else {
            throw .invalid(reason: "its lzma stream wants a history of \(size) bytes, more than any preset")
        }
        window = max(Int(size), 4096)
        let length = try reader.littleEndian(8)
        left = length == .max ? nil : length
        probabilities = [UInt16](
            repeating: 1024, count: At.literal + 0x300 << (literalContext + literalPosition))
        guard try reader.byte() == 0 else { throw Self.damaged }
        for _ in 0..<4 { code = code << 8 | UInt32(try reader.byte()) }
    }

    private static var damaged: FormatError { .invalid(reason: "its lzma stream is damaged") }

    // MARK: The range coder

    private mutating func normalize() throws(FormatError) {
        guard range < 1 << 24 else { return }
        range <<= 8
        code = code << 8 | UInt32(try reader.byte())
    }

    private mutating func bit(_ index: Int) throws(FormatError) -> Int {
        let probability = UInt32(probabilities[index])
        let bound = (range >> 11) &* probability
        let result: Int
        if code < bound {
            range = bound
            probabilities[index] = UInt16(truncatingIfNeeded: probability &+ (2048 &- probability) >> 5)
            result = 0
        } else {
            range &-= bound
            code &-= bound
            probabilities[index] = UInt16(truncatingIfNeeded: probability &- probability >> 5)
            result = 1
        }
        try normalize()
        return result
    }

    private mutating func tree(_ start: Int, _ bits: Int) throws(FormatError) -> Int {
        var symbol = 1
        for _ in 0..<bits { symbol = symbol << 1 | (try bit(start + symbol)) }
        return symbol - 1 << bits
    }

    private mutating func reverseTree(_ start: Int, _ bits: Int) throws(FormatError) -> Int {
        var node = 1
        var symbol = 0
        for place in 0..<bits {
            let bit = try bit(start + node)
            node = node << 1 | bit
            symbol |= bit << place
        }
        return symbol
    }

    private mutating func directBits(_ bits: Int) throws(FormatError) -> Int {
        var result = 0
        for _ in 0..<bits {
            range >>= 1
            let isSet = code >= range
            if isSet { code &-= range }
            result = result << 1 | (isSet ? 1 : 0)
            try normalize()
        }
        return result
    }

    private mutating func length(_ start: Int, _ position: Int) throws(FormatError) -> Int {
        if try bit(start) == 0 { return try tree(start + 2 + position << 3, 3) }
        if try bit(start + 1) == 0 { return 8 + (try tree(start + 2 + 128 + position << 3, 3)) }
        return 16 + (try tree(start + 2 + 256, 8))
    }

    private mutating func distance(_ length: Int) throws(FormatError) -> Int {
        let slot = try tree(At.slot + min(length, 3) << 6, 6)
        if slot < 4 { return slot }
        let bits = slot >> 1 - 1
        let base = (2 | slot & 1) << bits
        if slot < 14 { return base + (try reverseTree(At.special + base - slot, bits)) }
        let high = base + (try directBits(bits - 4)) << 4
        return high + (try reverseTree(At.align, 4))
    }

    // MARK: The content

    /// The byte that stands so many back.
    private func byte(back distance: Int) -> UInt8 {
        let index = place - distance
        return history[index >= 0 ? index : index + history.count]
    }

    private mutating func put(
        _ byte: UInt8, _ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        if let some = left {
            guard some > 0 else { throw Self.damaged }
            left = some - 1
        }
        if history.count < window {
            history.append(byte)
            place = history.count == window ? 0 : history.count
        } else {
            history[place] = byte
            place = place + 1 == window ? 0 : place + 1
        }
        total += 1
        out.append(byte)
        if out.count == 64 * 1024 { try give(sink) }
    }

    private mutating func give(_ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void) throws(FormatError) {
        let result: Result<Void, FormatError> = out.withUnsafeBytes { raw in
            do throws(FormatError) { return .success(try sink(raw)) } catch { return .failure(error) }
        }
        try result.get()
        out.removeAll(keepingCapacity: true)
    }

    /// Decodes to the end, which must be that of the file; `sink` gets the content in pieces.
    mutating func decompress(
        _ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        var state = 0
        var before = [0, 0, 0, 0]
        while true {
            // Where the length is told, a mark may come or not.
            if left == 0, code == 0 { break }
            let position = Int(truncatingIfNeeded: total) & (1 << positionBits - 1)
            if try bit(At.isMatch + state << 4 + position) == 0 {
                try literal(state, before[0], sink)
                state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6
                continue
            }
            var length: Int
            if try bit(At.isRepeat + state) == 1 {
                guard total > 0 else { throw Self.damaged }
                if try bit(At.isOlder + state) == 0 {
                    if try bit(At.isLong + state << 4 + position) == 0 {
                        state = state < 7 ? 9 : 11
                        try copy(1, from: before[0], sink)
                        continue
                    }
                } else {
                    let which = try bit(At.isSecond + state) == 0 ? 1 : try bit(At.isThird + state) == 0 ? 2 : 3
                    before.insert(before.remove(at: which), at: 0)
                }
                length = try self.length(At.repeatLength, position)
                state = state < 7 ? 8 : 11
            } else {
                length = try self.length(At.length, position)
                state = state < 7 ? 7 : 10
                let distance = try distance(length)
                if distance == 0xFFFF_FFFF {
                    guard code == 0, (left ?? 0) == 0 else { throw Self.damaged }
                    break
                }
                before = [distance] + before.dropLast()
            }
            length += 2
            try copy(length, from: before[0], sink)
        }
        try give(sink)
        guard reader.remaining == 0 else { throw .invalid(reason: "it goes on after its lzma stream") }
    }

    private mutating func copy(
        _ length: Int, from distance: Int, _ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        guard distance < history.count else { throw Self.damaged }
        for _ in 0..<length { try put(byte(back: distance + 1), sink) }
    }

    private mutating func literal(
        _ state: Int, _ distance: Int, _ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        let last = total > 0 ? Int(byte(back: 1)) : 0
        let context =
            (Int(truncatingIfNeeded: total) & (1 << literalPosition - 1)) << literalContext
            + last >> (8 - literalContext)
        let start = At.literal + 0x300 * context
        var symbol = 1
        if state >= 7 {
            guard distance < history.count else { throw Self.damaged }
            var match = Int(byte(back: distance + 1))
            while symbol < 0x100 {
                let matchBit = match >> 7 & 1
                match <<= 1
                let bit = try bit(start + (1 + matchBit) << 8 + symbol)
                symbol = symbol << 1 | bit
                if matchBit != bit { break }
            }
        }
        while symbol < 0x100 { symbol = symbol << 1 | (try bit(start + symbol)) }
        try put(UInt8(truncatingIfNeeded: symbol), sink)
    }
}
