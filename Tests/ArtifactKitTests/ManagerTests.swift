import ArtifactKit
import Artifacts
import Foundation
import SystemPackage
import Testing

@Suite struct ProductionTests {
    @Test func anArtifactIsPublishedOnceAndSealed() throws {
        let store = try ScratchStore()
        let manager = try ArtifactManager(store: store.path, mode: .production)
        let path = try manager.save(table, as: .analysisSequences, chromosome: "1")
        #expect(path == store.real("base_layer/analysis_sequences_chr1.tsv"))
        #expect(try manager.path(of: .analysisSequences, chromosome: "chr1") == path)
        #expect(store.bytes("base_layer/analysis_sequences_chr1.tsv") == table)
        #expect(try store.mode("base_layer/analysis_sequences_chr1.tsv") == 0o444)
        #expect(try manager.load(.analysisSequences, chromosome: "chr1") == table)

        let second = error { _ = try manager.save(other, as: .analysisSequences, chromosome: "chr1") }
        #expect(second == .exists(path: path, mode: .production))
        #expect(
            second?.description
                == "Artifact exists and overwrite not allowed: \(path)\nMode: production (production artifacts are immutable)"
        )
        #expect(store.bytes("base_layer/analysis_sequences_chr1.tsv") == table)
        #expect(try store.names("base_layer").filter { $0.hasPrefix("analysis") } == ["analysis_sequences_chr1.tsv"])
    }

    @Test func aFileIsPublishedFromItsPath() throws {
        let store = try ScratchStore()
        let source = store.real("../predictions.tsv")
        try Data(table).write(to: URL(filePath: source))
        let manager = try ArtifactManager(store: store.path, mode: .production)
        let path = try manager.save(fromFile: source, as: .metaPredictions)
        #expect(path == store.real("meta_layer/predictions/meta_predictions.tsv"))
        #expect(store.bytes("meta_layer/predictions/meta_predictions.tsv") == table)
        #expect(FileManager.default.contents(atPath: source).map(Array.init) == table)
        let missing = error { _ = try manager.save(fromFile: source + "x", as: .spliceErrors) }
        #expect(missing == .system(.noSuchFileOrDirectory, path: source + "x"))
        #expect(store.bytes("base_layer/splice_errors.tsv") == nil)
    }

    @Test func whatIsNotWholeIsNotPublished() throws {
        let store = try ScratchStore()
        let manager = try ArtifactManager(store: store.path, mode: .production)
        for bad in [[], Array("a\tb\n1\n".utf8), [0xFF, 0xFE]] as [[UInt8]] {
            guard case .notPublished(let path, let reason) = error({ _ = try manager.save(bad, as: .geneManifest) })
            else {
                Issue.record("\(bad) was published")
                continue
            }
            #expect(path == store.real("base_layer/gene_manifest.tsv") && !reason.isEmpty)
        }
        #expect(store.bytes("base_layer/gene_manifest.tsv") == nil)
        // The name is free still.
        #expect(throws: Never.self) { try manager.save(table, as: .geneManifest) }
    }

    @Test func whatIsMissingSaysWhereItWasExpected() throws {
        let store = try ScratchStore()
        let manager = try ArtifactManager(store: store.path, mode: .production)
        let missing = error { _ = try manager.load(.analysisSequences, chromosome: "7") }
        let path = store.real("base_layer/analysis_sequences_chr7.tsv")
        #expect(missing == .notFound(path: path, layer: .base, baseModel: "spliceai"))
        #expect(missing?.description == "Artifact not found: \(path)\nExpected in base layer for spliceai")
    }

    @Test func oneOfManyWritersWins() async throws {
        let store = try ScratchStore()
        let path = store.path
        func contents(_ writer: Int) -> [UInt8] {
            Array("writer\n".utf8) + Array(repeating: Array("\(writer)\n".utf8), count: 20_000).joined()
        }
        let outcomes = await withTaskGroup(of: (Int, ArtifactError?).self) { group in
            for writer in 0..<8 {
                group.addTask {
                    let refusal = error {
                        let manager = try ArtifactManager(store: path, mode: .production)
                        try manager.save(contents(writer), as: .geneManifest)
                    }
                    return (writer, refusal)
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let winners = outcomes.filter { $0.1 == nil }.map(\.0)
        let taken = ArtifactError.exists(path: store.real("base_layer/gene_manifest.tsv"), mode: .production)
        #expect(outcomes.filter { $0.1 == taken }.count == 7)
        #expect(winners.count == 1)
        #expect(store.bytes("base_layer/gene_manifest.tsv") == contents(winners.first ?? -1))
    }

    @Test func productionTakesArtifactsOnly() throws {
        let store = try ScratchStore()
        let manager = try ArtifactManager(store: store.path, mode: .production)
        #expect(manager.shouldOverwrite == false)
        guard case .notInProduction = error({ _ = try manager.saveExperimentMetadata(config: [1], metrics: [2]) }),
            case .notInProduction = error({ _ = try manager.savePlot([1], name: "loss") })
        else {
            Issue.record("production took metadata or a plot")
            return
        }
    }
}

@Suite struct OverwritingTests {
    @Test func aTestOverwritesInItsOwnDirectory() throws {
        let store = try ScratchStore()
        let manager = try ArtifactManager(store: store.path, mode: .test("test_prediction"))
        #expect(manager.shouldOverwrite)
        let path = try manager.save(table, as: .analysisSequences, chromosome: "1")
        #expect(path == store.real("base_layer/tests/test_prediction/analysis_sequences_chr1.tsv"))
        #expect(try manager.save(other, as: .analysisSequences, chromosome: "1") == path)
        #expect(try manager.load(.analysisSequences, chromosome: "1") == other)
        // A shorter file leaves nothing of the longer one, and nothing temporary stays.
        _ = try manager.save(table, as: .analysisSequences, chromosome: "1")
        #expect(store.bytes("base_layer/tests/test_prediction/analysis_sequences_chr1.tsv") == table)
        #expect(try store.names("base_layer/tests/test_prediction") == ["analysis_sequences_chr1.tsv"])
        #expect(store.bytes("base_layer/analysis_sequences_chr1.tsv") == nil)
        // A session's contents are not checked: they are work in progress.
        #expect(throws: Never.self) { try manager.save([], as: .geneManifest) }
    }

    @Test func readersOfTheOldFileKeepIt() throws {
        let store = try ScratchStore()
        let manager = try ArtifactManager(store: store.path, mode: .test("t"))
        let path = try manager.save(table, as: .geneManifest)
        let reader = try #require(FileHandle(forReadingAtPath: path))
        _ = try manager.save(other, as: .geneManifest)
        #expect(try reader.readToEnd().map(Array.init) == table)
    }

    @Test func aSessionIsItsOwn() throws {
        let store = try ScratchStore()
        let one = try ArtifactManager(store: store.path, mode: .development)
        let two = try ArtifactManager(store: store.path, mode: .development)
        let first = try one.save(table, as: .trainingData, layer: .meta, format: "tsv")
        let second = try two.save(other, as: .trainingData, layer: .meta, format: "tsv")
        #expect(first != second)
        #expect(try one.load(.trainingData, layer: .meta, format: "tsv") == table)
        let name = try #require(one.scopeName)
        #expect(SessionName(name) != nil)
        #expect(first == store.real("meta_layer/dev/\(name)/training_data.tsv"))
    }

    @Test func metadataAndPlots() throws {
        let store = try ScratchStore()
        let manager = try ArtifactManager(store: store.path, mode: .test("t"), experiment: "splice_analysis_v3")
        struct Config: Encodable { var learningRate = 0.001 }
        let path = try manager.saveExperimentMetadata(config: Config(), metrics: ["loss": 0.5, "bad": Double.nan])
        #expect(path == store.real("base_layer/tests/t/metadata.json"))
        let json = try JSONSerialization.jsonObject(
            with: Data(try #require(store.bytes("base_layer/tests/t/metadata.json"))))
        let metadata = try #require(json as? [String: Any])
        #expect(metadata["experiment_name"] as? String == "splice_analysis_v3")
        #expect((metadata["config"] as? [String: Any])?["learningRate"] as? Double == 0.001)
        #expect((metadata["metrics"] as? [String: Any])?["bad"] as? String == "NaN")
        #expect((metadata["created_at"] as? String)?.count == 20)
        let plot = try manager.savePlot([0x89, 0x50], name: "confusion_matrix")
        #expect(plot == store.real("base_layer/tests/t/plots/confusion_matrix.png"))
        #expect(store.bytes("base_layer/tests/t/plots/confusion_matrix.png") == [0x89, 0x50])
        #expect(try manager.savePlot([1], name: "a", format: "svg").hasSuffix("/plots/a.svg"))
        for name in ["../x", "a/b", ".", ".a", "tmp1", ""] {
            #expect(error { _ = try manager.savePlot([1], name: name) } != nil, "\(name)")
        }
        #expect(error { _ = try manager.savePlot([1], name: "a", format: "jpg") } != nil)
        #expect(try store.names("base_layer/tests/t/plots") == ["a.svg", "confusion_matrix.png"])
    }

    @Test func symbolicLinksLeadNowhere() throws {
        let store = try ScratchStore()
        let outside = store.real("../outside")
        try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(
            atPath: store.real("base_layer/tests"), withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: store.real("base_layer/tests/t"), withDestinationPath: outside)
        let manager = try ArtifactManager(store: store.path, mode: .test("t"))
        #expect(error { _ = try manager.save(table, as: .geneManifest) } != nil)
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside).isEmpty)
    }
}

@Suite struct OpeningTests {
    @Test func whatIsNoStoreSaysSo() throws {
        let store = try ScratchStore()
        for path in [store.real("nothing"), "/dev/null", store.real("base_layer")] {
            guard case .unusableStore(_, let reason) = error({ _ = try ArtifactManager(store: path) }) else {
                Issue.record("\(path) was taken for a store")
                continue
            }
            #expect(!reason.isEmpty)
        }
    }

    @Test func readOnlyLoadsAndSavesNothing() throws {
        let store = try ScratchStore()
        _ = try ArtifactManager(store: store.path, mode: .production).save(table, as: .geneManifest)
        let production = try ArtifactManager(store: store.path, mode: .production, readOnly: true)
        #expect(try production.load(.geneManifest) == table)
        let test = try ArtifactManager(store: store.path, mode: .test("t"), readOnly: true)
        for manager in [production, test] {
            let path = try manager.path(of: .spliceErrors)
            #expect(
                error { _ = try manager.save(table, as: .spliceErrors) }
                    == .system(.readOnlyFileSystem, path: path))
        }
        #expect(error { _ = try test.savePlot([1], name: "a") } != nil)
        #expect(try store.names("base_layer") == ["gene_manifest.tsv"])
    }

    @Test func scopesAreChecked() throws {
        let store = try ScratchStore()
        for name in ["", "..", "a/b", ".a"] {
            #expect(
                error { _ = try ArtifactManager(store: store.path, mode: .test(name)) }
                    == .invalidScope(name, mode: .test))
        }
        #expect(
            error { _ = try ArtifactManager(store: store.path, mode: .session("yesterday")) }
                == .invalidScope("yesterday", mode: .development))
    }
}
