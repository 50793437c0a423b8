/// Questions about 64 bytes at once, in what the standard library offers on every processor.
enum Bytes64 {
    typealias Vector = SIMD16<UInt8>

    /// Bit `n` is set when byte `n` of the four vectors is `byte`.
    @inline(__always)
    static func bits(_ a: Vector, _ b: Vector, _ c: Vector, _ d: Vector, equal byte: UInt8) -> UInt64 {
        let value = Vector(repeating: byte)
        return bits(a, value) | bits(b, value) &<< 16 | bits(c, value) &<< 32 | bits(d, value) &<< 48
    }

    /// A comparison gives 0 or 1 in each byte; the multiplication gathers the eight of a word into its top byte.
    @inline(__always)
    private static func bits(_ vector: Vector, _ value: Vector) -> UInt64 {
        let ones = Vector(repeating: 0).replacing(with: Vector(repeating: 1), where: vector .== value)
        let words = unsafeBitCast(ones, to: SIMD2<UInt64>.self)
        let gather: UInt64 = 0x0102_0408_1020_4080
        return (words[0] &* gather) &>> 56 | ((words[1] &* gather) &>> 56) &<< 8
    }

    /// The smaller of each pair of bytes.
    @inline(__always)
    static func smaller(_ a: Vector, _ b: Vector) -> Vector { a.replacing(with: b, where: b .< a) }

    /// Some byte is zero.
    @inline(__always)
    static func hasZero(_ vector: Vector) -> Bool {
        let zeros = Vector(repeating: 0).replacing(with: Vector(repeating: 1), where: vector .== Vector(repeating: 0))
        let words = unsafeBitCast(zeros, to: SIMD2<UInt64>.self)
        return words[0] | words[1] != 0
    }

    /// How many bits are set.
    @inline(__always)
    static func ones(_ bits: UInt64) -> Int64 { Int64(truncatingIfNeeded: bits.nonzeroBitCount) }
}
