import ArtifactRecords
import Attestations
import TestSupport
import Testing

@Suite struct EnvelopeTests {
    private let key: EllipticKey
    private let half: EllipticKey
    private let files = ["b/y", ".hidden", "a b/ü", "b.txt", "a-b/z", "b/x"].enumerated().map { number, name in
        ModelStatement.Resource(name: name, sha256: String(repeating: "\(number)", count: 64))
    }

    init() throws {
        key = try EllipticKey(.privateKey, pem: SampleKeys.privateKey)
        half = try EllipticKey(.publicKey, pem: SampleKeys.publicKey)
    }

    private func envelope(_ statement: JSONValue) throws -> SignedEnvelope {
        try #require(SignedEnvelope(signing: statement, with: key))
    }

    // MARK: - What is written

    /// The statement of a file, as model_signing has it, to the byte. Its subject is the SHA-256 of the 32 bytes of the file's.
    @Test func theStatementOfAFile() throws {
        let digest = "8db4d84da82d0020646ed808dff19ce516a74a948820cc5cdbbe1ce69c7e037d"
        let statement = ModelStatement(name: "f.tsv", resources: [.init(name: ".", sha256: digest)])
        #expect(
            statement.json.description == #"""
                {"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"f.tsv","digest":{"sha256":"e771b9fe2a3e4770a65aa766dc8f94bcff59fe855df6e40c866ee426fcda3ac0"}}],"predicateType":"https://model_signing/signature/v1.0","predicate":{"serialization":{"method":"files","hash_type":"sha256","allow_symlinks":false},"resources":[{"name":".","algorithm":"sha256","digest":"8db4d84da82d0020646ed808dff19ce516a74a948820cc5cdbbe1ce69c7e037d"}]}}
                """#)
        let text = String(decoding: try envelope(statement.json).text, as: UTF8.self)
        #expect(
            text.hasPrefix(
                #"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"\#(SampleKeys.id)"},"tlogEntries":[]},"dsseEnvelope":{"payload":"eyJ"#
            ))
        #expect(text.hasSuffix("\",\"keyid\":\"\"}]}}\n"))
    }

    /// By the parts of their paths: `a b/ü` is before `a-b/z`, and `b/x` before `b.txt`.
    @Test func filesAreInTheOrderOfTheirPathsParts() {
        let names = ModelStatement(name: "d", resources: files).resources.map(\.name)
        #expect(names == [".hidden", "a b/ü", "a-b/z", "b/x", "b/y", "b.txt"])
    }

    @Test func provenanceSaysWhatTheRecordSays() throws {
        var record = ArtifactRecord()
        #expect(ProvenanceStatement.json(of: record, path: "p", files: [], isDirectory: false) == nil)
        var writer = ArtifactRecord.Writer()
        (writer.host, writer.argv, writer.cwd) = ("node 1", ["python", "x.py", "--key=***"], "/home/a")
        writer.started = TimeText.time("2026-02-15T14:30:22Z")
        record.writer = writer
        var input = ArtifactRecord.Input()
        (input.path, input.version, input.sha256, input.how) = (
            "production/a", 2, String(repeating: "a", count: 64), .process
        )
        record.inputs = [input]
        record.inputsLeftOut = 3
        var code = ArtifactRecord.Code()
        (code.commit, code.remote, code.dirty, code.role) = ("c0ffee", "https://example.org/x.git", true, "script")
        (code.script, code.sha256) = ("/home/a/x.py", String(repeating: "b", count: 64))
        var short = ArtifactRecord.Code()
        (short.commit, short.remote) = ("c0ffee", "git@example.org:x.git")
        record.code = [code, short]
        var run = ArtifactRecord.ExperimentRun()
        run.id = "r-1"
        record.run = run
        let file = ModelStatement.Resource(name: ".", sha256: String(repeating: "d", count: 64))
        let statement = try #require(
            ProvenanceStatement.json(of: record, path: "production/p", files: [file], isDirectory: false))
        let (a, b, d) = (input.sha256 ?? "", code.sha256 ?? "", file.sha256)
        #expect(
            statement.description
                == #"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"production/p","digest":{"sha256":"\#(d)"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"urn:x-artifactfs:observed-writer:v1","externalParameters":{"argv":["python","x.py","--key=***"],"cwd":"/home/a"},"internalParameters":{"inputs_left_out":3},"resolvedDependencies":[{"name":"production/a@2","digest":{"sha256":"\#(a)"},"annotations":{"how":"process"}},{"uri":"git+https://example.org/x.git@c0ffee","name":"https://example.org/x.git","digest":{"gitCommit":"c0ffee"},"annotations":{"role":"script","dirty":true}},{"name":"/home/a/x.py","digest":{"sha256":"\#(b)"},"annotations":{"role":"script"}},{"name":"git@example.org:x.git","digest":{"gitCommit":"c0ffee"}}]},"runDetails":{"builder":{"id":"urn:x-artifactfs:host:node%201"},"metadata":{"invocationId":"r-1","startedOn":"2026-02-15T14:30:22.000000000Z"}}}}"#
        )
        let said = try ProvenanceStatement(statement)
        #expect(said.subjects.map(\.name) == ["production/p"] && said.inputs.count == 2)
        #expect(said.difference(from: said) == nil)
        record.inputs[0].sha256 = d
        let other = try #require(
            ProvenanceStatement.json(of: record, path: "production/p", files: [file], isDirectory: false))
        #expect(said.difference(from: try ProvenanceStatement(other))?.contains("made from") == true)
    }

    // MARK: - What is read

    @Test func whatIsSignedIsVerified() throws {
        let statement = ModelStatement(name: "d", resources: files)
        let read = try SignedEnvelope(reading: envelope(statement.json).text)
        let said = try ModelStatement(try read.verify(with: half))
        #expect(said == statement && said.differences(from: files).isEmpty && said.leftOut(of: files).isEmpty)
        let fewer = Array(files.dropLast())
        #expect(said.differences(from: fewer) == ["'b/x' is signed, and is not in it"])
        let more = files + [.init(name: "new", sha256: files[0].sha256)]
        #expect(said.differences(from: more) == ["'new' is not signed"])
        let changed = files.dropLast() + [.init(name: "b/x", sha256: files[0].sha256)]
        #expect(said.differences(from: Array(changed)).first?.hasPrefix("the SHA-256 of 'b/x' is ") == true)
        let other = try EllipticKey(.publicKey, pem: SampleKeys.otherPublicKey)
        #expect(throws: EnvelopeFault.self) { try read.verify(with: other) }
    }

    /// A file that a signature leaves out has to be named in it, whole or by its directory.
    @Test func whatIsLeftOutIsNamed() throws {
        let all = ModelStatement(name: "d", resources: files + [.init(name: ".git/x", sha256: files[0].sha256)])
        func reading(_ ignored: [JSONValue]) throws -> ModelStatement {
            var json = try #require(ModelStatement(name: "d", resources: files).json.object)
            var predicate = try #require(json["predicate"]?.object)
            var serialization = try #require(predicate["serialization"]?.object)
            serialization["ignore_paths"] = .array(ignored)
            predicate["serialization"] = .object(serialization)
            json["predicate"] = .object(predicate)
            return try ModelStatement(.object(json))
        }
        for ignored in [".git", ".git/x"] {
            let said = try reading([.string(ignored)])
            #expect(said.differences(from: all.resources).isEmpty && said.leftOut(of: all.resources) == [".git/x"])
        }
        for ignored in [.string(".gi"), .string(""), .string("."), .string("/"), .integer(1), .null] as [JSONValue] {
            #expect(try reading([ignored]).differences(from: all.resources) == ["'.git/x' is not signed"])
        }
        // The whole of a file is never left out.
        let itself = [ModelStatement.Resource(name: ".", sha256: files[0].sha256)]
        #expect(try !reading([.string(".")]).differences(from: itself).isEmpty)
    }

    /// Each value of a signature and of its statement, one after the other, is taken out or is something else. Nothing of it may crash, and what
    /// is not what was signed is never taken for it.
    @Test func aSignatureOfWhichAnythingIsElse() throws {
        let statement = ModelStatement(name: "d", resources: files)
        let whole = try #require(JSONValue(parsing: try envelope(statement.json).text))
        // What says nothing of what is signed, or may be missing.
        let free: Set = ["verificationMaterial.tlogEntries", "dsseEnvelope.signatures.0.keyid"]
        var seen = 0
        for (path, changed) in Self.changes(of: whole) {
            seen += 1
            guard let read = try? SignedEnvelope(reading: Array(changed.description.utf8)),
                let said = try? read.verify(with: half)
            else { continue }
            let isFree =
                free.contains { path.hasPrefix($0) } || path.hasPrefix("verificationMaterial.publicKey")
            #expect(isFree && said == statement.json, "\(path): \(changed)")
        }
        // Signed by the key itself: what it says is checked all the same.
        for (path, changed) in Self.changes(of: statement.json) {
            seen += 1
            let read = try SignedEnvelope(reading: envelope(changed).text)
            let payload = try read.verify(with: half)
            guard let said = try? ModelStatement(payload) else { continue }
            let isTrue = said.differences(from: files).isEmpty
            #expect(isTrue || path.hasPrefix("predicate.resources"), "\(path): \(changed)")
            _ = try? ProvenanceStatement(payload)
        }
        #expect(seen > 500)
    }

    @Test func randomBytesAreNoSignature() throws {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        let text = try envelope(ModelStatement(name: "d", resources: files).json).text
        for _ in 0..<3000 {
            var changed = text
            for _ in 0...Int.random(in: 0..<3, using: &generator) {
                changed[Int.random(in: changed.indices, using: &generator)] = .random(
                    in: .min ... .max, using: &generator)
            }
            guard let read = try? SignedEnvelope(reading: changed), let said = try? read.verify(with: half) else {
                continue
            }
            #expect(said == ModelStatement(name: "d", resources: files).json, "seed \(seed)")
        }
        for length in [0, 1, 63, 64, text.count - 2] {
            #expect(throws: EnvelopeFault.self) {
                try SignedEnvelope(reading: Array(text.prefix(length)))
            }
        }
        let deep = Array(String(repeating: "[", count: 100_000).utf8)
        #expect(throws: EnvelopeFault.self) { try SignedEnvelope(reading: deep) }
    }

    /// A value with each value in it taken out or made another, with the path of that.
    private static func changes(of value: JSONValue) -> [(path: String, JSONValue)] {
        let others: [JSONValue] = [
            .null, .bool(true), .integer(0), .integer(-1), .integer(.min), .integer(.max), .number(1e300), .string(""),
            .string("=\u{0}é"), .string("===="), .string("AAAA"), .array([]), .array([.null]), .object([:]),
        ]
        var found: [(String, JSONValue)] = others.filter { $0 != value }.map { ("", $0) }
        func inside(_ name: String, _ path: String) -> String { path.isEmpty ? name : name + "." + path }
        switch value {
        case .object(let members):
            for (key, inner) in members.sorted {
                var less = members
                less[key] = nil
                found.append((key, .object(less)))
                for (path, changed) in changes(of: inner) {
                    var other = members
                    other[key] = changed
                    found.append((inside(key, path), .object(other)))
                }
            }
        case .array(let values):
            for (place, inner) in values.enumerated() {
                found.append(("\(place)", .array(values + [inner])))
                found.append(("\(place)", .array(Array(values[..<place] + values[(place + 1)...]))))
                for (path, changed) in changes(of: inner) {
                    var other = values
                    other[place] = changed
                    found.append((inside("\(place)", path), .array(other)))
                }
            }
        default: break
        }
        return found
    }

    @Test func base64IsReadAsItIsWritten() {
        for count in 0..<70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            #expect(Base64Text.decoded(Base64Text.encoded(bytes)) == bytes)
        }
        for text in ["A", "AA", "AAA", "A===", "====", "AA=A", "AAA\n", "AB==", "AAB=", "A A=", "AA-_", "é==="] {
            #expect(Base64Text.decoded(text) == nil, "\(text)")
        }
    }
}
