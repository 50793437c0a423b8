internal import ArtifactFormats
public import ArtifactRecords
public import Artifacts
public import Glibc
public import SystemCalls
public import SystemPackage

/// Why a promotion is not made. Whatever it is, the file is where it was, and so is what has the target's name (``Store/restage(_:seen:as:_:for:replacing:)``
/// says what becomes of one that could not be put back).
public enum PromotionObstacle: Error, Sendable {
    /// The policy refuses, or the file cannot be an artifact. The detail says more than the refusal's rule, such as what a check found.
    case refused(RefusedRename, detail: String? = nil)
    /// Somebody can still write to the file.
    case stillOpen
    /// The system refuses: `ESTALE` when another file has the name by then, `EEXIST` when another writer has taken the target's,
    /// `EXDEV` when the file is on another file system than staging.
    case system(Errno)
}

/// The way of a session's or a test's file or directory into production: judged, checked, moved into staging, and from there sealed, or put back when it
/// cannot be.
///
/// A file that is promoted is not copied: it is renamed, first into staging, where nobody but the store reaches it, then to its place. Who
/// promotes for others has asked before what they may do in both directories.
public struct Promotion: Sendable {
    private let store: Store
    /// The file, where it is now.
    public let source: RealFile
    /// Which file it is: another one that has its name by then is not promoted.
    public let identity: FileIdentity
    /// Its path on the mount, from the mount point.
    public let origin: String
    /// What it is to become.
    public let destination: Destination

    /// A promotion that nobody has asked for yet.
    public init(
        of source: RealFile, seen identity: FileIdentity, from origin: String, to destination: Destination,
        in store: Store
    ) {
        self.store = store
        self.source = source
        self.identity = identity
        self.origin = origin
        self.destination = destination
    }

    /// Where it is to be.
    public var target: Staging.Target {
        Staging.Target(directory: store.directory(for: destination.location), name: destination.realName)
    }

    /// Asks the policy.
    ///
    /// - Parameters:
    ///   - state: the file's.
    ///   - other: the state of what has the target's name; nil when nothing has it.
    /// - Throws: the first refusal.
    public func judge(_ state: FileState, facts: Facts = Facts(), onto other: FileState?) throws(PromotionObstacle) {
        let refused = OverwritePolicy.judgeRename(
            of: state, facts: facts, to: .artifact(realName: destination.realName),
            as: destination.isDirectory ? .directory : .file, in: destination.location.place, standing: .production,
            onto: other)
        if let refused { throw .refused(refused) }
    }

    /// Looks whether the file can be an artifact, as far as bounded work tells, before anything is moved: it is a plain file without other
    /// names, through which its bytes could change afterwards, and its contents are no other format's. Publishing checks all of it.
    ///
    /// - Parameter contents: whether its contents are looked at: not of a file that is being written.
    /// - Returns: false when the check had no answer in time.
    @discardableResult
    public func checkQuickly(contents: Bool) throws(PromotionObstacle) -> Bool {
        try checkNames()
        guard contents, let check = destination.check else { return true }
        switch try withContents({ store.quickAnswer(of: check, $0) }) {
        case .fits: return true
        case .unknown: return false
        case .refused(let reason): throw Self.failedCheck(reason)
        case .unreadable(let errno): throw .system(errno)
        }
    }

    /// The same with the whole contents, and whether somebody can still write to them.
    ///
    /// - Parameter staysThere: whether it stays where it is and a copy is promoted: then it may have other names.
    /// - Returns: what was found, for publishing; nil when the check had no answer in time.
    func checkWhole(staysThere: Bool = false) throws(PromotionObstacle) -> CheckedContents? {
        if !staysThere { try checkNames() }
        let (isOpen, answer) = try withContents { file in
            (SystemCall.hasNoWriters(file) == false, store.contentsAnswer(of: destination.check ?? .notEmpty, file))
        }
        if isOpen { throw .stillOpen }
        switch answer {
        case .passed(let contents): return contents
        case .unknown: return nil
        case .refused(let reason): throw Self.failedCheck(reason)
        case .unreadable(let errno): throw .system(errno)
        }
    }

    /// The same of a directory: every file in it is read and checked, as publishing does.
    ///
    /// - Returns: which files these were (``DirectoryLook/digest``).
    func checkDirectory(staysThere: Bool) throws(PromotionObstacle) -> String {
        try checkNames()
        let descriptor = try attempt { () throws(Errno) in try source.open(O_RDONLY | O_DIRECTORY, seen: identity) }
        defer { SystemCall.close(descriptor) }
        var seen: [DirectoryLook.Seen] = []
        do throws(PublishFailure) {
            _ = try DirectoryPublication.check(
                descriptor, of: destination.type, store.checks, isCopied: staysThere, &seen)
            return try DirectoryLook.digest(of: seen)
        } catch {
            switch error {
            case .system(_, let errno): throw .system(errno)
            case .busy(let reason):
                throw .refused(RefusedRename(.source, OverwritePolicy.judgePromotion(.isOpen)), detail: reason)
            default: throw Self.failedCheck(error.reason)
            }
        }
    }

    /// Whether its bytes are copied before they are sealed (``Store/isCopied(from:)``).
    private var isCopied: Bool { store.isCopied(from: origin) }

    private func checkNames() throws(PromotionObstacle) {
        let found = try attempt { () throws(Errno) in try source.look() }
        guard found.identity == identity else { throw .system(.staleNFSFileHandle) }
        if destination.isDirectory {
            guard found.attributes.isDirectory else { throw .system(.notDirectory) }
            return
        }
        let refused = OverwritePolicy.judgeMoving(
            isRegular: found.attributes.isRegular, links: UInt64(found.attributes.st_nlink))
        if let refused { throw .refused(refused) }
    }

    /// Whether something has the target's name at the real path.
    func isTaken() throws(PromotionObstacle) -> Bool {
        let target = target
        return try attempt { () throws(Errno) in
            try target.directory.refresh().map { $0.file(target.name).exists } ?? false
        }
    }

    private static func failedCheck(_ reason: String) -> PromotionObstacle {
        .refused(RefusedRename(.target, .ofPublishing(.failedCheck)), detail: reason)
    }

    private func withContents<Result>(_ body: (FileDescriptor) -> Result) throws(PromotionObstacle) -> Result {
        let descriptor = try attempt { () throws(Errno) in try source.open(O_RDONLY, seen: identity) }
        defer { SystemCall.close(descriptor) }
        return body(descriptor)
    }

    private func attempt<Value>(_ body: () throws(Errno) -> Value) throws(PromotionObstacle) -> Value {
        do throws(Errno) { return try body() } catch { throw .system(error) }
    }

    /// Takes the target's name and moves the file into staging. The caller has asked whether it may be moved at all
    /// (``Store/refusalToMove(from:)``).
    ///
    /// - Parameter former: the staged file that it replaces, if there is one: it keeps its bytes, and its name until this has succeeded.
    /// - Returns: the file there.
    public func begin(replacing former: RealFile? = nil) throws(PromotionObstacle) -> RealFile {
        try attempt { () throws(Errno) in
            try store.restage(
                source, seen: identity, as: destination.path, destination.isDirectory ? .finished : .artifact,
                for: target, replacing: former)
        }
    }

    /// What the store is asked to seal a file that was moved into staging, and to put back what it cannot.
    ///
    /// - Parameter writer: who promotes it.
    public func request(_ staged: RealFile, by writer: ArtifactRecord.Writer, at time: timespec) -> PublishRequest {
        var record = destination.record.written(by: writer, opened: time, closed: time)
        record.origin = .init(path: origin)
        record.origin?.check = destination.check == nil ? nil : record.artifact.format
        var request = destination.request(staged, at: target.directory, record, origin: source)
        request.requiresNoWriters = !destination.isDirectory
        return request
    }

    /// Promotes at once, for who has no handles of it to think of: judged, a file is checked whole before anything moves, and sealed. A directory
    /// is checked when it has moved, so that nothing in it changes meanwhile. A file on another file system than staging is copied, and goes when
    /// the copy is sealed, if it is what was copied still.
    ///
    /// - Parameters:
    ///   - state: the file's, for the policy.
    ///   - writer: who promotes it.
    /// - Returns: what became of it. Unless it is sealed it is back where it was, but where something else has that name by then: the
    ///   reason says where its bytes are.
    public func publish(
        _ state: FileState, by writer: ArtifactRecord.Writer
    ) throws(PromotionObstacle) -> PublishOutcome {
        try judge(state, onto: try isTaken() ? OverwritePolicy.stateOfPublished(in: .production) : nil)
        guard let writable = store.writable else { throw .system(.readOnlyFileSystem) }
        if destination.isDirectory {
            try checkNames()
            if isCopied { return try publishCopy(nil, by: writer, writable) }
            return store.publishDirectory(
                request(try begin(), by: writer, at: Clock.now()), of: destination.type)
        }
        let checked = try checkWhole()
        let staged: RealFile
        if isCopied { return try publishCopy(checked, by: writer, writable) }
        do throws(PromotionObstacle) { staged = try begin() } catch {
            guard case .system(.improperLink) = error else { throw error }
            return try publishCopy(checked, by: writer, writable)
        }
        var request = request(staged, by: writer, at: Clock.now())
        request.checked = checked
        let outcome = store.publish(request)
        // Opened in the moment before it was moved.
        if case .stillOpen = outcome { return store.keep(request, .stillOpen, writable) }
        return outcome
    }

    /// Until the copy is sealed the file is where it was. Who is killed in between leaves both.
    private func publishCopy(
        _ checked: CheckedContents?, by writer: ArtifactRecord.Writer, _ writable: Store.Writable
    ) throws(PromotionObstacle) -> PublishOutcome {
        let staged = writable.staging.unusedName(hint: destination.path, kind: .artifact)
        try attempt { () throws(Errno) in try writable.staging.reserve(target, for: staged) }
        let copy: SealedCopy
        do throws(PromotionObstacle) {
            copy = try SealedCopy(of: source, seen: identity, isDirectory: destination.isDirectory, to: staged)
        } catch {
            writable.staging.release(staged)
            throw error
        }
        var request = request(staged, by: writer, at: Clock.now())
        (request.origin, request.isCopy, request.checked) = (nil, true, checked)
        let outcome =
            destination.isDirectory
            ? store.publishDirectory(request, of: destination.type) : store.publish(request)
        switch outcome {
        case .sealed: copy.removeOriginal(by: writable.staging)
        case .stillOpen: return store.keep(request, .stillOpen, writable)
        case .quarantined, .restored, .waiting: break
        }
        return outcome
    }
}
