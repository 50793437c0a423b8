internal import Queries

/// A page that needs no other: what was found, for a paper's supplement.
public struct ReportView: Sendable {
    /// What it is of, for people.
    public var title = "Report"
    /// Facts of the report itself.
    public var facts: [(name: String, value: String)] = []
    /// Production; nil where it is not asked for.
    public var inventory: InventoryView?
    /// The runs; nil for none.
    public var runs: FoundTable?
    /// The runs side by side; nil where there are not two, or too many.
    public var comparison: ComparisonView?
    /// Each run; further runs are in the table only.
    public var details: [(run: String, view: RunView)] = []
    /// The artifacts.
    public var artifacts: FoundTable?
    /// How many of each there are that are not told.
    public var (runsLeftOut, artifactsLeftOut) = (0, 0)
    /// How many runs are in the table only.
    public var detailsLeftOut = 0
    /// Why the runs do not stand side by side; nil where they do.
    public var comparisonNote: String?
    /// The commands that tell all of them; empty for none.
    public var (runsCommand, artifactsCommand) = ("", "")

    /// An empty one.
    public init() {}

    /// The whole file.
    public func html(date: String) -> String {
        let links = PageLinks.alone(runs: Set(details.map(\.run)))
        var list = FactList()
        for fact in facts { list.add(fact.name, text: fact.value) }
        var content = list.markup
        if let inventory { content += "<h2>Inventory</h2>" + inventory.content(links) }
        if let runs, !runs.rows.isEmpty {
            content += "<h2>Runs</h2>" + runs.table(links, named: "Runs")
            content += """
                <p class="note">Parameters and metrics that most of these runs have are columns; each run below has all of its own.</p>
                """
            content += Self.rest(runsLeftOut, runsCommand)
        }
        if let comparison { content += "<h2>What differs</h2>" + comparison.content(links) }
        if let comparisonNote { content += "<h2>What differs</h2><p class=\"note\">\(comparisonNote)</p>" }
        if !details.isEmpty { content += "<h2>Each run</h2>" }
        for detail in details { content += detail.view.section(links) }
        if !details.isEmpty, detailsLeftOut > 0 {
            content += "<p class=\"note\">\(detailsLeftOut) more runs are in the table above only.</p>"
        }
        if let artifacts, !artifacts.rows.isEmpty {
            content += "<h2>Artifacts</h2>" + artifacts.table(links, named: "Artifacts")
            content += Self.rest(artifactsLeftOut, artifactsCommand)
        }
        return PageFrame(title, in: nil, content).alone(date: date)
    }

    private static func rest(_ count: Int, _ command: String) -> Markup {
        guard count > 0 else { return .none }
        guard !command.isEmpty else { return "<p class=\"note\">and \(count) more, which are not told here</p>" }
        return "<p class=\"note\">and \(count) more, which <code>\(command)</code> lists</p>"
    }
}
