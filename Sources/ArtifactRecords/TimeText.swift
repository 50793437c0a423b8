public import Glibc

/// Times as text, always UTC.
public enum TimeText {
    /// `2026-02-15T14:30:22.123456789Z` (RFC 3339).
    public static func rfc3339(_ time: timespec) -> String {
        let parts = parts(time)
        return String(unsafeUninitializedCapacity: 40) { text in
            var end = write(parts.year, 4, to: text, at: 0)
            for (mark, part) in [
                ("-", parts.month), ("-", parts.day), ("T", parts.hour), (":", parts.minute), (":", parts.second),
            ] as [(Unicode.Scalar, Int)] {
                text[end] = UInt8(ascii: mark)
                end = write(part, 2, to: text, at: end + 1)
            }
            text[end] = UInt8(ascii: ".")
            end = write(time.tv_nsec, 9, to: text, at: end + 1)
            text[end] = UInt8(ascii: "Z")
            return end + 1
        }
    }

    /// Reads what ``rfc3339(_:)`` writes, and fewer digits of a second.
    ///
    /// - Returns: nil for any other text, and for a day or an hour that there is not.
    public static func time(_ text: String) -> timespec? {
        let bytes = Array(text.utf8)
        guard (20...30).contains(bytes.count), bytes.last == UInt8(ascii: "Z") else { return nil }
        for (place, mark) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")] as [(Int, Unicode.Scalar)] {
            guard bytes[place] == UInt8(ascii: mark) else { return nil }
        }
        func number(_ range: Range<Int>) -> Int? {
            var value = 0
            for byte in bytes[range] {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                value = value * 10 + Int(byte - UInt8(ascii: "0"))
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19)
        else { return nil }
        var nanoseconds = 0
        if bytes.count > 20 {
            let end = bytes.count - 1
            guard bytes[19] == UInt8(ascii: "."), end > 20, let fraction = number(20..<end) else { return nil }
            nanoseconds = fraction
            for _ in end..<29 { nanoseconds *= 10 }
        }
        var broken = tm()
        (broken.tm_year, broken.tm_mon, broken.tm_mday) = (Int32(year - 1900), Int32(month - 1), Int32(day))
        (broken.tm_hour, broken.tm_min, broken.tm_sec) = (Int32(hour), Int32(minute), Int32(second))
        let time = timespec(tv_sec: timegm(&broken), tv_nsec: nanoseconds)
        // timegm(3) takes the 31st of April for the 1st of May.
        return rfc3339(time).utf8.starts(with: bytes[..<19]) ? time : nil
    }

    /// `20260215T143022.123Z`: for file names.
    package static func compact(_ time: timespec) -> String {
        let parts = parts(time)
        return String(unsafeUninitializedCapacity: 32) { text in
            var end = write(parts.year, 4, to: text, at: 0)
            for (mark, part) in [
                (nil, parts.month), (nil, parts.day), ("T", parts.hour), (nil, parts.minute), (nil, parts.second),
            ] as [(Unicode.Scalar?, Int)] {
                if let mark {
                    text[end] = UInt8(ascii: mark)
                    end += 1
                }
                end = write(part, 2, to: text, at: end)
            }
            text[end] = UInt8(ascii: ".")
            end = write(time.tv_nsec / 1_000_000, 3, to: text, at: end + 1)
            text[end] = UInt8(ascii: "Z")
            return end + 1
        }
    }

    private static func parts(
        _ time: timespec
    ) -> (year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
        var seconds = time.tv_sec
        var broken = tm()
        gmtime_r(&seconds, &broken)
        return (
            Int(broken.tm_year) + 1900, Int(broken.tm_mon) + 1, Int(broken.tm_mday), Int(broken.tm_hour),
            Int(broken.tm_min), Int(broken.tm_sec)
        )
    }

    /// Decimal digits, zeros before them. What a clock cannot show (a year of five digits and more, or before 0) shows its last digits.
    ///
    /// - Returns: where the text goes on.
    private static func write(
        _ value: Int, _ width: Int, to text: UnsafeMutableBufferPointer<UInt8>, at start: Int
    ) -> Int {
        var rest = value.magnitude
        for place in (start..<start + width).reversed() {
            text[place] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
        return start + width
    }
}
