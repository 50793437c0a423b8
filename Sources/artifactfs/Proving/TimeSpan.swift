/// Spans of time as people write them: `30d`, `10m`, `90s`, `2h`, `1w`.
enum TimeSpan {
    /// In seconds; nil of what is none.
    static func seconds(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        guard let last = text.last, let unit = units[last], let number = Int64(text.dropLast()), number >= 0 else {
            return nil
        }
        let (seconds, isTooMuch) = number.multipliedReportingOverflow(by: unit)
        return isTooMuch || seconds > 1 << 40 ? nil : seconds
    }
}
