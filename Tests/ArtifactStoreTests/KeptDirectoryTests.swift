import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// Directories that were kept back: seen, published, taken out and discarded whole. Who is killed on the way leaves all of it in one place.
@Suite struct KeptDirectoryTests {
    private static let path = "production/meta/meta_checkpoints/checkpoint-1"
    private static let target = "meta_layer/checkpoints/checkpoint-1"
    private static let agent = Agent(user: 7, process: 8, program: "rmdir")
    private static let files = ["a.json": "{}\n", "b.tsv": table, "sub/_SUCCESS": "", "sub/x y": "z"]
    private static let modes = ["": "750", "/b.tsv": "640", "/none": "700", "/sub": "755"]

    /// A store that is open, with a directory in quarantine.
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

        init(rule: Rule? = .makerFailed, durability: Durability = .relaxed, in parent: String = "/tmp") throws {
            place = try TemporaryStore(in: parent)
            store = try place.open(durability: durability)
            let staged = try #require(store.staging).makeDirectory(
                hint: path, kind: .artifact, mode: 0o750, owner: nil, target: nil)
            let mount = try #require(try place.names(".artifactfs/staging").first)
            let inside = ".artifactfs/staging/\(mount)/\(staged.name)"
            for (name, mode) in [("sub", 0o755 as mode_t), ("none", 0o700)] {
                try #require(mkdir(place.path + "/\(inside)/\(name)", mode) == 0)
            }
            for (name, text) in files { try place.write("\(inside)/\(name)", text) }
            try #require(chmod(place.path + "/\(inside)/b.tsv", 0o640) == 0)
            var record = ArtifactRecord(path: path, scope: .production)
            record.writer = .init()
            record.writer?.uid = 1000
            id = try store.quarantine(staged, reason: "it was killed", rule: rule, record: record)
        }

        var there: String { ".artifactfs/quarantine/" + id }

        func entry() throws -> QuarantineEntry { try store.quarantine().entry(id) }

        /// - Returns: why it is not published.
        func publish(as name: String = "checkpoint-1", despite: String? = "it is whole") throws -> PromotionObstacle? {
            let type = try #require(store.schema.type(named: "meta_checkpoints"))
            let destination = try #require(Promotion.Destination(name, of: type, in: .meta, isDirectory: true))
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

        func takeOut() throws -> RealFile {
            let session = "meta_layer/tests/t/checkpoints"
            let target = try store.directory(session).ensure().file("checkpoint-1")
            try store.takeOut(
                try entry(), to: target, path: "test/t/meta/meta_checkpoints/checkpoint-1", by: agent)
            return target
        }

        func expectWhole(_ directory: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
            for (name, text) in files {
                #expect(try place.read("\(directory)/\(name)") == text, sourceLocation: sourceLocation)
            }
            #expect(
                try place.names(directory) == ["a.json", "b.tsv", "none", "sub"], sourceLocation: sourceLocation)
        }

        func expectKept(sourceLocation: SourceLocation = #_sourceLocation) throws {
            try expectWhole(there, sourceLocation: sourceLocation)
            for (name, mode) in modes {
                #expect(
                    String(try place.attributes(there + name).permissions, radix: 8) == mode,
                    sourceLocation: sourceLocation)
            }
            #expect(
                try place.names(".artifactfs/quarantine") == [id, id + ".reason.json"], sourceLocation: sourceLocation)
        }

        func expectGone(sourceLocation: SourceLocation = #_sourceLocation) throws {
            #expect(try place.names(".artifactfs/quarantine") == [], sourceLocation: sourceLocation)
        }

        func expectSettled(sourceLocation: SourceLocation = #_sourceLocation) throws {
            try place.verifyLedger(sourceLocation: sourceLocation)
            store.close()
            let again = try place.open()
            #expect(again.recovery.isEmpty, sourceLocation: sourceLocation)
            again.close()
            #expect(try place.names(".artifactfs/staging") == [], sourceLocation: sourceLocation)
            #expect(try place.names(".artifactfs/reserved") == [], sourceLocation: sourceLocation)
        }
    }

    @Test func isSeenWithWhatIsInIt() throws {
        let scene = try Scene()
        let entry = try scene.entry()
        #expect(entry.isDirectory && entry.path == Self.path && entry.reason == "it was killed" && entry.needsReason)
        let extent = try scene.store.quarantine().extent(of: entry)
        #expect(extent.files == 4 && extent.bytes == Int64(Self.files.values.map(\.utf8.count).reduce(0, +)))
        #expect(try QuarantineReader(ofStore: scene.place.path).entries().map(\.isDirectory) == [true])
        let directory = try FileDescriptor.open(scene.place.path + "/" + scene.there, .readOnly)
        defer { SystemCall.close(directory) }
        let part = try DirectoryTree.extent(of: directory, most: 1)
        #expect(!part.isWhole && part.files <= 1)
        #expect(try DirectoryTree.extent(of: directory, most: 6).isWhole)
    }

    @Test(arguments: Durability.allCases) func isPublishedWithItsRecord(durability: Durability) throws {
        let scene = try Scene(durability: durability)
        #expect(try scene.publish(despite: "only the last print failed") == nil)
        try scene.expectGone()
        try scene.expectWhole(Self.target)
        for (name, mode) in ["": "550", "/b.tsv": "440", "/none": "500", "/sub": "555", "/sub/x y": "444"] {
            #expect(String(try scene.place.attributes(Self.target + name).permissions, radix: 8) == mode, "\(name)")
        }
        let record = try #require(try scene.place.events("sealed").last?["record"])
        #expect(record["recovered_from"]?["id"]?.string == scene.id)
        #expect(record["recovered_from"]?["despite"]?.string == "only the last print failed")
        #expect(record["recovered_from"]?["uid"]?.integer == 7 && record["writer"]?["uid"]?.integer == 1000)
        let artifact = try #require(record["artifact"])
        #expect(artifact["kind"]?.string == "directory" && artifact["key"]?.string == "checkpoint-1")
        #expect(artifact["content"]?["files"]?.string == "4" && artifact["type"]?.string == "meta_checkpoints")
        let manifest = try scene.place.read(".artifactfs/manifests/" + (artifact["sha256"]?.string ?? ""))
        #expect(manifest.contains(" sub/x%20y\n"))
        try scene.expectSettled()
    }

    /// What may be cut is published with a reason only, and what is not whole with none; what is refused is as it was.
    @Test func isPublishedOnlyAsTheRulesSay() throws {
        let scene = try Scene()
        #expect(scene.refused(try scene.publish(despite: " ")).rule == .needsReason)
        try scene.expectKept()
        let whole = try Scene(rule: .anotherWriter)
        #expect(try whole.publish(despite: nil) == nil)

        try scene.place.write(scene.there + "/sub/c.json", "{")
        let found = scene.refused(try scene.publish(despite: "I insist"))
        #expect(found.rule == .failedCheck && found.detail?.hasPrefix("'sub/c.json' in it: ") == true)
        unlink(scene.place.path + "/" + scene.there + "/sub/c.json")
        try scene.expectKept()
        #expect(try scene.place.events("restored").last?["rule"]?.string == "failed-check")

        // Its name is another's; under a free one it goes. No file's name is a directory's.
        try scene.place.write(".artifactfs/x", "")
        _ = try scene.store.directory("meta_layer/checkpoints").ensure()
        try #require(mkdir(scene.place.path + "/" + Self.target, 0o755) == 0)
        #expect(scene.refused(try scene.publish()).rule == .productionImmutable)
        try scene.expectKept()
        let type = try #require(scene.store.schema.type(named: "meta_checkpoints"))
        let file = try #require(Promotion.Destination("epoch_1.pkl", of: type, in: .meta))
        #expect(throws: PromotionObstacle.self) {
            try scene.store.publish(try scene.entry(), as: file, despite: "whole", by: 7)
        }
        #expect(try scene.publish(as: "checkpoint-2") == nil)
        try scene.expectWhole("meta_layer/checkpoints/checkpoint-2")
        try scene.expectGone()
    }

    /// Publishing that is killed after any step leaves all of it in quarantine with its reason, or sealed with its record.
    @Test(arguments: PublishStep.allCases.filter { $0 != .copied }, Durability.allCases)
    func aKillLeavesItHereOrThere(step: PublishStep, durability: Durability) throws {
        let scene = try Scene.after(durability) { scene in
            scene.store.stopAfter.withLock { $0 = step }
            let obstacle = try scene.publish()
            #expect(obstacle != nil)
        }
        #expect(scene.store.recovery.problems == [])
        let isThere: Set<PublishStep> = [.moved, .directorySynced, .hardened, .sealedLogged]
        if !isThere.contains(step) {
            #expect(!scene.place.exists(Self.target))
            try scene.expectWhole(scene.there)
            #expect(try scene.entry().reason == "it was killed")
            #expect(try scene.place.events("restored").count == (step == .intentLogged ? 1 : 0))
            // It goes on from there.
            #expect(try scene.publish() == nil)
        }
        try scene.expectWhole(Self.target)
        #expect(try scene.place.attributes(Self.target).permissions == 0o550)
        try scene.expectGone()
        let sealed = try scene.place.events("sealed")
        #expect(sealed.count == 1 && sealed[0]["record"]?["recovered_from"]?["id"]?.string == scene.id)
        #expect(try scene.place.events("quarantined").count == 1)
        try scene.expectSettled()
    }

    @Test func isDiscardedAndTheLedgerSaysSo() throws {
        let scene = try Scene()
        try scene.store.discard(try scene.entry(), by: Self.agent)
        try scene.expectGone()
        let line = try #require(try scene.place.events("discarded").first)
        let size = Int64(Self.files.values.map(\.utf8.count).reduce(0, +))
        #expect(line["quarantined"]?.string == scene.id && line["size"]?.integer == size)
        #expect(line["uid"]?.integer == 7 && line["command"]?.string == "rmdir")
        try scene.expectSettled()
    }

    /// Whatever is in it goes, and nothing that it leads to.
    @Test func whateverIsInItGoes() throws {
        let scene = try Scene()
        let inside = scene.place.path + "/" + scene.there
        try scene.place.write("outside", "stays")
        try #require(mkdir(scene.place.path + "/tree", 0o755) == 0)
        try scene.place.write("tree/file", "stays")
        try #require(symlink(scene.place.path + "/outside", inside + "/link") == 0)
        try #require(symlink(scene.place.path + "/tree", inside + "/sub/tree") == 0)
        try #require(mkfifo(inside + "/fifo", 0o600) == 0)
        let bytes: [CChar] = Array(inside.utf8CString.dropLast()) + [47, -1, -2, 0]
        try #require(mkdir(bytes, 0o500) == 0)
        var deep = try FileDescriptor.open(inside, .readOnly)
        for _ in 0..<500 {
            try SystemCall.makeDirectory(deep, "raised-1", 0o700)
            let next = try SystemCall.open(deep, "raised-1", O_RDONLY | O_DIRECTORY)
            SystemCall.close(deep)
            deep = next
        }
        SystemCall.close(try Directory(owning: deep).file("x").open(O_WRONLY | O_CREAT, mode: 0o400))
        try scene.store.discard(try scene.entry(), by: Self.agent)
        try scene.expectGone()
        #expect(try scene.place.read("outside") == "stays" && scene.place.read("tree/file") == "stays")
        try scene.expectSettled()
    }

    /// The line comes before the directory goes, and it leaves quarantine by one step: recovery does the rest.
    @Test(arguments: [PublishStep.intentLogged, .moved]) func aKilledRemovalIsFinished(step: PublishStep) throws {
        let scene = try Scene.after { scene in
            scene.store.stopAfter.withLock { $0 = step }
            try scene.store.discard(try scene.entry(), by: Self.agent)
            if step == .moved {
                #expect(try scene.store.quarantine().entries().isEmpty)
                // As much of it as was removed by then.
                let mount = try #require(try scene.place.names(".artifactfs/staging").first)
                let doomed = try #require(
                    try scene.place.names(".artifactfs/staging/" + mount).first { $0.hasPrefix("d-") })
                unlink(scene.place.path + "/.artifactfs/staging/\(mount)/\(doomed)/a.json")
            }
        }
        #expect(scene.store.recovery.problems == [] && scene.store.recovery.quarantined == [])
        try scene.expectGone()
        #expect(try scene.place.events("discarded").count == 1)
        try scene.expectSettled()
    }

    @Test(arguments: [nil, PublishStep.intentLogged, .moved]) func isTakenOutWhole(step: PublishStep?) throws {
        let scene = try Scene.after { scene in
            scene.store.stopAfter.withLock { $0 = step }
            _ = try scene.takeOut()
        }
        #expect(scene.store.recovery.problems == [])
        if step == .intentLogged {
            try scene.expectKept()
            #expect(try scene.place.events("quarantined").last?["reason"]?.string?.hasSuffix("is there still") == true)
        } else {
            try scene.expectWhole("meta_layer/tests/t/checkpoints/checkpoint-1")
            #expect(try scene.place.attributes("meta_layer/tests/t/checkpoints/checkpoint-1").permissions == 0o750)
            try scene.expectGone()
        }
        try scene.expectSettled()
    }

    @Test func isTakenOutAndReplacesNothing() throws {
        let scene = try Scene()
        let there = try scene.store.directory("meta_layer/tests/t/checkpoints/checkpoint-1").ensure()
        #expect(throws: Errno.fileExists) { try scene.takeOut() }
        try scene.expectKept()
        #expect(try there.entries().isEmpty && scene.place.events("taken-out").isEmpty)
    }

    /// A copy has the same bytes, modes, times and links, and belongs to nobody's set-id bits.
    @Test func aCopyIsAsItIs() throws {
        let scene = try Scene()
        let inside = scene.place.path + "/" + scene.there
        try #require(symlink("../a.json", inside + "/sub/link") == 0)
        try #require(mkfifo(inside + "/fifo", 0o640) == 0)
        try #require(chmod(inside + "/a.json", 0o6755) == 0)
        var times = [timespec(tv_sec: 1_000_000_000, tv_nsec: 5), timespec(tv_sec: 1_000_000_001, tv_nsec: 7)]
        for name in ["/sub/x y", "/none", "/sub/link", "/fifo", "/sub", ""] {
            try #require(utimensat(AT_FDCWD, inside + name, times, AT_SYMLINK_NOFOLLOW) == 0)
        }
        times = []
        let source = try FileDescriptor.open(inside, .readOnly)
        defer { SystemCall.close(source) }
        let parent = try FileDescriptor.open(scene.place.temporary.path, .readOnly)
        defer { SystemCall.close(parent) }
        #expect(try DirectoryTree.copy(source, to: "copy", in: parent) == [])
        func look(_ root: String, _ name: String) throws -> String {
            let found = try SystemCall.attributes(SystemCall.currentDirectory, root + name)
            let mode = found.st_mode & (S_IFMT | 0o777)
            let isTimed = !["/a.json", "/b.tsv", "/sub/_SUCCESS"].contains(name)
            return
                "\(String(mode, radix: 8)) \(isTimed ? found.st_mtim.tv_sec : 0) \(isTimed ? found.st_mtim.tv_nsec : 0)"
        }
        let copy = scene.place.temporary.path + "/copy"
        for name in Self.files.keys.map({ "/" + $0 }) + ["", "/sub", "/none", "/sub/link", "/fifo"] {
            #expect(try look(copy, name) == look(inside, name), "\(name)")
        }
        #expect(try SystemCall.attributes(SystemCall.currentDirectory, copy + "/a.json").permissions == 0o755)
        for (name, text) in Self.files { #expect(try scene.place.read("../copy/" + name) == text) }
        #expect(throws: DirectoryTree.TreeFault.self) { try DirectoryTree.copy(source, to: "copy", in: parent) }
    }

    /// Every system call fails once: all of it is in one place, or gone when it was discarded, and nothing is left to settle.
    @Test(arguments: ["publish", "discard", "take out"], [Errno.noSpace, .ioError])
    func everyCallMayFail(what: String, error: Errno) throws {
        let session = "meta_layer/tests/t/checkpoints/checkpoint-1"
        func run(_ fault: CountedFault) throws {
            let comment = Comment("\(what): the \(fault.number). \(fault.call?.rawValue ?? "-") fails with \(error)")
            let place: TemporaryStore
            let (id, isDone): (String, Bool)
            do {
                let scene = try Scene(durability: .synced, in: "/dev/shm")
                (place, id) = (scene.place, scene.id)
                isDone = Faults.with({ call, _ in fault.decide(call) }) {
                    switch what {
                    case "publish": (try? scene.publish() == nil) ?? false
                    case "discard": (try? scene.store.discard(scene.entry(), by: Self.agent)) != nil
                    default: (try? scene.takeOut()) != nil
                    }
                }
                scene.store.close()
            }
            for isSettled in [false, true] {
                let store = try place.open(durability: .synced)
                #expect(store.recovery.problems == [] && store.recovery.waiting.isEmpty, comment)
                #expect(!isSettled || store.recovery.isEmpty, comment)
                store.close()
            }
            let kept = ".artifactfs/quarantine/" + id
            let places = [Self.target, session, kept].filter(place.exists)
            switch (what, isDone) {
            case ("publish", true): #expect(places == [Self.target], comment)
            case ("take out", true): #expect(places == [session], comment)
            case ("discard", true): #expect(places == [], comment)
            // A removal that was begun may be done.
            case ("discard", false): #expect(places == [kept] || places == [], comment)
            default: #expect(places.count == 1, "\(places) \(comment)")
            }
            for there in places {
                for (name, text) in Self.files { #expect(try place.read("\(there)/\(name)") == text, comment) }
            }
            if places == [kept] {
                for (name, mode) in Self.modes {
                    #expect(String(try place.attributes(kept + name).permissions, radix: 8) == mode, comment)
                }
                #expect(place.exists(kept + ".reason.json"), comment)
            } else {
                // A reason that could not be removed is no file's.
                let left = try place.names(".artifactfs/quarantine").filter { $0 != id + ".reason.json" }
                #expect(left == [], comment)
            }
            #expect(try place.names(".artifactfs/staging") == [], comment)
            #expect(try place.names(".artifactfs/reserved") == [], comment)
            try place.verifyLedger()
        }
        let nothing = CountedFault(nil)
        try run(nothing)
        for (call, count) in nothing.counts where call != .fileSystem {
            for number in 1...count { try run(CountedFault(call, number, error)) }
        }
    }
}
