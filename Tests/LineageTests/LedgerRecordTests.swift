import ArtifactRecords
import Glibc
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import Lineage

/// DISK FORMAT, "The ledger": the records of all ledgers, each once.
@Suite struct LedgerRecordTests {
    private func line(
        _ event: String, _ seq: Int, _ staged: String, _ record: String, time: String = "2026-02-15T14:30:22.000000000Z"
    ) -> String {
        #"{"seq":\#(seq),"prev":"","time":"\#(time)","event":"\#(event)","mount":"m","staged":"\#(staged)","#
            + #""directory":"base_layer","name":"x","inode":1,"size":8,"modified":"\#(time)","sha256":"beside","record":\#(record)}"#
    }

    private func record(_ path: String, _ more: String = "") -> String {
        #"{"artifact":{"path":"\#(path)","size":8,"sha256":"h","content":{"columns":[{"name":"a \" ] } b"}]}},"#
            + #""writer":{"argv":["x","{\"inputs\":[1]}","\\"]},"inputs":[{"path":"production/in","how":"pipe"}]\#(more)}"#
    }

    private func read(_ files: [String: [String]], _ body: (inout LedgerRecords) throws -> Void) throws {
        let directory = try TemporaryDirectory()
        for (name, lines) in files { try write(lines.joined(separator: "\n") + "\n", to: directory.path + "/" + name) }
        let descriptor = try SystemCall.open(SystemCall.currentDirectory, directory.path, O_RDONLY | O_DIRECTORY)
        defer { SystemCall.close(descriptor) }
        var records = try LedgerRecords(LedgerReader(directory: descriptor))
        try body(&records)
    }

    @Test func intentsCountUntilTheyAreSettled() throws {
        try read([
            "a.jsonl": [
                line("seal-intent", 1, "1", record("production/1")), line("sealed", 2, "1", record("production/1")),
                line("seal-intent", 3, "2", record("production/2")),
                line("quarantined", 4, "2", record("production/2")),
                line("seal-intent", 5, "3", record("production/3")),
                line("seal-intent", 6, "4", record("production/4")),
                #"{"seq":7,"prev":"","time":"","event":"denied","path":"production/1"}"#, "not a line",
            ],
            // Another host has settled one.
            "b.jsonl": [line("restored", 1, "4", record("production/4"))],
        ]) { records in
            #expect(Set(records.index.records.map(\.path)) == ["production/1", "production/3"])
            let id = try #require(records.index.sealed(at: "production/1").first)
            let found = try records.whole([id])
            let whole = try #require(found[id])
            #expect(whole.writer?.argv?.count == 3 && whole.artifact.sha256 == "h")
        }
    }

    /// What is read quickly is what is read slowly.
    @Test func aLineInParts() throws {
        let text = line(
            "sealed", 1, "1",
            record(
                "production/\\u00e9 \\\"x\\\"",
                #","origin":{"path":"test/t/x"},"times":{"sealed":"2026-02-15T14:30:20.5Z"},"new":[{}]"#))
        let line = try #require(LedgerLine(parsing: text.utf8))
        let whole = try #require(line.record)
        let slow = try #require(RecordSummary(whole, place: .kept(0)))
        let json = try #require(RecordScan.record(in: Array(text.utf8)[...]))
        let quick = try #require(RecordSummary(ArtifactRecord(json), json: json, time: line.time, place: .kept(0)))
        #expect(quick.path == "production/\u{e9} \"x\"" && quick.path == slow.path && quick.time == slow.time)
        #expect(quick.sha256 == slow.sha256 && quick.origin == "test/t/x" && quick.inputs == slow.inputs)
        // Whatever is cut off or in disorder is no record, and nothing traps.
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count { #expect(RecordScan.record(in: bytes[..<count]) == nil) }
        var random = SplitMix64(seed: Seed.fromEnvironment())
        for _ in 0..<20_000 {
            var changed = bytes
            for _ in 0..<3 {
                changed[Int.random(in: 0..<changed.count, using: &random)] =
                    Array("{}[]\",:\\x0".utf8).randomElement(using: &random) ?? 0
            }
            _ = RecordScan.record(in: changed[...])
        }
    }

    /// Lines of an earlier version, and an empty list of inputs, which says that there were none.
    @Test func earlierAndLaterRecords() throws {
        try read([
            "a.jsonl": [
                line("sealed", 1, "1", #"{"path":"production/old","command":"awk x"}"#),
                line("sealed", 2, "2", #"{"artifact":{"path":"production/none","sha256":"h"},"inputs":[]}"#),
                line("sealed", 3, "3", #"{"artifact":{"path":"production/beside"}}"#),
            ]
        ]) { records in
            func summary(_ path: String) -> RecordSummary {
                records.index[records.index.sealed(at: path)[0]]
            }
            #expect(summary("production/old").sha256 == "beside" && summary("production/beside").sha256 == "beside")
            #expect(summary("production/none").knowsInputs && !summary("production/old").knowsInputs)
        }
    }

    /// Several files of a host, and clocks of hosts that differ: versions are in the order of their times.
    @Test func filesAndHosts() throws {
        func at(_ second: Int, _ seq: Int) -> String {
            line("sealed", seq, "\(second)", record("production/x"), time: "2026-02-15T14:30:0\(second).000000000Z")
        }
        try read(["a.jsonl": [at(1, 1), at(5, 2)], "a~2.jsonl": [at(7, 3)], "b.jsonl": [at(3, 1), at(9, 2)]]) {
            records in
            let ids = records.index.sealed(at: "production/x")
            #expect(ids.map { String(records.index[$0].time.dropFirst(18).prefix(1)) } == ["1", "3", "5", "7", "9"])
            #expect(ids.map { records.index.version(of: $0) } == [1, 2, 3, 4, 5])
            let whole = try records.whole(ids)
            #expect(whole.count == 5)
        }
    }
}
