/// Dates as people write them.
enum DateText {
    /// Nanoseconds in a second.
    private static let second: Int64 = 1_000_000_000

    /// What a text means, in nanoseconds since 1970: a day, a month, a minute; nil when it is no date.
    static func parse(_ text: String, _ calendar: QueryCalendar) -> Range<Int64>? {
        let words = text.lowercased().split(whereSeparator: \.isWhitespace).map(String.init)
        guard !words.isEmpty, words.count <= 4 else { return nil }
        if let range = relative(words, calendar) { return nanoseconds(range) }
        return written(text.lowercased(), calendar)
    }

    private static func nanoseconds(_ seconds: Range<Int64>) -> Range<Int64>? {
        let (lower, isTooLow) = seconds.lowerBound.multipliedReportingOverflow(by: second)
        let (upper, isTooHigh) = seconds.upperBound.multipliedReportingOverflow(by: second)
        return isTooLow || isTooHigh || lower > upper ? nil : lower..<upper
    }

    /// Days, from one to before another.
    private static func days(_ from: CivilTime, _ to: CivilTime, _ calendar: QueryCalendar) -> Range<Int64>? {
        let (lower, upper) = (calendar.seconds(from), calendar.seconds(to))
        return lower < upper ? lower..<upper : nil
    }

    // MARK: - today, last month, 3 days ago

    private static let weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

    private static func relative(_ words: [String], _ calendar: QueryCalendar) -> Range<Int64>? {
        let now = calendar.civil(calendar.now)
        func day(_ offset: Int) -> Range<Int64>? {
            days(
                CivilTime(now.year, now.month, now.day + offset), CivilTime(now.year, now.month, now.day + offset + 1),
                calendar)
        }
        /// 0 on Mondays.
        let weekday = weekday(now)
        switch (words.first ?? "", words.dropFirst().first, words.count) {
        case ("now", nil, 1): return calendar.now..<(calendar.now + 1)
        case ("today", nil, 1): return day(0)
        case ("yesterday", nil, 1): return day(-1)
        case (let name, nil, 1):
            return weekdays.firstIndex(of: name).flatMap { day(-((weekday - $0 + 7) % 7)) }
        case (let which, let unit?, 2) where which == "this" || which == "last":
            let back = which == "last" ? 1 : 0
            switch unit {
            case "hour":
                let begin = calendar.seconds(
                    CivilTime(now.year, now.month, now.day, now.hour - back))
                return begin..<(begin + 3600)
            case "day": return day(-back)
            case "week":
                let monday = now.day - weekday - 7 * back
                return days(
                    CivilTime(now.year, now.month, monday), CivilTime(now.year, now.month, monday + 7), calendar)
            case "month":
                return days(
                    CivilTime(now.year, now.month - back, 1), CivilTime(now.year, now.month - back + 1, 1), calendar)
            case "year": return days(CivilTime(now.year - back, 1, 1), CivilTime(now.year - back + 1, 1, 1), calendar)
            default:
                // The last Monday is that of last week, on Mondays too.
                guard back == 1, let number = weekdays.firstIndex(of: unit) else { return nil }
                let distance = (weekday - number + 7) % 7
                return day(-(distance == 0 ? 7 : distance))
            }
        case (let count, let unit?, _) where words.count == 2 || words.count == 3 && words[2] == "ago":
            guard count.utf8.count <= 6, let count = Int(count), count >= 0 else { return nil }
            func ago(_ seconds: Int64) -> Range<Int64> {
                let begin = calendar.now - Int64(count) * seconds
                return begin..<(begin + 1)
            }
            switch unit {
            case "second", "seconds": return ago(1)
            case "minute", "minutes", "min": return ago(60)
            case "hour", "hours", "h": return ago(3600)
            case "day", "days": return day(-count)
            case "week", "weeks": return day(-7 * count)
            case "month", "months":
                let month = now.month - count
                // The 31st of a month that has 30 days is its last.
                let last = calendar.civil(calendar.seconds(CivilTime(now.year, month + 1, 1)) - 1).day
                let found = min(now.day, last)
                return days(CivilTime(now.year, month, found), CivilTime(now.year, month, found + 1), calendar)
            case "year", "years":
                guard count < now.year else { return nil }
                let last = calendar.civil(calendar.seconds(CivilTime(now.year - count, now.month + 1, 1)) - 1).day
                let found = min(now.day, last)
                return days(
                    CivilTime(now.year - count, now.month, found), CivilTime(now.year - count, now.month, found + 1),
                    calendar)
            default: return nil
            }
        default: return nil
        }
    }

    /// Of a date, 0 on Mondays: 1 January 1970 was a Thursday.
    private static func weekday(_ date: CivilTime) -> Int {
        let utc = QueryCalendar.utc(now: 0)
        let days = utc.seconds(CivilTime(date.year, date.month, date.day)) / QueryCalendar.day
        return Int(((days + 3) % 7 + 7) % 7)
    }

    // MARK: - 2026, 2026-10, 2026-10-01, 2026-10-01T14:30, 2026-10-01T14:30:15.25+02:00

    private static func written(_ text: String, _ calendar: QueryCalendar) -> Range<Int64>? {
        var rest = Array(text.utf8)[...]
        func digits(_ count: Int) -> Int? {
            guard rest.count >= count else { return nil }
            var number = 0
            for byte in rest.prefix(count) {
                guard byte &- UInt8(ascii: "0") < 10 else { return nil }
                number = number * 10 + Int(byte - UInt8(ascii: "0"))
            }
            rest = rest.dropFirst(count)
            return number
        }
        func take(_ mark: Character) -> Bool {
            guard let byte = mark.asciiValue, rest.first == byte else { return false }
            rest = rest.dropFirst()
            return true
        }
        guard let year = digits(4), (1...9999).contains(year) else { return nil }
        if rest.isEmpty { return whole(CivilTime(year, 1, 1), CivilTime(year + 1, 1, 1), calendar) }
        guard take("-"), let month = digits(2), (1...12).contains(month) else { return nil }
        if rest.isEmpty { return whole(CivilTime(year, month, 1), CivilTime(year, month + 1, 1), calendar) }
        guard take("-"), let day = digits(2), (1...31).contains(day) else { return nil }
        // 30 February is none.
        let utc = QueryCalendar.utc(now: 0)
        guard utc.civil(utc.seconds(CivilTime(year, month, day))).day == day else { return nil }
        if rest.isEmpty { return whole(CivilTime(year, month, day), CivilTime(year, month, day + 1), calendar) }
        guard take("t") || take(" "), let hour = digits(2), hour < 24, take(":"), let minute = digits(2), minute < 60
        else { return nil }
        var (second, fraction, length) = (0, Int64(0), 60 * Self.second)
        if take(":") {
            guard let found = digits(2), found <= 60 else { return nil }
            (second, length) = (found, Self.second)
            if take(".") {
                guard rest.first.map({ $0 &- UInt8(ascii: "0") < 10 }) == true else { return nil }
                var unit = Self.second
                while let digit = digits(1) {
                    unit /= 10
                    fraction += Int64(digit) * unit
                }
                length = max(1, unit)
            }
        }
        let time = CivilTime(year, month, day, hour, minute, second)
        var begin = calendar.seconds(time)
        if take("z") {
            begin = utc.seconds(time)
        } else if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
            rest = rest.dropFirst()
            guard let hours = digits(2), hours < 24, take(":") || rest.count == 2, let minutes = digits(2), minutes < 60
            else { return nil }
            let offset = Int64(hours * 3600 + minutes * 60)
            begin = utc.seconds(time) - (sign == UInt8(ascii: "+") ? offset : -offset)
        }
        guard rest.isEmpty else { return nil }
        let (scaled, isTooMuch) = begin.multipliedReportingOverflow(by: Self.second)
        let (from, overflows) = scaled.addingReportingOverflow(fraction)
        let (to, overflowsToo) = from.addingReportingOverflow(length)
        return isTooMuch || overflows || overflowsToo ? nil : from..<to
    }

    private static func whole(_ from: CivilTime, _ to: CivilTime, _ calendar: QueryCalendar) -> Range<Int64>? {
        days(from, to, calendar).flatMap(nanoseconds)
    }
}
