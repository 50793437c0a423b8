/// A table as documents have it.
struct TableText {
    let heads: [String]
    let rows: [[String]]

    /// RFC 4180.
    var csv: String { ([heads] + rows).map { $0.map(Self.csv).joined(separator: ",") + "\n" }.joined() }

    /// GitHub's Markdown.
    var markdown: String {
        let rule = heads.map { _ in "---" }
        return ([heads.map(Self.markdown), rule] + rows.map { $0.map(Self.markdown) })
            .map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
    }

    /// A `tabular` with the rules of the package booktabs.
    var latex: String {
        func line(_ cells: [String]) -> String { cells.map(Self.latex).joined(separator: " & ") + " \\\\\n" }
        let columns = String(repeating: "l", count: heads.count)
        return "% \\usepackage{booktabs}\n\\begin{tabular}{\(columns)}\n\\toprule\n" + line(heads) + "\\midrule\n"
            + rows.map(line).joined() + "\\bottomrule\n\\end{tabular}\n"
    }

    static func csv(_ text: String) -> String {
        guard text.utf8.contains(where: { ",\"\n\r".utf8.contains($0) }) else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    private static func markdown(_ text: String) -> String {
        Terminal.printable(text).map { "\\`*_|<>[]".contains($0) ? "\\\($0)" : String($0) }.joined()
    }

    private static func latex(_ text: String) -> String {
        Terminal.printable(text).map { character in
            switch character {
            case "\\": "\\textbackslash{}"
            case "~": "\\textasciitilde{}"
            case "<": "\\textless{}"
            case ">": "\\textgreater{}"
            case "|": "\\textbar{}"
            case "^": "\\textasciicircum{}"
            case "&", "%", "$", "#", "_", "{", "}": "\\\(character)"
            default: String(character)
            }
        }.joined()
    }
}
