internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// An artifact and a key that signs it.
public struct AttestedName: Sendable, Hashable {
    /// The artifact's path on the mount.
    public let path: String
    /// From 1, where that is known; files are named without it.
    public let version: Int64?
    /// As its record has it: 64 lower-case hexadecimal digits.
    public let sha256: String
    /// The key's name: 64 lower-case hexadecimal digits.
    public let key: String

    /// - Returns: nil when a digest or a key's name is none: they become names of files.
    public init?(path: String, version: Int64?, sha256: String, key: String) {
        guard Self.isDigest(sha256), Self.isDigest(key) else { return nil }
        (self.path, self.version, self.sha256, self.key) = (path, version, sha256, key)
    }

    private static func isDigest(_ text: String) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    /// What files of it are called: the artifact, and by whom.
    fileprivate var name: String { artifact + "." + key }

    fileprivate var artifact: String {
        let name = EscapedName.encode(path, limit: 150)
        guard name.utf8.starts(with: "%~".utf8), let hash = try? SHA256.digest(path.utf8) else { return name }
        // Two long paths may have one end.
        return "%~" + hash.prefix(32) + "-" + EscapedName.encode(path, limit: 110).dropFirst(2)
    }
}

/// What is kept of one artifact by one key, as files have it.
public struct KeptAttestation: Sendable, Hashable {
    /// Its bytes are what was sealed.
    public let signature: [UInt8]
    /// How it was made; nil where that is not known.
    public let provenance: [UInt8]?

    /// Signatures.
    public init(signature: [UInt8], provenance: [UInt8]?) {
        (self.signature, self.provenance) = (signature, provenance)
    }
}

/// What is done one after the other to keep signatures.
package enum AttestationStep: Sendable, CaseIterable {
    case provenanceWritten, provenanceNamed, signatureWritten, signatureNamed, logged
}

/// `.artifactfs/attestations`: a directory for each artifact's SHA-256, in it the files of each key.
///
/// A file has its name when all of it is on disk, and the signature has its name after the provenance: where it is, both are.
struct AttestationShelf {
    /// More than the signature of a directory with a million files has, in bytes.
    static let longest = 512 << 20
    private static let (signatureEnding, provenanceEnding) = (".sig.json", ".provenance.json")
    private static let lockName = "lock"

    let own: Directory
    let ledger: Ledger?

    /// - Returns: nil where the key has signed nothing.
    func find(_ name: AttestedName) throws(Errno) -> KeptAttestation? {
        guard let directory = try directory(name), let signature = try read(name.name + Self.signatureEnding, directory)
        else { return nil }
        return KeptAttestation(
            signature: signature, provenance: try read(name.name + Self.provenanceEnding, directory))
    }

    /// The names of the keys that have signed an artifact.
    func keys(of name: AttestedName) throws(Errno) -> [String] {
        guard let directory = try directory(name) else { return [] }
        return try directory.entries().compactMap { entry in
            guard entry.name.hasPrefix(name.artifact + "."), entry.name.hasSuffix(Self.signatureEnding) else {
                return nil
            }
            return String(entry.name.dropFirst(name.artifact.count + 1).dropLast(Self.signatureEnding.count))
        }.sorted()
    }

    private func directory(_ name: AttestedName) throws(Errno) -> Directory? {
        do throws(Errno) { return try own.directory(StoreFormat.attestations).directory(name.sha256) } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    private func read(_ name: String, _ directory: Directory) throws(Errno) -> [UInt8]? {
        do throws(Errno) {
            let file = try directory.file(name).open(O_RDONLY | O_NONBLOCK)
            defer { SystemCall.close(file) }
            let size = Int64(try SystemCall.attributes(file).st_size)
            guard size <= Self.longest else { throw Errno(rawValue: EFBIG) }
            return try SystemCall.bytes(file, at: 0, count: Int(size))
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    /// Keeps signatures, in place of what the key had signed before, and notes it.
    ///
    /// - Parameter step: is told of each step; when it says no, nothing follows, as if the process had been killed there.
    func keep(
        _ attestation: KeptAttestation, as name: AttestedName, _ event: LedgerEvent,
        step: (AttestationStep) -> Bool
    ) throws(Errno) {
        let all = try own.directory(StoreFormat.attestations, orMakeWith: 0o700)
        let owner = try SystemCall.attributes(own.descriptor)
        try give(all.descriptor, to: owner)
        let lock = try all.file(Self.lockName).open(O_RDWR | O_CREAT, mode: 0o600)
        defer { SystemCall.closeLock(lock) }
        try give(lock, to: owner)
        try SystemCall.lock(lock, waiting: true)
        let directory = try all.directory(name.sha256, orMakeWith: 0o700)
        try give(directory.descriptor, to: owner)
        // What was killed while it wrote.
        for entry in try directory.entries() where entry.name.hasPrefix(".") {
            try directory.file(entry.name).unlink()
        }
        if let provenance = attestation.provenance {
            let file = directory.file(name.name + Self.provenanceEnding)
            guard
                try write(provenance, to: file, owner, step(.provenanceWritten)), step(.provenanceNamed)
            else { return }
        }
        let file = directory.file(name.name + Self.signatureEnding)
        guard try write(attestation.signature, to: file, owner, step(.signatureWritten)) else { return }
        try SystemCall.sync(directory.descriptor)
        try SystemCall.sync(all.descriptor)
        try SystemCall.sync(own.descriptor)
        guard step(.signatureNamed) else { return }
        try note(event)
        _ = step(.logged)
    }

    /// Writes the line, on disk.
    func note(_ event: LedgerEvent) throws(Errno) { try ledger?.append([LedgerEntry(event)]) }

    private func write(
        _ bytes: [UInt8], to file: RealFile, _ owner: stat, _ goesOn: @autoclosure () -> Bool
    ) throws(Errno) -> Bool {
        // Names of unfinished files are short: what they become may be as long as a name can be.
        let new = file.directory.file(".new")
        let descriptor = try new.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        defer { SystemCall.close(descriptor) }
        do throws(Errno) {
            try give(descriptor, to: owner)
            try SystemCall.write(descriptor, bytes)
            try SystemCall.sync(descriptor)
            guard goesOn() else { return false }
            try new.rename(to: file)
            return true
        } catch {
            try? new.unlink()
            throw error
        }
    }

    /// What root makes in somebody's store is theirs.
    private func give(_ descriptor: FileDescriptor, to owner: stat) throws(Errno) {
        let found = try SystemCall.attributes(descriptor)
        guard geteuid() == 0, (found.st_uid, found.st_gid) != (owner.st_uid, owner.st_gid) else { return }
        try SystemCall.setOwner(descriptor, user: owner.st_uid, group: owner.st_gid)
    }
}

/// Signatures of artifacts.
extension Store {
    private func shelf() throws(Errno) -> AttestationShelf {
        AttestationShelf(
            own: try root.directory(StoreLayout.privateDirectory), ledger: writable?.ledger)
    }

    /// What a key has signed of an artifact.
    public func attestation(_ name: AttestedName) throws(Errno) -> KeptAttestation? { try shelf().find(name) }

    /// The names of the keys that have signed an artifact, by what its record says of it.
    public func signingKeys(path: String, sha256: String) throws(Errno) -> [String] {
        guard let name = AttestedName(path: path, version: nil, sha256: sha256, key: sha256) else { return [] }
        return try shelf().keys(of: name)
    }

    /// Keeps signatures of an artifact and notes them in the ledger. All of them are kept, or none.
    ///
    /// - Parameter user: who signed.
    /// - Throws: `EROFS` of a store that was opened to read only, and what the system says.
    public func keep(
        _ attestation: KeptAttestation, as name: AttestedName, by user: UInt32
    ) throws(Errno) {
        try keep(attestation, as: name, by: user) { _ in true }
    }

    /// The same; a test stops it after a step.
    package func keep(
        _ attestation: KeptAttestation, as name: AttestedName, by user: UInt32, step: (AttestationStep) -> Bool
    ) throws(Errno) {
        guard let writable else { throw .readOnlyFileSystem }
        try shelf().keep(attestation, as: name, event(name, writable, user), step: step)
    }

    /// The signatures by a key that the ledgers tell of.
    public func notedAttestations(by key: String) throws(Errno) -> Set<AttestedName> {
        let ledgers = try root.directory(StoreLayout.privateDirectory).directory(StoreFormat.ledger)
        let needle = Array("\"event\":\"\(LedgerEvent.Name.attested.rawValue)\"".utf8)
        return try withExtendedLifetime(ledgers) { () throws(Errno) in
            let reader = LedgerReader(directory: ledgers.descriptor)
            var noted: Set<AttestedName> = []
            for host in try reader.hosts() {
                try reader.forEachLine(of: host) { bytes in
                    guard LedgerReader.contains(bytes, needle),
                        case .attested(let one)? = LedgerLine(parsing: bytes)?.event, one.key == key,
                        let name = AttestedName(
                            path: one.path, version: one.version, sha256: one.sha256, key: one.key)
                    else { return }
                    noted.insert(name)
                }
            }
            return noted
        }
    }

    /// Notes that signatures of an artifact are kept, of which the ledger does not tell.
    public func noteAttestation(_ name: AttestedName, by user: UInt32) throws(Errno) {
        guard let writable else { throw .readOnlyFileSystem }
        try shelf().note(event(name, writable, user))
    }

    private func event(_ name: AttestedName, _ writable: Writable, _ user: UInt32) -> LedgerEvent {
        .attested(
            .init(
                mount: writable.staging.mountID, path: name.path, version: name.version, sha256: name.sha256,
                key: name.key, uid: Int64(user), pid: Int64(getpid()), command: "artifactfs"))
    }
}
