/// Compressed files that are not decompressed here: what their frames tell of themselves says whether they are whole.
enum CompressedFrames {
    private static func cut(_ name: String) -> FormatError {
        .invalid(reason: "its \(name) stream ends too early: it is cut short")
    }
    private static func damaged(_ name: String) -> FormatError {
        .invalid(reason: "its \(name) stream is damaged")
    }

    /// A reader that goes through the frames of a whole file.
    private struct Frames<Source: ByteSource> {
        let name: String
        private var reader: ByteReader<Source>

        init(_ source: Source, _ name: String) {
            self.name = name
            reader = ByteReader(source, from: 0, to: source.count, name: "its \(name) stream")
        }

        var isAtEnd: Bool { reader.remaining == 0 }

        mutating func number(_ size: Int) throws(FormatError) -> UInt64 {
            guard reader.remaining >= Int64(size) else { throw CompressedFrames.cut(name) }
            return try reader.littleEndian(size)
        }

        mutating func skip(_ length: UInt64) throws(FormatError) {
            guard length <= UInt64(reader.remaining) else { throw CompressedFrames.cut(name) }
            try reader.skip(Int64(length))
        }
    }

    /// Frames that both formats have for what is not theirs.
    private static func isSkippable(_ magic: UInt64) -> Bool { magic & 0xFFFF_FFF0 == 0x184D_2A50 }

    /// Zstandard (RFC 8878): every block to the one that says that it is the last, and the frame's check sum behind it.
    static func checkZstandard(_ source: some ByteSource) throws(FormatError) {
        var frames = Frames(source, "zstd")
        repeat {
            let magic = try frames.number(4)
            if isSkippable(magic) {
                try frames.skip(try frames.number(4))
                continue
            }
            guard magic == 0xFD2F_B528 else { throw damaged("zstd") }
            let descriptor = try frames.number(1)
            guard descriptor & 0x08 == 0 else { throw damaged("zstd") }
            let isSingle = descriptor & 0x20 != 0
            if !isSingle { try frames.skip(1) }
            try frames.skip([0, 1, 2, 4][Int(descriptor & 3)])
            try frames.skip([isSingle ? 1 : 0, 2, 4, 8][Int(descriptor >> 6)])
            var isLast = false
            while !isLast {
                let header = try frames.number(3)
                isLast = header & 1 == 1
                let size = header >> 3
                switch header >> 1 & 3 {
                case 1: try frames.skip(1)
                case 3: throw damaged("zstd")
                default:
                    guard size <= 128 * 1024 else { throw damaged("zstd") }
                    try frames.skip(size)
                }
            }
            if descriptor & 4 != 0 { try frames.skip(4) }
        } while !frames.isAtEnd
    }

    /// LZ4's frames (lz4_Frame_format.md): every block to the end mark, and the check sum behind it.
    static func checkLZ4(_ source: some ByteSource) throws(FormatError) {
        var frames = Frames(source, "lz4")
        repeat {
            let magic = try frames.number(4)
            if isSkippable(magic) {
                try frames.skip(try frames.number(4))
                continue
            }
            guard magic == 0x184D_2204 else { throw damaged("lz4") }
            let flags = try frames.number(1)
            guard flags >> 6 == 1, flags & 2 == 0 else { throw damaged("lz4") }
            let descriptor = try frames.number(1)
            guard descriptor & 0x8F == 0, descriptor >> 4 >= 4 else { throw damaged("lz4") }
            let longest: UInt64 = 1 << (8 + 2 * (descriptor >> 4))
            try frames.skip((flags & 8 != 0 ? 8 : 0) + (flags & 1 != 0 ? 4 : 0) + 1)
            while true {
                let size = try frames.number(4)
                if size == 0 { break }
                guard size & 0x7FFF_FFFF <= longest else { throw damaged("lz4") }
                try frames.skip(size & 0x7FFF_FFFF + (flags & 0x10 != 0 ? 4 : 0))
            }
            if flags & 4 != 0 { try frames.skip(4) }
        } while !frames.isAtEnd
    }

    /// bzip2: the last bits are those of the end of a stream and its check sum.
    static func checkBzip2(_ source: some ByteSource) throws(FormatError) {
        let tail = try source.tail(11)
        guard source.count >= 14 else { throw cut("bzip2") }
        // The mark of 48 bits, the sum of 32, and up to seven bits that fill the byte up.
        let mark: UInt64 = 0x1772_4538_5090
        for filler in 0..<8 {
            // The number that ends after the mark: 11 bytes without the filler and the sum.
            var value: UInt64 = 0
            for bit in 0..<48 {
                let place = 88 - filler - 32 - 48 + bit
                value = value << 1 | UInt64(tail[place / 8] >> UInt8(7 - place % 8) & 1)
            }
            if value == mark { return }
        }
        throw .invalid(reason: "its bzip2 stream has no end: it is cut short")
    }

    /// xz (xz-file-format.txt): the footer, the index that it tells of, and the blocks whose sizes that tells, for each stream from the last.
    static func checkXZ(_ source: some ByteSource) throws(FormatError) {
        var end = source.count
        repeat {
            // Streams may be followed by zeros, four at a time.
            guard end >= 32 else { throw cut("xz") }
            let footer = try source.bytes(at: end - 12, length: 12)
            if footer.suffix(4) == [0, 0, 0, 0] {
                end -= 4
                continue
            }
            guard footer.suffix(2) == [0x59, 0x5A], sum(footer[4..<10]) == ZipDirectory.number(footer, 0, 4) else {
                throw cut("xz")
            }
            let indexLength = (Int64(ZipDirectory.number(footer, 4, 4)) + 1) * 4
            guard indexLength <= end - 24 else { throw damaged("xz") }
            let start = end - 12 - indexLength
            let blocks = try blocksLength(of: source, index: start..<(end - 12))
            guard blocks <= start - 12 else { throw damaged("xz") }
            let header = try source.bytes(at: start - blocks - 12, length: 12)
            guard header.starts(with: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0]), header[6..<8] == footer[8..<10],
                sum(header[6..<8]) == ZipDirectory.number(header, 8, 4)
            else { throw damaged("xz") }
            end = start - blocks - 12
        } while end > 0
    }

    /// How long the blocks are that an index lists.
    private static func blocksLength(
        of source: some ByteSource, index: Range<Int64>
    ) throws(FormatError) -> Int64 {
        var reader = ByteReader(source, from: index.lowerBound, to: index.upperBound, name: "its xz index")
        guard try reader.byte() == 0 else { throw damaged("xz") }
        let count = try number(&reader)
        var total: UInt64 = 0
        // A record has at least two bytes, so that no count makes this long.
        guard count <= UInt64(reader.remaining) else { throw damaged("xz") }
        for _ in 0..<count {
            let unpadded = try number(&reader)
            _ = try number(&reader)
            guard unpadded <= UInt64(index.lowerBound), total <= UInt64(index.lowerBound) else { throw damaged("xz") }
            total += (unpadded + 3) & ~3
        }
        guard total <= UInt64(index.lowerBound) else { throw damaged("xz") }
        return Int64(total)
    }

    private static func number(_ reader: inout ByteReader<some ByteSource>) throws(FormatError) -> UInt64 {
        var value: UInt64 = 0
        for place in 0..<9 {
            let byte = try reader.byte()
            value |= UInt64(byte & 0x7F) << UInt64(7 * place)
            if byte < 0x80 { return value }
        }
        throw damaged("xz")
    }

    private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        var sum = Checksum.CRC32()
        bytes.withUnsafeBytes { sum.take($0) }
        return UInt64(sum.value)
    }
}
