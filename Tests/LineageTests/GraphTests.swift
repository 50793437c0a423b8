import ArtifactRecords
import Testing

@testable import Lineage

/// SEMANTICS 4.1: what is joined to what.
@Suite struct GraphTests {
    @Test func upAndDownOverSeveralSteps() throws {
        var records = PlayedRecords()
        records.seal("production/a")
        records.seal("production/b", from: ["production/a#hash of production/a"], outside: ["/data/x"])
        records.seal(
            "production/c", from: ["production/b#hash of production/b!pipe", "production/a#hash of production/a"])
        records.seal("production/d", from: ["production/c#hash of production/c!job"])
        let up = try records.lineage("production/c")
        #expect(
            up.words == [
                "production/b > production/c", "production/a > production/c", "production/a > production/b",
                "/data/x > production/b",
            ])
        #expect(up.nodes.map(\.nature) == [.artifact, .artifact, .artifact, .outside])
        #expect(up.asked == [0] && up.edges[0].how == .pipe && up.edges[0].match == .sha256)
        #expect(up.nodes.prefix(3).allSatisfy { $0.record != nil })

        let down = try records.lineage("production/a") { ($0.isUp, $0.isDown) = (false, true) }
        #expect(
            down.words == [
                "production/a > production/b", "production/a > production/c", "production/b > production/c",
            ])
        // A guess only when it is asked for.
        #expect(try records.lineage("production/d").edges.isEmpty)
        #expect(try records.lineage("production/d").nodes[0].possible == 1)
        let possible = try records.lineage("production/d") { $0.showsPossible = true }
        #expect(possible.words.first == "production/c > production/d" && possible.edges[0].how == .job)
        let both = try records.lineage("production/b") { $0.isDown = true }
        #expect(
            both.words == [
                "production/a > production/b", "/data/x > production/b", "production/b > production/c",
            ])
        #expect(
            try records.lineage("/data/x") { ($0.isUp, $0.isDown) = (false, true) }.words.first
                == "/data/x > production/b")
    }

    /// What was read is what has the same bytes, not what has the name today.
    @Test func versionsAreKeptApart() throws {
        var records = PlayedRecords()
        records.seal("production/a", "1")
        records.seal("production/b", from: ["production/a#1"])
        records.seal("production/a", "2")
        records.seal("production/c", from: ["production/a#2"])
        records.seal("production/e", from: ["production/a#3"])
        records.seal("production/f", from: ["production/a"])
        let b = try records.lineage("production/b")
        #expect(b.nodes[1].version == 1 && b.nodes[1].isSuperseded)
        #expect(try records.lineage("production/c").words == ["production/a (version 2) > production/c"])
        let unknown = try records.lineage("production/e")
        #expect(unknown.nodes[1].nature == .file && unknown.edges[0].match == .none)
        #expect(unknown.nodes[1].gap == "no record: no ledger tells of these bytes")
        // A name alone: what was there then, and that it is the name alone is said.
        let named = try records.lineage("production/f")
        #expect(named.nodes[1].version == 2 && named.edges[0].match == .path)
        #expect(named.edges[0].words == "process, found by its name only")
        // What was sealed only later, and was begun before; what was begun later was not there.
        records.seal("production/g", from: ["production/h"])
        records.seal("production/i", from: ["production/j"])
        records.seal("production/h") { $0.times.opened = TimeText.time("2026-02-15T14:30:01Z") }
        records.seal("production/j")
        #expect(try records.lineage("production/g").nodes[1].nature == .artifact)
        #expect(try records.lineage("production/i").nodes[1].nature == .file)
        let down = { (question: inout LineageQuestion) in (question.isUp, question.isDown) = (false, true) }
        let last = try records.lineage("production/a", down)
        #expect(
            last.words == [
                "production/a (version 2) > production/c", "production/a (version 2) > production/f",
            ])
        #expect(last.otherVersions == 1)
        let first = try records.lineage("production/a") {
            down(&$0)
            $0.version = 1
        }
        #expect(first.words == ["production/a > production/b"] && first.otherVersions == 1)
        let all = try records.lineage("production/a") {
            down(&$0)
            $0.allVersions = true
        }
        #expect(all.asked == [0, 1] && all.edges.count == 3)
        #expect(try records.lineage("production/a") { $0.version = 3 }.nodes.isEmpty)
    }

    /// The same bytes sealed twice: the ones that were there when they were read.
    @Test func theSameBytesTwice() throws {
        var records = PlayedRecords()
        records.seal("production/a", "1") { $0.artifact.version = 1 }
        records.seal("production/b", from: ["production/a#1"])
        records.seal("production/a", "1") { $0.artifact.version = 2 }
        records.seal("production/c", from: ["production/a#1"])
        #expect(try records.lineage("production/b").words == ["production/a > production/b"])
        #expect(try records.lineage("production/c").words == ["production/a (version 2) > production/c"])
    }

    /// What was made from a session's file before that was promoted is made from what it was promoted to.
    @Test func promotionsAreFollowed() throws {
        var records = PlayedRecords()
        let session = "development/20260101_000000/a"
        records.seal("production/z")
        records.seal("production/b", from: ["\(session)#1"])
        records.seal("production/a", "1", from: ["\(session)#1", "production/z#hash of production/z"], origin: session)
        records.seal("production/c", from: ["\(session)#0"])
        let up = try records.lineage("production/b")
        #expect(up.words == ["production/a > production/b", "production/z > production/a"])
        #expect(up.edges[0].readAs == session && up.edges[0].match == .sha256)
        let down = try records.lineage("production/z") { ($0.isUp, $0.isDown) = (false, true) }
        #expect(down.words == ["production/z > production/a", "production/a > production/b"])
        // Other bytes of the same session's file are not what was promoted.
        let other = try records.lineage("production/c")
        #expect(other.words == ["\(session) > production/c"])
        #expect(other.nodes[1].gap == "no record: what is in a session or a test has none")
        let asked = try records.lineage(session) { $0.isDown = true }
        #expect(Set(asked.asked.map { asked.nodes[$0].path }) == ["production/a", session])
        #expect(
            asked.words.contains("\(session) > production/c") && asked.words.contains("production/z > production/a"))
    }

    /// A path alone says nothing of a session's file that had two contents.
    @Test func aSessionsFileByItsNameOnly() throws {
        var records = PlayedRecords()
        records.seal("production/a", "1", origin: "test/t/a")
        records.seal("production/b", from: ["test/t/a!declared"])
        #expect(try records.lineage("production/b").edges[0].match == .path)
        records.seal("production/c", "2", origin: "test/t/a")
        #expect(try records.lineage("production/b").words == ["test/t/a > production/b"])
    }

    /// What is in a directory that is an artifact is that artifact.
    @Test func partsOfADirectory() throws {
        var records = PlayedRecords()
        let directory = "production/meta/meta_checkpoints/checkpoint-5"
        records.seal(directory, "manifest")
        records.seal("production/b", from: [directory + "/sub/config.json#5", "production/base/x/other/y#6"])
        let up = try records.lineage("production/b")
        #expect(up.words == [directory + " > production/b", "production/base/x/other/y > production/b"])
        #expect(up.edges[0].readAs == directory + "/sub/config.json" && up.edges[0].match == .path)
        #expect(try records.lineage(directory) { ($0.isUp, $0.isDown) = (false, true) }.edges.count == 1)
        #expect("development/s/base/t/n/x".artifactAround == "development/s/base/t/n")
        for path in ["production/base/t/n", "/data/a/b/c/d/e", "development/s/base/t/n", ""] {
            #expect(path.artifactAround == nil)
        }
    }

    /// Records that lie in a circle end.
    @Test func circlesEnd() throws {
        var records = PlayedRecords()
        records.seal("production/a", "1", from: ["production/b#2!declared", "production/a#1!declared"])
        records.seal("production/b", "2", from: ["production/a#1!declared"])
        let graph = try records.lineage("production/a") { $0.isDown = true }
        #expect(graph.nodes.count == 2)
        #expect(
            Set(graph.words) == [
                "production/b > production/a", "production/a > production/a", "production/a > production/b",
            ])
    }

    /// Steps are counted, and what is left out is too.
    @Test func depth() throws {
        var records = PlayedRecords()
        records.seal("production/0")
        for step in 1...4 {
            records.seal("production/\(step)", from: ["production/\(step - 1)#hash of production/\(step - 1)"])
        }
        let up = try records.lineage("production/4") { $0.depth = 2 }
        #expect(up.words == ["production/3 > production/4", "production/2 > production/3"])
        #expect(up.nodes.map(\.moreAbove) == [0, 0, 1])
        let down = try records.lineage("production/0") { ($0.isUp, $0.isDown, $0.depth) = (false, true, 1) }
        #expect(down.words == ["production/0 > production/1"] && down.nodes.map(\.moreBelow) == [0, 1])
    }

    /// What may not be read is shown as such, and nothing of it.
    @Test func whatMayNotBeRead() throws {
        var records = PlayedRecords()
        records.seal("production/b", from: ["production/secret#1"])
        records.hidden = ["production/secret"]
        let graph = try records.lineage("production/b")
        #expect(graph.nodes[1].isHidden && graph.nodes[1].record == nil && graph.nodes[1].nature == .file)
        #expect(graph.nodes[1].gap == "its record is not this user's to read")
        #expect(try records.lineage("production/secret").nodes.map(\.isHidden) == [true])
    }

    /// Names are bytes.
    @Test func anotherSpellingIsAnotherPath() throws {
        var records = PlayedRecords()
        records.seal("production/\u{e9}", "1")
        records.seal("production/b", from: ["production/e\u{301}"])
        #expect(try records.lineage("production/b").nodes[1].nature == .file)
    }

    /// That somebody looked and found nothing is another thing than that nobody looked.
    @Test func whatIsNotKnownIsSaid() throws {
        var index = RecordIndex()
        for (text, known) in [
            ("{\"artifact\":{\"path\":\"p\"}}", false), ("{\"artifact\":{\"path\":\"p\"},\"inputs\":[]}", true),
        ] {
            let json = try #require(JSONValue(parsing: text.utf8)?.object)
            let summary = try #require(RecordSummary(ArtifactRecord(json), json: json, place: .kept(0)))
            #expect(summary.knowsInputs == known)
            index.add(summary)
        }
        var node = LineageNode(nature: .artifact, path: "production/a")
        node.record = ArtifactRecord()
        #expect(node.gap == "inputs were not recorded")
        // Where an interpreter comes from is not the code of the work.
        for (role, commit) in [("program", nil), ("cwd", "2222222222+"), ("script", "3333333333")]
            as [(String, String?)]
        {
            var code = ArtifactRecord.Code()
            code.role = role
            code.commit = String(repeating: String((node.record?.code.count ?? 0) + 1), count: 40)
            code.dirty = role == "cwd"
            node.record?.code.append(code)
            #expect(node.commit == commit)
        }
        node.knowsInputs = true
        #expect(node.gap == "made from nothing in the store")
    }

    /// A chain as long as a store's records, and one artifact that everything was made from.
    @Test func manyRecords() throws {
        var records = PlayedRecords()
        records.seal("production/0", "0")
        for step in 1...20_000 {
            records.seal(
                "production/\(step)", "\(step)", from: ["production/\(step - 1)#\(step - 1)", "production/0#0"])
        }
        #expect(try records.lineage("production/20000").edges.count == 39_999)
        let down = try records.lineage("production/0") { ($0.isUp, $0.isDown, $0.depth) = (false, true, 1) }
        #expect(down.nodes.count == 20_001)
    }

    /// What is needed at any depth, by what was made from it itself; what is only possible is not, and circles end.
    @Test func whatRecordsNeed() throws {
        var records = PlayedRecords()
        records.seal("production/base/t/a", "a1")
        records.seal("production/base/t/a", "a2")
        records.seal("production/base/t/b", from: ["production/base/t/a#a1"])
        records.seal(
            "production/base/t/c",
            from: ["production/base/t/b#hash of production/base/t/b", "production/base/t/d#d!job"])
        records.seal("production/base/t/d", "d", from: ["production/base/t/e#e"])
        records.seal("production/base/t/e", "e", from: ["production/base/t/d#d", "production/base/t/none#x"])
        func needed(_ roots: [RecordNumber]) throws -> [RecordNumber: RecordNumber] {
            var source = records
            return try LineageNeeds(of: roots, in: &source).makers
        }
        #expect(try needed([3]) == [2: 3, 0: 2])
        #expect(try needed([1]) == [:] && needed([]) == [:])
        #expect(try needed([4]) == [5: 4, 4: 5])
        #expect(try needed([2, 4]) == [0: 2, 5: 4, 4: 5])
    }
}
