package import Glibc

/// The system's clocks.
package enum Clock {
    /// Nanoseconds that only go up (`CLOCK_MONOTONIC`).
    package static func monotonic() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
    }

    /// The time of day, UTC (`CLOCK_REALTIME`).
    package static func now() -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time
    }

    /// How many seconds ago a time of day was; negative for one to come. A file may bear any time, so what does not fit is clamped.
    package static func secondsSince(_ time: timespec) -> Int {
        let (seconds, overflow) = now().tv_sec.subtractingReportingOverflow(time.tv_sec)
        return overflow ? (time.tv_sec < 0 ? .max : .min) : seconds
    }
}
