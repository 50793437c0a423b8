import Artifacts
import Attestations
import Glibc
import SystemCalls
import SystemPackage

/// Files of keys.
enum KeyFile {
    /// No key is longer, in bytes.
    private static let longest = 65_536

    /// Reads the private key that a store's schema names. Who has written the schema may use it: it is of that store's owner, so that nobody's
    /// schema makes others sign with keys of theirs.
    ///
    /// - Returns: nil where the schema names none.
    static func ofSchema(_ place: StorePlace) throws -> EllipticKey? {
        guard let named = try place.schema().signingKey else { return nil }
        guard let store = place.store else {
            throw Failure(
                .cannotAnswer, "the mount at \(place.path) does not say where its store is, whose key is \(named)")
        }
        let path = named.hasPrefix("/") ? named : store + "/" + named
        let (owner, found): (stat, stat)
        do throws(Errno) {
            owner = try SystemCall.attributes(atPath: store + "/" + StoreLayout.privateDirectory)
            found = try SystemCall.attributes(atPath: path)
        } catch {
            throw Failure(.cannotAnswer, "cannot read the key that the schema names, \(path): \(error)")
        }
        guard found.st_uid == owner.st_uid else {
            throw Failure(
                .cannotAnswer,
                "the key that the schema names, \(path), is not the store's owner's (\(UserName.of(owner.st_uid))): it is of "
                    + "\(UserName.of(found.st_uid)); name it with --key to sign with it")
        }
        return try read(path, .privateKey, of: owner.st_uid)
    }

    /// Reads a key.
    ///
    /// - Parameter owner: whose it must be; nil for anybody's.
    static func read(_ path: String, _ half: EllipticKey.Half, of owner: UInt32? = nil) throws -> EllipticKey {
        let pem: [UInt8]
        do { pem = try bytes(path, half, owner) } catch let error as Errno {
            throw Failure(.cannotAnswer, "cannot read the key \(path): \(error)")
        }
        do throws(EllipticKey.KeyFault) { return try EllipticKey(half, pem: pem) } catch {
            throw Failure(.cannotAnswer, "\(path) cannot be used: \(words(error, path, half))")
        }
    }

    private static func bytes(_ path: String, _ half: EllipticKey.Half, _ owner: UInt32?) throws -> [UInt8] {
        let file = try SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        defer { SystemCall.close(file) }
        let found = try SystemCall.attributes(file)
        guard found.isRegular else {
            throw Failure(.cannotAnswer, "\(path) is no plain file: name one with a key in PEM")
        }
        guard owner == nil || found.st_uid == owner else {
            throw Failure(.cannotAnswer, "the key \(path) was replaced by another user's while it was being read")
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
