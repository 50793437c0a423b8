internal import Glibc

extension ShownText {
    /// So many bytes.
    public static func bytes(_ bytes: Int64) -> String {
        var (value, unit) = (Double(bytes), "bytes")
        for next in ["KiB", "MiB", "GiB", "TiB"] where value >= 1024 { (value, unit) = (value / 1024, next) }
        if unit == "bytes" { return bytes == 1 ? "1 byte" : "\(bytes) bytes" }
        let tenths = Int64((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(unit)"
    }

    /// A number: a whole one with all its digits, another one with all where they are few, else with six that count.
    public static func number(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number == number.rounded(), abs(number) < 1e15 { return "\(Int64(number))" }
        let whole = "\(number)"
        if whole.utf8.count <= 10 { return whole }
        var buffer = [CChar](repeating: 0, count: 32)
        withVaList([number]) { _ = vsnprintf(&buffer, buffer.count, "%.6g", $0) }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A time in nanoseconds since 1970, to the minute, in local time.
    public static func localTime(_ nanoseconds: Int64) -> String {
        var (clock, found) = (time_t(nanoseconds / 1_000_000_000), tm())
        localtime_r(&clock, &found)
        func two(_ number: Int32) -> String { (number < 10 ? "0" : "") + "\(number)" }
        return
            "\(Int(found.tm_year) + 1900)-\(two(found.tm_mon + 1))-\(two(found.tm_mday)) \(two(found.tm_hour)):\(two(found.tm_min))"
    }
}
