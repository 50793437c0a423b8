import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// What is sealed leaves its name: whole, with who, why and when, all or none, whatever ends who does it.
@Suite struct VersionTests {
    private static let name = "gene_manifest.tsv"
    private static let path = "production/base/gene_manifest/gene_manifest.tsv"
    private static let chromosome = "analysis_sequences_chr1.tsv"
    private static let chromosomePath = "production/base/analysis_sequences/chr1.tsv"
    private static let shelf = ".artifactfs/versions/base_layer%2Fgene_manifest.tsv"
    private static let newTable = "gene\tscore\nC\t3\n"

    /// What is done to sealed artifacts.
    enum Flow: String, CaseIterable, Sendable {
        case supersede, supersedeWith, retractTwo
        /// Where names cannot be exchanged.
        case supersedeInSteps
    }

    /// Without the immutable flag, and with it where that may be tried.
    static let hardnesses = TemporaryStore.canHarden ? [false, true] : [false]

    /// A store with two sealed artifacts.
    private static func scene(
        in parent: String = "/dev/shm", _ durability: Durability = .synced, hardens: Bool = false
    ) throws -> TemporaryStore {
        let place = try TemporaryStore(in: parent)
        let store = try place.open(durability: durability, hardens: hardens)
        defer { store.close() }
        try seal(store, table, path)
        try seal(store, table + "D\t4\n", chromosomePath)
        return place
    }

    private static func seal(_ store: Store, _ text: String, _ path: String) throws {
        let staged = try TemporaryStore.stage(store, text, hint: path)
        let destination = try #require(Promotion.Destination(path: path, in: store.schema, isDirectory: false))
        var writer = ArtifactRecord.Writer()
        writer.uid = geteuid()
        let request = destination.request(
            staged, at: store.directory(for: destination.location), destination.record.written(by: writer))
        guard case .sealed = store.publish(request) else {
            Issue.record("\(path) was not sealed")
            return
        }
    }

    private static func request(
        _ paths: [String] = [path], _ unsealing: Unsealing = .superseded, reason: String = "a test",
        by user: UInt32 = 0, in groups: [UInt32] = []
    ) -> UnsealRequest {
        UnsealRequest(
            paths: paths, unsealing: unsealing, reason: reason,
            agent: Agent(user: user, process: 2, program: "test"), groups: groups)
    }

    private static func supersede(
        _ store: Store, with text: String = newTable, _ request: UnsealRequest = request()
    ) throws -> UnsealedArtifact {
        let descriptor = try SystemCall.open(SystemCall.currentDirectory, "/dev/shm", O_RDWR | 0o20_200_000, 0o600)
        defer { SystemCall.close(descriptor) }
        try SystemCall.write(descriptor, Array(text.utf8))
        var record = ArtifactRecord(path: path)
        record.writer = .init()
        record.writer?.uid = 7
        return try store.supersede(
            request, with: Successor(descriptor: descriptor, record: record, inputs: ["/elsewhere/new.tsv"]))
    }

    private static func perform(_ flow: Flow, _ store: Store) throws {
        switch flow {
        case .supersede: _ = try store.unseal(request())
        case .supersedeWith: _ = try supersede(store)
        case .supersedeInSteps:
            try Faults.with({ call, file in
                call == .rename && file.hasSuffix(name) ? .fails(.invalidArgument) : nil
            }) { _ = try supersede(store) }
        case .retractTwo: _ = try store.unseal(request([path, chromosomePath], .retracted))
        }
    }

    // MARK: - What is done

    @Test(arguments: Durability.allCases) func theNameIsFreeAndTheVersionIsWhole(durability: Durability) throws {
        let place = try Self.scene(in: "/tmp", durability)
        let store = try place.open(durability: durability)
        let inode = try place.attributes("base_layer/" + Self.name).st_ino
        #expect(try place.read(".artifactfs/format") == "artifactfs store, format 1\n")
        let left = try store.unseal(Self.request(reason: "it was wrong"))
        #expect(left.map(\.path) == [Self.path] && left.map(\.version) == [1])
        #expect(!place.exists("base_layer/" + Self.name))
        #expect(try place.read(Self.shelf + "/1") == table)
        let version = try place.attributes(Self.shelf + "/1")
        #expect(version.st_ino == inode && version.permissions == 0o444, "it is the same file")
        #expect(try place.read(".artifactfs/format") == "artifactfs store, format 2\n")

        let line = try #require(try place.events("superseded").first)
        #expect(line["reason"]?.string == "it was wrong" && line["uid"]?.integer == 0)
        let reader = try #require(try store.formerVersions(of: Self.name, in: "base_layer"))
        let known = try #require(try reader.all().first)
        #expect(known.left == left.first && known.record?.artifact.sha256 == left.first?.sha256 && !known.time.isEmpty)
        #expect(known.record?.artifact.version == 1)

        // Whoever has the name next is the next version.
        try Self.seal(store, Self.newTable, Self.path)
        let second = try #require(try place.events("sealed").last)
        #expect(second["record"]?["artifact"]?["version"]?.integer == 2)
        _ = try store.unseal(Self.request([Self.path], .retracted))
        #expect(try reader.numbers() == [1, 2])
        #expect(try reader.version(2).left?.unsealing == .retracted)
        store.settle()
        try place.verifyLedger()
    }

    @Test(arguments: Durability.allCases) func theSuccessorHasTheNameInTheSameStep(durability: Durability) throws {
        let place = try Self.scene(in: "/tmp", durability)
        let store = try place.open(durability: durability)
        #expect(chmod(place.path + "/base_layer/" + Self.name, 0o440) == 0)
        #expect(try Self.supersede(store).version == 1)
        #expect(try place.read("base_layer/" + Self.name) == Self.newTable)
        #expect(try place.attributes("base_layer/" + Self.name).permissions == 0o440, "as the former one")
        #expect(try place.read(Self.shelf + "/1") == table)
        let sealed = try #require(try place.events("sealed").last)
        #expect(sealed["record"]?["artifact"]?["version"]?.integer == 2)
        #expect(sealed["record"]?["writer"]?["uid"]?.integer == 7)
        #expect(sealed["record"]?["outside"]?.description.contains("/elsewhere/new.tsv") == true)
        let history = try store.history(of: Self.path)
        #expect(history.sealed?.artifact.version == 2 && history.unsealed == nil)
        #expect(try place.names(".artifactfs/reserved") == [])
    }

    /// What a check refuses takes no name.
    @Test func aSuccessorIsChecked() throws {
        let place = try Self.scene()
        let store = try place.open()
        for text in ["gene\tscore\nA\n", ""] {
            let error = #expect(throws: UnsealObstacle.self) { try Self.supersede(store, with: text) }
            guard case .successor(_, .failedCheck)? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
        #expect(try place.read("base_layer/" + Self.name) == table)
        #expect(!place.exists(Self.shelf + "/1") && !place.exists(Self.shelf + "/1.json"))
        #expect(try place.quarantined() == [])
        store.close()
        #expect(try place.names(".artifactfs/staging") == [])
    }

    @Test func aDirectoryLeavesWhole() throws {
        let place = try TemporaryStore(in: "/tmp")
        for directory in ["base_layer/dev", "base_layer/dev/20260215_143022", "meta_layer", "meta_layer/checkpoints"] {
            _ = mkdir(place.path + "/" + directory, 0o755)
        }
        let store = try place.open()
        let staged = try #require(store.staging).makeDirectory(
            hint: "production/meta/meta_checkpoints/epoch", kind: .finished, mode: 0o755, owner: nil, target: nil)
        let inside = try staged.directory.directory(staged.name).file("a.json").open(O_WRONLY | O_CREAT, mode: 0o644)
        try SystemCall.write(inside, Array("{}\n".utf8))
        SystemCall.close(inside)
        let type = try #require(store.schema.type(named: "meta_checkpoints"))
        let destination = try #require(Promotion.Destination("epoch", of: type, in: .meta, isDirectory: true))
        guard
            case .sealed = store.publishDirectory(
                destination.request(staged, at: store.directory(for: destination.location), destination.record),
                of: type)
        else {
            Issue.record("it was not sealed")
            return
        }
        _ = try store.unseal(Self.request(["production/meta/meta_checkpoints/epoch"]))
        let shelf = ".artifactfs/versions/meta_layer%2Fcheckpoints%2Fepoch/1"
        #expect(try place.read(shelf + "/a.json") == "{}\n")
        #expect(try place.attributes(shelf).permissions == 0o555)
        let reader = try #require(try store.formerVersions(of: "epoch", in: "meta_layer/checkpoints"))
        #expect(try reader.version(1).left?.size == 3)
        #expect(chmod(place.path + "/" + shelf, 0o755) == 0)
    }

    // MARK: - Refusals

    @Test func whoMayNotIsRefused() throws {
        let place = try Self.scene(in: "/tmp")
        try place.write(
            ".artifactfs/schema.yaml",
            SchemaFile.defaultText.replacing("may_supersede: []", with: "may_supersede: [\"4711\", \"@4712\"]"))
        let store = try place.open()
        func rule(_ request: UnsealRequest) -> Rule? {
            do { _ = try store.unseal(request) } catch {
                if case .refused(_, let refusal, _) = error { return refusal.rule }
            }
            return nil
        }
        #expect(rule(Self.request(by: 99)) == .notYours)
        #expect(rule(Self.request(reason: " \n", by: 0)) == .reasonMissing)
        #expect(rule(Self.request(reason: String(repeating: "x", count: 1025))) == .reasonMissing)
        for path in [
            "production/base/gene_manifest/none.tsv", "production/base/analysis_sequences/chr2.tsv",
            "development/20260215_143022/base/gene_manifest/gene_manifest.tsv", "production", "", "nowhere/at/all",
            Self.path + "/inside", "production/base/gene_manifest/../gene_manifest/gene_manifest.tsv",
        ] {
            #expect(rule(Self.request([path])) == .notSealed, "\(path)")
            // All or none.
            #expect(rule(Self.request([Self.path, path])) == .notSealed, "\(path)")
        }
        // Who put it there is not known.
        try place.write("base_layer/analysis_sequences_chr3.tsv", table)
        #expect(rule(Self.request(["production/base/analysis_sequences/chr3.tsv"])) == .notSealed)
        #expect(place.exists("base_layer/" + Self.name))
        #expect(try place.events("unseal-intent").isEmpty)
        #expect(try place.read(".artifactfs/format") == "artifactfs store, format 1\n")
        #expect(rule(Self.request(by: 4711)) == nil && !place.exists("base_layer/" + Self.name))
        #expect(rule(Self.request([Self.chromosomePath], by: 5, in: [3, 4712])) == nil)
        // It is no more there.
        #expect(rule(Self.request()) == .notSealed)
    }

    /// Of several who supersede one artifact at a time one does, and the others are told that it is not there any more.
    @Test func onlyOneDoesIt() throws {
        let place = try Self.scene()
        let stores = try (0..<3).map { _ in try place.open() }
        let done = Atomic<Int>(0)
        let threads = stores.flatMap { store in
            (0..<2).map { _ in
                WorkerThread(name: "test") {
                    if (try? store.unseal(Self.request())) != nil { done.add(1, ordering: .relaxed) }
                }
            }
        }
        for thread in threads { thread?.join() }
        #expect(done.load(ordering: .relaxed) == 1)
        #expect(try place.events("superseded").count == 1)
        #expect(try place.read(Self.shelf + "/1") == table)
        try place.verifyLedger()
    }

    // MARK: - Ends

    /// Who does it is killed after each step: the next opening finishes what was announced, and nothing else has happened.
    @Test(arguments: Flow.allCases, UnsealStep.allCases)
    func aKillAtEachStep(flow: Flow, step: UnsealStep) throws {
        for hardens in Self.hardnesses { try aKill(flow, step, hardens) }
    }

    /// Whoever does it, and whoever finishes it, needs not be asked to harden: what was immutable is it again.
    private func aKill(_ flow: Flow, _ step: UnsealStep, _ hardens: Bool) throws {
        let place = try Self.scene(hardens: hardens)
        do {
            let store = try place.open(durability: .synced)
            store.stopUnsealingAfter.withLock { $0 = step }
            // Without a successor nothing is exchanged.
            let stops = flow == .supersedeWith || flow == .supersedeInSteps || step != .exchanged
            do {
                try Self.perform(flow, store)
                #expect(!stops)
            } catch UnsealObstacle.stopped { #expect(stops) }
        }
        try Self.check(
            flow, place, isDone: step == .described ? false : true, hardens: hardens, "\(flow), \(step), \(hardens)")
    }

    /// What finishes it fails too, at every call: the one after that does it.
    @Test(arguments: [Flow.supersedeWith, .retractTwo], [UnsealStep.intentLogged, .lifted, .exchanged, .moved])
    func theNextOpeningMayFail(flow: Flow, step: UnsealStep) throws {
        for hardens in Self.hardnesses { try theNextOpeningMayFail(flow, step, hardens) }
    }

    private func theNextOpeningMayFail(_ flow: Flow, _ step: UnsealStep, _ hardens: Bool) throws {
        try CountedFault.failingEachCallOfAnOpening {
            let place = try Self.scene(hardens: hardens)
            do {
                let store = try place.open(durability: .synced)
                store.stopUnsealingAfter.withLock { $0 = step }
                try? Self.perform(flow, store)
            }
            return place
        } check: { place, number in
            try Self.check(
                flow, place, isDone: true, hardens: hardens,
                "\(flow), \(step), \(hardens), the \(number). call fails")
        }
    }

    /// Of two intents the second is cut off: nothing was done, and nothing is.
    @Test func intentsThatAreNotAllThereDoNotCount() throws {
        let place = try Self.scene()
        do {
            let store = try place.open(durability: .synced)
            store.stopUnsealingAfter.withLock { $0 = .intentLogged }
            #expect(throws: UnsealObstacle.self) { try Self.perform(.retractTwo, store) }
        }
        let ledger = try place.ledgerFile()
        let size = try ledger.attributes().st_size
        try ledger.truncate(to: Int64(size) - 40)
        try Self.check(.retractTwo, place, isDone: false, "cut")
        #expect(try place.events("unseal-abandoned").count == 1)
    }

    /// Every system call fails once, in every place: all of it is done, or nothing.
    @Test(arguments: [Flow.supersede, .supersedeWith, .retractTwo], hardnesses)
    func everyCallMayFail(flow: Flow, hardens: Bool) throws {
        let counts = try Self.run(flow, nil, 0, .ioError, hardens)
        #expect(!counts.isEmpty)
        for (call, count) in counts where call != .fileSystem {
            for error in [Errno.noSpace, .ioError] {
                for number in 1...count { _ = try Self.run(flow, call, number, error, hardens) }
            }
            guard call == .write || call == .sync || call == .rename || call == .renameWithoutReplacing else {
                continue
            }
            for number in 1...count { _ = try Self.run(flow, call, number, .ioError, hardens, isDone: true) }
        }
    }

    @discardableResult
    private static func run(
        _ flow: Flow, _ failing: Faults.Call?, _ number: Int, _ error: Errno, _ hardens: Bool, isDone: Bool = false
    ) throws -> [Faults.Call: Int] {
        let place = try scene(hardens: hardens)
        let fault = CountedFault(failing, number, error, isDone: isDone)
        let store = try place.open(durability: .synced)
        let what =
            "\(flow): \(fault)"
        var isSaidDone = true
        fault.during {
            do { try perform(flow, store) } catch { isSaidDone = false }
        }
        // What is said is so at once, without another mount.
        #expect(place.exists(shelf + "/1") || !isSaidDone, "\(what)")
        if !isSaidDone { #expect(try place.read("base_layer/" + name) == table, "nothing has changed; \(what)") }
        // What could not get the flag again is told.
        let isTold = store.hardening.failures.count > 0
        store.close()
        try check(flow, place, isDone: isSaidDone, hardens: hardens && !isTold, what)
        return fault.counts
    }

    /// All or nothing, no byte lost, the ledger true, and nothing left to settle after the next opening.
    private static func check(
        _ flow: Flow, _ place: TemporaryStore, isDone: Bool, hardens: Bool = false, _ what: String
    ) throws {
        let store = try place.open()
        #expect(store.recovery.problems == [], "\(what)")
        store.close()
        let again = try place.open()
        #expect(again.recovery.isEmpty, "\(again.recovery); \(what)")
        defer { again.close() }
        try place.verifyLedger()
        let now = place.exists("base_layer/" + name) ? try place.read("base_layer/" + name) : nil
        let other = place.exists("base_layer/" + chromosome) ? try place.read("base_layer/" + chromosome) : nil
        if hardens {
            if now != nil { #expect(try place.isImmutable("base_layer/" + name), "\(what)") }
            if other != nil { #expect(try place.isImmutable("base_layer/" + chromosome), "\(what)") }
        }
        let shelves = ((try? place.names(".artifactfs/versions")) ?? []).sorted()
        var versions: [String] = []
        for directory in shelves {
            let names = try place.names(".artifactfs/versions/" + directory)
            for name in names where !name.hasSuffix(".json") {
                versions.append(try place.read(".artifactfs/versions/\(directory)/\(name)"))
                if hardens { #expect(try place.isImmutable(".artifactfs/versions/\(directory)/\(name)"), "\(what)") }
                #expect(names.contains(name + ".json"), "a version says what it is; \(what)")
            }
        }
        let left = try place.events("superseded").count + place.events("retracted").count
        if isDone {
            switch flow {
            case .supersede: #expect(now == nil && other != nil && versions == [table], "\(what)")
            case .supersedeWith, .supersedeInSteps:
                #expect(now == newTable && other != nil && versions == [table], "\(what)")
            case .retractTwo:
                #expect(now == nil && other == nil && Set(versions) == [table, table + "D\t4\n"], "\(what)")
            }
            #expect(left == versions.count, "\(what)")
            #expect(try place.read(".artifactfs/format") == "artifactfs store, format 2\n", "\(what)")
        } else {
            #expect(now == table && other != nil && versions.isEmpty && left == 0, "\(what)")
        }
        let history = try again.history(of: path)
        #expect((history.unsealed == nil) == (now != nil), "\(what)")
        if flow == .supersedeWith || flow == .supersedeInSteps, isDone {
            #expect(history.sealed?.artifact.version == 2, "\(what)")
            #expect(
                try again.formerVersions(of: name, in: "base_layer")?.version(1).record?.artifact.size
                    == Int64(table.utf8.count))
        }
        #expect(try place.quarantined().allSatisfy { $0 == newTable }, "what was there is not put away; \(what)")
        #expect(try place.names(".artifactfs/reserved") == [], "\(what)")
    }
}
