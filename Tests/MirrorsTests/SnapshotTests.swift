import ArtifactRecords
import TestSupport
import Testing

@testable import Mirrors

/// What a bucket says that a store consisted of is read, or is none: nothing that is read leads out of the store, or to a number that there is not.
@Suite struct SnapshotTests {
    private static let sha256 = String(repeating: "ab", count: 32)

    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// One with all that there is.
    private static let whole = MirrorSnapshot(
        number: 7, store: "0123456789abcdef0123456789abcdef", time: "2026-02-15T14:30:22.000000000Z",
        entries: [
            .init(path: bytes("base_layer"), content: .directory, mode: 0o2775),
            .init(
                path: bytes("base_layer/chr1.tsv"),
                content: .file(size: 8, sha256: sha256, key: "artifacts/a/\(sha256)"),
                mode: 0o444, modified: 1_794_659_415_000_000_000, attributes: ["user.artifact.note": [0, 1, 0xFF]],
                isArtifact: true, version: "v1"),
            .init(path: bytes("base_layer/deep"), content: .directory, mode: 0o555, modified: .min, isArtifact: true),
            .init(
                path: bytes("base_layer/deep/") + [0xFF, 0x0A, 0x25],
                content: .file(size: .max - 100, sha256: sha256, key: "artifacts/d/\(sha256)/x"), mode: 0o400),
            .init(path: bytes(".artifactfs"), content: .directory, mode: 0o700),
            .init(path: bytes(".artifactfs/ledger"), content: .directory, mode: 0o700),
            .init(
                path: bytes(".artifactfs/ledger/node.jsonl"),
                content: .pieces([
                    .init(key: "ledger/node.jsonl/0-a", size: 5, sha256: sha256, version: "v2"),
                    .init(key: "ledger/node.jsonl/5-b", size: 6, sha256: sha256),
                ]), mode: 0o600),
            .init(
                path: bytes(".artifactfs/format"), content: .file(size: 0, sha256: sha256, key: "store/format/x"),
                mode: 0o600),
        ], absent: [.init(title: "production/base/x@2", sha256: sha256)])

    @Test func isReadAsItWasWritten() {
        let read = MirrorSnapshot.read(Self.whole.text)
        #expect(read.snapshot == Self.whole, "\(read.problem)")
        #expect(Self.whole.artifacts == 2 && Self.whole.bytes == .max - 100 + 19 && Self.whole.objects.count == 5)
        #expect(MirrorSnapshot.number(ofKey: Self.whole.key) == 7)
        for key in [
            "snapshots/7.jsonl", "snapshots/000000000000.jsonl", "snapshots/-00000000007.jsonl", "x",
            "snapshots/9223372036854775807.jsonl", "snapshots/000000000007.jsonl2",
            "snapshots/00000000000\u{0667}.jsonl",
        ] {
            #expect(MirrorSnapshot.number(ofKey: key) == nil, "\(key)")
        }
    }

    // MARK: - By hand

    private static func lines(_ snapshot: MirrorSnapshot) -> [String] {
        String(decoding: snapshot.text, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private static func read(_ lines: [String]) -> MirrorSnapshot? {
        MirrorSnapshot.read(Array(lines.joined(separator: "\n").utf8)).snapshot
    }

    /// With an entry more.
    private static func with(_ line: String) -> MirrorSnapshot? {
        var lines = lines(whole)
        lines[0] = lines[0].replacing("\"entries\":8", with: "\"entries\":9")
        return read(lines + [line])
    }

    private static func file(_ path: String, _ more: String = "") -> String {
        """
        {"path":"\(path)","mode":"444","size":1,"sha256":"\(sha256)","key":"artifacts/x"\(more)}
        """
    }

    @Test func oneMoreIsRead() {
        #expect(Self.with(Self.file("base_layer/more")) != nil, "what follows is refused for what it says")
        #expect(Self.with("{\"path\":\"meta_layer\",\"mode\":\"755\",\"kind\":\"directory\"}") != nil)
    }

    @Test(
        arguments: [
            "..", "../x", "base_layer/..", "base_layer/../../x", "/etc/passwd", "/", "", ".", "./base_layer/x",
            "base_layer/./x",
            "base_layer//x", "base_layer/", "base_layer/x/", "base_layer/%00", "base_layer/a%00b",
            "base_layer/%2E%2E/x", "base_layer/%2F",
            "base_layer/%", "base_layer/%2", "base_layer/a b", "etc/x", "etc", "base_layer2/x", ".artifactfs2/x",
            ".artifactfs/mirrors/m/mirror.json",
            ".artifactfs/staging/x", ".artifactfs/lock", ".artifactfs/absent.jsonl", ".artifactfs/catalog/x",
            ".artifactfs/ledger2",
            // Taken, or below a file, or below what is not there.
            "base_layer/chr1.tsv", "base_layer/chr1.tsv/x", "base_layer/none/x", "meta_layer/x", ".artifactfs",
            "base_layer",
            "base_layer/" + String(repeating: "n", count: 256),
        ])
    func nothingLeadsElsewhere(_ path: String) {
        #expect(Self.with(Self.file(path)) == nil)
        #expect(Self.with("{\"path\":\"\(path)\",\"mode\":\"755\",\"kind\":\"directory\"}") == nil)
    }

    @Test(
        arguments: [
            // Rights of others, sizes that are none, hashes and keys that are none.
            #""mode":"4755""#, #""mode":"2755""#, #""mode":"1777""#, #""mode":"-1""#, #""mode":"37777777777""#,
            #""mode":444"#,
            #""size":-1"#, #""size":9223372036854775807"#, #""size":9223372036854775808"#, #""size":1e300"#,
            #""size":"1""#,
            #""sha256":"""#, #""sha256":"zz""#, #""key":"""#, #""key":"../x""#, #""key":"a/../x""#, #""key":"/x""#,
            #""key":"a//x""#, #""key":"a b""#, #""key":"a\n""#, #""key":"é""#, #""kind":"directory","mode":"7777""#,
            #""pieces":[{}]"#, #""pieces":"x""#, #""attributes":{"trusted.x":"AA=="}"#, #""attributes":{"user.x":"?"}"#,
            #""attributes":{"user.\u0000":"AA=="}"#,
        ])
    func whatIsNoneIsRefused(_ member: String) throws {
        var line = try #require(JSONValue(parsing: Self.file("base_layer/more").utf8)?.object)
        for (name, value) in try #require(JSONValue(parsing: "{\(member)}".utf8)?.object).sorted { line[name] = value }
        #expect(Self.with(JSONValue.object(line).description) == nil)
    }

    @Test func headsThatAreNoneAreRefused() throws {
        let lines = Self.lines(Self.whole)
        for (old, new) in [
            ("\"entries\":8", "\"entries\":7"), ("\"entries\":8", "\"entries\":-1"), ("\"number\":7", "\"number\":0"),
            ("\"number\":7", "\"number\":9223372036854775807"), ("\"number\":7", "\"number\":9007199254740992"),
            ("\"format\":1", "\"format\":2"), ("\"format\":1", "\"format\":\"1\""),
            ("\"absent\":[", "\"absent\":[1,"), ("\"absent\":[", "\"absent\":{\"a\":["),
        ] {
            #expect(lines[0].contains(old))
            #expect(Self.read([lines[0].replacing(old, with: new)] + lines.dropFirst()) == nil, "\(new)")
        }
        #expect(Self.read([]) == nil && Self.read(["{}"]) == nil && Self.read(Array(lines.dropLast())) == nil)
    }

    // MARK: - By structure

    private static let numbers: [JSONValue] = [
        .integer(0), .integer(-1), .integer(.min), .integer(.max), .integer(1 << 53), .integer(1 << 62),
    ]
    private static let texts: [JSONValue] = [
        "", ".", "..", "../x", "/x", "base_layer", "base_layer/x", "base_layer/../..", "base_layer//", "a\u{0}b", "%00",
        "%2F",
        "base_layer/chr1.tsv/x", ".artifactfs/ledger/x", "7777", "777", "0", "-1", "directory",
        String(repeating: "x", count: 5000), sha256,
    ].map { .string($0) }
    private static let others: [JSONValue] = [
        .null, .bool(true), .array([]), .object([:]), .array([.object([:])]), .array([.integer(.max)]),
        .array([
            .object(["key": .string("k"), "size": .integer(.max), "sha256": .string(sha256)]),
            .object(["key": .string("k"), "size": .integer(.max), "sha256": .string(sha256)]),
            .object(["key": .string("k"), "size": .integer(2), "sha256": .string(sha256)]),
        ]),
    ]

    /// Changes something in it, anywhere.
    private static func changed(_ value: JSONValue, _ random: inout SplitMix64) -> JSONValue {
        let isDeeper = Int.random(in: 0..<3, using: &random) > 0
        switch value {
        case .object(let object) where isDeeper:
            guard let (name, old) = object.sorted.map({ ($0.key, $0.value) }).randomElement(using: &random) else {
                break
            }
            var object = object
            switch Int.random(in: 0..<5, using: &random) {
            case 0: object[name] = nil
            case 1:
                object[["kind", "pieces", "size", "path", "key"].randomElement(using: &random) ?? ""] = changed(
                    old, &random)
            default: object[name] = changed(old, &random)
            }
            return .object(object)
        case .array(var list) where isDeeper && !list.isEmpty:
            let place = Int.random(in: 0..<list.count, using: &random)
            if Bool.random(using: &random) {
                list.append(list[place])
            } else {
                list[place] = changed(list[place], &random)
            }
            return .array(list)
        default: break
        }
        let all = [numbers, texts, others].randomElement(using: &random) ?? []
        return all.randomElement(using: &random) ?? .null
    }

    @Test(arguments: 0..<8) func hostileOnesAreReadOrRefused(part: Int) throws {
        var random = SplitMix64(seed: UInt64(part) &+ 20)
        let before = Self.lines(Self.whole)
        var count = 0
        for round in 0..<4000 {
            var lines = before
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                let place = Int.random(in: 0..<lines.count, using: &random)
                switch Int.random(in: 0..<6, using: &random) {
                case 0: lines.remove(at: place)
                case 1: lines.insert(lines[place], at: Int.random(in: 0...lines.count, using: &random))
                case 2: lines.swapAt(place, Int.random(in: 0..<lines.count, using: &random))
                case 3:
                    var bytes = Array(lines[place].utf8)
                    if !bytes.isEmpty {
                        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                            in: 1...255, using: &random)
                    }
                    lines[place] = String(decoding: bytes, as: UTF8.self)
                default:
                    let value = try #require(JSONValue(parsing: before[min(place, before.count - 1)].utf8))
                    lines[place] = Self.changed(value, &random).description
                }
                if lines.isEmpty { lines = [""] }
            }
            // As many as it says, more often than not.
            if Int.random(in: 0..<4, using: &random) > 0 {
                lines[0] = lines[0].replacing("\"entries\":8", with: "\"entries\":\(lines.count - 1)")
            }
            guard let read = Self.read(lines) else { continue }
            count += 1
            Self.expectSound(read, "part \(part), round \(round): \(lines)")
        }
        #expect(count > 100, "some are read all the same")
    }

    /// What a restore goes by.
    private static func expectSound(_ snapshot: MirrorSnapshot, _ comment: String) {
        var kinds: [[UInt8]: Bool] = [[]: true]
        var (sum, isOver) = (Int64(0), false)
        for entry in snapshot.entries {
            let parts = entry.path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map(Array.init)
            #expect(
                !entry.path.contains(0) && !parts.contains { [[], bytes("."), bytes("..")].contains($0) }, "\(comment)")
            #expect(["base_layer", "meta_layer", ".artifactfs"].map(bytes).contains(parts.first ?? []), "\(comment)")
            #expect(kinds[Array(parts.dropLast().joined(separator: [UInt8(ascii: "/")]))] == true, "\(comment)")
            #expect(kinds.updateValue(entry.content == .directory, forKey: entry.path) == nil, "\(comment)")
            var pieces: [MirrorSnapshot.Piece] = []
            switch entry.content {
            case .directory: #expect(entry.mode <= 0o3777, "\(comment)")
            case .file(let size, let sha256, let key): pieces = [.init(key: key, size: size, sha256: sha256)]
            case .pieces(let all): pieces = all
            }
            if entry.content != .directory { #expect(entry.mode <= 0o777, "\(comment)") }
            for piece in pieces {
                #expect(piece.size >= 0 && piece.sha256.utf8.count == 64 && !piece.key.isEmpty, "\(comment)")
                #expect(
                    !piece.key.split(separator: "/", omittingEmptySubsequences: false).contains {
                        ["", ".", ".."].contains($0)
                    })
                let (more, hasOverflown) = sum.addingReportingOverflow(piece.size)
                (sum, isOver) = (more, isOver || hasOverflown)
            }
            #expect(entry.attributes.keys.allSatisfy { $0.hasPrefix("user.") && !$0.utf8.contains(0) }, "\(comment)")
        }
        #expect(!isOver && snapshot.number > 0 && snapshot.number < 1 << 53, "\(comment)")
        #expect(MirrorSnapshot.read(snapshot.text).snapshot == snapshot, "\(comment)")
    }
}
