public import ArtifactRecords
public import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What became of files and directories that were to be published together.
public enum TogetherOutcome: Sendable {
    /// Each is at its real name; their sizes, and whether others than the owner could write to them before, in their order.
    case sealed([(size: Int64, lostModes: Bool)])
    /// None is, and each is staged as it was; why, for those at fault. Of `stuck` the names could not be taken back: they are published.
    case refused([TogetherFault], stuck: Set<Int>)
}

/// Why none of several files was published.
public struct TogetherFault: Sendable {
    /// The place of the file at fault among them.
    public let index: Int
    /// A sentence for people.
    public let reason: String
    /// The rule that it was judged by.
    public let rule: Rule

    /// A fault.
    public init(index: Int, reason: String, rule: Rule) { (self.index, self.reason, self.rule) = (index, reason, rule) }
}

/// What a run made that is all or nothing: every check comes first, then the intents of all with one line that makes them count
/// (`run-sealing`), then the names. Who is killed before that line has published nothing, and what is left after it recovery does. All of it
/// waits for the disk, with relaxed durability too: a power loss must not take a part.
extension Store {
    /// A file or directory that is checked, read-only and on disk.
    private struct Prepared {
        let index: Int
        let intent: SealIntent
        var writeBits: UInt32 = 0
        /// Of a directory what has lost its write bits.
        var progress: DirectoryPublication.Progress?
    }

    /// How many are opened at a time.
    private static let batch = 64

    /// Publishes files and directories all or none, without replacing anything. The caller has made sure that nobody has one, or something in
    /// one, open for writing.
    ///
    /// - Parameters:
    ///   - run: the run's id, as it says itself.
    ///   - whole: what goes together, in words.
    public func publishTogether(
        _ requests: [PublishRequest], run id: String, of whole: String = "its run"
    ) -> TogetherOutcome {
        guard let writable else {
            let all = requests.indices.map {
                TogetherFault(index: $0, reason: "the store was opened read-only", rule: .failedCheck)
            }
            return .refused(all, stuck: [])
        }
        defer { settle() }
        sayUnsynced()
        // Two runs may give themselves one id; no other file of the mount has this one's number.
        let run = "\(id) \(requests.first.flatMap { StagedName($0.staged.name)?.number } ?? 0)"
        var faults: [TogetherFault] = []
        // A test stops as if the process had been killed.
        var isStopped = false
        func note(_ index: Int, _ failure: PublishFailure) {
            if case .stopped = failure { return isStopped = true }
            let rule =
                switch failure {
                case .stillOpen, .busy: Rule.beingWritten
                default: failure.rule
                }
            faults.append(TogetherFault(index: index, reason: failure.reason, rule: rule))
        }
        var prepared: [Prepared] = []
        for start in stride(from: 0, to: requests.count, by: Self.batch) {
            prepared += prepare(requests, start..<min(start + Self.batch, requests.count), run, writable, note)
        }
        prepared.sort { $0.index < $1.index }
        var targets: [String: Directory] = [:]
        if faults.isEmpty {
            for index in requests.indices {
                do throws(PublishFailure) { try find(requests[index], &targets, writable) } catch { note(index, error) }
            }
        }
        if isStopped { return .refused([], stuck: []) }
        guard faults.isEmpty else {
            giveBack(prepared, requests)
            return .refused(faults, stuck: [])
        }
        do throws(PublishFailure) {
            try announce(prepared, run, writable)
            try step(.intentLogged)
        } catch {
            if case .stopped = error { return .refused([], stuck: []) }
            abandon(prepared, whole, error.reason, writable)
            giveBack(prepared, requests)
            note(0, error)
            return .refused(faults, stuck: [])
        }
        var moved: [Prepared] = []
        do throws(PublishFailure) {
            for file in prepared {
                do throws(PublishFailure) {
                    try move(file, requests[file.index], targets)
                } catch {
                    note(file.index, error)
                    throw error
                }
                moved.append(file)
                try step(.moved)
            }
            for file in moved where file.progress != nil {
                let request = requests[file.index]
                if let target = targets[request.target.path] {
                    DirectoryPublication.makeReadOnly(target.file(request.name))
                }
            }
            for (_, target) in targets { try? SystemCall.sync(target.descriptor) }
            try step(.directorySynced)
        } catch {
            if case .stopped = error { return .refused([], stuck: []) }
            let stuck = takeBack(moved, requests, targets)
            let left = prepared.filter { !stuck.contains($0.index) }
            abandon(left, whole, error.reason, writable)
            giveBack(left, requests)
            end(prepared.filter { stuck.contains($0.index) }, requests, targets, writable)
            return .refused(faults, stuck: stuck)
        }
        end(prepared, requests, targets, writable)
        return .sealed(
            prepared.map { file in
                (file.intent.size, file.writeBits & 0o022 != 0 || schema.publishMode != nil)
            })
    }

    /// Checks some of them, and brings them to disk.
    private func prepare(
        _ requests: [PublishRequest], _ range: Range<Int>, _ run: String, _ writable: Writable,
        _ note: (Int, PublishFailure) -> Void
    ) -> [Prepared] {
        var files: [Publication] = []
        defer { for file in files { file.close() } }
        let finder = writable.finder(root, schema, shownPlace)
        let directories = range.compactMap { index in
            requests[index].directoryType.flatMap { prepare(requests[index], index, of: $0, run, writable, note) }
        }
        for index in range where requests[index].directoryType == nil {
            var writeBits: UInt32 = 0
            do throws(PublishFailure) {
                files.append(
                    try Publication(
                        requests[index], index: index, mount: writable.staging.mountID, host: host,
                        leavesSeal: durability == .relaxed, isImmutable: hardening.isDone(in: requests[index].target),
                        mode: schema.publishMode, checks: checks, ledger: writable.ledger, finder: finder, &writeBits,
                        step: { step throws(PublishFailure) in try self.step(step) }))
            } catch {
                giveBack(writeBits, requests[index])
                note(index, error)
            }
        }
        for file in files { SystemCall.beginSync(file.descriptor) }
        return directories
            + files.map { file in
                do throws(Errno) { try SystemCall.sync(file.descriptor) } catch { note(file.index, .notOnDisk(error)) }
                var intent = file.intent
                intent.together = run
                return Prepared(index: file.index, intent: intent, writeBits: file.writeBits)
            }
    }

    /// The same of a directory.
    private func prepare(
        _ request: PublishRequest, _ index: Int, of type: TypeDefinition, _ run: String, _ writable: Writable,
        _ note: (Int, PublishFailure) -> Void
    ) -> Prepared? {
        var progress = DirectoryPublication.Progress()
        do throws(PublishFailure) {
            let publication = try publication(of: request, type, &progress, writable)
            // Whose it is has the right meanwhile in which it moves (``RealFile/moveWhole(to:)``).
            try attempt("made read-only") { () throws(Errno) in
                try DirectoryPublication.takeWriteBits(request.staged)
            }
            var intent = publication.intent
            intent.together = run
            return Prepared(index: index, intent: intent, progress: progress)
        } catch {
            if case .stopped = error {} else { DirectoryPublication.giveBack(progress, to: request.staged) }
            note(index, error)
            return nil
        }
    }

    /// Whether a file can have its name, as far as that can be known before.
    private func find(
        _ request: PublishRequest, _ targets: inout [String: Directory], _ writable: Writable
    ) throws(PublishFailure) {
        let directory = request.target
        let target: Directory
        if let known = targets[directory.path] {
            target = known
        } else {
            target = try attempt("published, because its directory cannot be made") { () throws(Errno) in
                try directory.ensure()
            }
            targets[directory.path] = target
        }
        let (here, there) = try attempt("looked at") { () throws(Errno) in
            (
                try SystemCall.attributes(writable.staging.directory.descriptor).st_dev,
                try SystemCall.attributes(target.descriptor).st_dev
            )
        }
        guard here == there else {
            throw .refused(
                "its layer is on another file system than the store's .artifactfs, where nothing is published together")
        }
        if target.file(request.name).exists { throw .lost(name: request.name) }
    }

    /// Writes all intents, and the line that makes them count.
    private func announce(_ files: [Prepared], _ run: String, _ writable: Writable) throws(PublishFailure) {
        try attempt("recorded in the ledger") { () throws(Errno) in
            // Their names in staging are to be there for recovery.
            try SystemCall.sync(writable.staging.directory.descriptor)
            let sealing = LedgerEvent.runSealing(
                mount: writable.staging.mountID, run: run, artifacts: Int64(files.count))
            try writable.ledger.append(files.map { LedgerEntry(.sealIntent($0.intent)) } + [LedgerEntry(sealing)])
        }
        writable.ledger.sync(always: true)
    }

    private func move(
        _ file: Prepared, _ request: PublishRequest, _ targets: [String: Directory]
    ) throws(PublishFailure) {
        guard let target = targets[request.target.path] else { throw .system(doing: "moved to its place", .ioError) }
        let published = target.file(request.name)
        func isThere() -> Bool { (try? published.attributes()).map { UInt64($0.st_ino) == file.intent.inode } ?? false }
        do throws(Errno) {
            try request.staged.moveWhole(to: published)
        } catch .fileExists {
            // An earlier try may have done it and reported an error.
            guard isThere() else { throw .lost(name: request.name) }
            try? request.staged.unlink()
        } catch {
            // It was done, and the reply was lost.
            if isThere(), !request.staged.exists { return }
            throw .system(doing: "moved to its place", error)
        }
    }

    /// Takes names away again that were given a moment ago.
    ///
    /// - Returns: the places of those of which that failed.
    private func takeBack(
        _ files: [Prepared], _ requests: [PublishRequest], _ targets: [String: Directory]
    ) -> Set<Int> {
        var stuck: Set<Int> = []
        for file in files.reversed() {
            let request = requests[file.index]
            let isBack =
                (try? targets[request.target.path]?.file(request.name).moveWhole(to: request.staged)) != nil
            if !isBack, !request.staged.exists { stuck.insert(file.index) }
        }
        for (_, target) in targets { try? SystemCall.sync(target.descriptor) }
        return stuck
    }

    /// Says of intents that they do not count.
    private func abandon(_ files: [Prepared], _ whole: String, _ reason: String, _ writable: Writable) {
        let lines = files.map { file in
            LedgerEntry(
                .sealAbandoned(
                    .init(
                        mount: file.intent.mount, staged: file.intent.staged,
                        reason: "nothing of \(whole) was published: " + reason, record: file.intent.record)))
        }
        do throws(Errno) { try writable.ledger.append(lines) } catch { writable.ledger.appendLater(lines) }
    }

    private func giveBack(_ files: [Prepared], _ requests: [PublishRequest]) {
        for file in files {
            if let progress = file.progress {
                DirectoryPublication.giveBack(progress, to: requests[file.index].staged)
            } else {
                giveBack(file.writeBits, requests[file.index])
            }
        }
    }

    private func end(
        _ files: [Prepared], _ requests: [PublishRequest], _ targets: [String: Directory], _ writable: Writable
    ) {
        for file in files {
            let request = requests[file.index]
            if let target = targets[request.target.path] { harden(target.file(request.name), file.intent) }
        }
        writable.ledger.appendLater(files.map { LedgerEntry(.sealed($0.intent, isRecovered: false)) })
        for file in files { writable.staging.published(requests[file.index].staged) }
    }
}

/// A file that is not published with the others of its run.
public struct TogetherKept: Sendable {
    /// In the store's staging.
    public let staged: RealFile
    /// On the mount.
    public let path: String
    /// What is known of it.
    public let record: ArtifactRecord
    /// Where it was before it was promoted, when it is as it was there.
    public let origin: RealFile?

    /// Such a file.
    public init(staged: RealFile, path: String, record: ArtifactRecord, origin: RealFile?) {
        (self.staged, self.path, self.record, self.origin) = (staged, path, record, origin)
    }
}

extension Store {
    /// Keeps what a run made that is all or nothing: what was promoted is back where it was, of the rest a single file is in quarantine by
    /// itself, and several are there as one directory, each at its path on the mount.
    ///
    /// - Parameters:
    ///   - run: what is known of the run; its id is its name there.
    ///   - owner: whose the directory is to be.
    ///   - reason: a sentence for people.
    /// - Returns: of each file where its bytes are, in words, and the name in quarantine when there is one for all.
    public func keepTogether(
        _ files: [TogetherKept], of run: ArtifactRecord.ExperimentRun, owner: (uid: UInt32, gid: UInt32),
        reason: String, rule: Rule
    ) -> (places: [String], entry: String?) {
        guard let writable else { return (files.map { _ in "the store was opened read-only" }, nil) }
        var places = [String](repeating: "", count: files.count)
        var left: [Int] = []
        for (index, file) in files.enumerated() {
            if let origin = file.origin, putBack(file.staged, to: origin) {
                let line = LedgerEvent.NotPublished(
                    mount: writable.staging.mountID, staged: file.staged.name, reason: reason, rule: rule.rawValue,
                    record: file.record.json)
                try? writable.ledger.append([LedgerEntry(.restored(line))])
                places[index] = "it is back where it was"
            } else {
                left.append(index)
            }
        }
        var entry: String?
        if left.count > 1 { entry = keepAsOne(&left, files, of: run, owner, reason, rule, writable, &places) }
        for index in left {
            let file = files[index]
            do throws(Errno) {
                let name = try quarantine(file.staged, reason: reason, rule: rule, record: file.record)
                places[index] = "the bytes are kept in .artifactfs/quarantine/" + name
                if files.count == 1 { entry = name }
            } catch {
                places[index] =
                    "the bytes are kept in .artifactfs/staging/\(writable.staging.mountID)/\(file.staged.name) "
                    + "(they could not be moved to quarantine: \(error))"
            }
        }
        return (places, entry)
    }

    /// - Parameter left: the places of those that are to go there; what could not is left in it.
    private func keepAsOne(
        _ left: inout [Int], _ files: [TogetherKept], of run: ArtifactRecord.ExperimentRun,
        _ owner: (uid: UInt32, gid: UInt32), _ reason: String, _ rule: Rule, _ writable: Writable,
        _ places: inout [String]
    ) -> String? {
        let path = "runs/" + (run.id ?? "")
        let isRoot = geteuid() == 0
        // Should the driver be killed now, the next mount puts it into quarantine as it is.
        guard
            let whole = try? writable.staging.makeDirectory(
                hint: path, kind: .artifact, mode: 0o700, owner: isRoot ? owner : nil, target: nil),
            let directory = try? writable.staging.directory.directory(whole.name)
        else { return nil }
        var moved: [Int] = []
        for index in left {
            do throws(Errno) {
                var parent = directory
                let parts = files[index].path.split(separator: "/").map(String.init)
                for part in parts.dropLast() {
                    parent = try parent.directory(part, orMakeWith: 0o700)
                    if isRoot { try SystemCall.setOwner(parent.descriptor, user: owner.uid, group: owner.gid) }
                }
                try files[index].staged.rename(
                    to: parent.file(parts.last ?? files[index].staged.name), flags: SystemCall.noReplace)
                writable.staging.release(files[index].staged)
                moved.append(index)
            } catch {
                // By itself, then.
                continue
            }
        }
        guard !moved.isEmpty else {
            try? writable.staging.removeDirectory(whole)
            return nil
        }
        var record = ArtifactRecord(path: path)
        record.artifact.kind = .directory
        record.run = run
        record.unknown[QuarantineEntry.artifactsMember] = .array(
            moved.prefix(Self.mostNamed).map { .string(files[$0].path) })
        record.unknown[QuarantineEntry.recordsMember] = .array(Self.records(moved.map { files[$0].record }))
        left.removeAll { moved.contains($0) }
        do throws(Errno) {
            let name = try quarantine(whole, reason: reason, rule: rule, record: record)
            for index in moved {
                places[index] = "the bytes are kept in .artifactfs/quarantine/\(name)/\(files[index].path)"
            }
            return name
        } catch {
            for index in moved {
                places[index] =
                    "the bytes are kept in .artifactfs/staging/\(writable.staging.mountID)/\(whole.name)/"
                    + "\(files[index].path) (they could not be moved to quarantine: \(error))"
            }
            return nil
        }
    }

    /// So many artifacts of a run are named beside it.
    private static let mostNamed = 200
    /// So many bytes of their records are kept with it: for who publishes them all the same.
    private static let mostOfRecords = 256 << 10

    private static func records(_ records: [ArtifactRecord]) -> [JSONValue] {
        var (all, length): ([JSONValue], Int) = ([], 0)
        for record in records {
            let value = JSONValue.object(record.json)
            length += value.description.utf8.count
            guard length <= mostOfRecords else { break }
            all.append(value)
        }
        return all
    }
}
