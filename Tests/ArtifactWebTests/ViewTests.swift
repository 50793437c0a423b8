import ArtifactRecords
import ArtifactWeb
import Catalog
import Foundation
import FoundationXML
import Queries
import TestSupport
import Testing

/// Pages of whatever people have written.
@Suite struct ViewTests {
    private static let hostile = [
        "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'; DROP TABLE runs; --", "a\nb\tc\r\u{1b}[2J",
        "\u{202e}txt.exe", "&amp;&#x3c;", "]]>", "<!--", "javascript:alert(1)",
        String(repeating: "\u{1F9EC}", count: 300),
        "%3Cscript%3E", "", " ", "\u{0}", "</title></svg></table>",
    ]

    /// Each page is well-formed, with these texts in all places: no text became a tag.
    @Test func hostileTextsStayTexts() throws {
        for text in Self.hostile {
            let fields = [
                Field(.run), Field(.path), Field(.command), Field(.param, text.isEmpty ? "x" : text), Field(.size),
            ]
            let row: [CatalogValue] = [.text(text), .text(text), .text(text), .number(.nan), .integer(.max)]
            let table = FoundTable(
                columns: fields, rows: [row, [.unknown, .time(.min), .flag(true), .text(text), .unknown]])
            let target = PageTarget("/runs", [("q", text), ("columns", text), ("sort", text)])
            var facts = [RunFactsMaker.facts(text), RunFactsMaker.facts(text + "2")]
            facts[1].add(.metric, text, .number(.infinity))
            let plot = MetricPlot(text, [.init(title: text, points: [(0, 1), (1, .nan), (2, .infinity), (3, 2)])])
            let comparison = ComparisonView(RunComparison(facts, all: true), plots: [plot], target)
            let run = RunView(facts[0], plots: [plot], images: [.init(name: text, source: "/" + text)], log: text)
            let frames = [
                FoundView(.runs, target, table, order: [(Field(.run), true)], from: 5, hasMore: true).frame,
                FoundView(
                    .artifacts, target, nil, order: [], from: 0, hasMore: false,
                    problem: .init(text, excerpt: text, place: 3, length: 2)
                ).frame,
                run.frame, comparison.frame,
                ArtifactView(
                    text, facts: [("command", text), ("", text), ("run", text)], problem: text, versions: table,
                    contents: .table(rows: [[text, "b"], [text]], isCut: true, columnsLeftOut: 2), lineage: nil,
                    history: [(text, text, text)], more: text
                ).frame,
                ArtifactView(
                    text, facts: [], problem: nil, versions: nil, contents: .text(text, isCut: true),
                    lineage: nil,
                    history: [], more: nil
                ).frame,
                KeptView(
                    [
                        .init(
                            id: text, path: text, user: text, time: text, size: text, rule: text, reason: text,
                            command: text)
                    ], leftOut: 3
                ).frame,
            ]
            for frame in frames {
                try expectWellFormed(frame.served(store: text, date: text), "\(frame.title) of \(text)")
            }
            var report = ReportView()
            report.title = text
            report.facts = [(text, text)]
            (report.runs, report.artifacts, report.comparison) = (table, table, comparison)
            report.details = [(text, run)]
            (report.runsLeftOut, report.runsCommand) = (1, text)
            try expectWellFormed(report.html(date: text), "a report of \(text)")
        }
    }

    /// As XML, once what HTML lets stand alone is closed; the script and the style are ours.
    private func expectWellFormed(_ html: String, _ what: String) throws {
        var text = html.replacing("<!DOCTYPE html>", with: "")
        for tag in ["meta", "link", "input", "img", "br"] {
            text = text.replacing(try Regex("<\(tag)((?:[^>\"]|\"[^\"]*\")*)>")) { match in
                "<\(tag)\(match.output[1].substring ?? "")/>"
            }
        }
        text = text.replacing(try Regex("(?s)<script>.*?</script>"), with: "")
        text = text.replacing(" defer>", with: ">").replacing(" data-sorts>", with: ">")
        let parser = XMLParser(data: Data(text.utf8))
        #expect(parser.parse(), "\(what): \(parser.parserError.map { "\($0)" } ?? "") at line \(parser.lineNumber)")
        #expect(!html.contains("<script>alert") && !html.contains("<img src=x") && !html.contains("\u{1b}"), "\(what)")
    }

    /// A curve of very many points has no more than its picture shows, and its peaks among them.
    @Test func longCurvesAreThinned() {
        let points = (0..<100_000).map { step -> (x: Double, y: Double) in
            let low = Double(step % 7) / 10
            return (x: Double(step), y: step == 77_777 ? 5.0 : low)
        }
        let svg = MetricPlot("loss", [.init(title: "a", points: points)]).svg(isOnPage: true)
        #expect(svg.utf8.count < 60_000)
        let line = svg.split(separator: "<polyline points=\"").last.map { $0.prefix { $0 != "\"" } } ?? ""
        let heights = line.split(separator: " ").compactMap { $0.split(separator: ",").last.flatMap { Double($0) } }
        #expect(heights.count > 700 && heights.min() == 34, "the highest point is where the axis ends")
    }

    @Test func base64() {
        var generator = SplitMix64(seed: 3)
        for count in 0..<200 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(Base64Text.encoded(bytes) == Data(bytes).base64EncodedString())
        }
    }
}

/// Facts of runs for tests.
private enum RunFactsMaker {
    static func facts(_ text: String) -> RunFacts {
        var facts = RunFacts(text)
        for section in RunFacts.Section.allCases {
            facts.add(section, text, .text(text))
            facts.add(section, "command", .text(text))
        }
        return facts
    }
}
