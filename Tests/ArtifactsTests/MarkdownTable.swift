import Foundation

/// A table of a Markdown text, found by the first cell of its header.
struct MarkdownTable {
    let header: [String]
    let rows: [[String]]

    /// The first table in `text` whose header begins with these cells, or nil.
    init?(in text: String, headerStarting start: [String]) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(Self.cells)
        guard let top = lines.firstIndex(where: { $0.map { Array($0.prefix(start.count)) } == start }),
            let header = lines[top], top + 1 < lines.count,
            let rule = lines[top + 1], rule.allSatisfy({ $0.allSatisfy { $0 == "-" || $0 == ":" } })
        else { return nil }
        self.header = header
        rows = lines[(top + 2)...].prefix { $0 != nil }.compactMap { $0 }
    }

    private static func cells(_ line: Substring) -> [String]? {
        let line = line.trimmingCharacters(in: .whitespaces)
        guard line.hasPrefix("|"), line.hasSuffix("|"), line.count > 1 else { return nil }
        return line.dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false)
            .map { $0.trimmingCharacters(in: .whitespaces) }
    }
}

/// The package's own contract, which these tests execute.
enum SemanticsDocument {
    static func text() throws -> String {
        let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = package.appending(path: "Sources/ArtifactDriver/Documentation.docc/Semantics.md")
        return try String(contentsOf: file, encoding: .utf8)
    }
}
