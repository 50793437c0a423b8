import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// A driver that is killed after each step of publishing: the store is dropped without `close()`, as the process's end does.
@Suite struct RecoveryTests {
    @Test(arguments: PublishStep.allCases.filter { $0 != .copied }, Durability.allCases)
    func settlesACrash(after step: PublishStep, durability: Durability) throws {
        let place = try TemporaryStore()
        try crash(place, after: step, durability)
        let store = try place.open(durability: durability)
        let isSealed = place.exists("base_layer/gene_manifest.tsv")
        switch step {
        case .checked, .madeReadOnly, .fileSynced:
            #expect(!isSealed)
            #expect(try place.quarantined() == [table])
            #expect(store.recovery.quarantined == ["production/base/gene_manifest/gene_manifest.tsv"])
            #expect(try place.events("sealed").isEmpty)
        case .intentLogged, .copied, .moved, .directorySynced, .hardened, .sealedLogged:
            #expect(isSealed)
            #expect(try place.read("base_layer/gene_manifest.tsv") == table)
            #expect(try place.attributes("base_layer/gene_manifest.tsv").permissions == 0o444)
            #expect(try place.quarantined() == [])
            let sealed = try place.events("sealed")
            #expect(sealed.count == 1)
            #expect(sealed.first?["record"]?["artifact"]?["content"]?["rows"] == .integer(2))
            #expect(store.recovery.finished.count == (step == .sealedLogged ? 0 : 1))
        }
        #expect(store.recovery.problems == [])
        // Only this mount's staging is left, and the next opening finds nothing to do.
        #expect(try place.names(".artifactfs/staging").count == 1)
        store.close()
        #expect(try place.open().recovery.isEmpty)
        try place.verifyLedger()
    }

    private func crash(_ place: TemporaryStore, after step: PublishStep, _ durability: Durability) throws {
        let store = try place.open(durability: durability)
        let staged = try TemporaryStore.stage(store, table)
        store.stopAfter.withLock { $0 = step }
        guard case .quarantined("stopped", _) = store.publish(TemporaryStore.request(store, staged)) else {
            Issue.record("did not stop after \(step)")
            return
        }
    }

    /// Several that are published together, and the driver killed when it had moved the first of them.
    @Test(arguments: Durability.allCases) func settlesACrashBetweenFiles(durability: Durability) throws {
        let place = try TemporaryStore()
        let names = (0..<4).map { "chr\($0).tsv" }
        do {
            let store = try place.open(durability: durability)
            let staged = try names.map { try TemporaryStore.stage(store, table + "\($0)\t0\n") }
            store.stopAfter.withLock { $0 = .intentLogged }
            let outcomes = store.publish(
                zip(names, staged).map { TemporaryStore.request(store, $1, name: $0) })
            #expect(outcomes.count == 4)
            try staged[0].rename(to: try store.directory("base_layer").ensure().file(names[0]))
        }
        let store = try place.open(durability: durability)
        for name in names { #expect(try place.read("base_layer/" + name) == table + "\(name)\t0\n") }
        #expect(store.recovery.finished.count == 4 && store.recovery.problems == [])
        #expect(try place.events("sealed").count == 4)
        #expect(try place.quarantined() == [])
        try place.verifyLedger()
        store.close()
        #expect(try place.open().recovery.isEmpty)
    }

    @Test func doesNotReplaceWhatCameAfterTheCrash() throws {
        let place = try TemporaryStore()
        try crash(place, after: .intentLogged, .relaxed)
        try place.write("base_layer/gene_manifest.tsv", "later")
        let store = try place.open()
        #expect(try place.read("base_layer/gene_manifest.tsv") == "later")
        #expect(try place.quarantined() == [table])
        #expect(store.recovery.finished == [])
        #expect(try place.events("sealed").isEmpty)
    }

    @Test func doesNotPublishWhatChangedAfterTheCrash() throws {
        let place = try TemporaryStore()
        try crash(place, after: .intentLogged, .relaxed)
        let mount = try #require(try place.names(".artifactfs/staging").first)
        let name = try #require(
            try place.names(".artifactfs/staging/" + mount).first { $0 != Staging.lockName })
        try place.write(".artifactfs/staging/\(mount)/\(name)", "changed")
        _ = try place.open()
        #expect(!place.exists("base_layer/gene_manifest.tsv"))
        #expect(try place.quarantined() == ["changed"])
    }

    @Test func takesAwayAnArtifactWhoseBytesWereLost() throws {
        let place = try TemporaryStore()
        try crash(place, after: .moved, .relaxed)
        try place.write("base_layer/gene_manifest.tsv", "")
        _ = try place.open()
        #expect(!place.exists("base_layer/gene_manifest.tsv"))
        #expect(try place.quarantined() == [""])
    }

    /// Who is killed between the steps of putting a file away leaves the rest to the next.
    @Test(arguments: ["before the move", "before the line", "before the line, without room", "after all"])
    func completesTheQuarantine(whenKilled: String) throws {
        let place = try TemporaryStore()
        do {
            let store = try place.open()
            for index in 0..<2 {
                let staged = try TemporaryStore.stage(store, "\(index)", hint: "production/base/chr\(index).tsv")
                try store.quarantine(
                    staged, reason: "reason \(index)",
                    record: ArtifactRecord(path: "production/base/chr\(index).tsv"))
            }
        }
        let names = try place.names(".artifactfs/quarantine")
        #expect(names.count == 4)
        let last = place.path + "/.artifactfs/quarantine/" + names[2]
        if whenKilled != "after all" {
            let file = ".artifactfs/ledger/" + (try place.ledgerFile().name)
            let lines = try place.read(file).split(separator: "\n")
            try place.write(file, lines.dropLast().map { $0 + "\n" }.joined())
        }
        if whenKilled.hasSuffix("without room") { unlink(last + ".reason.json") }
        if whenKilled == "before the move" { unlink(last) }
        let next = try place.open()
        #expect(next.recovery.problems == [])
        next.close()
        let lines = try place.events("quarantined")
        if whenKilled == "before the move" {
            #expect(try place.names(".artifactfs/quarantine") == Array(names[..<2]))
            #expect(lines.count == 1)
        } else {
            #expect(try place.names(".artifactfs/quarantine") == names)
            #expect(lines.count == 2 && lines.last?["quarantined"]?.string == names[2])
            let isKnown = !whenKilled.hasSuffix("without room")
            #expect(lines.last?["reason"]?.string?.hasPrefix(isKnown ? "reason 1" : "a driver was killed") == true)
            #expect(lines.last?["record"]?["artifact"]?["path"]?.string == "production/base/chr1.tsv")
        }
        try place.verifyLedger()
        // Another time there is nothing to do.
        _ = try place.open()
        #expect(try place.open().recovery.isEmpty)
        #expect(try place.events("quarantined").count == lines.count)
    }

    @Test func leavesALivingMountAlone() throws {
        let place = try TemporaryStore()
        let living = try place.open()
        let staged = try TemporaryStore.stage(living, table)
        let other = try place.open()
        #expect(other.recovery.isEmpty)
        #expect((try? staged.attributes()) != nil)
        guard case .sealed = living.publish(TemporaryStore.request(living, staged)) else {
            Issue.record("not sealed")
            return
        }
    }

    @Test func keepsYoungTemporaryFilesAndRemovesOldOnes() throws {
        let place = try TemporaryStore()
        try place.write(
            ".artifactfs/schema.yaml",
            SchemaFile.text(of: try ArtifactSchema(types: ArtifactSchema.builtIn.types, transientSeconds: 60)))
        do {
            let store = try place.open()
            _ = try TemporaryStore.stage(store, "part", hint: "production/base/gene_manifest/.gene_manifest.tsv.AbCdEf")
            _ = try TemporaryStore.stage(store, "", hint: "production/base/gene_manifest/gene_manifest.tsv")
        }
        do {
            let store = try place.open()
            #expect(store.recovery.empty == ["production/base/gene_manifest/gene_manifest.tsv"])
            #expect(store.recovery.finished.isEmpty && store.recovery.quarantined.isEmpty)
            store.close()
            #expect(try place.events("removed-empty").count == 1)
        }
        let left = try #require(try place.names(".artifactfs/staging").first)
        #expect(left.hasSuffix(".left"))
        #expect(try place.names(".artifactfs/staging/" + left).filter { $0 != Staging.lockName }.count == 1)
        // A file's ctime cannot be set back; a shorter time of keeping does the same.
        let old = try Recovery.forTesting(at: place.path, keepingSeconds: -10)
        #expect(old.removed == ["production/base/gene_manifest/.gene_manifest.tsv.AbCdEf"])
        #expect(try place.names(".artifactfs/staging") == [])
        #expect(try place.events("removed-transient").count == 1)
    }

    @Test(arguments: [
        "", "a", "a-", "a-1", "a--x", "a-1.-x", "a-1.2", "a-.2-x", "b-1-x", "aa-1-x", "a-x-y", "a-1x-y", "a-+1-x",
        "a-18446744073709551616-x", "a-1.99999999999999999999-x",
    ])
    func namesOfNothingStaged(_ name: String) { #expect(Staging.understand(name) == nil) }

    @Test func finishedAndResumedNames() throws {
        let name = try #require(StagedName("a-17-x-y"))
        #expect((name.number, name.process, name.path) == (17, 0, "x-y"))
        #expect(name.text(as: .finished, process: 4711) == "f-17.4711-x-y")
        #expect(name.text(as: .finished, process: -1) == "f-17.0-x-y")
        let finished = try #require(StagedName("f-17.4711-x-y"))
        #expect((finished.number, finished.process, finished.path) == (17, 4711, "x-y"))
        #expect(finished.text(as: .artifact) == "a-17-x-y")
        #expect(StagedName("f-1.99999999999-")?.process == 0)
    }

    @Test func understandsStagedNames() throws {
        let place = try TemporaryStore()
        let staging = try #require(try place.open().staging)
        let path = "production/base/gene_manifest/a b%\n.tsv~"
        let found = try #require(Staging.understand(staging.unusedName(hint: path).name))
        #expect(found.kind == .transient)
        #expect(found.path == path)
        let long = "production/" + String(repeating: "é", count: 300) + "/x.tsv"
        let name = staging.unusedName(hint: long).name
        #expect(name.utf8.count <= 255)
        #expect(Staging.understand(name)?.path.hasSuffix("/x.tsv") == true)
        #expect(Staging.understand(name)?.kind == .artifact)
    }
}

extension Recovery {
    /// A recovery by itself, of a store that nobody has open, with its own time of keeping temporary files.
    static func forTesting(at path: String, keepingSeconds: Int) throws -> RecoveryReport {
        let store = try Store(at: path, readOnly: true, durability: .relaxed)
        let own = try store.root.directory(StoreLayout.privateDirectory)
        let ledgers = try own.directory("ledger")
        let file = try #require(try ledgers.entries().first { $0.name.hasSuffix(".jsonl") })
        var recovery = Recovery(
            root: store.root, stagings: try own.directory("staging"), quarantine: try own.directory("quarantine"),
            ledgers: ledgers, own: own, reserved: try own.directory("reserved"),
            ledger: try Ledger(
                owning: try ledgers.file(file.name).open(O_RDWR | O_APPEND), named: file.name, of: store.host,
                in: ledgers.descriptor, isSynced: false),
            schema: store.schema, checks: store.checks, host: store.host, transientSeconds: keepingSeconds,
            durability: .relaxed, hardening: store.hardening, leases: store.leases)
        return try recovery.run()
    }
}
