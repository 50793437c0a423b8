internal import CFuse
internal import Glibc
internal import Logging
internal import Synchronization
internal import SystemPackage

/// What libfuse's callbacks find the file system by: C functions capture nothing.
final class Dispatcher: Sendable {
    let fileSystem: any FileSystem
    let negotiation: Negotiation
    let late = LateAnswers()
    let owners = HandleOwners()
    private let connectionBox = Mutex<KernelConnection?>(nil)
    private let pool = Mutex<WorkerPool?>(nil)
    private let session = Mutex<SessionPointer?>(nil)
    private let isStarted = Atomic<Bool>(false)
    /// Held while the file system is started, so that no request comes before.
    private let starting = Mutex(false)

    init(fileSystem: any FileSystem, negotiation: Negotiation) {
        self.fileSystem = fileSystem
        self.negotiation = negotiation
    }

    func attach(session: SessionPointer, pool: WorkerPool?) {
        self.session.withLock { $0 = session }
        self.pool.withLock { $0 = pool }
    }

    /// INIT was answered: the first request after it finds the file system started.
    func startIfNeeded() {
        if isStarted.load(ordering: .acquiring) { return }
        starting.withLock { isDone in
            guard !isDone, let session = session.withLock({ $0 }) else { return }
            isDone = true
            let device = fuse_session_fd(session.raw)
            let (works, obstacle) = negotiation.passthrough(on: device)
            if negotiation.wantsPassthrough, let obstacle {
                Logger(label: "artifactfs.passthrough").notice("the driver moves all bytes: \(obstacle)")
            }
            let connection = KernelConnection(
                hasPassthrough: works, obstacle: obstacle, descriptor: device, session: session,
                workers: pool.withLock { $0 }, late: late)
            connectionBox.withLock { $0 = connection }
            fileSystem.start(connection)
            isStarted.store(true, ordering: .releasing)
        }
    }

    /// The descriptor is about to be closed.
    func disconnect() {
        late.end()
        connectionBox.withLock { $0 }?.end()
    }

    func stop() {
        fileSystem.stop()
        pool.withLock { $0 = nil }
    }

    static func of(_ request: fuse_req_t) -> Dispatcher? {
        fuse_req_userdata(request).map { Unmanaged<Dispatcher>.fromOpaque($0).takeUnretainedValue() }
    }
}
