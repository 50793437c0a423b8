internal import ArtifactRecords
public import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A store: the real directories, opened once and used by descriptors from then on.
///
/// The order of locks, where one is taken under another: the store's `flock`, a staging directory's `flock`, the
/// ledger's tail, its queue; directories' caches and the dictionary of directories are leaves.
public final class Store: Sendable {
    /// The store's absolute path, as it was given; for people only.
    public let path: String
    /// Its types and times.
    public let schema: ArtifactSchema
    /// The schema as YAML; the built-in one's text when the store declares none.
    public let schemaText: String
    /// Whether nothing may be changed through this object.
    public let isReadOnly: Bool
    /// What a published name promises.
    public let durability: Durability
    /// What was found of mounts that ended without closing the store, and what became of it; for the log.
    public let recovery: RecoveryReport
    /// Whether what is sealed becomes immutable, and where it does not.
    public let hardening: Hardening

    /// Which mounts live.
    public let leases: Leases
    /// What is known of a file system that several hosts may use; nil where it is this machine's alone.
    public let sharing: StoreSharing?

    let root: Directory
    let host: String
    let writable: Writable?
    private let directories = KnownDirectories()
    /// The descriptors that are kept open to find directories and files quickly again.
    package let descriptors: DescriptorBudget
    /// The sessions that this mount holds.
    let heldSessions = Lock<[SessionName: StoreHold]>([:])
    /// Whether the store says that mounts of this run of the machine publish without waiting for the disk, when they do.
    private let saysUnsynced = Atomic(true)
    /// Which denials get a line in the ledger. A leaf in the order of locks.
    let denialBudget = Lock(DenialBudget())
    /// Where checks run that could trap.
    public let checks = CheckProcesses()
    /// Where it is shown. A leaf.
    private let shown = Lock<ShownPlace?>(nil)
    /// For tests: publishing stops after this step as if the process had been killed there.
    let stopAfter = Lock<PublishStep?>(nil)
    /// The same of superseding and retracting.
    let stopUnsealingAfter = Lock<UnsealStep?>(nil)
    /// The same of removing former versions.
    let stopClearingAfter = Lock<VersionClearingStep?>(nil)
    /// The same of evicting and recalling.
    let stopEvictingAfter = Lock<EvictionStep?>(nil)
    /// The same of promoting together.
    let stopPromotingAfter = Lock<PromotionStep?>(nil)

    /// What a store has that was opened to write.
    struct Writable: Sendable {
        let ledgers: Directory
        let ownDirectory: Directory
        let stagings: Directory
        let quarantine: Directory
        let sessions: Directory
        let reserved: Directory?
        let spare: Spare?
        let staging: Staging
        let ledger: Ledger

        func finder(_ root: Directory, _ schema: ArtifactSchema, _ shown: ShownPlace?) -> RecordFinder {
            RecordFinder(root: root, ledgers: ledgers, schema: schema, shown: shown)
        }
    }

    /// Opens a store, and recovers what mounts that were killed left in it.
    ///
    /// A directory with `base_layer` or `meta_layer` is a store too; what is missing of `.artifactfs` is made, unless
    /// `readOnly`.
    ///
    /// - Parameters:
    ///   - checkCommand: a program and its arguments in whose processes checks run that could trap (``CheckProcesses``); without it they run here.
    ///   - hardens: whether what is sealed is to become immutable where that can be done (``Hardening``).
    /// - Throws: `StoreError` when it is not a store, when its schema has a fault, or when the system refuses.
    public convenience init(
        at path: String, readOnly: Bool, durability: Durability, checkCommand: [String] = [], hardens: Bool = false
    ) throws(StoreError) {
        try self.init(
            at: path, readOnly: readOnly, durability: durability, checkCommand: checkCommand, hardens: hardens,
            descriptors: DescriptorBudget(processLimit: Self.descriptorLimit()))
    }

    /// The same in a process that has several stores.
    ///
    /// - Parameter descriptors: what they have together.
    package init(
        at path: String, readOnly: Bool, durability: Durability, checkCommand: [String], hardens: Bool,
        descriptors: DescriptorBudget
    ) throws(StoreError) {
        if !checkCommand.isEmpty { checks.start(by: checkCommand) }
        self.path = path
        isReadOnly = readOnly
        self.descriptors = descriptors
        let root = try Self.openRoot(path)
        self.root = root
        let found = try Self.look(into: root, path)
        guard found.isStore else {
            throw .notAStore(
                path: path,
                problem:
                    "it has neither base_layer nor meta_layer nor .artifactfs; make a store with 'artifactfs init \(path)'"
            )
        }
        host = Self.hostName()
        sharing = StoreSharing(root, path)
        if readOnly {
            (schema, schemaText) = try Self.readSchema(root, path)
            writable = nil
            recovery = RecoveryReport()
            hardening = Hardening(isAsked: false, parts: [])
            self.durability = durability
            let own = try? root.directory(StoreLayout.privateDirectory)
            leases = Leases(in: (try? own?.directory(StoreFormat.staging)) ?? root, root: root, schema)
            return
        }
        let own = try Self.doing("open the store's own directory", path + "/.artifactfs") { () throws(Errno) in
            try root.directory(StoreLayout.privateDirectory, orMakeWith: 0o700)
        }
        (schema, schemaText) = try Self.readSchema(root, path)
        let parts = try Self.prepare(own, path)
        for (part, name) in parts.all + [(own, "")] { Self.renews(part, name, beneath: root) }
        let hardening = Hardening(
            isAsked: hardens,
            parts: hardens
                ? Layer.allCases.map { layer in
                    // What is not there yet will be where the store is.
                    (layer.directoryName, (try? root.directory(layer.directoryName)) ?? root)
                } : [])
        self.hardening = hardening
        let (host, schema, checks) = (self.host, self.schema, self.checks)
        let leases = Leases(in: parts.staging, root: root, schema)
        self.leases = leases
        // What others see must be on the server: some show a file whose maker's host has not sent its bytes yet (GlusterFS, after close).
        let durability = leases.isShared ? Durability.synced : durability
        self.durability = durability
        let isMarked: Bool
        (writable, recovery, isMarked) = try Self.doing("prepare the store", path + "/.artifactfs") {
            () throws(Errno) in
            let lock = try leases.lockForOpening(own, of: host, waiting: true)
            defer { SystemCall.closeLock(lock) }
            if leases.isShared {
                do throws(Errno) { try StoreFormat.raise(own, to: StoreFormat.withLeases) } catch {
                    guard DiskRoom.isForWantOfRoom(error) else { throw error }
                }
            }
            let spare = Spare(in: own)
            // What dead mounts left is taken for this one, which must be there.
            let staging = try Staging(
                in: parts.staging, mountID: Self.newMountID(host), host: host, schema: schema, reserved: parts.reserved,
                spare: spare, leases: leases)
            let name = try leases.ledgerName(of: host, staging, parts.reserved)
            let ledger = try Self.openLedger(parts.ledger, name, spare, isSynced: durability == .synced)
            staging.note(LedgerPlace(endOf: ledger), of: name)
            if durability == .synced { try SystemCall.sync(parts.ledger.descriptor) }
            Self.renews(staging.directory, StoreFormat.staging + "/" + staging.mountID, beneath: root)
            var recovery = Recovery(
                root: root, stagings: parts.staging, quarantine: parts.quarantine, ledgers: parts.ledger,
                own: own, reserved: parts.reserved, ledger: ledger, schema: schema, checks: checks, host: host,
                transientSeconds: schema.transientSeconds, durability: durability, hardening: hardening, leases: leases,
                opening: staging.mountID)
            _ = try recovery.run()
            recovery.settleEvictions(staging)
            do throws(Errno) { try Reservations.removeOrphans(in: parts.reserved, leases) } catch {
                recovery.problem("reserved: \(error)")
            }
            let isMarked = recovery.checkUnsynced(in: own)
            let report = recovery.report
            spare?.refill()
            let writable = Writable(
                ledgers: parts.ledger, ownDirectory: own, stagings: parts.staging, quarantine: parts.quarantine,
                sessions: parts.sessions,
                reserved: parts.reserved, spare: spare, staging: staging, ledger: ledger)
            return (writable, report, isMarked)
        }
        saysUnsynced.store(isMarked, ordering: .relaxed)
    }

    /// Says where the store is shown, for the paths by which writers name the inputs of their artifacts.
    ///
    /// - Parameters:
    ///   - mountPoint: an absolute path.
    ///   - session: the session that `current` leads to when it is asked.
    public func isShown(at mountPoint: String, session: @escaping @Sendable () -> String?) {
        shown.withLock { $0 = ShownPlace(mountPoint: mountPoint, session: session) }
    }

    var shownPlace: ShownPlace? { shown.withLock { $0 } }

    /// A directory of the store by its relative path; the same object for the same path.
    public func directory(_ relativePath: String) -> RealDirectory {
        let (root, isSynced, budget) = (root, durability == .synced, descriptors)
        return directories.find(relativePath) {
            RealDirectory(path: relativePath, root: root, isSynced: isSynced, budget: budget)
        }
    }

    /// Whether other hosts may change it: then what this one remembers of it is bounded by the schema's time, and the server is asked before
    /// anything is written.
    public var isShared: Bool { root.bound.isShared }

    /// In a shared store: for how many nanoseconds the kernel, or the driver, may trust what was seen, half of the schema's time: what was
    /// seen then may be as old as the other half. `.max` where it is not shared.
    public var trustedNanoseconds: UInt64 { root.bound.nanoseconds }

    /// How many directories are known.
    package var knownDirectories: Int { directories.count }

    /// The real directory that a directory of the tree shows.
    public func directory(for location: TreeLocation) -> RealDirectory {
        directory(StoreLayout.directory(of: location))
    }

    /// Where new files are made; nil when the store was opened to read only.
    public var staging: Staging? { writable?.staging }

    /// The end of the mount: what is staged and empty is removed, the staging directory too when nothing is left in it,
    /// and sessions are let go. What is staged and has bytes stays for the next mount's recovery. The store is not used
    /// after this.
    public func close() {
        checks.end()
        defer { leases.end() }
        if let writable {
            recordDenialCounts()
            writable.ledger.settle()
            // Recovery adds the lines again.
            if writable.ledger.hasLost { writable.staging.keepForRecovery() }
            writable.staging.clean(in: writable.stagings)
            writable.ledger.sync()
        }
        _ = heldSessions.withLock { held in
            let all = held
            held = [:]
            return all
        }
    }

    /// Says that this run of the machine publishes without waiting for the disk, when there was no room to say it earlier.
    func sayUnsynced() {
        guard durability == .relaxed, !saysUnsynced.load(ordering: .relaxed), let writable,
            let directory = try? writable.ownDirectory.directory(StoreFormat.unsynced, orMakeWith: 0o700),
            (try? Recovery.mark(directory, writable.ledger.host, LedgerPlace(endOf: writable.ledger))) != nil
        else { return }
        saysUnsynced.store(true, ordering: .relaxed)
    }

    // MARK: - Opening

    /// One of the store's own directories is opened again when it was made anew elsewhere.
    private static func renews(_ directory: Directory, _ name: String, beneath root: Directory) {
        DirectoryRenewal.begin(
            directory, beneath: root, StoreLayout.privateDirectory + (name.isEmpty ? "" : "/" + name))
    }

    static func doing<Value>(
        _ what: String, _ path: String, _ body: () throws(Errno) -> Value
    ) throws(StoreError) -> Value {
        do throws(Errno) { return try body() } catch { throw .system(doing: what, path: path, error) }
    }

    static func openRoot(_ path: String) throws(StoreError) -> Directory {
        do throws(Errno) {
            let current = FileDescriptor(rawValue: AT_FDCWD)
            return Directory(owning: try SystemCall.open(current, path, O_RDONLY | O_DIRECTORY), CacheBound())
        } catch .notDirectory {
            throw .notAStore(path: path, problem: "it is not a directory")
        } catch {
            throw .system(doing: "open the store", path: path, error)
        }
    }

    /// Which of a store's directories are there. One that is a link or a file is refused here, with words, rather than
    /// later by an errno.
    static func look(into root: Directory, _ path: String) throws(StoreError) -> (isStore: Bool, isEmpty: Bool) {
        var isStore = false
        for name in Layer.allCases.map(\.directoryName) + [StoreLayout.privateDirectory] {
            let found = try doing("look at", path + "/" + name) { () throws(Errno) -> stat? in
                do throws(Errno) {
                    return try SystemCall.attributes(root.descriptor, name)
                } catch .noSuchFileOrDirectory {
                    return nil
                }
            }
            guard let found else { continue }
            guard found.isDirectory else {
                throw .notAStore(
                    path: path,
                    problem: found.isSymbolicLink
                        ? "\(name) is a symbolic link, which the store never follows; "
                            + "move the directory there, or bind-mount it"
                        : "\(name) is not a directory")
            }
            isStore = true
        }
        let entries = try doing("list", path) { () throws(Errno) in try root.entries() }
        return (isStore, entries.allSatisfy { $0.name == "lost+found" })
    }

    private static func readSchema(_ root: Directory, _ path: String) throws(StoreError) -> (ArtifactSchema, String) {
        let file = path + "/" + StoreLayout.privateDirectory + "/" + StoreFormat.schemaName
        let text: [UInt8]?
        do throws(Errno) {
            let own = try root.directory(StoreLayout.privateDirectory)
            let descriptor = try own.file(StoreFormat.schemaName).open(O_RDONLY | O_NONBLOCK)
            defer { SystemCall.close(descriptor) }
            text = try SystemCall.bytes(descriptor, at: 0, count: SchemaFile.longest + 1)
        } catch .noSuchFileOrDirectory {
            text = nil
        } catch .permissionDenied {
            // Another schema would show another tree.
            throw .unreadableSchema(file: file)
        } catch {
            throw .system(doing: "read the schema", path: file, error)
        }
        guard let text else { return (.builtIn, SchemaFile.defaultText) }
        guard let string = String(validating: text, as: UTF8.self) else {
            throw .schema(file: file, line: nil, problem: "it is not UTF-8 text")
        }
        let schema = try SchemaFile.parse(string, file: file)
        // Readers of the mount have the names themselves, not the path of an index that they may not read.
        if case .names = schema.chromosomes { return (schema, SchemaFile.text(of: schema)) }
        return (schema, string)
    }

    /// The directories in `.artifactfs`.
    struct Parts {
        let staging: Directory
        let quarantine: Directory
        let ledger: Directory
        let sessions: Directory
        /// Nil in a store that has none yet, on a full disk.
        let reserved: Directory?

        /// All of them, with their names.
        var all: [(Directory, String)] {
            [
                (staging, StoreFormat.staging), (quarantine, StoreFormat.quarantine), (ledger, StoreFormat.ledger),
                (sessions, StoreFormat.sessions),
            ] + (reserved.map { [($0, StoreFormat.reserved)] } ?? [])
        }
    }

    /// What is missing of the driver's own directory is made; a store of another format is refused.
    static func prepare(
        _ own: Directory, _ path: String
    ) throws(StoreError) -> Parts {
        let ownPath = path + "/" + StoreLayout.privateDirectory
        let marker = try doing("prepare the store's own directory", ownPath) { () throws(Errno) in
            if try SystemCall.attributes(own.descriptor).permissions != 0o700 {
                try SystemCall.setMode(own.descriptor, 0o700)
            }
            return try text(of: own.file(StoreFormat.fileName), orWrite: StoreFormat.text(of: StoreFormat.first))
        }
        guard StoreFormat.version(marker) != nil else {
            let found = String(marker.prefix(80).prefix { $0 != "\n" })
            throw .format(path: ownPath + "/" + StoreFormat.fileName, found: found)
        }
        return try doing("prepare the store's own directory", ownPath) { () throws(Errno) in
            Parts(
                staging: try own.directory(StoreFormat.staging, orMakeWith: 0o700),
                quarantine: try own.directory(StoreFormat.quarantine, orMakeWith: 0o700),
                ledger: try own.directory(StoreFormat.ledger, orMakeWith: 0o700),
                sessions: try own.directory(StoreFormat.sessions, orMakeWith: 0o700),
                reserved: try roomPermitting { () throws(Errno) in
                    try own.directory(StoreFormat.reserved, orMakeWith: 0o700)
                }
            )
        }
    }

    /// Nil for want of room.
    private static func roomPermitting<Value>(_ body: () throws(Errno) -> Value) throws(Errno) -> Value? {
        do throws(Errno) { return try body() } catch {
            if DiskRoom.isForWantOfRoom(error) { return nil }
            throw error
        }
    }

    /// The ledger of a host, made when it is missing.
    private static func openLedger(
        _ ledgers: Directory, _ host: String, _ spare: Spare?, isSynced: Bool
    ) throws(Errno) -> Ledger {
        let name = try LedgerFiles.newest(of: host, in: ledgers.descriptor)
        let (file, flags) = (ledgers.file(name), O_RDWR)
        var descriptor: FileDescriptor
        do throws(Errno) { descriptor = try file.open(flags | O_CREAT, mode: 0o600) } catch {
            guard let spare, DiskRoom.isForWantOfRoom(error) else { throw error }
            try spare.takeLedger(as: file)
            descriptor = try file.open(flags)
        }
        return try Ledger(
            owning: descriptor, named: name, of: host, in: ledgers.descriptor, isSynced: isSynced,
            limit: ledgerLimit)
    }

    /// For tests: from which size on a ledger's file is not added to, in bytes.
    @TaskLocal static var ledgerLimit = Ledger.usualLimit

    /// A small file's text; made with a text when it is missing, whole or not at all.
    static func text(of file: RealFile, orWrite text: String) throws(Errno) -> String {
        do throws(Errno) {
            let descriptor = try file.open(O_RDONLY | O_NONBLOCK)
            defer { SystemCall.close(descriptor) }
            return String(decoding: try SystemCall.bytes(descriptor, at: 0, count: 65_536), as: UTF8.self)
        } catch .noSuchFileOrDirectory {
            do throws(Errno) {
                try WholeFile.write(Array(text.utf8), to: file, replacing: false)
                return text
            } catch .fileExists {
                return try Self.text(of: file, orWrite: text)
            }
        }
    }

    package static func descriptorLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        return Int(clamping: limit.rlim_cur)
    }

    static func hostName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, 255) == 0 else { return "unknown" }
        let name = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let text = EscapedName.encode(String(decoding: name, as: UTF8.self), limit: 100)
        return text.isEmpty || text.hasPrefix(".") ? "unknown" : text
    }

    private static func newMountID(_ host: String) -> String {
        let time = Clock.now()
        return "\(TimeText.compact(time))-\(host)-\(getpid())-\(time.tv_nsec)"
    }
}
