import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// Stores on more than one file system, and on a full one. They mount, so they need root.
@Suite(.enabled(if: geteuid() == 0), .serialized) struct FileSystemTests {
    /// A tmpfs of some size while it lives.
    final class Mounted {
        let path: String

        init(_ path: String, size: String) throws {
            self.path = path
            try run("mount", "-t", "tmpfs", "-o", "size=" + size, "tmpfs", path)
        }

        deinit { try? run("umount", "-l", path) }
    }

    @Test func publishesAcrossFileSystems() throws {
        let place = try TemporaryStore()
        let mounted = try Mounted(place.path + "/base_layer", size: "4m")
        defer { withExtendedLifetime(mounted) {} }
        let store = try place.open()
        let staged = try TemporaryStore.stage(store, table)
        #expect(chown(place.path + "/.artifactfs/staging/" + store.mountID() + "/" + staged.name, 1234, 2345) == 0)
        guard case .sealed = store.publish(TemporaryStore.request(store, staged)) else {
            Issue.record("not sealed")
            return
        }
        #expect(try place.read("base_layer/gene_manifest.tsv") == table)
        let attributes = try place.attributes("base_layer/gene_manifest.tsv")
        #expect(attributes.permissions == 0o444 && attributes.st_uid == 1234 && attributes.st_gid == 2345)
        #expect(try place.names("base_layer") == ["gene_manifest.tsv"])
        // The second of one name leaves no copy behind.
        let second = try TemporaryStore.stage(store, table)
        guard case .quarantined = store.publish(TemporaryStore.request(store, second)) else {
            Issue.record("not refused")
            return
        }
        #expect(try place.names("base_layer") == ["gene_manifest.tsv"])
        store.close()
        #expect(try place.names(".artifactfs/staging") == [])
    }

    @Test(arguments: [PublishStep.intentLogged, .copied, .moved])
    func settlesACrashAcrossFileSystems(after step: PublishStep) throws {
        let place = try TemporaryStore()
        let mounted = try Mounted(place.path + "/base_layer", size: "4m")
        defer { withExtendedLifetime(mounted) {} }
        do {
            let store = try place.open()
            let staged = try TemporaryStore.stage(store, table)
            store.stopAfter.withLock { $0 = step }
            guard case .quarantined("stopped", _) = store.publish(TemporaryStore.request(store, staged)) else {
                Issue.record("did not stop")
                return
            }
            #expect(try place.names("base_layer").count == (step == .intentLogged ? 0 : 1))
        }
        let store = try place.open()
        #expect(store.recovery.finished == ["base_layer/gene_manifest.tsv"])
        #expect(try place.names("base_layer") == ["gene_manifest.tsv"])
        #expect(try place.read("base_layer/gene_manifest.tsv") == table)
        #expect(try place.events("sealed").count == 1)
        #expect(try place.quarantined() == [])
        #expect(try place.names(".artifactfs/staging").count == 1)
    }

    @Test func aFullDiskLeavesNothingHalf() throws {
        let temporary = try TemporaryDirectory()
        let mounted = try Mounted(temporary.path, size: "256k")
        defer { withExtendedLifetime(mounted) {} }
        let path = temporary.path + "/store"
        try Store.create(at: path)
        let store = try Store(at: path, readOnly: false, durability: .synced)
        let staged = try TemporaryStore.stage(store, table)
        let filler = try FileDescriptor.open(
            temporary.path + "/filler", .writeOnly, options: [.create, .closeOnExec],
            permissions: .init(rawValue: 0o600))
        while write(filler.rawValue, [UInt8](repeating: 1, count: 4096), 4096) > 0 {}
        // The ledger has no page yet, so its first line cannot be written: nothing may be published without its record.
        guard case .quarantined(let reason, _) = store.publish(TemporaryStore.request(store, staged)) else {
            Issue.record("published without a record")
            return
        }
        #expect(reason.contains("recorded in the ledger"))
        let root = Directory(owning: try .open(path, .readOnly, options: .closeOnExec))
        #expect(try root.directory("base_layer").entries().isEmpty)
        let quarantine = try root.directory(".artifactfs").directory("quarantine")
        let kept = try #require(try quarantine.entries().first { !$0.name.hasSuffix(".json") })
        #expect(try quarantine.file(kept.name).attributes().st_size == off_t(table.utf8.count))
        // With room again the same store goes on, and its ledger is whole.
        ftruncate(filler.rawValue, 0)
        SystemCall.close(filler)
        let second = try TemporaryStore.stage(store, table)
        guard case .sealed = store.publish(TemporaryStore.request(store, second)) else {
            Issue.record("not sealed")
            return
        }
        let ledger = try root.directory(".artifactfs").directory("ledger")
        let name = try #require(try ledger.entries().first?.name)
        #expect(try problems(inLedger: ledger.file(name)) == [])
        store.close()
    }

    /// A full disk can be mounted, to make room on it, and everything is made up for then.
    @Test(.enabled(if: access("/dev/loop-control", R_OK | W_OK) == 0), arguments: ["blocks", "inodes"], [true, false])
    func aFullDiskCanBeOpened(lack: String, wasOpened: Bool) throws {
        let temporary = try TemporaryDirectory()
        let image = temporary.path + "/image"
        let root = temporary.path + "/root"
        try #require(mkdir(root, 0o755) == 0)
        let made = try FileDescriptor.open(
            image, .writeOnly, options: [.create, .closeOnExec], permissions: .init(rawValue: 0o600))
        try #require(ftruncate(made.rawValue, 16 << 20) == 0)
        SystemCall.close(made)
        try run("mkfs.ext4", "-q", "-F", "-m", "0", "-N", "256", image)
        try run("mount", "-o", "loop", image, root)
        defer { try? run("umount", "-l", root) }
        let path = root + "/store"
        try Store.create(at: path)
        if wasOpened {
            let store = try Store(at: path, readOnly: false, durability: .relaxed)
            _ = try store.beginSession()
            store.close()
        }
        func fill() throws -> [String] {
            var fillers: [String] = []
            while true {
                let name = root + "/filler\(fillers.count)"
                // Not for the programs that other tests start: they would keep it, removed or not.
                let file = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
                guard file >= 0 else { return fillers }
                defer { close(file) }
                fillers.append(name)
                guard lack == "blocks" else { continue }
                let before = fillers.count
                while write(file, [UInt8](repeating: 1, count: 4096), 4096) > 0 {}
                if before > 3 { return fillers }
            }
        }
        let fillers = try fill()
        for durability in [Durability.relaxed, .synced] {
            let store = try Store(at: path, readOnly: false, durability: durability)
            let session = try store.beginSession()
            for filler in fillers { unlink(filler) }
            // With room the mount goes on as any other.
            let staged = try TemporaryStore.stage(store, table)
            let request = TemporaryStore.request(store, staged, name: "\(durability).tsv")
            guard case .sealed = store.publish(request) else {
                Issue.record("not sealed")
                return
            }
            store.close()
            let own = try Directory(owning: .open(path, .readOnly, options: .closeOnExec)).directory(".artifactfs")
            let ledger = try own.directory("ledger")
            let file = ledger.file(try #require(try ledger.entries().first?.name))
            #expect(try problems(inLedger: file) == [])
            var sessions: [String] = []
            try linesOfLedger(file) { line in
                let value = JSONValue(parsing: line)
                if value?["event"] == .string("session-begun"), let name = value?["session"]?.string {
                    sessions.append(name)
                }
            }
            #expect(sessions.contains(session.description), "its line came later")
            if durability == .relaxed { #expect(try own.directory("unsynced").entries().count == 1) }
            // What was used is there again for the next time.
            _ = try Store(at: path, readOnly: false, durability: durability)
            _ = try fill()
        }
    }

    /// Where the ledger has room for some of several, these are published and the others are kept.
    @Test func aDiskThatIsNearlyFull() throws {
        let temporary = try TemporaryDirectory()
        let mounted = try Mounted(temporary.path, size: "512k")
        defer { withExtendedLifetime(mounted) {} }
        let path = temporary.path + "/store"
        try Store.create(at: path)
        let store = try Store(at: path, readOnly: false, durability: .relaxed)
        let names = (0..<30).map { "chr\($0).tsv" }
        let requests = try names.map {
            TemporaryStore.request(store, try TemporaryStore.stage(store, table), name: $0)
        }
        let filler = try FileDescriptor.open(
            temporary.path + "/filler", .writeOnly, options: [.create, .closeOnExec],
            permissions: .init(rawValue: 0o600))
        var filled = off_t(0)
        while write(filler.rawValue, [UInt8](repeating: 1, count: 4096), 4096) > 0 { filled += 4096 }
        ftruncate(filler.rawValue, filled - 2 * 4096)
        var sealed: [String] = []
        for (name, outcome) in zip(names, store.publish(requests)) {
            switch outcome {
            case .sealed: sealed.append(name)
            case .quarantined(let reason, _): #expect(reason.contains("recorded in the ledger"))
            case .restored, .waiting, .stillOpen: Issue.record("\(outcome)")
            }
        }
        #expect((1..<30).contains(sealed.count), "\(sealed)")
        let root = Directory(owning: try .open(path, .readOnly, options: .closeOnExec))
        #expect(try root.directory("base_layer").entries().map(\.name).sorted() == sealed.sorted())
        let quarantine = try root.directory(".artifactfs").directory("quarantine")
        let kept = try quarantine.entries().filter { !$0.name.hasSuffix(".json") }
        #expect(kept.count == 30 - sealed.count)
        // Their `sealed` lines had no room: the next opening adds them.
        ftruncate(filler.rawValue, 0)
        SystemCall.close(filler)
        store.close()
        let again = try Store(at: path, readOnly: false, durability: .relaxed)
        #expect(again.recovery.problems == [])
        again.close()
        let ledger = try root.directory(".artifactfs").directory("ledger")
        let file = ledger.file(try #require(try ledger.entries().first?.name))
        #expect(try problems(inLedger: file) == [])
        var settled: [String] = []
        try linesOfLedger(file) { line in
            let value = JSONValue(parsing: line)
            if value?["event"] == .string("sealed"), let name = value?["name"]?.string { settled.append(name) }
        }
        #expect(settled.sorted() == sealed.sorted())
    }
}

extension Store {
    fileprivate func mountID() -> String { staging?.mountID ?? "" }
}

/// Runs a program to its end.
private func run(_ program: String, _ arguments: String...) throws {
    var words = ([program] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var child = pid_t()
    try #require(posix_spawnp(&child, program, nil, nil, &words, environ) == 0)
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    try #require(status == 0, "\(program) \(arguments) failed")
}
