import Attestations
import Glibc
import SystemCalls
import SystemPackage

/// Files of keys.
enum KeyFile {
    /// No key is longer, in bytes.
    private static let longest = 65_536

    /// Reads a key.
    static func read(_ path: String, _ half: EllipticKey.Half) throws -> EllipticKey {
        let pem: [UInt8]
        do { pem = try bytes(path, half) } catch let error as Errno {
            throw Failure(.cannotAnswer, "cannot read the key \(path): \(error)")
        }
        do throws(EllipticKey.KeyFault) { return try EllipticKey(half, pem: pem) } catch {
            throw Failure(.cannotAnswer, "\(path) cannot be used: \(words(error, path, half))")
        }
    }

    private static func bytes(_ path: String, _ half: EllipticKey.Half) throws -> [UInt8] {
        let file = try SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        defer { SystemCall.close(file) }
        let found = try SystemCall.attributes(file)
        guard found.isRegular else {
            throw Failure(.cannotAnswer, "\(path) is no plain file: name one with a key in PEM")
        }
        // As ssh(1) has it.
        if half == .privateKey, found.permissions & 0o077 != 0 {
            throw Failure(
                .cannotAnswer,
                "others may use the key \(path): its mode is \(String(found.permissions, radix: 8)); "
                    + "'chmod 600 \(Shell.quoted(path))' makes it yours alone, and think of who has read it by now")
        }
        guard found.st_size <= longest else { throw Failure(.cannotAnswer, "\(path) is too long to be a key") }
        return try SystemCall.bytes(file, at: 0, count: longest)
    }

    private static func words(_ fault: EllipticKey.KeyFault, _ path: String, _ half: EllipticKey.Half) -> String {
        let name = Shell.quoted(path)
        let make = "'openssl ecparam -name prime256v1 -genkey -noout -out KEY' makes one"
        return switch fault {
        case .noKey: "there is no \(half == .privateKey ? "private" : "public") key in PEM in it"
        case .encrypted:
            "it has a passphrase, and none is asked for; "
                + "'(umask 077; openssl pkey -in \(name) -out PLAIN)' writes it without one"
        case .other(.publicKey): "it is the public key, and signing takes the private one"
        case .other(.privateKey):
            "it is the private key, which is nobody's to give away; 'openssl pkey -in \(name) -pubout' prints the public one"
        case .certificate:
            "it is a certificate; 'openssl x509 -in \(name) -pubkey -noout' prints its public key"
        case .kind(let kind): "it is a key of another kind (\(kind)), not ECDSA over P-256; \(make)"
        case .curve(let curve): "it is a key over another curve (\(curve)), not P-256; \(make)"
        }
    }
}
