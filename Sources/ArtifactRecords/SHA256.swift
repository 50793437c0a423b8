internal import CCrypto
package import SystemPackage

/// SHA-256 by the system's OpenSSL.
package struct SHA256: ~Copyable {
    /// OpenSSL's SHA-256; nil when the system's policy forbids it.
    private struct Algorithm: @unchecked Sendable {
        // Proof: OpenSSL never changes an algorithm that was fetched, and any thread may use it (EVP_MD_fetch(3)).
        let raw: OpaquePointer?
    }

    /// Looked up once: `EVP_sha256()` is looked up again with every digest.
    private static let algorithm = Algorithm(raw: EVP_MD_fetch(nil, "SHA256", nil))

    private let context: OpaquePointer
    private var failed = false

    /// - Throws: `ENOMEM`, or `ENOSYS` when the system's policy forbids SHA-256.
    package init() throws(Errno) {
        guard let context = EVP_MD_CTX_new() else { throw .noMemory }
        guard EVP_DigestInit_ex(context, Self.algorithm.raw, nil) == 1 else {
            EVP_MD_CTX_free(context)
            throw .noFunction
        }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        if EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) != 1 { failed = true }
    }

    /// The digest in hexadecimal; once.
    package mutating func finish() throws(Errno) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        guard !failed, EVP_DigestFinal_ex(context, &digest, &length) == 1, length == 32 else { throw .ioError }
        return Self.hexadecimal(digest)
    }

    /// The digest of bytes in memory.
    package static func digest(_ bytes: some Collection<UInt8>) throws(Errno) -> String {
        var hash = try SHA256()
        let isDone: Void? = bytes.withContiguousStorageIfAvailable { hash.update(UnsafeRawBufferPointer($0)) }
        if isDone == nil { Array(bytes).withUnsafeBytes { hash.update($0) } }
        return try hash.finish()
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: bytes.count * 2) { text in
            for (index, byte) in bytes.enumerated() {
                text[index * 2] = digit(byte >> 4)
                text[index * 2 + 1] = digit(byte & 15)
            }
            return bytes.count * 2
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
