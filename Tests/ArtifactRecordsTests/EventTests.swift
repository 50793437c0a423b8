import ArtifactRecords
import Artifacts
import Testing

@Suite struct EventTests {
    static let intent = SealIntent(
        mount: "m", staged: "a-1-x", directory: "base_layer", name: "x.tsv", inode: .max, size: .max, modified: "then",
        sha256: "00", record: ["artifact": .object(["path": .string("p")])])
    static let together: SealIntent = {
        var intent = Self.intent
        intent.together = "r"
        return intent
    }()
    static let immutable: SealIntent = {
        var intent = Self.intent
        intent.isImmutable = true
        return intent
    }()
    static let kept = LedgerEvent.NotPublished(
        mount: "m", staged: "a-1-x", reason: "it is cut", rule: "failed-check",
        record: ["artifact": .object(["path": .string("p")])])

    static let left = LedgerEvent.LeftQuarantine(
        mount: "m", quarantined: "q", path: "p", to: "t", size: 3, sha256: "00", reason: "it is cut", uid: 1, pid: 2,
        command: "rm")

    static let leaving = UnsealedArtifact(
        mount: "m", together: "t", count: 2, unsealing: .superseded, path: "p", directory: "base_layer", name: "x.tsv",
        version: 3, inode: .max, size: .max, sha256: "00", successor: "a-1-x", reason: "wrong", uid: 1, pid: 2,
        command: "sh")
    static let retracted: UnsealedArtifact = {
        var artifact = Self.leaving
        (artifact.unsealing, artifact.successor) = (.retracted, nil)
        return artifact
    }()
    static let removed: LedgerEvent.RemovedSession = {
        var removed = LedgerEvent.RemovedSession(
            mount: "m", session: "s", directories: ["base_layer/dev/s": 7, "meta_layer/dev/s": .max], files: 2,
            bytes: 3, reason: "it is old", uid: 1, pid: 2, command: "artifactfs")
        removed.metadata = "{\"metrics\": {\"loss\": NaN}}\n"
        return removed
    }()
    static let long: LedgerEvent.RemovedSession = {
        var long = Self.removed
        (long.metadata, long.metadataLeftOut) = (nil, 1 << 30)
        return long
    }()

    static let cleared = LedgerEvent.RemovedVersion(
        mount: "m", path: "p", directory: "base_layer", name: "x.tsv", version: 3, inode: .max, size: .max,
        sha256: "00",
        reason: "it is old", uid: 1, pid: 2, command: "artifactfs")

    static let promoted = PromotionIntent(
        mount: "m", staged: "a-1-x", path: "p", from: "development/20260215_143022/x", directory: "base_layer/dev",
        name: "x.tsv", inode: .max, mode: 0o640, isCopy: false)
    static let copied: PromotionIntent = {
        var intent = Self.promoted
        intent.isCopy = true
        return intent
    }()

    static let whole: PromotionIntent = {
        var intent = Self.promoted
        intent.isDirectory = true
        intent.modes = DirectoryModes(files: 0o644, directories: 0o2755, others: ["sub/x%20y": 0o600, "sub": 0o700])
        return intent
    }()

    static let evicted = LedgerEvent.EvictedArtifact(
        mount: "m", path: "production/base/splice_errors/x.tsv", directory: "base_layer", name: "x.tsv",
        mirror: "cloud", key: "artifacts/base_layer/x.tsv/00", objectVersion: "v1", inode: .max, size: 5, sha256: "00",
        uid: 1, pid: 2, command: "artifactfs")

    static let all: [LedgerEvent] = [
        .sessionRemoved(removed), .sessionRemoved(long), .sessionKept(session: "s", mount: "m", reason: "it is busy"),
        .promotionIntent(promoted), .promotionIntent(copied), .promotionIntent(whole),
        .sessionBegun(session: "s", mount: "m"), .sessionResumed(session: "s", mount: "m"), .sealIntent(intent),
        .runBegun(.init(mount: "m", run: "r", session: "s", uid: 1, pid: 2, facts: ["a": .integer(1)])),
        .runEnded(.init(mount: "m", run: "r", session: "s", uid: 1, pid: 2, facts: ["status": .integer(0)])),
        .runSealing(mount: "m", run: "r", artifacts: 3), .sealIntent(Self.together),
        .sealed(intent, isRecovered: false), .sealed(intent, isRecovered: true), .quarantined(kept, as: "q"),
        .restored(kept), .sealAbandoned(kept), .discarded(left), .takenOut(left),
        .removedEmpty(
            .init(mount: "m", staged: "a-1-x", path: "p", uid: 1, pid: 2, command: "sh", detail: "nothing came")),
        .removedTransient(.init(mount: "m", staged: "t-1-x", path: "p", size: 3)),
        .attributesSet(
            .init(mount: "m", path: "p", mode: "0444", modified: "then", uid: 1, pid: 2, command: "touch")),
        .unsealIntent(leaving), .unsealed(leaving), .unsealed(retracted), .unsealAbandoned(leaving),
        .versionRemoved(cleared), .versionKept(cleared), .evicted(evicted), .recalled(evicted),
        .tagged(
            .init(mount: "m", tag: "paper", moment: "then", note: "as sent", uid: 1, pid: 2, command: "artifactfs")),
        .flagLifted(.init(mount: "m", file: "base_layer/x.tsv", inode: .max, reason: "attributes")),
        .flagRestored(.init(mount: "m", file: "base_layer/x.tsv", inode: 7, reason: "attributes")),
        .sealIntent(immutable),
        .attested(
            .init(mount: "m", path: "p", version: 2, sha256: "00", key: "k", uid: 1, pid: 2, command: "artifactfs")),
        .mirrored(
            .init(
                mount: "m", mirror: "cloud", url: "s3://b/p/",
                objects: [
                    .init(path: "p", version: 2, sha256: "00", key: "artifacts/p/00", objectVersion: "v"),
                    .init(path: "q", version: nil, sha256: "01", key: "artifacts/q/01", objectVersion: nil),
                ], uid: 1, pid: 2, command: "artifactfs")),
        .denied(
            .init(
                mount: "m", rule: "write-once", errno: "EEXIST", operation: "open", path: "p", uid: 1, pid: 2,
                command: "sh", detail: "why")),
        .denialsCounted(mount: "m", byRule: ["write-once": .integer(3)]), .ledgerRepaired,
        .ledgerContinues(file: "node~2.jsonl"), .other(name: "later", members: ["a": .integer(1)]),
    ]

    @Test(arguments: all) func isReadAsItWasWritten(event: LedgerEvent) throws {
        var line: JSONObject = [
            "seq": .integer(7), "prev": .string("p"), "time": .string("2026-02-15T14:30:22Z"),
            "event": .string(event.name),
        ]
        for (name, value) in event.members.sorted { line[name] = value }
        let text = JSONValue.object(line).description
        let read = try #require(LedgerLine(parsing: text.utf8))
        #expect(read.event == event && read.seq == 7 && read.prev == "p" && read.time == "2026-02-15T14:30:22Z")

        // Without any one of its members it is another event, or the same one with less.
        for (name, _) in event.members.sorted {
            var less = line
            less[name] = nil
            #expect(LedgerLine(parsing: JSONValue.object(less).description.utf8) != nil)
        }
        line["seq"] = nil
        #expect(LedgerLine(parsing: JSONValue.object(line).description.utf8) == nil)
    }

    /// However many objects a push has sent, its lines are short, and none is left out.
    @Test func linesOfMirrorsAreShort() {
        let objects = (0..<1000).map { number in
            LedgerEvent.MirroredObjects.MirroredObject(
                path: "production/base/splice_errors/chr\(number).tsv", version: 1, sha256: "00",
                key: String(repeating: "k", count: number), objectVersion: nil)
        }
        let parts = LedgerEvent.MirroredObjects.lines(of: objects)
        #expect(parts.flatMap { $0 } == objects && parts.count > 10)
        for part in parts {
            let event = LedgerEvent.mirrored(
                .init(mount: "m", mirror: "c", url: "s3://b/", objects: Array(part), uid: 1, pid: 2, command: "c"))
            #expect(JSONValue.object(event.members).description.utf8.count < 40_000)
        }
        #expect(LedgerEvent.MirroredObjects.lines(of: []).isEmpty)
        var long = objects[0]
        long.key = String(repeating: "k", count: 100_000)
        #expect(LedgerEvent.MirroredObjects.lines(of: [long, long]).count == 2)
    }

    @Test func everyKindIsTried() {
        #expect(Set(Self.all.map(\.name)) == Set(LedgerEvent.Name.allCases.map(\.rawValue) + ["later"]))
    }

    /// What a line of an earlier version says outside of the record is in the record that is read.
    @Test func aRecordHasWhatItsLineSays() throws {
        let text = #"""
            {"seq":1,"prev":"0","time":"2026-02-15T14:30:24Z","event":"sealed","mount":"m","staged":"a-1-x",
            "directory":"base_layer","name":"x.tsv","inode":1,"size":9,"modified":"then","sha256":"ab",
            "record":{"path":"production/base/x.tsv"}}
            """#
        let record = try #require(LedgerLine(parsing: text.utf8)?.record)
        #expect(record.artifact.size == 9 && record.artifact.sha256 == "ab" && record.artifact.state == .sealed)
        #expect(record.times.sealed.map(TimeText.rfc3339) == "2026-02-15T14:30:24.000000000Z")
        #expect(LedgerLine(parsing: text.replacing("sealed", with: "denied").utf8)?.record == nil)
    }
}
