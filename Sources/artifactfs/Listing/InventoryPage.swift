import Artifacts

/// Production on a terminal.
struct InventoryPage {
    let lines: [String]

    /// More chromosomes are told of by their number.
    private static let mostColumns = 100

    init(_ inventory: Inventory, _ rows: [Inventory.OfType], width: Int) {
        var lines: [String] = []
        let label = 2 + (rows.map(\.type.name.utf8.count).max() ?? 0)
        var hasGrid = false
        for layer in Layer.allCases {
            let here = rows.filter { $0.layer == layer }
            guard !here.isEmpty else { continue }
            if !lines.isEmpty { lines.append("") }
            lines.append("\(Mode.production.rawValue)/\(layer.rawValue)")
            let grid = here.filter { $0.type.naming == .chromosome && !($0.cells.isEmpty && $0.expected.isEmpty) }
            let columns = Set(grid.flatMap { Array($0.cells.keys) + $0.expected }).sorted(
                by: ChromosomeNames.areInOrder)
            let isGrid = !grid.isEmpty && columns.count <= Self.mostColumns
            if isGrid {
                hasGrid = true
                lines += Self.grid(grid, columns, label, width)
            }
            for row in here where !isGrid || !grid.contains(row) || row.whole != nil {
                let words = row.words(countsChromosomes: !isGrid)
                lines.append(Self.padded("  " + row.type.name, label + 2) + words)
            }
        }
        if hasGrid { lines += ["", "+ there   - missing   w being written   k kept back"] }
        self.lines = lines
    }

    private static func grid(_ rows: [Inventory.OfType], _ columns: [String], _ label: Int, _ width: Int) -> [String] {
        let isPrefixed = columns.allSatisfy { $0.utf8.starts(with: "chr".utf8) }
        let heads = columns.map { Terminal.printable(isPrefixed ? String($0.dropFirst(3)) : $0) }
        let widest = 1 + (heads.map(\.unicodeScalars.count).max() ?? 1)
        let most = max(1, (width - label - 2) / widest)
        var lines: [String] = []
        for begin in stride(from: 0, to: columns.count, by: most) {
            let part = begin..<min(columns.count, begin + most)
            let title = isPrefixed && begin == 0 ? "  chr" : "  "
            lines.append(padded(title, label + 2) + part.map { padded(heads[$0], widest) }.joined())
            for row in rows {
                let cells = part.map { padded(sign(row.cell(of: columns[$0])), widest) }.joined()
                lines.append(padded("  " + row.type.name, label + 2) + cells)
            }
        }
        return lines.map { line in
            var line = line
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    private static func sign(_ cell: Inventory.Cell?) -> String {
        switch cell {
        case .there?: "+"
        case .beingWritten?: "w"
        case .keptBack?: "k"
        case .missing?: "-"
        case nil: ""
        }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.unicodeScalars.count))
    }
}
