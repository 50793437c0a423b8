/// Names and what is known by them.
struct FactList {
    private var items: Markup = .none
    private(set) var isEmpty = true

    /// Adds a fact; nothing of what is nil.
    mutating func add(_ name: String, _ value: Markup?) {
        guard let value, !value.html.isEmpty else { return }
        items += "<dt>\(name)</dt><dd>\(value)</dd>"
        isEmpty = false
    }

    /// Adds a text.
    mutating func add(_ name: String, text: String?) { add(name, text.map { "\($0)" }) }

    var markup: Markup { isEmpty ? .none : "<dl class=\"facts\">\(items)</dl>" }
}

/// Tables of texts.
enum PlainTable {
    /// - Parameter sorts: whether the page's script sorts and filters it.
    static func markup(_ heads: [String], _ rows: [[Markup]], named name: String, sorts: Bool = true) -> Markup {
        let head: [Markup] = heads.map { "<th scope=\"col\">\($0)</th>" }
        let body: [Markup] = rows.map { row in
            let cells: [Markup] = row.enumerated().map { place, cell in
                place == 0 ? "<th scope=\"row\" class=\"path\">\(cell)</th>" : "<td class=\"text\">\(cell)</td>"
            }
            return "<tr>\(cells)</tr>"
        }
        let mark: Markup = sorts ? " data-sorts" : .none
        return """
            <div class="wide" tabindex="0" role="region" aria-label="\(name)"><table\(mark)><thead><tr>\(head)</tr></thead>
            <tbody>\(body)</tbody></table></div>

            """
    }
}
