import ArtifactRecords
import Testing

@testable import Lineage

/// SEMANTICS 4.2: what differs between how two artifacts were made.
@Suite struct DifferenceTests {
    private func command(_ words: String, commit: String = "c1") -> (inout ArtifactRecord) -> Void {
        { record in
            record.writer = .init()
            record.writer?.argv = words.split(separator: " ").map(String.init)
            record.writer?.user = "ada"
            var code = ArtifactRecord.Code()
            (code.role, code.commit) = ("script", commit)
            record.code = [code]
        }
    }

    private func difference(
        _ records: PlayedRecords, _ one: String, _ other: String, _ versions: (Int64?, Int64?) = (nil, nil)
    )
        throws -> LineageDifference
    {
        let first = try records.lineage(one) { $0.version = versions.0 }
        let second = try records.lineage(other) { $0.version = versions.1 }
        return try #require(LineageDifference(first, second))
    }

    @Test func whatIsMadeAlike() throws {
        var records = PlayedRecords()
        records.seal("production/a", "1", change: command("make a"))
        for name in ["b", "c"] {
            records.seal("production/" + name, name, from: ["production/a#1"], change: command("run x"))
        }
        let found = try difference(records, "production/b", "production/c")
        #expect(found.isSame && found.steps.count == 1 && found.steps[0].hasSameBytes == false)
        #expect(!found.steps[0].isOrigin)
        #expect(try difference(records, "production/b", "production/b").isSame)
        #expect(found.json["same"] == .bool(true))
    }

    /// What differs far up explains what differs below.
    @Test func upToWhereItBegins() throws {
        var records = PlayedRecords()
        for version in ["1", "2"] {
            records.seal("production/raw", "r")
            records.seal(
                "production/a", "a\(version)", from: ["production/raw#r"],
                change: command("clean --level \(version) raw", commit: "c\(version)"))
            records.seal("production/b", "b\(version)", from: ["production/a#a\(version)"], change: command("train a"))
            records.seal("production/c", "c\(version)", from: ["production/b#b\(version)"], change: command("test b"))
        }
        let found = try difference(records, "production/c", "production/c", (1, 2))
        #expect(!found.isSame && found.steps.map(\.one.path) == ["production/c", "production/b", "production/a"])
        #expect(found.steps.map(\.isOrigin) == [false, false, true])
        #expect(found.steps[0].differences.isEmpty && found.steps[0].inputs.map(\.step) == [1])
        #expect(
            found.steps[2].differences == [
                MakingDifference(what: "arguments", one: "--level 1", other: "--level 2"),
                MakingDifference(what: "commit", one: "c1", other: "c2"),
            ])
        #expect(found.json["steps"]?.list?.last?["begins_here"] == .bool(true))
    }

    @Test func inputsOfOneOnlyAndOfAnotherSession() throws {
        var records = PlayedRecords()
        records.seal("production/a", "1")
        records.seal(
            "production/b", from: ["production/a#1", "development/20260101_000000/x#1", "production/only#5"])
        records.seal("production/c", from: ["production/a#1", "development/20260202_000000/x#2", "test/t/y"])
        let inputs = try difference(records, "production/b", "production/c").steps[0].inputs
        #expect(
            inputs.map { [$0.one?.path, $0.other?.path] } == [
                ["development/20260101_000000/x", "development/20260202_000000/x"], ["production/only", nil],
                [nil, "test/t/y"],
            ])
        // Bytes of which nothing is known are not said to differ.
        records.seal("production/d", from: ["production/x"])
        records.seal("production/e", from: ["production/x"])
        let unsure = try difference(records, "production/d", "production/e")
        #expect(unsure.isSame && unsure.steps[0].inputs.map(\.isKnown) == [false])
    }

    /// Bytes that differ where nothing else is known to are where it begins.
    @Test func whatNothingExplains() throws {
        var records = PlayedRecords()
        for version in ["1", "2"] {
            records.seal("production/a", version, change: command("date"))
            records.seal("production/b", "b\(version)", from: ["production/a#\(version)"], change: command("cat"))
        }
        let found = try difference(records, "production/b", "production/b", (1, 2))
        #expect(found.steps.map(\.isOrigin) == [false, true] && found.steps[1].differences.isEmpty)
        #expect(found.steps[1].unknown == ["inputs"])
    }

    @Test func circlesAreComparedOnce() throws {
        var records = PlayedRecords()
        for version in ["1", "2"] {
            records.seal("production/a", "a\(version)", from: ["production/b#b\(version)!declared"])
            records.seal("production/b", "b\(version)", from: ["production/a#a\(version)!declared"])
        }
        #expect(try difference(records, "production/b", "production/b", (1, 2)).steps.count == 2)
    }

    @Test(
        arguments: [
            ("a --lr 0.1 b", "a --lr 0.2 b", "--lr 0.1", "--lr 0.2"), ("a b", "a b c", "", "c"),
            ("a b c", "a c", "b", ""),
            ("x a b", "y a b", "x", "y"), ("a", "a", "", ""), ("a --v", "a --w", "--v", "--w"),
            ("p -n 1 -m 2 q", "p -n 2 -m 2 r", "-n 1 q", "-n 2 r"),
        ])
    func words(_ one: String, _ other: String, _ left: String, _ right: String) {
        let found = WordDifference.of(
            one.split(separator: " ").map(String.init), other.split(separator: " ").map(String.init))
        #expect(found.one.joined(separator: " ") == left && found.other.joined(separator: " ") == right)
    }

    @Test func allThatIsCompared() {
        var (one, other) = (ArtifactRecord(), ArtifactRecord())
        #expect(MakingDifference.all(one, other).unknown == ["command", "code", "user"])
        var (left, right) = (ArtifactRecord.Writer(), ArtifactRecord.Writer())
        left.argv = ["x"]
        (left.program, right.program) = ("/bin/a", "/bin/b")
        (left.cwd, right.cwd) = ("/x", "/y")
        (left.uid, left.host, right.host) = (5, "n1", "n2")
        (left.exit, right.exit) = (.status(0), .status(1))
        left.environment = ["A": .string("1"), "B": .string("2")]
        right.environment = ["A": .string("1"), "C": .string("3")]
        (one.writer, other.writer) = (left, right)
        one.attributes = ["user.artifact.config": .object(["lr": .number(0.5)]), "user.artifact.note": .string("x")]
        var (run, another) = (ArtifactRecord.ExperimentRun(), ArtifactRecord.ExperimentRun())
        (run.experiment, run.id, another.id) = ("e", "1", "2")
        (one.run, other.run) = (run, another)
        var code = ArtifactRecord.Code()
        (code.role, code.dirty, code.branch) = ("cwd", true, "main")
        one.code = [code]
        #expect(
            MakingDifference.all(one, other).found.map(\.what) == [
                "program", "command", "directory", "branch of the directory", "changes of the directory", "user",
                "host",
                "exit", "experiment", "environment B", "environment C", "attribute user.artifact.config",
            ])
    }
}
