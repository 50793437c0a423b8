internal import Glibc

/// A POSIX semaphore (sem_overview(7)).
package final class PosixSemaphore: @unchecked Sendable {
    // Proof: `sem_wait` and `sem_post` are thread-safe, and the pointer never changes.
    private let raw: UnsafeMutablePointer<sem_t>

    package init() {
        raw = .allocate(capacity: 1)
        sem_init(raw, 0, 0)
    }

    deinit {
        sem_destroy(raw)
        raw.deallocate()
    }

    package func post() { sem_post(raw) }

    package func wait() { SystemCall.wait(for: raw) }

    /// Waits for so many milliseconds, or more when a signal interrupts; whether there was a post.
    package func wait(milliseconds: Int32) -> Bool {
        SystemCall.wait(for: raw, milliseconds: milliseconds)
    }
}
