import ArtifactRecords
import TestSupport
import Testing

@testable import Lineage

/// SEMANTICS 4.1: the picture.
@Suite struct DrawingTests {
    private static let (width, height) = (268.0, 66.0)

    /// Edges as a seed makes them: mostly onwards, some back, some far.
    private static func edges(_ count: Int, _ random: inout SplitMix64) -> [(from: Int, to: Int)] {
        var seen: Set<[Int]> = []
        var edges: [(from: Int, to: Int)] = []
        for _ in 0..<count * 2 {
            let from = Int.random(in: 0..<count, using: &random)
            let near = Int.random(in: 1...max(2, count / 6), using: &random)
            let to = Int.random(in: 0..<20, using: &random) == 0 ? max(0, from - near) : min(count - 1, from + near)
            if from != to, seen.insert([from, to]).inserted { edges.append((from, to)) }
        }
        return edges
    }

    @Test(arguments: [1, 2, 7, 40, 200, 600])
    func nothingLiesOnAnything(_ count: Int) throws {
        var random = SplitMix64(seed: UInt64(count))
        let edges = Self.edges(count, &random)
        let layout = try #require(
            LayeredLayout(boxes: count, edges: edges, boxWidth: Self.width, boxHeight: Self.height))
        #expect(layout.boxes.count == count && layout.lines.count == edges.count)
        for (one, box) in layout.boxes.enumerated() {
            #expect(box.x >= 0 && box.x + Self.width <= layout.width + 0.01)
            #expect(box.y >= -0.01 && box.y + Self.height <= layout.height + 0.01)
            for other in layout.boxes[(one + 1)...] where abs(box.x - other.x) < Self.width {
                #expect(abs(box.y - other.y) >= Self.height + 4, "two boxes lie on each other")
            }
        }
        // An edge begins and ends at its boxes' sides, and passes no box where it passes a layer.
        for line in layout.lines {
            let (from, to) = (layout.boxes[line.from], layout.boxes[line.to])
            let (first, last) = (try #require(line.points.first), try #require(line.points.last))
            for (point, box) in [(first, from), (last, to)] {
                #expect(point.x == box.x || point.x == box.x + Self.width)
                #expect(point.y > box.y && point.y < box.y + Self.height)
            }
            for index in stride(from: 1, to: line.points.count - 1, by: 2) {
                let (one, other) = (line.points[index], line.points[index + 1])
                #expect(one.y == other.y && abs(abs(one.x - other.x) - Self.width) < 0.01)
                for box in layout.boxes where box.x == min(one.x, other.x) {
                    #expect(one.y < box.y || one.y > box.y + Self.height, "an edge passes through a box")
                }
            }
        }
    }

    /// The order of a layer has an effect: far fewer edges cross than as they came.
    @Test func orderMakesEdgesCrossLess() throws {
        // Two layers, whose edges are all crossed at first.
        let edges = (0..<10).map { (from: $0, to: 19 - $0) }
        #expect(try #require(LayerOrder(boxes: 20, edges: edges)).crossings() == 0)
        let layout = try #require(LayeredLayout(boxes: 20, edges: edges, boxWidth: 10, boxHeight: 10))
        #expect(layout.lines.allSatisfy { abs($0.points[0].y - $0.points[1].y) < 0.01 }, "an edge alone is straight")
    }

    @Test func circlesAreDrawn() throws {
        let edges = [(from: 0, to: 1), (from: 1, to: 2), (from: 2, to: 0)]
        let layout = try #require(LayeredLayout(boxes: 3, edges: edges, boxWidth: 10, boxHeight: 10))
        #expect(layout.boxes[0].x < layout.boxes[1].x && layout.boxes[1].x < layout.boxes[2].x)
        let back = try #require(layout.lines.last)
        #expect(back.points.first?.x == layout.boxes[2].x && back.points.last?.x == layout.boxes[0].x + 10)
    }

    /// More than can be read is not drawn, and costs no more than to see that.
    @Test func tooMuchIsNotDrawn() throws {
        var graph = LineageGraph()
        for _ in 0...LineageGraph.mostDrawn { graph.nodes.append(LineageNode(nature: .file, path: "x")) }
        #expect(graph.svg(of: "x") == nil)
        // A chain, and edges from its beginning to everything.
        let edges = (1..<3000).map { (from: $0 - 1, to: $0) } + (2..<3000).map { (from: 0, to: $0) }
        #expect(LayerOrder(boxes: 3000, edges: edges) == nil)
    }

    @Test func placesThatAreWishedFor() {
        #expect(LayeredLayout.apart([(0, 1), (0, 1)], [0, 10]) == [-5, 5])
        #expect(LayeredLayout.apart([(0, 3), (0, 1)], [0, 8]) == [-2, 6])
        #expect(LayeredLayout.apart([(0, 1), (50, 1)], [0, 8]) == [0, 50])
        #expect(LayeredLayout.apart([], []).isEmpty)
    }

    /// Names that mean something in XML, that no font has, and that are longer than a box.
    @Test func textsAreEscapedAndFit() throws {
        var records = PlayedRecords()
        let name = "production/<a href=\"x\">&\u{1b}\u{202e}\u{FFFF}'\u{4e2d}\u{6587}.tsv"
        records.seal(name, "1") {
            $0.writer = .init()
            $0.writer?.argv = ["awk", String(repeating: "]]>", count: 500)]
        }
        records.seal("production/" + String(repeating: "long", count: 60), "2", from: [name + "#1"])
        let graph = try records.lineage("production/" + String(repeating: "long", count: 60))
        let svg = try #require(graph.svg(of: name))
        #expect(!svg.contains("<a href") && svg.contains("&lt;a href=&quot;x&quot;&gt;&amp;"))
        #expect(svg.unicodeScalars.allSatisfy { $0 == "\n" || ShownText.isShown($0) })
        #expect(svg.contains("textLength="))
        // No line of a box is longer than it has room for.
        let room = Int((LineageDrawing.boxWidth - 2 * LineageDrawing.padding) / LineageDrawing.characterWidth)
        for part in svg.split(separator: "</text>").dropFirst(2) {
            let text = part.split(separator: ">").last ?? ""
            let shown = text.replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&amp;", with: "&")
                .replacing("&quot;", with: "\"")
            #expect(shown.unicodeScalars.count <= room || shown.contains("\n"), "\(shown)")
        }
    }

    @Test func numbersOfAPicture() {
        #expect(
            [0.0, 1, -0.04, -0.06, 12.34, 12.35, -7.5].map(LineageDrawing.number) == [
                "0", "1", "0", "-0.1", "12.3", "12.4", "-7.5",
            ])
    }
}
