/// What is compressed with zlib (RFC 1950) somewhere in a file, wholly in memory.
package enum ZlibBytes {
    /// Decompresses one stream, and compares it with its check sum.
    ///
    /// - Parameters:
    ///   - part: where the stream begins, and where it ends at the latest; what comes after it is not looked at.
    ///   - limit: the most bytes that the caller wants.
    /// - Throws: ``FormatError``, also for a stream that has more than that.
    package static func decompress(
        _ source: some ByteSource, in part: Range<Int64>, limit: Int
    ) throws(FormatError) -> [UInt8] {
        var inflater = Inflater(source, from: part.lowerBound, to: part.upperBound, name: "its zlib stream")
        var result: [UInt8] = []
        try GzipStream.decompressZlib(&inflater) { (chunk) throws(FormatError) in
            guard chunk.count <= limit - result.count else {
                throw .invalid(reason: "its zlib stream has more than \(limit) bytes")
            }
            result.append(contentsOf: chunk)
        }
        return result
    }
}
