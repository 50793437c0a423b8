import ArtifactDriver
import ArtifactStore
import CLinux
import FuseKernel
import Glibc
import Logging

/// The driver's process: opens the store, mounts, serves until the mount ends.
enum Serve {
    static func run(_ request: MountRequest) throws {
        // The driver in the background was started as /proc/self/exe, and pgrep(1) would know it as "exe".
        clinux_set_process_name("artifactfs")
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
        // A check that traps ends its process and not the mount.
        let store = try Store(
            at: request.store, readOnly: request.isReadOnly, durability: request.durability,
            checkCommand: ["/proc/self/exe", CheckContentsCommand.name])
        store.recovery.write(to: Logger(label: "artifactfs"))
        // What is made for a caller is made with the caller's umask.
        umask(0)
        let volume: Volume
        do {
            volume = try Volume(
                store: store,
                options: VolumeOptions(session: request.session, mountPoint: request.mountPoint, version: Version.text))
        } catch {
            store.close()
            throw error
        }
        var options = MountOptions(mountPoint: request.mountPoint, fileSystemName: request.store)
        options.isReadOnly = request.isReadOnly
        options.allowsOthers = request.allowsOthers
        // A mount for root alone: root may do what modes forbid. An ordinary user may not, also with what the kernel still remembers
        // of a directory that was closed meanwhile, so there the kernel checks.
        options.checksPermissions = request.allowsOthers || geteuid() != 0
        options.posixACL = options.checksPermissions
        options.passthrough = request.passthrough
        options.keepsProcessorsAwake = !request.savesPower
        options.extra = request.extra
        options.backingDirectory = request.store
        let session: Session
        do {
            session = try Session(fileSystem: volume, options: options)
            try session.mount()
        } catch {
            volume.stop()
            throw Failure(.mountPoint, "cannot mount on \(request.mountPoint): \(error)")
        }
        stopSignals.stop(session)
        readiness.ready(
            "mounted \(request.store) at \(request.mountPoint): "
                + (volume.currentSession.map { "session \($0)" } ?? "read-only"))
        session.run()
    }

    /// Open files need descriptors, and what the kernel knows in ordinary trees is found quicker with them.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

/// SIGINT, SIGTERM and SIGHUP unmount; they are waited for by a thread of their own, so that no handler interrupts anything.
struct StopSignals {
    private var set = sigset_t()

    /// Blocks the signals; call it before any thread starts.
    init() {
        sigemptyset(&set)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// From now on a signal ends the session.
    func stop(_ session: Session) {
        let set = self.set
        let box = Unmanaged.passRetained(Waiter(session: session, set: set))
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Waiter>.fromOpaque(argument).takeRetainedValue().wait()
                return nil
            }, box.toOpaque())
        if result == 0 { pthread_detach(thread) } else { box.release() }
    }

    private final class Waiter {
        private let session: Session
        private var set: sigset_t

        init(session: Session, set: sigset_t) {
            self.session = session
            self.set = set
        }

        func wait() {
            var signal: Int32 = 0
            sigwait(&set, &signal)
            session.stop()
        }
    }
}
