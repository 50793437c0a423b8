internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Finds the records of artifacts by their real files, with bounded reading.
struct RecordFinder {
    let root: Directory
    /// `.artifactfs/ledger`
    let ledgers: Directory
    let schema: ArtifactSchema
    /// Where the store is shown; nil when it is not.
    let shown: ShownPlace?

    /// What the ledgers say of what has a real name now; nil when they say nothing that fits it.
    ///
    /// - Parameters:
    ///   - directory: relative to the store.
    ///   - attributes: of what has the name.
    ///   - note: its `user.artifact.ledger`; nil where it has none.
    func line(in directory: String, name: String, _ attributes: stat, note: [UInt8]?) throws(Errno) -> LedgerLine? {
        // A directory's own size says nothing of what is in it.
        let sealing = LedgerReader.Sealing(
            directory: directory, name: name, size: attributes.isRegular ? Int64(attributes.st_size) : nil)
        return try withExtendedLifetime(ledgers) { () throws(Errno) in
            try LedgerReader(directory: ledgers.descriptor).line(of: sealing, after: note.flatMap(LedgerNote.place))
        }
    }

    /// Which version of its name an artifact is that is sealed now; nil where none has left it, so that it is the first as far as is known.
    func nextVersion(of name: String, in directory: String) -> Int64? {
        VersionShelf.next(of: directory + "/" + name, beneath: root)
    }

    /// What is known of an artifact that somebody names as an input; one that is not in the store, or of which nobody knows where it is,
    /// as it was named.
    ///
    /// - Returns: `isNoted`: whether the file says where its record is, so that one is there, or in a moment.
    func declared(
        _ path: String
    ) -> (input: ArtifactRecord.Input?, outside: ArtifactRecord.OutsideInput?, isNoted: Bool) {
        guard let path = shownPath(path) else {
            var outside = ArtifactRecord.OutsideInput()
            (outside.path, outside.how) = (path, .declared)
            return (nil, outside, false)
        }
        var input = ArtifactRecord.Input()
        (input.path, input.how) = (path, .declared)
        let (location, rest) = schema.locate(path)
        guard case .typed(.production, _, let type) = location, let name = rest.first else {
            return (input, nil, false)
        }
        // What is in a directory that is an artifact is that artifact.
        if rest.count > 1 {
            input.path = path.utf8.split(separator: UInt8(ascii: "/")).dropLast(rest.count - 1).compactMap {
                String($0)
            }
            .joined(separator: "/")
        }
        let real = StoreLayout.directory(of: location)
        guard let directory = try? RealDirectory.open(real, beneath: root) else { return (input, nil, false) }
        var isNoted = false
        for isDirectory in [false, true] {
            guard case .artifact(let realName) = type.classify(name, ofDirectory: isDirectory),
                let found = try? directory.file(realName).attributes(), found.isDirectory == isDirectory
            else { continue }
            let note = try? directory.file(realName).extendedAttribute(LedgerNote.attribute)
            if note != nil { isNoted = true }
            // Who can be written to and has no note was never sealed, or is not what was: the ledgers say nothing of it, however long they are.
            if note == nil, found.isRegular, found.st_mode & 0o222 != 0 { continue }
            guard let line = try? line(in: real, name: realName, found, note: note), let record = line.record else {
                continue
            }
            (input.version, input.sha256) = (record.artifact.version, record.artifact.sha256)
        }
        return (input, nil, isNoted)
    }

    /// The path on the mount, from the mount point; nil of what is not there.
    private func shownPath(_ path: String) -> String? {
        var path = path
        if path.hasPrefix("/") {
            guard let shown, path.utf8.starts(with: (shown.mountPoint + "/").utf8) else { return nil }
            path = String(decoding: path.utf8.dropFirst(shown.mountPoint.utf8.count), as: UTF8.self)
        }
        var names = path.utf8.split(separator: UInt8(ascii: "/")).compactMap { String($0) }.filter { $0 != "." }
        guard names.count > 1, !names.contains(".."), Mode(rawValue: names[0]) != nil else { return nil }
        if names[0] == Mode.development.rawValue, names[1] == "current", let session = shown?.session() {
            names[1] = session
        }
        return names.joined(separator: "/")
    }
}

/// Where a store is shown, for paths that people name.
struct ShownPlace: Sendable {
    /// The mount point.
    let mountPoint: String
    /// The session that `current` leads to now.
    let session: @Sendable () -> String?
}
