internal import ArtifactFormats
internal import SystemCalls
internal import SystemPackage

/// An open file as what decompresses reads it.
struct DescriptorSource: ByteSource {
    let descriptor: FileDescriptor
    let count: Int64

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try SystemCall.read(descriptor, at: offset, into: buffer)
    }

    /// Exactly so many bytes.
    ///
    /// - Throws: `EINVAL` when the file does not have them.
    func exactly(_ count: Int, at offset: Int64) throws(Errno) -> [UInt8] {
        guard offset >= 0, count >= 0, offset <= self.count, Int64(count) <= self.count - offset else {
            throw .invalidArgument
        }
        let bytes = try SystemCall.bytes(descriptor, at: offset, count: count)
        guard bytes.count == count else { throw .invalidArgument }
        return bytes
    }

    /// A zlib stream that begins somewhere.
    ///
    /// - Throws: `EINVAL` for what is none, or has more than `limit` bytes.
    func decompressed(at offset: Int64, limit: Int) throws(Errno) -> [UInt8] {
        guard offset >= 0, offset < count else { throw .invalidArgument }
        do throws(FormatError) {
            return try ZlibBytes.decompress(self, in: offset..<count, limit: limit)
        } catch {
            throw .invalidArgument
        }
    }
}
