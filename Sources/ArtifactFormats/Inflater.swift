/// Reads a part of a file and what is compressed in it with DEFLATE (RFC 1951), and keeps no more of it than the 32 KiB that it may refer to.
struct Inflater<Source: ByteSource> {
    private let source: Source
    /// What the part is, for reasons: "its gzip stream".
    private let name: String
    private var next: Int64
    private let end: Int64
    private var input: [UInt8] = []
    private var index = 0
    private var bits: UInt64 = 0
    private var count = 0

    /// The last 32 KiB, then what has not been given away.
    private var out: [UInt8]
    private var filled = 0
    private var given = 0

    private static var window: Int { 32 * 1024 }

    init(_ source: Source, from start: Int64, to end: Int64, name: String) {
        self.source = source
        self.name = name
        next = start
        self.end = end
        out = [UInt8](repeating: 0, count: Self.window + 128 * 1024)
    }

    // MARK: Bits and bytes

    private var cut: FormatError { .invalid(reason: "\(name) ends too early: it is cut short") }
    private func damaged(_ what: String) -> FormatError { .invalid(reason: "\(name) is damaged: \(what)") }

    private mutating func refill() throws(FormatError) {
        while count <= 56 {
            if index == input.count {
                guard next < end else { return }
                input = try source.bytes(at: next, length: Int(min(end - next, 32 * 1024)))
                next += Int64(input.count)
                index = 0
            }
            bits |= UInt64(input[index]) << UInt64(count)
            index &+= 1
            count &+= 8
        }
    }

    private mutating func drop(_ number: Int) {
        bits >>= UInt64(number)
        count &-= number
    }

    private mutating func take(_ number: Int) throws(FormatError) -> Int {
        if count < number {
            try refill()
            guard count >= number else { throw cut }
        }
        let value = Int(truncatingIfNeeded: bits & ((1 << UInt64(number)) &- 1))
        drop(number)
        return value
    }

    /// Leaves the byte under way.
    private mutating func align() { drop(count % 8) }

    /// A whole byte, between streams.
    mutating func byte() throws(FormatError) -> UInt8 { UInt8(truncatingIfNeeded: try take(8)) }

    /// A number of so many bytes, between streams.
    mutating func number(_ size: Int, bigEndian: Bool = false) throws(FormatError) -> UInt32 {
        var value: UInt32 = 0
        for place in 0..<size {
            let byte = UInt32(try byte())
            value = bigEndian ? value << 8 | byte : value | byte << UInt32(8 * place)
        }
        return value
    }

    /// Nothing is left of the part.
    mutating func isAtEnd() throws(FormatError) -> Bool {
        try refill()
        return count == 0
    }

    // MARK: Blocks

    /// Goes through one stream; `sink` gets what was compressed, in pieces.
    mutating func inflate(_ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void) throws(FormatError) {
        filled = 0
        given = 0
        var isLast = false
        while !isLast {
            isLast = try take(1) == 1
            switch try take(2) {
            case 0: try stored(sink)
            case 1: try compressed(Huffman.fixedLiterals, Huffman.fixedDistances, sink)
            case 2:
                let (literals, distances) = try codes()
                try compressed(literals, distances, sink)
            default: throw damaged("a block of a kind that does not exist")
            }
        }
        align()
        try give(sink)
    }

    private mutating func give(_ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void) throws(FormatError) {
        guard filled > given else { return }
        let piece = given..<filled
        let result: Result<Void, FormatError> = out.withUnsafeBytes { raw in
            do throws(FormatError) {
                return .success(try sink(UnsafeRawBufferPointer(rebasing: raw[piece])))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
        given = filled
    }

    /// Gives away what is there, and makes room behind the window.
    private mutating func makeRoom(
        _ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        try give(sink)
        let start = filled - Self.window
        for place in 0..<Self.window { out[place] = out[start + place] }
        filled = Self.window
        given = filled
    }

    private mutating func stored(_ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void) throws(FormatError) {
        align()
        let length = try take(16)
        guard try take(16) == length ^ 0xFFFF else { throw damaged("a stored block whose length is not told twice") }
        for _ in 0..<length {
            if filled == out.count { try makeRoom(sink) }
            out[filled] = try byte()
            filled &+= 1
        }
    }

    private mutating func codes() throws(FormatError) -> (Huffman, Huffman) {
        let literals = try take(5) + 257
        let distances = try take(5) + 1
        let used = try take(4) + 4
        guard literals <= 286, distances <= 30 else { throw damaged("more codes than there are") }
        var lengths = [UInt8](repeating: 0, count: 19)
        let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
        for place in 0..<used { lengths[order[place]] = UInt8(try take(3)) }
        guard let meta = Huffman(lengths, mayBeIncomplete: false) else { throw damaged("its code lengths' code") }
        lengths = []
        while lengths.count < literals + distances {
            let symbol = try decode(meta)
            switch symbol {
            case 0...15: lengths.append(UInt8(symbol))
            case 16:
                guard let last = lengths.last else { throw damaged("a repeated length without a first") }
                lengths.append(contentsOf: repeatElement(last, count: try take(2) + 3))
            case 17: lengths.append(contentsOf: repeatElement(0, count: try take(3) + 3))
            default: lengths.append(contentsOf: repeatElement(0, count: try take(7) + 11))
            }
        }
        guard lengths.count == literals + distances, lengths[256] != 0,
            let first = Huffman(Array(lengths[..<literals]), mayBeIncomplete: true),
            let second = Huffman(Array(lengths[literals...]), mayBeIncomplete: true)
        else { throw damaged("its code lengths") }
        return (first, second)
    }

    @inline(__always)
    private mutating func decode(_ code: Huffman) throws(FormatError) -> Int {
        if count < 15 { try refill() }
        let entry = code.fast[Int(truncatingIfNeeded: bits) & Huffman.fastMask]
        let length = Int(entry & 15)
        if length != 0, length <= count {
            drop(length)
            return Int(entry >> 4)
        }
        return try decodeSlowly(code)
    }

    @inline(never)
    private mutating func decodeSlowly(_ code: Huffman) throws(FormatError) -> Int {
        guard let (symbol, length) = code.symbol(of: bits) else { throw damaged("a code that stands for nothing") }
        guard length <= count else { throw cut }
        drop(length)
        return symbol
    }

    private mutating func compressed(
        _ literals: Huffman, _ distances: Huffman, _ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        while true {
            let symbol = try decode(literals)
            if symbol < 256 {
                if filled == out.count { try makeRoom(sink) }
                out[filled] = UInt8(symbol)
                filled &+= 1
                continue
            }
            if symbol == 256 { return }
            let place = symbol - 257
            guard place < Self.lengthBase.count else { throw damaged("a length that does not exist") }
            let length = Self.lengthBase[place] + (try take(Self.lengthBits[place]))
            let far = try decode(distances)
            guard far < Self.distanceBase.count else { throw damaged("a distance that does not exist") }
            let distance = Self.distanceBase[far] + (try take(Self.distanceBits[far]))
            // What is before `filled` is all there is, or more than the window.
            guard distance <= filled else { throw damaged("a distance that reaches before the beginning") }
            for _ in 0..<length {
                if filled == out.count { try makeRoom(sink) }
                out[filled] = out[filled - distance]
                filled &+= 1
            }
        }
    }

    private static var lengthBase: [Int] { InflaterTables.lengthBase }
    private static var lengthBits: [Int] { InflaterTables.lengthBits }
    private static var distanceBase: [Int] { InflaterTables.distanceBase }
    private static var distanceBits: [Int] { InflaterTables.distanceBits }
}

/// RFC 1951, section 3.2.5.
private enum InflaterTables {
    static let lengthBase = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227,
        258,
    ]
    static let lengthBits = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]
    static let distanceBase = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
        6145,
        8193, 12289, 16385, 24577,
    ]
    static let distanceBits = [
        0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
    ]
}

/// A prefix code by the lengths of its codes.
private struct Huffman {
    private static let fastBits = 10
    static let fastMask = (1 << fastBits) - 1

    /// By the next bits: the symbol, and in the low four bits the code's length; 0 for longer codes and for none.
    let fast: [UInt16]
    /// How many codes there are of each length, and the symbols by length.
    private let counts: [Int]
    private let symbols: [Int]

    /// - Parameter mayBeIncomplete: one code of one bit may stand alone, as zlib has it.
    init?(_ lengths: [UInt8], mayBeIncomplete: Bool) {
        var counts = [Int](repeating: 0, count: 16)
        for length in lengths { counts[Int(length & 15)] += 1 }
        counts[0] = 0
        var left = 1
        for length in 1...15 {
            left = left * 2 - counts[length]
            if left < 0 { return nil }
        }
        let used = counts.reduce(0, +)
        guard left == 0 || (mayBeIncomplete && used == counts[1]) else { return nil }
        var starts = [Int](repeating: 0, count: 17)
        for length in 1...15 { starts[length + 1] = starts[length] + counts[length] }
        var symbols = [Int](repeating: 0, count: used)
        for (symbol, length) in lengths.enumerated() where length != 0 {
            symbols[starts[Int(length)]] = symbol
            starts[Int(length)] += 1
        }
        var fast = [UInt16](repeating: 0, count: 1 << Self.fastBits)
        var code = 0
        var place = 0
        for length in 1...Self.fastBits {
            code <<= 1
            for _ in 0..<counts[length] {
                var reversed = 0
                for bit in 0..<length where code & 1 << bit != 0 { reversed |= 1 << (length - 1 - bit) }
                var slot = reversed
                while slot < fast.count {
                    fast[slot] = UInt16(symbols[place] << 4 | length)
                    slot += 1 << length
                }
                code += 1
                place += 1
            }
        }
        self.fast = fast
        self.counts = counts
        self.symbols = symbols
    }

    /// The symbol whose code the bits begin with.
    func symbol(of bits: UInt64) -> (symbol: Int, length: Int)? {
        var code = 0
        var first = 0
        var index = 0
        for length in 1...15 {
            code |= Int(truncatingIfNeeded: bits >> UInt64(length - 1)) & 1
            let count = counts[length]
            if code - count < first { return (symbols[index + code - first], length) }
            index += count
            first = (first + count) << 1
            code <<= 1
        }
        return nil
    }

    static let fixedLiterals: Huffman = {
        let lengths =
            [UInt8](repeating: 8, count: 144) + [UInt8](repeating: 9, count: 112) + [UInt8](repeating: 7, count: 24)
            + [UInt8](repeating: 8, count: 8)
        return Huffman(known: lengths)
    }()
    static let fixedDistances = Huffman(known: [UInt8](repeating: 5, count: 32))

    /// A code of the standard, which is complete.
    private init(known lengths: [UInt8]) {
        if let code = Huffman(lengths, mayBeIncomplete: false) {
            self = code
        } else {
            fast = [UInt16](repeating: 0, count: 1 << Self.fastBits)
            counts = [Int](repeating: 0, count: 16)
            symbols = []
        }
    }
}
