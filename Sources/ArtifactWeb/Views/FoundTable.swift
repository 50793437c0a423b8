internal import ArtifactRecords
public import Catalog
public import Queries

/// What was found, a row each.
public struct FoundTable: Sendable {
    /// What is told of each.
    public let columns: [Field]
    /// The values, in the order of the columns.
    public let rows: [[CatalogValue]]

    /// A table.
    public init(columns: [Field], rows: [[CatalogValue]]) { (self.columns, self.rows) = (columns, rows) }

    /// As a table whose rows stand in the order that was asked for.
    ///
    /// - Parameters:
    ///   - sorting: where a column's head leads to, and how it is sorted by now; nil where the page itself sorts.
    ///   - choice: the name of the field that says which runs are chosen; nil for none.
    func table(
        _ links: PageLinks, named name: String, sorting: ((Field) -> (target: PageTarget, isDescending: Bool?))? = nil,
        choice: String? = nil
    ) -> Markup {
        let heads: [Markup] = columns.map { field in
            let kind: Markup = Self.isNumber(field) ? " class=\"number\"" : ""
            guard let sorting else { return "<th scope=\"col\"\(kind)>\(field.text)</th>" }
            let (target, isDescending) = sorting(field)
            let order: Markup =
                isDescending.map { $0 ? " aria-sort=\"descending\"" : " aria-sort=\"ascending\"" } ?? .none
            return "<th scope=\"col\"\(kind)\(order)><a class=\"sort\" href=\"\(target.text)\">\(field.text)</a></th>"
        }
        let ownRun = choice == nil ? nil : columns.firstIndex { $0.name == .run }
        let body: [Markup] = rows.map { row in
            let cells: [Markup] = zip(columns, row).enumerated().map { place, cell in
                let (field, value) = cell
                let shown = Self.cell(value, field, links)
                if place == 0 {
                    let kind: Markup = field.name == .path ? " class=\"path\"" : ""
                    return "<th scope=\"row\"\(kind)\(Self.plain(value))>\(shown)</th>"
                }
                return "<td class=\"\(Self.isNumber(field) ? "number" : "text")\"\(Self.plain(value))>\(shown)</td>"
            }
            guard let choice, let ownRun else { return "<tr>\(cells)</tr>" }
            let id = row[ownRun].text
            return """
                <tr><td><input type="checkbox" name="\(choice)" value="\(id)" aria-label="Compare \(id)"></td>\(cells)</tr>
                """
        }
        let first: Markup = choice == nil ? .none : "<td></td>"
        let sorts: Markup = sorting == nil ? " data-sorts" : .none
        return """
            <div class="wide" tabindex="0" role="region" aria-label="\(name)"><table\(sorts)><thead><tr>\(first)\(heads)</tr></thead>
            <tbody>\(body)</tbody></table></div>

            """
    }

    private static func isNumber(_ field: Field) -> Bool { [.number, .size].contains(field.kind) }

    /// What the page's own script sorts by, where that is not what is shown.
    private static func plain(_ value: CatalogValue) -> Markup {
        switch value {
        case .integer(let number): " data-value=\"\("\(number)")\""
        case .number(let number): " data-value=\"\("\(number)")\""
        case .time(let time): " data-value=\"\("\(time)")\""
        default: .none
        }
    }

    private static func cell(_ value: CatalogValue, _ field: Field, _ links: PageLinks) -> Markup {
        guard let shown = value.shown(as: field) else { return "" }
        switch (field.name, value) {
        case (.path, _): return links.artifact(value.text)
        case (.run, _): return links.run(value.text)
        case (.sha256, _), (.commit, _):
            if case .alone = links { return "<code>\(value.text)</code>" }
            return "<code title=\"\(value.text)\">\(shown)</code>"
        case (.command, _): return "<code>\(shown.count > 300 ? String(shown.prefix(299)) + "…" : shown)</code>"
        case (.size, .integer(let size)): return "<span title=\"\("\(size)") bytes\">\(shown)</span>"
        default: return "\(shown.count > 300 ? String(shown.prefix(299)) + "…" : shown)"
        }
    }
}
