import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

/// The record of a real file is found from what the file says, and without that at the ledgers' ends.
@Suite struct RecordFinderTests {
    private let table = "a\tb\n1\t2\n"

    private func seal(_ store: Store, _ name: String = "gene_manifest.tsv", _ text: String? = nil) throws {
        let staged = try TemporaryStore.stage(store, text ?? table)
        let outcome = store.publish(TemporaryStore.request(store, staged, name: name))
        guard case .sealed = outcome else { throw Failure(description: "\(outcome)") }
    }

    private struct Failure: Error { let description: String }

    private func line(_ store: Store, _ name: String = "gene_manifest.tsv", place: [UInt8]?) throws -> LedgerLine? {
        let real = try #require(try store.directory("base_layer").current())
        let file = RealFile(directory: real, name: name)
        return try store.line(of: file, in: "base_layer", file.attributes(), place: place)
    }

    private func place(_ store: Store, _ name: String = "gene_manifest.tsv") throws -> [UInt8] {
        let real = try #require(try store.directory("base_layer").current())
        return try RealFile(directory: real, name: name).extendedAttribute(Store.placeAttribute)
    }

    private func note(_ store: Store, _ count: Int, bytes: Int = 1000) throws {
        let ledger = try #require(store.writable?.ledger)
        let text = JSONValue.string(String(repeating: "x", count: bytes))
        try ledger.append((0..<count).map { _ in LedgerEntry(.other(name: "note", members: ["text": text])) })
    }

    @Test func fromWhatTheFileSays() throws {
        let temporary = try TemporaryStore()
        let store = try temporary.open()
        try note(store, 10)
        try seal(store)
        try note(store, 20_000)
        let found = try #require(try line(store, place: try place(store)))
        #expect(found.event.name == "sealed" && found.record?.artifact.path?.hasSuffix("gene_manifest.tsv") == true)
        // 20 MB of the ledger come after it: from the end it is not found, and the other file's place leads nowhere.
        #expect(try line(store, place: nil) == nil)
        for wrong in ["", "x", "/etc/passwd 0", "nohost.jsonl 0", "host.jsonl -1", "host.jsonl 99999999999999999999"] {
            #expect(try line(store, place: Array(wrong.utf8)) == nil, "\(wrong)")
        }
        // A copy of the attribute on another file does not make it this one.
        let directory = try #require(try store.directory("base_layer").current())
        let other = directory.file("splice_errors.tsv")
        SystemCall.close(try other.open(O_WRONLY | O_CREAT, mode: 0o644))
        #expect(
            try store.line(of: other, in: "base_layer", other.attributes(), place: try place(store)) == nil)
        store.close()
    }

    /// A file of which nothing is known any more, and one that was put in its place.
    @Test func fromTheLedgersEnds() throws {
        let temporary = try TemporaryStore()
        let store = try temporary.open()
        try seal(store)
        try note(store, 3000)
        #expect(try line(store, place: nil)?.event.name == "sealed")
        let file = try #require(try store.directory("base_layer").current()).file("gene_manifest.tsv")
        try file.unlink()
        let descriptor = try file.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
        try SystemCall.write(descriptor, Array("other".utf8))
        SystemCall.close(descriptor)
        #expect(try line(store, place: nil) == nil, "it has another size")
        // Sealed anew, the newest line counts.
        try file.unlink()
        try seal(store, "gene_manifest.tsv", "a\tb\n3\t4\n")
        let new = try #require(try line(store, place: nil)?.record?.artifact.sha256)
        #expect(try line(store, place: try place(store))?.record?.artifact.sha256 == new)
        #expect(new == (try SHA256.digest(Array("a\tb\n3\t4\n".utf8))))
        store.close()
    }

    /// The ledger goes on in other files while it is looked for.
    @Test func overSeveralFiles() throws {
        try Store.$ledgerLimit.withValue(20_000) {
            let temporary = try TemporaryStore()
            let store = try temporary.open()
            for number in 1...20 { try seal(store, "splice_errors_chr\(number).tsv") }
            try note(store, 10)
            for number in 1...20 {
                let name = "splice_errors_chr\(number).tsv"
                let near = try #require(try line(store, name, place: try place(store, name)))
                #expect(near.event.name == "sealed")
                #expect(try line(store, name, place: nil) == near)
            }
            store.close()
        }
    }

    /// With an intent alone, as between a kill and the next mount.
    @Test func anIntentIsEnough() throws {
        let temporary = try TemporaryStore()
        let store = try temporary.open()
        store.stopAfter.withLock { $0 = .moved }
        try? seal(store)
        let found = try #require(try line(store, place: try place(store)))
        #expect(found.event.name == "seal-intent" && found.record?.artifact.state == .sealed)
    }
}
