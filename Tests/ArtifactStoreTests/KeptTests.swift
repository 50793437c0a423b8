import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// What was kept back is seen, published, taken out and discarded; whoever is killed on the way leaves the bytes and a true ledger.
@Suite struct KeptTests {
    private static let path = "production/base/gene_manifest/gene_manifest.tsv"
    private static let target = "base_layer/gene_manifest.tsv"
    private static let agent = Agent(user: 7, process: 8, program: "rm")
    /// As the ledger had no more to say of it.
    private static let steps: [PublishStep] = [
        .checked, .madeReadOnly, .fileSynced, .intentLogged, .moved, .directorySynced, .hardened, .sealedLogged,
    ]

    /// A store that is open, with a file in quarantine.
    private struct Scene {
        let place: TemporaryStore
        let store: Store
        let id: String

        /// The same store, opened anew.
        init(_ place: TemporaryStore, _ id: String, durability: Durability = .relaxed) throws {
            (self.place, self.id) = (place, id)
            store = try place.open(durability: durability)
        }

        /// A store that is opened after what was done in it was ended as by `kill -9`.
        static func after(_ durability: Durability = .relaxed, _ body: (Scene) throws -> Void) throws -> Scene {
            let (place, id): (TemporaryStore, String)
            do {
                let scene = try Scene(durability: durability)
                try body(scene)
                (place, id) = (scene.place, scene.id)
            }
            return try Scene(place, id, durability: durability)
        }

        init(
            _ text: String = table, rule: Rule? = .makerFailed, path: String = path, durability: Durability = .relaxed
        ) throws {
            place = try TemporaryStore()
            store = try place.open(durability: durability)
            let staged = try TemporaryStore.stage(store, text, hint: path, mode: 0o640)
            var record = ArtifactRecord(path: path, scope: .production)
            record.writer = .init()
            record.writer?.uid = 1000
            id = try store.quarantine(staged, reason: "it was killed", rule: rule, record: record)
        }

        func entry() throws -> QuarantineEntry { try store.quarantine().entry(id) }

        /// - Returns: why it is not published.
        func publish(
            as name: String = "gene_manifest.tsv", type: String = "gene_manifest", despite: String? = "it is whole"
        ) throws -> PromotionObstacle? {
            let type = try #require(store.schema.type(named: type))
            let destination = try #require(Promotion.Destination(name, of: type, in: .base))
            let entry = try entry()
            do throws(PromotionObstacle) {
                try store.publish(entry, as: destination, despite: despite, by: 7)
                return nil
            } catch { return error }
        }

        func refused(_ obstacle: PromotionObstacle?) -> (rule: Rule?, detail: String?) {
            guard case .refused(let refused, let detail)? = obstacle else { return (nil, nil) }
            return (refused.refusal.rule, detail)
        }

        func expectKept(_ text: String = table, sourceLocation: SourceLocation = #_sourceLocation) throws {
            #expect(try place.quarantined() == [text], sourceLocation: sourceLocation)
            #expect(
                try place.names(".artifactfs/quarantine") == [id, id + ".reason.json"], sourceLocation: sourceLocation)
            #expect(
                try place.attributes(".artifactfs/quarantine/" + id).permissions == 0o640,
                sourceLocation: sourceLocation)
            #expect(try store.quarantine().entries().map(\.id) == [id], sourceLocation: sourceLocation)
        }

        func expectGone(sourceLocation: SourceLocation = #_sourceLocation) throws {
            #expect(try place.names(".artifactfs/quarantine") == [], sourceLocation: sourceLocation)
        }
    }

    @Test func isReadWithWhatIsKnown() throws {
        let scene = try Scene()
        let entry = try scene.entry()
        #expect(entry.path == Self.path && entry.reason == "it was killed" && entry.rule == .makerFailed)
        #expect(entry.size == Int64(table.utf8.count) && entry.owner == geteuid() && entry.needsReason)
        #expect(entry.record.writer?.uid == 1000 && entry.record.artifact.state == .quarantined)
        #expect(TimeText.time(entry.time) != nil)
        #expect(try scene.place.events("quarantined").last?["rule"]?.string == "maker-failed")
        // Without opening the store.
        #expect(try QuarantineReader(ofStore: scene.place.path).entries().map(\.id) == [scene.id])
        for wrong in ["", ".", "..", "../lock", "no", scene.id + ".reason.json", scene.id + "\0x"] {
            #expect(throws: Errno.noSuchFileOrDirectory, "\(wrong)") { try scene.store.quarantine().entry(wrong) }
        }
    }

    /// A reason that is missing, empty or no JSON is not known; the file is shown all the same, and what is not known needs a reason.
    @Test(arguments: [nil, "", "{", "[]", "{\"rule\":17,\"reason\":[],\"record\":3}", "{\"rule\":\"later-rule\"}"])
    func aReasonThatCannotBeReadIsUnknown(text: String?) throws {
        let scene = try Scene()
        let file = ".artifactfs/quarantine/\(scene.id).reason.json"
        unlink(scene.place.path + "/" + file)
        if let text { try scene.place.write(file, text) }
        let entry = try #require(try scene.store.quarantine().entries().first)
        #expect(entry.reason == nil && entry.rule == nil && entry.path == Self.path)
        #expect(entry.needsReason && entry.time.hasSuffix("Z") && TimeText.time(entry.time) != nil)
        #expect(scene.refused(try scene.publish(despite: nil)).rule == .needsReason)
        #expect(try scene.publish() == nil)
        try scene.expectGone()
    }

    /// A file whose own name ends as reasons do is none, neither to who looks nor to recovery, which removes reasons without files.
    @Test func aFileThatIsCalledLikeAReason() throws {
        let scene = try Scene("{}", path: "production/meta/meta_metrics/x.reason.json")
        #expect(!scene.id.hasSuffix(".reason.json"))
        #expect(try scene.store.quarantine().entries().map(\.id) == [scene.id])
        // As an earlier version named it.
        let old = scene.place.path + "/.artifactfs/quarantine/old-x.reason.json"
        let new = scene.place.path + "/.artifactfs/quarantine/" + scene.id
        #expect(rename(new, old) == 0 && rename(new + ".reason.json", old + ".reason.json") == 0)
        #expect(try scene.store.quarantine().entries().map(\.id) == ["old-x.reason.json"])
        #expect(try scene.store.quarantine().entry("old-x.reason.json").reason == "it was killed")
    }

    @Test(arguments: [Durability.relaxed, .synced]) func isPublishedWithItsRecord(durability: Durability) throws {
        let scene = try Scene(durability: durability)
        #expect(try scene.publish(despite: "only the last print failed") == nil)
        #expect(try scene.place.read(Self.target) == table)
        #expect(try scene.place.attributes(Self.target).permissions == 0o440)
        try scene.expectGone()
        let record = try #require(try scene.place.events("sealed").last?["record"])
        #expect(record["recovered_from"]?["id"]?.string == scene.id)
        #expect(record["recovered_from"]?["rule"]?.string == "maker-failed")
        #expect(record["recovered_from"]?["reason"]?.string == "it was killed")
        #expect(record["recovered_from"]?["despite"]?.string == "only the last print failed")
        #expect(record["recovered_from"]?["uid"]?.integer == 7)
        #expect(record["artifact"]?["state"]?.string == "sealed" && record["artifact"]?["rows"] == nil)
        #expect(record["artifact"]?["content"]?["rows"]?.integer == 2 && record["writer"]?["uid"]?.integer == 1000)
        try scene.place.verifyLedger()
        scene.store.close()
        #expect(try scene.place.open().recovery.isEmpty)
    }

    /// What may be cut is published with a reason only, and what is not whole with none.
    @Test func isPublishedOnlyAsTheRulesSay() throws {
        for text in [nil, "", "  \n"] as [String?] {
            let scene = try Scene()
            let found = scene.refused(try scene.publish(despite: text))
            #expect(found.rule == .needsReason)
            try scene.expectKept()
            #expect(try scene.place.events("restored").isEmpty)
        }
        let whole = try Scene(rule: .anotherWriter)
        #expect(try whole.publish(despite: nil) == nil)
        #expect(try whole.place.events("sealed").last?["record"]?["recovered_from"]?["despite"] == nil)

        let cut = try Scene("a\tb\n1\n")
        let found = cut.refused(try cut.publish(despite: "I insist"))
        #expect(found.rule == .failedCheck && found.detail?.contains("line 2") == true)
        try cut.expectKept("a\tb\n1\n")
        #expect(!cut.place.exists(Self.target))
        #expect(try cut.place.events("restored").last?["rule"]?.string == "failed-check")
        // The name is to be had.
        let staged = try TemporaryStore.stage(cut.store, table)
        guard case .sealed = cut.store.publish(TemporaryStore.request(cut.store, staged)) else {
            Issue.record("not sealed")
            return
        }
    }

    @Test func aNameThatIsTakenIsNotReplaced() throws {
        let scene = try Scene()
        let staging = try #require(scene.store.staging)
        let holder = staging.unusedName(hint: Self.path)
        try staging.reserve(
            .init(directory: scene.store.directory("base_layer"), name: "gene_manifest.tsv"), for: holder)
        #expect(scene.refused(try scene.publish()).rule == .anotherWriter)
        staging.release(holder)
        try scene.expectKept()

        try scene.place.write(Self.target, "first")
        #expect(scene.refused(try scene.publish()).rule == .productionImmutable)
        #expect(try scene.place.read(Self.target) == "first")
        try scene.expectKept()
        // Under another name it is nobody's.
        #expect(try scene.publish(as: "chr1.tsv", type: "analysis_sequences") == nil)
        let record = try #require(try scene.place.events("sealed").last?["record"])
        #expect(record["artifact"]?["path"]?.string == "production/base/analysis_sequences/chr1.tsv")
        #expect(record["artifact"]?["key"]?.string == "chr1")
        try scene.expectGone()
    }

    @Test func whatSomebodyCanStillWriteToStays() throws {
        let scene = try Scene()
        let writer = try scene.store.quarantine().file(try scene.entry()).open(O_WRONLY)
        guard case .stillOpen? = try scene.publish() else {
            Issue.record("published")
            return
        }
        try scene.expectKept()
        SystemCall.close(writer)
        #expect(try scene.publish() == nil)
    }

    /// Publishing that is killed after any step leaves the file in quarantine with its reason, or sealed with its record.
    @Test(arguments: steps, [Durability.relaxed, .synced])
    func aKillLeavesItHereOrThere(step: PublishStep, durability: Durability) throws {
        let scene = try Scene.after(durability) { scene in
            scene.store.stopAfter.withLock { $0 = step }
            let obstacle = try scene.publish()
            #expect(obstacle != nil)
        }
        #expect(scene.store.recovery.problems == [])
        let isThere: Set<PublishStep> = [.moved, .directorySynced, .hardened, .sealedLogged]
        if isThere.contains(step) {
            #expect(try scene.place.read(Self.target) == table)
            try scene.expectGone()
            let sealed = try scene.place.events("sealed")
            #expect(sealed.count == 1 && sealed[0]["record"]?["recovered_from"]?["id"]?.string == scene.id)
        } else {
            #expect(!scene.place.exists(Self.target))
            #expect(try scene.place.quarantined() == [table])
            #expect(try scene.entry().reason == "it was killed")
            #expect(try scene.place.events("restored").count == (step == .intentLogged ? 1 : 0))
            // It goes on from there.
            #expect(try scene.publish() == nil)
            #expect(try scene.place.read(Self.target) == table)
        }
        #expect(try scene.place.events("quarantined").count == 1)
        try scene.place.verifyLedger()
        scene.store.close()
        #expect(try scene.place.open().recovery.isEmpty)
    }

    /// The layer is on another file system: killed with the copy made, and with the copy named and the first one still there.
    @Test(.enabled(if: geteuid() == 0), arguments: ["copied", "named", "sealed"])
    func aKillBetweenTwoFileSystems(when: String) throws {
        let first = try Scene()
        let (place, id) = (first.place, first.id)
        first.store.close()
        let mounted = try FileSystemTests.Mounted(place.path + "/base_layer", size: "4m")
        defer { withExtendedLifetime(mounted) {} }
        if when != "sealed" {
            let scene = try Scene(place, id)
            scene.store.stopAfter.withLock { $0 = .copied }
            #expect(try scene.publish() != nil)
            let copy = try #require(try place.names("base_layer").first)
            #expect(copy.hasPrefix(".artifactfs-copy-") && copy.utf8.count < 255)
            if when == "named" {
                #expect(rename(place.path + "/base_layer/" + copy, place.path + "/" + Self.target) == 0)
            }
        }
        let scene = try Scene(place, id)
        #expect(scene.store.recovery.problems == [])
        if when == "copied" {
            #expect(try place.quarantined() == [table])
            #expect(try place.names("base_layer") == [])
        }
        if when != "named" { #expect(try scene.publish() == nil) }
        #expect(try scene.place.read(Self.target) == table)
        #expect(try scene.place.names("base_layer") == ["gene_manifest.tsv"])
        try scene.expectGone()
        #expect(try scene.place.events("sealed").count == 1)
    }

    @Test func isDiscardedAndTheLedgerSaysSo() throws {
        let scene = try Scene()
        try scene.store.discard(try scene.entry(), by: Self.agent)
        try scene.expectGone()
        let line = try #require(try scene.place.events("discarded").first)
        #expect(line["quarantined"]?.string == scene.id && line["path"]?.string == Self.path)
        #expect(line["reason"]?.string == "it was killed" && line["size"]?.integer == Int64(table.utf8.count))
        #expect(line["uid"]?.integer == 7 && line["pid"]?.integer == 8 && line["command"]?.string == "rm")
        try scene.place.verifyLedger()
    }

    @Test func isTakenOutAndReplacesNothing() throws {
        let scene = try Scene()
        let directory = try scene.store.directory("base_layer/tests/t").ensure()
        let target = directory.file("gene_manifest.tsv")
        try scene.place.write("base_layer/tests/t/gene_manifest.tsv", "mine")
        #expect(throws: Errno.fileExists) {
            try scene.store.takeOut(try scene.entry(), to: target, path: "test/t/x", by: Self.agent)
        }
        #expect(try scene.place.read("base_layer/tests/t/gene_manifest.tsv") == "mine")
        try scene.expectKept()
        #expect(try scene.place.events("taken-out").isEmpty)
        try scene.store.takeOut(
            try scene.entry(), to: directory.file("other.tsv"), path: "test/t/other.tsv", by: Self.agent)
        #expect(try scene.place.read("base_layer/tests/t/other.tsv") == table)
        #expect(try scene.place.attributes("base_layer/tests/t/other.tsv").permissions == 0o640)
        try scene.expectGone()
        #expect(try scene.place.events("taken-out").first?["to"]?.string == "test/t/other.tsv")
    }

    /// The line comes before the file goes: recovery makes it true.
    @Test(arguments: [PublishStep.intentLogged, .moved]) func aKilledRemovalIsFinished(step: PublishStep) throws {
        let scene = try Scene.after { scene in
            scene.store.stopAfter.withLock { $0 = step }
            try scene.store.discard(try scene.entry(), by: Self.agent)
        }
        #expect(scene.store.recovery.problems == [])
        try scene.expectGone()
        #expect(try scene.place.events("discarded").count == 1)
        scene.store.close()
        #expect(try scene.place.open().recovery.isEmpty)
    }

    @Test(arguments: [PublishStep.intentLogged, .moved]) func aKilledTakingOutIsTold(step: PublishStep) throws {
        let scene = try Scene.after { scene in
            scene.store.stopAfter.withLock { $0 = step }
            let target = try scene.store.directory("base_layer/tests/t").ensure().file("x.tsv")
            try scene.store.takeOut(try scene.entry(), to: target, path: "test/t/x.tsv", by: Self.agent)
        }
        #expect(scene.store.recovery.problems == [])
        if step == .moved {
            #expect(try scene.place.read("base_layer/tests/t/x.tsv") == table)
            try scene.expectGone()
        } else {
            try scene.expectKept()
            let line = try #require(try scene.place.events("quarantined").last)
            #expect(line["quarantined"]?.string == scene.id && line["rule"]?.string == "maker-failed")
            #expect(line["reason"]?.string?.hasSuffix("is there still") == true)
        }
        scene.store.close()
        #expect(try scene.place.open().recovery.isEmpty)
        #expect(try scene.place.events("quarantined").count == (step == .moved ? 1 : 2))
    }

    /// A removal or a rename that was done, and whose reply was an error, is done.
    @Test(arguments: [Faults.Call.unlink, .renameWithoutReplacing]) func aReplyThatWasLost(call: Faults.Call) throws {
        let scene = try Scene()
        let entry = try scene.entry()
        let target = try scene.store.directory("base_layer/tests/t").ensure().file("x.tsv")
        let isFirst = Atomic(true)
        let isDone = Faults.with({ made, _ in
            made == call && isFirst.exchange(false, ordering: .relaxed) ? .isDoneAndFails(.ioError) : nil
        }) {
            call == .unlink
                ? (try? scene.store.discard(entry, by: Self.agent)) != nil
                : (try? scene.store.takeOut(entry, to: target, path: "test/t/x.tsv", by: Self.agent)) != nil
        }
        #expect(isDone && target.exists == (call != .unlink))
        try scene.expectGone()
        #expect(try scene.place.events("quarantined").count == 1)
    }

    /// Two at once would take each other's write bits and name.
    @Test func oneAtATime() throws {
        let scene = try Scene()
        let entry = try scene.entry()
        let other = try scene.store.quarantine().file(entry).open(O_RDONLY)
        try SystemCall.lock(other, waiting: false)
        guard case .system(.resourceBusy)? = try scene.publish() else {
            Issue.record("published")
            return
        }
        #expect(throws: Errno.resourceBusy) { try scene.store.discard(entry, by: Self.agent) }
        try scene.expectKept()
        #expect(try scene.place.events("discarded").isEmpty)
        SystemCall.close(other)
        #expect(try scene.publish() == nil)
    }

    /// Another file has the name by now: nobody asked for that one.
    @Test func onlyTheFileThatWasSeenGoes() throws {
        let scene = try Scene()
        let entry = try scene.entry()
        let name = scene.place.path + "/.artifactfs/quarantine/" + scene.id
        #expect(rename(name, name + "-old") == 0)
        try scene.place.write(".artifactfs/quarantine/" + scene.id, "other")
        #expect(throws: Errno.staleNFSFileHandle) { try scene.store.discard(entry, by: Self.agent) }
        #expect(try scene.place.read(".artifactfs/quarantine/" + scene.id) == "other")
        #expect(try scene.place.events("discarded").isEmpty)
    }

    @Test func aReadOnlyStoreShowsItAndChangesNothing() throws {
        let scene = try Scene()
        let entry = try scene.entry()
        scene.store.close()
        let store = try scene.place.open(readOnly: true)
        #expect(try store.quarantine().entries().map(\.id) == [scene.id])
        #expect(throws: Errno.readOnlyFileSystem) { try store.discard(entry, by: Self.agent) }
        try scene.expectKept()
    }
}
