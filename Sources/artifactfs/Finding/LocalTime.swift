import Glibc

/// Times for people.
enum LocalTime {
    /// To the minute, in local time.
    static func text(_ nanoseconds: Int64) -> String {
        var (clock, found) = (time_t(nanoseconds / 1_000_000_000), tm())
        localtime_r(&clock, &found)
        func two(_ number: Int32) -> String { (number < 10 ? "0" : "") + "\(number)" }
        return
            "\(found.tm_year + 1900)-\(two(found.tm_mon + 1))-\(two(found.tm_mday)) \(two(found.tm_hour)):\(two(found.tm_min))"
    }
}
