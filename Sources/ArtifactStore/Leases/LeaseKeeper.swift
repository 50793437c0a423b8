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

/// The threads of a mount's lease: one renews it and watches the others', and may hang in a share that is away, where nobody waits for it; one looks what
/// time makes of it, and tells.
final class LeaseKeeper: Sendable {
    private let (wake, beats) = (PosixSemaphore(), PosixSemaphore())
    private let isStopping = Atomic(false)
    private let listener = Lock<(@Sendable (LeaseNews) -> Void)?>(nil)

    init(_ leases: Leases) {
        let (wake, beats, interval) = (self.wake, self.beats, Int32(clamping: leases.times.renewal / 1_000_000))
        let keeper = WorkerThread(name: "artifactfs-lea") { [weak self, weak leases] in
            while true {
                _ = wake.wait(milliseconds: interval)
                guard let self, let leases, !self.isStopping.load(ordering: .relaxed) else { return }
                let inherited = leases.beat()
                beats.post()
                if !inherited.isEmpty { self.tell(.inherited(inherited)) }
            }
        }
        keeper?.detach()
        let teller = WorkerThread(name: "artifactfs-les") { [weak self, weak leases] in
            var known = HeldLease.State.held
            while true {
                _ = beats.wait(milliseconds: interval)
                guard let self, let leases, !self.isStopping.load(ordering: .relaxed) else { return }
                guard let state = leases.state, state != known else { continue }
                known = state
                self.tell(.state(state))
            }
        }
        teller?.detach()
    }

    deinit { stop() }

    func stop() {
        isStopping.store(true, ordering: .relaxed)
        wake.post()
        beats.post()
    }

    private func tell(_ news: LeaseNews) { listener.withLock { $0 }?(news) }

    func listen(_ body: @escaping @Sendable (LeaseNews) -> Void) { listener.withLock { $0 = body } }
}
