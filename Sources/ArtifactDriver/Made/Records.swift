internal import ArtifactRecords
internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// The record of a sealed artifact, as a file in `.meta/`: `<name>.json`.
final class RecordFile: Sendable {
    /// The artifact's directory, and its name there.
    let directory: TreeDirectory
    let artifact: String
    /// The record's text.
    let content: [UInt8]
    /// Which line of the ledger it is from: of what was sealed anew it is another file.
    let line: String
    /// The artifact's attributes when it was found.
    let attributes: stat

    init(_ artifact: String, in directory: TreeDirectory, _ line: String, _ record: ArtifactRecord, _ found: stat) {
        self.directory = directory
        self.artifact = artifact
        self.line = line
        content = Array((JSONValue.object(record.json).description + "\n").utf8)
        attributes = found
    }

    /// The name in `.meta/`.
    var name: String { artifact + StoreLayout.recordSuffix }
}

extension RecordFile: Hashable {
    static func == (one: RecordFile, other: RecordFile) -> Bool { one === other }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// What is known of sealed artifacts, to those who may read them: files of `.meta/`, and extended attributes.
extension Volume {
    /// A sealed artifact's real file or directory.
    private func sealedArtifact(_ name: String, in directory: TreeDirectory) throws(Errno) -> (RealFile, FoundFile)? {
        guard directory.location.hasRecords else { return nil }
        if let real = try view.realFile(name, in: directory),
            let found = try? view.look(at: real, in: directory), found.isRegular
        {
            return (real, found)
        }
        guard artifactDirectories.staged(name, in: directory.id) == nil,
            let realName = realDirectoryName(name, in: directory)
        else { return nil }
        let place =
            if let moment {
                try moment.place(of: name, in: directory, isDirectory: true)
            } else {
                try directory.real.current().map { RealFile(directory: $0, name: realName) }
            }
        guard let file = place else { return nil }
        guard let found = try? file.look(), found.attributes.isDirectory else { return nil }
        return (file, found)
    }

    /// A descriptor of an evicted artifact's place; nil of what is not evicted.
    private func evictedPath(
        _ real: RealFile, _ found: FoundFile, in directory: TreeDirectory
    ) throws(Errno) -> FileDescriptor? {
        // What is not has its own identity at its real name.
        guard try real.look().identity != found.identity,
            let evicted = try store.evicted(real, in: directory.real.path), let place = evicted.place
        else { return nil }
        return try place.open(SystemCall.pathOnly, seen: found.identity)
    }

    /// What the ledger says of a sealed artifact.
    ///
    /// - Returns: nil when it is not sealed, when nothing is known of it, and when the caller may not read it.
    private func record(
        of name: String, in directory: TreeDirectory, _ caller: Caller
    ) throws(Errno) -> (line: String, record: ArtifactRecord, attributes: stat)? {
        guard let (real, found) = try sealedArtifact(name, in: directory) else { return nil }
        var place: [UInt8]?
        // Who may not read the file may not read this either (xattr(7)).
        do throws(Errno) {
            // A link has none, and lets everybody ask.
            if let evicted = try evictedPath(real, found, in: directory) {
                defer { SystemCall.close(evicted) }
                place = try rights.acting(for: caller) { () throws(Errno) in
                    try SystemCall.withPath(of: evicted) { path throws(Errno) in
                        try SystemCall.extendedAttribute(Store.placeAttribute, ofPath: path)
                    }
                }
            } else {
                place = try rights.acting(for: caller) { () throws(Errno) in
                    try real.extendedAttribute(Store.placeAttribute)
                }
            }
        } catch {
            guard error == .noData || error == .notSupported else { return nil }
        }
        if let version = try moment?.version(of: name, in: directory) {
            return version.record.map { ("version-\(version.number)", $0, found.attributes) }
        }
        let line = try store.line(of: real, in: directory.real.path, found.attributes, place: place)
        guard let line, let record = line.record else { return nil }
        return ("\(line.seq)-\(line.event.name)-\(line.time)", record, found.attributes)
    }

    /// What a name in `.meta/` leads to, counted as a lookup.
    func recordEntry(
        _ name: EntryName, of directory: TreeDirectory, in parent: InodeNumber, _ caller: Caller
    ) throws(Errno) -> Entry {
        guard let name = name.string else { throw Errno.noSuchFileOrDirectory }
        if let versions = try versionsEntry(name, of: directory, in: parent) { return versions }
        guard name.hasSuffix(StoreLayout.recordSuffix) else { throw Errno.noSuchFileOrDirectory }
        let artifact = String(name.dropLast(StoreLayout.recordSuffix.count))
        guard let found = try record(of: artifact, in: directory, caller) else { throw Errno.noSuchFileOrDirectory }
        let file = RecordFile(artifact, in: directory, found.line, found.record, found.attributes)
        return entry(madeInode(.record(file), name, in: parent))
    }

    /// Who may read the artifact may read its record.
    func attributes(of record: RecordFile) -> stat {
        let now = (try? sealedArtifact(record.artifact, in: record.directory))?.1.attributes
        var shown = now ?? record.attributes
        shown.st_ino = ino_t(
            StableNumber.of(record.directory.path(of: StoreLayout.recordsDirectory) + "/" + record.name))
        shown.st_mode = S_IFREG | shown.st_mode & 0o444
        shown.st_nlink = 1
        shown.st_size = off_t(record.content.count)
        shown.st_blocks = 0
        return shown
    }

    /// The access lists of the artifact are its record's.
    func attribute(_ name: EntryName, of record: RecordFile, _ caller: Caller) throws(Errno) -> [UInt8] {
        guard isAccessList(name), let (real, found) = try sealedArtifact(record.artifact, in: record.directory),
            found.isRegular
        else { throw Errno.noData }
        let evicted = try evictedPath(real, found, in: record.directory)
        let path: FileDescriptor
        if let evicted { path = evicted } else { path = try real.open(SystemCall.pathOnly, seen: found.identity) }
        defer { SystemCall.close(path) }
        return try attribute(name, of: path, for: caller)
    }

    /// One of the attributes that a record answers (``ArtifactAttribute/ofRecord``).
    ///
    /// - Throws: `ENODATA` of what has no record, or is not known.
    func recordAttribute(
        _ name: String, of artifact: String, in directory: TreeDirectory, _ caller: Caller
    ) throws(Errno) -> [UInt8] {
        guard let record = try record(of: artifact, in: directory, caller)?.record else { throw Errno.noData }
        let text: String?
        switch name {
        case ArtifactAttribute.sha256: text = record.artifact.sha256
        case ArtifactAttribute.run: text = record.run?.id
        case ArtifactAttribute.commit: text = record.ownCode?.commit
        case ArtifactAttribute.command: text = record.commandLine
        default: text = JSONValue.object(record.json).description
        }
        guard let text, !text.isEmpty else { throw Errno.noData }
        // XATTR_SIZE_MAX
        guard text.utf8.count <= 65_536 else { throw Errno(rawValue: E2BIG) }
        return Array(text.utf8)
    }

    /// The same of a directory that is an artifact, or is in one, which has none.
    func recordAttribute(_ name: String, of node: FreeNode, _ caller: Caller) throws(Errno) -> [UInt8] {
        let (location, rest) = store.schema.locate(shownPath(of: node))
        guard node.artifact != nil, rest.count == 1 else { throw Errno.noData }
        return try recordAttribute(name, of: rest[0], in: directoryNode(location), caller)
    }
}
