import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

/// What a writer says with extended attributes stands in the record.
@Suite struct WriterStatementTests {
    private func record(
        _ store: Store, name: String = "gene_manifest.tsv", _ attributes: [(String, [UInt8])]
    ) throws -> ArtifactRecord {
        let staged = try TemporaryStore.stage(store, "a\tb\n1\t2\n")
        for (name, value) in attributes { try staged.setExtendedAttribute(name, to: value) }
        guard case .sealed = store.publish(TemporaryStore.request(store, staged, name: name)) else {
            throw Errno.ioError
        }
        let history = try store.history(of: "production/base/gene_manifest/" + name)
        return try #require(history.sealed)
    }

    @Test func attributesOfEveryKind() throws {
        let temporary = try TemporaryStore()
        let store = try temporary.open()
        let record = try record(
            store,
            [
                ("user.artifact.config", Array(#"{"lr": 0.1, "layers": [1, 2]}"#.utf8)),
                ("user.artifact.note", Array("not {json".utf8)), ("user.artifact.experiment_id", Array("42".utf8)),
                ("user.mime_type", Array("text/plain".utf8)), ("user.raw", [0xff, 0xfe, 0x00]), ("user.empty", []),
                ("user.artifact.seal", Array("no".utf8)),
            ])
        let expected: JSONObject = [
            "user.artifact.config": .object(["lr": .number(0.1), "layers": .array([.integer(1), .integer(2)])]),
            "user.artifact.experiment_id": .string("42"), "user.artifact.note": .string("not {json"),
            "user.empty": .string(""), "user.mime_type": .string("text/plain"),
            "user.raw": .object(["base64": .string("//4A")]),
        ]
        #expect(record.attributes == expected)
        #expect(record.inputs.isEmpty && record.outside.isEmpty)
        store.close()
    }

    @Test(arguments: [
        (#"{"seed": 18446744073709551615}"#, true), (#"[1e999]"#, true), (#"{"a": NaN}"#, true), (#""x""#, true),
        (#"7"#, true), (#"{"seed": 9223372036854775807}"#, false), (#"[]"#, false), ("{\"a\": 1}\n", false),
    ])
    func numbersThatAreNotKeptExactlyStayText(_ text: String, _ staysText: Bool) {
        let value = WriterStatement.json(Array(text.utf8), isParsed: true)
        #expect((value == .string(text)) == staysText, "\(value)")
        #expect(WriterStatement.json(Array(text.utf8), isParsed: false) == .string(text))
    }

    @Test func base64OfEveryLength() {
        let expected = ["", "/w==", "//8=", "////", "/////w=="]
        for (count, text) in expected.enumerated() where count > 0 {
            let value = WriterStatement.json([UInt8](repeating: 0xff, count: count), isParsed: true)
            #expect(value == .object(["base64": .string(text)]))
        }
    }

    /// The values' bytes together are bounded: what does not fit is named with its length.
    @Test func whatIsTooMuchIsLeftOut() throws {
        let temporary = try TemporaryStore(in: "/dev/shm")
        let store = try temporary.open()
        let big = [UInt8](repeating: UInt8(ascii: "x"), count: 40_000)
        let record = try record(store, [("user.a", big), ("user.b", big), ("user.c", Array("small".utf8))])
        #expect(record.attributes["user.a"]?.string?.utf8.count == 40_000)
        #expect(record.attributes["user.b"] == .object(["left_out": .integer(40_000)]))
        #expect(record.attributes["user.c"] == .string("small"))
        store.close()
    }

    @Test(arguments: [true, false]) func inputsThatAreNamed(asJSON: Bool) throws {
        let temporary = try TemporaryStore()
        let store = try temporary.open()
        store.isShown(at: "/mnt/art") { "20260215_143022" }
        let first = try record(store, [])
        let paths = [
            "/mnt/art/production/base/gene_manifest/gene_manifest.tsv", "production/base/splice_errors/chr1.tsv",
            "/mnt/art/development/current/scratch/x y", "/data/hg38.fa",
            "production/base/gene_manifest/gene_manifest.tsv",
        ]
        let json = JSONValue.array(paths.map { .string($0) }).description
        let value = asJSON ? json : paths.joined(separator: "\n") + "\n"
        let staged = try TemporaryStore.stage(store, "a\tb\n1\t2\n")
        try staged.setExtendedAttribute(ArtifactAttribute.inputs, to: Array(value.utf8))
        var request = TemporaryStore.request(store, staged, name: "splice_errors.tsv")
        request.record.artifact.path = "production/base/splice_errors/splice_errors.tsv"
        guard case .sealed = store.publish(request) else { throw Errno.ioError }
        let record = try #require(
            try store.history(of: "production/base/splice_errors/splice_errors.tsv").sealed)
        #expect(
            record.inputs.map(\.path) == [
                "production/base/gene_manifest/gene_manifest.tsv", "production/base/splice_errors/chr1.tsv",
                "development/20260215_143022/scratch/x y",
            ])
        #expect(record.inputs.allSatisfy { $0.how == .declared })
        #expect(record.inputs.map(\.sha256) == [first.artifact.sha256, nil, nil])
        #expect(record.outside.map(\.path) == ["/data/hg38.fa"])
        #expect(record.attributes[ArtifactAttribute.inputs] == nil)
        store.close()
    }

    /// What is no list of paths stays as it was said.
    @Test func whatIsNoListOfPaths() throws {
        let temporary = try TemporaryStore()
        let store = try temporary.open()
        let said = try record(store, [(ArtifactAttribute.inputs, Array(#"[{"path": 1}]"#.utf8))])
        #expect(said.inputs.isEmpty && said.attributes[ArtifactAttribute.inputs]?.string == #"[{"path": 1}]"#)
        store.close()
    }
}
