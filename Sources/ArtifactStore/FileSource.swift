internal import ArtifactFormats
internal import Glibc
internal import SystemPackage

/// An open file as the checks read it.
struct FileSource: ByteSource {
    let descriptor: FileDescriptor
    let count: Int64

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try SystemCall.read(descriptor, at: offset, into: buffer)
    }

    /// The SHA-256 of the whole file.
    func sha256() throws(Errno) -> String {
        var hash = try SHA256()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
        defer { buffer.deallocate() }
        var offset: Int64 = 0
        while true {
            let got = try read(at: offset, into: buffer)
            if got == 0 { return try hash.finish() }
            hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<got]))
            offset += Int64(got)
        }
    }
}
