internal import CFuse
internal import Glibc

/// A clock that only goes forward.
enum Clock {
    /// Nanoseconds since some moment (`CLOCK_MONOTONIC`).
    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
    }
}
