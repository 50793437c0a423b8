import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// A machine that stopped after a mount had published without waiting for the disk: names may be there without their bytes and without their
/// records, because what a file system knows of files comes to the disk before what is in them.
@Suite struct PowerLossTests {
    private let names = (0..<6).map { "splice_errors_chr\($0).tsv" }

    /// A store with published artifacts, as it is in another run of a machine.
    private func publish(in parent: String, host: String? = nil) throws -> TemporaryStore {
        let place = try TemporaryStore(in: parent)
        let store = try place.open(durability: .relaxed)
        for name in names {
            let staged = try TemporaryStore.stage(store, table + name + "\t1\n")
            guard case .sealed = store.publish(TemporaryStore.request(store, staged, name: name)) else {
                Issue.record("not published")
                continue
            }
        }
        store.close()
        let marks = place.path + "/.artifactfs/unsynced/"
        #expect(try place.names(".artifactfs/unsynced") == [Machine.boot])
        #expect(rename(marks + Machine.boot, marks + "before") == 0)
        if let host { try place.write(".artifactfs/unsynced/before", host + "\n") }
        return place
    }

    /// Takes bytes away and nothing else.
    private func cut(_ place: TemporaryStore, _ name: String, to length: off_t) {
        #expect(truncate(place.path + "/base_layer/" + name, length) == 0)
    }

    /// Takes the ledger's last lines away, from the first that names a file on.
    private func cutLedger(_ place: TemporaryStore, from name: String) throws {
        let file = try place.ledgerFile()
        let text = try place.read(".artifactfs/ledger/" + file.name)
        let kept = text.split(separator: "\n").prefix { !$0.contains(name) }.map { $0 + "\n" }.joined()
        try place.write(".artifactfs/ledger/" + file.name, kept)
    }

    @Test(arguments: ["/tmp", "/dev/shm"], Durability.allCases)
    func nothingHalfIsLeft(parent: String, durability: Durability) throws {
        let place = try publish(in: parent)
        cut(place, names[0], to: 0)  // recorded
        cut(place, names[1], to: 10)
        cut(place, names[3], to: 0)  // not recorded
        cut(place, names[4], to: 10)
        try cutLedger(place, from: names[2])
        // People's files have neither.
        try place.write("base_layer/splice_errors.tsv", "by hand")
        #expect(chmod(place.path + "/base_layer/splice_errors.tsv", 0o444) == 0)

        let store = try place.open(durability: durability)
        #expect(store.recovery.problems == [])
        #expect(store.recovery.quarantined.count == 4)
        #expect(Set(store.recovery.finished) == Set([names[2], names[5]].map { "base_layer/" + $0 }))
        #expect(try place.names("base_layer") == ["splice_errors.tsv", names[2], names[5]])
        #expect(try place.quarantined().map(\.utf8.count).sorted() == [0, 0, 10, 10])
        let lines = try place.events("quarantined")
        #expect(lines.count == 4 && lines.allSatisfy { $0["reason"]?.string?.contains("machine stopped") == true })
        let again = try place.events("sealed").filter { $0["recovered"] == .bool(true) }
        #expect(again.count == 2)
        #expect(again.first?["sha256"]?.string == (try SHA256.digest((table + names[2] + "\t1\n").utf8)))
        #expect(again.first?["record"]?["artifact"]?["path"]?.string == "production/base/splice_errors/chr2.tsv")
        #expect(try place.names(".artifactfs/unsynced") == (durability == .relaxed ? [Machine.boot] : []))
        store.close()
        #expect(try place.open().recovery.isEmpty)
    }

    /// The size is right and the bytes are not.
    @Test func bytesThatAreNotThere() throws {
        let place = try publish(in: "/tmp")
        let length = try place.attributes("base_layer/" + names[5]).st_size
        for name in [names[0], names[5]] {
            cut(place, name, to: 0)
            cut(place, name, to: length)
        }
        try cutLedger(place, from: names[5])
        let store = try place.open()
        #expect(store.recovery.quarantined.count == 2 && store.recovery.finished == [])
        #expect(try place.names("base_layer") == Array(names[1...4]))
    }

    /// Without a crash of the machine nothing is looked at; a mount that synced leaves no mark.
    @Test func aRunThatGoesOn() throws {
        let place = try TemporaryStore()
        for durability in [Durability.synced, .relaxed, .relaxed] {
            let store = try place.open(durability: durability)
            #expect(store.recovery.isEmpty)
            #expect(place.exists(".artifactfs/unsynced/" + Machine.boot) == (durability == .relaxed))
            store.close()
        }
    }

    /// Another host's kernel may still have what is not at the server.
    @Test func anotherHostIsGivenTime() throws {
        let place = try publish(in: "/tmp", host: "elsewhere")
        cut(place, names[0], to: 0)
        let store = try place.open()
        #expect(store.recovery.isEmpty && place.exists("base_layer/" + names[0]))
        #expect(place.exists(".artifactfs/unsynced/before"))
    }
}
