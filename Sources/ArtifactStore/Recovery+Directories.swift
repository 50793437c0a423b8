internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Directories that a mount was publishing when it was killed. Nobody writes to what is in them: it was moved into staging whole.
extension Recovery {
    /// A staged directory of which the ledger says nothing: it is checked and published, when the machine is in the same run.
    mutating func settleDirectory(
        _ directory: RealFile, _ attributes: stat, _ staged: (kind: Staging.Kind, path: String), in staging: Directory,
        mount: String, isOfThisRun: Bool, _ waits: inout Bool
    ) throws(Errno) {
        var record = ArtifactRecord(path: staged.path)
        let (location, rest) = schema.locate(staged.path)
        guard staged.kind == .finished, isOfThisRun, case .typed(.production, let layer, let type) = location,
            rest.count == 1, case .artifact(let realName) = type.classify(rest[0], ofDirectory: true)
        else {
            record.artifact.kind = .directory
            return try take(
                directory, mount, staged.path, "the machine stopped, or the driver ended, before it was checked",
                record.quarantined.json)
        }
        record = ArtifactRecord(
            path: staged.path, type: type.name, layer: layer, scope: .production, key: type.key(ofDirectory: rest[0]))
        var writer = ArtifactRecord.Writer()
        (writer.uid, writer.gid, writer.exit) = (attributes.st_uid, attributes.st_gid, .unknown)
        record.writer = writer
        var request = PublishRequest(
            staged: directory, target: realDirectory(StoreLayout.directory(of: location)), name: realName, check: nil,
            record: record)
        request.notesTime = type.hasLatest
        var progress = DirectoryPublication.Progress()
        do throws(PublishFailure) {
            let manifests = try attempt("described") { () throws(Errno) in
                try own.directory(StoreFormat.manifests, orMakeWith: 0o700)
            }
            let publication = try DirectoryPublication(
                request, of: type, mount: mount, host: host, manifests: manifests, isSynced: durability == .synced,
                mode: schema.publishMode, checks: checks, &progress, step: { _ in })
            try attempt("recorded in the ledger") { () throws(Errno) in try ledger.append([publication.entry]) }
            let isSettled = try attempt("published") { () throws(Errno) in
                try settle(publication.intent, in: staging)
            }
            if !isSettled { waits = true }
        } catch {
            DirectoryPublication.giveBack(progress, to: directory)
            guard error.passes else {
                return try take(directory, mount, staged.path, error.reason, record.quarantined.json)
            }
            waits = true
            report.waiting[staged.path] = error.reason
        }
    }
}
