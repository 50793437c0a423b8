import ArtifactRecords
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import func TestSupport.names
import Testing

@testable import ArtifactStore

@Suite struct AttestationTests {
    private let digest = String(repeating: "a", count: 64)
    private let key = String(repeating: "b", count: 64)
    private let path = "production/base/gene_manifest/gene_manifest.tsv"

    private func name(_ path: String? = nil, key: String? = nil) throws -> AttestedName {
        try #require(AttestedName(path: path ?? self.path, version: 1, sha256: digest, key: key ?? self.key))
    }

    private func attested(_ store: Store) throws -> Int {
        try store.history(of: path).entries.filter {
            if case .attested = $0.line.event { true } else { false }
        }.count
    }

    @Test func whatIsKeptIsFound() throws {
        let temporary = try TemporaryStore()
        let store = try temporary.open(durability: .synced)
        let name = try name()
        #expect(try store.attestation(name) == nil && store.signingKeys(path: path, sha256: digest).isEmpty)
        let first = KeptAttestation(signature: Array("s".utf8), provenance: Array("p".utf8))
        try store.keep(first, as: name, by: 7)
        #expect(try store.attestation(name) == first && attested(store) == 1)
        #expect(try store.notedAttestations(by: key) == [name])
        let other = try self.name(key: String(repeating: "c", count: 64))
        #expect(
            try store.attestation(other) == nil && store.signingKeys(path: path, sha256: digest) == [key])
        #expect(try store.notedAttestations(by: other.key).isEmpty)
        let second = KeptAttestation(signature: Array("s2".utf8), provenance: Array("p2".utf8))
        try store.keep(second, as: name, by: 7)
        #expect(try store.attestation(name) == second)
        store.close()
        let reading = try temporary.open(readOnly: true)
        #expect(try reading.attestation(name) == second)
        #expect(throws: Errno.readOnlyFileSystem) { try reading.keep(first, as: name, by: 7) }
    }

    /// Who is killed leaves all or nothing, and the next one goes on.
    @Test(arguments: AttestationStep.allCases)
    func whoIsKilledLeavesAllOrNothing(step: AttestationStep) throws {
        let temporary = try TemporaryStore()
        let store = try temporary.open(durability: .synced)
        let name = try name()
        let whole = KeptAttestation(signature: Array("s".utf8), provenance: Array("p".utf8))
        try store.keep(whole, as: name, by: 7) { $0 != step }
        let isNamed = step == .signatureNamed || step == .logged
        #expect(try store.attestation(name) == (isNamed ? whole : nil), "\(step)")
        #expect(try attested(store) == (step == .logged ? 1 : 0), "\(step)")
        // In place of an older one it is the older signature, or the new one with all of it.
        let next = KeptAttestation(signature: Array("s2".utf8), provenance: Array("p2".utf8))
        try store.keep(next, as: name, by: 7)
        #expect(try store.attestation(name) == next, "\(step)")
        let left = try names(in: temporary.path + "/.artifactfs/attestations/" + digest)
        #expect(left.count == 2 && !left.contains { $0.hasPrefix(".") }, "\(left)")
    }

    /// Each call fails, with each error that a disk has: all or nothing is kept, what was kept before too, and the next one goes on.
    @Test(arguments: FaultSweepTests.errors, [false, true])
    func whateverFailsAllOrNothingIsKept(error: Errno, wasKept: Bool) throws {
        let (former, new) = (
            KeptAttestation(signature: Array("s".utf8), provenance: Array("p".utf8)),
            KeptAttestation(signature: Array("s2".utf8), provenance: Array("p2".utf8))
        )
        var failures = 0
        for call in [Faults.Call.open, .makeDirectory, .rename, .unlink, .attributes, .write, .sync, .lock] {
            for number in 1...50 {
                let temporary = try TemporaryStore()
                let store = try temporary.open(durability: .synced)
                let name = try name()
                if wasKept { try store.keep(former, as: name, by: 7) }
                let seen = Mutex(0)
                let isDone =
                    (try? Faults.with({ made, _ in
                        guard made == call else { return nil }
                        let count = seen.withLock { count in
                            count += 1
                            return count
                        }
                        return count == number ? .fails(error) : nil
                    }) { try store.keep(new, as: name, by: 7) }) != nil
                let what = "\(call) \(number), \(error)"
                let kept = try store.attestation(name)
                if isDone { #expect(kept == new, "\(what)") } else { failures += 1 }
                // Of two signatures that say the same the files of both are whole.
                let signatures = [nil, former.signature, new.signature].dropFirst(wasKept ? 1 : 0)
                #expect(signatures.contains(kept?.signature), "\(what)")
                if kept != nil { #expect([former.provenance, new.provenance].contains(kept?.provenance), "\(what)") }
                try store.keep(new, as: name, by: 7)
                #expect(try store.attestation(name) == new, "\(what)")
                store.close()
                if seen.withLock({ $0 }) < number { break }
            }
        }
        #expect(failures > 10)
    }

    /// Two long paths with one end, and names that no file may have.
    @Test func namesOfFiles() throws {
        let temporary = try TemporaryStore()
        let store = try temporary.open()
        let end = "/" + String(repeating: "é", count: 120)
        let (one, other) = (try name("production/base/a" + end), try name("production/base/b" + end))
        try store.keep(KeptAttestation(signature: [1], provenance: nil), as: one, by: 7)
        #expect(try store.attestation(other) == nil)
        try store.keep(KeptAttestation(signature: [2], provenance: nil), as: other, by: 7)
        #expect(try store.attestation(one)?.signature == [1] && store.attestation(other)?.signature == [2])
        for wrong in ["", "../x", digest.uppercased(), digest + "a", String(repeating: "/", count: 64)] {
            #expect(AttestedName(path: path, version: nil, sha256: wrong, key: key) == nil)
            #expect(AttestedName(path: path, version: nil, sha256: digest, key: wrong) == nil)
        }
    }

    /// No link is followed.
    @Test func aLinkIsNotFollowed() throws {
        let temporary = try TemporaryStore()
        let outside = try TemporaryDirectory()
        #expect(symlink(outside.path, temporary.path + "/.artifactfs/attestations") == 0)
        let store = try temporary.open()
        let whole = KeptAttestation(signature: [1], provenance: nil)
        #expect(throws: Errno.self) { try store.keep(whole, as: name(), by: 7) }
        #expect(try names(in: outside.path).isEmpty)
    }

    @Test func aManifestsFilesAreReadBack() throws {
        var manifest = Manifest()
        let paths: [[UInt8]] = [Array("a b/ü%41".utf8), [0x01, 0xFF, 0x25], Array("x".utf8)]
        for path in paths { try manifest.add(file: path, size: 3, sha256: digest) }
        manifest.add(directory: Array("a b".utf8))
        #expect(Manifest.files(in: manifest.text) == paths.map { SealedFile(path: $0, sha256: digest) })
    }
}
