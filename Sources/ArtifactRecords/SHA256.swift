package import SystemPackage

/// SHA-256 as the records have it: in hexadecimal digits.
package struct SHA256: ~Copyable {
    private var digest: MessageDigest

    /// - Throws: `ENOMEM`, or `ENOSYS` when the system's policy forbids SHA-256.
    package init() throws(Errno) { digest = try MessageDigest(.sha256) }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) { digest.update(bytes) }

    /// The digest in hexadecimal; once.
    package mutating func finish() throws(Errno) -> String {
        MessageDigest.hexadecimal(try digest.finish())
    }

    /// The digest of bytes in memory.
    package static func digest(_ bytes: some Collection<UInt8>) throws(Errno) -> String {
        var hash = try MessageDigest(.sha256)
        hash.update(bytes)
        return MessageDigest.hexadecimal(try hash.finish())
    }
}
