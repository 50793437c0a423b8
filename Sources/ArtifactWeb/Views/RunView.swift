internal import ArtifactRecords
public import Catalog
internal import Queries

/// A run: what was run, what it was given, what it measured and made.
public struct RunView: Sendable {
    /// An image that a run has made beside its artifacts.
    public struct Image: Sendable {
        let name: String
        let source: String

        /// An image.
        ///
        /// - Parameter source: where it is: the target of a request, or a URL with its bytes.
        public init(name: String, source: String) { (self.name, self.source) = (name, source) }

        var markup: Markup {
            let image: Markup = "<img src=\"\(source)\" alt=\"\(name)\">"
            // One that has its bytes in it leads nowhere.
            let shown: Markup = source.hasPrefix("/") ? "<a href=\"\(source)\">\(image)</a>" : image
            return "<figure>\(shown)<figcaption>\(name)</figcaption></figure>"
        }
    }

    private let facts: RunFacts
    private let drawings: [Markup]
    private let images: [Image]
    private let log: String?
    private let notes: [String]

    /// A run.
    ///
    /// - Parameters:
    ///   - facts: what is known of it.
    ///   - plots: its metrics that have more than one value.
    ///   - log: the end of what it has said; nil where that is not known.
    ///   - notes: what is not shown of it.
    public init(_ facts: RunFacts, plots: [MetricPlot], images: [Image], log: String?, notes: [String] = []) {
        (self.facts, self.images, self.log, self.notes) = (facts, images, log, notes)
        drawings = plots.map { "<figure>\(Markup(drawing: $0.svg(isOnPage: true)))</figure>" }
    }

    /// The page.
    public var frame: PageFrame { PageFrame("Run \(facts.run)", in: .runs, content(.served)) }

    /// A part of a page with other runs.
    func section(_ links: PageLinks) -> Markup {
        "<section id=\"\(PageLinks.anchor(ofRun: facts.run))\"><h3>\(facts.run)</h3>\(content(links))</section>"
    }

    private func values(_ section: RunFacts.Section) -> [(name: String, value: CatalogValue)] {
        facts.values.filter { $0.key.section == section }.sorted { $0.key < $1.key }.map { ($0.key.name, $0.value) }
    }

    private func content(_ links: PageLinks) -> Markup {
        var list = FactList()
        let order = ["experiment", "command", "state", "status", "signal", "user", "host"]
        for name in order {
            guard let value = facts.values[.init(.run, name)] else { continue }
            list.add(name, name == "command" ? "<code>\(value.text)</code>" : "\(value.shown() ?? "")")
        }
        for (name, value) in values(.time) where !name.hasPrefix("ARTIFACTFS_") {
            list.add(name, text: value.shown())
        }
        for (name, value) in values(.code) { list.add(name, "<code>\(value.text)</code>") }
        var content = list.markup
        content += table("Parameters", values(.parameter), links)
        let metrics = values(.metric)
        if !metrics.isEmpty || !drawings.isEmpty {
            content += links.heading("Metrics")
            if !drawings.isEmpty { content += "<div class=\"plots\">\(drawings)</div>" }
            content += rows(metrics, "Metrics")
        }
        for note in notes { content += "<p class=\"note\">\(note)</p>" }
        if !images.isEmpty { content += "\(links.heading("Plots"))<div class=\"plots\">\(images.map(\.markup))</div>" }
        content += paths("Made", values(.artifact), links)
        if case .served = links, !values(.artifact).isEmpty {
            let query = PageLinks.test(.run, facts.run) + " state is known"
            content += "<p>\(links.artifacts(query, "All that it made, as a table"))</p>"
        }
        content += paths("Inputs", values(.input), links)
        content += table("Environment", values(.environment), links)
        if let log {
            content += "\(links.heading("The end of what it said"))<pre tabindex=\"0\">\(lines: log)</pre>"
        }
        return content
    }

    private func table(
        _ title: String, _ values: [(name: String, value: CatalogValue)], _ links: PageLinks
    ) -> Markup {
        values.isEmpty ? .none : links.heading(title) + rows(values, title, isExact: true)
    }

    private func rows(
        _ values: [(name: String, value: CatalogValue)], _ title: String, isExact: Bool = false
    ) -> Markup {
        guard !values.isEmpty else { return .none }
        return PlainTable.markup(
            ["name", "value"],
            values.map { ["\($0.name)", "\($0.value.shown(as: isExact ? Field(.param, $0.name) : nil) ?? "")"] },
            named: title)
    }

    private func paths(
        _ title: String, _ values: [(name: String, value: CatalogValue)], _ links: PageLinks
    ) -> Markup {
        guard !values.isEmpty else { return .none }
        let rows: [[Markup]] = values.prefix(Self.mostPaths).map { [links.artifact($0.name), "\($0.value.text)"] }
        let rest: Markup =
            values.count > Self.mostPaths ? "<p class=\"note\">and \(values.count - Self.mostPaths) more</p>" : .none
        return links.heading(title) + PlainTable.markup(["path", "what is known"], rows, named: title) + rest
    }

    private static let mostPaths = 500
}
