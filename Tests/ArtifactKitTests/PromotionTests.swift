import ArtifactKit
import Artifacts
import Foundation
import Glibc
import SystemPackage
import Testing

@Suite struct PromotionTests {
    private static let target = "base_layer/gene_manifest.tsv"

    /// A store with a table in a test.
    private static func prepare(_ bytes: [UInt8] = table) throws -> (ScratchStore, ArtifactManager, source: String) {
        let store = try ScratchStore()
        let manager = try ArtifactManager(store: store.path, mode: .test("t"))
        try manager.save(bytes, as: .geneManifest)
        return (store, manager, "base_layer/tests/t/gene_manifest.tsv")
    }

    @Test func whatATestMadeBecomesAnArtifact() throws {
        let (store, manager, source) = try Self.prepare()
        let number = try store.number(source)
        #expect(try manager.promote(.geneManifest) == store.real(Self.target))
        #expect(store.bytes(Self.target) == table)
        #expect(try store.mode(Self.target) == 0o444)
        #expect(try store.number(Self.target) == number, "it is moved and not copied")
        #expect(store.bytes(source) == nil)
        let record = try #require(try store.ledger("sealed").last?["record"] as? [String: Any])
        let artifact = try #require(record["artifact"] as? [String: Any])
        #expect(artifact["path"] as? String == "production/base/gene_manifest/gene_manifest.tsv")
        #expect(
            (record["origin"] as? [String: Any])?["path"] as? String == "test/t/base/gene_manifest/gene_manifest.tsv")
        #expect(artifact["type"] as? String == "gene_manifest" && artifact["mode"] as? String == "production")
        #expect((record["writer"] as? [String: Any])?["pid"] as? Int == Int(getpid()))
        // It is gone from the test, and the test may make another, which production does not take.
        let path = store.real(source)
        #expect(
            error { try manager.promote(.geneManifest) }
                == .notFound(path: path, layer: .base, baseModel: "spliceai"))
        try manager.save(other, as: .geneManifest)
        #expect(
            error { try manager.promote(.geneManifest) } == .exists(path: store.real(Self.target), mode: .production))
        #expect(store.bytes(Self.target) == table && store.bytes(source) == other)
    }

    @Test func aSessionsByChromosomeLayerAndFormat() throws {
        let store = try ScratchStore()
        let manager = try ArtifactManager(store: store.path, mode: .development)
        let session = try #require(manager.scopeName)
        try manager.save(table, as: .trainingData, chromosome: "7", layer: .meta, format: "tsv")
        let path = try manager.promote(.trainingData, chromosome: "7", layer: .meta, format: "tsv")
        let production = try ArtifactManager(store: store.path, mode: .production)
        #expect(try production.path(of: .trainingData, chromosome: "7", layer: .meta, format: "tsv") == path)
        #expect(try production.load(.trainingData, chromosome: "7", layer: .meta, format: "tsv") == table)
        let record = try #require(try store.ledger("sealed").last?["record"] as? [String: Any])
        #expect(
            (record["origin"] as? [String: Any])?["path"] as? String
                == "development/\(session)/meta/training_data/chr7.tsv")
        let artifact = try #require(record["artifact"] as? [String: Any])
        #expect(artifact["key"] as? String == "chr7" && artifact["layer"] as? String == "meta")
    }

    /// A promotion that is refused leaves the very file where it was, as it was.
    private static func expectUntouched(
        _ store: ScratchStore, _ source: String, _ bytes: [UInt8], number: Int?, mode: Int?, _ what: String
    ) throws {
        #expect(store.bytes(source) == bytes, "\(what)")
        #expect(try store.number(source) == number && store.mode(source) == mode, "\(what)")
        #expect(store.bytes(target) == nil, "\(what)")
        #expect(try store.names(".artifactfs/quarantine") == [], "\(what)")
        #expect(try store.ledger("seal-intent").isEmpty && store.ledger("restored").isEmpty, "nothing moved: \(what)")
    }

    @Test(arguments: [[], Array("a\tb\n1\n".utf8), [0xFF, 0xFE]] as [[UInt8]])
    func whatIsNotWholeStaysInTheTest(bytes: [UInt8]) throws {
        let (store, manager, source) = try Self.prepare(bytes)
        let (number, mode) = (try store.number(source), try store.mode(source))
        guard case .notPublished(let path, let reason) = error({ try manager.promote(.geneManifest) }) else {
            Issue.record("\(bytes) was promoted")
            return
        }
        #expect(path == store.real(Self.target) && !reason.isEmpty)
        try Self.expectUntouched(store, source, bytes, number: number, mode: mode, reason)
        // Its name is free, and it is promoted when it is whole.
        try manager.save(table, as: .geneManifest)
        #expect(throws: Never.self) { try manager.promote(.geneManifest) }
    }

    /// What another can still write to is no artifact: an open descriptor, or a mapping that outlives it.
    @Test(arguments: [false, true]) func whatIsOpenToWriteStaysInTheTest(isMapped: Bool) throws {
        let (store, manager, source) = try Self.prepare()
        let (number, mode) = (try store.number(source), try store.mode(source))
        let descriptor = open(store.real(source), O_RDWR)
        try #require(descriptor >= 0)
        var mapping: UnsafeMutableRawPointer?
        if isMapped {
            mapping = mmap(nil, table.count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
            try #require(mapping != MAP_FAILED)
            close(descriptor)
        }
        let refused = error { try manager.promote(.geneManifest) }
        #expect(
            refused == .notPublished(path: store.real(Self.target), reason: "it is still open for writing"))
        try Self.expectUntouched(store, source, table, number: number, mode: mode, "open")
        if let mapping { munmap(mapping, table.count) } else { close(descriptor) }
        #expect(throws: Never.self) { try manager.promote(.geneManifest) }
    }

    /// A file with other names would change through them.
    @Test func whatHasOtherNamesStays() throws {
        let (store, manager, source) = try Self.prepare()
        let (number, mode) = (try store.number(source), try store.mode(source))
        try #require(link(store.real(source), store.real("base_layer/tests/t/other")) == 0)
        #expect(
            error { try manager.promote(.geneManifest) }
                == .refused(Refusal(.improperLink, .crossesTrees), path: store.real(source)))
        try Self.expectUntouched(store, source, table, number: number, mode: mode, "linked")
        unlink(store.real(source))
        try #require(symlink("other", store.real(source)) == 0)
        #expect(
            error { try manager.promote(.geneManifest) }
                == .refused(Refusal(.improperLink, .crossesTrees), path: store.real(source)))
    }

    @Test func whatIsSealedOrOnlyReadIsNotPromoted() throws {
        let (store, manager, source) = try Self.prepare()
        let reader = try ArtifactManager(store: store.path, mode: .test("t"), readOnly: true)
        #expect(
            error { try reader.promote(.geneManifest) } == .system(.readOnlyFileSystem, path: store.real(source)))
        try manager.promote(.geneManifest)
        let production = try ArtifactManager(store: store.path, mode: .production)
        #expect(
            error { try production.promote(.geneManifest) }
                == .refused(Refusal(.notPermitted, .productionImmutable), path: store.real(Self.target)))
        #expect(error { try manager.promote("gene_manifesto") } != nil)
        #expect(store.bytes(Self.target) == table)
    }

    /// Of many who promote to one name, or one file, one does.
    @Test func oneOfManyPromotes() async throws {
        let store = try ScratchStore()
        let path = store.path
        for test in 0..<4 {
            try ArtifactManager(store: path, mode: .test("t\(test)")).save(table, as: .geneManifest)
        }
        let refusals = await withTaskGroup(of: ArtifactError?.self) { group in
            for number in 0..<8 {
                group.addTask {
                    error { try ArtifactManager(store: path, mode: .test("t\(number / 2)")).promote(.geneManifest) }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(refusals.count { $0 == nil } == 1, "\(refusals)")
        #expect(store.bytes(Self.target) == table)
        let left = (0..<4).count { store.bytes("base_layer/tests/t\($0)/gene_manifest.tsv") == table }
        #expect(left == 3)
        #expect(try store.names(".artifactfs/quarantine") == [])
    }
}
