import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// SEMANTICS 2.9: directories that are artifacts are promoted with files, all or none.
@Suite struct PromotedDirectoryTests {
    private static let session = "20260215_143022"
    private static let layer = "meta_layer/"
    private static let place = layer + "dev/" + session + "/checkpoints/"
    private static let shown = "development/\(session)/meta/meta_checkpoints/"
    /// What is in each directory, with its permissions; `empty/` and `sub/` are directories.
    private static let files: [(path: String, text: String, mode: mode_t)] = [
        ("a.json", "{}\n", 0o644), ("b.tsv", table, 0o640), ("sub/_SUCCESS", "", 0o664), ("sub/x y%", "z", 0o600),
    ]
    private static let directories: [(path: String, mode: mode_t)] = [("empty", 0o700), ("sub", 0o775), ("", 0o2770)]
    private static let wholes = ["checkpoint-1", "checkpoint-2"]
    private static let file = "epoch_1.npy"
    private static let paths = (wholes + [file]).map { shown + $0 }

    /// A store with a session that has two directories and a file.
    private static func scene(in parent: String = "/dev/shm") throws -> TemporaryStore {
        let store = try TemporaryStore(in: parent)
        try fill(store.path)
        return store
    }

    private static func fill(_ store: String) throws {
        var path = store
        for part in (place.split(separator: "/")) {
            path += "/" + part
            _ = mkdir(path, 0o755)
        }
        for whole in wholes {
            let top = path + "/" + whole
            for name in ["", "/sub", "/empty"] { try #require(mkdir(top + name, 0o755) == 0) }
            for file in files {
                let descriptor = try FileDescriptor.open(
                    top + "/" + file.path, .writeOnly, options: .create, permissions: .init(rawValue: 0o600))
                try SystemCall.write(descriptor, Array(file.text.utf8))
                SystemCall.close(descriptor)
                try #require(chmod(top + "/" + file.path, file.mode) == 0)
            }
            for directory in directories { try #require(chmod(top + "/" + directory.path, directory.mode) == 0) }
        }
        let single = try FileDescriptor.open(
            path + "/" + file, .writeOnly, options: .create, permissions: .init(rawValue: 0o640))
        defer { SystemCall.close(single) }
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }"
        let length = (header.utf8.count + 10 + 1 + 63) / 64 * 64 - 10
        let bytes =
            [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 255), UInt8(length >> 8)] + Array(header.utf8)
            + [UInt8](repeating: 32, count: length - header.utf8.count - 1) + [10, 1, 2]
        try SystemCall.write(single, bytes)
        try #require(fchmod(single.rawValue, 0o640) == 0)
    }

    private static func promote(
        _ store: Store, keeps: Bool = false, _ request: PromotionRequest? = nil
    ) -> (set: PromotionSet, isDone: Bool) {
        var request = request ?? PromotionRequest(paths: paths)
        request.keeps = keeps
        var writer = ArtifactRecord.Writer()
        writer.uid = geteuid()
        var set = store.promotionSet(request)
        store.lookInside(&set)
        let isDone = store.promote(&set, request, by: writer)
        return (set, isDone)
    }

    // MARK: - What is done

    @Test(arguments: Durability.allCases, [false, true]) func directoriesGoWithFiles(
        durability: Durability, keeps: Bool
    ) throws {
        let place = try Self.scene(in: "/tmp")
        let store = try place.open(durability: durability)
        let inodes = try Self.wholes.map { try place.attributes(Self.place + $0 + "/a.json").st_ino }
        let (set, isDone) = Self.promote(
            store, keeps: keeps, PromotionRequest(paths: [], scopes: ["development/" + Self.session]))
        #expect(isDone && set.members.map(\.from) == Self.paths && set.members[0].size == 23, "\(set)")
        for (index, whole) in Self.wholes.enumerated() {
            try Self.isWhole(place, Self.layer + "checkpoints/" + whole, sealed: true)
            #expect(place.exists(Self.place + whole) == keeps)
            if keeps { try Self.isWhole(place, Self.place + whole, sealed: false) }
            let inode = try place.attributes(Self.layer + "checkpoints/\(whole)/a.json").st_ino
            #expect((inode == inodes[index]) == !keeps, "no bytes are copied where it moves")
        }
        let sealed = try place.events("sealed")
        #expect(sealed.count == 3 && Set(sealed.compactMap { $0["together"]?.string }).count == 1)
        let record = try #require(sealed.first { $0["name"]?.string == Self.wholes[0] }?["record"])
        #expect(record["artifact"]?["kind"]?.string == "directory" && record["artifact"]?["size"]?.integer == 23)
        #expect(record["origin"]?["path"]?.string == Self.paths[0])
        let sha256 = try #require(record["artifact"]?["sha256"]?.string)
        #expect(place.exists(".artifactfs/manifests/" + sha256))
        store.close()
        let again = try place.open()
        #expect(again.recovery.isEmpty)
        #expect(try place.names(".artifactfs/staging").count == 1 && place.names(".artifactfs/reserved") == [])
        try place.verifyLedger()
    }

    /// As it was put there, or without rights to write.
    private static func isWhole(
        _ place: TemporaryStore, _ path: String, sealed: Bool, _ what: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for file in files {
            #expect(try place.read(path + "/" + file.path) == file.text, "\(what)", sourceLocation: sourceLocation)
            let mode = try place.attributes(path + "/" + file.path).permissions
            #expect(
                mode == (sealed ? file.mode & 0o555 : file.mode), "\(file.path) \(what)", sourceLocation: sourceLocation
            )
        }
        for directory in directories {
            let mode = try place.attributes(path + "/" + directory.path).permissions & 0o777
            #expect(
                mode == (sealed ? directory.mode & 0o555 : directory.mode & 0o777), "\(directory.path)/ \(what)",
                sourceLocation: sourceLocation)
        }
        #expect(
            try place.names(path) == ["a.json", "b.tsv", "empty", "sub"], "\(what)", sourceLocation: sourceLocation)
    }

    // MARK: - Refusals

    @Test func whatRefusesADirectory() throws {
        let place = try Self.scene(in: "/tmp")
        let top = place.path + "/" + Self.place
        for name in ["open", "linked", "broken", "fifo", "empty", "taken"] { _ = mkdir(top + name, 0o755) }
        for name in ["open", "linked", "taken"] { try place.write(Self.place + name + "/x.tsv", table) }
        try place.write(Self.place + "broken/x.json", "{")
        try place.write(Self.place + "fifo/x.json", "{}")
        #expect(mkfifo(top + "fifo/f", 0o600) == 0)
        #expect(link(top + "linked/x.tsv", top + "linked/y.tsv") == 0)
        _ = mkdir(place.path + "/" + Self.layer + "checkpoints", 0o755)
        _ = mkdir(place.path + "/" + Self.layer + "checkpoints/taken", 0o755)
        for directory in ["base_layer", "base_layer/dev", "base_layer/dev/" + Self.session] {
            _ = mkdir(place.path + "/" + directory, 0o755)
        }
        _ = mkdir(place.path + "/base_layer/dev/\(Self.session)/gene_manifest.tsv", 0o755)
        let writing = try FileDescriptor.open(top + "open/x.tsv", .writeOnly)
        defer { SystemCall.close(writing) }
        let store = try place.open()
        let stray = "development/\(Self.session)/base/gene_manifest/gene_manifest.tsv"
        let expected: [(String, Rule, Errno)] = [
            (Self.shown + "open", .beingWritten, .resourceBusy),
            (Self.shown + "linked", .failedCheck, .invalidArgument),
            (Self.shown + "broken", .failedCheck, .invalidArgument),
            (Self.shown + "fifo", .failedCheck, .invalidArgument),
            (Self.shown + "empty", .failedCheck, .invalidArgument),
            (Self.shown + "taken", .productionImmutable, .fileExists), (stray, .notPromotable, .isDirectory),
        ]
        let (set, isDone) = Self.promote(store, PromotionRequest(paths: expected.map(\.0) + Self.paths))
        #expect(!isDone)
        for (path, rule, errno) in expected {
            let fault = set.members.first { $0.from == path }?.fault
            #expect(fault?.refusal == Refusal(errno, rule), "\(path): \(String(describing: fault))")
        }
        let whole = set.members.first { $0.from == Self.paths[0] }
        #expect(whole?.fault == nil, "\(String(describing: whole?.fault))")
        #expect(try place.events("promotion-intent").isEmpty)
        try Self.isWhole(place, Self.place + Self.wholes[0], sealed: false)
        // A copy may be made of what has other names.
        #expect(Self.promote(store, keeps: true, PromotionRequest(paths: [Self.shown + "linked"])).isDone)
        // Nobody has looked.
        var blind = store.promotionSet(PromotionRequest(paths: [Self.paths[0]]))
        #expect(!store.promote(&blind, PromotionRequest(paths: [Self.paths[0]]), by: .init()))
        #expect(blind.members.first?.fault?.refusal.errno == .resourceBusy)
    }

    /// What changed after it was looked at is neither published nor copied: a byte, a permission, another file under a name.
    @Test(arguments: [false, true]) func onlyWhatWasLookedAt(keeps: Bool) throws {
        for change in ["b.tsv", "mode", "sub/new", "another"] {
            let place = try Self.scene()
            let store = try place.open()
            let top = place.path + "/" + Self.place + Self.wholes[0]
            var request = PromotionRequest(paths: Self.paths)
            request.keeps = keeps
            var set = store.promotionSet(request)
            store.lookInside(&set)
            switch change {
            case "mode": #expect(chmod(top + "/a.json", 0o600) == 0)
            case "another":
                try place.write(Self.place + "other", "{}\n")
                #expect(rename(place.path + "/" + Self.place + "other", top + "/a.json") == 0)
            default: try place.write(Self.place + Self.wholes[0] + "/" + change, table + "C\t3\n")
            }
            let before = try set.state()
            #expect(!store.promote(&set, request, by: .init()), "\(change)")
            #expect(set.members[0].fault?.refusal.errno == .staleNFSFileHandle, "\(change) \(set.members[0])")
            var now = store.promotionSet(request)
            store.lookInside(&now)
            #expect(try before != now.state(), "\(change)")
            #expect(place.exists(Self.place + Self.wholes[1]) && !place.exists(Self.layer + "checkpoints"))
        }
    }

    /// More permissions than a line of the ledger takes: that one is promoted alone, or kept.
    @Test func tooManyPermissions() throws {
        let place = try TemporaryStore(in: "/dev/shm")
        try Self.fill(place.path)
        let top = place.path + "/" + Self.place + Self.wholes[0] + "/sub/"
        for number in 0..<1200 {
            let name = top + String(repeating: "x", count: 230) + "\(number)"
            SystemCall.close(try .open(name, .writeOnly, options: .create, permissions: .init(rawValue: 0o600)))
            #expect(chmod(name, number % 2 == 0 ? 0o600 : 0o640) == 0)
            if number == 900 {
                let store = try place.open()
                let (set, _) = Self.promote(store, PromotionRequest(paths: [Self.paths[0], Self.shown + "none"]))
                #expect(set.members[0].fault == nil, "what fits is no fault: \(set.members[0])")
                store.close()
            }
        }
        for number in 1200..<2500 {
            let name = top + String(repeating: "x", count: 230) + "\(number)"
            SystemCall.close(try .open(name, .writeOnly, options: .create, permissions: .init(rawValue: 0o600)))
            #expect(chmod(name, number % 2 == 0 ? 0o600 : 0o640) == 0)
        }
        let store = try place.open()
        let (set, isDone) = Self.promote(store)
        #expect(!isDone && set.members[0].fault?.detail?.contains("--keep") == true, "\(set.members[0])")
        #expect(Self.promote(store, keeps: true).isDone)
    }

    // MARK: - Ends

    @Test(arguments: PromotionStep.allCases, [false, true]) func aKillBefore(step: PromotionStep, keeps: Bool) throws {
        let place = try Self.scene()
        do {
            let store = try place.open(durability: .synced)
            store.stopPromotingAfter.withLock { $0 = step }
            #expect(!Self.promote(store, keeps: keeps).isDone)
        }
        try Self.check(place, keeps: keeps, isDone: false, "\(step)")
    }

    @Test(
        arguments: [PublishStep.checked, .madeReadOnly, .fileSynced, .intentLogged, .moved, .directorySynced],
        [(false, Durability.synced), (true, .synced), (false, .relaxed)])
    func aKillWhilePublishing(step: PublishStep, how: (keeps: Bool, durability: Durability)) throws {
        let place = try Self.scene()
        do {
            let store = try place.open(durability: how.durability)
            store.stopAfter.withLock { $0 = step }
            _ = Self.promote(store, keeps: how.keeps)
        }
        let isDone = ![.checked, .madeReadOnly, .fileSynced].contains(step)
        try Self.check(place, keeps: how.keeps, isDone: isDone, "\(step)")
    }

    /// What has the name by then is not replaced: the bytes are in quarantine, with their permissions.
    @Test func whatHasTheNameStays() throws {
        let place = try Self.scene()
        do {
            let store = try place.open(durability: .synced)
            store.stopAfter.withLock { $0 = .fileSynced }
            _ = Self.promote(store)
        }
        #expect(!place.exists(Self.place + Self.wholes[0]))
        _ = mkdir(place.path + "/" + Self.place + Self.wholes[0], 0o755)
        let store = try place.open()
        #expect(store.recovery.restored.sorted() == Array(Self.paths.dropFirst()))
        let id = try #require(try place.names(".artifactfs/quarantine").first)
        try Self.isWhole(place, ".artifactfs/quarantine/" + id, sealed: false)
        #expect(try store.quarantine().entry(id).record.artifact.kind == .directory)
        try Self.isWhole(place, Self.place + Self.wholes[1], sealed: false)
    }

    /// Every system call fails once, in every place, also after it was done: all are published, or none, and no byte is lost.
    @Test(arguments: [false, true]) func everyCallMayFail(keeps: Bool) throws {
        let counts = try Self.run(keeps, nil, 0, .ioError)
        #expect(!counts.isEmpty)
        for (call, count) in counts where call != .fileSystem {
            for number in 1...count { _ = try Self.run(keeps, call, number, .ioError) }
            for number in 1...count {
                switch call {
                case .rename, .renameWithoutReplacing:
                    _ = try Self.run(keeps, call, number, .ioError, isDoneAllTheSame: true)
                case .write, .makeDirectory: _ = try Self.run(keeps, call, number, .noSpace)
                default: break
                }
            }
        }
    }

    /// What puts it back at the next opening fails too, at every call: the one after that does it.
    @Test(arguments: [PublishStep.fileSynced, .intentLogged], [false, true])
    func theNextOpeningMayFail(step: PublishStep, keeps: Bool) throws {
        try CountedFault.failingEachCallOfAnOpening {
            let place = try Self.scene()
            do {
                let store = try place.open(durability: .synced)
                store.stopAfter.withLock { $0 = step }
                _ = Self.promote(store, keeps: keeps)
            }
            return place
        } check: { place, number in
            try Self.check(
                place, keeps: keeps, isDone: step == .intentLogged, "\(step), the \(number). call fails")
        }
    }

    /// A disk without room for the copies: nothing is promoted, nothing left, and all stays.
    @Test(.enabled(if: geteuid() == 0, "only root mounts")) func aFullDisk() throws {
        let temporary = try TemporaryDirectory()
        let mounted = try FileSystemTests.Mounted(temporary.path, size: "512k")
        defer { withExtendedLifetime(mounted) {} }
        let path = temporary.path + "/store"
        try Store.create(at: path)
        try Self.fill(path)
        let large = path + "/" + Self.place + Self.wholes[0] + "/large.npy"
        SystemCall.close(try .open(large, .writeOnly, options: .create, permissions: .init(rawValue: 0o600)))
        #expect(rename(path + "/" + Self.place + Self.file, large) == 0)
        let filler = try FileDescriptor.open(
            path + "/" + Self.place + Self.wholes[1] + "/filler", .writeOnly, options: .create,
            permissions: .init(rawValue: 0o600))
        for _ in 0..<60 { try SystemCall.write(filler, [UInt8](repeating: 65, count: 4096)) }
        SystemCall.close(filler)
        let store = try Store(at: path, readOnly: false, durability: .synced)
        let request = PromotionRequest(paths: Array(Self.paths.prefix(2)))
        let (set, isDone) = Self.promote(store, keeps: true, request)
        #expect(!isDone && set.members.contains { $0.fault?.refusal.rule == .noRoom }, "\(set)")
        let root = Directory(owning: try .open(path, .readOnly, options: .closeOnExec))
        #expect(try !root.directory("meta_layer").entries().contains { $0.name == "checkpoints" })
        // It needs no room to move.
        let (moved, isMoved) = Self.promote(store, request)
        #expect(isMoved, "\(moved)")
        store.close()
        let again = try Store(at: path, readOnly: false, durability: .synced)
        #expect(again.recovery.isEmpty, "\(again.recovery)")
        again.close()
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
        let result = fault.during { promote(store, keeps: keeps) }
        if !result.isDone {
            #expect(result.set.members.contains { $0.fault != nil }, "it says why; \(what)")
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
        for whole in wholes {
            let published = layer + "checkpoints/" + whole
            #expect(place.exists(published) == isDone, "\(what)")
            #expect(place.exists(Self.place + whole) == (keeps || !isDone), "\(what)")
            if isDone { try isWhole(place, published, sealed: true, what) }
            if keeps || !isDone { try isWhole(place, Self.place + whole, sealed: false, what) }
        }
        #expect(place.exists(layer + "checkpoints/" + file) == isDone, "\(what)")
        #expect(try place.names(".artifactfs/quarantine") == [], "\(what)")
        let left = try place.names(".artifactfs/staging").flatMap { try place.names(".artifactfs/staging/" + $0) }
            .filter { !$0.hasPrefix(".lock") }
        #expect(left == [], "\(what)")
        #expect(try place.names(".artifactfs/reserved") == [], "\(what)")
    }
}
