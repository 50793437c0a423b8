public import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// What is to take the name of an artifact that leaves it, in the same step.
public struct Successor: Sendable {
    /// A plain file, open to read; it is copied, or its blocks are shared.
    public var descriptor: FileDescriptor
    /// What is known of who makes it an artifact: writer, job, code, run.
    public var record: ArtifactRecord
    /// What it was made from, as who asks says it: a path on the mount, of a former version `PATH@N`, or any other path.
    public var inputs: [String]

    /// Such a file.
    public init(descriptor: FileDescriptor, record: ArtifactRecord, inputs: [String]) {
        (self.descriptor, self.record, self.inputs) = (descriptor, record, inputs)
    }
}

extension Store {
    /// Gives a sealed artifact's name to another file, which is checked before anything changes. There is no moment without one of the two under the
    /// name, where the file system can exchange names (renameat2(2), `RENAME_EXCHANGE`).
    ///
    /// - Parameter request: of one path.
    /// - Returns: what left its name.
    public func supersede(_ request: UnsealRequest, with successor: Successor) throws(UnsealObstacle)
        -> UnsealedArtifact
    {
        try withShelf(request.paths.first ?? "") { shelf, writable throws(UnsealObstacle) in
            let leaving = try find(request, shelf)
            guard let artifact = leaving.first, leaving.count == 1 else {
                throw .successor(reason: "one file cannot have several names", .invalidName)
            }
            guard !artifact.destination.isDirectory else {
                throw .successor(
                    reason: "the artifact is a directory: supersede it without a successor, and publish the new one "
                        + "under its name", .notADirectoryHere)
            }
            let staged = try stage(successor, artifact, writable)
            let new = try LeavingArtifact.attempt(artifact.path, "superseded") { () throws(Errno) in
                try staged.look().identity
            }
            var isOpen = false
            defer {
                // Under its name there may be what it was to replace.
                if !isOpen {
                    if (try? staged.look().identity) == new { try? staged.unlink() }
                    writable.staging.release(staged)
                }
            }
            let publication = try prepare(staged, artifact, successor, writable)
            defer { publication.close() }
            let lines = lines(of: leaving, request, writable, successor: staged.name)
            try describe(leaving, lines, shelf)
            do throws(UnsealObstacle) {
                try announce(lines, [publication.entry], leaving, shelf, writable)
                try lifting(artifact) { () throws(UnsealObstacle) in
                    try unsealStep(.lifted)
                    try exchange(artifact, staged, new, shelf)
                }
                harden(artifact.file, publication.intent)
                try unsealStep(.hardened)
            } catch {
                let isStopped = if case .stopped = error { true } else { false }
                if isStopped || (try? artifact.file.look().identity) != artifact.identity {
                    // The next mount finishes it.
                    isOpen = true
                    writable.staging.keepForRecovery()
                } else {
                    abandon(lines, leaving, shelf, writable)
                    abandonSuccessor(publication, writable)
                }
                throw error
            }
            isOpen = true
            try conclude(lines, leaving, shelf, writable, after: [publication.entry.sealed])
            writable.staging.release(staged)
            guard let line = lines.first else { throw .stopped }
            return line
        }
    }

    /// The file's copy in staging. Whoever is killed now leaves what the next mount puts into quarantine.
    private func stage(
        _ successor: Successor, _ artifact: LeavingArtifact, _ writable: Writable
    ) throws(UnsealObstacle) -> RealFile {
        let staged = writable.staging.unusedName(hint: artifact.path, kind: .artifact)
        try LeavingArtifact.attempt(artifact.path, "superseded: the new file cannot be copied") {
            () throws(Errno) in
            let found = try SystemCall.attributes(successor.descriptor)
            guard found.isRegular else { throw found.isDirectory ? .isDirectory : .invalidArgument }
            let owner = artifact.attributes
            let copy = try staged.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
            defer { SystemCall.close(copy) }
            do throws(Errno) {
                try FileCopy.copyBytes(successor.descriptor, to: copy)
                guard try SystemCall.attributes(copy).st_size == SystemCall.attributes(successor.descriptor).st_size,
                    try SystemCall.attributes(successor.descriptor).hasSameModification(as: found)
                else { throw Errno.resourceBusy }
                // Whose the name was: whoever may supersede gives nothing away.
                if (owner.st_uid, owner.st_gid) != (geteuid(), getegid()) {
                    try? SystemCall.setOwner(copy, user: owner.st_uid, group: owner.st_gid)
                }
                try SystemCall.setMode(copy, owner.permissions | 0o200)
                // Where there is one, the mode says what its mask is, and not what the group may.
                if let list = try? artifact.file.extendedAttribute(AccessList.accessAttribute) {
                    try SystemCall.setExtendedAttribute(AccessList.accessAttribute, list, of: copy)
                }
                try SystemCall.sync(copy)
            } catch {
                try? staged.unlink()
                throw error
            }
        }
        return staged
    }

    private func prepare(
        _ staged: RealFile, _ artifact: LeavingArtifact, _ successor: Successor, _ writable: Writable
    ) throws(UnsealObstacle) -> Publication {
        var record = successor.record
        record.artifact = artifact.destination.record.artifact
        var request = artifact.destination.request(staged, at: artifact.directory, record)
        for input in successor.inputs {
            if let former = former(input) { request.record.inputs.append(former) } else { request.inputs.append(input) }
        }
        request.version = artifact.version.addingReportingOverflow(1).partialValue
        var writeBits: UInt32 = 0
        do throws(PublishFailure) {
            let publication = try Publication(
                request, index: 0, mount: writable.staging.mountID, host: host, leavesSeal: durability == .relaxed,
                isImmutable: artifact.isImmutable || hardening.isDone(in: artifact.directory), mode: schema.publishMode,
                checks: checks, ledger: writable.ledger,
                finder: writable.finder(root, schema, shownPlace), &writeBits, step: { _ in })
            do throws(Errno) { try SystemCall.sync(publication.descriptor) } catch {
                publication.close()
                throw .notOnDisk(error)
            }
            return publication
        } catch { throw .successor(reason: error.reason, error.rule) }
    }

    /// A former version that is named as an input.
    private func former(_ text: String) -> ArtifactRecord.Input? {
        guard let mark = text.lastIndex(of: "@"), let number = Int64(text[text.index(after: mark)...]) else {
            return nil
        }
        let path = String(text[..<mark])
        for isDirectory in [false, true] {
            guard let destination = Promotion.Destination(path: path, in: schema, isDirectory: isDirectory),
                let version = try? formerVersions(
                    of: destination.realName, in: StoreLayout.directory(of: destination.location))?.version(number)
            else { continue }
            var input = ArtifactRecord.Input()
            (input.path, input.version, input.how) = (path, number, .declared)
            input.sha256 = version.record?.artifact.sha256
            return input
        }
        return nil
    }

    private func abandonSuccessor(_ publication: Publication, _ writable: Writable) {
        let line = LedgerEvent.NotPublished(
            mount: publication.intent.mount, staged: publication.intent.staged,
            reason: "the artifact that has its name kept it", record: publication.intent.record)
        writable.ledger.appendLater([LedgerEntry(.sealAbandoned(line))])
        settle()
    }

    /// - Parameter new: which file the successor is.
    private func exchange(
        _ artifact: LeavingArtifact, _ staged: RealFile, _ new: FileIdentity, _ shelf: VersionShelf
    ) throws(UnsealObstacle) {
        let version = try LeavingArtifact.attempt(artifact.path, "moved to the former versions") { () throws(Errno) in
            guard try artifact.file.look().identity == artifact.identity else { throw Errno.staleNFSFileHandle }
            return try shelf.directory(for: artifact.real).file(String(artifact.version))
        }
        // Under both names for a moment: who has it open finds it all the time. Not where names are remembered (`moveWholeToOwnName`).
        let isLinked =
            FileSystemKind.isLocal(version.directory.descriptor) && (try? version.link(from: artifact.file)) != nil
        // Where names cannot be exchanged it goes in two steps; recovery finishes what stops between them.
        let isOneStep: Bool
        do throws(Errno) {
            try Self.exchange(staged, new, with: artifact.file)
            isOneStep = true
        } catch {
            if isLinked { try? version.unlink() }
            guard error == .invalidArgument || error == .noFunction || error == .notSupported else {
                throw .system(path: artifact.path, doing: "superseded", error)
            }
            isOneStep = false
        }
        if isOneStep { try unsealStep(.exchanged) }
        do throws(Errno) {
            if isOneStep, isLinked {
                // What is left of this name the next mount removes.
                try? staged.unlink()
            } else {
                try Self.move(isOneStep ? staged : artifact.file, artifact.identity, toVersion: version)
            }
        } catch {
            if isOneStep { try? Self.exchange(staged, artifact.identity, with: artifact.file) }
            throw .system(path: artifact.path, doing: "moved to the former versions", error)
        }
        if !isOneStep {
            do throws(Errno) { try Self.move(staged, new, to: artifact.file) } catch {
                try? Self.move(version, artifact.identity, to: artifact.file)
                throw .system(path: artifact.path, doing: "superseded", error)
            }
            try unsealStep(.exchanged)
        }
        try unsealStep(.moved)
    }

    /// Exchanges two names. A call that was done and reports an error all the same is a success.
    ///
    /// - Parameter identity: what has the first name, and is to have the second.
    static func exchange(
        _ one: RealFile, _ identity: FileIdentity, with other: RealFile
    ) throws(Errno) {
        do throws(Errno) { try one.rename(to: other, flags: SystemCall.exchange) } catch {
            guard (try? other.look().identity) == identity else { throw error }
        }
    }

    /// The same of a move to a version's name, which is nobody else's.
    static func move(_ file: RealFile, _ identity: FileIdentity, toVersion other: RealFile) throws(Errno) {
        do throws(Errno) { try file.moveWholeToOwnName(other) } catch {
            guard (try? other.look().identity) == identity, (try? file.look().identity) != identity else { throw error }
        }
    }

    /// The same of a move that replaces nothing.
    static func move(_ file: RealFile, _ identity: FileIdentity, to other: RealFile) throws(Errno) {
        do throws(Errno) { try file.moveWhole(to: other) } catch {
            guard (try? other.look().identity) == identity, (try? file.look().identity) != identity else { throw error }
        }
    }
}
