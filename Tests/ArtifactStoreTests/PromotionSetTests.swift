import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// SEMANTICS 2.9: files of sessions and tests become artifacts together or not at all, whatever ends who promotes them.
@Suite struct PromotionSetTests {
    private static let session = "20260215_143022"
    private static let names = ["chr1", "chr2", "chr3"]
    private static let real = names.map { "analysis_sequences_\($0).tsv" }
    private static let modes: [UInt32] = [0o600, 0o664, 0o640]
    private static func shown(_ name: String) -> String {
        "development/\(session)/base/analysis_sequences/\(name).tsv"
    }
    private static let paths = names.map(shown)
    private static func text(_ index: Int) -> String { table + "C\t\(index)\n" }
    private static let place = "base_layer/dev/\(session)/"

    /// A store with a session that has three artifacts, with different permissions.
    private static func scene(in parent: String = "/dev/shm") throws -> TemporaryStore {
        let store = try TemporaryStore(in: parent)
        for directory in ["base_layer", "base_layer/dev", "base_layer/dev/" + session] {
            _ = mkdir(store.path + "/" + directory, 0o755)
        }
        for (index, name) in real.enumerated() {
            try store.write(place + name, text(index))
            #expect(chmod(store.path + "/" + place + name, modes[index]) == 0)
        }
        return store
    }

    private static func writer() -> ArtifactRecord.Writer {
        var writer = ArtifactRecord.Writer()
        writer.uid = geteuid()
        return writer
    }

    /// Promotes; the set then, and whether it is published.
    private static func promote(
        _ store: Store, _ request: PromotionRequest = PromotionRequest(paths: paths)
    ) -> (set: PromotionSet, isDone: Bool) {
        var set = store.promotionSet(request)
        store.lookInside(&set)
        let isDone = store.promote(&set, request, by: writer())
        return (set, isDone)
    }

    // MARK: - What is done

    @Test(arguments: Durability.allCases, [false, true]) func allArePublished(durability: Durability, keeps: Bool)
        throws
    {
        let place = try Self.scene(in: "/tmp")
        let store = try place.open(durability: durability)
        let inodes = try Self.real.map { try place.attributes(Self.place + $0).st_ino }
        var request = PromotionRequest(paths: [], scopes: ["development/" + Self.session], keeps: keeps)
        request.check = "make check"
        let (set, isDone) = Self.promote(store, request)
        #expect(isDone && set.members.allSatisfy(\.isPromoted) && set.members.map(\.from) == Self.paths, "\(set)")
        for (index, name) in Self.real.enumerated() {
            let sealed = try place.attributes("base_layer/" + name)
            #expect(try place.read("base_layer/" + name) == Self.text(index))
            #expect(sealed.permissions == Self.modes[index] & 0o555)
            #expect((sealed.st_ino == inodes[index]) == !keeps, "no bytes are copied where it moves")
            #expect(place.exists(Self.place + name) == keeps)
            if keeps { #expect(try place.attributes(Self.place + name).permissions == Self.modes[index]) }
        }
        let records = try place.events("sealed").compactMap { $0["record"] }
        #expect(records.count == 3)
        for record in records {
            #expect(record["origin"]?["session"]?.string == Self.session && record["origin"]?["sha256"] != nil)
            #expect(record["origin"]?["check"]?.string == "make check")
            #expect(Self.paths.contains(record["origin"]?["path"]?.string ?? ""))
        }
        store.close()
        #expect(try place.names(".artifactfs/staging") == [] && place.names(".artifactfs/reserved") == [])
        #expect(try place.open().recovery.isEmpty)
        try place.verifyLedger()
    }

    /// An experiment's metadata and plots go with a whole session, as copies; what production has already, and what the schema has no type
    /// for, is left out and told.
    @Test func theExperimentGoesWithIt() throws {
        let place = try Self.scene()
        try place.write(Self.place + "metadata.json", "{\"config\": {\"rate\": 0.1}}\n")
        _ = mkdir(place.path + "/" + Self.place + "plots", 0o755)
        for name in ["a b.svg", "loss.svg"] { try place.write(Self.place + "plots/" + name, "<svg/>") }
        let request = PromotionRequest(paths: [], scopes: ["development/" + Self.session])
        do {
            let store = try place.open(durability: .synced)
            store.stopAfter.withLock { $0 = .madeReadOnly }
            _ = Self.promote(store, request)
        }
        let store = try place.open()
        #expect(store.recovery.restored.count == 6 && store.recovery.problems == [])
        let (set, isDone) = Self.promote(store, request)
        #expect(isDone && set.leftOut.isEmpty, "\(set)")
        #expect(
            try place.read("meta_layer/experiments/\(Self.session).json") == place.read(Self.place + "metadata.json"))
        for name in ["a_b.svg", "loss.svg"] {
            #expect(try place.read("meta_layer/figures/\(Self.session)_\(name)") == "<svg/>")
        }
        #expect(try place.names(Self.place + "plots").count == 2, "the session keeps them")
        try place.write(Self.place + "analysis_sequences_chr8.tsv", table)
        let (later, isDoneToo) = Self.promote(store, request)
        #expect(isDoneToo && later.leftOut.count == 3 && later.members.count == 1, "\(later)")
        #expect(later.leftOut.allSatisfy { $0.reason.hasSuffix("is there already") })
        // By themselves they are no session's artifacts.
        #expect(store.promotionSet(request).members.isEmpty)
        store.close()

        // A store keeps the schema that it was made with.
        let old = try Self.scene()
        try old.write(Self.place + "metadata.json", "{}\n")
        try old.write(
            ".artifactfs/schema.yaml",
            SchemaFile.text(of: try ArtifactSchema(types: Array(ArtifactSchema.builtIn.types.prefix(9)))))
        let (ofOld, isOldDone) = Self.promote(try old.open(), request)
        #expect(isOldDone && ofOld.leftOut.map(\.path) == ["development/\(Self.session)/metadata.json"], "\(ofOld)")
        #expect(ofOld.leftOut.first?.reason.contains("no type experiment_metadata") == true)
    }

    // MARK: - Refusals

    /// All refusals are found, not only the first, and nothing has changed.
    @Test func allRefusalsAreTold() throws {
        let place = try Self.scene(in: "/tmp")
        try place.write("base_layer/" + Self.real[0], "there")
        try place.write(Self.place + Self.real[1], "a\tb\n1\n")
        _ = mkdir(place.path + "/meta_layer", 0o755)
        let meta = "meta_layer/dev/\(Self.session)"
        for directory in ["meta_layer/dev", meta, meta + "/checkpoints", meta + "/checkpoints/epoch"] {
            _ = mkdir(place.path + "/" + directory, 0o755)
        }
        try place.write(Self.place + "analysis_sequences_chr4.tsv", table)
        #expect(
            link(
                place.path + "/" + Self.place + "analysis_sequences_chr4.tsv",
                place.path + "/" + Self.place + "analysis_sequences_chr5.tsv") == 0)
        try place.write(Self.place + "analysis_sequences_chr6.tsv", "")
        symlink("analysis_sequences_chr1.tsv", place.path + "/" + Self.place + "analysis_sequences_chr7.tsv")
        let writing = try FileDescriptor.open(place.path + "/" + Self.place + Self.real[2], .writeOnly)
        defer { SystemCall.close(writing) }
        let store = try place.open()
        let checkpoints = "development/\(Self.session)/meta/meta_checkpoints/"
        let expected: [(String, Rule)] = [
            (Self.paths[0], .productionImmutable), (Self.paths[1], .failedCheck), (Self.paths[2], .beingWritten),
            (Self.shown("chr4"), .crossesTrees), (Self.shown("chr5"), .crossesTrees),
            (Self.shown("chr6"), .failedCheck), (Self.shown("chr7"), .notPromotable), (Self.shown("chr9"), .posix),
            ("development/\(Self.session)/base/analysis_sequences/x.txt", .invalidName),
            ("development/\(Self.session)/base/analysis_sequences/..", .invalidName),
            ("development/\(Self.session)/metadata.json", .notPromotable),
            ("development/20260101_000000/base/analysis_sequences/chr1.tsv", .posix),
            (checkpoints + "epoch", .failedCheck),
            ("production/base/analysis_sequences/chr1.tsv", .notPromotable), ("", .notPromotable),
        ]
        let (set, isDone) = Self.promote(store, PromotionRequest(paths: expected.map(\.0)))
        #expect(!isDone && set.members.count == expected.count)
        for (path, rule) in expected {
            let member = set.members.first { $0.from == path }
            #expect(member?.fault?.refusal.rule == rule, "\(path): \(String(describing: member?.fault))")
        }
        #expect(try place.names(Self.place).count == 7 && place.read("base_layer/" + Self.real[0]) == "there")
        #expect(try place.events("promotion-intent").isEmpty)
        // Whole sessions: links are left out.
        let whole = store.promotionSet(PromotionRequest(paths: [], scopes: ["development/" + Self.session]))
        #expect(whole.leftOut.map(\.path) == [Self.shown("chr7")])
        #expect(whole.members.first { $0.from == checkpoints + "epoch" }?.isDirectory == true)
        for scope in ["development/20260101_000000", "production", "development", "test/none", ""] {
            let none = store.promotionSet(PromotionRequest(paths: [], scopes: [scope]))
            #expect(none.members.first?.fault?.refusal.errno == .noSuchFileOrDirectory, "\(scope)")
        }
        // A copy may be made of what has other names.
        var copied = PromotionRequest(paths: [Self.shown("chr4")], keeps: true)
        copied.owner = (geteuid(), getegid())
        #expect(Self.promote(store, copied).isDone)
        #expect(try place.attributes("base_layer/analysis_sequences_chr4.tsv").st_nlink == 1)
    }

    @Test func twoOfOneNameAreRefused() throws {
        let place = try Self.scene()
        for directory in ["base_layer/tests", "base_layer/tests/test_a"] {
            _ = mkdir(place.path + "/" + directory, 0o755)
        }
        try place.write("base_layer/tests/test_a/" + Self.real[0], table)
        let store = try place.open()
        let (set, isDone) = Self.promote(
            store, PromotionRequest(paths: Self.paths + ["test/test_a/base/analysis_sequences/chr1.tsv"]))
        #expect(!isDone && set.members.filter { $0.fault?.refusal.errno == .fileExists }.count == 2, "\(set)")
    }

    /// A name that another writer has begun stands in the way, and those that were taken before are given back.
    @Test func aNameThatIsTakenKeepsAll() throws {
        let place = try Self.scene()
        let (store, other) = (try place.open(), try place.open())
        let target = Staging.Target(directory: other.directory("base_layer"), name: Self.real[1])
        let theirs = try #require(other.staging).unusedName(hint: "production/base/analysis_sequences/chr2.tsv")
        try #require(other.staging).reserve(target, for: theirs)
        let (set, isDone) = Self.promote(store)
        #expect(!isDone && set.members.map { $0.fault?.refusal.rule } == [nil, .anotherWriter, nil])
        other.staging?.release(theirs)
        #expect(Self.promote(store).isDone)
    }

    // MARK: - Ends

    /// Who promotes is killed after each step: the next opening has published all, or all are where they were.
    @Test(arguments: PromotionStep.allCases, [false, true]) func aKillBefore(step: PromotionStep, keeps: Bool) throws {
        let place = try Self.scene()
        do {
            let store = try place.open(durability: .synced)
            store.stopPromotingAfter.withLock { $0 = step }
            #expect(!Self.promote(store, PromotionRequest(paths: Self.paths, keeps: keeps)).isDone)
        }
        try Self.check(place, keeps: keeps, isDone: false, "\(step)")
    }

    @Test(
        arguments: [PublishStep.checked, .madeReadOnly, .intentLogged, .moved, .directorySynced],
        [(false, Durability.synced), (true, .synced), (false, .relaxed)])
    func aKillWhilePublishing(step: PublishStep, how: (keeps: Bool, durability: Durability)) throws {
        let place = try Self.scene()
        do {
            let store = try place.open(durability: how.durability)
            store.stopAfter.withLock { $0 = step }
            _ = Self.promote(store, PromotionRequest(paths: Self.paths, keeps: how.keeps))
        }
        let isDone = step != .checked && step != .madeReadOnly
        try Self.check(place, keeps: how.keeps, isDone: isDone, "\(step)")
    }

    /// What has the name by then is not replaced: the bytes are in quarantine.
    @Test func whatHasTheNameStays() throws {
        let place = try Self.scene()
        do {
            let store = try place.open(durability: .synced)
            store.stopAfter.withLock { $0 = .madeReadOnly }
            _ = Self.promote(store)
        }
        try place.write(Self.place + Self.real[0], "new\tone\n")
        let store = try place.open()
        #expect(store.recovery.restored.sorted() == Array(Self.paths.dropFirst()))
        #expect(try place.quarantined() == [Self.text(0)])
        #expect(try place.read(Self.place + Self.real[0]) == "new\tone\n")
        #expect(try place.read(Self.place + Self.real[1]) == Self.text(1))
    }

    /// Every system call fails once, in every place, also after it was done: all are published, or none, and no byte is lost.
    @Test(arguments: [false, true]) func everyCallMayFail(keeps: Bool) throws {
        let counts = try Self.run(keeps, nil, 0, .ioError)
        #expect(!counts.isEmpty)
        for (call, count) in counts where call != .fileSystem {
            for number in 1...count { _ = try Self.run(keeps, call, number, .ioError) }
            guard call == .write || call == .sync || call == .rename || call == .renameWithoutReplacing else {
                continue
            }
            for number in 1...count { _ = try Self.run(keeps, call, number, .ioError, isDoneAllTheSame: true) }
            for number in 1...count { _ = try Self.run(keeps, call, number, .noSpace) }
        }
    }

    /// What puts it back at the next opening fails too, at every call: the one after that does it.
    @Test(arguments: [PublishStep.madeReadOnly, .intentLogged]) func theNextOpeningMayFail(step: PublishStep) throws {
        try CountedFault.failingEachCallOfAnOpening {
            let place = try Self.scene()
            do {
                let store = try place.open(durability: .synced)
                store.stopAfter.withLock { $0 = step }
                _ = Self.promote(store)
            }
            return place
        } check: { place, number in
            try Self.check(
                place, keeps: false, isDone: step == .intentLogged, "\(step), the \(number). call fails")
        }
    }

    @discardableResult
    private static func run(
        _ keeps: Bool, _ failing: Faults.Call?, _ number: Int, _ error: Errno, isDoneAllTheSame: Bool = false
    ) throws -> [Faults.Call: Int] {
        let place = try scene()
        let fault = CountedFault(failing, number, error, isDone: isDoneAllTheSame)
        let store = try place.open(durability: .synced)
        let what =
            "\(fault), keeps: \(keeps)"
        let result = fault.during { promote(store, PromotionRequest(paths: paths, keeps: keeps)) }
        if !result.isDone {
            #expect(result.set.members.contains { $0.fault != nil }, "it says why; \(what)")
            // What is said is so at once, without another mount.
            for (index, name) in real.enumerated() where (try? place.read(Self.place + name)) != text(index) {
                #expect(
                    result.set.members[index].fault?.detail?.contains("its bytes are kept") == true
                        || result.set.members[index].isPromoted, "\(what)")
            }
        }
        store.close()
        try check(place, keeps: keeps, isDone: result.isDone, what)
        return fault.counts
    }

    /// All or nothing, no byte lost, permissions as they were, the ledger true, and nothing left to settle after the next opening.
    private static func check(_ place: TemporaryStore, keeps: Bool, isDone: Bool, _ what: String) throws {
        let store = try place.open()
        #expect(store.recovery.problems == [], "\(what)")
        store.close()
        let again = try place.open()
        #expect(again.recovery.isEmpty, "\(again.recovery); \(what)")
        defer { again.close() }
        try place.verifyLedger()
        let published = real.filter { place.exists("base_layer/" + $0) }
        #expect(published == (isDone ? real : []), "\(what)")
        let quarantined = try place.quarantined()
        for (index, name) in real.enumerated() {
            if isDone {
                #expect(try place.read("base_layer/" + name) == text(index), "\(what)")
                #expect(place.exists(Self.place + name) == keeps, "\(what)")
            } else if place.exists(Self.place + name) {
                #expect(try place.read(Self.place + name) == text(index), "\(what)")
                #expect(try place.attributes(Self.place + name).permissions == modes[index], "\(what)")
            } else {
                #expect(quarantined.contains(text(index)), "no byte is lost; \(what)")
            }
        }
        #expect(quarantined.isEmpty, "\(what)")
        let left = try place.names(".artifactfs/staging").flatMap { try place.names(".artifactfs/staging/" + $0) }
            .filter { !$0.hasPrefix(".lock") }
        #expect(left == [], "\(what)")
        #expect(try place.names(".artifactfs/reserved") == [], "\(what)")
    }
}
