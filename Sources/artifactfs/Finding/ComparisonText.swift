import ArtifactRecords
import Catalog
import Glibc

/// Runs side by side, for people and for documents.
enum ComparisonText {
    /// A cell is not wider than that on a terminal, where others need the room.
    private static let widest = 40

    static func text(_ comparison: RunComparison, _ form: ComparedForm?) -> String {
        if form == .json { return json(comparison).description + "\n" }
        if form == nil, isatty(1) == 0 { return table(comparison) }
        let labels = comparison.lines.map { $0.key.label }
        let cells = comparison.lines.map { line -> [String] in
            if form == .csv { return line.values.map(\.text) }
            var cells = [String](repeating: shown(.unknown, line.key), count: comparison.runs.count)
            for one in line.shown { cells[one.run] = one.text }
            return cells
        }
        let heads = [""] + comparison.runs
        let rows = zip(labels, cells).map { [$0] + $1 }
        guard form == nil, isatty(1) != 0 else { return text(heads, rows, form ?? nil, numbers: false) }
        let width = Terminal.columns
        if Self.width(heads, rows) <= width { return lines(heads, rows, width) }
        // Turned: a line a run, as many things side by side as there is room for.
        var text = ""
        var next = 0
        while next < labels.count {
            var end = next + 1
            func part(_ end: Int) -> (heads: [String], rows: [[String]]) {
                (
                    ["run"] + labels[next..<end],
                    comparison.runs.enumerated().map { place, run in [run] + (next..<end).map { cells[$0][place] } }
                )
            }
            while end < labels.count {
                let (heads, rows) = part(end + 1)
                guard Self.width(heads, rows) <= width else { break }
                end += 1
            }
            let (heads, rows) = part(end)
            text += (text.isEmpty ? "" : "\n") + lines(heads, rows, width)
            next = end
        }
        return text
    }

    /// For programs, with tabs: of thousands of runs and artifacts most cells say that nothing is there.
    private static func table(_ comparison: RunComparison) -> String {
        var text: [UInt8] = []
        func add(_ cell: String) {
            text.append(UInt8(ascii: "\t"))
            text += Terminal.printable(cell).utf8
        }
        for run in comparison.runs { add(run) }
        text.append(UInt8(ascii: "\n"))
        for line in comparison.lines {
            text += Terminal.printable(line.key.label).utf8
            let nothing = Array(("\t" + shown(.unknown, line.key)).utf8)
            var next = 0
            for one in line.shown {
                for _ in next..<one.run { text += nothing }
                add(one.text)
                next = one.run + 1
            }
            for _ in next..<comparison.runs.count { text += nothing }
            text.append(UInt8(ascii: "\n"))
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// A table; in a pipe with tabs.
    static func text(_ heads: [String], _ rows: [[String]], _ form: ComparedForm?, numbers: Bool) -> String {
        let table = TableText(heads: heads, rows: rows)
        switch form {
        case .csv: return table.csv
        case .md: return table.markdown
        case .latex: return table.latex
        case .json:
            return JSONValue.array(
                rows.map { row in
                    var object = JSONObject()
                    for (head, cell) in zip(heads, row) { object[head] = .string(cell) }
                    return .object(object)
                }
            ).description + "\n"
        case nil:
            guard isatty(1) != 0 else {
                return ([heads] + rows).map { $0.map(Terminal.printable).joined(separator: "\t") + "\n" }.joined()
            }
            return lines(heads, rows, Terminal.columns)
        }
    }

    private static func lines(_ heads: [String], _ rows: [[String]], _ width: Int) -> String {
        let shown = rows.map { $0.map(Terminal.printable) }
        let table = TextTable(heads: heads.map(Terminal.printable), areNumbers: heads.map { _ in false })
        return table.lines(shown, keepsEnds: heads.indices.map { $0 == 0 }, width: width).map { line in
            var line = line
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }

    private static func width(_ heads: [String], _ rows: [[String]]) -> Int {
        let widths = heads.indices.map { place in
            max(
                heads[place].unicodeScalars.count,
                min(widest, rows.map { $0[place].unicodeScalars.count }.max() ?? 0))
        }
        return widths.reduce(0, +) + 2 * (widths.count - 1)
    }

    /// What a run has not is told from what nobody knows of it.
    private static func shown(_ value: CatalogValue, _ key: RunFacts.Key) -> String {
        let mayLack = [.parameter, .metric, .input, .artifact, .environment].contains(key.section)
        return value == .unknown && mayLack ? "-" : shown(value)
    }

    static func shown(_ value: CatalogValue) -> String { value.shown() ?? "?" }

    static func json(_ comparison: RunComparison) -> JSONValue {
        let lines = comparison.lines.map { line in
            JSONValue.object([
                "what": .string("\(line.key.section)"), "name": .string(line.key.name), "alike": .bool(line.isAlike),
                "values": .array(line.values.map { $0.json ?? .null }),
            ])
        }
        return .object(["runs": .array(comparison.runs.map { .string($0) }), "lines": .array(lines)])
    }
}
