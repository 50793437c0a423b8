public import SystemPackage

/// Random access to the bytes of one file. The store implements it over `pread`; tests over an array.
public protocol ByteSource {
    /// The file's length in bytes.
    var count: Int64 { get }

    /// Reads up to `buffer.count` bytes at `offset`.
    ///
    /// - Returns: how many bytes were read. Fewer than asked is allowed anywhere; 0 only at the end of the file.
    /// - Throws: the error of the read. `EINTR` is the source's to retry.
    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int
}

extension ByteSource {
    /// One read, with the source's promise checked, so that no caller computes with an impossible count.
    func readSome(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(FormatError) -> Int {
        let got: Int
        do throws(Errno) {
            got = try read(at: offset, into: buffer)
        } catch {
            throw .unreadable(error)
        }
        guard got >= 0, got <= buffer.count else { throw .unreadable(.ioError) }
        return got
    }

    /// Exactly `length` bytes at `offset`. `length` is the caller's own bound, never a number from the file.
    func bytes(at offset: Int64, length: Int) throws(FormatError) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(length, 1), alignment: 16)
        defer { buffer.deallocate() }
        var filled = 0
        while filled < length {
            let got = try readSome(
                at: offset + Int64(filled), into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<length]))
            guard got > 0 else { throw .changedWhileRead }
            filled += got
        }
        return [UInt8](buffer[..<length])
    }

    /// The first bytes, at most `limit`.
    func head(_ limit: Int) throws(FormatError) -> [UInt8] {
        try bytes(at: 0, length: Int(min(count, Int64(limit))))
    }

    /// The last bytes, at most `limit`.
    func tail(_ limit: Int) throws(FormatError) -> [UInt8] {
        let length = min(count, Int64(limit))
        return try bytes(at: count - length, length: Int(length))
    }
}
