/// A date and a time of day, as people write them.
public struct CivilTime: Sendable, Hashable {
    /// From 1.
    public var (year, month, day): (Int, Int, Int)
    /// From 0.
    public var (hour, minute, second): (Int, Int, Int)

    /// A time; days and months that are too many go on in the next month or year.
    public init(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0, _ second: Int = 0) {
        (self.year, self.month, self.day) = (year, month, day)
        (self.hour, self.minute, self.second) = (hour, minute, second)
    }
}

/// Tells what dates mean: when it is now, and where.
public struct QueryCalendar: Sendable {
    /// In seconds since 1970.
    let now: Int64
    /// The time at a place, of seconds since 1970.
    let civil: @Sendable (Int64) -> CivilTime
    /// The seconds since 1970 of a time there.
    let seconds: @Sendable (CivilTime) -> Int64

    /// A calendar.
    public init(
        now: Int64, civil: @escaping @Sendable (Int64) -> CivilTime, seconds: @escaping @Sendable (CivilTime) -> Int64
    ) {
        (self.now, self.civil, self.seconds) = (now, civil, seconds)
    }

    /// That of UTC.
    public static func utc(now: Int64) -> QueryCalendar {
        QueryCalendar(now: now, civil: { civil($0) }, seconds: { seconds($0) })
    }

    /// In seconds.
    static let day: Int64 = 86_400

    /// Counted from March, so that the day which some years have more is the last (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    private static func civil(_ seconds: Int64) -> CivilTime {
        let (days, rest) = (floored(seconds, day), seconds &- floored(seconds, day) &* day)
        let z = days + 719_468
        let era = floored(z, 146_097)
        let dayOfEra = z - era * 146_097
        let year = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * year + year / 4 - year / 100)
        let month = (5 * dayOfYear + 2) / 153
        let shown = month < 10 ? month + 3 : month - 9
        return CivilTime(
            Int(year + era * 400 + (shown <= 2 ? 1 : 0)), Int(shown), Int(dayOfYear - (153 * month + 2) / 5 + 1),
            Int(rest / 3600), Int(rest / 60 % 60), Int(rest % 60))
    }

    private static func seconds(_ time: CivilTime) -> Int64 {
        let months = Int64(time.year) * 12 + Int64(time.month) - 1
        let (fullYear, month) = (floored(months, 12), months - floored(months, 12) * 12 + 1)
        let year = month <= 2 ? fullYear - 1 : fullYear
        let era = floored(year, 400)
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + Int64(time.day) - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return days * day + Int64(time.hour) * 3600 + Int64(time.minute) * 60 + Int64(time.second)
    }

    private static func floored(_ number: Int64, _ divisor: Int64) -> Int64 {
        number / divisor - (number % divisor < 0 ? 1 : 0)
    }
}
