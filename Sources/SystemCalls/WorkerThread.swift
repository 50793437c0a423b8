internal import CLinux
internal import Glibc

/// A thread of the driver's own (pthreads(7)). It takes no signals: one thread of the program waits for them.
///
/// Not libdispatch's: once that has run anything, a thread of it wakes every second to look at its pools, for as long as the process
/// lives (strace of swift-corelibs-libdispatch 6.3, `timerfd_settime`), and an idle mount is to cost nothing.
package struct WorkerThread: Sendable {
    private let raw: pthread_t

    /// Starts it. Nil when the system has no thread to give.
    ///
    /// - Parameter name: at most 15 bytes, for ps(1).
    package init?(name: String, _ body: @escaping @Sendable () -> Void) {
        final class Start: Sendable {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start(body))
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, start.toOpaque())
        guard result == 0 else {
            start.release()
            return nil
        }
        SystemCall.setName(of: thread, name)
        raw = thread
    }

    /// The calling thread gets its turn before others, where that may be had (setpriority(2)): it has little to do, and what it looks at is gone soon.
    package static func hurry() { clinux_hurry() }

    /// Waits for its end; once, and not by itself.
    package func join() { pthread_join(raw, nil) }

    /// Lets it end by itself; instead of `join`.
    package func detach() { pthread_detach(raw) }
}
