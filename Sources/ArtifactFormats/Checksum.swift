/// The check sums that compressed files and tables carry.
enum Checksum {
    /// CRC-32 (gzip, ZIP, xz), to be given in pieces.
    struct CRC32 {
        private var state: UInt32 = 0xFFFF_FFFF
        private static let table = Checksum.table(polynomial: 0xEDB8_8320)

        /// What has been taken so far.
        var value: UInt32 { ~state }

        mutating func take(_ bytes: UnsafeRawBufferPointer) { state = Checksum.step(state, bytes, Self.table) }
    }

    /// CRC-32C, the sum of LevelDB's tables.
    struct CRC32C {
        private var state: UInt32 = 0xFFFF_FFFF
        private static let table = Checksum.table(polynomial: 0x82F6_3B78)

        var value: UInt32 { ~state }

        mutating func take(_ bytes: UnsafeRawBufferPointer) { state = Checksum.step(state, bytes, Self.table) }
    }

    /// Adler-32 (zlib).
    struct Adler32 {
        private var low: UInt32 = 1
        private var high: UInt32 = 0

        var value: UInt32 { high << 16 | low }

        mutating func take(_ bytes: UnsafeRawBufferPointer) {
            var index = 0
            while index < bytes.count {
                // So many bytes fit before the sums could overflow.
                let end = min(bytes.count, index + 5552)
                while index < end {
                    low &+= UInt32(bytes[index])
                    high &+= low
                    index &+= 1
                }
                low %= 65_521
                high %= 65_521
            }
        }
    }

    /// Eight tables, so that eight bytes are taken at once.
    private static func table(polynomial: UInt32) -> [UInt32] {
        var table = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var value = UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ polynomial }
            table[byte] = value
        }
        for place in 256..<(8 * 256) {
            let before = table[place - 256]
            table[place] = before >> 8 ^ table[Int(before & 0xFF)]
        }
        return table
    }

    private static func step(_ start: UInt32, _ bytes: UnsafeRawBufferPointer, _ table: [UInt32]) -> UInt32 {
        table.withUnsafeBufferPointer { table in
            var state = start
            var index = 0
            while index &+ 8 <= bytes.count {
                let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
                let mixed = word ^ UInt64(state)
                state = 0
                for place in 0..<8 {
                    let byte = Int(truncatingIfNeeded: mixed >> UInt64(8 &* place)) & 0xFF
                    state ^= table[(7 &- place) &* 256 &+ byte]
                }
                index &+= 8
            }
            while index < bytes.count {
                state = state >> 8 ^ table[Int(UInt8(truncatingIfNeeded: state) ^ bytes[index])]
                index &+= 1
            }
            return state
        }
    }
}
