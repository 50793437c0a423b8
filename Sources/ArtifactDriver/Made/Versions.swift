internal import ArtifactRecords
internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What is known of a former version, as a file beside it in `.meta/<name>.versions/`: `<n>.json`.
final class VersionRecord: Sendable {
    /// The directory that has the artifact's name, and the name.
    let directory: TreeDirectory
    let artifact: String
    let number: Int64
    /// Its text.
    let content: [UInt8]
    /// The version's attributes.
    let attributes: stat

    init(_ artifact: String, in directory: TreeDirectory, _ number: Int64, _ content: [UInt8], _ attributes: stat) {
        (self.artifact, self.directory, self.number) = (artifact, directory, number)
        (self.content, self.attributes) = (content, attributes)
    }

    /// Its name there.
    var name: String { String(number) + StoreLayout.recordSuffix }

    /// Of another version it is another file.
    var key: String { String(attributes.st_ino) }

    /// From the mount point.
    var path: String { directory.versionsPath(of: artifact) + "/" + name }
}

extension VersionRecord: Hashable {
    static func == (one: VersionRecord, other: VersionRecord) -> Bool { one === other }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

extension TreeDirectory {
    /// Where the former versions of a name are, from the mount point.
    func versionsPath(of artifact: String) -> String {
        path(of: StoreLayout.recordsDirectory) + "/" + artifact + StoreLayout.versionsSuffix
    }
}

/// `.meta/<name>.versions/` in a directory of production: what had the name before, to those who may read it.
extension Volume {
    /// The former versions of a name; nil when there are none.
    func formerVersions(of artifact: String, in directory: TreeDirectory) throws(Errno) -> VersionReader? {
        guard case .typed(.production, _, let type) = directory.location else { return nil }
        for isDirectory in [false, true] {
            guard case .artifact(let real) = type.classify(artifact, ofDirectory: isDirectory),
                let found = try store.formerVersions(of: real, in: directory.real.path)
            else { continue }
            return found
        }
        return nil
    }

    /// A published file that its name does not lead to any more: where open handles find it from now on.
    ///
    /// - Returns: whether it is one.
    func leaves(_ name: String, in directory: TreeDirectory, _ state: inout ArtifactFile.State) -> Bool {
        guard case .published = state.phase else { return false }
        if directory.isProduction, let identity = state.identity,
            let number = formerNumber(of: name, in: directory, identity)
        {
            state.phase = .former(of: name, in: directory, number: number)
        }
        return true
    }

    /// The same of one whose name nobody has looked for yet.
    ///
    /// - Parameter error: what its name says.
    /// - Returns: nil when it is no former version.
    func formerFile(
        of file: ArtifactFile, _ state: borrowing ArtifactFile.State, _ error: Errno
    ) -> RealFile? {
        guard error == .noSuchFileOrDirectory || error == .staleNFSFileHandle, let identity = state.identity,
            let place = namespace.place(of: file.id), place.parent.isProduction,
            let number = formerNumber(of: place.name, in: place.parent, identity)
        else { return nil }
        return try? formerFile(place.name, in: place.parent, number)
    }

    func formerFile(_ name: String, in directory: TreeDirectory, _ number: Int64) throws(Errno) -> RealFile {
        guard let reader = try formerVersions(of: name, in: directory) else { throw Errno.noSuchFileOrDirectory }
        return reader.file(number)
    }

    private func formerNumber(of name: String, in directory: TreeDirectory, _ identity: FileIdentity) -> Int64? {
        guard let reader = try? formerVersions(of: name, in: directory), let numbers = try? reader.numbers() else {
            return nil
        }
        return numbers.last { (try? reader.file($0).look().identity) == identity }
    }

    /// What a name in `.meta/` leads to when it is that of a directory of versions, counted as a lookup.
    ///
    /// - Returns: nil for any other name.
    func versionsEntry(
        _ name: String, of directory: TreeDirectory, in parent: InodeNumber
    ) throws(Errno) -> Entry? {
        guard name.hasSuffix(StoreLayout.versionsSuffix), moment == nil else { return nil }
        let artifact = String(name.dropLast(StoreLayout.versionsSuffix.count))
        guard try formerVersions(of: artifact, in: directory) != nil else { return nil }
        return entry(madeInode(.versions(directory, of: artifact), name, in: parent))
    }

    /// What a name among the versions leads to, counted as a lookup.
    func versionEntry(
        _ name: EntryName, of artifact: String, in directory: TreeDirectory, _ parent: InodeNumber, _ caller: Caller
    ) throws(Errno) -> Entry {
        guard let name = name.string, let reader = try formerVersions(of: artifact, in: directory) else {
            throw Errno.noSuchFileOrDirectory
        }
        if let number = Int64(name), String(number) == name {
            let found = try reader.file(number).look()
            if found.attributes.isDirectory {
                _ = artifactDirectories.directory(found.identity, .published(.production))
            }
            return keptEntry(
                KeptFile(name: name, identity: found.identity, home: .versions(directory, of: artifact)),
                found.attributes, in: parent)
        }
        guard name.hasSuffix(StoreLayout.recordSuffix),
            let number = Int64(name.dropLast(StoreLayout.recordSuffix.count)),
            String(number) + StoreLayout.recordSuffix == name
        else { throw Errno.noSuchFileOrDirectory }
        // What is left of one that was removed has its rights.
        let (found, isRemoved) = try reader.witness(of: number)
        let file = isRemoved ? reader.removedFile(number) : reader.file(number)
        // Who may not read it may not read this either.
        let path = try file.open(SystemCall.pathOnly, seen: found.identity)
        defer { SystemCall.close(path) }
        try rights.check(R_OK, on: path, for: caller)
        let record = VersionRecord(
            artifact, in: directory, number, try reader.description(of: number), found.attributes)
        return entry(madeInode(.versionRecord(record), name, in: parent))
    }

    func attributes(of record: VersionRecord) -> stat {
        var shown = record.attributes
        shown.st_ino = ino_t(StableNumber.of(record.path))
        shown.st_mode = S_IFREG | shown.st_mode & 0o444
        shown.st_nlink = 1
        shown.st_size = off_t(record.content.count)
        shown.st_blocks = 0
        return shown
    }

    func listing(ofVersions directory: TreeDirectory, _ artifact: String) throws(Errno) -> Listing {
        var listing = Listing()
        let path = directory.versionsPath(of: artifact)
        try addDots(
            StableNumber.of(path), StableNumber.of(directory.path(of: StoreLayout.recordsDirectory)), to: &listing)
        guard let reader = try formerVersions(of: artifact, in: directory) else { return listing }
        for number in try reader.numbers() {
            guard let found = try? reader.file(number).look() else { continue }
            try listing.add(String(number), number: UInt64(found.attributes.st_ino), type: found.identity.kind)
            guard reader.isDescribed(number) else { continue }
            let name = String(number) + StoreLayout.recordSuffix
            try listing.add(name, number: StableNumber.of(path + "/" + name), type: S_IFREG)
        }
        for number in try reader.removedNumbers() {
            let name = String(number) + StoreLayout.recordSuffix
            try listing.add(name, number: StableNumber.of(path + "/" + name), type: S_IFREG)
        }
        return listing
    }
}
