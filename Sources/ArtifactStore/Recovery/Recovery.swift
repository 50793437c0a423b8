internal import ArtifactFormats
internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What became of the files of mounts that ended without closing the store.
public struct RecoveryReport: Sendable, Hashable {
    /// Artifacts whose publishing was finished, by their paths in the store.
    public internal(set) var finished: [String] = []
    /// Files that went to quarantine, by their paths on the mount.
    public internal(set) var quarantined: [String] = []
    /// Temporary files that were old and were removed, by their paths on the mount.
    public internal(set) var removed: [String] = []
    /// Finished artifacts that the store had no room for or that it failed for, by their paths on the mount, with the reason. They stay
    /// staged for the next time.
    public internal(set) var waiting: [String: String] = [:]
    /// Artifacts that nothing was written to and that were removed, by their paths on the mount.
    public internal(set) var empty: [String] = []
    /// Artifacts that were about to leave their names and have left them, by their paths on the mount.
    public internal(set) var unsealed: [String] = []
    /// Files that were about to be promoted together and are back where they were, by their paths on the mount there.
    public internal(set) var restored: [String] = []
    /// Whether another mount was at it, and nothing was looked at.
    public internal(set) var wasBusy = false
    /// What could not be settled and waits for the next time, in words.
    public internal(set) var problems: [String] = []

    /// Whether there was nothing to do.
    public var isEmpty: Bool { self == RecoveryReport() }
}

/// Settles what mounts left that were killed: staging directories whose lock nobody holds. The caller holds the store's
/// lock.
struct Recovery {
    let root: Directory
    let stagings: Directory
    let quarantine: Directory
    let ledgers: Directory
    /// `.artifactfs`
    let own: Directory
    let reserved: Directory?
    let ledger: Ledger
    /// For what is published.
    let schema: ArtifactSchema
    let checks: CheckProcesses
    /// The machine that this is.
    let host: String
    /// For how long temporary files are kept.
    let transientSeconds: Int
    let durability: Durability
    let hardening: Hardening
    /// Which mounts live.
    let leases: Leases
    /// The mount for which the store is being opened, which does nothing yet.
    let opening: String?
    var report = RecoveryReport()
    /// The mounts that live, by their staging directories.
    private(set) var living: Set<String> = []
    /// When the first of the mounts began that were killed, by the file system's clock.
    private(set) var firstDead: Int?
    /// The mounts that were killed.
    private(set) var dead: Set<String> = []
    /// What the ledgers say was put into quarantine of these.
    private(set) var putAway: Set<String> = []

    /// The sessions of which the ledgers say that they are removed.
    var told: Set<String> = []

    /// What is added to the name of a staging directory in which nothing but young temporary files is left: its intents
    /// are settled.
    static let leftSuffix = ".left"

    init(
        root: Directory, stagings: Directory, quarantine: Directory, ledgers: Directory, own: Directory,
        reserved: Directory?, ledger: Ledger, schema: ArtifactSchema, checks: CheckProcesses, host: String,
        transientSeconds: Int,
        durability: Durability, hardening: Hardening, leases: Leases,
        opening: String? = nil
    ) {
        (self.leases, self.opening) = (leases, opening)
        self.root = root
        self.stagings = stagings
        self.quarantine = quarantine
        self.ledgers = ledgers
        self.own = own
        self.reserved = reserved
        self.ledger = ledger
        self.schema = schema
        self.checks = checks
        self.host = host
        self.transientSeconds = transientSeconds
        self.durability = durability
        self.hardening = hardening
    }

    mutating func run() throws(Errno) -> RecoveryReport {
        var ended: [Ended] = []
        defer { for staging in ended { SystemCall.closeLock(staging.lock) } }
        for entry in try stagings.entries() where entry.isDirectory && entry.name != opening {
            do throws(Errno) {
                if let staging = try recover(entry.name) { ended.append(staging) }
            } catch {
                report.problems.append("staging/\(entry.name): \(error)")
            }
        }
        if firstDead != nil {
            do throws(Errno) { try completeQuarantine() } catch {
                report.problems.append("quarantine: \(error)")
                return report
            }
        }
        // Who is killed before this begins anew, and so does who could not write the ledger's lines.
        guard !ledger.hasLost else { return report }
        for staging in ended {
            do throws(Errno) { try remove(staging) } catch {
                report.problems.append("staging/\(staging.name): \(error)")
            }
        }
        return report
    }

    /// A dead mount's staging directory that was looked through.
    private struct Ended {
        let name: String
        let directory: Directory
        /// Open, and held.
        let lock: FileDescriptor
        /// Whether there is something in it that must be looked at again.
        let waits: Bool
    }

    private func remove(_ staging: Ended) throws(Errno) {
        // What lacks its line only has left staging already: the next time looks here for its intent.
        guard !staging.waits else { return }
        Staging.removeIfEmpty(staging.directory, named: staging.name, in: stagings)
        guard !staging.name.hasSuffix(Self.leftSuffix),
            (try? SystemCall.attributes(stagings.descriptor, staging.name)) != nil
        else { return }
        try SystemCall.rename(
            stagings.descriptor, staging.name, stagings.descriptor, staging.name + Self.leftSuffix, 0)
    }

    /// Notes what waits for the next time.
    mutating func problem(_ text: String) { report.problems.append(text) }

    /// - Returns: nil when the mount lives.
    private mutating func recover(_ name: String) throws(Errno) -> Ended? {
        let directory = try stagings.directory(name)
        // One that another host is about to make has no token yet.
        let make = leases.mayMakeToken(in: name) ? O_CREAT : 0
        let lock: FileDescriptor
        do throws(Errno) {
            lock = try directory.file(Staging.lockName).open(O_RDWR | make | O_NONBLOCK, mode: 0o600)
        } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
            living.insert(name)
            return nil
        }
        do throws(Errno) {
            try leases.inherit(lock, name, directory)
            let waits = try recover(name, directory, lock)
            return Ended(name: name, directory: directory, lock: lock, waits: waits)
        } catch {
            SystemCall.closeLock(lock)
            guard error == .wouldBlock else { throw error }
            living.insert(name)
            return nil
        }
    }

    /// - Returns: whether something must be looked at again.
    private mutating func recover(_ name: String, _ directory: Directory, _ lock: FileDescriptor) throws(Errno) -> Bool
    {
        let isSettled = name.hasSuffix(Self.leftSuffix)
        var waits = false
        var promoting: [String: PromotionIntent] = [:]
        var waiting: Set<String> = []
        let mount = isSettled ? String(name.dropLast(Self.leftSuffix.count)) : name
        let description = MountDescription(lock)
        firstDead = min(firstDead ?? .max, try SystemCall.attributes(lock).st_mtim.tv_sec)
        dead.insert(mount)
        if !isSettled {
            let intents = try MountHistory(of: mount, description, in: directory, by: ledger.host, ledger, ledgers)
            putAway.formUnion(intents.putAway)
            try finishUnsealing(intents, in: directory)
            try putBackFlags(intents)
            for intent in intents.open {
                do throws(Errno) {
                    if let run = intent.together, !intents.sealing.contains(run) {
                        try undo(intent, intents.promoting[intent.staged], in: directory)
                        continue
                    }
                    if try settle(intent, in: directory) { continue }
                } catch {
                    report.problems.append("staging/\(name)/\(intent.staged): \(error)")
                }
                waits = true
                waiting.insert(intent.staged)
            }
            if !finishClearing(intents, in: directory) { waits = true }
            try finishLeaving(intents, in: directory)
            if !finishRemoving(intents, in: directory, mount: mount) { waits = true }
            for intent in intents.sealed { try removeOtherName(of: intent, in: directory, mount) }
            promoting = intents.promoting
        }
        let entries = try directory.entries()
        let isOfThisRun = description?.isOfThisRun ?? false
        for entry in entries where !Staging.isLock(entry.name) && !waiting.contains(entry.name) {
            do throws(Errno) {
                if let intent = promoting[entry.name] {
                    try putBack(directory.file(entry.name), intent)
                    continue
                }
                try settle(directory.file(entry.name), in: directory, mount: mount, isOfThisRun: isOfThisRun, &waits)
            } catch {
                // The others do not wait for it.
                report.problems.append("staging/\(name)/\(entry.name): \(error)")
                waits = true
            }
        }
        // Nobody writes any more what the mount had taken names for.
        try Reservations.releaseAll(of: lock, in: reserved)
        for entry in entries
        where Staging.isLock(entry.name) && entry.name != Staging.lockName && !Heirs.isOne(entry.name) {
            let another = try directory.file(entry.name).open(O_RDWR | O_NONBLOCK)
            defer { SystemCall.close(another) }
            try Reservations.releaseAll(of: another, in: reserved)
        }
        return waits
    }

    /// A file of which the ledger says nothing.
    ///
    /// - Parameters:
    ///   - isOfThisRun: whether the mount was of this run of the machine, so that what was written is there.
    ///   - waits: set when the file must be looked at again.
    private mutating func settle(
        _ file: RealFile, in staging: Directory, mount: String, isOfThisRun: Bool, _ waits: inout Bool
    ) throws(Errno) {
        let attributes = try file.attributes()
        let (kind, process, path) = Staging.understand(file.name) ?? (.artifact, 0, file.name)
        if attributes.isDirectory {
            try settleDirectory(
                file, attributes, (kind, path), in: staging, mount: mount, isOfThisRun: isOfThisRun, &waits)
        } else if attributes.isRegular && attributes.st_size == 0 && !leases.isInherited(mount) {
            // Programs go on writing where the kernel moves the bytes.
            guard !Staging.hasWriter(file) else { return waits = true }
            try file.unlink()
            guard kind != .transient, finishedTarget(path) != nil else { return }
            report.empty.append(path)
            ledger.appendLater([
                Self.emptiness(mount: mount, staged: file.name, path: path, user: attributes.st_uid, process: process)
            ])
        } else if kind == .finished, isOfThisRun || isWhole(file, attributes), let target = finishedTarget(path) {
            try publish(file, attributes, process, target, in: staging, mount: mount, &waits)
        } else if kind != .transient {
            // Of a host that is cut off nobody knows what it has not sent yet: what is empty here may have bytes there.
            try take(
                file, mount, path,
                leases.isInherited(mount)
                    ? "its host ended, or was cut off, while it was being written"
                    : "the driver ended while it was being written", .beingWritten,
                ArtifactRecord(path: path).quarantined.json)
        } else if Self.isOld(attributes, keepingSeconds: transientSeconds) {
            try file.unlink()
            report.removed.append(path)
            try ledger.append([
                Self.removal(mount: mount, staged: file.name, path: path, size: Int64(attributes.st_size))
            ])
        }
    }

    /// Whether a file was checked, says itself what it is, and is that: then it is whole in whichever run of the machine.
    private func isWhole(_ file: RealFile, _ attributes: stat) -> Bool {
        guard let seal = Seal(of: file), seal.size == Int64(attributes.st_size) else { return false }
        return (try? hash(of: file)) == seal.sha256
    }

    /// What a finished file is to become, by its path on the mount; nil when it is none of production, or when its name in staging had no room
    /// for all of it.
    private func finishedTarget(_ path: String) -> Promotion.Destination? {
        Promotion.Destination(path: path, in: schema, isDirectory: false)
    }

    /// Does what the driver was about to do with a file that was finished.
    private mutating func publish(
        _ file: RealFile, _ attributes: stat, _ process: Int32, _ target: Promotion.Destination,
        in staging: Directory, mount: String,
        _ waits: inout Bool
    ) throws(Errno) {
        // How those ended who made it nobody knows any more.
        var draft = target.record
        draft.times.closed = attributes.st_ctim
        var writer = ArtifactRecord.Writer()
        (writer.uid, writer.gid, writer.exit) = (attributes.st_uid, attributes.st_gid, .unknown)
        writer.pid = process > 0 ? process : nil
        draft.writer = writer
        var request = target.request(file, at: realDirectory(StoreLayout.directory(of: target.location)), draft)
        // Not the driver's word alone: what is mapped can still change.
        request.requiresNoWriters = true
        var writeBits: UInt32 = 0
        let failure: PublishFailure
        do throws(PublishFailure) {
            let publication = try Publication(
                request, index: 0, mount: mount, host: host, leavesSeal: durability == .relaxed,
                isImmutable: hardening.isDone(in: request.target), mode: schema.publishMode, checks: checks,
                ledger: ledger,
                finder: RecordFinder(root: root, ledgers: ledgers, schema: schema, shown: nil), &writeBits,
                step: { _ in })
            defer { publication.close() }
            if durability == .synced {
                do throws(Errno) { try SystemCall.sync(publication.descriptor) } catch { throw .notOnDisk(error) }
            }
            try attempt("recorded in the ledger") { () throws(Errno) in try ledger.append([publication.entry]) }
            if !(try attempt("published", { () throws(Errno) in try settle(publication.intent, in: staging) })) {
                waits = true
            }
            return
        } catch { failure = error }
        switch failure {
        case .stillOpen: waits = true
        case .system where failure.passes:
            waits = true
            report.waiting[target.path] = failure.reason
        default: try take(file, mount, target.path, failure.reason, failure.rule, draft.quarantined.json)
        }
    }

    func realDirectory(_ path: String) -> RealDirectory {
        RealDirectory(
            path: path, root: root, isSynced: durability == .synced, budget: DescriptorBudget(processLimit: 0))
    }

    /// Whether a temporary file has not changed for a time.
    static func isOld(_ attributes: stat, keepingSeconds: Int) -> Bool {
        Clock.secondsSince(attributes.st_ctim) > keepingSeconds
    }

    /// The ledger's line for an old temporary file that was removed.
    static func removal(mount: String, staged: String, path: String, size: Int64) -> LedgerEntry {
        LedgerEntry(.removedTransient(.init(mount: mount, staged: staged, path: path, size: size)))
    }

    /// The ledger's line for an artifact that nothing was written to and whose name is free again.
    static func emptiness(
        mount: String, staged: String, path: String, user: UInt32, process: Int32, program: String? = nil,
        detail: String? = nil
    ) -> LedgerEntry {
        LedgerEntry(
            .removedEmpty(
                .init(
                    mount: mount, staged: staged, path: path, uid: Int64(user), pid: Int64(process), command: program,
                    detail: detail)))
    }

    mutating func take(
        _ file: RealFile, _ mount: String, _ path: String, _ reason: String, _ rule: Rule, _ record: JSONObject
    ) throws(Errno) {
        putAway.insert(
            try Quarantine(directory: quarantine, ledger: ledger, mount: mount, isSynced: durability == .synced)
                .take(file, path: path, reason: reason, rule: rule, record: record))
        report.quarantined.append(path)
    }

    /// A published file's name in staging, which could not be removed.
    private func removeOtherName(of intent: SealIntent, in staging: Directory, _ mount: String) throws(Errno) {
        let staged = staging.file(intent.staged)
        guard let found = try? staged.attributes(), found.isRegular, found.st_nlink > 1,
            let directory = try RealDirectory.open(intent.directory, beneath: root),
            let published = try? directory.file(intent.name).attributes(),
            (published.st_dev, published.st_ino) == (found.st_dev, found.st_ino)
        else { return }
        try removeName(staged, of: directory.file(intent.name), mount)
    }

    /// - Returns: false when the file stays staged, because the store has no room for it or fails.
    mutating func settle(_ intent: SealIntent, in staging: Directory) throws(Errno) -> Bool {
        let staged = staging.file(intent.staged)
        // What cannot be looked at now is not missing: it waits for the next time.
        let stagedAttributes = try Self.found(staged)
        let path = ArtifactRecord(intent.record).artifact.path ?? intent.name
        let target = realDirectory(intent.directory)
        var hadCopy = false
        if let directory = try target.current() {
            let copy = directory.file(intent.copyName)
            hadCopy = try Self.found(copy) != nil
            if hadCopy { try copy.unlink() }
            let file = directory.file(intent.name)
            if let found = try Self.found(file), found.isRegular || found.isDirectory {
                let isOurs = UInt64(found.st_ino) == intent.inode
                let isOurCopy =
                    !isOurs && !hadCopy && found.isRegular && TimeText.rfc3339(found.st_mtim) == intent.modified
                    && Int64(found.st_size) == intent.size
                if isOurs || isOurCopy, try hash(of: file) == intent.sha256 {
                    if durability == .synced { try SystemCall.sync(directory.descriptor) }
                    if stagedAttributes != nil { try removeName(staged, of: file, intent.mount) }
                    DirectoryPublication.makeReadOnly(file)
                    try harden(file, intent)
                    try finish(intent)
                    return true
                }
                if isOurs {
                    if found.isDirectory { _ = try? ImmutableFlag.remove(from: file) }
                    // Only where nobody waited for the disk: the name survived and the bytes did not.
                    try take(
                        file, intent.mount, path, "it is not whole: the machine stopped before its bytes were on disk",
                        .storeFailed, intent.record)
                    return true
                }
            }
        }
        guard let stagedAttributes else {
            if let kept = intent.kept, try Self.found(quarantine.file(kept)) != nil {
                try ledger.append([LedgerEntry(.restored(Self.stays(intent)))])
                return true
            }
            let file = LedgerEvent.NotPublished(
                mount: intent.mount, staged: intent.staged,
                reason: "neither the staged file nor the artifact is there", record: intent.record)
            try ledger.append([LedgerEntry(.sealAbandoned(file))])
            return true
        }
        guard UInt64(stagedAttributes.st_ino) == intent.inode, try hash(of: staged) == intent.sha256 else {
            try take(
                staged, intent.mount, path, "it is not what was checked before the driver ended", .failedCheck,
                intent.record)
            return true
        }
        do throws(Errno) {
            guard
                try Reservations.reserve(
                    intent.directory + "/" + intent.name, for: staging.file(Staging.lockName), in: reserved,
                    leases)
            else { throw .fileExists }
            let directory = try target.ensure()
            do throws(Errno) {
                try staged.moveWhole(to: directory.file(intent.name))
            } catch .improperLink {
                try copyAcross(staged, intent, to: directory)
            }
            DirectoryPublication.makeReadOnly(directory.file(intent.name))
            try harden(directory.file(intent.name), intent)
            if durability == .synced { try SystemCall.sync(directory.descriptor) }
            try finish(intent)
        } catch {
            let failure = PublishFailure.system(doing: "published", error)
            guard !failure.passes else {
                // When only the line failed, the next time finds the file at its place.
                report.waiting[path] = failure.reason
                return false
            }
            let reason =
                error == .fileExists
                ? "another writer published '\(intent.name)' first (production artifacts are immutable)"
                : "it could not be published after the driver ended: \(error)"
            try take(
                staged, intent.mount, path, reason, error == .fileExists ? .anotherWriter : .ofFailure(error),
                intent.record)
        }
        return true
    }

    /// An intent of a run that is all or nothing and had not written all of them: nothing of it was published, and nothing is.
    ///
    /// - Parameter promotion: where it was, of what was promoted with others.
    private mutating func undo(
        _ intent: SealIntent, _ promotion: PromotionIntent?, in staging: Directory
    ) throws(Errno) {
        let staged = staging.file(intent.staged)
        if let promotion, try Self.found(staged) != nil { return try putBack(staged, promotion) }
        let reason = "the driver ended before all was ready that its run made, which is all or nothing"
        guard try Self.found(staged) != nil else {
            let file = LedgerEvent.NotPublished(
                mount: intent.mount, staged: intent.staged, reason: reason, record: intent.record)
            return try ledger.append([LedgerEntry(.sealAbandoned(file))])
        }
        let path = ArtifactRecord(intent.record).artifact.path ?? intent.name
        try take(staged, intent.mount, path, reason, .beingWritten, intent.record)
    }

    /// A file's attributes; nil when there is none.
    static func found(_ file: RealFile) throws(Errno) -> stat? {
        do throws(Errno) { return try file.attributes() } catch .noSuchFileOrDirectory { return nil }
    }

    private func copyAcross(_ staged: RealFile, _ intent: SealIntent, to directory: Directory) throws(Errno) {
        let descriptor = try staged.open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        let copy = directory.file(intent.copyName)
        do throws(Errno) {
            try FileCopy.copy(descriptor, to: copy, isSynced: durability == .synced)
            try copy.rename(to: directory.file(intent.name), flags: SystemCall.noReplace)
        } catch {
            try? copy.unlink()
            throw error
        }
        try staged.unlink()
    }

    mutating func finish(_ intent: SealIntent) throws(Errno) {
        try ledger.append([LedgerEntry(.sealed(intent, isRecovered: true))])
        report.finished.append(intent.directory + "/" + intent.name)
    }

    func hash(of file: RealFile) throws(Errno) -> String {
        if try file.attributes().isDirectory {
            do throws(PublishFailure) { return try DirectoryPublication.sha256(of: file) } catch {
                guard case .system(_, let errno) = error else { return "" }
                throw errno
            }
        }
        return try file.sha256()
    }
}
