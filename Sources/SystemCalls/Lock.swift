#if ARTIFACTFS_TSAN
internal import Glibc

/// The lock of builds for the thread sanitizer, which sees pthread(7)'s locks and not the standard library's (its `Mutex` is waited for in
/// code that is not instrumented).
package struct Lock<Value: ~Copyable>: ~Copyable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let value: UnsafeMutablePointer<Value>

    package init(_ initialValue: consuming sending Value) {
        mutex = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        value = .allocate(capacity: 1)
        value.initialize(to: initialValue)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
        value.deinitialize(count: 1)
        value.deallocate()
    }

    package borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value.pointee)
    }

    package borrowing func withLockIfAvailable<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result? {
        guard pthread_mutex_trylock(mutex) == 0 else { return nil }
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value.pointee)
    }
}

// Proof: the value is reached in `withLock` only, with the mutex held.
extension Lock: @unchecked Sendable where Value: ~Copyable {}
#else
package import Synchronization

/// What guards a value that several threads use: the standard library's lock, but in builds for the thread sanitizer.
package typealias Lock<Value: ~Copyable> = Mutex<Value>
#endif
