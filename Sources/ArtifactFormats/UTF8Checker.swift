/// Checks UTF-8 in pieces: a character may begin in one and end in the next.
///
/// Table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF.
struct UTF8Checker {
    /// How many bytes the character under way still needs.
    private var needed: UInt8 = 0
    /// The range of its next byte.
    private var low: UInt8 = 0x80
    private var high: UInt8 = 0xBF

    /// No character is under way.
    var isComplete: Bool { needed == 0 }

    /// The index of the first byte that cannot stand where it does, or nil.
    mutating func firstError(in bytes: UnsafeRawBufferPointer) -> Int? {
        var index = 0
        let count = bytes.count
        while index < count {
            if needed == 0 {
                while index &+ 8 <= count,
                    bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
                {
                    index &+= 8
                }
                if index == count { return nil }
            }
            let byte = bytes[index]
            if needed == 0 {
                low = 0x80
                high = 0xBF
                switch byte {
                case 0...0x7F: break
                case 0xC2...0xDF: needed = 1
                case 0xE0: (needed, low) = (2, 0xA0)
                case 0xED: (needed, high) = (2, 0x9F)
                case 0xE1...0xEF: needed = 2
                case 0xF0: (needed, low) = (3, 0x90)
                case 0xF1...0xF3: needed = 3
                case 0xF4: (needed, high) = (3, 0x8F)
                default: return index
                }
            } else {
                guard byte >= low, byte <= high else { return index }
                needed &-= 1
                low = 0x80
                high = 0xBF
            }
            index &+= 1
        }
        return nil
    }
}
