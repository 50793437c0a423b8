import ArtifactRecords
import Testing

@testable import Lineage

/// SEMANTICS 4.1: what programs read.
@Suite struct DocumentTests {
    private func graph() throws -> LineageGraph {
        var records = PlayedRecords()
        records.seal("production/a \"q\" \\n\u{1b}[31m\u{202e}.tsv", "1") {
            $0.writer = .init()
            $0.writer?.argv = ["/usr/bin/awk", "{ print \"<&>\" }"]
        }
        records.seal(
            "production/b", "2", from: ["production/a \"q\" \\n\u{1b}[31m\u{202e}.tsv#1"], outside: ["/data/x"])
        return try records.lineage("production/b")
    }

    @Test func json() throws {
        let json = try graph().json
        let nodes = try #require(json["nodes"]?.list), edges = try #require(json["edges"]?.list)
        #expect(nodes.map { $0["id"]?.string } == ["n0", "n1", "n2"])
        #expect(nodes[0]["asked"] == .bool(true) && nodes[0]["record"]?["artifact"]?["sha256"]?.string == "2")
        #expect(nodes[1]["inputs_known"] == .bool(false) && nodes[2]["nature"]?.string == "outside")
        #expect(edges[0].description == #"{"from":"n1","to":"n0","how":"process","match":"sha256"}"#)
        #expect(edges[1].description == #"{"from":"n2","to":"n0"}"#)
    }

    @Test func dot() throws {
        let dot = try graph().dot
        #expect(dot.contains(#"a \"q\" \\n"#) && dot.contains("n1 -> n0 [label=\"process\"]"))
        #expect(dot.contains(#"awk '{ print \"<&>\" }'\l"#))
        #expect(dot.unicodeScalars.allSatisfy { $0 == "\n" || ShownText.isShown($0) })
    }
}

extension JSONValue {
    /// The values, if it is an array.
    var list: [JSONValue]? { if case .array(let values) = self { values } else { nil } }
}
