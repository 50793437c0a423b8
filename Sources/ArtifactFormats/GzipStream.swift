/// gzip (RFC 1952), one member or several, as bgzip writes them too, and zlib (RFC 1950): decompressed and compared with their check sums.
enum GzipStream {
    /// The empty block that ends what bgzip wrote (SAM format, section 4.1.2).
    private static let endOfBlocks: [UInt8] = [
        0x1F, 0x8B, 8, 4, 0, 0, 0, 0, 0, 0xFF, 6, 0, 0x42, 0x43, 2, 0, 0x1B, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]

    /// Whether the file begins as gzip.
    static func begins(_ head: [UInt8]) -> Bool { head.starts(with: [0x1F, 0x8B, 8]) }

    /// A file of bgzip's blocks that was cut between two of them is whole gzip; its last block tells.
    static func checkEnd(of source: some ByteSource) throws(FormatError) {
        guard source.count >= 18 else { throw .invalid(reason: "its gzip stream ends too early: it is cut short") }
        let head = try source.head(16)
        guard head.count == 16, head[3] & 4 != 0, head[12...13] == [0x42, 0x43] else { return }
        guard try source.tail(endOfBlocks.count) == endOfBlocks else {
            throw .invalid(reason: "it does not end with the empty block of bgzip: it is cut short")
        }
    }

    /// Decompresses all members; `sink` gets what was compressed, in pieces.
    static func decompress(
        _ source: some ByteSource, _ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        var inflater = Inflater(source, from: 0, to: source.count, name: "its gzip stream")
        var members = 0
        repeat {
            let first = try inflater.byte()
            // Tapes and devices fill their blocks up with zeros.
            if members > 0, first == 0 {
                while try !inflater.isAtEnd() {
                    guard try inflater.byte() == 0 else { throw rest }
                }
                return
            }
            guard first == 0x1F, try inflater.byte() == 0x8B, try inflater.byte() == 8 else {
                if members > 0 { throw rest }
                throw damaged("its header")
            }
            try passHeader(&inflater)
            var sum = Checksum.CRC32()
            var size: UInt32 = 0
            try inflater.inflate { (chunk) throws(FormatError) in
                sum.take(chunk)
                size &+= UInt32(truncatingIfNeeded: chunk.count)
                try sink(chunk)
            }
            guard try inflater.number(4) == sum.value, try inflater.number(4) == size else {
                throw damaged("its check sum or length")
            }
            members += 1
        } while try !inflater.isAtEnd()
    }

    /// Decompresses a zlib stream that fills the file.
    static func decompressZlib(
        _ source: some ByteSource, _ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        var inflater = Inflater(source, from: 0, to: source.count, name: "its zlib stream")
        try decompressZlib(&inflater, sink)
        guard try inflater.isAtEnd() else { throw .invalid(reason: "it goes on after its zlib stream") }
    }

    /// Decompresses a zlib stream, and stops where it ends.
    static func decompressZlib(
        _ inflater: inout Inflater<some ByteSource>, _ sink: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        let header = try inflater.number(2, bigEndian: true)
        guard header % 31 == 0, header >> 8 & 15 == 8, header & 0x20 == 0 else {
            throw .invalid(reason: "its zlib stream is damaged: its header")
        }
        var sum = Checksum.Adler32()
        try inflater.inflate { (chunk) throws(FormatError) in
            sum.take(chunk)
            try sink(chunk)
        }
        guard try inflater.number(4, bigEndian: true) == sum.value else {
            throw .invalid(reason: "its zlib stream is damaged: its check sum")
        }
    }

    private static let rest = FormatError.invalid(reason: "it goes on after its gzip stream with something else")
    private static func damaged(_ what: String) -> FormatError {
        .invalid(reason: "its gzip stream is damaged: \(what)")
    }

    /// What comes after the method.
    private static func passHeader(_ inflater: inout Inflater<some ByteSource>) throws(FormatError) {
        let flags = try inflater.byte()
        guard flags & 0xE0 == 0 else { throw damaged("its header") }
        for _ in 0..<6 { _ = try inflater.byte() }
        if flags & 4 != 0 {
            for _ in 0..<(try inflater.number(2)) { _ = try inflater.byte() }
        }
        // A name and a comment, each to its zero.
        for flag: UInt8 in [8, 16] where flags & flag != 0 {
            while try inflater.byte() != 0 {}
        }
        if flags & 2 != 0 { _ = try inflater.number(2) }
    }
}
