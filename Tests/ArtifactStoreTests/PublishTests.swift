import ArtifactFormats
import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import SystemPackage
import Synchronization
import TestSupport
import Testing

@testable import ArtifactStore

@Suite struct PublishTests {
    @Test(arguments: ["/tmp", "/dev/shm"], Durability.allCases)
    func publishes(parent: String, durability: Durability) throws {
        let place = try TemporaryStore(in: parent)
        let store = try place.open(durability: durability)
        let staged = try TemporaryStore.stage(store, table, mode: 0o4754)
        guard case .sealed(let sha256, let size, _) = store.publish(TemporaryStore.request(store, staged)) else {
            Issue.record("not sealed")
            return
        }
        #expect(size == Int64(table.utf8.count))
        #expect(sha256 == (try SHA256.digest(table.utf8)))
        #expect(try place.read("base_layer/gene_manifest.tsv") == table)
        // No write bits, no set-id bits; the rest as it was.
        #expect(try place.attributes("base_layer/gene_manifest.tsv").permissions == 0o554)
        let sealed = try #require(try place.events("sealed").first)
        #expect(sealed["sha256"]?.string == sha256)
        #expect(sealed["directory"]?.string == "base_layer")
        #expect(sealed["record"]?["artifact"]?["content"]?["rows"] == .integer(2))
        #expect(sealed["record"]?["artifact"]?["mode"] == .string("production"))
        #expect(sealed["record"]?["writer"]?["uid"] == .integer(1))
        try place.verifyLedger()
        store.close()
        #expect(try place.names(".artifactfs/staging") == [])
    }

    /// `cp -p` and Python's `copy2` set times and mode after closing, which is while the file is checked.
    @Test func attributesSetWhileItIsChecked() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let staged = try TemporaryStore.stage(store, table, mode: 0o644)
        var request = TemporaryStore.request(store, staged)
        request.attributesLock = { change in
            let time = timespec(tv_sec: 1_000_000_000, tv_nsec: 5)
            #expect(throws: Never.self) {
                try staged.setTimes(access: time, modification: time)
                try staged.setMode(0o600)
            }
            change()
        }
        guard case .sealed = store.publish(request) else {
            Issue.record("not sealed")
            return
        }
        let sealed = try place.attributes("base_layer/gene_manifest.tsv")
        #expect(sealed.st_mtim.tv_sec == 1_000_000_000)
        #expect(sealed.permissions == 0o400)
        try place.verifyLedger()
    }

    /// Files that are published together: what is wrong with one is nothing to the others, and each is told its own.
    @Test(arguments: Durability.allCases, [false, true])
    func publishesTogether(durability: Durability, isHeldOpen: Bool) throws {
        let place = try TemporaryStore()
        let store = try place.open(durability: durability)
        try place.write("base_layer/taken.tsv", "there before")
        let texts = ["good.tsv": table, "bad.tsv": "a\tb\n1\n", "taken.tsv": table, "other.tsv": table + "x\t1\n"]
        var requests: [PublishRequest] = []
        var descriptors: [FileDescriptor] = []
        defer { for descriptor in descriptors { SystemCall.close(descriptor) } }
        for name in ["good.tsv", "bad.tsv", "taken.tsv", "other.tsv", "good.tsv", "there"] {
            let staged = try TemporaryStore.stage(store, texts[name] ?? "twice", mode: 0o644)
            var request = TemporaryStore.request(store, staged, name: name)
            if isHeldOpen {
                descriptors.append(try staged.open(O_RDONLY))
                request.descriptor = descriptors.last
            }
            if name == "other.tsv" { request.target = store.directory("base_layer/new/place") }
            if name == "there" {
                try staged.unlink()
                request.descriptor = nil
            }
            requests.append(request)
        }
        let outcomes = store.publish(requests).map { outcome -> String in
            switch outcome {
            case .sealed(let sha256, _, _): sha256
            case .quarantined(let reason, _), .restored(let reason, _): String(reason.prefix(24))
            case .waiting: "waiting"
            case .stillOpen: "still open"
            }
        }
        let hash = try SHA256.digest(table.utf8)
        let taken = "another writer published"
        let expected = [
            hash, "line 2 has only 1 column", taken, try SHA256.digest((table + "x\t1\n").utf8), taken,
            "it could not be opened: ",
        ]
        #expect(outcomes == expected)
        #expect(try place.read("base_layer/good.tsv") == table)
        #expect(try place.read("base_layer/new/place/other.tsv") == table + "x\t1\n")
        #expect(try place.read("base_layer/taken.tsv") == "there before")
        #expect(!place.exists("base_layer/bad.tsv"))
        #expect(try place.quarantined() == ["a\tb\n1\n", table, table].sorted())
        #expect(try place.events("seal-intent").count == 4)
        #expect(try place.events("quarantined").count == 3)
        store.settle()
        #expect(try place.events("sealed").compactMap { $0["name"]?.string } == ["good.tsv", "other.tsv"])
        try place.verifyLedger()
        for descriptor in descriptors { #expect(fcntl(descriptor.rawValue, F_GETFD) >= 0, "not ours to close") }
        store.close()
        #expect(try place.names(".artifactfs/staging") == [])
    }

    @Test func bytesThatChangeWhileTheyAreChecked() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let staged = try TemporaryStore.stage(store, table, mode: 0o640)
        let other = String(table.map { $0 == "1" ? "2" : $0 })
        var request = TemporaryStore.request(store, staged)
        request.attributesLock = { change in
            if let descriptor = try? staged.open(O_WRONLY) {
                _ = try? descriptor.writeAll(other.utf8)
                try? descriptor.close()
            }
            change()
        }
        guard case .quarantined(let reason, _) = store.publish(request) else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("changed while it was being checked"))
        #expect(try place.quarantined() == [other])
    }

    @Test func knowsItsHash() throws {
        // FIPS 180-2's example.
        #expect(
            try SHA256.digest("abc".utf8) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func refusesABrokenFile() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let broken = "gene\tscore\nA\n"
        let staged = try TemporaryStore.stage(store, broken)
        guard case .quarantined(let reason, _) = store.publish(TemporaryStore.request(store, staged)) else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains(".artifactfs/quarantine/"))
        #expect(!place.exists("base_layer/gene_manifest.tsv"))
        #expect(try place.quarantined() == [broken])
        let sidecar = try #require(
            try place.names(".artifactfs/quarantine").first { $0.hasSuffix(".reason.json") })
        let value = try #require(JSONValue(parsing: try place.read(".artifactfs/quarantine/" + sidecar).utf8))
        #expect(reason.hasPrefix(try #require(value["reason"]?.string)))
        #expect(try place.events("quarantined").count == 1)
        #expect(try place.events("seal-intent").isEmpty)
        try place.verifyLedger()
    }

    @Test func neverReplaces() throws {
        let place = try TemporaryStore()
        try place.write("base_layer/gene_manifest.tsv", "first")
        let store = try place.open()
        let staged = try TemporaryStore.stage(store, table)
        guard case .quarantined(let reason, _) = store.publish(TemporaryStore.request(store, staged)) else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("another writer published"))
        #expect(try place.read("base_layer/gene_manifest.tsv") == "first")
        #expect(try place.quarantined() == [table])
    }

    @Test func refusesAnEmptyFileAndOneWithOtherNames() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let empty = try TemporaryStore.stage(store, "")
        guard case .quarantined = store.publish(TemporaryStore.request(store, empty, check: nil)) else {
            Issue.record("an empty file was published")
            return
        }
        let staged = try TemporaryStore.stage(store, table)
        let from = staged.directory.descriptor.rawValue
        #expect(linkat(from, staged.name, AT_FDCWD, place.path + "/base_layer/other", 0) == 0)
        guard case .quarantined(let reason, _) = store.publish(TemporaryStore.request(store, staged)) else {
            Issue.record("a file with two names was published")
            return
        }
        #expect(reason.contains("other names"))
    }

    @Test func putsAPromotionBack() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let session = try store.directory("base_layer/dev/20260215_143022").ensure()
        let origin = session.file("gene_manifest.tsv")
        let staged = try TemporaryStore.stage(store, "broken", mode: 0o640)
        guard case .restored = store.publish(TemporaryStore.request(store, staged, origin: origin)) else {
            Issue.record("not restored")
            return
        }
        let back = "base_layer/dev/20260215_143022/gene_manifest.tsv"
        #expect(try place.read(back) == "broken")
        // A name lost after the write bits were removed gives them back.
        try place.write("base_layer/gene_manifest.tsv", "first")
        let again = try TemporaryStore.stage(store, table, mode: 0o640)
        try origin.unlink()
        guard case .restored = store.publish(TemporaryStore.request(store, again, origin: origin)) else {
            Issue.record("not restored")
            return
        }
        #expect(try place.read(back) == table)
        #expect(try place.attributes(back).permissions == 0o640)
        // A place that was taken meanwhile is not replaced.
        let third = try TemporaryStore.stage(store, "third")
        guard case .quarantined = store.publish(TemporaryStore.request(store, third, origin: origin)) else {
            Issue.record("not quarantined")
            return
        }
        #expect(try place.read(back) == table)
        #expect(try place.quarantined() == ["third"])
    }

    @Test(arguments: Durability.allCases)
    func oneOfManyWins(durability: Durability) async throws {
        let place = try TemporaryStore()
        let store = try place.open(durability: durability)
        let texts = (0..<64).map { "gene\tscore\n" + String(repeating: "G\t\($0)\n", count: 1000) }
        let requests = try texts.map { TemporaryStore.request(store, try TemporaryStore.stage(store, $0)) }
        let outcomes = Mutex<[PublishOutcome]>([])
        runThreads(64) { index in
            let outcome = store.publish(requests[index])
            outcomes.withLock { $0.append(outcome) }
        }
        let sealed = outcomes.withLock { outcomes in
            outcomes.compactMap { if case .sealed(let sha256, _, _) = $0 { sha256 } else { nil } }
        }
        #expect(sealed.count == 1)
        let published = try place.read("base_layer/gene_manifest.tsv")
        #expect(sealed == [try SHA256.digest(published.utf8)])
        #expect((try place.quarantined() + [published]).sorted() == texts.sorted())
        #expect(try place.events("sealed").count == 1)
        #expect(try place.events("quarantined").count == 63)
        try place.verifyLedger()
        store.close()
        #expect(try place.names(".artifactfs/staging") == [])
    }
}
