import ArtifactRecords
import Glibc
import Lineage

/// A lineage as a tree for people, which fits 80 columns. What was shown once is named only when it comes again.
struct LineageTree {
    private(set) var text = ""

    private let graph: LineageGraph
    private let isUp: Bool
    private let edges: [[Int]]
    private let lines: BoxLines
    private var shown: Set<Int> = []
    /// Those whose turn comes when a tree has no room for them to the right.
    private var later: [Int] = []

    private static let width = 80
    /// Where a tree goes on below, at the left.
    private static let deepest = 40

    init(_ graph: LineageGraph, _ question: LineageQuestion) {
        let directions = (question.isUp ? [true] : []) + (question.isDown ? [false] : [])
        self.init(graph, isUp: question.isUp)
        for isUp in directions {
            if directions.count > 1 {
                text +=
                    (text.isEmpty ? "" : "\n") + (isUp ? "What it was made from:\n\n" : "What was made from it:\n\n")
            }
            var tree = LineageTree(graph, isUp: isUp)
            tree.draw()
            text += tree.text
        }
        let artifacts = graph.nodes.compactMap { $0.nature == .artifact ? $0.record : nil }
        let unseen = artifacts.count { !$0.seesOutside }
        if question.isUp, unseen > 0 {
            text +=
                "\nInputs outside of the store were not looked at for \(unseen) of \(artifacts.count) "
                + "artifact\(artifacts.count == 1 ? "" : "s").\n"
        }
        if graph.otherVersions > 0 {
            let many = graph.otherVersions > 1
            text +=
                "\n\(graph.otherVersions) other version\(many ? "s" : "") of it \(many ? "are" : "is") known: --all-versions\n"
        }
    }

    private init(_ graph: LineageGraph, isUp: Bool) {
        (self.graph, self.isUp, edges) = (graph, isUp, isUp ? graph.above : graph.below)
        lines = BoxLines.ofLocale
    }

    // MARK: - Nodes

    private struct Branch {
        let node: Int
        /// The edges by which it is known, all from one neighbour.
        let edges: [Int]
        let indent: String
        let isLast: Bool
        var isRoot = false
    }

    private mutating func draw() {
        var roots = graph.asked
        while !roots.isEmpty {
            for root in roots {
                // What came into another tree meanwhile is there.
                if graph.nodes[root].isAsked, shown.contains(root) { continue }
                if !text.isEmpty { text += "\n" }
                var branches = [Branch(node: root, edges: [], indent: "", isLast: true, isRoot: true)]
                // A branch after the other, without calls in calls: a lineage may be long.
                while let branch = branches.popLast() { branches += draw(branch).reversed() }
            }
            (roots, later) = (later, [])
        }
    }

    /// - Returns: what is below it.
    private mutating func draw(_ branch: Branch) -> [Branch] {
        let node = graph.nodes[branch.node]
        let isAgain = !branch.isRoot && shown.contains(branch.node)
        let inner = branch.isRoot ? "" : branch.indent + (branch.isLast ? "   " : lines.passing)
        let below = isAgain ? [] : neighbours(of: branch.node)
        let isLater = !below.isEmpty && inner.unicodeScalars.count > Self.deepest
        let head = branch.isRoot ? "" : branch.indent + (branch.isLast ? lines.last : lines.next)
        let rest = inner + (below.isEmpty || isLater ? "   " : lines.passing) + " "
        let known = branch.edges.map { graph.edges[$0] }
        let isNamedLater = later.contains(branch.node)
        let mark = isLater || isNamedLater ? " (below)" : isAgain ? " (above)" : ""
        let how = mark.isEmpty || known.isEmpty ? "" : ", " + Self.hows(known)
        fold(Terminal.printable(node.title) + mark + how, head, rest)
        shown.insert(branch.node)
        if isLater, !isNamedLater { later.append(branch.node) }
        if isAgain || isLater { return [] }
        describe(node, known, isLeaf: below.isEmpty, rest)
        return below.enumerated().map { index, next in
            Branch(node: next.node, edges: next.edges, indent: inner, isLast: index == below.count - 1)
        }
    }

    /// Those that edges lead to, each once.
    private func neighbours(of node: Int) -> [(node: Int, edges: [Int])] {
        var order: [Int] = []
        var lists: [Int: [Int]] = [:]
        for index in edges[node] {
            let other = isUp ? graph.edges[index].from : graph.edges[index].to
            if lists[other] == nil { order.append(other) }
            lists[other, default: []].append(index)
        }
        return order.map { ($0, lists[$0] ?? []) }
    }

    private mutating func describe(_ node: LineageNode, _ known: [LineageEdge], isLeaf: Bool, _ rest: String) {
        let gap = isUp || node.nature != .artifact ? node.gap : nil
        let words = [Self.hows(known), node.time, node.commit, node.command == nil ? gap : nil].compactMap { $0 }
            .filter { !$0.isEmpty }.joined(separator: ", ")
        let both = [words, node.command ?? ""].filter { !$0.isEmpty }.joined(separator: ", ")
        if both.unicodeScalars.count <= Self.width - rest.unicodeScalars.count {
            if !both.isEmpty { detail(both, rest) }
        } else {
            if !words.isEmpty { detail(words, rest) }
            if let command = node.command { detail(command, rest) }
        }
        if let path = node.record?.origin?.path { fold("promoted from " + Terminal.printable(path), rest, rest + "  ") }
        for edge in known {
            if let path = edge.readAs, path != node.record?.origin?.path {
                fold("read as " + Terminal.printable(path), rest, rest + "  ")
            }
        }
        if node.isSuperseded { detail("what is at this path now is a later version", rest) }
        if let removed = node.removed { detail(VersionRemoval.words(time: removed), rest) }
        if isUp {
            if let gap, node.command != nil, node.moreAbove == 0 { detail(gap, rest) }
            if node.moreAbove > 0 { detail("made from \(node.moreAbove) more: a larger --depth shows them", rest) }
            if node.possible > 0 {
                detail("\(node.possible) more \(node.possible > 1 ? "are" : "is") possible: --possible", rest)
            }
        } else {
            if node.moreBelow > 0 { detail("\(node.moreBelow) were made from it: a larger --depth shows them", rest) }
            if isLeaf, node.isAsked, node.moreBelow == 0 { detail("nothing is known that was made from it", rest) }
        }
    }

    /// How edges are known, each word once.
    private static func hows(_ edges: [LineageEdge]) -> String {
        var words: [String] = []
        for edge in edges where !edge.words.isEmpty && !words.contains(edge.words) { words.append(edge.words) }
        return words.joined(separator: ", ")
    }

    // MARK: - Lines

    /// A line that is cut where it is too long: the record has all.
    private mutating func detail(_ words: String, _ indent: String) {
        let words = Array(Terminal.printable(words).unicodeScalars)
        let room = max(20, Self.width - indent.unicodeScalars.count)
        let isLong = words.count > room
        let kept = String(String.UnicodeScalarView(words.prefix(isLong ? room - 3 : room)))
        text += indent + kept + (isLong ? "..." : "") + "\n"
    }

    /// A path, folded after its slashes.
    private mutating func fold(_ path: String, _ head: String, _ rest: String) {
        var line = head
        var count = head.unicodeScalars.count
        var isEmpty = true
        for part in Self.parts(path) {
            for piece in Self.pieces(part, of: max(20, Self.width - rest.unicodeScalars.count)) {
                if !isEmpty, count + piece.count > Self.width {
                    text += line + "\n"
                    (line, count) = (rest, rest.unicodeScalars.count)
                }
                line += String(String.UnicodeScalarView(piece))
                count += piece.count
                isEmpty = false
            }
        }
        text += line + "\n"
    }

    private static func parts(_ path: String) -> [[Unicode.Scalar]] {
        var parts: [[Unicode.Scalar]] = [[]]
        for scalar in path.unicodeScalars {
            parts[parts.count - 1].append(scalar)
            if scalar == "/" { parts.append([]) }
        }
        return parts
    }

    private static func pieces(_ part: [Unicode.Scalar], of count: Int) -> [ArraySlice<Unicode.Scalar>] {
        stride(from: 0, to: part.count, by: count).map { part[$0..<min($0 + count, part.count)] }
    }
}

/// What a tree's lines are drawn with.
struct BoxLines {
    let next: String
    let last: String
    let passing: String

    /// As the locale's characters allow (locale(7)).
    static var ofLocale: BoxLines {
        let names: [String] = ["LC_ALL", "LC_CTYPE", "LANG"]
        let named = names.lazy.compactMap { getenv($0).map { String(cString: $0) } }
            .first { !$0.isEmpty }
        let isUnicode = named.map { $0.lowercased().replacing("-", with: "").contains("utf8") } ?? false
        return isUnicode
            ? BoxLines(next: "├─ ", last: "└─ ", passing: "│  ") : BoxLines(next: "|- ", last: "`- ", passing: "|  ")
    }
}
