public import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls

/// What a mount is told of leases.
public enum LeaseNews: Hashable, Sendable {
    /// What other hosts' mounts left that are dead is this mount's to settle; by their names.
    case inherited([String])
    /// Its own lease is another than before.
    case state(HeldLease.State)
}

/// The threads of a mount's lease, of which two may hang in a share that is away, where nobody waits for them: one renews it, one watches the others', and
/// one looks what time makes of it, and tells.
final class LeaseKeeper: Sendable {
    private let (renewing, watching, telling) = (PosixSemaphore(), PosixSemaphore(), PosixSemaphore())
    private let isStopping = Atomic(false)
    private let listener = Lock<(@Sendable (LeaseNews) -> Void)?>(nil)

    init(_ leases: Leases) {
        let telling = telling
        begin("artifactfs-lea", renewing, leases) { _, leases in
            leases.renew()
            telling.post()
        }
        begin("artifactfs-hei", watching, leases) { keeper, leases in
            let inherited = leases.watch()
            if !inherited.isEmpty { keeper.tell(.inherited(inherited)) }
        }
        let known = KnownState()
        begin("artifactfs-les", telling, leases) { keeper, leases in
            guard let state = leases.state, known.isNew(state) else { return }
            keeper.tell(.state(state))
        }
    }

    /// Does something with each renewal, on a thread of its own.
    private func begin(
        _ name: String, _ wake: PosixSemaphore, _ leases: Leases,
        _ body: @escaping @Sendable (LeaseKeeper, Leases) -> Void
    ) {
        let interval = Int32(clamping: leases.times.renewal / 1_000_000)
        let thread = WorkerThread(name: name) { [weak self, weak leases] in
            while true {
                _ = wake.wait(milliseconds: interval)
                guard let self, let leases, !self.isStopping.load(ordering: .relaxed) else { return }
                body(self, leases)
            }
        }
        thread?.detach()
    }

    deinit { stop() }

    func stop() {
        isStopping.store(true, ordering: .relaxed)
        for semaphore in [renewing, watching, telling] { semaphore.post() }
    }

    private func tell(_ news: LeaseNews) { listener.withLock { $0 }?(news) }

    func listen(_ body: @escaping @Sendable (LeaseNews) -> Void) { listener.withLock { $0 = body } }
}

/// What was told last.
private final class KnownState: Sendable {
    private let state = Lock(HeldLease.State.held)

    func isNew(_ now: HeldLease.State) -> Bool {
        state.withLock { state in
            defer { state = now }
            return state != now
        }
    }
}
