internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// Who asks for something, for the ledger.
public struct Agent: Sendable {
    /// The user.
    public var user: UInt32
    /// The process, 0 when it is not known.
    public var process: Int32
    /// Its program.
    public var program: String

    /// An agent.
    public init(user: UInt32, process: Int32, program: String) {
        (self.user, self.process, self.program) = (user, process, program)
    }
}

/// What becomes of files and directories in quarantine. Each step leaves the bytes where they are found again, and a ledger that recovery makes true:
/// `discarded` and `taken-out` come before the file goes, and a `seal-intent` before it has its name.
extension Store {
    /// What was kept back.
    public func quarantine() throws(Errno) -> QuarantineReader {
        if let writable { return QuarantineReader(writable.quarantine) }
        return QuarantineReader(
            try root.directory(StoreLayout.privateDirectory).directory(StoreFormat.quarantine))
    }

    /// Publishes a file or a directory from quarantine after every check, without replacing anything. Until it has its name it is in quarantine,
    /// and it stays there when it cannot be published.
    ///
    /// Who does it for others has asked what they may do in the directory.
    ///
    /// - Parameters:
    ///   - despite: why it is to be published although it may be cut (``KeptBytes``).
    ///   - user: who asks.
    public func publish(
        _ entry: QuarantineEntry, as destination: Promotion.Destination, despite: String?, by user: UInt32
    ) throws(PromotionObstacle) {
        guard let writable else { throw .system(.readOnlyFileSystem) }
        guard entry.isDirectory == destination.isDirectory else {
            throw .system(entry.isDirectory ? .isDirectory : .notDirectory)
        }
        if let refusal = KeptBytes.judgePublishing(keptBy: entry.rule, despite: despite).refusal {
            throw .refused(RefusedRename(.source, refusal))
        }
        let (file, hold) = try attempt { () throws(Errno) in try self.hold(entry, writable) }
        defer { withExtendedLifetime(hold) {} }
        let target = Staging.Target(directory: directory(for: destination.location), name: destination.realName)
        // Nothing is staged under this name: it holds the target's.
        let holder = writable.staging.unusedName(hint: destination.path, kind: .artifact)
        do throws(Errno) { try writable.staging.reserve(target, for: holder) } catch {
            guard error == .fileExists else { throw .system(error) }
            let isThere = (try? target.directory.refresh()?.file(target.name).exists) ?? false
            let refusal = isThere ? OverwritePolicy.judge(.renameOnto, on: .sealed).refusal : nil
            throw .refused(RefusedRename(.target, refusal ?? .ofPublishing(.anotherWriter)))
        }
        var isTaken = true
        defer { if isTaken { writable.staging.release(holder) } }
        var request = request(entry, file, target, destination, despite: despite, by: user)
        var copy: SealedCopy?
        if isCopied(from: StoreLayout.quarantineDirectory + "/" + entry.id) {
            if SystemCall.hasNoWriters(hold.descriptor) == false, FileSystemKind.isLocal(hold.descriptor) {
                throw .stillOpen
            }
            copy = try SealedCopy(of: file, seen: entry.identity, isDirectory: entry.isDirectory, to: holder)
            (request.staged, request.isCopy) = (holder, true)
        } else {
            request.descriptor = hold.descriptor
        }
        switch entry.isDirectory ? publishDirectory(request, of: destination.type) : publish(request) {
        case .sealed:
            if let copy {
                isTaken = false
                copy.removeOriginal(by: writable.staging)
            } else if !entry.isDirectory, file.exists {
                // On another file system it was copied.
                try? file.unlink()
            }
            if !file.exists { try? writable.quarantine.file(QuarantineReader.reasonName(of: entry.id)).unlink() }
        case .restored(let reason, let rule), .quarantined(let reason, let rule), .waiting(let reason, let rule):
            throw .refused(RefusedRename(.target, .ofPublishing(rule)), detail: reason)
        case .stillOpen: throw .stillOpen
        }
    }

    private func request(
        _ entry: QuarantineEntry, _ file: RealFile, _ target: Staging.Target, _ destination: Promotion.Destination,
        despite: String?, by user: UInt32
    ) -> PublishRequest {
        var record = record(of: entry, despite, by: user)
        record.artifact = destination.record.artifact
        var request = destination.request(file, at: target.directory, record)
        request.isKept = true
        request.requiresNoWriters = true
        return request
    }

    /// What is known of what is published from quarantine.
    func record(of entry: QuarantineEntry, _ despite: String?, by user: UInt32) -> ArtifactRecord {
        record(entry.record, of: entry, despite, by: user)
    }

    func record(
        _ known: ArtifactRecord, of entry: QuarantineEntry, _ despite: String?, by user: UInt32
    ) -> ArtifactRecord {
        var record = known
        if record.writer == nil {
            record.writer = .init()
            record.writer?.uid = entry.owner
        }
        var recovery = ArtifactRecord.RecoveredFrom()
        (recovery.id, recovery.rule, recovery.reason) = (entry.id, entry.rule?.rawValue, entry.reason)
        (recovery.despite, recovery.uid) = (despite.flatMap { KeptBytes.isReason($0) ? $0 : nil }, user)
        record.recovered = recovery
        return record
    }

    /// Removes a file or a directory from quarantine for ever, and says so in the ledger. A directory leaves quarantine by one rename, so that
    /// nothing that is half removed is seen there; what of it cannot be removed then goes with the next recovery.
    ///
    /// - Throws: `ESTALE` when something else has its name.
    public func discard(_ entry: QuarantineEntry, by agent: Agent) throws(Errno) {
        guard let staging else { throw .readOnlyFileSystem }
        let doomed = staging.unusedName(hint: entry.id, kind: .discarded)
        let isGone = try leave(entry, .discarded(left(entry, agent))) { file throws(Errno) in
            if entry.isDirectory { try file.moveWhole(to: doomed) } else { try file.unlink() }
        }
        if entry.isDirectory, isGone { try? DirectoryTree.remove(doomed) }
    }

    /// Moves a file or a directory from quarantine to a session's or a test's real directory, replacing nothing.
    ///
    /// - Parameter path: where that is on the mount.
    /// - Throws: `EEXIST`, `EXDEV`, also where a program of another host may have it open, `ESTALE` when another file has its name.
    public func takeOut(
        _ entry: QuarantineEntry, to target: RealFile, path: String, by agent: Agent
    ) throws(Errno) {
        guard !target.exists else { throw .fileExists }
        // A copy of what is there is in the session then, and in no other hands.
        guard !isCopied(from: StoreLayout.quarantineDirectory + "/" + entry.id) else { throw .improperLink }
        guard try SystemCall.attributes(target.directory.descriptor).st_dev == entry.identity.device else {
            throw .improperLink
        }
        try leave(entry, .takenOut(left(entry, agent, to: path))) { file throws(Errno) in
            try file.moveWhole(to: target)
        }
        if durability == .synced { try? SystemCall.sync(target.directory.descriptor) }
    }

    private func left(_ entry: QuarantineEntry, _ agent: Agent, to path: String? = nil) -> LedgerEvent.LeftQuarantine {
        .init(
            mount: writable?.staging.mountID ?? "", quarantined: entry.id, path: entry.path, to: path,
            size: (try? quarantine().extent(of: entry))?.bytes ?? entry.size,
            sha256: entry.record.artifact.sha256, reason: entry.reason, uid: Int64(agent.user),
            pid: Int64(agent.process), command: agent.program)
    }

    /// - Returns: false when a test stopped it on its way.
    @discardableResult
    private func leave(
        _ entry: QuarantineEntry, _ event: LedgerEvent, _ go: (RealFile) throws(Errno) -> Void
    ) throws(Errno) -> Bool {
        guard let writable else { throw .readOnlyFileSystem }
        let (file, hold) = try self.hold(entry, writable)
        defer { withExtendedLifetime(hold) {} }
        var isSaid = true
        do throws(Errno) { try writable.ledger.append([LedgerEntry(event)]) } catch {
            // Room has to be made, perhaps by this very removal: the line comes with the first that has some.
            guard DiskRoom.isForWantOfRoom(error), case .discarded = event else {
                // What could not be brought to disk may stand there all the same.
                try? writable.ledger.append([LedgerEntry(stays(entry, "it stays in quarantine: \(error)"))])
                throw error
            }
            isSaid = false
        }
        if stopAfter.withLock({ $0 == .intentLogged }) { return false }
        do throws(Errno) { try go(file) } catch {
            // One that is not here any more went, and the reply was lost.
            if file.exists {
                if isSaid {
                    try? writable.ledger.append([LedgerEntry(stays(entry, "it stays in quarantine: \(error)"))])
                }
                throw error
            }
        }
        if stopAfter.withLock({ $0 == .moved }) { return false }
        try? writable.quarantine.file(QuarantineReader.reasonName(of: entry.id)).unlink()
        if durability == .synced { try? SystemCall.sync(writable.quarantine.descriptor) }
        guard !isSaid else { return true }
        writable.ledger.appendLater([LedgerEntry(event)])
        settle()
        return true
    }

    /// That a file is in quarantine after all.
    private func stays(_ entry: QuarantineEntry, _ reason: String) -> LedgerEvent {
        .quarantined(
            .init(
                mount: writable?.staging.mountID ?? "", staged: "",
                reason: (entry.reason.map { $0 + "; " } ?? "") + reason, rule: entry.rule?.rawValue,
                record: entry.record.json), as: entry.id)
    }

    /// Keeps everybody else from publishing or removing it, by whichever mount, as long as the hold lives.
    ///
    /// - Throws: `EBUSY` when somebody else is at it, `ESTALE` when another file has its name.
    func hold(
        _ entry: QuarantineEntry, _ writable: Writable
    ) throws(Errno) -> (file: RealFile, hold: StoreHold) {
        let file = writable.quarantine.file(entry.id)
        let descriptor = try file.open(O_RDONLY, seen: entry.identity)
        do throws(Errno) {
            try SystemCall.lock(descriptor, waiting: false)
            // Who had it before may have been done with it.
            guard try file.look().identity == entry.identity else { throw Errno.staleNFSFileHandle }
        } catch {
            SystemCall.closeLock(descriptor)
            throw error == .wouldBlock ? .resourceBusy : error
        }
        let path = "\(StoreLayout.privateDirectory)/\(StoreFormat.quarantine)/\(entry.id)"
        do throws(Errno) { return (file, try StoreHold(owning: descriptor, as: path, writable.staging)) } catch {
            throw error == .wouldBlock ? .resourceBusy : error
        }
    }

    private func attempt<Value>(_ body: () throws(Errno) -> Value) throws(PromotionObstacle) -> Value {
        do throws(Errno) { return try body() } catch { throw .system(error) }
    }
}
