public import Artifacts
internal import Queries

/// Production at a glance: a row a type, a column a chromosome.
public struct InventoryView: Sendable {
    private let inventory: Inventory
    private let sums: [(name: String, value: String)]

    /// More chromosomes are told of by their number.
    private static let mostColumns = 100

    /// Production.
    ///
    /// - Parameter sums: how much there is, for people.
    public init(_ inventory: Inventory, sums: [(name: String, value: String)]) {
        (self.inventory, self.sums) = (inventory, sums)
    }

    /// The page.
    public var frame: PageFrame { PageFrame("Inventory", in: .inventory, content(.served)) }

    func content(_ links: PageLinks) -> Markup {
        let numbers: [Markup] = sums.map { "<li><b>\($0.value)</b>\($0.name)</li>" }
        var content: Markup = "<ul class=\"sums\">\(numbers)</ul>"
        for layer in Layer.allCases {
            let rows = inventory.rows.filter { $0.layer == layer }
            guard !rows.isEmpty else { continue }
            let title: Markup = "\(Mode.production.rawValue)/\(layer.rawValue)"
            if case .served = links { content += "<h2>\(title)</h2>" } else { content += "<h3>\(title)</h3>" }
            let grid = rows.filter { $0.type.naming == .chromosome && !($0.cells.isEmpty && $0.expected.isEmpty) }
            let columns = Set(grid.flatMap { Array($0.cells.keys) + $0.expected }).sorted(
                by: ChromosomeNames.areInOrder)
            let isGrid = !grid.isEmpty && columns.count <= Self.mostColumns
            if isGrid { content += table(grid, columns, links) }
            let others = rows.filter { !isGrid || !grid.contains($0) || $0.whole != nil }
            guard !others.isEmpty else { continue }
            content += PlainTable.markup(
                ["type", "what there is"],
                others.map { row in
                    [
                        links.artifacts(PageLinks.test(.type, row.type.name), "\(row.type.name)"),
                        Self.words(row, countsChromosomes: !isGrid),
                    ]
                }, named: "Types of \(layer.rawValue)", sorts: false)
        }
        return content
    }

    private func table(_ rows: [Inventory.OfType], _ columns: [String], _ links: PageLinks) -> Markup {
        let isPrefixed = columns.allSatisfy { $0.utf8.starts(with: "chr".utf8) }
        let heads: [Markup] = columns.map { name in
            "<th scope=\"col\" class=\"cell\">\(isPrefixed ? String(name.dropFirst(3)) : name)</th>"
        }
        let body: [Markup] = rows.map { row in
            let cells: [Markup] = columns.map { Self.cell(row.cell(of: $0), row, $0, links) }
            let name = links.artifacts(PageLinks.test(.type, row.type.name), "\(row.type.name)")
            return "<tr><th scope=\"row\">\(name)</th>\(cells)</tr>"
        }
        return """
            <div class="wide" tabindex="0" role="region" aria-label="Types by chromosomes"><table class="grid"><thead><tr>
            <th scope="col">\(isPrefixed ? "chr" : "")</th>\(heads)</tr></thead><tbody>\(body)</tbody></table></div>
            <p class="note"><span class="there">+</span> there, <span class="missing">-</span> missing,
            <span class="writing">w</span> being written, <span class="kept">k</span> kept back</p>

            """
    }

    private static func cell(
        _ cell: Inventory.Cell?, _ row: Inventory.OfType, _ chromosome: String, _ links: PageLinks
    ) -> Markup {
        let title = "\(row.type.name) \(chromosome): "
        switch cell {
        case nil: return "<td class=\"cell\"></td>"
        case .there?:
            let query = "\(PageLinks.test(.type, row.type.name)) and \(PageLinks.test(.key, chromosome))"
            return "<td class=\"cell there\" title=\"\(title)there\">\(links.artifacts(query, "+"))</td>"
        case .missing?: return "<td class=\"cell missing\" title=\"\(title)missing\">-</td>"
        case .beingWritten?: return "<td class=\"cell writing\" title=\"\(title)being written\">w</td>"
        case .keptBack?:
            let link: Markup
            if case .served = links { link = "<a href=\"/kept\">k</a>" } else { link = "k" }
            return "<td class=\"cell kept\" title=\"\(title)kept back\">\(link)</td>"
        }
    }

    private static func words(_ row: Inventory.OfType, countsChromosomes: Bool) -> Markup {
        "\(row.words(countsChromosomes: countsChromosomes))"
    }
}
