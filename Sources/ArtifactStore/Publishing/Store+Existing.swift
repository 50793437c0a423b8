internal import ArtifactFormats
internal import ArtifactRecords
public import Artifacts
public import Glibc
internal import SystemCalls
public import SystemPackage

/// What lies in the directories of production.
public struct ExistingFile: Sendable {
    /// What a type of the schema makes of it.
    public enum SchemaClaim: Sendable {
        /// An artifact: what the mount calls it.
        case artifact(TypeDefinition, name: String)
        /// A temporary name: nobody takes it for an artifact.
        case temporary
        /// No type claims it, so no mount shows it.
        case stray
    }

    /// Relative to the store.
    public let directory: String
    public let name: String
    public let layer: Layer
    public let meaning: SchemaClaim
    public let attributes: stat
    /// The mirror that has its bytes, where it is evicted: then the attributes are those that a mount shows.
    public let evictedTo: String?

    /// The path in the store.
    public var path: String { directory + "/" + name }

    /// The path on the mount; nil of what it does not show.
    public var shownPath: String? {
        guard case .artifact(let type, let name) = meaning else { return nil }
        return "\(Mode.production.rawValue)/\(layer.rawValue)/\(type.name)/\(name)"
    }
}

extension Store {
    /// All files in the directories of production, in the order of their paths, with what the schema makes of each. Sessions, tests and hidden files
    /// are left out, and what is in a directory that is an artifact.
    public func existing() throws(Errno) -> [ExistingFile] {
        var all: [ExistingFile] = []
        let own = Set(
            [StoreLayout.sessionsDirectory, StoreLayout.testsDirectory] + UntypedDirectory.allCases.map(\.rawValue))
        for layer in Layer.allCases {
            guard let top = try directory(layer.directoryName).current() else { continue }
            let known = Set(schema.types(in: layer).map(\.directory))
            for entry in try top.entries() where !entry.name.hasPrefix(".") && !own.contains(entry.name) {
                let found = try existing(entry.name, in: ".", layer, top)
                guard let found else { continue }
                guard found.attributes.isDirectory, case .stray = found.meaning else {
                    all.append(found)
                    continue
                }
                // A type's directory; or one that no type has, and what is in it.
                guard let inner = try? top.directory(entry.name) else { continue }
                let inside = try inner.entries().filter { !$0.name.hasPrefix(".") }
                for file in inside {
                    if let found = try existing(file.name, in: entry.name, layer, inner) { all.append(found) }
                }
                if inside.isEmpty, !known.contains(entry.name) { all.append(found) }
            }
        }
        return all.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    }

    private func existing(
        _ name: String, in directory: String, _ layer: Layer, _ open: Directory
    ) throws(Errno) -> ExistingFile? {
        var attributes: stat
        do throws(Errno) { attributes = try SystemCall.attributes(open.descriptor, name) } catch .noSuchFileOrDirectory
        {
            return nil
        }
        let path = directory == "." ? layer.directoryName : layer.directoryName + "/" + directory
        var evicted: EvictedFile?
        if attributes.isSymbolicLink {
            evicted = try? self.evicted(open.file(name), in: path)
            if let evicted { attributes = evicted.found.attributes }
        }
        let types = schema.types(in: layer).filter { $0.directory == directory }
        var meaning = ExistingFile.SchemaClaim.stray
        if attributes.isRegular || attributes.isDirectory {
            for type in types {
                if let shown = type.virtualName(forReal: name, ofDirectory: attributes.isDirectory) {
                    meaning = .artifact(type, name: shown)
                    break
                }
                if case .transient = type.classify(name, ofDirectory: attributes.isDirectory), attributes.isRegular {
                    meaning = .temporary
                }
            }
        }
        return ExistingFile(
            directory: path, name: name, layer: layer, meaning: meaning, attributes: attributes,
            evictedTo: evicted?.mark.mirror)
    }
}

/// What became of a file that was to be adopted.
public enum Adoption: Sendable {
    /// It has a record, and no write permission.
    case adopted(sha256: String)
    /// It is as it was; why, for people.
    case refused(String)
}

extension Store {
    /// Takes a file of production that no record knows: checks it, takes its write permissions away, and records it where it is. Who made it is
    /// not known, and not said.
    ///
    /// - Parameter user: who does that.
    public func adopt(_ file: ExistingFile, by user: UInt32) -> Adoption {
        guard let writable else { return .refused("the store was opened read-only") }
        guard case .artifact(let type, let shown) = file.meaning, let path = file.shownPath else {
            return .refused("no type of the schema claims its name")
        }
        guard file.attributes.isRegular else {
            return .refused("it is a directory: copy it in through a mount, which seals it whole")
        }
        if let mirror = file.evictedTo {
            return .refused(
                "its bytes are in the mirror '\(mirror)' and not here: 'artifactfs mirror recall' brings them back")
        }
        do throws(PublishFailure) {
            return .adopted(sha256: try adopt(file, type, shown, path, user, writable))
        } catch { return .refused(error.reason) }
    }

    private func adopt(
        _ file: ExistingFile, _ type: TypeDefinition, _ shown: String, _ path: String, _ user: UInt32,
        _ writable: Writable
    ) throws(PublishFailure) -> String {
        let descriptor = try attempt("opened") { () throws(Errno) -> FileDescriptor in
            guard let directory = try directory(file.directory).current() else { throw Errno.noSuchFileOrDirectory }
            return try directory.file(file.name).open(O_RDONLY | O_NONBLOCK)
        }
        defer { SystemCall.close(descriptor) }
        let before = try attempt("looked at") { () throws(Errno) in try SystemCall.attributes(descriptor) }
        guard before.isRegular, before.st_ino == file.attributes.st_ino else {
            throw .refused("it is another file than a moment ago")
        }
        guard before.st_size > 0 else { throw .refused("it is empty") }
        guard before.st_nlink == 1 else { throw .refused("it has other names, through which its bytes could change") }
        // What nobody can tell of a network's file system is taken on trust, as when a file is published.
        if SystemCall.hasNoWriters(descriptor) == false, FileSystemKind.isLocal(descriptor) {
            throw .refused("a program has it open for writing")
        }
        let source = FileSource(descriptor: descriptor, count: Int64(before.st_size))
        let check = type.check(ofFormat: type.format(of: shown) ?? "")
        let (sha256, facts) = try Publication.check(source, check ?? .notEmpty, checks)
        let note = LiftNote(ledger: writable.ledger, mount: writable.staging.mountID, root: root)
        try hardening.lifting(
            open: descriptor, for: .adoption, noted: note,
            otherwise: { .system(doing: "changed: its immutable flag could not be lifted", $0) }
        ) { () throws(PublishFailure) in
            try takeUp(descriptor, before, file, shown, type, path, user, sha256, facts, writable)
        }
        return sha256
    }

    /// Makes a file read-only that was checked, and records it.
    private func takeUp(
        _ descriptor: FileDescriptor, _ before: stat, _ file: ExistingFile, _ shown: String, _ type: TypeDefinition,
        _ path: String, _ user: UInt32, _ sha256: String, _ facts: FormatFacts, _ writable: Writable
    ) throws(PublishFailure) {
        LedgerNote.write(LedgerPlace(before: writable.ledger), to: descriptor)
        let mode = schema.publishMode ?? before.permissions & 0o555
        if mode != before.permissions {
            try attempt("made read-only") { () throws(Errno) in try SystemCall.setMode(descriptor, mode) }
        }
        do throws(PublishFailure) {
            let after = try attempt("looked at") { () throws(Errno) in try SystemCall.attributes(descriptor) }
            guard after.st_size == before.st_size, after.hasSameModification(as: before) else {
                throw .refused("it changed while it was being checked")
            }
            if durability == .synced {
                do throws(Errno) { try SystemCall.sync(descriptor) } catch { throw .notOnDisk(error) }
            }
            var record = ArtifactRecord(shown, of: type, in: file.layer, .production, path: path)
                .sealed(facts, sha256: sha256, size: Int64(after.st_size), host: host)
            record.writer = nil
            record.adopted = .init(uid: user, modified: after.st_mtim)
            let intent = SealIntent(
                mount: writable.staging.mountID, staged: "adopted-\(after.st_ino)", directory: file.directory,
                name: file.name, inode: UInt64(after.st_ino), size: Int64(after.st_size),
                modified: TimeText.rfc3339(after.st_mtim), sha256: sha256, record: record.json)
            try attempt("recorded in the ledger") { () throws(Errno) in
                try writable.ledger.append([LedgerEntry(.sealed(intent, isRecovered: false))])
            }
        } catch {
            try? SystemCall.setMode(descriptor, before.permissions)
            throw error
        }
    }
}
