import Glibc

/// What the benchmark's files hold: TSV whose every 4 KiB block names itself, so that a reader can prove what it read.
///
/// A block is 64 rows of 64 bytes. Row 1 of a block begins with the block's number in 12 digits; the *stamp* is the last
/// eight of them, read as one word.
enum Content {
    static let blockSize = 4096
    static let rowSize = 64
    /// Where a block's stamp is.
    static let stampOffset = rowSize + 4

    /// Fills a block. The first block of a file has the header in place of its row 0.
    static func fill(_ block: UnsafeMutableRawPointer, number: Int, header: Bool) {
        for row in 0..<(blockSize / rowSize) {
            let line = block + row * rowSize
            if row == 0 && header {
                let names: StaticString = "position\tchromosome\tsequence_of_the_window_around_this_position__"
                memcpy(line, names.utf8Start, rowSize - 1)
            } else {
                var rest = number
                for digit in stride(from: 11, through: 0, by: -1) {
                    line.storeBytes(of: UInt8(ascii: "0") + UInt8(rest % 10), toByteOffset: digit, as: UInt8.self)
                    rest /= 10
                }
                let bases: StaticString = "\tchr1\tACGTTGCAACGTTGCAACGTTGCAACGTTGCAACGTTGCAACGTT"
                memcpy(line + 12, bases.utf8Start, rowSize - 1 - 12)
            }
            line.storeBytes(of: UInt8(ascii: "\n"), toByteOffset: rowSize - 1, as: UInt8.self)
        }
    }

    /// The stamp of a block in memory.
    @inline(__always) static func stamp(of block: UnsafeRawPointer) -> UInt64 {
        block.loadUnaligned(fromByteOffset: stampOffset, as: UInt64.self)
    }

    /// The stamps of blocks `0..<count`.
    static func stamps(count: Int) -> [UInt64] {
        let block = UnsafeMutableRawPointer.allocate(byteCount: blockSize, alignment: blockSize)
        defer { block.deallocate() }
        return (0..<count).map { number in
            fill(block, number: number, header: false)
            return stamp(of: block)
        }
    }
}
