internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A sealed artifact that may leave its name: found, known, and somebody may do it.
struct LeavingArtifact {
    /// On the mount.
    let path: String
    /// Where it is.
    let directory: RealDirectory
    /// Its name there.
    let file: RealFile
    let identity: FileIdentity
    let attributes: stat
    /// What it is to become, by its path.
    let destination: Promotion.Destination
    let record: ArtifactRecord
    /// Which version of its name it is.
    let version: Int64
    /// Whether it has the immutable flag, as far as that can be seen.
    let isImmutable: Bool

    /// Its real path, from the store.
    var real: String { directory.path + "/" + file.name }

    /// Finds an artifact and asks the policy.
    ///
    /// - Parameter shelf: where versions are.
    init(_ path: String, _ request: UnsealRequest, _ store: Store, _ shelf: VersionShelf) throws(UnsealObstacle) {
        func judge(_ subject: UnsealingSubject, _ detail: String? = nil) throws(UnsealObstacle) {
            let isNamed = store.schema.maySupersede.holds(request.agent.user, in: request.groups)
            let verdict = OverwritePolicy.judgeUnsealing(
                subject, reason: request.reason, user: request.agent.user, isNamed: isNamed)
            if let refusal = verdict.refusal { throw .refused(path: path, refusal, detail: detail) }
        }
        let (location, rest) = store.schema.locate(path)
        guard case .typed(.production, let layer, let type) = location, let name = rest.first, rest.count == 1 else {
            let detail = "what is in an artifact that is a directory leaves its name with the whole"
            try judge(.unsealed, location.hasRecords && rest.count > 1 ? detail : nil)
            throw .stopped
        }
        guard let (destination, directory, file, found) = try Self.find(path, name, type, layer, store) else {
            try judge(.nothing, Self.formerly(name, type, layer, store))
            throw .stopped
        }
        (self.path, self.destination, self.directory) = (destination.path, destination, directory)
        (self.file, identity, attributes) = (file, found.identity, found.attributes)
        try judge(.sealed(owner: attributes.st_uid))
        let line = try Self.attempt(path, "looked up in the ledger") { () throws(Errno) in
            try store.line(
                of: file, in: directory.path, found.attributes,
                place: try? file.extendedAttribute(Store.placeAttribute))
        }
        guard let record = line?.record, attributes.st_mode & 0o222 == 0 else {
            let isReadOnly = attributes.st_mode & 0o222 == 0
            try judge(
                .unsealed,
                isReadOnly ? "no ledger knows it: 'artifactfs adopt' takes up what was put at its real path" : nil)
            throw .stopped
        }
        self.record = record
        isImmutable = try Self.attempt(path, "looked at") { () throws(Errno) in try ImmutableFlag.isSet(on: file) }
        let last = try Self.attempt(path, "looked up among former versions") { () throws(Errno) in
            guard let former = try shelf.directory(of: directory.path + "/" + file.name) else { return nil as Int64? }
            return try VersionShelf.last(in: former)
        }
        version = max(record.artifact.version ?? 1, (last ?? 0).addingReportingOverflow(1).partialValue)
    }

    private static func find(
        _ path: String, _ name: String, _ type: TypeDefinition, _ layer: Layer, _ store: Store
    ) throws(UnsealObstacle) -> (Promotion.Destination, RealDirectory, RealFile, FoundFile)? {
        for isDirectory in [false, true] {
            guard let destination = Promotion.Destination(name, of: type, in: layer, isDirectory: isDirectory) else {
                continue
            }
            let directory = store.directory(for: destination.location)
            let found = try attempt(path, "looked at") { () throws(Errno) -> (RealFile, FoundFile)? in
                guard let real = try directory.refresh() else { return nil }
                let file = real.file(destination.realName)
                do throws(Errno) { return (file, try file.look()) } catch .noSuchFileOrDirectory { return nil }
            }
            guard let (file, found) = found, found.attributes.isDirectory == isDirectory else { continue }
            if !isDirectory, found.attributes.isSymbolicLink,
                let mark = try attempt(path, "looked at", { () throws(Errno) in try EvictionMark(of: file) })
            {
                throw .system(path: path, doing: "taken from its name: \(mark.words), which comes first", .noData)
            }
            guard isDirectory || found.attributes.isRegular else { continue }
            return (destination, directory, file, found)
        }
        return nil
    }

    /// What was there, when something was.
    private static func formerly(
        _ name: String, _ type: TypeDefinition, _ layer: Layer, _ store: Store
    ) -> String? {
        for isDirectory in [false, true] {
            guard let destination = Promotion.Destination(name, of: type, in: layer, isDirectory: isDirectory),
                let reader = try? store.formerVersions(
                    of: destination.realName, in: StoreLayout.directory(of: destination.location)),
                let last = try? reader.all().last
            else { continue }
            let how = last.left?.unsealing.rawValue ?? "taken away"
            return "version \(last.number) was \(how) already\(last.time.isEmpty ? "" : ", on \(last.time)")"
        }
        return nil
    }

    static func attempt<Value>(
        _ path: String, _ doing: String, _ body: () throws(Errno) -> Value
    ) throws(UnsealObstacle) -> Value {
        do throws(Errno) { return try body() } catch { throw .system(path: path, doing: doing, error) }
    }
}
