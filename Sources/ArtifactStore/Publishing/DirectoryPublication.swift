internal import ArtifactFormats
internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A directory on its way to being published: all of it checked, read-only, and described.
struct DirectoryPublication {
    /// What the ledger says of it before it has its name.
    let intent: SealIntent
    /// The intent's line.
    var entry: LedgerEntry { LedgerEntry(.sealIntent(intent)) }

    /// What was checked, for who has to give the write bits back.
    struct Progress {
        fileprivate var seen: [DirectoryLook.Seen] = []
        fileprivate var changed = 0
    }

    /// Checks what is in a directory, takes all write bits but the directory's own, which is needed to move it, and keeps its manifest.
    ///
    /// All of it is on disk then, with relaxed durability too: nothing at a directory's real path says what of it a power loss has left.
    ///
    /// - Parameters:
    ///   - own: `.artifactfs`, where the manifest is kept.
    ///   - isImmutable: whether it is to be immutable when it has its name.
    ///   - mode: the permissions that each file gets (`publish_mode`); nil for its own.
    ///   - ledger: where it will be recorded.
    ///   - finder: finds the records of inputs that the writer names.
    ///   - progress: what was done, also when this fails.
    ///   - step: is told of each step.
    init(
        _ request: PublishRequest, of type: TypeDefinition?, mount: String, host: String, own: Directory,
        isImmutable: Bool, mode: UInt32?, checks: CheckProcesses, ledger: Ledger, finder: RecordFinder,
        _ progress: inout Progress,
        step: (PublishStep) throws(PublishFailure) -> Void
    ) throws(PublishFailure) {
        let manifests = try attempt("described") { () throws(Errno) in
            try own.directory(StoreFormat.manifests, orMakeWith: 0o700)
        }
        let root = try attempt("opened") { () throws(Errno) in
            try request.staged.open(O_RDONLY | O_DIRECTORY | O_NONBLOCK)
        }
        defer { SystemCall.close(root) }
        let manifest = try Self.check(root, of: type, checks, &progress.seen)
        if let expected = request.looked, try DirectoryLook.digest(of: progress.seen) != expected {
            throw .busy("something in it changed after it was looked at")
        }
        let sha256 = try attempt("hashed") { () throws(Errno) in try manifest.sha256() }
        try step(.checked)
        if request.notesTime { SealingTime.write(to: root) }
        LedgerNote.write(LedgerPlace(before: ledger), to: root)
        try Self.makeReadOnly(root, mode, &progress)
        try step(.madeReadOnly)
        try attempt("described") { () throws(Errno) in
            try manifest.keep(as: sha256, in: manifests)
            try SystemCall.sync(root)
        }
        try step(.fileSynced)
        let attributes = try attempt("looked at") { () throws(Errno) in try SystemCall.attributes(root) }
        var record = request.record.using(request.used, finder)
            .saying(WriterStatement(of: root, and: request.inputs), finder)
        record.artifact.kind = .directory
        record.artifact.version = finder.nextVersion(of: request.name, in: request.target.path)
        var facts = FormatFacts()
        facts.details = ["files": String(manifest.files), "directories": String(manifest.directories)]
        record = record.sealed(facts, sha256: sha256, size: manifest.size, host: host)
        var intent = SealIntent(
            mount: mount, staged: request.staged.name, directory: request.target.path, name: request.name,
            inode: UInt64(attributes.st_ino), size: manifest.size, modified: TimeText.rfc3339(attributes.st_mtim),
            sha256: sha256, record: record.json)
        intent.isImmutable = isImmutable
        self.intent = intent
    }

    /// Writes the intent's line. It is on disk before the directory has its name, with relaxed durability too.
    func announce(in ledger: Ledger) throws(PublishFailure) {
        try attempt("recorded in the ledger") { () throws(Errno) in try ledger.append([entry]) }
        ledger.sync(always: true)
    }

    /// The manifest's hash of a directory as it is; its files are not checked.
    static func sha256(of directory: RealFile) throws(PublishFailure) -> String {
        let manifest = try manifest(of: directory)
        return try attempt("hashed") { () throws(Errno) in try manifest.sha256() }
    }

    /// The manifest of a directory as it is; its files are not checked.
    static func manifest(of directory: RealFile) throws(PublishFailure) -> Manifest {
        let root = try attempt("opened") { () throws(Errno) in
            try directory.open(O_RDONLY | O_DIRECTORY | O_NONBLOCK)
        }
        defer { SystemCall.close(root) }
        var manifest = Manifest()
        try DirectoryWalk.visit(root) { item throws(PublishFailure) in
            guard !item.isDirectory else { return manifest.add(directory: item.path) }
            try attempt("read") { () throws(Errno) in
                let source = FileSource(descriptor: item.descriptor, count: Int64(item.attributes.st_size))
                try manifest.add(file: item.path, size: source.count, sha256: try source.sha256())
            }
        }
        return manifest
    }

    /// Checks every file in a directory.
    ///
    /// - Parameters:
    ///   - isCopied: whether a copy of it is to be published: then files in it may have other names.
    ///   - found: what is in it, also when this fails.
    static func check(
        _ root: FileDescriptor, of type: TypeDefinition?, _ checks: CheckProcesses, isCopied: Bool = false,
        _ found: inout [DirectoryLook.Seen]
    ) throws(PublishFailure) -> Manifest {
        var manifest = Manifest()
        var seen: [DirectoryLook.Seen] = []
        defer { found = seen }
        try DirectoryWalk.visit(root) { item throws(PublishFailure) in
            seen.append(.init(path: item.path, attributes: item.attributes))
            guard !item.isDirectory else { return manifest.add(directory: item.path) }
            guard isCopied || item.attributes.st_nlink == 1 else {
                throw .refused("'\(item.name)' in it has other names, through which its bytes could change")
            }
            if SystemCall.hasNoWriters(item.descriptor) == false, FileSystemKind.isLocal(item.descriptor) {
                throw .busy("'\(item.name)' in it is still open for writing")
            }
            let source = FileSource(descriptor: item.descriptor, count: Int64(item.attributes.st_size))
            let sha256: String
            do throws(PublishFailure) {
                sha256 = try Publication.check(source, check(for: item.path, of: type), checks).sha256
            } catch {
                if case .refused(let reason) = error { throw .refused("'\(item.name)' in it: \(reason)") }
                throw error
            }
            try attempt("described") { () throws(Errno) in
                try manifest.add(file: item.path, size: source.count, sha256: sha256)
            }
        }
        guard manifest.files > 0 else { throw .refused("there is no file in it") }
        return manifest
    }

    /// By the extension of a file's name. What has none that is known may be empty: `_SUCCESS`, `.zgroup`, `__init__.py`.
    private static func check(for path: [UInt8], of type: TypeDefinition?) -> FormatCheck? {
        guard let type, type.isChecked else { return nil }
        let name = path.split(separator: UInt8(ascii: "/")).last ?? []
        for ending in [".tsv.gz", ".tsv.bgz"] where name.count > ending.utf8.count && name.hasSuffix(ending.utf8) {
            return type.check(ofFormat: ending)
        }
        guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > name.startIndex else { return nil }
        let check = type.check(ofFormat: String(decoding: name[dot...], as: UTF8.self))
        return check == .notEmpty ? nil : check
    }

    private static func makeReadOnly(
        _ root: FileDescriptor, _ mode: UInt32?, _ progress: inout Progress
    ) throws(PublishFailure) {
        let seen = progress.seen
        var next = 0
        defer { progress.changed = next }
        try DirectoryWalk.visit(root) { item throws(PublishFailure) in
            guard next < seen.count, seen[next].path == item.path, seen[next].attributes.isSame(as: item.attributes)
            else { throw .refused("'\(item.name)' in it changed while it was being checked") }
            next += 1
            let permissions = item.attributes.permissions
            let left = item.isDirectory ? permissions & 0o7555 : mode ?? permissions & 0o555
            try attempt("made read-only") { () throws(Errno) in
                if left != permissions { try SystemCall.setMode(item.descriptor, left) }
                try SystemCall.sync(item.descriptor)
            }
        }
        guard next == seen.count else { throw .refused("something in it was removed while it was being checked") }
    }

    /// Gives what is not published its permissions back.
    static func giveBack(_ progress: Progress, to directory: RealFile) {
        guard progress.changed > 0 else { return }
        var modes: [[UInt8]: UInt32] = [:]
        for seen in progress.seen.prefix(progress.changed) { modes[seen.path] = seen.attributes.permissions }
        try? giveBack(to: directory) { item in modes[item.path] }
    }

    /// The same of what another process had begun with.
    ///
    /// - Throws: what failed: it can be tried again. What is no part of an artifact stays as it is.
    static func giveBack(_ modes: DirectoryModes, to directory: RealFile) throws(Errno) {
        do throws(PublishFailure) {
            try giveBack(to: directory) { item in DirectoryLook.mode(of: item, modes) }
        } catch {
            if case .system(_, let errno) = error { throw errno }
        }
    }

    private static func giveBack(
        to directory: RealFile, _ mode: (DirectoryWalk.Item) -> UInt32?
    ) throws(PublishFailure) {
        let root = try attempt("opened") { () throws(Errno) in
            try directory.open(O_RDONLY | O_DIRECTORY | O_NONBLOCK)
        }
        defer { SystemCall.close(root) }
        var failure: PublishFailure?
        try DirectoryWalk.visit(root) { item in
            guard let mode = mode(item), mode != item.attributes.permissions else { return }
            do throws(Errno) { try SystemCall.setMode(item.descriptor, mode) } catch {
                failure = .system(doing: "given its permissions back", error)
            }
        }
        if let failure { throw failure }
    }
}

extension stat {
    /// Whether it is the same file with the same bytes, as far as size and time of modification tell. A directory's time tells of its names.
    fileprivate func isSame(as other: stat) -> Bool {
        (st_dev, st_ino, st_size, st_mtim.tv_sec, st_mtim.tv_nsec)
            == (other.st_dev, other.st_ino, other.st_size, other.st_mtim.tv_sec, other.st_mtim.tv_nsec)
    }
}

extension ArraySlice<UInt8> {
    fileprivate func hasSuffix(_ ending: some Collection<UInt8>) -> Bool { suffix(ending.count).elementsEqual(ending) }
}
