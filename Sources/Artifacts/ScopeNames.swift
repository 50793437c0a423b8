/// The name of a development session: its start in UTC, `YYYYMMDD_HHMMSS`.
public struct SessionName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The name as it stands in the tree and in the store.
    public let description: String

    /// Checks a name's form: a real calendar date and time.
    ///
    /// - Returns: nil when the text is not `YYYYMMDD_HHMMSS`.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 15, bytes[8] == UInt8(ascii: "_") else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            var value = 0
            for byte in bytes[range] {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                value = value * 10 + Int(byte - UInt8(ascii: "0"))
            }
            return value
        }
        guard let year = number(0..<4), let month = number(4..<6), let day = number(6..<8),
            let hour = number(9..<11), let minute = number(11..<13), let second = number(13..<15),
            year >= 1, (1...12).contains(month), (1...Self.days(inMonth: month, year: year)).contains(day),
            hour < 24, minute < 60, second < 60
        else { return nil }
        description = text
    }

    /// The name of a session that starts at a time.
    ///
    /// - Parameter secondsSince1970: the start, in whole seconds of UTC; years 1970 to 9999.
    public init?(secondsSince1970 seconds: Int64) {
        guard (0..<253_402_300_800).contains(seconds) else { return nil }
        let second = seconds % 86_400
        var days = seconds / 86_400
        var year = 1970
        while true {
            let length: Int64 = Self.isLeap(year) ? 366 : 365
            if days < length { break }
            days -= length
            year += 1
        }
        var month = 1
        while days >= Int64(Self.days(inMonth: month, year: year)) {
            days -= Int64(Self.days(inMonth: month, year: year))
            month += 1
        }
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        description =
            padded(Int64(year), 4) + padded(Int64(month), 2) + padded(days + 1, 2) + "_"
            + padded(second / 3600, 2) + padded(second / 60 % 60, 2) + padded(second % 60, 2)
    }

    /// Earlier sessions come first.
    public static func < (left: SessionName, right: SessionName) -> Bool { left.description < right.description }

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func days(inMonth month: Int, year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

/// The name of a test: a letter or digit, then letters, digits, `.`, `_`, `-`, at most 200 bytes.
public struct TestName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The name as it stands in the tree and in the store.
    public let description: String

    /// Checks a name's form.
    public init?(_ text: String) {
        guard text.utf8.count <= 200, NameRules.isPlain(text[...]) else { return nil }
        description = text
    }

    /// By spelling.
    public static func < (left: TestName, right: TestName) -> Bool { left.description < right.description }
}
