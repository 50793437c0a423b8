internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Whether an artifact is what was sealed: its bytes by their hash, its length, its kind and its rights.
public enum SealedProof: Sendable, Hashable {
    /// It is what was sealed, and nobody can write to it.
    case whole
    /// It is not, and why, for people.
    case differs(String)
    /// Nothing is there.
    case missing
    /// Its bytes are in a mirror and not here; what its name says is what was sealed.
    case evicted(mirror: String)
    /// It cannot be looked at; why, for people.
    case unknown(String)

    /// Reads an artifact and compares it with what its record says.
    ///
    /// A file is read once, from its beginning to its end, and is not kept in memory by the kernel for that. Of a directory it is the hash of its
    /// manifest (DISK FORMAT, "Directories").
    ///
    /// - Parameters:
    ///   - path: its real path, or the one on a mount.
    ///   - sha256: as its record has it.
    ///   - size: in bytes; nil where the record does not say.
    ///   - readsBytes: whether it is hashed; else only length and rights are looked at.
    ///   - isReal: whether the path is a real one: a mount shows other modes.
    ///   - hardens: whether what is whole is made immutable.
    public static func of(
        _ path: String, sha256: String?, size: Int64?, readsBytes: Bool = true, isReal: Bool = true,
        hardens: Bool = false
    ) -> SealedProof {
        var contents = SealedContents()
        return of(path, sha256, size, readsBytes, isReal, hardens, &contents)
    }

    /// The same, with what the artifact consists of: that is what was sealed where this says that it is whole.
    public static func reading(
        _ path: String, sha256: String?, size: Int64?, isReal: Bool = true
    ) -> (proof: SealedProof, contents: SealedContents) {
        var contents = SealedContents()
        return (of(path, sha256, size, true, isReal, false, &contents), contents)
    }

    private static func of(
        _ path: String, _ sha256: String?, _ size: Int64?, _ readsBytes: Bool, _ isReal: Bool, _ hardens: Bool,
        _ contents: inout SealedContents
    ) -> SealedProof {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return .unknown("it has no directory") }
        let name = String(path[path.utf8.index(after: slash)...])
        do throws(Errno) {
            let parent = try SystemCall.open(
                SystemCall.currentDirectory, slash == path.utf8.startIndex ? "/" : String(path[..<slash]),
                O_RDONLY | O_DIRECTORY)
            let file = RealFile(directory: Directory(owning: parent), name: name)
            let proof = try of(file, sha256, size, readsBytes, isReal, &contents)
            return proof == .whole ? try flagged(file, isReal, hardens) : proof
        } catch {
            return error == .noSuchFileOrDirectory || error == .notDirectory ? .missing : .unknown("\(error)")
        }
    }

    private static func of(
        _ file: RealFile, _ sha256: String?, _ size: Int64?, _ readsBytes: Bool, _ isReal: Bool,
        _ contents: inout SealedContents
    ) throws(Errno) -> SealedProof {
        let found = try file.attributes()
        // On a mount it looks like any other, and reading it would bring it back.
        if !isReal, let mirror = try? file.extendedAttribute(ArtifactAttribute.evicted), !mirror.isEmpty {
            return .evicted(mirror: String(decoding: mirror, as: UTF8.self))
        }
        if found.isSymbolicLink, let mark = try EvictionMark(of: file) { return evicted(mark, sha256, size) }
        guard found.isRegular || found.isDirectory else { return .differs("it is neither a file nor a directory") }
        if found.isDirectory { return try ofDirectory(file, sha256, size, readsBytes, isReal, &contents) }
        if let size, size != Int64(found.st_size) {
            return .differs("it has \(found.st_size) bytes, and had \(size) when it was sealed")
        }
        if readsBytes {
            guard let sha256 else { return .unknown("its record has no hash") }
            let descriptor = try file.open(O_RDONLY | O_NONBLOCK)
            defer { SystemCall.close(descriptor) }
            let now = try FileSource(descriptor).sha256()
            // What nobody else has read is not kept instead of what somebody reads.
            SystemCall.forgetContents(of: descriptor)
            contents.files = [SealedFile(path: [], sha256: now)]
            guard now == sha256 else { return other(now, sha256) }
        }
        return isReal && found.st_mode & 0o222 != 0 ? .differs(canBeWritten(found, nil)) : .whole
    }

    /// Whether a link stands for what was sealed.
    private static func evicted(_ mark: EvictionMark, _ sha256: String?, _ size: Int64?) -> SealedProof {
        if let size, size != mark.size {
            return .differs("it is evicted with \(mark.size) bytes, and had \(size) when it was sealed")
        }
        if let sha256, sha256 != mark.sha256 { return other(mark.sha256, sha256) }
        return .evicted(mirror: mark.mirror)
    }

    /// All that is in it: how much, whether it can be written to, and what its manifest is now.
    private static func ofDirectory(
        _ directory: RealFile, _ sha256: String?, _ size: Int64?, _ readsBytes: Bool, _ isReal: Bool,
        _ contents: inout SealedContents
    ) throws(Errno) -> SealedProof {
        contents.isDirectory = true
        let root = try directory.open(O_RDONLY | O_DIRECTORY | O_NONBLOCK)
        defer { SystemCall.close(root) }
        let own = try SystemCall.attributes(root)
        var bytes: Int64 = 0
        var open = own.st_mode & 0o222 == 0 ? nil : canBeWritten(own, nil)
        do throws(PublishFailure) {
            try DirectoryWalk.visit(root) { item throws(PublishFailure) in
                if !item.isDirectory {
                    bytes = bytes.addingReportingOverflow(Int64(item.attributes.st_size)).partialValue
                }
                if item.attributes.st_mode & 0o222 != 0, open == nil { open = canBeWritten(item.attributes, item.name) }
            }
            if let size, size != bytes {
                return .differs("its files have \(bytes) bytes, and had \(size) when it was sealed")
            }
            if readsBytes {
                guard let sha256 else { return .unknown("its record has no hash") }
                let manifest = try DirectoryPublication.manifest(of: directory)
                let now = try attempt("hashed") { () throws(Errno) in try manifest.sha256() }
                contents.manifest = manifest
                guard now == sha256 else { return other(now, sha256) }
            }
        } catch {
            // What no directory has that is sealed, such as a link, somebody has put there.
            if case .refused(let reason) = error { return .differs(reason) }
            return .unknown(error.reason)
        }
        return isReal ? open.map { .differs($0) } ?? .whole : .whole
    }

    /// The same of something whole, by its immutable flag, which is given to it when that is wanted.
    private static func flagged(_ file: RealFile, _ isReal: Bool, _ hardens: Bool) throws(Errno) -> SealedProof {
        guard isReal else {
            return hardens
                ? .unknown("its real path is not yours to see, so that it was not made immutable") : .whole
        }
        let descriptor = try file.open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        if hardens {
            do throws(Errno) { try ImmutableFlag.put(on: descriptor) } catch {
                let kind = FileSystemKind.name(of: descriptor)
                return .unknown(
                    "it is what was sealed, and was not made immutable: it is on \(kind): \(Hardening.reason(error))")
            }
        }
        guard try ImmutableFlag.isLost(from: descriptor) else { return .whole }
        return .differs(
            "it was made immutable and is not any more (lsattr); its bytes are what was sealed: "
                + "'artifactfs verify --harden' as root gives it the flag again")
    }

    private static func other(_ now: String, _ before: String) -> SealedProof {
        .differs("its SHA-256 is \(now), and was \(before) when it was sealed")
    }

    private static func canBeWritten(_ found: stat, _ name: String?) -> String {
        "\(name.map { "'\($0)' in it" } ?? "it") can be written to: its mode is \(String(found.st_mode & 0o7777, radix: 8))"
    }
}

/// What an artifact consists of, as it was read.
public struct SealedContents: Sendable {
    /// Whether it is a directory.
    public fileprivate(set) var isDirectory = false
    fileprivate var manifest: Manifest?
    fileprivate var own: [SealedFile] = []

    /// Its files; a directory's in the order of their paths' bytes.
    public fileprivate(set) var files: [SealedFile] {
        get { manifest.map { Manifest.files(in: $0.text) } ?? own }
        set { own = newValue }
    }
}
