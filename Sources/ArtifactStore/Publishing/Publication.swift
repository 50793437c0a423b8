internal import ArtifactFormats
internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A file on its way to being published: checked, read-only, and described.
struct Publication {
    /// Its place among those that are published together.
    let index: Int
    let request: PublishRequest
    /// Open for reading.
    let descriptor: FileDescriptor
    /// The permission bits that were taken away.
    let writeBits: UInt32
    /// What the ledger says of it before it has its name.
    let intent: SealIntent
    /// The intent's line.
    let entry: LedgerEntry
    /// It is not published.
    var isEnded = false

    /// Takes a file's facts and hash in one pass, and its write bits.
    ///
    /// - Parameters:
    ///   - leavesSeal: whether the file says itself what it is, because the ledger's line may be lost.
    ///   - isImmutable: whether it is to be immutable when it has its name.
    ///   - mode: the permissions that it gets (`publish_mode`); nil for its own.
    ///   - ledger: where it will be recorded.
    ///   - finder: finds the records of inputs that the writer names.
    ///   - writeBits: the bits that were taken away, also when this fails.
    ///   - step: is told of each step.
    init(
        _ request: PublishRequest, index: Int, mount: String, host: String, leavesSeal: Bool, isImmutable: Bool,
        mode: UInt32?,
        checks: CheckProcesses, ledger: Ledger, finder: RecordFinder,
        _ writeBits: inout UInt32,
        step: (PublishStep) throws(PublishFailure) -> Void
    ) throws(PublishFailure) {
        let descriptor = try attempt("opened") { () throws(Errno) -> FileDescriptor in
            if let open = request.descriptor { return open }
            return try request.staged.open(O_RDONLY | O_NONBLOCK)
        }
        do throws(PublishFailure) {
            let before = try attempt("looked at") { () throws(Errno) in try SystemCall.attributes(descriptor) }
            guard before.isRegular else { throw .refused("it is not a plain file") }
            if request.requiresNoWriters, SystemCall.hasNoWriters(descriptor) == false,
                FileSystemKind.isLocal(descriptor)
            {
                throw .stillOpen
            }
            guard before.st_nlink == 1 else {
                throw .refused("it has other names, through which its bytes could change")
            }
            let source = FileSource(descriptor: descriptor, count: Int64(before.st_size))
            let (sha256, facts) = try Self.check(source, request.check ?? .notEmpty, checks, checked: request.checked)
            try step(.checked)

            if request.notesTime { SealingTime.write(to: descriptor) }
            LedgerNote.write(LedgerPlace(before: ledger), to: descriptor)
            if leavesSeal { Seal(size: Int64(before.st_size), sha256: sha256).write(to: descriptor) }
            var after = try Self.makeReadOnly(descriptor, request, mode, &writeBits)
            var known = before
            while !after.hasSameModification(as: known) {
                // Perhaps only its times were set, by the writer after closing (`cp -p`): the bytes decide.
                guard after.st_size == before.st_size,
                    try attempt("read", { () throws(Errno) in try source.sha256() }) == sha256
                else { throw .refused("it changed while it was being checked") }
                known = after
                after = try attempt("looked at") { () throws(Errno) in try SystemCall.attributes(descriptor) }
            }
            try step(.madeReadOnly)

            var record = request.record.using(request.used, finder)
                .saying(WriterStatement(of: descriptor, and: request.inputs), finder)
            record.artifact.version = request.version ?? finder.nextVersion(of: request.name, in: request.target.path)
            var intent = SealIntent(
                mount: mount, staged: request.staged.name, directory: request.target.path, name: request.name,
                inode: UInt64(after.st_ino), size: Int64(after.st_size), modified: TimeText.rfc3339(after.st_mtim),
                sha256: sha256,
                record: record.sealed(facts, sha256: sha256, size: Int64(after.st_size), host: host).json)
            intent.isImmutable = isImmutable
            self.intent = intent
        } catch {
            if request.descriptor == nil { SystemCall.close(descriptor) }
            throw error
        }
        self.index = index
        self.request = request
        self.descriptor = descriptor
        self.writeBits = writeBits
        entry = LedgerEntry(.sealIntent(intent))
    }

    /// Closes what this opened.
    func close() { if request.descriptor == nil { SystemCall.close(descriptor) } }

    /// Checks a whole file and hashes it.
    ///
    /// - Parameters:
    ///   - check: nil only hashes.
    ///   - checked: what a check found before; it counts when the bytes are still the same.
    static func check(
        _ source: FileSource, _ check: FormatCheck?, _ checks: CheckProcesses, checked: CheckedContents? = nil
    ) throws(PublishFailure) -> (sha256: String, facts: FormatFacts) {
        guard let check else {
            return (try attempt("read") { () throws(Errno) in try source.sha256() }, FormatFacts())
        }
        // Nothing tells whether a file is as it was: of a store through a mapping its times need not say anything. So its bytes do.
        if let checked, checked.check == check, checked.count == source.count,
            try attempt("read", { () throws(Errno) in try source.sha256() }) == checked.sha256
        {
            return (checked.sha256, checked.facts)
        }
        switch checks.answer(of: check, source.descriptor) {
        case nil: break
        case .passed(let sha256, let facts, let hashed):
            guard hashed == source.count else { throw .refused("it changed while it was being checked") }
            return (sha256, facts)
        case .refused(let reason): throw .refused(reason)
        case .unreadable(let errno): throw .system(doing: "read", errno)
        }
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

    /// Takes the write bits away, in one with any change of attributes that the writer may still make.
    ///
    /// - Returns: the attributes then.
    private static func makeReadOnly(
        _ descriptor: FileDescriptor, _ request: PublishRequest, _ mode: UInt32?, _ writeBits: inout UInt32
    ) throws(PublishFailure) -> stat {
        var taken: UInt32 = 0
        var result = Result<stat, PublishFailure>.failure(.stopped)
        request.attributesLock { () in
            do throws(PublishFailure) {
                taken = try attempt("looked at") { () throws(Errno) in
                    try SystemCall.attributes(descriptor).permissions
                }
                _ = try attempt("made read-only") { () throws(Errno) in
                    try SystemCall.setMode(descriptor, mode ?? taken & 0o555)
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
}

/// Names what the system refused.
func attempt<Value>(_ what: String, _ body: () throws(Errno) -> Value) throws(PublishFailure) -> Value {
    do throws(Errno) { return try body() } catch { throw .system(doing: what, error) }
}
