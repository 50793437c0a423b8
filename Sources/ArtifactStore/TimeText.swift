public import Glibc

/// Times as text, always UTC.
public enum TimeText {
    /// `2026-02-15T14:30:22.123456789Z` (RFC 3339).
    public static func rfc3339(_ time: timespec) -> String {
        let parts = parts(time)
        return "\(parts.year)-\(parts.month)-\(parts.day)T\(parts.hour):\(parts.minute):\(parts.second)."
            + padded(time.tv_nsec, 9) + "Z"
    }

    /// `20260215T143022.123Z`: for file names.
    static func compact(_ time: timespec) -> String {
        let parts = parts(time)
        return "\(parts.year)\(parts.month)\(parts.day)T\(parts.hour)\(parts.minute)\(parts.second)."
            + padded(time.tv_nsec / 1_000_000, 3) + "Z"
    }

    private static func parts(
        _ time: timespec
    ) -> (year: String, month: String, day: String, hour: String, minute: String, second: String) {
        var seconds = time.tv_sec
        var broken = tm()
        gmtime_r(&seconds, &broken)
        return (
            padded(Int(broken.tm_year) + 1900, 4), padded(Int(broken.tm_mon) + 1, 2), padded(Int(broken.tm_mday), 2),
            padded(Int(broken.tm_hour), 2), padded(Int(broken.tm_min), 2), padded(Int(broken.tm_sec), 2)
        )
    }

    private static func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
