import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// Former versions are removed to make room: what they were and that they were removed stays known, whatever ends who does it.
@Suite struct VersionClearingTests {
    private static let path = "production/base/gene_manifest/gene_manifest.tsv"
    private static let shelf = ".artifactfs/versions/base_layer%2Fgene_manifest.tsv"
    private static let checkpoint = "production/meta/meta_checkpoints/step_1"
    private static let other = ".artifactfs/versions/meta_layer%2Fcheckpoints%2Fstep_1"
    private static let agent = Agent(user: 0, process: 2, program: "test")

    /// A store with two former versions of a file, of which the name is free, and one of a directory.
    private static func scene(in parent: String = "/dev/shm") throws -> TemporaryStore {
        let place = try TemporaryStore(in: parent)
        let store = try place.open(durability: .synced)
        defer { store.close() }
        for text in [table, table + "D\t4\n"] {
            try seal(store, text, path)
            _ = try store.unseal(request([path]))
        }
        let staged = try #require(store.staging).makeDirectory(
            hint: checkpoint, kind: .finished, mode: 0o755, owner: nil, target: nil)
        let inside = try staged.directory.directory(staged.name).file("config.json")
            .open(O_WRONLY | O_CREAT, mode: 0o644)
        try SystemCall.write(inside, Array("{}\n".utf8))
        SystemCall.close(inside)
        let type = try #require(store.schema.type(named: "meta_checkpoints"))
        let destination = try #require(Promotion.Destination(path: checkpoint, in: store.schema, isDirectory: true))
        guard
            case .sealed = store.publishDirectory(
                destination.request(staged, at: store.directory(for: destination.location), destination.record),
                of: type)
        else {
            Issue.record("the directory was not sealed")
            return place
        }
        _ = try store.unseal(request([checkpoint]))
        return place
    }

    private static func write(_ path: String, _ text: String) throws {
        let file = try FileDescriptor.open(
            path, .writeOnly, options: [.create], permissions: .init(rawValue: 0o644))
        defer { try? file.close() }
        try SystemCall.write(file, Array(text.utf8))
    }

    private static func seal(_ store: Store, _ text: String, _ path: String) throws {
        let staged = try TemporaryStore.stage(store, text, hint: path)
        let destination = try #require(Promotion.Destination(path: path, in: store.schema, isDirectory: false))
        let request = destination.request(
            staged, at: store.directory(for: destination.location), destination.record)
        guard case .sealed = store.publish(request) else {
            Issue.record("\(path) was not sealed")
            return
        }
    }

    private static func request(_ paths: [String]) -> UnsealRequest {
        UnsealRequest(paths: paths, unsealing: .retracted, reason: "a test", agent: agent, groups: [])
    }

    /// Removes the first version of the file, and the directory.
    @discardableResult
    private static func clear(_ store: Store) throws -> [Errno?] {
        let all = try store.shelvedVersions()
        let doomed = all.filter { $0.path == checkpoint || $0.version.number == 1 }
        return try store.remove(doomed.map { ($0, "a test") }, by: agent)
    }

    private static func check(_ place: TemporaryStore, isDone: Bool, _ what: String) throws {
        let store = try place.open()
        #expect(store.recovery.problems == [], "\(what)")
        store.close()
        let again = try place.open()
        #expect(again.recovery.isEmpty, "\(again.recovery); \(what)")
        defer { again.close() }
        try place.verifyLedger()
        let left = try place.names(shelf)
        let directory = try place.names(other)
        if isDone {
            #expect(
                left == ["1.removed", "2", "2.json"] && directory == ["1.removed"], "\(left), \(directory); \(what)")
        } else {
            // What is to be left of them says nothing beside them.
            #expect(
                left.filter { $0 != "1.removed" } == ["1", "1.json", "2", "2.json"]
                    && directory.filter { $0 != "1.removed" } == ["1", "1.json"], "\(left), \(directory); \(what)")
            #expect(try place.read(shelf + "/1") == table && place.read(other + "/1/config.json") == "{}\n", "\(what)")
        }
        let reader = try #require(try again.formerVersions(of: "gene_manifest.tsv", in: "base_layer"))
        let versions = try reader.all()
        #expect(versions.map(\.number) == [1, 2], "\(what)")
        #expect(versions.first?.left?.reason == "a test" && versions.first?.record != nil, "\(what)")
        #expect((versions.first?.removed != nil) == isDone && versions.last?.removed == nil, "\(what)")
        let history = try again.history(of: path)
        #expect((history.removed[1] != nil) == isDone && history.removed[2] == nil, "\(history.removed); \(what)")
        #expect(history.former.keys.sorted() == [1, 2], "\(what)")
        #expect(try place.read(shelf + "/2") == table + "D\t4\n", "\(what)")
    }

    @Test(arguments: ["/dev/shm", "/tmp"]) func whatIsRemovedStaysKnown(parent: String) throws {
        let place = try Self.scene(in: parent)
        do {
            let store = try place.open(durability: .synced)
            defer { store.close() }
            #expect(chmod(place.path + "/" + Self.shelf + "/1", 0o440) == 0)
            #expect(try Self.clear(store) == [nil, nil])
            #expect(try place.attributes(Self.shelf + "/1.removed").permissions == 0o440, "whose the version was")
            #expect(try place.names(".artifactfs/staging").count == 1)
            // Its number is never another's.
            try Self.seal(store, "gene\tscore\nC\t3\n", Self.path)
            let sealed = try #require(try place.events("sealed").last)
            #expect(sealed["record"]?["artifact"]?["version"]?.integer == 3)
            _ = try store.unseal(Self.request([Self.path]))
            #expect(try place.names(Self.shelf) == ["1.removed", "2", "2.json", "3", "3.json"])
        }
        // All of them.
        let store = try place.open()
        defer { store.close() }
        #expect(try store.remove(store.shelvedVersions().map { ($0, "r") }, by: Self.agent) == [nil, nil])
        #expect(try place.names(Self.shelf) == ["1.removed", "2.removed", "3.removed"])
        try Self.seal(store, table, Self.path)
        #expect(try place.events("sealed").last?["record"]?["artifact"]?["version"]?.integer == 4)
        #expect(try place.events("version-removed").count == 4)
    }

    @Test(arguments: VersionClearingStep.allCases) func aKillAtEachStep(step: VersionClearingStep) throws {
        let place = try Self.scene()
        do {
            let store = try place.open(durability: .synced)
            store.stopClearingAfter.withLock { $0 = step }
            #expect(throws: UnsealObstacle.self) { try Self.clear(store) }
        }
        try Self.check(place, isDone: step != .described, "\(step)")
    }

    /// What finishes it fails too, at every call: the one after that does it.
    @Test(arguments: [VersionClearingStep.logged, .removed]) func theNextOpeningMayFail(step: VersionClearingStep)
        throws
    {
        try CountedFault.failingEachCallOfAnOpening {
            let place = try Self.scene()
            do {
                let store = try place.open(durability: .synced)
                store.stopClearingAfter.withLock { $0 = step }
                _ = try? Self.clear(store)
            }
            return place
        } check: { place, number in
            try Self.check(place, isDone: true, "\(step), the \(number). call fails")
        }
    }

    /// Every system call fails once, in every place: what is said to be there is there, and what is said to be removed is.
    @Test func everyCallMayFail() throws {
        let counts = try Self.run(nil, 0, .ioError)
        #expect(!counts.isEmpty)
        for (call, count) in counts where call != .fileSystem {
            for number in 1...count { _ = try Self.run(call, number, .ioError) }
            guard [.write, .sync, .rename, .renameWithoutReplacing, .unlink].contains(call) else { continue }
            for number in 1...count {
                _ = try Self.run(call, number, .noSpace)
                _ = try Self.run(call, number, .ioError, isDone: true)
            }
        }
    }

    private static func run(
        _ failing: Faults.Call?, _ number: Int, _ error: Errno, isDone: Bool = false
    ) throws -> [Faults.Call: Int] {
        let place = try scene()
        let fault = CountedFault(failing, number, error, isDone: isDone)
        let what = "\(fault)"
        let names = [shelf, other]
        var outcomes: [Errno?]?
        do {
            let store = try place.open(durability: .synced)
            fault.during { outcomes = try? clear(store) }
            // By the directories' names, as they are looked through.
            for (number, name) in names.enumerated() {
                guard let outcomes, number < outcomes.count, outcomes[number] == nil else { continue }
                #expect(!place.exists(name + "/1") && place.exists(name + "/1.removed"), "\(what)")
            }
            store.close()
        }
        // Another opening settles it, and nothing of it is half then.
        try place.open().close()
        let again = try place.open()
        #expect(again.recovery.isEmpty, "\(again.recovery); \(what)")
        defer { again.close() }
        try place.verifyLedger()
        for (shown, name) in zip([path, checkpoint], names) {
            let isThere = place.exists(name + "/1")
            #expect(isThere == place.exists(name + "/1.json"), "\(what)")
            #expect(isThere || place.exists(name + "/1.removed"), "what it was stays known; \(what)")
            #expect((try again.history(of: shown).removed[1] != nil) == !isThere, "the ledger is true; \(what)")
            if outcomes != nil, failing == nil { #expect(!isThere, "\(what)") }
        }
        return fault.counts
    }

    /// What is not what was looked at is not touched, and what somebody wants to keep at the last moment stays.
    @Test func whatIsAnotherStays() throws {
        let place = try Self.scene()
        let store = try place.open()
        defer { store.close() }
        let all = try store.shelvedVersions()
        #expect(all.map(\.title) == ["\(Self.path)@1", "\(Self.path)@2", "\(Self.checkpoint)@1"])
        let kept = try store.remove(all.map { ($0, "r") }, by: Self.agent, stillGoes: { $0.version.number == 2 })
        #expect(kept == [.resourceTemporarilyUnavailable, nil, .resourceTemporarilyUnavailable])
        let real = place.path + "/" + Self.shelf
        #expect(rename(real + "/1", real + "/away") == 0)
        try Self.write(real + "/1", "another")
        #expect(try store.remove([(all[0], "r")], by: Self.agent) == [.noSuchFileOrDirectory])
        #expect(try place.read(Self.shelf + "/1") == "another" && !place.exists(Self.shelf + "/1.removed"))
        // What nothing describes is not known.
        #expect(unlink(real + "/1.json") == 0)
        let unknown = try #require(try store.shelvedVersions().first)
        #expect(unknown.path == nil && unknown.title == "base_layer/gene_manifest.tsv@1")
        #expect(try store.remove([(unknown, "r")], by: Self.agent) == [.noSuchFileOrDirectory])
        #expect(try place.events("version-removed").count == 1)
    }
}
