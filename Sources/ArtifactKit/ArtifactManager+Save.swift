public import Artifacts
internal import ArtifactFormats
internal import ArtifactRecords
internal import ArtifactStore
internal import Glibc
internal import SystemCalls
internal import SystemPackage

extension ArtifactManager {
    /// Saves an artifact.
    ///
    /// - Parameters:
    ///   - bytes: the whole contents.
    ///   - type: a type of the store's schema; the other parameters are those of ``path(of:chromosome:name:layer:format:)``.
    /// - Returns: the real path.
    /// - Throws: `ArtifactError.exists` when it exists and this mode does not overwrite; `.notPublished` when production does not
    ///   take the contents; `.system` when the system refuses.
    @discardableResult
    public func save(
        _ bytes: [UInt8], as type: ArtifactType, chromosome: String? = nil, name: String? = nil, layer: Layer? = nil,
        format: String? = nil
    ) throws(ArtifactError) -> String {
        try save(.bytes(bytes), try key(type, chromosome, name, layer, format))
    }

    /// Saves a copy of a file as an artifact; the file stays.
    ///
    /// - Parameter fromFile: a path for the system, relative to the working directory or absolute.
    /// - Returns: the real path.
    /// - Throws: as ``save(_:as:chromosome:name:layer:format:)``.
    @discardableResult
    public func save(
        fromFile path: String, as type: ArtifactType, chromosome: String? = nil, name: String? = nil,
        layer: Layer? = nil,
        format: String? = nil
    ) throws(ArtifactError) -> String {
        try save(.file(path), try key(type, chromosome, name, layer, format))
    }
}

extension ArtifactManager {
    private func save(_ contents: Contents, _ key: ArtifactKey) throws(ArtifactError) -> String {
        let path = path(of: key)
        try askToSave(key, path: path)
        if scope == .production {
            try publish(contents, key, path: path)
        } else {
            let place = store.directory(directory(of: key))
            let directory = try naming(path) { () throws(Errno) in try place.ensure() }
            try directory.replace(key.realName, with: contents, path: path)
        }
        return path
    }

    /// Asks the policy before anything is made.
    func askToSave(_ key: ArtifactKey, path: String) throws(ArtifactError) {
        if store.isReadOnly { throw .system(.readOnlyFileSystem, path: path) }
        if try existingFile(key) != nil {
            guard let refusal = refusalToOverwrite else { return }
            throw refusal.errno == .fileExists ? .exists(path: path, mode: scope.mode) : .refused(refusal, path: path)
        }
        let verdict = OverwritePolicy.judge(
            key.isDirectory ? .directory : .file, named: .artifact(realName: key.realName), in: .typed(key.type),
            standing: standing)
        if let refusal = verdict.refusal { throw .refused(refusal, path: path) }
    }

    /// The way of every production artifact: staged, checked, sealed, and moved to its name without replacing anything.
    private func publish(_ contents: Contents, _ key: ArtifactKey, path: String) throws(ArtifactError) {
        guard let staging = store.staging else { throw .system(.readOnlyFileSystem, path: path) }
        let virtualPath = shownPath(of: key)
        let opened = Clock.now()
        let target = Staging.Target(directory: store.directory(directory(of: key)), name: key.realName)
        let staged = staging.unusedName(hint: virtualPath, kind: .artifact)
        let descriptor: FileDescriptor
        do throws(Errno) {
            try staging.reserve(target, for: staged)
            descriptor = try staged.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o666)
        } catch {
            staging.release(staged)
            throw error == .fileExists ? .exists(path: path, mode: scope.mode) : .system(error, path: path)
        }
        do throws(ArtifactError) {
            defer { SystemCall.close(descriptor) }
            try contents.write(to: descriptor, path: path)
        } catch {
            // A copy that failed is nobody's artifact: the caller has the contents.
            try? staging.remove(staged)
            throw error
        }
        let destination = try destination(of: key)
        let record = destination.record.written(by: Self.writer(), opened: opened, closed: Clock.now())
        let outcome = store.publish(destination.request(staged, at: target.directory, record))
        try Self.check(outcome, path: path, in: scope.mode)
    }

    /// This process, for records.
    static func writer() -> ArtifactRecord.Writer {
        var writer = ArtifactRecord.Writer()
        (writer.uid, writer.gid, writer.pid) = (geteuid(), getegid(), getpid())
        writer.argv = ArgumentMask.masked(CommandLine.arguments)
        return writer
    }

    static let stillOpen = "it is still open for writing"

    /// Whether a file was published.
    ///
    /// - Parameter path: the artifact, for errors.
    static func check(_ outcome: PublishOutcome, path: String, in mode: Mode) throws(ArtifactError) {
        switch outcome {
        case .sealed: return
        case .quarantined(let reason, let rule), .restored(let reason, let rule), .waiting(let reason, let rule):
            if rule == .anotherWriter { throw .exists(path: path, mode: mode) }
            throw .notPublished(path: path, reason: reason)
        case .stillOpen: throw .notPublished(path: path, reason: stillOpen)
        }
    }
}
