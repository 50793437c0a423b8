internal import ArtifactRecords
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A file that goes in parts, as several threads send it.
///
/// Its bytes are read in their order, by one thread at a time, for the SHA-256 of all of it; what was read is sent beside that.
final class PartedFile: Sendable {
    /// What it is, to who wants it sent.
    let number: Int
    let file: FileDescriptor
    let size: Int64
    let sha256: String
    let key: String
    let upload: String
    let partSize: Int64
    /// What the server has of it from another time.
    let kept: [Int64: KeptPart]

    private let whole = Lock(ByteHash())

    init(
        _ number: Int, _ file: FileDescriptor, _ size: Int64, _ sha256: String, _ key: String, _ upload: String,
        _ kept: [Int64: KeptPart]
    ) {
        (self.number, self.file, self.size, self.sha256) = (number, file, size, sha256)
        (self.key, self.upload, self.kept) = (key, upload, kept)
        partSize = Bucket.partSize(of: size)
    }

    deinit { SystemCall.close(file) }

    /// How many there are.
    var parts: Int64 { (size - 1) / partSize + 1 }

    /// Where a part begins, and how many bytes it has.
    func range(_ part: Int64) -> (offset: Int64, count: Int64) {
        let offset = (part - 1) * partSize
        return (offset, min(partSize, size - offset))
    }

    /// Reads the next part; whoever does is alone.
    ///
    /// - Returns: its SHA-256, and its tag where the server has the same already.
    func read(_ part: Int64) throws(Errno) -> (sha256: String, tag: String?) {
        let (offset, count) = range(part)
        let known = kept[part].flatMap { $0.size == count ? $0 : nil }
        // What it is compared by where the server tells no SHA-256; where the system forbids it, the part is sent again.
        let asked = known?.sha256 == nil ? known?.md5 : nil
        let digest: String
        let tag: String?
        (digest, tag) = try whole.withLock { whole throws(Errno) in
            var hash = try SHA256()
            var other = asked == nil ? nil : try? MessageDigest(.md5)
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
            defer { buffer.deallocate() }
            var (place, left) = (offset, count)
            while left > 0 {
                let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(left, 1 << 18))])
                let got = try SystemCall.read(file, at: place, into: room)
                // It is shorter than it was.
                guard got > 0 else { throw .ioError }
                let bytes = UnsafeRawBufferPointer(rebasing: room[..<got])
                hash.update(bytes)
                try whole.add(bytes)
                other?.update(bytes)
                (place, left) = (place &+ Int64(got), left - Int64(got))
            }
            let digest = try hash.finish()
            let md5 = try? other.take()?.hexadecimal()
            let isThere = known.map { $0.sha256 == digest || $0.sha256 == nil && md5 != nil && md5 == asked } ?? false
            return (digest, isThere ? known?.tag : nil)
        }
        return (digest, tag)
    }

    /// The SHA-256 of all that was read; once.
    func finish() throws(Errno) -> String {
        try whole.withLock { whole throws(Errno) in try whole.finish() }
    }
}

extension MessageDigest {
    fileprivate consuming func hexadecimal() throws(Errno) -> String {
        Self.hexadecimal(try finish())
    }
}
