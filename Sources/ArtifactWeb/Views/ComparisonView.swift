public import Catalog

/// Runs side by side.
public struct ComparisonView: Sendable {
    private let comparison: RunComparison
    private let drawings: [Markup]
    private let target: PageTarget

    /// Runs side by side.
    ///
    /// - Parameters:
    ///   - plots: metrics that several of them have.
    ///   - target: what was asked for; `all` shows also what is the same.
    public init(_ comparison: RunComparison, plots: [MetricPlot], _ target: PageTarget) {
        (self.comparison, self.target) = (comparison, target)
        drawings = plots.map { "<figure>\(Markup(drawing: $0.svg(isOnPage: true)))</figure>" }
    }

    /// The page.
    public var frame: PageFrame {
        let isAll = target["all"] != nil
        let other: Markup =
            isAll
            ? "<a href=\"\(target.with("all", nil).text)\">Only what differs</a>"
            : "<a href=\"\(target.with("all", "yes").text)\">Also what is the same</a>"
        return PageFrame("Comparison of \(comparison.runs.count) runs", in: .runs, "<p>\(other)</p>" + content(.served))
    }

    func content(_ links: PageLinks) -> Markup {
        var content: Markup = drawings.isEmpty ? .none : "<div class=\"plots\">\(drawings)</div>"
        guard !comparison.lines.isEmpty else {
            return content + "<p class=\"note\">Nothing else differs, as far as is known.</p>"
        }
        let heads: [Markup] = comparison.runs.map { "<th scope=\"col\">\(links.run($0))</th>" }
        let body: [Markup] = comparison.lines.prefix(mostLines).map { line in
            var texts = [String](repeating: "-", count: comparison.runs.count)
            for one in line.shown { texts[one.run] = one.text }
            let cells: [Markup] = texts.map { "<td class=\"text\">\($0)</td>" }
            return "<tr><th scope=\"row\" class=\"path\">\(line.key.label)</th>\(cells)</tr>"
        }
        content += """
            <div class="wide" tabindex="0" role="region" aria-label="What differs"><table><thead><tr><td></td>\(heads)</tr></thead>
            <tbody>\(body)</tbody></table></div>

            """
        if comparison.lines.count > mostLines {
            content += """
                <p class="note">and \(comparison.lines.count - mostLines) lines more, which 'artifactfs compare' has</p>
                """
        }
        return content
    }

    /// A browser shows so many cells.
    private var mostLines: Int { max(100, 100_000 / max(1, comparison.runs.count)) }
}
