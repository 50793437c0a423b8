internal import ArtifactRecords

extension LineageGraph {
    /// How many nodes are drawn at most.
    public static let mostDrawn = 5000

    /// A picture of the graph: from left to right, what was read before what was made from it.
    ///
    /// - Parameters:
    ///   - name: what it is of, for people.
    ///   - link: where a node leads to; nil for nowhere.
    /// - Returns: SVG; nil for more than can be drawn so that somebody can read it.
    public func svg(of name: String, link: (LineageNode) -> String? = { _ in nil }) -> String? {
        guard nodes.count <= Self.mostDrawn, let drawing = LineageDrawing(self) else { return nil }
        return drawing.svg(of: name, link)
    }
}

/// Draws a lineage.
struct LineageDrawing {
    static let boxWidth = 268.0
    static let boxHeight = 66.0
    /// An upper bound of a character's width at the size of the text: fixed-width fonts have 0.6 of it or a little more.
    static let characterWidth = 6.85
    static let padding = 8.0
    private static let margin = 24.0
    private static let head = 64.0
    private static let fontSize = 11

    let layout: LayeredLayout
    private let graph: LineageGraph
    /// The edges of each line.
    private let edges: [[LineageEdge]]

    init?(_ graph: LineageGraph) {
        self.graph = graph
        var order: [(from: Int, to: Int)] = []
        var places: [[Int]: Int] = [:]
        var lists: [[LineageEdge]] = []
        for edge in graph.edges where edge.from != edge.to {
            if let place = places[[edge.from, edge.to]] {
                lists[place].append(edge)
            } else {
                places[[edge.from, edge.to]] = order.count
                order.append((edge.from, edge.to))
                lists.append([edge])
            }
        }
        edges = lists
        guard
            let layout = LayeredLayout(
                boxes: graph.nodes.count, edges: order, boxWidth: Self.boxWidth, boxHeight: Self.boxHeight)
        else { return nil }
        self.layout = layout
    }

    func svg(of name: String, _ link: (LineageNode) -> String? = { _ in nil }) -> String {
        let width = max(layout.width + 2 * Self.margin, 560)
        let height = layout.height + Self.head + 2 * Self.margin
        let size = "\(Self.number(width)) \(Self.number(height))"
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(size)" width="\(Self.number(width))" \
            height="\(Self.number(height))" font-family="ui-monospace, 'DejaVu Sans Mono', 'Liberation Mono', \
            Menlo, Consolas, monospace" font-size="\(Self.fontSize)">
            <title>Lineage of \(ShownText.markup(name))</title>
            \(Self.style)
            <rect class="paper" width="100%" height="100%"/>

            """
        text += self.head(name, width)
        text += "<g transform=\"translate(\(Self.number(Self.margin)) \(Self.number(Self.head + Self.margin)))\">\n"
        for (line, edges) in zip(layout.lines, edges) { text += draw(line, edges) }
        for place in graph.nodes.indices {
            guard let target = link(graph.nodes[place]) else {
                text += draw(place)
                continue
            }
            text += "<a href=\"\(ShownText.markup(target))\">" + draw(place) + "</a>"
        }
        return text + "</g>\n</svg>\n"
    }

    // MARK: - Parts

    private static let style = """
        <style>
        .paper{fill:#ffffff} text{fill:#1f2328} .dim{fill:#59636e} .box rect{fill:#f6f8fa;stroke:#818b98}
        .file rect,.outside rect{fill:#ffffff;stroke-dasharray:4 3} .hidden rect{fill:#eaeef2}
        .asked rect{fill:#ddf4ff;stroke:#0969da;stroke-width:2} .name{font-weight:bold}
        .edge path{fill:none;stroke-width:1.3} .edge polygon{stroke:none}
        .process path{stroke:#57606a} .process polygon{fill:#57606a} .ancestor path{stroke:#1a7f37} .ancestor polygon{fill:#1a7f37}
        .pipe path{stroke:#0969da} .pipe polygon{fill:#0969da} .declared path{stroke:#9a6700} .declared polygon{fill:#9a6700}
        .job path{stroke:#cf222e;stroke-dasharray:5 4} .job polygon{fill:#cf222e} .plain path{stroke:#818b98} .plain polygon{fill:#818b98}
        .edge:hover path{stroke-width:3}
        @media (prefers-color-scheme: dark){
        .paper{fill:#0d1117} text{fill:#e6edf3} .dim{fill:#9198a1} .box rect{fill:#1b222c;stroke:#6e7681}
        .file rect,.outside rect{fill:#0d1117} .hidden rect{fill:#262c36} .asked rect{fill:#11294a;stroke:#4493f8}
        .process path{stroke:#9198a1} .process polygon{fill:#9198a1} .ancestor path{stroke:#3fb950} .ancestor polygon{fill:#3fb950}
        .pipe path{stroke:#4493f8} .pipe polygon{fill:#4493f8} .declared path{stroke:#d29922} .declared polygon{fill:#d29922}
        .job path{stroke:#f85149} .job polygon{fill:#f85149}
        }
        </style>
        """

    /// The title, and what the colours of the edges that there are mean.
    private func head(_ name: String, _ width: Double) -> String {
        let room = Int((width - 2 * Self.margin) / (Self.characterWidth * 1.3))
        var text =
            "<text class=\"name\" x=\"24\" y=\"32\" font-size=\"14\"\(Self.length("Lineage of " + name, room, 1.3))>"
            + ShownText.markup(Self.middle("Lineage of " + name, room)) + "</text>\n"
        let kinds = ["process", "ancestor", "pipe", "declared", "job", "plain"]
        let used = Set(edges.map { Self.kind($0) })
        var x = Self.margin
        for kind in kinds where used.contains(kind) {
            let words = kind == "plain" ? "not said how" : kind == "job" ? "job: only possible" : kind
            let (start, end) = (Self.number(x), Self.number(x + 24))
            text += "<g class=\"edge \(kind)\"><path d=\"M\(start) 52H\(end)\"/></g>"
            text += "<text class=\"dim\" x=\"\(Self.number(x + 30))\" y=\"56\">\(words)</text>\n"
            x += 30 + Double(words.utf8.count) * Self.characterWidth + 18
        }
        return text
    }

    private func draw(_ place: Int) -> String {
        let (node, corner) = (graph.nodes[place], layout.boxes[place])
        var classes = "box \(node.nature.rawValue)"
        if node.isHidden { classes += " hidden" }
        if node.isAsked { classes += " asked" }
        let version = (node.version ?? 1) > 1 ? " (version \(node.version ?? 1))" : ""
        let room = Int((Self.boxWidth - 2 * Self.padding) / Self.characterWidth)
        let when = [node.time, node.commit].compactMap { $0 }.joined(separator: "  ")
        let last = node.command ?? node.gap ?? ""
        var text = "<g class=\"\(classes)\" transform=\"translate(\(Self.number(corner.x)) \(Self.number(corner.y)))\">"
        text += "<title>\(ShownText.markup(Self.details(node)))</title>"
        text += "<rect width=\"\(Self.number(Self.boxWidth))\" height=\"\(Self.number(Self.boxHeight))\" rx=\"5\"/>"
        let lines: [(style: String, text: String)] = [
            ("name", Self.middle(node.name, room - version.utf8.count) + version),
            ("dim", Self.end(node.directory, room)),
            ("dim", when), ("", LineageGraph.shortened(last, to: room)),
        ]
        for (row, line) in lines.enumerated() where !line.text.isEmpty {
            let style = line.style.isEmpty ? "" : " class=\"\(line.style)\""
            text +=
                "<text\(style) x=\"\(Self.number(Self.padding))\" y=\"\(16 + 14 * row)\"\(Self.length(line.text, room, 1))>"
            text += "\(ShownText.markup(line.text))</text>"
        }
        return text + "</g>\n"
    }

    private func draw(_ line: LayeredLayout.DrawnEdge, _ edges: [LineageEdge]) -> String {
        guard let first = line.points.first, let last = line.points.last, let before = line.points.dropLast().last
        else {
            return ""
        }
        var path = "M\(Self.number(first.x)) \(Self.number(first.y))"
        for (index, (one, other)) in zip(line.points, line.points.dropFirst()).enumerated() {
            // Between layers a curve that leaves and arrives level, past a layer's boxes a straight line.
            if index.isMultiple(of: 2) {
                let middle = Self.number((one.x + other.x) / 2)
                path += "C\(middle) \(Self.number(one.y)) \(middle) \(Self.number(other.y)) "
                path += "\(Self.number(other.x)) \(Self.number(other.y))"
            } else {
                path += "H\(Self.number(other.x))"
            }
        }
        let back = last.x > before.x ? -7.0 : 7.0
        let (x, tip) = (Self.number(last.x + back), Self.number(last.x))
        let head = "\(tip),\(Self.number(last.y)) \(x),\(Self.number(last.y - 3.5)) \(x),\(Self.number(last.y + 3.5))"
        let words = edges.map { edge in
            [edge.words, edge.at, edge.readAs.map { "read as \($0)" }].compactMap { $0 }.filter { !$0.isEmpty }
                .joined(separator: ", ")
        }
        let title = "\(graph.nodes[line.from].title) \u{2192} \(graph.nodes[line.to].title)"
        let all = ([title] + words).filter { !$0.isEmpty }.joined(separator: "\n")
        return "<g class=\"edge \(Self.kind(edges))\"><title>\(ShownText.markup(all))</title><path d=\"\(path)\"/>"
            + "<polygon points=\"\(head)\"/></g>\n"
    }

    /// The best that is known of an edge.
    private static func kind(_ edges: [LineageEdge]) -> String {
        let hows = edges.compactMap(\.how)
        return ArtifactRecord.How.allCases.first { hows.contains($0) }?.rawValue ?? "plain"
    }

    private static func details(_ node: LineageNode) -> String {
        let writer = node.record?.writer
        let lines: [String?] = [
            node.title, node.sha256.map { "sha256 \($0)" }, node.time.map { "sealed \($0)" },
            writer?.user.map { "by \($0)" + (writer?.host.map { " on \($0)" } ?? "") },
            node.record?.commandLine.map { LineageGraph.shortened($0, to: 400) }, writer?.cwd.map { "in \($0)" },
            node.code?.commit.map { "commit \($0)" + (node.code?.dirty == true ? ", with changes" : "") },
            node.record?.origin?.path.map { "promoted from \($0)" },
            node.isSuperseded ? "what is at this path now is a later version" : nil,
            node.removed.map { VersionRemoval.words(time: $0) }, node.gap,
        ]
        return lines.compactMap { $0 }.joined(separator: "\n")
    }

    // MARK: - Text

    /// A text that may have characters of any width is made as wide as it may be.
    private static func length(_ text: String, _ room: Int, _ scale: Double) -> String {
        guard !text.utf8.allSatisfy({ $0 < 0x80 }) else { return "" }
        let width = Double(min(text.unicodeScalars.count, room)) * characterWidth * scale
        return " textLength=\"\(number(width))\" lengthAdjust=\"spacingAndGlyphs\""
    }

    /// Beginning and end of a text that is too long.
    private static func middle(_ text: String, _ count: Int) -> String {
        let scalars = Array(text.unicodeScalars)
        guard scalars.count > count, count > 4 else { return text }
        let end = (count - 3) / 2
        return string(scalars.prefix(count - 3 - end)) + "..." + string(scalars.suffix(end))
    }

    /// The end of a text that is too long.
    private static func end(_ text: String, _ count: Int) -> String {
        let scalars = Array(text.unicodeScalars)
        return scalars.count <= count ? text : "..." + string(scalars.suffix(count - 3))
    }

    private static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars)
        return String(text)
    }

    /// With one decimal at most.
    static func number(_ value: Double) -> String {
        let tenths = Int64((value * 10).rounded())
        return tenths.isMultiple(of: 10)
            ? "\(tenths / 10)" : "\(tenths < 0 ? "-" : "")\(tenths.magnitude / 10).\(tenths.magnitude % 10)"
    }
}
