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

/// The thread that renews a mount's lease and watches the others'. It may hang in a share that is away: nobody waits for it.
final class LeaseKeeper: Sendable {
    private let wake = PosixSemaphore()
    private let isStopping = Atomic(false)
    private let listener = Lock<(@Sendable (LeaseNews) -> Void)?>(nil)

    init(_ leases: Leases) {
        let (wake, interval) = (self.wake, Int32(clamping: leases.times.renewal / 1_000_000))
        let thread = WorkerThread(name: "artifactfs-lea") { [weak self, weak leases] in
            var known = HeldLease.State.held
            while true {
                _ = wake.wait(milliseconds: interval)
                guard let self, let leases, !self.isStopping.load(ordering: .relaxed) else { return }
                let inherited = leases.beat()
                let listener = self.listener.withLock { $0 }
                if let state = leases.state, state != known {
                    known = state
                    listener?(.state(state))
                }
                if !inherited.isEmpty { listener?(.inherited(inherited)) }
            }
        }
        thread?.detach()
    }

    deinit { stop() }

    func stop() {
        isStopping.store(true, ordering: .relaxed)
        wake.post()
    }

    func listen(_ body: @escaping @Sendable (LeaseNews) -> Void) { listener.withLock { $0 = body } }
}
