internal import SystemPackage

/// A path of `/proc`, put together without a piece of memory of its own. What is too long is cut off: no such path leads anywhere.
struct ShortPath {
    private let start: UnsafeMutablePointer<CChar>
    private var count = 0

    static let capacity = 64

    /// - Parameter start: `capacity` characters.
    init(at start: UnsafeMutablePointer<CChar>) {
        self.start = start
        start.pointee = 0
    }

    /// Adds a text.
    mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { for byte in $0 { append(byte) } }
    }

    /// Adds a number that is not negative, in decimal digits.
    mutating func append(_ number: Int32) {
        var divisor: Int32 = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(truncatingIfNeeded: 48 + number / divisor % 10))
            divisor /= 10
        }
    }

    private mutating func append(_ byte: UInt8) {
        guard count < Self.capacity - 1 else { return }
        start[count] = CChar(bitPattern: byte)
        count += 1
        start[count] = 0
    }
}

extension SystemCall {
    /// Runs with a path.
    static func withShortPath<Result>(
        _ make: (inout ShortPath) -> Void, _ body: (UnsafePointer<CChar>) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        try withUnsafeTemporaryAllocation(of: CChar.self, capacity: ShortPath.capacity) { buffer throws(Errno) in
            guard let start = buffer.baseAddress else { throw Errno.noMemory }
            var path = ShortPath(at: start)
            make(&path)
            return try body(start)
        }
    }
}
