/// Spans of time as people write them: `30d`, `10m`, `90s`, `2h`, `1w`.
public enum TimeSpan {
    private static let units: [(name: Character, seconds: Int64)] = [
        ("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1),
    ]

    /// In seconds; nil of what is none.
    public static func seconds(_ text: String) -> Int64? {
        guard let last = text.last, let unit = units.first(where: { $0.name == last }),
            let number = Int64(text.dropLast()), number >= 0
        else { return nil }
        let (seconds, isTooMuch) = number.multipliedReportingOverflow(by: unit.seconds)
        return isTooMuch || seconds > 1 << 40 ? nil : seconds
    }

    /// A span as a text that means it.
    public static func text(ofSeconds seconds: Int64) -> String {
        // Days stay days: nobody says 12w5d.
        let unit = units.dropFirst().first { seconds.isMultiple(of: $0.seconds) } ?? ("s", 1)
        return "\(seconds / unit.seconds)\(unit.name)"
    }
}
