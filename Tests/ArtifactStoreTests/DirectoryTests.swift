import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// Directories that are one artifact: sealed whole with a manifest, or where they were, or kept.
@Suite struct DirectoryTests {
    private static let session = "meta_layer/dev/20260215_143022/checkpoints"
    private static let origin = session + "/checkpoint-1"
    private static let target = "meta_layer/checkpoints/checkpoint-1"
    private static let path = "production/meta/meta_checkpoints/checkpoint-1"
    private static let files = ["a.json": "{}\n", "b.tsv": table, "sub/_SUCCESS": "", "sub/x y": "z"]

    /// A store with a directory of a session.
    private static func scene(in parent: String = "/tmp") throws -> TemporaryStore {
        let place = try TemporaryStore(in: parent)
        for directory in ["meta_layer/dev", "meta_layer/dev/20260215_143022", session, origin, origin + "/sub"] {
            try #require(mkdir(place.path + "/" + directory, 0o755) == 0)
        }
        for (name, text) in files { try place.write("\(origin)/\(name)", text) }
        try #require(chmod(place.path + "/\(origin)/b.tsv", 0o640) == 0)
        try #require(mkdir(place.path + "/\(origin)/none", 0o700) == 0)
        return place
    }

    /// Moves it into staging, as the driver does, and publishes it.
    private static func promote(_ place: TemporaryStore, _ store: Store) throws(Errno) -> PublishOutcome {
        guard let type = store.schema.type(named: "meta_checkpoints"),
            let session = try store.directory(Self.session).ensure() as Directory?
        else { throw .invalidArgument }
        let origin = session.file("checkpoint-1")
        let target = store.directory("meta_layer/checkpoints")
        let staged = try store.restage(
            origin, seen: try origin.look().identity, as: path, .finished,
            for: Staging.Target(directory: target, name: "checkpoint-1"))
        let request = PublishRequest(
            staged: staged, target: target, name: "checkpoint-1", check: nil,
            record: ArtifactRecord(
                path: path, type: type.name, layer: .meta, scope: .production, key: "checkpoint-1"),
            origin: origin)
        return store.publishDirectory(request, of: type)
    }

    private static func permissions(_ place: TemporaryStore, _ path: String) throws -> String {
        String(try place.attributes(path).permissions, radix: 8)
    }

    @Test(arguments: Durability.allCases) func isSealedWhole(durability: Durability) throws {
        let place = try Self.scene()
        let store = try place.open(durability: durability)
        guard case .sealed(let sha256, let size, _) = try Self.promote(place, store) else {
            Issue.record("it was not sealed")
            return
        }
        #expect(size == Int64(Self.files.values.map(\.utf8.count).reduce(0, +)))
        let manifest = try place.read(".artifactfs/manifests/" + sha256)
        #expect(try SHA256.digest(manifest.utf8) == sha256)
        let lines = try manifest.split(separator: "\n").map { line -> String in
            let parts = line.split(separator: " ")
            try #require(parts.count == 3, "\(line)")
            guard parts[0] != "-" else { return String(parts[2]) }
            let text = try #require(Self.files[parts[2] == "sub/x%20y" ? "sub/x y" : String(parts[2])])
            #expect(try SHA256.digest(text.utf8) == parts[0] && String(text.utf8.count) == parts[1], "\(line)")
            return String(parts[2])
        }
        #expect(lines == ["a.json", "b.tsv", "none/", "sub/_SUCCESS", "sub/x%20y", "sub/"])
        #expect(!place.exists(Self.origin))
        let modes = ["": "555", "/a.json": "444", "/b.tsv": "440", "/none": "500", "/sub": "555", "/sub/x y": "444"]
        for (name, mode) in modes { #expect(try Self.permissions(place, Self.target + name) == mode, "\(name)") }
        store.close()
        let record = try #require(try place.events("sealed").first?["record"]?["artifact"])
        #expect(record["kind"]?.string == "directory" && record["sha256"]?.string == sha256)
        #expect(record["content"]?["files"]?.string == "4" && record["content"]?["directories"]?.string == "2")
        #expect(try place.open().recovery.isEmpty)
        try place.verifyLedger()
    }

    @Test(arguments: ["symbolic link", "fifo", "other name", "open", "cut", "empty table", "nothing", "deep", "taken"])
    func isPutBackAsItWas(_ fault: String) throws {
        let place = try Self.scene()
        let inside = place.path + "/" + Self.origin
        var open: FileDescriptor?
        defer { if let open { SystemCall.close(open) } }
        let reason: String
        switch fault {
        case "symbolic link":
            try #require(symlink("a.json", inside + "/sub/l") == 0)
            reason = "'sub/l' in it is no plain file"
        case "fifo":
            try #require(mkfifo(inside + "/f", 0o644) == 0)
            reason = "'f' in it is no plain file"
        case "other name":
            try #require(link(inside + "/a.json", place.path + "/other") == 0)
            reason = "'a.json' in it has other names"
        case "open":
            open = try FileDescriptor.open(inside + "/sub/x y", .readWrite)
            reason = "'sub/x y' in it is still open for writing"
        case "cut":
            try place.write(Self.origin + "/sub/c.json", "{")
            reason = "'sub/c.json' in it: "
        case "empty table":
            try place.write(Self.origin + "/sub/c.tsv", "")
            reason = "'sub/c.tsv' in it: it is empty"
        case "nothing":
            for name in Self.files.keys { unlink(inside + "/" + name) }
            reason = "there is no file in it"
        case "deep":
            var path = inside
            for _ in 0..<DirectoryWalk.deepest {
                path += "/d"
                try #require(mkdir(path, 0o755) == 0)
            }
            reason = "its directories are more than \(DirectoryWalk.deepest) deep"
        default:
            for path in ["meta_layer/checkpoints", Self.target] {
                try #require(mkdir(place.path + "/" + path, 0o755) == 0)
            }
            reason = ""
        }
        let before = try shell("cd '\(inside)' && find . -printf '%p %m %s %i\\n' | sort")
        let store = try place.open()
        if fault == "taken" {
            #expect(throws: Errno.fileExists) { try Self.promote(place, store) }
        } else {
            let outcome = try Self.promote(place, store)
            guard case .restored(let told, .failedCheck) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(told.hasPrefix(reason), "\(told)")
            #expect(!place.exists(Self.target))
        }
        #expect(try shell("cd '\(inside)' && find . -printf '%p %m %s %i\\n' | sort") == before)
        store.close()
        #expect(try place.open().recovery.isEmpty)
        #expect(try place.names(".artifactfs/reserved").isEmpty)
        try place.verifyLedger()
    }

    /// A driver that is killed after each step.
    @Test(arguments: PublishStep.allCases.filter { $0 != .copied }, Durability.allCases)
    func aKilledDriversDirectory(after step: PublishStep, durability: Durability) throws {
        let place = try Self.scene()
        do {
            let store = try place.open(durability: durability)
            store.stopAfter.withLock { $0 = step }
            guard case .quarantined("stopped", _) = try Self.promote(place, store) else {
                Issue.record("did not stop after \(step)")
                return
            }
        }
        let store = try place.open(durability: durability)
        #expect(store.recovery.problems == [])
        // What was moved was whole, and nobody writes to it: it is published by the next mount.
        for (name, text) in Self.files { #expect(try place.read("\(Self.target)/\(name)") == text) }
        #expect(try Self.permissions(place, Self.target) == "555")
        #expect(try Self.permissions(place, Self.target + "/b.tsv") == "440")
        let sealed = try place.events("sealed")
        #expect(sealed.count == 1 && sealed.first?["record"]?["artifact"]?["kind"]?.string == "directory")
        #expect(store.recovery.finished.count == (step == .sealedLogged ? 0 : 1))
        store.close()
        #expect(try place.open().recovery.isEmpty)
        try place.verifyLedger()
    }

    /// What is not what was checked is nobody's result: it is kept, and the name is free.
    @Test(arguments: [PublishStep.intentLogged, .moved]) func aChangedDirectory(after step: PublishStep) throws {
        let place = try Self.scene()
        do {
            let store = try place.open()
            store.stopAfter.withLock { $0 = step }
            _ = try Self.promote(place, store)
        }
        let mount = try #require(try place.names(".artifactfs/staging").first)
        let there =
            step == .moved
            ? Self.target
            : ".artifactfs/staging/\(mount)/" + (try #require(try place.names(".artifactfs/staging/" + mount).last))
        try #require(chmod(place.path + "/\(there)/b.tsv", 0o644) == 0)
        try place.write(there + "/b.tsv", "a\tb\n")
        let store = try place.open()
        #expect(store.recovery.problems == [] && store.recovery.quarantined == [Self.path])
        #expect(!place.exists(Self.target))
        let kept = try #require(try place.names(".artifactfs/quarantine").first { !$0.hasSuffix(".reason.json") })
        #expect(try place.read(".artifactfs/quarantine/\(kept)/b.tsv") == "a\tb\n")
        store.close()
        #expect(try place.open().recovery.isEmpty)
    }

    /// What is being made when the driver is killed is kept; what nothing was made in goes, and what is temporary stays for its time.
    @Test func whatWasBeingMade() throws {
        let place = try TemporaryStore()
        do {
            let store = try place.open()
            let staging = try #require(store.staging)
            let names = [("checkpoint-1", Staging.Kind.artifact), ("checkpoint-2", .artifact), ("tmp-3", .transient)]
            for (name, kind) in names {
                let target = Staging.Target(directory: store.directory("meta_layer/checkpoints"), name: name)
                let made = try staging.makeDirectory(
                    hint: "production/meta/meta_checkpoints/" + name, kind: kind, mode: 0o750, owner: nil,
                    target: kind == .artifact ? target : nil)
                #expect(try made.attributes().permissions == 0o750)
                if name != "checkpoint-2" {
                    let inside = try made.directory.directory(made.name)
                    try SystemCall.makeDirectory(inside.descriptor, "sub", 0o755)
                    SystemCall.close(try inside.file("x").open(O_WRONLY | O_CREAT, mode: 0o644))
                }
                if kind == .artifact {
                    #expect(throws: Errno.fileExists) {
                        try staging.makeDirectory(hint: "x", kind: .artifact, mode: 0o755, owner: nil, target: target)
                    }
                }
            }
        }
        let store = try place.open()
        #expect(store.recovery.problems == [])
        #expect(store.recovery.quarantined == ["production/meta/meta_checkpoints/checkpoint-1"])
        #expect(store.recovery.empty == ["production/meta/meta_checkpoints/checkpoint-2"])
        #expect(store.recovery.removed == [])
        let kept = try #require(try place.names(".artifactfs/quarantine").first { !$0.hasSuffix(".reason.json") })
        #expect(try place.names(".artifactfs/quarantine/" + kept) == ["sub", "x"])
        #expect(try place.names(".artifactfs/reserved").isEmpty)
        let later = store.recoverAgain(keepingSeconds: -1)
        #expect(later.problems == [] && later.removed == ["production/meta/meta_checkpoints/tmp-3"])
        store.close()
        #expect(try place.open().recovery.isEmpty)
        #expect(try place.names(".artifactfs/staging").count <= 1)
        try place.verifyLedger()
    }

    /// Every system call fails once: the directory is whole in one place, and nothing is left to settle.
    @Test(arguments: [Errno.noSpace, .ioError]) func everyCallMayFail(error: Errno) throws {
        func run(_ fault: CountedFault) throws {
            let what = Comment("the \(fault.number). \(fault.call?.rawValue ?? "-") fails with \(error)")
            let place = try Self.scene(in: "/dev/shm")
            do {
                let store = try place.open(durability: .synced)
                let outcome = Faults.with({ call, _ in fault.decide(call) }) { try? Self.promote(place, store) }
                if case .sealed? = outcome {
                    #expect(place.exists(Self.target), what)
                } else {
                    #expect(!place.exists(Self.target), "\(String(describing: outcome)) \(what)")
                }
                store.close()
            }
            for _ in 0..<2 {
                let store = try place.open(durability: .synced)
                #expect(store.recovery.problems == [] && store.recovery.waiting.isEmpty, what)
                store.close()
            }
            #expect(try place.open().recovery.isEmpty, what)
            let kept = try place.names(".artifactfs/quarantine").filter { !$0.hasSuffix(".reason.json") }
            let places =
                ([Self.origin, Self.target] + kept.map { ".artifactfs/quarantine/" + $0 }).filter(place.exists)
            #expect(places.count == 1, "\(places) \(what)")
            for (name, text) in Self.files { #expect(try place.read("\(places[0])/\(name)") == text, what) }
            if places == [Self.target] { #expect(try place.events("sealed").count == 1, what) }
            if places == [Self.origin] {
                #expect(try Self.permissions(place, Self.origin + "/b.tsv") == "640", what)
                #expect(try Self.permissions(place, Self.origin + "/none") == "700", what)
            }
            #expect(try place.names(".artifactfs/reserved").isEmpty, what)
            try place.verifyLedger()
        }
        let nothing = CountedFault(nil)
        try run(nothing)
        for (call, count) in nothing.counts where call != .fileSystem {
            for number in 1...count { try run(CountedFault(call, number, error)) }
        }
    }

    private func shell(_ script: String) throws -> String {
        let stream = try #require(popen(script, "r"))
        defer { pclose(stream) }
        var text: [UInt8] = []
        while case let byte = getc(stream), byte != EOF { text.append(UInt8(truncatingIfNeeded: byte)) }
        return String(decoding: text, as: UTF8.self)
    }
}
