/// A table that fits a terminal.
struct TextTable {
    let heads: [String]
    /// Which columns stand on the right.
    let areNumbers: [Bool]

    /// Between columns.
    private static let gap = "  "
    /// A column is not made narrower than that.
    private static let least = 8

    /// The lines, each at most as wide as the terminal, if that is possible at all. What is cut ends with `…`, or begins with it where the end says more.
    ///
    /// - Parameters:
    ///   - rows: without anything that moves the cursor.
    ///   - keepsEnds: whether a column's end says more than its beginning, as a path's does.
    func lines(_ rows: [[String]], keepsEnds: [Bool], width: Int) -> [String] {
        var widths = heads.map(\.unicodeScalars.count)
        for row in rows {
            for (place, cell) in row.enumerated() { widths[place] = max(widths[place], cell.unicodeScalars.count) }
        }
        var all = widths.reduce(0, +) + Self.gap.utf8.count * (widths.count - 1)
        // The widest gives way.
        while all > width, let widest = widths.indices.filter({ !areNumbers[$0] }).max(by: { widths[$0] < widths[$1] }),
            widths[widest] > Self.least
        {
            widths[widest] -= 1
            all -= 1
        }
        return ([heads] + rows).map { row in
            let cells = row.enumerated().map { place, cell in
                let isLast = place == row.count - 1
                return Self.fitted(
                    cell, widths[place], onTheRight: areNumbers[place], keepsEnd: keepsEnds[place], isLast: isLast)
            }
            return cells.joined(separator: Self.gap)
        }
    }

    private static func fitted(
        _ cell: String, _ width: Int, onTheRight: Bool, keepsEnd: Bool, isLast: Bool
    ) -> String {
        let scalars = cell.unicodeScalars
        guard scalars.count > width else {
            let blanks = String(repeating: " ", count: width - scalars.count)
            return onTheRight ? blanks + cell : isLast ? cell : cell + blanks
        }
        let kept = max(0, width - 1)
        return keepsEnd ? "…" + String(scalars.suffix(kept)) : String(scalars.prefix(kept)) + "…"
    }
}
