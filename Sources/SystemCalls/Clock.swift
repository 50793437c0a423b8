package import Glibc
internal import Synchronization

/// The system's clocks.
package enum Clock {
    /// Nanoseconds that only go up (`CLOCK_MONOTONIC`).
    package static func monotonic() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
    }

    /// Nanoseconds since the machine's start (`CLOCK_BOOTTIME`).
    package static func sinceBoot() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
    }

    /// The time of day, UTC (`CLOCK_REALTIME`).
    package static func now() -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time
    }

    /// How many nanoseconds a file's time of change may be before the change, on file systems that tell no finer ones.
    ///
    /// They take `CLOCK_REALTIME_COARSE` (`current_time`, fs/inode.c), which goes on with the kernel's ticks: by one at a time, and each comes
    /// later than what it counts, by a part of a tick or more that differs from machine to machine and from start to start (2.2 ms where a
    /// tick is 4 ms has been seen). The least of what that clock lacks is that part.
    package static func lagOfChanges() -> UInt64 {
        var coarse = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &coarse)
        let lag = nanoseconds(from: coarse, to: now())
        let least = leastLag.load(ordering: .relaxed)
        // It is another one when the ticks come from another processor.
        guard lag < least || lag &- least >= tick else { return least &+ tick }
        leastLag.store(lag, ordering: .relaxed)
        return min(lag, .max - tick) &+ tick
    }

    private static let leastLag = Atomic<UInt64>(.max)

    /// In nanoseconds.
    private static let tick: UInt64 = {
        var resolution = timespec()
        guard clock_getres(CLOCK_REALTIME_COARSE, &resolution) == 0, resolution.tv_sec == 0,
            (1...100_000_000).contains(resolution.tv_nsec)
        else { return 10_000_000 }
        return UInt64(resolution.tv_nsec)
    }()

    /// Ticks since the machine's start, as `/proc/PID/stat` counts them.
    package static func ticksSinceBoot() -> UInt64 {
        let perSecond = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        var boot = timespec()
        clock_gettime(CLOCK_BOOTTIME, &boot)
        return UInt64(truncatingIfNeeded: boot.tv_sec) &* perSecond
            &+ UInt64(truncatingIfNeeded: boot.tv_nsec) &* perSecond / 1_000_000_000
    }

    /// The time of day of what was some ticks after the machine's start, in units of `_SC_CLK_TCK` a second, as `/proc/PID/stat` tells
    /// when a process began (`CLOCK_BOOTTIME`).
    package static func time(ofTicksSinceBoot ticks: UInt64) -> timespec {
        let perSecond = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        var (boot, time) = (timespec(), timespec())
        clock_gettime(CLOCK_BOOTTIME, &boot)
        clock_gettime(CLOCK_REALTIME, &time)
        let ago =
            (boot.tv_sec &* 1_000_000_000 &+ boot.tv_nsec)
            &- Int(truncatingIfNeeded: ticks / perSecond) &* 1_000_000_000
            &- Int(truncatingIfNeeded: ticks % perSecond &* 1_000_000_000 / perSecond)
        let now = time.tv_sec &* 1_000_000_000 &+ time.tv_nsec
        // No finer than it is known.
        let tick = Int(1_000_000_000 / perSecond)
        let start = (now &- ago) / tick &* tick
        return timespec(tv_sec: start / 1_000_000_000, tv_nsec: start % 1_000_000_000)
    }

    /// How many nanoseconds there are from one time of day to another; 0 when that is not later.
    package static func nanoseconds(from one: timespec, to other: timespec) -> UInt64 {
        let seconds = Int64(other.tv_sec) &- Int64(one.tv_sec)
        guard seconds >= 0, seconds < 1 << 32 else { return seconds < 0 ? 0 : .max }
        return UInt64(max(0, seconds &* 1_000_000_000 &+ Int64(other.tv_nsec) &- Int64(one.tv_nsec)))
    }

    /// A time of day so many nanoseconds before another one.
    package static func time(_ time: timespec, before nanoseconds: UInt64) -> timespec {
        let all = time.tv_sec &* 1_000_000_000 &+ time.tv_nsec &- Int(clamping: nanoseconds)
        return timespec(tv_sec: all / 1_000_000_000, tv_nsec: max(0, all % 1_000_000_000))
    }

    /// How many seconds ago a time of day was; negative for one to come. A file may bear any time, so what does not fit is clamped.
    package static func secondsSince(_ time: timespec) -> Int {
        let (seconds, overflow) = now().tv_sec.subtractingReportingOverflow(time.tv_sec)
        return overflow ? (time.tv_sec < 0 ? .max : .min) : seconds
    }

    /// A time in nanoseconds since 1970; nil of what is centuries away.
    package static func nanoseconds(_ time: timespec) -> Int64? {
        let (seconds, isTooMuch) = Int64(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        let (all, overflows) = seconds.addingReportingOverflow(Int64(time.tv_nsec))
        return isTooMuch || overflows ? nil : all
    }
}
