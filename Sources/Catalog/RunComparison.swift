internal import ArtifactRecords

/// Runs side by side: what is known of each, or only what differs.
public struct RunComparison: Sendable {
    /// A thing that is known of one of them at least. Of a thousand runs most of what they made is known of one each.
    public struct ComparedLine: Sendable {
        public let key: RunFacts.Key
        /// What is known, by the places of the runs, in their order.
        public fileprivate(set) var known: [(run: Int, value: CatalogValue)] = []
        /// How many runs there are.
        fileprivate let count: Int

        fileprivate init(_ key: RunFacts.Key, of count: Int) { (self.key, self.count) = (key, count) }

        /// Of each run, in their order; unknown where it is not known.
        public var values: [CatalogValue] {
            var values = [CatalogValue](repeating: .unknown, count: count)
            for one in known { values[one.run] = one.value }
            return values
        }

        /// Whether numbers that differ would look the same, or every digit counts.
        private var needsAllDigits: Bool {
            guard key.section != .parameter else { return true }
            var seen: [String: CatalogValue] = [:]
            for case .number(let number) in known.map(\.value) {
                let value = CatalogValue.number(number)
                if seen.updateValue(value, forKey: ShownText.number(number)) ?? value != value { return true }
            }
            return false
        }

        /// Texts for people, of each run that it is known of, in their order: two values that differ are told apart.
        public var shown: [(run: Int, text: String)] {
            let areExact = needsAllDigits
            return known.map { one in
                if areExact, case .number = one.value { return (one.run, one.value.text) }
                return (one.run, one.value.shown() ?? "")
            }
        }

        /// Whether it is the same of all, as far as that is known.
        public var isAlike: Bool {
            known.count == count && known.dropFirst().allSatisfy { $0.value == known[0].value }
        }
    }

    /// The runs' ids.
    public let runs: [String]
    /// In the order of their sections and names.
    public let lines: [ComparedLine]

    /// Compares runs.
    ///
    /// - Parameter all: whether what is the same of all is told too, and what is another thing of any two runs: times and sessions.
    public init(_ facts: [RunFacts], all: Bool) {
        runs = facts.map(\.run)
        var lines: [RunFacts.Key: ComparedLine] = [:]
        for (place, run) in facts.enumerated() {
            for (key, value) in run.values {
                lines[key, default: ComparedLine(key, of: facts.count)].known.append((place, value))
            }
        }
        let whole = lines.values.sorted { $0.key < $1.key }
        self.lines = all ? whole : whole.filter { !$0.isAlike && $0.key.section != .time }
    }
}

/// Runs by what they were given, in rows and columns.
public struct RunPivot: Sendable {
    /// The values of the first key.
    public let rows: [CatalogValue]
    /// The values of the second key; one that is unknown where there is none.
    public let columns: [CatalogValue]
    /// What was measured, of each row and column: nothing where no run was there.
    public let cells: [[[Double]]]

    /// Puts runs into rows and columns.
    ///
    /// - Parameters:
    ///   - row: what the rows are.
    ///   - column: what the columns are; nil for one.
    ///   - cell: what is measured.
    public init(_ facts: [RunFacts], row: RunFacts.Key, column: RunFacts.Key?, cell: RunFacts.Key) {
        func value(_ key: RunFacts.Key?, _ run: RunFacts) -> CatalogValue { key.flatMap { run.values[$0] } ?? .unknown }
        let rows = Self.sorted(facts.map { value(row, $0) })
        let columns = Self.sorted(facts.map { value(column, $0) })
        var cells = Array(repeating: Array(repeating: [Double](), count: columns.count), count: rows.count)
        for run in facts {
            guard let place = rows.firstIndex(of: value(row, run)),
                let other = columns.firstIndex(of: value(column, run))
            else { continue }
            switch run.values[cell] {
            case .number(let number)?: cells[place][other].append(number)
            case .integer(let number)?: cells[place][other].append(Double(number))
            default: break
            }
        }
        (self.rows, self.columns, self.cells) = (rows, columns, cells)
    }

    /// Each once: numbers by their size, then texts, then what is not known.
    private static func sorted(_ values: [CatalogValue]) -> [CatalogValue] {
        func rank(_ value: CatalogValue) -> (Int, Double, String) {
            switch value {
            case .integer(let number): (0, Double(number), "")
            case .number(let number): (0, number, "")
            case .unknown: (2, 0, "")
            default: (1, 0, value.text)
            }
        }
        return Set(values).sorted { rank($0) < rank($1) }
    }
}
