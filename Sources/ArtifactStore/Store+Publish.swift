internal import ArtifactFormats
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// The steps of publishing, in their order; a crash can come after each.
///
/// | step | what is on disk then | what recovery makes of it |
/// | --- | --- | --- |
/// | `checked` | the staged file | quarantine |
/// | `madeReadOnly` | the same, without write bits | quarantine |
/// | `fileSynced` | the same, its bytes on disk | quarantine |
/// | `intentLogged` | and a `seal-intent` line with the whole record | published: the file was whole; or quarantine if the name is taken |
/// | `copied` | another file system only: and a hidden copy in the target directory | the copy is removed, then as above |
/// | `moved` | the file at its real name | a `sealed` line is added |
/// | `directorySynced` | the same, also after a power loss | a `sealed` line is added |
/// | `sealedLogged` | everything | nothing |
///
/// So the record is on disk before the name is, and an artifact is either absent with its bytes kept, or sealed with
/// its record. The `sealed` line itself is not waited for: it says again what the intent said. A `seal-intent` is
/// settled by a later line with the same `mount` and `staged`: `sealed`, `quarantined`, `restored` or `seal-abandoned`.
enum PublishStep: String, CaseIterable, Sendable {
    case checked
    case madeReadOnly
    case fileSynced
    case intentLogged
    case copied
    case moved
    case directorySynced
    case sealedLogged
}

/// Why a file is not published.
enum PublishFailure: Error {
    case refused(String)
    /// `doing` completes "could not be ...".
    case system(doing: String, Errno)
    /// A test stopped here.
    case stopped

    var reason: String {
        switch self {
        case .refused(let reason): reason
        case .system(let doing, let errno): "it could not be \(doing): \(errno)"
        case .stopped: "stopped"
        }
    }
}

extension Store {
    /// Checks a staged file and publishes it without replacing anything; see `PublishStep` for the order. Any number
    /// may be published at once.
    ///
    /// The caller has made sure that nobody has the file open for writing.
    ///
    /// - Parameter settles: whether the ledger's `sealed` line is written before this returns. Otherwise it goes with the ledger's next
    ///   line; call `settle` when there is nothing more to publish.
    /// - Returns: what became of it. Whatever goes wrong, the bytes are kept: where the file was (a promotion), in
    ///   quarantine, or, when even that fails,
    ///   in staging; the reason says where.
    public func publish(_ request: PublishRequest, settles: Bool = true) -> PublishOutcome {
        guard let writable else {
            return .quarantined(reason: "the store was opened read-only; the file is where it was")
        }
        var writeBits: UInt32 = 0
        defer { if settles { writable.ledger.settle() } }
        do throws(PublishFailure) {
            return try publish(request, writable, &writeBits)
        } catch .stopped {
            return .quarantined(reason: "stopped")
        } catch {
            return keep(request, error.reason, writeBits, writable)
        }
    }

    /// Writes the `sealed` lines that `publish` left for later.
    public func settle() { writable?.ledger.settle() }

    /// - Parameter writeBits: the permission bits that were taken away.
    private func publish(
        _ request: PublishRequest, _ writable: Writable, _ writeBits: inout UInt32
    ) throws(PublishFailure) -> PublishOutcome {
        let descriptor = try attempt("opened") { () throws(Errno) in
            try request.staged.open(O_RDONLY | O_NONBLOCK)
        }
        defer { SystemCall.close(descriptor) }
        let before = try attempt("looked at") { () throws(Errno) in try SystemCall.attributes(descriptor) }
        guard before.isRegular else { throw .refused("it is not a plain file") }
        guard before.st_nlink == 1 else { throw .refused("it has other names, through which its bytes could change") }

        // Facts and hash in one pass.
        let source = FileSource(descriptor: descriptor, count: Int64(before.st_size))
        let (sha256, facts) = try check(source, request.check ?? .notEmpty)
        try step(.checked)

        var after = try makeReadOnly(descriptor, request, &writeBits)
        var known = before
        while !after.isModified(like: known) {
            // Perhaps only its times were set, by the writer after closing (`cp -p`): the bytes decide.
            guard after.st_size == before.st_size,
                try attempt("read", { () throws(Errno) in try source.sha256() }) == sha256
            else { throw .refused("it changed while it was being checked") }
            known = after
            after = try attempt("looked at") { () throws(Errno) in try SystemCall.attributes(descriptor) }
        }
        try step(.madeReadOnly)

        if durability == .synced {
            _ = try attempt("brought to disk") { () throws(Errno) in try SystemCall.sync(descriptor) }
        }
        try step(.fileSynced)

        let target = try attempt("published, because its directory cannot be made") { () throws(Errno) in
            try request.target.ensure()
        }
        let intent = SealIntent(
            mount: writable.staging.mountID, staged: request.staged.name, directory: request.target.path,
            name: request.name, inode: UInt64(after.st_ino), size: Int64(after.st_size),
            modified: TimeText.rfc3339(after.st_mtim), sha256: sha256,
            record: record(request.record, facts))
        let entry = intent.entry("seal-intent")
        try attempt("recorded in the ledger") { () throws(Errno) in try writable.ledger.append([entry]) }
        try step(.intentLogged)

        try move(request, intent, descriptor, to: target)
        try step(.moved)

        if durability == .synced {
            // The name is there and the record is on disk: what fails now fails for the whole file system, and recovery
            // settles it.
            try? SystemCall.sync(target.descriptor)
        }
        try step(.directorySynced)

        writable.ledger.appendLater([LedgerEntry(event: "sealed", like: entry)])
        try step(.sealedLogged)
        return .sealed(sha256: sha256, size: Int64(after.st_size), lostModes: writeBits & 0o022 != 0)
    }

    /// Takes the write bits away, in one with any change of attributes that the writer may still make.
    ///
    /// - Returns: the attributes then.
    private func makeReadOnly(
        _ descriptor: FileDescriptor, _ request: PublishRequest, _ writeBits: inout UInt32
    ) throws(PublishFailure) -> stat {
        var taken: UInt32 = 0
        var result = Result<stat, PublishFailure>.failure(.stopped)
        request.attributesLock { () in
            do throws(PublishFailure) {
                taken = try attempt("looked at") { () throws(Errno) in
                    try SystemCall.attributes(descriptor).permissions
                }
                _ = try attempt("made read-only") { () throws(Errno) in
                    try SystemCall.retry { fchmod(descriptor.rawValue, taken & 0o555) }
                }
                result = .success(
                    try attempt("looked at") { () throws(Errno) in try SystemCall.attributes(descriptor) })
            } catch {
                result = .failure(error)
            }
        }
        writeBits = taken & 0o222
        return try result.get()
    }

    private func check(
        _ source: FileSource, _ check: FormatCheck
    ) throws(PublishFailure) -> (String, FormatFacts) {
        do {
            var hash = try SHA256()
            var hashed: Int64 = 0
            let facts = try check.checkWhole(source) { chunk in
                hash.update(chunk)
                hashed += Int64(chunk.count)
            }
            // A check that did not hand on every byte must not lead to a wrong record.
            let digest = hashed == source.count ? try hash.finish() : try source.sha256()
            return (digest, facts)
        } catch let error as FormatError {
            switch error {
            case .invalid(let reason): throw .refused(reason)
            case .unreadable(let errno): throw .system(doing: "read", errno)
            }
        } catch {
            throw .system(doing: "hashed", error as? Errno ?? .ioError)
        }
    }

    private func record(_ draft: RecordDraft, _ facts: FormatFacts) -> [String: JSONValue] {
        var members = draft.members
        for (key, value) in facts.members { members[key] = value }
        members["host"] = .string(host)
        return members
    }

    private func move(
        _ request: PublishRequest, _ intent: SealIntent, _ descriptor: FileDescriptor, to target: Directory
    ) throws(PublishFailure) {
        let staged = request.staged
        let taken = "another writer published '\(request.name)' first (production artifacts are immutable)"
        do throws(Errno) {
            do throws(Errno) {
                try staged.rename(to: target.file(request.name), flags: SystemCall.noReplace)
            } catch .noSuchFileOrDirectory {
                // The directory was removed after it was opened.
                try staged.rename(to: try request.target.ensure().file(request.name), flags: SystemCall.noReplace)
            }
        } catch .fileExists {
            throw .refused(taken)
        } catch .improperLink {
            try moveAcross(request, intent, descriptor, to: target, taken: taken)
        } catch {
            throw .system(doing: "moved to its place", error)
        }
    }

    /// The layer is on another file system than the staging directory (`EXDEV`): a hidden copy there, then the same
    /// rename.
    private func moveAcross(
        _ request: PublishRequest, _ intent: SealIntent, _ descriptor: FileDescriptor, to target: Directory,
        taken: String
    ) throws(PublishFailure) {
        let copy = target.file(intent.copyName)
        do throws(Errno) {
            try FileCopy.copy(descriptor, to: copy, isSynced: durability == .synced)
        } catch {
            try? copy.unlink()
            throw .system(doing: "copied to the file system of its place", error)
        }
        try step(.copied)
        do throws(Errno) {
            try copy.rename(to: target.file(request.name), flags: SystemCall.noReplace)
        } catch {
            try? copy.unlink()
            if error == .fileExists { throw .refused(taken) }
            throw .system(doing: "moved to its place", error)
        }
        try? request.staged.unlink()
    }

    /// A file that is not published: back to where it was, else to quarantine, else left in staging.
    private func keep(
        _ request: PublishRequest, _ reason: String, _ writeBits: UInt32, _ writable: Writable
    ) -> PublishOutcome {
        if writeBits != 0 {
            request.attributesLock { () in
                if let found = try? request.staged.attributes() {
                    try? request.staged.setMode(found.permissions | writeBits)
                }
            }
        }
        if let origin = request.origin,
            (try? request.staged.rename(to: origin, flags: SystemCall.noReplace)) != nil
        {
            if durability == .synced { try? SystemCall.sync(origin.directory.descriptor) }
            let entry = LedgerEntry(
                event: "restored",
                [
                    ("mount", .string(writable.staging.mountID)), ("staged", .string(request.staged.name)),
                    ("reason", .string(reason)), ("record", .object(request.record.members)),
                ])
            try? writable.ledger.append([entry])
            return .restored(reason: reason)
        }
        do throws(Errno) {
            let name = try quarantine(request.staged, reason: reason, record: request.record)
            return .quarantined(reason: reason + "; the bytes are kept in .artifactfs/quarantine/" + name)
        } catch {
            return .quarantined(
                reason: reason + "; the bytes are kept in .artifactfs/staging/\(writable.staging.mountID)/"
                    + "\(request.staged.name) (they could not be moved to quarantine: \(error))")
        }
    }

    private func attempt<Value>(
        _ what: String, _ body: () throws(Errno) -> Value
    ) throws(PublishFailure) -> Value {
        do throws(Errno) { return try body() } catch { throw .system(doing: what, error) }
    }

    private func step(_ step: PublishStep) throws(PublishFailure) {
        if stopAfter.withLock({ $0 == step }) { throw .stopped }
    }
}
