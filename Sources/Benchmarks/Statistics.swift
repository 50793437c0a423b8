/// Several rounds' values as one: the middle and the ends.
struct Spread: Sendable {
    let median: Double
    let least: Double
    let most: Double

    /// Nil when there is nothing to sum up.
    init?(_ values: [Double]) {
        let sorted = values.sorted()
        guard let least = sorted.first, let most = sorted.last else { return nil }
        self.least = least
        self.most = most
        let middle = sorted.count / 2
        median = sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

/// Numbers for people.
enum Format {
    /// With `digits` digits after the point.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "-" }
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let units = Int((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && units > 0 ? "-" : ""
        if digits == 0 { return sign + "\(units)" }
        let fraction = "\(units % scale)"
        return sign + "\(units / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    /// Three digits that count, at most two after the point.
    static func ratio(_ value: Double) -> String {
        value >= 100
            ? fixed(value, 0) : value >= 10 ? fixed(value, 1) : value >= 0.1 ? fixed(value, 2) : fixed(value, 3)
    }

    /// Thousands apart.
    static func grouped(_ value: Double) -> String {
        let digits = Array(fixed(value, 0))
        var result = ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index) % 3 == 0 { result += "," }
            result.append(digit)
        }
        return result
    }

    static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
