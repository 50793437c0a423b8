internal import ArtifactRecords

/// An artifact: its record, what happened to it, from what it was made, and what is in it.
public struct ArtifactView: Sendable {
    /// What is in a file.
    public enum ShownContents: Sendable {
        /// A table's first rows, the head among them.
        case table(rows: [[String]], isCut: Bool, columnsLeftOut: Int)
        /// A text's first lines.
        case text(String, isCut: Bool)
        /// An image: where it is.
        case image(String)
        /// Why nothing is shown.
        case none(String)
    }

    private let path: String
    private let versions: FoundTable?
    private let facts: [(name: String, text: String)]
    private let problem: String?
    private let contents: ShownContents
    private let lineage: String?
    private let history: [(time: String, what: String, words: String)]
    private let more: String?

    /// An artifact.
    ///
    /// - Parameters:
    ///   - path: on the mount.
    ///   - facts: its record; further facts of one name have none. `problem` says why there is none.
    ///   - versions: what is and was at its path.
    ///   - lineage: a drawing; nil where there is none.
    ///   - history: what happened, the oldest first; `more` says what is not told.
    public init(
        _ path: String, facts: [(name: String, text: String)], problem: String?, versions: FoundTable?,
        contents: ShownContents, lineage: String?, history: [(time: String, what: String, words: String)], more: String?
    ) {
        (self.path, self.facts, self.problem, self.versions) = (path, facts, problem, versions)
        (self.contents, self.lineage, self.history, self.more) = (contents, lineage, history, more)
    }

    /// The page.
    public var frame: PageFrame {
        var content: Markup = problem.map { FoundView.QueryProblem($0).markup } ?? .none
        switch contents {
        case .image(let source): content += RunView.Image(name: path, source: source).markup
        default: break
        }
        content += record
        if let versions, versions.rows.count > 1 {
            content += "<h2>Versions</h2>" + versions.table(.served, named: "Versions")
        }
        content += first
        if let lineage {
            content += """
                <h2>Lineage</h2><div class="drawing" tabindex="0" role="region" aria-label="Lineage">\(Markup(drawing: lineage))</div>
                """
        }
        if !history.isEmpty {
            content += "<h2>History</h2>"
            content += PlainTable.markup(
                ["time", "what", "more"], history.map { ["\($0.time)", "\($0.what)", "\($0.words)"] }, named: "History")
        }
        if let more { content += "<p class=\"note\">\(more)</p>" }
        return PageFrame(path, in: .artifacts, content)
    }

    private var record: Markup {
        guard !facts.isEmpty else { return .none }
        var list = FactList()
        for fact in facts {
            switch fact.name.trimmingBlanks {
            case "command", "sha256": list.add(fact.name.trimmingBlanks, "<code>\(fact.text)</code>")
            case "run": list.add("run", Self.run(fact.text))
            case let name: list.add(name, text: fact.text)
            }
        }
        return "<h2>Record</h2>\(list.markup)"
    }

    /// A run's id, and more words after a comma.
    private static func run(_ text: String) -> Markup {
        let parts = text.split(separator: ",", maxSplits: 1)
        guard let id = parts.first.map(String.init), !id.contains(" ") else { return "\(text)" }
        let rest = parts.count > 1 ? "," + parts[1] : ""
        return "\(PageLinks.served.run(id))\(rest)"
    }

    private var first: Markup {
        switch contents {
        case .table(let rows, let isCut, let leftOut):
            guard let head = rows.first else { return "<h2>Contents</h2><p class=\"note\">It is empty.</p>" }
            let body: [[Markup]] = rows.dropFirst().map { row in row.map { "\($0)" } }
            var note: Markup = isCut ? "<p class=\"note\">The first \(rows.count - 1) rows.</p>" : .none
            if leftOut > 0 { note += "<p class=\"note\">\(leftOut) more columns are not shown.</p>" }
            return "<h2>Contents</h2>\(note)\(PlainTable.markup(head, body, named: "First rows"))"
        case .text(let text, let isCut):
            let note: Markup = isCut ? "<p class=\"note\">The beginning.</p>" : .none
            return "<h2>Contents</h2>\(note)<pre tabindex=\"0\">\(lines: text)</pre>"
        case .none(let why): return why.isEmpty ? .none : "<h2>Contents</h2><p class=\"note\">\(why)</p>"
        case .image: return .none
        }
    }
}

extension String {
    fileprivate var trimmingBlanks: String { String(drop { $0 == " " }) }
}
