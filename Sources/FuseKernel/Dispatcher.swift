internal import CFuse
internal import Glibc
internal import Logging
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What libfuse's callbacks find the file system by: C functions capture nothing.
final class Dispatcher: Sendable {
    let fileSystem: any FileSystem
    let negotiation: Negotiation
    let late = LateAnswers()
    /// What takes long for a disk, and what takes long for a processor.
    let transfers = FairThreads(name: "artifactfs-disk", most: 16)
    let checks = FairThreads(name: "artifactfs-look", most: 4)
    let failures: Failures
    let crowd: Crowd
    let owners = HandleOwners()
    private let connectionBox = Lock<KernelConnection?>(nil)
    private let pool = Lock<WorkerPool?>(nil)
    private let session = Lock<SessionPointer?>(nil)
    private let isStarted = Atomic<Bool>(false)
    /// Held while the file system is started, so that no request comes before.
    private let starting = Lock(false)

    /// How long after the last request what takes long is still begun, in nanoseconds.
    private static let finishTime: UInt64 = 2_000_000_000

    init(fileSystem: any FileSystem, negotiation: Negotiation, isReadOnly: Bool = false, workers: Int = 16) {
        self.fileSystem = fileSystem
        self.negotiation = negotiation
        failures = Failures(isReadOnly: isReadOnly)
        crowd = Crowd(most: workers / 2)
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
                workers: pool.withLock { $0 }, late: late, failures: failures)
            connectionBox.withLock { $0 = connection }
            fileSystem.start(connection)
            isStarted.store(true, ordering: .releasing)
        }
    }

    // MARK: - Requests that are answered later

    /// Handles a request that was kept.
    ///
    /// - Returns: what it waits for when it is not answered: `Errno.answerLater` or `Errno.takesLong`.
    func handle(
        _ request: SentRequest, _ doing: Doing, _ attempt: LateAnswers.Attempt, canWait: Bool, isMovable: Bool
    ) -> Errno? {
        let request = Request(request.raw, canWait: canWait, isMovable: isMovable)
        do throws(Errno) {
            let reply = try attempt(fileSystem, request)
            if !request.answer(reply) { takeBack(reply, fileSystem, owners) }
        } catch {
            if canWait && error.isForLater || isMovable && error == .takesLong {
                request.keep()
                return error
            }
            fail(request, doing, error)
        }
        return nil
    }

    /// Has a request handled by threads that may take long.
    func takeLong(_ sent: SentRequest, _ doing: Doing, _ attempt: @escaping LateAnswers.Attempt) {
        let threads = doing.kind == .flush || doing.kind == .rename ? checks : transfers
        let user = fuse_req_ctx(sent.raw)?.pointee.uid ?? 0
        let isTaken = threads.submit(of: user) { isTooLate in
            // The mount is ending: what a program gets that asks a mount without a driver.
            if isTooLate { return _ = Request(sent.raw).answer(.error(.socketNotConnected)) }
            _ = self.handle(sent, doing, attempt, canWait: false, isMovable: false)
        }
        if !isTaken { _ = handle(sent, doing, attempt, canWait: false, isMovable: false) }
    }

    /// Answers a request that failed, and keeps in mind what was no refusal. The one place where an errno becomes an answer.
    func fail(_ request: consuming Request, _ doing: Doing, _ error: Errno) {
        let caller = request.caller
        let answer = error.asAnswer
        _ = request.answer(.error(answer))
        if failures.isTrouble(answer), !error.isRefusal { failures.note(answer, doing, caller, fileSystem) }
    }

    /// The last request was taken: what takes long ends before handles are taken away.
    func finish() {
        transfers.end(within: Self.finishTime)
        checks.end(within: Self.finishTime)
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
