public import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The audited ways out of write-once: what is sealed leaves its name and stays whole, as a version (DISK FORMAT, "Former versions"). Every line that
/// counts is on disk before the first name goes, whatever the durability.
extension Store {
    /// Takes the names from sealed artifacts, of all or of none.
    ///
    /// - Returns: what left, in the order of the paths.
    public func unseal(_ request: UnsealRequest) throws(UnsealObstacle) -> [UnsealedArtifact] {
        try withShelf(request.paths.first ?? "") { shelf, writable throws(UnsealObstacle) in
            let leaving = try find(request, shelf)
            let lines = lines(of: leaving, request, writable)
            try describe(leaving, lines, shelf)
            try announce(lines, [], leaving, shelf, writable)
            var moved = 0
            do throws(UnsealObstacle) {
                for artifact in leaving {
                    try move(artifact, shelf)
                    moved += 1
                    try unsealStep(.hardened)
                }
            } catch {
                if case .stopped = error { throw error }
                takeBack(leaving.prefix(moved), shelf)
                abandon(lines, leaving, shelf, writable)
                throw error
            }
            try conclude(lines, leaving, shelf, writable)
            return lines
        }
    }

    // MARK: - The steps

    /// Runs while nobody else supersedes, retracts, or removes versions in the store, by whichever mount.
    ///
    /// - Parameter path: the one that errors name.
    func withShelf<Result>(
        _ path: String, _ body: (VersionShelf, Writable) throws(UnsealObstacle) -> Result
    ) throws(UnsealObstacle) -> Result {
        guard let writable else { throw .system(path: path, doing: "changed", .readOnlyFileSystem) }
        let shelf = try LeavingArtifact.attempt(path, "changed: there is no place for versions") { () throws(Errno) in
            VersionShelf(
                directory: try writable.ownDirectory.directory(StoreFormat.versionsDirectory, orMakeWith: 0o700))
        }
        let lock = try LeavingArtifact.attempt(path, "changed: another change goes on") { () throws(Errno) in
            try Self.lock(shelf.directory, writable.staging)
        }
        defer { withExtendedLifetime(lock) {} }
        return try body(shelf, writable)
    }

    /// Who holds it is done soon; one who is stopped is not waited for without an end.
    static func lock(_ directory: Directory, _ staging: Staging) throws(Errno) -> StoreHold {
        // In a store of several hosts each of them waits until it sees what the one before it has done.
        var attempts = 200 + staging.lingeringSeconds * 4 * 20
        while true {
            do throws(Errno) {
                let descriptor = try SystemCall.open(directory.descriptor, ".", O_RDONLY | O_DIRECTORY)
                do throws(Errno) { try SystemCall.lock(descriptor, waiting: false) } catch {
                    SystemCall.closeLock(descriptor)
                    throw error
                }
                return try StoreHold(
                    owning: descriptor, as: "\(StoreLayout.privateDirectory)/\(StoreFormat.versionsDirectory)", staging,
                    lingers: true)
            } catch {
                attempts -= 1
                guard error == .wouldBlock, attempts > 0 else { throw error == .wouldBlock ? .resourceBusy : error }
                usleep(50_000)
            }
        }
    }

    func find(_ request: UnsealRequest, _ shelf: VersionShelf) throws(UnsealObstacle) -> [LeavingArtifact] {
        var found: [LeavingArtifact] = []
        var seen: Set<FileIdentity> = []
        for path in request.paths {
            let artifact = try LeavingArtifact(path, request, self, shelf)
            guard seen.insert(artifact.identity).inserted else { continue }
            let place = try LeavingArtifact.attempt(path, "looked at") { () throws(Errno) in
                try SystemCall.attributes(shelf.directory.descriptor).st_dev
            }
            guard place == artifact.identity.device else {
                throw .system(
                    path: path,
                    doing: "kept as a version: its layer is on another file system than the store's .artifactfs",
                    .improperLink)
            }
            if artifact.isImmutable, hardening.obstacle(in: shelf.directory) != nil {
                throw .system(
                    path: path,
                    doing:
                        "\(request.unsealing.rawValue): it is immutable, and only root's right CAP_LINUX_IMMUTABLE lifts "
                        + "that; do it as root, or through a mount that root made", .notPermitted)
            }
            found.append(artifact)
        }
        return found
    }

    func lines(
        of leaving: [LeavingArtifact], _ request: UnsealRequest, _ writable: Writable, successor: String? = nil
    ) -> [UnsealedArtifact] {
        let time = Clock.now()
        let together = "\(TimeText.compact(time))-\(getpid())-\(time.tv_nsec)"
        return leaving.map { artifact in
            UnsealedArtifact(
                mount: writable.staging.mountID, together: together, count: Int64(leaving.count),
                unsealing: request.unsealing, path: artifact.path, directory: artifact.directory.path,
                name: artifact.file.name, version: artifact.version, inode: UInt64(artifact.attributes.st_ino),
                size: artifact.record.artifact.size ?? Int64(artifact.attributes.st_size),
                sha256: artifact.record.artifact.sha256 ?? "", successor: successor, reason: request.reason,
                uid: Int64(request.agent.user), pid: Int64(request.agent.process), command: request.agent.program)
        }
    }

    /// Says beside each version that is to be there what it is.
    func describe(
        _ leaving: [LeavingArtifact], _ lines: [UnsealedArtifact], _ shelf: VersionShelf
    ) throws(UnsealObstacle) {
        let time = JSONValue.string(TimeText.rfc3339(Clock.now()))
        do throws(UnsealObstacle) {
            for (artifact, line) in zip(leaving, lines) {
                try LeavingArtifact.attempt(artifact.path, "described as a version") { () throws(Errno) in
                    var record = artifact.record
                    record.artifact.version = artifact.version
                    var all: JSONObject = ["time": time]
                    all.add(line.members)
                    all.add("record", .object(record.json))
                    let text = Array((JSONValue.object(all).description + "\n").utf8)
                    let place = try shelf.directory(for: artifact.real)
                    try WholeFile.write(
                        text, to: place.file(VersionShelf.descriptionName(artifact.version)),
                        isAlone: true, isSynced: leaving.count <= Self.fewToSync)
                }
            }
            try LeavingArtifact.attempt(leaving.first?.path ?? "", "described as a version") { () throws(Errno) in
                if leaving.count > Self.fewToSync {
                    try SystemCall.syncFileSystem(shelf.directory.descriptor)
                } else {
                    try SystemCall.sync(shelf.directory.descriptor)
                }
            }
        } catch {
            removeDescriptions(leaving, shelf)
            throw error
        }
        try unsealStep(.described)
    }

    /// Of more files the whole file system is brought to disk at once: each for itself waits as long.
    private static let fewToSync = 8

    private func removeDescriptions(_ leaving: some Sequence<LeavingArtifact>, _ shelf: VersionShelf) {
        for artifact in leaving {
            guard let place = try? shelf.directory(of: artifact.real),
                !place.file(String(artifact.version)).exists
            else { continue }
            try? place.file(VersionShelf.descriptionName(artifact.version)).unlink()
            try? SystemCall.unlink(shelf.directory.descriptor, EscapedName.unique(artifact.real), isDirectory: true)
        }
    }

    /// Writes what makes it count, on disk.
    ///
    /// - Parameter before: lines that come first.
    func announce(
        _ lines: [UnsealedArtifact], _ before: [LedgerEntry], _ leaving: [LeavingArtifact], _ shelf: VersionShelf,
        _ writable: Writable
    ) throws(UnsealObstacle) {
        do throws(Errno) {
            try StoreFormat.raise(writable.ownDirectory, to: StoreFormat.withVersions)
            if !before.isEmpty { try SystemCall.sync(writable.staging.directory.descriptor) }
            try writable.ledger.append(before + lines.map { LedgerEntry(.unsealIntent($0)) })
        } catch {
            abandon(lines, leaving, shelf, writable)
            throw .system(path: lines.first?.path ?? "", doing: "recorded in the ledger", error)
        }
        writable.ledger.sync(always: true)
        try unsealStep(.intentLogged)
    }

    private func move(_ artifact: LeavingArtifact, _ shelf: VersionShelf) throws(UnsealObstacle) {
        try lifting(artifact) { () throws(UnsealObstacle) in
            try unsealStep(.lifted)
            try LeavingArtifact.attempt(artifact.path, "moved to the former versions") { () throws(Errno) in
                guard try artifact.file.look().identity == artifact.identity else { throw Errno.staleNFSFileHandle }
                let target = try shelf.directory(for: artifact.real).file(String(artifact.version))
                try Self.move(artifact.file, artifact.identity, toVersion: target)
            }
            try unsealStep(.moved)
        }
    }

    /// Runs while an artifact that leaves its name is not immutable.
    func lifting(
        _ artifact: LeavingArtifact, _ body: () throws(UnsealObstacle) -> Void
    ) throws(UnsealObstacle) {
        try hardening.lifting(
            artifact.file, for: .unsealing,
            otherwise: { .system(path: artifact.path, doing: "moved: its immutable flag could not be lifted", $0) },
            body)
    }

    /// Gives names back that were taken a moment ago. What cannot have its name again, because something else has it by now, stays a version; its line
    /// says so.
    private func takeBack(_ leaving: some Sequence<LeavingArtifact>, _ shelf: VersionShelf) {
        for artifact in leaving {
            guard let version = try? shelf.directory(of: artifact.real)?.file(String(artifact.version)) else {
                continue
            }
            try? hardening.lifting(version, for: .unsealing, otherwise: { $0 }) { () throws(Errno) in
                try version.moveWhole(to: artifact.file)
            }
        }
    }

    /// Says of intents that they do not count, but for what has left its name all the same.
    func abandon(
        _ lines: [UnsealedArtifact], _ leaving: [LeavingArtifact], _ shelf: VersionShelf, _ writable: Writable
    ) {
        let entries = zip(leaving, lines).map { artifact, line in
            let isGone = (try? shelf.directory(of: artifact.real)?.file(String(artifact.version)).exists) ?? false
            return LedgerEntry(isGone ? .unsealed(line) : .unsealAbandoned(line))
        }
        do throws(Errno) { try writable.ledger.append(entries) } catch { writable.ledger.appendLater(entries) }
        removeDescriptions(leaving, shelf)
    }

    /// What comes when all have left.
    ///
    /// - Parameter after: lines that come with theirs.
    func conclude(
        _ lines: [UnsealedArtifact], _ leaving: [LeavingArtifact], _ shelf: VersionShelf, _ writable: Writable,
        after: [LedgerEntry] = []
    ) throws(UnsealObstacle) {
        if leaving.count > Self.fewToSync {
            try? SystemCall.syncFileSystem(shelf.directory.descriptor)
        } else {
            for artifact in leaving {
                try? SystemCall.sync(artifact.file.directory.descriptor)
                if let place = try? shelf.directory(of: artifact.real) { try? SystemCall.sync(place.descriptor) }
            }
        }
        try unsealStep(.directorySynced)
        writable.ledger.appendLater(lines.map { LedgerEntry(.unsealed($0)) } + after)
        settle()
        writable.ledger.sync(always: true)
        try unsealStep(.logged)
    }

    func unsealStep(_ step: UnsealStep) throws(UnsealObstacle) {
        if stopUnsealingAfter.withLock({ $0 == step }) { throw .stopped }
    }
}
