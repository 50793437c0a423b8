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
        if staged.kind == .transient {
            if Self.isOld(attributes, keepingSeconds: transientSeconds) {
                try Self.removeTree(directory.name, in: directory.directory, depth: 0)
                report.removed.append(staged.path)
                try ledger.append([Self.removal(mount: mount, staged: directory.name, path: staged.path, size: 0)])
            }
            return
        }
        // Nothing was made in it.
        if staged.kind == .artifact,
            (try? SystemCall.unlink(directory.directory.descriptor, directory.name, isDirectory: true)) != nil
        {
            report.empty.append(staged.path)
            ledger.appendLater([
                Self.emptiness(
                    mount: mount, staged: directory.name, path: staged.path, user: attributes.st_uid, process: 0)
            ])
            return
        }
        var record = ArtifactRecord(path: staged.path)
        let (location, rest) = schema.locate(staged.path)
        guard staged.kind == .finished, isOfThisRun, case .typed(.production, let layer, let type) = location,
            rest.count == 1, case .artifact(let realName) = type.classify(rest[0], ofDirectory: true)
        else {
            record.artifact.kind = .directory
            return try take(
                directory, mount, staged.path,
                staged.kind == .artifact
                    ? "the driver ended while it was being made" : "the machine stopped before it was checked",
                staged.kind == .artifact ? .beingWritten : .storeFailed, record.quarantined.json)
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
                request, of: type, mount: mount, host: host, manifests: manifests,
                mode: schema.publishMode, checks: checks, &progress, step: { _ in })
            try attempt("recorded in the ledger") { () throws(Errno) in try ledger.append([publication.entry]) }
            ledger.sync(always: true)
            let isSettled = try attempt("published") { () throws(Errno) in
                try settle(publication.intent, in: staging)
            }
            if !isSettled { waits = true }
        } catch {
            DirectoryPublication.giveBack(progress, to: directory)
            guard error.passes else {
                return try take(directory, mount, staged.path, error.reason, error.rule, record.quarantined.json)
            }
            waits = true
            report.waiting[staged.path] = error.reason
        }
    }

    /// Removes a directory with all that is in it; no link is followed.
    private static func removeTree(_ name: String, in parent: Directory, depth: Int) throws(Errno) {
        guard depth < DirectoryWalk.deepest else { throw Errno.tooManySymbolicLinkLevels }
        let directory = try parent.directory(name)
        for entry in try directory.entries() {
            if entry.isDirectory {
                try removeTree(entry.name, in: directory, depth: depth + 1)
            } else {
                try SystemCall.unlink(directory.descriptor, entry.name)
            }
        }
        try SystemCall.unlink(parent.descriptor, name, isDirectory: true)
    }
}
