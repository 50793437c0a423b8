internal import ArtifactRecords
internal import CCrypto

/// A key for signatures by ECDSA over P-256 with SHA-256, as PEM files have it. The system's OpenSSL does all that is done with it.
public final class EllipticKey {
    /// What a file is wanted for.
    public enum Half: Sendable { case privateKey, publicKey }

    /// What is wrong with a text that should be a key.
    public enum KeyFault: Error, Sendable, Hashable {
        /// It has no key in PEM.
        case noKey
        /// It has a passphrase.
        case encrypted
        /// It is the other half.
        case other(Half)
        /// It is a certificate.
        case certificate
        /// It is a key of another kind: which one.
        case kind(String)
        /// It is of another curve: which one.
        case curve(String)
    }

    /// SHA-256 of the public key's PEM text in lower-case hexadecimal digits: so signatures name it.
    public let id: String
    private let key: OpaquePointer

    /// Reads a key.
    ///
    /// - Parameter pem: the text of its file.
    public init(_ half: Half, pem: [UInt8]) throws(KeyFault) {
        let (found, isEncrypted) = Self.read(half, pem)
        guard let found else {
            throw isEncrypted || Self.has(pem, "ENCRYPTED") ? .encrypted : Self.fault(of: pem, half)
        }
        do throws(KeyFault) {
            try Self.check(found)
            id = try Self.id(of: found)
        } catch {
            EVP_PKEY_free(found)
            throw error
        }
        key = found
    }

    deinit { EVP_PKEY_free(key) }

    /// Signs bytes.
    ///
    /// - Returns: the signature in DER; nil of a public key, and when OpenSSL cannot.
    public func signature(of bytes: [UInt8]) -> [UInt8]? {
        guard let context = EVP_MD_CTX_new() else { return nil }
        defer { EVP_MD_CTX_free(context) }
        var length = 0
        guard EVP_DigestSignInit_ex(context, nil, Self.digest, nil, nil, key, nil) == 1,
            EVP_DigestSign(context, nil, &length, bytes, bytes.count) == 1
        else { return nil }
        var signature = [UInt8](repeating: 0, count: length)
        guard EVP_DigestSign(context, &signature, &length, bytes, bytes.count) == 1 else { return nil }
        return Array(signature.prefix(length))
    }

    /// Whether a signature is one of these bytes by this key.
    ///
    /// - Parameter signature: in DER.
    public func verifies(_ signature: [UInt8], of bytes: [UInt8]) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        return EVP_DigestVerifyInit_ex(context, nil, Self.digest, nil, nil, key, nil) == 1
            && EVP_DigestVerify(context, signature, signature.count, bytes, bytes.count) == 1
    }

    // MARK: - Reading

    private static let digest = "SHA256"

    private static func read(_ half: Half, _ pem: [UInt8]) -> (key: OpaquePointer?, isEncrypted: Bool) {
        // It reads the bytes where they are, for as long as it lives.
        pem.withUnsafeBytes { bytes in
            guard let text = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else {
                return (nil, false)
            }
            defer {
                BIO_free(text)
                ERR_clear_error()
            }
            var isEncrypted = false
            let key = withUnsafeMutablePointer(to: &isEncrypted) { flag in
                half == .privateKey
                    ? PEM_read_bio_PrivateKey(text, nil, Self.refuse, flag)
                    : PEM_read_bio_PUBKEY(text, nil, Self.refuse, flag)
            }
            return (key, isEncrypted)
        }
    }

    /// Nobody is asked for a passphrase; whether one was wanted is noted.
    private static let refuse:
        @convention(c) (
            UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?
        ) -> Int32 = { _, _, _, flag in
            flag?.storeBytes(of: true, as: Bool.self)
            return -1
        }

    private static func fault(of pem: [UInt8], _ half: Half) -> KeyFault {
        if half == .privateKey, has(pem, "BEGIN PUBLIC KEY-----") { return .other(.publicKey) }
        if half == .publicKey, has(pem, "PRIVATE KEY-----") { return .other(.privateKey) }
        return has(pem, "BEGIN CERTIFICATE-----") ? .certificate : .noKey
    }

    private static func has(_ pem: [UInt8], _ text: String) -> Bool {
        // What is after the first 64 KiB is no key's.
        String(decoding: pem.prefix(65_536), as: UTF8.self).contains(text)
    }

    private static func check(_ key: OpaquePointer) throws(KeyFault) {
        guard EVP_PKEY_is_a(key, "EC") == 1 else {
            throw .kind(EVP_PKEY_get0_type_name(key).map { String(cString: $0) } ?? "another kind")
        }
        var name = [CChar](repeating: 0, count: 80)
        var length = 0
        let isNamed = EVP_PKEY_get_group_name(key, &name, name.count, &length) == 1
        let curve = String(
            decoding: name.prefix(isNamed ? length : 0).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // One that is written by its numbers is no name for others, even where it is the same.
        var isByNumbers: Int32 = 0
        guard EVP_PKEY_get_int_param(key, "decoded-from-explicit", &isByNumbers) != 1 || isByNumbers == 0 else {
            throw .curve("one by its numbers")
        }
        guard curve == "prime256v1" else { throw .curve(isNamed ? curve : "one without a name") }
    }

    private static func id(of key: OpaquePointer) throws(KeyFault) -> String {
        guard let text = BIO_new(BIO_s_mem()) else { throw .noKey }
        defer { BIO_free(text) }
        var pem = [UInt8](repeating: 0, count: 4096)
        guard PEM_write_bio_PUBKEY(text, key) == 1 else { throw .noKey }
        let length = BIO_read(text, &pem, Int32(clamping: pem.count))
        guard length > 0, let id = try? SHA256.digest(pem.prefix(Int(length))) else { throw .noKey }
        return id
    }
}
