import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// SEMANTICS 3.1: what was kept back is published together or not at all: what a run has left, a file and a directory beside it.
@Suite struct KeptSetTests {
    private static let place = "production/base/analysis_sequences/"
    private static let names = ["chr1.tsv", "chr2.tsv"]
    private static let single = "production/base/gene_manifest/gene_manifest.tsv"
    private static let whole = "production/meta/meta_checkpoints/checkpoint-1"
    private static let real =
        names.map { "base_layer/analysis_sequences_" + $0 } + [
            "base_layer/gene_manifest.tsv", "meta_layer/checkpoints/checkpoint-1",
        ]
    private static func text(_ index: Int) -> String { table + "C\t\(index)\n" }

    /// A store in whose quarantine are a run of two files, a file, and a directory.
    private static func scene(texts: [String] = (0..<3).map(text)) throws -> TemporaryStore {
        let place = try TemporaryStore(in: "/dev/shm")
        let store = try place.open(durability: .relaxed)
        var run = ArtifactRecord.ExperimentRun()
        run.id = "r1"
        let files = try zip(names, texts).map { name, text in
            let path = Self.place + name
            var record = ArtifactRecord(path: path)
            record.writer = .init()
            record.writer?.pid = 77
            return TogetherKept(
                staged: try TemporaryStore.stage(store, text, hint: path, mode: 0o640), path: path, record: record,
                origin: nil)
        }
        let (_, entry) = store.keepTogether(
            files, of: run, owner: (geteuid(), getegid()), reason: "it failed", rule: .makerFailed)
        try #require(entry != nil)
        let alone = try TemporaryStore.stage(store, texts[2], hint: single)
        try store.quarantine(alone, reason: "it failed", rule: .makerFailed, record: ArtifactRecord(path: single))
        let directory = try #require(store.staging).makeDirectory(
            hint: whole, kind: .artifact, mode: 0o750, owner: nil, target: nil)
        let inside = ".artifactfs/staging/\(try #require(store.staging).mountID)/\(directory.name)"
        try place.write(inside + "/a.json", "{}\n")
        try #require(chmod(place.path + "/" + inside + "/a.json", 0o660) == 0)
        try store.quarantine(directory, reason: "it failed", rule: .makerFailed, record: ArtifactRecord(path: whole))
        store.close()
        return place
    }

    private static func publish(
        _ store: Store, despite: String? = "it is whole"
    ) throws -> (set: PromotionSet, isDone: Bool) {
        var set = store.keptSet(try store.quarantine().entries(), by: 7) { _ in despite }
        store.lookInside(&set)
        let isDone = store.promote(&set, PromotionRequest(paths: []), by: .init())
        return (set, isDone)
    }

    @Test(arguments: Durability.allCases) func allArePublished(durability: Durability) throws {
        let place = try Self.scene()
        let store = try place.open(durability: durability)
        let ids = try store.quarantine().entries().map(\.id)
        #expect(ids.count == 3, "what a run has left is one entry")
        let (set, isDone) = try Self.publish(store)
        #expect(isDone && set.members.count == 4 && set.members.allSatisfy(\.isPromoted), "\(set)")
        #expect(try place.names(".artifactfs/quarantine") == [])
        store.close()
        try Self.check(place, isDone: true, "")
        let records = try place.events("sealed").compactMap { $0["record"] }
        #expect(records.count == 4)
        for record in records {
            #expect(record["recovered_from"]?["despite"]?.string == "it is whole")
            #expect(ids.contains(record["recovered_from"]?["id"]?.string ?? "") && record["origin"] == nil)
            #expect(record["recovered_from"]?["uid"]?.integer == 7)
            let isOfRun = record["artifact"]?["path"]?.string?.hasPrefix(Self.place) == true
            #expect((record["run"]?["id"]?.string == "r1") == isOfRun)
            #expect((record["writer"]?["pid"]?.integer == 77) == isOfRun, "who made it is known still: \(record)")
            #expect(record["artifact"]?["type"] != nil)
        }
    }

    /// One that is refused keeps all: no reason, a check, a name that is taken, somebody else at it, what is no artifact.
    @Test(arguments: ["reason", "check", "name", "held", "strange"]) func oneKeepsAll(why: String) throws {
        let place = try Self.scene(texts: [Self.text(0), why == "check" ? "a\tb\n1\n" : Self.text(1), Self.text(2)])
        if why == "name" { try place.write(Self.real[2], "theirs") }
        let store = try place.open()
        let entries = try store.quarantine().entries()
        let run = try #require(entries.first { $0.isRun })
        #expect(run.artifacts == Self.names.map { Self.place + $0 })
        if why == "strange" { try place.write(".artifactfs/quarantine/\(run.id)/production/notes", "x") }
        let other = try place.open()
        let held = why == "held" ? try other.hold(run, try #require(other.writable)).hold : nil
        let (set, isDone) = try Self.publish(store, despite: why == "reason" ? nil : "it is whole")
        withExtendedLifetime(held) {}
        let rules = set.members.compactMap { $0.fault?.refusal.rule }
        let expected: [Rule] =
            switch why {
            case "reason": [.needsReason, .needsReason, .needsReason, .needsReason]
            case "check": [.failedCheck]
            case "name": [.productionImmutable]
            case "strange": [.invalidName]
            default: [.storeFailed]
            }
        #expect(!isDone && rules == expected, "\(set)")
        #expect(try store.quarantine().entries().map(\.id) == entries.map(\.id))
        #expect(try place.events("promotion-intent").isEmpty)
    }

    /// Who publishes is killed after each step: the next opening has published all, or all is in quarantine.
    @Test(arguments: PromotionStep.allCases) func aKillBefore(step: PromotionStep) throws {
        let place = try Self.scene()
        do {
            let store = try place.open(durability: .synced)
            store.stopPromotingAfter.withLock { $0 = step }
            #expect(try !Self.publish(store).isDone)
        }
        try Self.check(place, isDone: false, "\(step)")
    }

    @Test(
        arguments: [PublishStep.checked, .madeReadOnly, .fileSynced, .intentLogged, .moved, .directorySynced],
        Durability.allCases)
    func aKillWhilePublishing(step: PublishStep, durability: Durability) throws {
        let place = try Self.scene()
        do {
            let store = try place.open(durability: durability)
            store.stopAfter.withLock { $0 = step }
            _ = try Self.publish(store)
        }
        let isDone = ![.checked, .madeReadOnly, .fileSynced].contains(step)
        try Self.check(place, isDone: isDone, "\(step)")
    }

    /// Every system call fails once, in every place, also after it was done: all are published, or none, and no byte is lost.
    @Test func everyCallMayFail() throws {
        let counts = try Self.run(nil, 0, .ioError)
        #expect(!counts.isEmpty)
        for (call, count) in counts where call != .fileSystem {
            for number in 1...count { _ = try Self.run(call, number, .ioError) }
            guard [.write, .sync, .rename, .renameWithoutReplacing].contains(call) else { continue }
            for number in 1...count {
                _ = try Self.run(call, number, .ioError, isDoneAllTheSame: true)
                _ = try Self.run(call, number, .noSpace)
            }
        }
    }

    @discardableResult
    private static func run(
        _ failing: Faults.Call?, _ number: Int, _ error: Errno, isDoneAllTheSame: Bool = false
    ) throws -> [Faults.Call: Int] {
        let place = try scene()
        let fault = CountedFault(failing, number, error, isDone: isDoneAllTheSame)
        let store = try place.open(durability: .synced)
        let entries = try store.quarantine().entries()
        let what =
            "\(fault)"
        let isDone = fault.during {
            var set = store.keptSet(entries, by: 7) { _ in "it is whole" }
            store.lookInside(&set)
            let isDone = store.promote(&set, PromotionRequest(paths: []), by: .init())
            #expect(isDone || set.members.contains { $0.fault != nil }, "it says why; \(what)")
            return isDone
        }
        store.close()
        try check(place, isDone: isDone, what)
        return fault.counts
    }

    private static func check(_ place: TemporaryStore, isDone: Bool, _ what: String) throws {
        let store = try place.open()
        #expect(store.recovery.problems == [], "\(what)")
        store.close()
        let again = try place.open()
        #expect(again.recovery.isEmpty, "\(again.recovery); \(what)")
        defer { again.close() }
        try place.verifyLedger()
        for path in real { #expect(place.exists(path) == isDone, "\(path); \(what)") }
        let entries = try again.quarantine().entries()
        if isDone {
            for index in 0..<3 { #expect(try place.read(real[index]) == text(index), "\(what)") }
            #expect(try place.read(real[3] + "/a.json") == "{}\n", "\(what)")
            #expect(try place.attributes(real[3]).permissions == 0o550, "\(what)")
            // What could not be removed after it was published holds nothing.
            for entry in entries {
                #expect(try entry.isRun && again.quarantine().extent(of: entry).files == 0, "\(what)")
            }
        } else {
            #expect(entries.count == 3 && entries.allSatisfy { $0.reason == "it failed" }, "\(entries); \(what)")
            let run = try #require(entries.first { $0.isRun })
            for index in 0..<2 {
                let path = ".artifactfs/quarantine/\(run.id)/\(Self.place)\(names[index])"
                #expect(try place.read(path) == text(index), "\(what)")
                #expect(try place.attributes(path).permissions == 0o640, "\(what)")
            }
            let directory = try #require(entries.first { $0.isDirectory && !$0.isRun })
            let inside = ".artifactfs/quarantine/\(directory.id)"
            #expect(try place.read(inside + "/a.json") == "{}\n", "\(what)")
            #expect(try place.attributes(inside + "/a.json").permissions == 0o660, "\(what)")
            #expect(try place.attributes(inside).permissions == 0o750, "\(what)")
        }
        #expect(try place.names(".artifactfs/reserved") == [], "\(what)")
    }
}
