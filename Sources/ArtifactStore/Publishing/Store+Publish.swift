internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The steps of publishing, in their order; a crash can come after each.
///
/// | step | what is on disk then | what recovery makes of it |
/// | --- | --- | --- |
/// | `checked` | the staged file | quarantine; published when it was noted as finished (``Staging/finish(_:process:)``) |
/// | `madeReadOnly` | the same, without write bits | the same |
/// | `fileSynced` | the same, its bytes on disk | the same |
/// | `intentLogged` | and a `seal-intent` line with the whole record | published: the file was whole; or quarantine if the name is taken |
/// | `copied` | another file system only: and a hidden copy in the target directory | the copy is removed, then as above |
/// | `moved` | the file at its real name | a `sealed` line is added |
/// | `directorySynced` | the same, also after a power loss | a `sealed` line is added |
/// | `hardened` | and immutable, where that is asked for; before it the intent says so | a `sealed` line is added |
/// | `sealedLogged` | everything | nothing |
///
/// So the record is on disk before the name is, and an artifact is either absent with its bytes kept, or sealed with
/// its record. What is to be immutable becomes it last, and recovery does that too. The `sealed` line itself is not waited for: it says again what the intent said. A `seal-intent` is
/// settled by a later line with the same `mount` and `staged`: `sealed`, `quarantined`, `restored` or `seal-abandoned`.
enum PublishStep: String, CaseIterable, Sendable {
    case checked
    case madeReadOnly
    case fileSynced
    case intentLogged
    case copied
    case moved
    case directorySynced
    case hardened
    case sealedLogged

    /// Whether the file has not got its name yet.
    var isBeforeMoving: Bool {
        switch self {
        case .checked, .madeReadOnly, .fileSynced, .intentLogged, .copied: true
        case .moved, .directorySynced, .hardened, .sealedLogged: false
        }
    }
}

/// Why a file is not published.
enum PublishFailure: Error {
    case refused(String)
    /// The name is another's.
    case lost(name: String)
    /// `doing` completes "could not be ...".
    case system(doing: String, Errno)
    /// fsync(2) failed. What the disk has is not known, and the kernel tells of it once only: a second try would succeed without a reason.
    case notOnDisk(Errno)
    /// Somebody can still write to it.
    case stillOpen
    /// Somebody can still write to what is in it, or has changed it; a sentence.
    case busy(String)
    /// A test stopped here.
    case stopped

    var reason: String {
        switch self {
        case .refused(let reason): reason
        case .lost(let name):
            "another writer published '\(name)' first (production artifacts are immutable)"
        case .system(let doing, .hostIsDown):
            "it could not be \(doing): this host was cut off from the store for longer than its lease holds"
        case .system(let doing, let errno): "it could not be \(doing): \(errno)"
        case .notOnDisk(let errno):
            "it could not be brought to disk, and what the disk has of it is not known: \(errno)"
        case .stillOpen: "it is still open for writing"
        case .busy(let reason): reason
        case .stopped: "stopped"
        }
    }

    /// The rule that the file was judged by.
    var rule: Rule {
        switch self {
        case .lost: .anotherWriter
        case .system(_, let error): .ofFailure(error)
        case .notOnDisk: .storeFailed
        case .refused, .stillOpen, .busy, .stopped: .failedCheck
        }
    }

    /// Whether it is nothing of the file's, and may be over later.
    var passes: Bool {
        guard case .system(_, let error) = self else { return false }
        if DiskRoom.isForWantOfRoom(error) { return true }
        switch error {
        case .ioError, .readOnlyFileSystem, .tooManyOpenFiles, .tooManyOpenFilesInSystem,
            .noMemory, .timedOut, .hostIsDown, .staleNFSFileHandle, .resourceBusy, .resourceTemporarilyUnavailable:
            return true
        default: return false
        }
    }
}

extension Store {
    /// Checks a staged file and publishes it without replacing anything; see `PublishStep` for the order. Any number
    /// may be published at once.
    ///
    /// The caller has made sure that nobody has the file open for writing.
    ///
    /// - Returns: what became of it. Whatever goes wrong, the bytes are kept: where the file was (a promotion), in
    ///   quarantine, or in staging, when it may be tried again or when even quarantine fails; the reason says where.
    public func publish(_ request: PublishRequest) -> PublishOutcome {
        defer { settle() }
        return publish([request]).first ?? .quarantined(reason: "stopped", rule: .failedCheck)
    }

    /// The same for several files. All take a step before the first takes the next one, so that they share the ledger's writes and what
    /// the disk must commit. What is wrong with one is nothing to the others.
    ///
    /// The ledger's `sealed` lines go with its next lines; call `settle` when there is nothing more to publish.
    ///
    /// - Returns: what became of each, in their order.
    public func publish(_ requests: [PublishRequest]) -> [PublishOutcome] {
        guard let writable else {
            return requests.map { _ in
                .quarantined(
                    reason: "the store was opened read-only; the file is where it was", rule: .failedCheck)
            }
        }
        sayUnsynced()
        var outcomes = [PublishOutcome](
            repeating: .quarantined(reason: "stopped", rule: .failedCheck), count: requests.count)
        func end(_ index: Int, _ failure: PublishFailure, _ writeBits: UInt32, _ file: Publication? = nil) {
            switch failure {
            case .stopped: return
            case .stillOpen: return outcomes[index] = .stillOpen
            case .refused, .lost, .system, .notOnDisk, .busy: break
            }
            giveBack(writeBits, requests[index])
            if requests[index].canWait, failure.passes, leases.state != .lost {
                if let file { leaveForLater(file, writable) }
                outcomes[index] = .waiting(reason: failure.reason, rule: failure.rule)
            } else {
                outcomes[index] = keep(requests[index], failure, writable)
            }
        }
        var files: [Publication] = []
        files.reserveCapacity(requests.count)
        defer { for file in files { file.close() } }
        let finder = writable.finder(root, schema, shownPlace)
        for (index, request) in requests.enumerated() {
            var writeBits: UInt32 = 0
            do throws(PublishFailure) {
                files.append(
                    try Publication(
                        request, index: index, mount: writable.staging.mountID, host: host,
                        leavesSeal: durability == .relaxed, isImmutable: hardening.isDone(in: request.target),
                        mode: schema.publishMode, checks: checks, ledger: writable.ledger, finder: finder, &writeBits,
                        step: { step throws(PublishFailure) in try self.step(step) }))
            } catch {
                end(index, error, writeBits)
            }
        }
        func each(_ body: (Publication) throws(PublishFailure) -> Void) {
            for place in files.indices where !files[place].isEnded {
                do throws(PublishFailure) {
                    try body(files[place])
                } catch {
                    files[place].isEnded = true
                    end(files[place].index, error, files[place].writeBits, files[place])
                }
            }
        }

        if durability == .synced {
            // All on their way before the first is waited for: one commit of the file system takes most of them.
            if files.count > 1 { each { SystemCall.beginSync($0.descriptor) } }
            each { file throws(PublishFailure) in
                do throws(Errno) { try SystemCall.sync(file.descriptor) } catch { throw .notOnDisk(error) }
            }
        }
        each { _ throws(PublishFailure) in try step(.fileSynced) }

        var targets: [String: Directory] = [:]
        each { file throws(PublishFailure) in
            let directory = file.request.target
            guard targets[directory.path] == nil else { return }
            targets[directory.path] = try attempt("published, because its directory cannot be made") {
                () throws(Errno) in try directory.ensure()
            }
        }
        var obstacle: Errno?
        do throws(Errno) {
            try writable.ledger.append(files.filter { !$0.isEnded }.map(\.entry))
        } catch {
            obstacle = error
        }
        each { file throws(PublishFailure) in
            if let obstacle {
                try attempt("recorded in the ledger") { () throws(Errno) in
                    // On a disk that is nearly full some may still have room.
                    guard requests.count > 1 else { throw obstacle }
                    try writable.ledger.append([file.entry])
                }
            }
            try step(.intentLogged)
        }

        each { file throws(PublishFailure) in
            guard let target = targets[file.request.target.path] else { return }
            try move(file, to: target)
            try step(.moved)
        }
        if durability == .synced {
            // The names are there and the records are on disk: what fails now fails for the whole file system, and
            // recovery settles it.
            for (_, target) in targets { try? SystemCall.sync(target.descriptor) }
        }
        each { _ throws(PublishFailure) in try step(.directorySynced) }
        each { file throws(PublishFailure) in
            if let target = targets[file.request.target.path] { harden(target.file(file.request.name), file.intent) }
            try step(.hardened)
        }

        if leases.areHeld {
            writable.ledger.appendLater(files.filter { !$0.isEnded }.map(\.entry.sealed))
        } else {
            // It has its name, and its line is the heir's, or the next mount's.
            writable.staging.keepForRecovery()
        }
        each { file throws(PublishFailure) in
            try step(.sealedLogged)
            writable.staging.published(file.request.staged)
            outcomes[file.index] = .sealed(
                sha256: file.intent.sha256, size: file.intent.size,
                lostModes: file.writeBits & 0o022 != 0 || schema.publishMode != nil)
        }
        return outcomes
    }

    /// Writes the `sealed` lines that publishing several files left for later.
    public func settle() { writable?.ledger.settle() }

    private func move(_ file: Publication, to target: Directory) throws(PublishFailure) {
        let request = file.request
        let staged = request.staged
        do throws(Errno) {
            do throws(Errno) {
                try staged.rename(to: target.file(request.name), flags: SystemCall.noReplace)
            } catch .noSuchFileOrDirectory {
                // The directory was removed after it was opened.
                try staged.rename(to: try request.target.ensure().file(request.name), flags: SystemCall.noReplace)
            }
        } catch .fileExists {
            // An earlier try may have done it and reported an error.
            guard isThere(file, target) else { throw .lost(name: request.name) }
            try? staged.unlink()
        } catch .improperLink {
            try moveAcross(file, to: target)
        } catch {
            if error == .noSuchFileOrDirectory, isThere(file, target) { return }
            throw .system(doing: "moved to its place", error)
        }
    }

    /// Makes an artifact immutable that has its name, when its intent says so. It is sealed without that too.
    func harden(_ artifact: RealFile, _ intent: SealIntent) {
        guard intent.isImmutable else { return }
        do throws(Errno) { try ImmutableFlag.put(on: artifact) } catch {
            hardening.note(error, intent.directory + "/" + intent.name)
        }
    }

    /// Whether a file has its name already.
    private func isThere(_ file: Publication, _ target: Directory) -> Bool {
        guard let found = try? target.file(file.request.name).attributes(),
            let ours = try? SystemCall.attributes(file.descriptor)
        else { return false }
        return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
    }

    /// The layer is on another file system than the staging directory (`EXDEV`): a hidden copy there, then the same
    /// rename.
    private func moveAcross(_ file: Publication, to target: Directory) throws(PublishFailure) {
        let request = file.request
        let copy = target.file(file.intent.copyName)
        do throws(Errno) {
            try FileCopy.copy(file.descriptor, to: copy, isSynced: durability == .synced)
        } catch {
            try? copy.unlink()
            throw .system(doing: "copied to the file system of its place", error)
        }
        try step(.copied)
        do throws(Errno) {
            try copy.rename(to: target.file(request.name), flags: SystemCall.noReplace)
        } catch {
            try? copy.unlink()
            if error == .fileExists { throw .lost(name: request.name) }
            throw .system(doing: "moved to its place", error)
        }
        try? request.staged.unlink()
    }

    /// Gives a file that is not published its write bits back.
    func giveBack(_ writeBits: UInt32, _ request: PublishRequest) {
        guard writeBits != 0 else { return }
        request.attributesLock { () in
            if let found = try? request.staged.attributes() {
                try? request.staged.setMode(found.permissions | writeBits)
            }
        }
    }

    /// A checked file that stays staged says itself what it is, as far as there is room for that, so that it can be published in another run
    /// of the machine too.
    private func leaveForLater(_ file: Publication, _ writable: Writable) {
        Seal(size: file.intent.size, sha256: file.intent.sha256).write(to: file.descriptor)
        guard durability == .synced else { return }
        try? SystemCall.sync(file.descriptor)
        try? SystemCall.sync(writable.staging.directory.descriptor)
    }

    /// A file that is not published: back to where it was, else to quarantine, else left in staging.
    func keep(
        _ request: PublishRequest, _ failure: PublishFailure, _ writable: Writable, as known: Rule? = nil
    ) -> PublishOutcome {
        if leases.state == .lost {
            return .quarantined(
                reason: "another host took this mount for dead, and has settled what was staged here: "
                    + "'artifactfs recover list' shows what of it was not published", rule: .cutOff)
        }
        let (reason, rule) = (failure.reason, known ?? failure.rule)
        if request.isCopy { try? writable.staging.remove(request.staged) }
        if request.isKept || request.isCopy || request.origin.map({ putBack(request.staged, to: $0) }) ?? false {
            let file = LedgerEvent.NotPublished(
                mount: writable.staging.mountID, staged: request.staged.name, reason: reason, rule: rule.rawValue,
                record: request.record.json)
            try? writable.ledger.append([LedgerEntry(.restored(file))])
            return .restored(reason: reason, rule: rule)
        }
        do throws(Errno) {
            let name = try quarantine(request.staged, reason: reason, rule: rule, record: request.record)
            return .quarantined(
                reason: reason + "; the bytes are kept in .artifactfs/quarantine/" + name, rule: rule)
        } catch {
            return .quarantined(
                reason: reason + "; the bytes are kept in .artifactfs/staging/\(writable.staging.mountID)/"
                    + "\(request.staged.name) (they could not be moved to quarantine: \(error))", rule: rule)
        }
    }

    func step(_ step: PublishStep) throws(PublishFailure) {
        if stopAfter.withLock({ $0 == step }) { throw .stopped }
        // What has its name is done with; what has none yet may be another host's by now.
        if step.isBeforeMoving, !leases.areHeld { throw .system(doing: "published", .hostIsDown) }
    }
}
