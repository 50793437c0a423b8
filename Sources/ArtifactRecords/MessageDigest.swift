internal import CCrypto
package import SystemPackage

/// SHA-1, SHA-256 or MD5 by the system's OpenSSL.
package struct MessageDigest: ~Copyable {
    /// Which one.
    package enum Algorithm: Sendable, Hashable {
        case sha1, sha256
        /// It proves nothing against who means harm: servers name parts by it.
        case md5

        /// Of a digest, in bytes.
        package var length: Int {
            switch self {
            case .sha1: 20
            case .sha256: 32
            case .md5: 16
            }
        }
    }

    /// OpenSSL's algorithm; nil when the system's policy forbids it.
    private struct Fetched: @unchecked Sendable {
        // Proof: OpenSSL never changes an algorithm that was fetched, and any thread may use it (EVP_MD_fetch(3)).
        let raw: OpaquePointer?
    }

    /// Looked up once: `EVP_sha256()` is looked up again with every digest.
    private static let sha1 = Fetched(raw: EVP_MD_fetch(nil, "SHA1", nil))
    private static let sha256 = Fetched(raw: EVP_MD_fetch(nil, "SHA256", nil))
    private static let md5 = Fetched(raw: EVP_MD_fetch(nil, "MD5", nil))

    private let context: OpaquePointer
    private let length: Int
    private var failed = false

    /// - Throws: `ENOMEM`, or `ENOSYS` when the system's policy forbids the algorithm.
    package init(_ algorithm: Algorithm) throws(Errno) {
        guard let context = EVP_MD_CTX_new() else { throw .noMemory }
        let fetched =
            switch algorithm {
            case .sha1: Self.sha1
            case .sha256: Self.sha256
            case .md5: Self.md5
            }
        guard EVP_DigestInit_ex(context, fetched.raw, nil) == 1 else {
            EVP_MD_CTX_free(context)
            throw .noFunction
        }
        self.context = context
        length = algorithm.length
    }

    deinit { EVP_MD_CTX_free(context) }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        if EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) != 1 { failed = true }
    }

    package mutating func update(_ bytes: some Collection<UInt8>) {
        let isDone: Void? = bytes.withContiguousStorageIfAvailable { update(UnsafeRawBufferPointer($0)) }
        if isDone == nil { Array(bytes).withUnsafeBytes { update($0) } }
    }

    /// The digest; once.
    package mutating func finish() throws(Errno) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: length)
        var written: UInt32 = 0
        guard !failed, EVP_DigestFinal_ex(context, &digest, &written) == 1, written == length else { throw .ioError }
        return digest
    }

    /// Bytes in lower-case hexadecimal digits.
    package static func hexadecimal(_ bytes: some Collection<UInt8>) -> String {
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
