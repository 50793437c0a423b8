public import ArtifactStore
public import Artifacts
public import FuseKernel
internal import Glibc
internal import Logging
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What a mount of a store is to be.
public struct VolumeOptions: Sendable {
    /// The session to resume; nil begins a new one.
    public var session: SessionName?
    /// Where the volume is mounted, for `status.json`.
    public var mountPoint: String
    /// The program's version, for `status.json`.
    public var version: String
    /// The directories outside of the store whose files are told as inputs; none where they are not looked at, and an empty list for what is
    /// looked at where nothing is named. Root's driver only.
    public var observedDirectories: [String]?
    /// Whether records tell which programs made what, with which code and from what; else they tell the user and the process's number only.
    public var seesProvenance = true

    /// Whether a read-only mount has files opened, so that the kernel reads them by itself where it can; nil for what the sizes of the artifacts say.
    public var opensReadOnly: Bool?

    /// A program and its arguments by whose processes evicted artifacts are brought back; without it they are not.
    public var recallCommand: [String] = []
    /// The same store, open to write, for a read-only mount that brings artifacts back all the same.
    public var recallStore: Store?
    /// How much of what came back stays at most, in bytes, and what is here already; nil where all of it does.
    public var recallLimit: (bytes: Int64, present: [RecalledArtifact])?

    /// What was in production at the moment that is shown; nil for now.
    public var moment: (any PastSource)?

    /// For how long `stop` waits until what was closed is published, in milliseconds; what is left then stays staged for the next
    /// mount's recovery.
    public var drainMilliseconds = 60_000

    /// Options; `session` nil begins a new session.
    public init(session: SessionName? = nil, mountPoint: String, version: String) {
        self.session = session
        self.mountPoint = mountPoint
        self.version = version
    }
}

/// A store as the tree that programs see: a `FileSystem` that asks the policy and lets the store act.
///
/// It only dispatches, by kind of inode (`Volume/`): what happens to an artifact is in `ArtifactTree/`, to a file of `logs/` or `scratch/` in
/// `FreeTree/`, to an entry that the driver makes in `Made/`, each with a file an operation, and what comes after the last close in `Sealing/`.
public final class Volume: FileSystem {
    let store: Store
    let options: VolumeOptions
    let namespace = Namespace()
    /// What is published.
    let view: any StoreView
    /// The same where a moment is shown that is over.
    let moment: MomentView?
    let freeTrees: FreeTrees
    let root: TreeDirectory
    let denials: DenialLog
    let seals: SealQueue
    let waiting = WaitingFiles()
    let processes: any ProcessObserver
    /// Files whose makers have not ended yet.
    let settler = Settler()
    let counters = Counters()
    let log = Logger(label: "artifactfs.volume")
    /// Set once, by `start`.
    private let connectionBox = Lock<KernelConnection?>(nil)
    /// The session that this mount began with, which is live until it ends; nil on a read-only mount.
    public let currentSession: SessionName?
    /// The sessions beside that one that are live here.
    let sessions = LiveSessions()
    /// Whose session is which; nil on a read-only mount.
    let jobs: JobSessions?
    let handles = HandleTable()
    /// On a read-only mount.
    let outside: OutsideChanges?
    /// Whether files of a read-only mount are to be opened where the kernel can move bytes by itself.
    let wantsOpens: Bool
    /// Whether no file is opened: the kernel reads by the driver, once, and keeps what it read. Set by `start`.
    private let isUnopened: Atomic<Bool>
    let hiddenContents = HiddenContents()
    /// What users said of what was kept back.
    let despite = DespiteReasons()
    let top: TopMemory
    /// What was superseded and retracted.
    let versionChanges = VersionChanges()
    /// What became of what was to be promoted together.
    let promotionAnswers = PromotionAnswers()
    /// Until when the disk has room, on the monotonic clock.
    let roomyUntil = Atomic<UInt64>(0)
    let artifactDirectories = ArtifactDirectories()
    /// What is evicted and comes back; nil on a mount that brings nothing back.
    let recalls: Recalls?
    let ownUser = geteuid()
    let rights: CallerRights
    let startTime = Clock.monotonic()
    /// When old files are looked for next, on the monotonic clock, with the first close after that.
    let nextSweep: Atomic<UInt64>

    /// A volume over an open store.
    ///
    /// Begins the mount's session, or resumes the one in `options`; a read-only store has none.
    /// - Throws: `StoreError` when the session cannot be begun or resumed, or what is outside of the store cannot be looked at.
    public convenience init(store: Store, options: VolumeOptions) throws(StoreError) {
        // On a read-only mount nothing is written whose inputs could be told.
        let observed = store.isReadOnly ? nil : options.observedDirectories
        let processes = LinuxProcesses(
            environment: store.schema.environment, mountPoint: options.mountPoint, observesOutside: observed != nil,
            captures: options.seesProvenance)
        if let observed { try Self.observe(observed, store, processes) }
        try self.init(store: store, options: options, processes: processes)
    }

    /// - Parameter processes: who tells of processes.
    init(store: Store, options: VolumeOptions, processes: any ProcessObserver) throws(StoreError) {
        self.store = store
        self.processes = processes
        rights = CallerRights(actsForOthers: geteuid() == 0, processes: processes)
        self.options = options
        moment = options.moment.map { MomentView($0, of: store) }
        view = moment ?? LiveView(store: store)
        let seals = SealQueue(workers: 4, gathers: store.durability == .synced) { store.settle() }
        self.seals = seals
        let isOnItsWay = Flag()
        denials = DenialLog(programs: processes.program(ofThread:)) { [store] denial in
            let record = Denial(
                refusal: denial.refusal, operation: denial.operation, path: denial.path, user: denial.user,
                process: denial.process, program: denial.program, detail: denial.detail)
            guard store.record(record), !isOnItsWay.isSet.exchange(true, ordering: .relaxed) else { return }
            // Not here: a refusal may come under a file's lock. What is refused in the meantime goes along.
            seals.submit(after: Self.denialsDelay, isQuiet: true) { [store] in
                isOnItsWay.isSet.store(false, ordering: .relaxed)
                store.settle()
            }
        }
        // Of what other hosts do its kernel tells nothing.
        top = TopMemory(of: store)
        outside = store.isReadOnly && !store.isShared ? OutsideChanges(namespace: namespace) : nil
        wantsOpens = store.isReadOnly && options.opensReadOnly ?? ArtifactSizes(of: store).areLarge
        isUnopened = Atomic(store.isReadOnly)
        let recalling = options.recallStore ?? (store.isReadOnly ? nil : store)
        recalls =
            options.recallCommand.isEmpty
            ? nil : recalling.map { Recalls($0, by: options.recallCommand, limit: options.recallLimit) }
        freeTrees = FreeTrees(budget: store.descriptors, namespace: namespace)
        nextSweep = Atomic(Self.sweepInterval(of: store).map { Clock.monotonic() + $0 } ?? .max)
        if store.isReadOnly {
            currentSession = nil
        } else if let name = options.session {
            try store.resumeSession(name)
            currentSession = name
        } else {
            currentSession = try store.beginSession()
        }
        jobs = currentSession.map { JobSessions(own: $0, processes: processes) }
        let directory = store.directory(for: .root)
        let inode = namespace.findOrInsert(
            "/", in: InodeNumber(rawValue: 0), remembering: true, pinned: true,
            make: { .tree(TreeDirectory(id: $0, location: .root, path: "", real: directory)) }
        ).inode
        guard case .tree(let root) = inode else {
            throw StoreError.system(doing: "make the tree", path: store.path, .ioError)
        }
        self.root = root
        store.leases.listen { [weak self] news in self?.hear(news) }
        if !store.isReadOnly { settler.start { [weak self] waiting in self?.settle(waiting) ?? false } }
        store.isShown(at: options.mountPoint) { [weak self] in
            // Which one a path means that somebody wrote down is not known where there are several.
            self.flatMap { $0.jobs?.differs == true ? nil : $0.currentSession?.description }
        }
        if !store.recovery.waiting.isEmpty {
            waiting.noteLeftovers(true, now: Clock.monotonic())
            setTimerForWaiting()
        }
    }

    /// How long a denial waits for others before it is written to the ledger, in milliseconds.
    private static let denialsDelay = 50

    /// How many files wait to be published, or are being published.
    public var pendingSeals: Int { seals.pending }

    public func start(_ connection: KernelConnection) {
        connectionBox.withLock { $0 = connection }
        if wantsOpens, connection.hasPassthrough { isUnopened.store(false, ordering: .sequentiallyConsistent) }
        outside?.start(connection)
        recalls?.start(connection)
        if !store.isReadOnly { seals.start() }
        if store.isShared { _ = (try? attributes(of: root), try? statistics()) }
    }

    public func stop() {
        outside?.stop()
        recalls?.end()
        options.recallStore?.close()
        endRuns()
        settler.finish(atMost: Int32(clamping: store.schema.settleSeconds * 1000 + 1000))
        publishWaitingAtLast()
        let left = seals.drain(atMost: options.drainMilliseconds) { left in
            log.notice("waiting until what was closed is published", metadata: ["left": "\(left)"])
        }
        if left > 0 {
            log.warning(
                "ended before everything was published: the rest stays staged, and the next mount of the store recovers it",
                metadata: ["left": "\(left)"])
        }
        if !store.isReadOnly { removeEmpty(isAtLast: true) }
        let waits = waiting.counts
        if waits.room + waits.store > 0 {
            log.warning(
                "not published for want of room, or because the store failed: it stays staged, and the next mount publishes it",
                metadata: ["for want of room": "\(waits.room)", "store failed": "\(waits.store)"])
        }
        processes.stopObserving()
        store.close()
        connectionBox.withLock { $0 = nil }
    }

    /// The kernel's side, from `start` to `stop`.
    var connection: KernelConnection? { connectionBox.withLock { $0 } }

    /// The connection when the kernel can move bytes by itself.
    var passthrough: KernelConnection? {
        guard let connection, connection.hasPassthrough else { return nil }
        return connection
    }

    /// Whether the kernel opens files by itself, and nobody is asked.
    var opensNothing: Bool { isUnopened.load(ordering: .relaxed) }

    /// What a scope's files allow on this mount.
    func standing(of scope: Scope?) -> Standing {
        Standing.of(scope, isReadOnly: store.isReadOnly) { $0 == currentSession || sessions.isLive($0) }
    }

    /// What a file's scope allows; a file without a name is in none.
    func standing(of file: ArtifactFile) -> Standing { standing(of: namespace.place(of: file.id)?.parent.scope) }

    /// The inode with a number that the kernel sent.
    func inode(_ number: InodeNumber) throws(Errno) -> Inode {
        guard let inode = namespace[number] else { throw Errno.staleNFSFileHandle }
        return inode
    }

    public func kind(of inode: InodeNumber) -> String {
        func words(_ scope: Scope?) -> String {
            switch scope {
            case .session: "a session"
            case .test: "a test"
            case .production: "production"
            case nil: "the tree"
            }
        }
        return switch namespace[inode] {
        case .tree(let directory)?: "a directory of \(words(directory.scope))"
        case .artifact(let file)?: "a file of \(words(namespace.place(of: file.id)?.parent.scope))"
        case .free(let node)?: "an ordinary file of \(words(node.scope))"
        case .made?: "an entry of the driver's own"
        case .kept?: "a file or directory of quarantine"
        case nil: "an inode that is not known"
        }
    }

    /// A name that the kernel sent, as text.
    func text(_ name: EntryName) throws(Errno) -> String {
        guard let text = name.string else { throw Errno.illegalByteSequence }
        return text
    }

    /// Throws the errno of a refusal after it was counted and kept with its reason.
    func enforce(
        _ verdict: Verdict, _ operation: String, _ path: @autoclosure () -> String, _ caller: Caller,
        detail: String? = nil
    ) throws(Errno) {
        let verdict = OverwritePolicy.judge(
            verdict, reads: operation == Operation.openToRead.rawValue, isLeaseHeld: store.leases.areHeld)
        guard let refusal = verdict.refusal else { return }
        // What any file system says is nobody's rule, and not worth a line.
        if refusal.rule == .posix { throw refusal.errno }
        denials.add(refusal, operation: operation, path: path(), caller: caller, detail: detail)
        throw refusal.errno
    }

    /// Asked before names change, however quickly that is answered: whether other hosts may take this mount for dead.
    func askLease(_ operation: String, _ path: @autoclosure () -> String, _ caller: Caller) throws(Errno) {
        try enforce(.allowed, operation, path(), caller)
    }
}

extension Volume {
    /// Whether the kernel is told of what others change in a directory.
    func isWatched(_ directory: TreeDirectory) -> Bool {
        guard let outside, directory.scope == .production, case .typed = directory.place else { return false }
        return outside.watches(directory)
    }

    /// How long the kernel may trust what it knows of a scope's files.
    ///
    /// A mount knows at once what it changes itself. Of a session or test others may change files too, and a read-only mount does
    /// nothing else than to look at what others do: it asks every time. A sealed file stays as it is.
    func timeout(of scope: Scope?, in directory: TreeDirectory? = nil) -> Double {
        if standing(of: scope) == .production {
            return bounded(directory.map(isWatched) == true ? Timeout.watched : Timeout.sealed)
        }
        return store.isReadOnly ? Timeout.none : bounded(Timeout.file)
    }

    /// How long the kernel may trust what it knows of something that others may change, in seconds, when it could trust it so long if other
    /// hosts did not: in a shared store never longer than half of the time that the schema gives.
    func bounded(_ seconds: Double) -> Double { min(seconds, Double(store.trustedNanoseconds) / 1e9) }

    /// In a shared store the file system's server is asked before anything is written: what this host remembers of a directory's names, and
    /// that there were none, may not be so any more.
    func askServer(of directory: TreeDirectory) throws(Errno) {
        if store.isShared { try directory.real.current()?.refresh() }
    }
}

/// How long the kernel may trust what it was told, in seconds.
enum Timeout {
    /// The tree's directories are always there.
    static let treeName = 60.0
    static let treeAttributes = 1.0
    /// Files that this mount changes; another mount or a person may change them too.
    static let file = 1.0
    /// Sealed files change only when somebody breaks the store from outside.
    static let sealed = 10.0
    /// What changes is noticed (`OutsideChanges`).
    static let watched = 600.0
    static let none = 0.0
}
