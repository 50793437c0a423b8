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
        if staged.kind == .discarded { return try DirectoryTree.remove(directory) }
        if staged.kind == .transient {
            if Self.isOld(attributes, keepingSeconds: transientSeconds) {
                try DirectoryTree.remove(directory)
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
        guard staged.kind == .finished, isOfThisRun,
            let destination = Promotion.Destination(path: staged.path, in: schema, isDirectory: true)
        else {
            var record = ArtifactRecord(path: staged.path)
            record.artifact.kind = .directory
            return try take(
                directory, mount, staged.path,
                staged.kind == .artifact
                    ? "the driver ended while it was being made" : "the machine stopped before it was checked",
                staged.kind == .artifact ? .beingWritten : .storeFailed, record.quarantined.json)
        }
        // How those ended who made it nobody knows any more.
        var writer = ArtifactRecord.Writer()
        (writer.uid, writer.gid, writer.exit) = (attributes.st_uid, attributes.st_gid, .unknown)
        let record = destination.record.written(by: writer)
        let target = realDirectory(StoreLayout.directory(of: destination.location))
        var progress = DirectoryPublication.Progress()
        do throws(PublishFailure) {
            let publication = try DirectoryPublication(
                destination.request(directory, at: target, record), of: destination.type, mount: mount, host: host,
                own: own, isImmutable: hardening.isDone(in: target), mode: schema.publishMode, checks: checks,
                ledger: ledger,
                finder: RecordFinder(root: root, ledgers: ledgers, schema: schema, shown: nil), &progress,
                step: { _ in })
            try publication.announce(in: ledger)
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
}
