internal import Glibc

/// A POSIX semaphore (sem_overview(7)).
final class Semaphore: @unchecked Sendable {
    // Proof: `sem_wait` and `sem_post` are thread-safe, and the pointer never changes.
    private let raw: UnsafeMutablePointer<sem_t>

    init() {
        raw = .allocate(capacity: 1)
        sem_init(raw, 0, 0)
    }

    deinit {
        sem_destroy(raw)
        raw.deallocate()
    }

    func post() { sem_post(raw) }
    func wait() { while sem_wait(raw) != 0, errno == EINTR {} }
}
