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

    /// `20260215T143022.123Z`: for file names.
    static func compact(_ time: timespec) -> String {
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
