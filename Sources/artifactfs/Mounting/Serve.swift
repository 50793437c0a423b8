import ArtifactDriver
import ArtifactStore
import Artifacts
import FuseKernel
import Glibc
import Logging
import Synchronization
import SystemCalls
import SystemPackage

/// The driver's process: opens the store, mounts, serves until the mount ends.
enum Serve {
    static func run(_ request: MountRequest) throws {
        // The driver in the background was started as /proc/self/exe, and pgrep(1) would know it as "exe".
        SystemCall.setProcessName("artifactfs")
        let readiness = Readiness()
        do {
            try serve(request, readiness)
        } catch {
            readiness.fail(error)
            throw error
        }
    }

    private static func serve(_ request: MountRequest, _ readiness: Readiness) throws {
        Log.start(toSystem: readiness.isBackground)
        let stopSignals = StopSignals()
        raiseDescriptorLimit()
        outliveOthers()
        if request.isRoot { return try serveRoot(request, readiness, stopSignals) }
        let opened = try open(
            request,
            RootOpening(
                store: request.store, mountPoint: request.mountPoint,
                descriptors: DescriptorBudget(processLimit: Store.descriptorLimit())))
        let (store, volume) = (opened.store, opened.volume)
        try serve(volume, request, stopSignals, pending: { volume.pendingSeals }) {
            CatalogUpkeep.start(store, at: request.store)
            readiness.ready(
                "mounted \(request.mirror?.words ?? request.store) at \(request.mountPoint): "
                    + (volume.currentSession.map { "session \($0)" }
                        ?? opened.moment.map { "read-only, as of \($0.words)" } ?? "read-only")
                    + (store.hardening.words.map { "; \($0)" } ?? "")
                    + (store.sharing.map { "; \($0.words)" } ?? ""))
        }
    }

    /// Every store below a directory.
    private static func serveRoot(
        _ request: MountRequest, _ readiness: Readiness, _ stopSignals: StopSignals
    ) throws {
        SystemCall.setUmask(0)
        var one = request
        // What the kernel is told of one store's files it takes as said of all: so it is the same for all.
        one.passthrough = request.isReadOnly ? request.passthrough ?? false : request.passthrough
        let tree: RootTree
        do {
            tree = try RootTree(
                path: request.store, mountPoint: request.mountPoint, isReadOnly: request.isReadOnly,
                version: Version.text
            ) { [one] opening in
                let (store, volume, _) = try open(one, opening)
                CatalogUpkeep.start(store, at: opening.store)
                return volume
            }
        } catch { throw Failure(.notAStore, "cannot open \(request.store): \(error)") }
        try serve(tree, request, stopSignals, pending: { tree.pendingSeals }) {
            readiness.ready(
                "mounted the stores below \(request.store) at \(request.mountPoint): "
                    + (request.isReadOnly ? "read-only" : "each gets a session of its own when it is used"))
        }
    }

    /// A store and its volume.
    private static func open(
        _ request: MountRequest, _ opening: RootOpening
    ) throws -> (store: Store, volume: Volume, moment: MomentCatalog?) {
        // A check that traps ends its process and not the mount.
        let store = try Store(
            at: opening.store, readOnly: request.isReadOnly, durability: request.durability,
            checkCommand: ["/proc/self/exe", CheckContentsCommand.name],
            hardens: request.hardens && !request.isReadOnly, descriptors: opening.descriptors)
        if let words = store.hardening.words, !store.hardening.obstacles.isEmpty {
            Logger(label: "artifactfs").warning("\(words)")
        }
        if let sharing = store.sharing {
            let log = Logger(label: "artifactfs")
            if sharing.verdict == .severalHosts {
                log.notice("\(sharing.words)")
            } else {
                log.warning("\(sharing.words)")
            }
        }
        let moment = try request.asOf.map {
            MomentCatalog(store: opening.store, moment: try StoreMoment($0, in: store))
        }
        // It is made now, and not when somebody looks for the first time.
        if moment != nil { try StorePlace(mount: nil, store: opening.store).asking { _ in } }
        store.recovery.write(to: Logger(label: "artifactfs"))
        // What is made for a caller is made with the caller's umask.
        SystemCall.setUmask(0)
        do {
            var options = VolumeOptions(
                session: request.session, mountPoint: opening.mountPoint, version: Version.text)
            options.observedDirectories = request.observed
            options.seesProvenance = request.seesProvenance
            options.moment = moment
            options.recallCommand = ["/proc/self/exe", RecallArtifactsCommand.name, opening.store]
            if let mirror = request.mirror {
                options.recallStore = try Store(at: opening.store, readOnly: false, durability: .relaxed)
                options.recallLimit = (mirror.limit, mirror.present())
            }
            options.opensReadOnly = request.passthrough
            return (store, try Volume(store: store, options: options), moment)
        } catch {
            store.close()
            throw error
        }
    }

    /// Mounts a file system and serves it until the mount ends.
    ///
    /// - Parameters:
    ///   - pending: how many files wait to be published.
    ///   - ready: the mount can be used.
    private static func serve(
        _ fileSystem: any FileSystem, _ request: MountRequest, _ stopSignals: StopSignals,
        pending: @escaping @Sendable () -> Int, ready: () -> Void
    ) throws {
        var options = MountOptions(mountPoint: request.mountPoint, fileSystemName: request.store)
        if request.isRoot { options.subtype = MountEntry.rootSubtype }
        options.isReadOnly = request.isReadOnly
        options.allowsOthers = request.allowsOthers
        // A mount for root alone: root may do what modes forbid. An ordinary user may not, also with what the kernel still remembers
        // of a directory that was closed meanwhile, so there the kernel checks.
        options.checksPermissions = request.allowsOthers || geteuid() != 0
        options.posixACL = options.checksPermissions
        options.passthrough = request.passthrough ?? true
        options.keepsProcessorsAwake = !request.savesPower
        options.extra = request.extra
        options.backingDirectory = request.store
        let session: Session
        do {
            session = try Session(fileSystem: fileSystem, options: options)
            try session.mount()
        } catch {
            fileSystem.stop()
            throw Failure(.mountPoint, "cannot mount on \(request.mountPoint): \(error)")
        }
        let (mountPoint, source) = (request.mountPoint, request.store)
        stopSignals.stop(session, pending: pending) {
            guard let mount = MountEntry.at(mountPoint), mount.isArtifacts, mount.source == source else { return }
            if (try? SystemCall.unmount(mountPoint, detaching: true)) == nil, geteuid() != 0 {
                _ = Program.run(["fusermount3", "-u", "-z", "--", mountPoint], within: 2_000)
            }
        }
        ready()
        session.run()
    }

    /// When memory runs out the kernel is to end another process: with the driver, everybody loses the mount. Root only may ask for it, and
    /// what somebody else has asked for stays (proc_pid_oom_score_adj(5)).
    private static func outliveOthers() {
        guard geteuid() == 0, Paths.contents("/proc/self/oom_score_adj") == Array("0\n".utf8) else { return }
        let name = "/proc/self/oom_score_adj"
        guard let file = try? SystemCall.open(SystemCall.currentDirectory, name, O_WRONLY) else { return }
        defer { SystemCall.close(file) }
        try? SystemCall.write(file, Array("-900".utf8))
    }

    /// Open files need descriptors, and what the kernel knows in ordinary trees is found quicker with them.
    static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

/// SIGINT, SIGTERM and SIGHUP unmount; they are waited for by a thread of their own, so that no handler interrupts anything. A second
/// signal ends the driver at once: what is not published yet stays staged, for the next mount's recovery.
struct StopSignals {
    private var set = sigset_t()
    private static let all = [SIGINT, SIGTERM, SIGHUP]
    /// How long publishing may take after the first signal before somebody is told, in seconds; and how often after that.
    private static let patience = (first: 5, further: 60)

    /// Blocks the signals; call it before any thread starts.
    init() {
        sigemptyset(&set)
        for signal in Self.all { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// From now on a signal ends the session.
    ///
    /// - Parameters:
    ///   - pending: how many files wait to be published.
    ///   - detach: takes the mount away, if it is still there.
    func stop(_ session: Session, pending: @escaping @Sendable () -> Int, detach: @escaping @Sendable () -> Void) {
        let set = self.set
        let thread = WorkerThread(name: "artifactfs-sig") {
            var set = set
            var signal: Int32 = 0
            while sigwait(&set, &signal) != 0 {}
            session.stop()
            let log = Logger(label: "artifactfs")
            var time = timespec(tv_sec: Self.patience.first, tv_nsec: 0)
            while true {
                let second = sigtimedwait(&set, nil, &time)
                if second > 0 {
                    log.warning(
                        "a second signal: ends now; what is not published stays staged for the next mount of the store")
                    detach()
                    Self.end(by: second)
                }
                guard errno == EAGAIN else { continue }
                log.notice(
                    """
                    \(pending()) files are still to be published; a second signal ends at once and leaves them staged for the \
                    next mount
                    """
                )
                time.tv_sec = Self.patience.further
            }
        }
        if let thread { thread.detach() } else { Self.stopByHandler(session.stopper, set) }
    }

    /// Ends the process as the signal does by itself, so that whoever waits for it sees a stop and no failure.
    private static func end(by number: Int32) -> Never {
        var one = sigset_t()
        sigemptyset(&one)
        sigaddset(&one, number)
        signal(number, SIG_DFL)
        kill(getpid(), number)
        pthread_sigmask(SIG_UNBLOCK, &one, nil)
        _exit(128 + number)
    }

    /// What ends the session in `stopByHandler`. Written before there is a handler and read by handlers only, which run on the first thread
    /// alone, one at a time: nobody is interrupted while the lock is held.
    private static let stopper = Lock<(@Sendable () -> Void)?>(nil)

    /// Without a thread to be had the first one takes the signals. A second of the same kind ends the process.
    private static func stopByHandler(_ stop: @escaping @Sendable () -> Void, _ set: sigset_t) {
        stopper.withLock { $0 = stop }
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in StopSignals.stopper.withLock { $0 }?() }
        action.sa_mask = set
        action.sa_flags = SA_RESTART | Int32(bitPattern: UInt32(SA_RESETHAND))
        for signal in all { sigaction(signal, &action, nil) }
        var set = set
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }
}
