/// Moments as people write them.
public enum MomentText {
    /// What a date means as a moment, in nanoseconds since 1970: the end of a day, a month, a minute; nil when it is no date.
    public static func moment(_ text: String, _ calendar: QueryCalendar) -> Int64? {
        DateText.parse(text, calendar).map { $0.upperBound - 1 }
    }
}
