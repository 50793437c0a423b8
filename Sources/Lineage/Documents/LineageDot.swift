internal import ArtifactRecords

extension LineageGraph {
    /// The graph in the language of Graphviz' `dot`, which draws it from left to right.
    public var dot: String {
        var text = """
            digraph lineage {
              rankdir=LR;
              node [shape=box, fontname="monospace", fontsize=10];
              edge [fontname="monospace", fontsize=9];

            """
        for (place, node) in nodes.enumerated() {
            let lines = [
                node.directory, node.name + ((node.version ?? 1) > 1 ? " (version \(node.version ?? 1))" : ""),
                [node.time, node.commit].compactMap { $0 }.joined(separator: "  "),
                node.command.map { Self.shortened($0, to: 60) } ?? node.gap ?? "",
            ]
            // `\l` ends a line that stands at the left.
            let label = lines.filter { !$0.isEmpty }.map { Self.quoted($0) + "\\l" }.joined()
            var style: [String] = []
            if node.nature != .artifact { style.append("dashed") }
            if node.isAsked { style.append("bold") }
            let attribute = style.isEmpty ? "" : ", style=\"\(style.joined(separator: ","))\""
            text += "  \(Self.id(place)) [label=\"\(label)\"\(attribute)];\n"
        }
        for edge in edges {
            let style = edge.how == .job ? ", style=dashed" : ""
            text += "  \(Self.id(edge.from)) -> \(Self.id(edge.to)) [label=\"\(Self.quoted(edge.words))\"\(style)];\n"
        }
        return text + "}\n"
    }

    /// A text between quotes: backslashes are Graphviz' own, and control characters would break lines.
    static func quoted(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\" + String(scalar)
            default:
                result.unicodeScalars.append(ShownText.isShown(scalar) ? scalar : "\u{FFFD}")
            }
        }
        return result
    }

    /// The beginning of a text that is too long.
    static func shortened(_ text: String, to count: Int) -> String {
        text.unicodeScalars.count <= count
            ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(count - 3))) + "..."
    }
}
