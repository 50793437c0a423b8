public import ArtifactRecords
public import Glibc
internal import Artifacts
public import SystemCalls
internal import SystemPackage

/// A file that was read by who made an artifact.
public struct UsedFile: Sendable {
    /// The path on the mount, from its root.
    public let path: String
    /// How it is known.
    public let how: ArtifactRecord.How
    /// When it was opened.
    public let opened: timespec
    /// Which file it was.
    let identity: FileIdentity
    /// Its size and when it was changed last, in nanoseconds, where its bytes may change.
    let size: Int64?
    let modified: Int64?
    /// What is known of it already.
    let known: ArtifactRecord.Input?
    /// Told what was found.
    let found: @Sendable (ArtifactRecord.Input) -> Void

    /// What was seen.
    public init(
        path: String, how: ArtifactRecord.How, opened: timespec, identity: FileIdentity, size: Int64?, modified: Int64?,
        known: ArtifactRecord.Input?, found: @escaping @Sendable (ArtifactRecord.Input) -> Void
    ) {
        (self.path, self.how, self.opened) = (path, how, opened)
        (self.identity, self.size, self.modified) = (identity, size, modified)
        (self.known, self.found) = (known, found)
    }
}

extension UsedFile {
    /// A time as one number.
    static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}

extension ArtifactRecord {
    /// The same with what was read.
    func using(_ used: [UsedFile], _ finder: RecordFinder) -> ArtifactRecord {
        var all = self
        all.inputs += used.map { finder.input($0) }
        return all
    }
}

extension RecordFinder {
    /// Of a session's file more than that is not hashed, in bytes: it is named without.
    private static let mostHashed: Int64 = 1 << 30

    /// What is known of a file that was read.
    func input(_ file: UsedFile) -> ArtifactRecord.Input {
        var input = file.known ?? ArtifactRecord.Input()
        if file.known == nil {
            let found = declared(file.path)
            input = found.input ?? input
            // All ledgers are searched for what has no note: who writes a thousand files does not do that for each of them.
            if input.sha256 != nil || !found.isNoted { file.found(input) }
        }
        (input.path, input.how, input.at) = (input.path ?? file.path, file.how, TimeText.rfc3339(file.opened))
        guard let size = file.size, let modified = file.modified else { return input }
        (input.version, input.sha256) = (nil, size <= Self.mostHashed ? hash(of: file, size, modified) : nil)
        return input
    }

    /// Of a file whose bytes are what they were when it was read; nil of any other, and of what cannot be read.
    private func hash(of file: UsedFile, _ size: Int64, _ modified: Int64) -> String? {
        guard let descriptor = try? openSession(file.path) else { return nil }
        defer { SystemCall.close(descriptor) }
        func isSame() -> Bool {
            guard let found = try? SystemCall.look(descriptor), found.isRegular else { return false }
            return found.identity == file.identity && Int64(found.attributes.st_size) == size
                && UsedFile.nanoseconds(found.attributes.st_mtim) == modified
        }
        guard isSame(), let hash = try? FileSource(descriptor: descriptor, count: size).sha256(), isSame() else {
            return nil
        }
        return hash
    }

    /// A session's or test's file, by its path on the mount.
    private func openSession(_ path: String) throws(Errno) -> FileDescriptor? {
        let (location, rest) = schema.locate(path)
        guard let name = rest.last,
            let directory = try RealDirectory.open(
                ([StoreLayout.directory(of: location)] + rest.dropLast()).joined(separator: "/"), beneath: root)
        else { return nil }
        var real = name
        if case .typed(_, _, let type) = location, rest.count == 1 {
            guard case .artifact(let realName) = type.classify(name, ofDirectory: false) else { return nil }
            real = realName
        }
        return try directory.file(real).open(O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    }
}
