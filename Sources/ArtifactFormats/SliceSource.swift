internal import SystemPackage

/// A part of a file as a file of its own, such as an archive's member.
struct SliceSource<Base: ByteSource>: ByteSource {
    private let base: Base
    private let start: Int64
    let count: Int64

    /// - Parameter part: lies in the base; the caller has checked it.
    init(_ base: Base, _ part: Range<Int64>) {
        self.base = base
        start = part.lowerBound
        count = part.upperBound - part.lowerBound
    }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        guard offset >= 0, offset < count else { return 0 }
        let length = Int(min(Int64(buffer.count), count - offset))
        return try base.read(at: start + offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]))
    }
}

/// Gives bytes that are in memory to a scanner.
func scan(_ bytes: some Sequence<UInt8>, with scanner: inout some ChunkScanner) throws(FormatError) {
    let result: Result<Void, FormatError> = Array(bytes).withUnsafeBytes { raw in
        do throws(FormatError) {
            return .success(try scanner.consume(raw))
        } catch {
            return .failure(error)
        }
    }
    try result.get()
}
