internal import SystemPackage

/// The beginning of what was compressed, for people: nothing of it is checked.
public enum CompressedHead {
    /// Decompresses the beginning of a gzip file.
    ///
    /// - Parameters:
    ///   - bytes: the beginning of the file.
    ///   - limit: at most so many bytes are given.
    /// - Returns: what could be decompressed, and whether more may come.
    public static func gzip(_ bytes: [UInt8], limit: Int) -> (bytes: [UInt8], isCut: Bool) {
        var result: [UInt8] = []
        do throws(FormatError) {
            try GzipStream.decompress(KeptBytes(bytes)) { (chunk) throws(FormatError) in
                result += chunk.prefix(max(0, limit - result.count))
                if result.count >= limit { throw .changedWhileRead }
            }
            return (result, false)
        } catch { return (result, true) }
    }
}

/// Bytes in memory.
private struct KeptBytes: ByteSource {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var count: Int64 { Int64(bytes.count) }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        guard offset >= 0, offset < count else { return 0 }
        let part = bytes[Int(offset)...].prefix(buffer.count)
        buffer.copyBytes(from: part)
        return part.count
    }
}
