internal import ArtifactRecords
public import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

extension Store {
    /// Checks a staged directory, and publishes it whole without replacing anything, in the steps of `PublishStep`. The caller has made sure that
    /// nothing in it is open for writing on the mount.
    ///
    /// - Parameter type: by which the files in it are checked.
    /// - Returns: what became of it. Whatever goes wrong, the bytes are kept, as of a file (``publish(_:)-(PublishRequest)``).
    public func publishDirectory(_ request: PublishRequest, of type: TypeDefinition) -> PublishOutcome {
        guard let writable else {
            return .quarantined(
                reason: "the store was opened read-only; the directory is where it was", rule: .failedCheck)
        }
        defer { settle() }
        sayUnsynced()
        var progress = DirectoryPublication.Progress()
        do throws(PublishFailure) {
            let publication = try publication(of: request, type, &progress, writable)
            let target = try attempt("published, because its directory cannot be made") { () throws(Errno) in
                try request.target.ensure()
            }
            try publication.announce(in: writable.ledger)
            try step(.intentLogged)
            do throws(Errno) {
                try request.staged.moveWhole(to: target.file(request.name))
            } catch .fileExists {
                throw .lost(name: request.name)
            } catch .improperLink {
                throw .refused("its layer is on another file system than the store's .artifactfs; copy it there")
            } catch {
                throw .system(doing: "moved to its place", error)
            }
            try step(.moved)
            DirectoryPublication.makeReadOnly(target.file(request.name))
            try? SystemCall.sync(target.descriptor)
            try step(.directorySynced)
            harden(target.file(request.name), publication.intent)
            try step(.hardened)
            writable.ledger.appendLater([publication.entry.sealed])
            try step(.sealedLogged)
            writable.staging.published(request.staged)
            return .sealed(sha256: publication.intent.sha256, size: publication.intent.size, lostModes: true)
        } catch {
            if case .stopped = error { return .quarantined(reason: "stopped", rule: .failedCheck) }
            DirectoryPublication.giveBack(progress, to: request.staged)
            return keep(request, error, writable)
        }
    }
}

extension Store {
    /// Looks at a directory that is to be published, and takes the write bits of what is in it.
    ///
    /// - Parameter progress: what was taken from it by then, also when this fails.
    func publication(
        of request: PublishRequest, _ type: TypeDefinition, _ progress: inout DirectoryPublication.Progress,
        _ writable: Writable
    ) throws(PublishFailure) -> DirectoryPublication {
        try DirectoryPublication(
            request, of: type, mount: writable.staging.mountID, host: host, own: writable.ownDirectory,
            isImmutable: hardening.isDone(in: request.target), mode: schema.publishMode, checks: checks,
            ledger: writable.ledger, finder: writable.finder(root, schema, shownPlace), &progress,
            step: { step throws(PublishFailure) in try self.step(step) })
    }

    /// Keeps a staged directory that is not published: where it was before it was promoted, else in quarantine.
    public func keepDirectory(_ request: PublishRequest, reason: String) -> PublishOutcome {
        guard let writable else { return .quarantined(reason: reason, rule: .makerFailed) }
        return keep(request, .refused(reason), writable, as: .makerFailed)
    }
}

extension DirectoryPublication {
    /// Takes a published directory's own write bits, which it needed to be moved.
    static func makeReadOnly(_ directory: RealFile) { try? takeWriteBits(directory) }

    /// Takes a directory's own write bits.
    static func takeWriteBits(_ directory: RealFile) throws(Errno) {
        let found = try directory.attributes()
        guard found.isDirectory, found.permissions & 0o222 != 0 else { return }
        try directory.setMode(found.permissions & 0o7555)
    }
}
