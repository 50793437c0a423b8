import Artifacts
import Testing

@testable import ArtifactKit

private let schema = ArtifactSchema.builtIn

private func key(
    _ type: ArtifactType, chromosome: String? = nil, name: String? = nil, layer: Layer? = nil, format: String? = nil
) throws(ArtifactError) -> ArtifactKey {
    try ArtifactKey(type: type, chromosome: chromosome, name: name, layer: layer, format: format, schema: schema)
}

@Suite struct KeyTests {
    @Test func aChromosomeHasOneSpellingInTheTree() throws {
        let one = try key("analysis_sequences", chromosome: "1")
        #expect(one == (try key("analysis_sequences", chromosome: "chr1")))
        #expect(one.virtualName == "chr1.tsv" && one.realName == "analysis_sequences_chr1.tsv")
        #expect(try key("analysis_sequences", chromosome: "X").realName == "analysis_sequences_chrX.tsv")
    }

    @Test func layersAndFormatsHaveDefaults() throws {
        #expect(try key("analysis_sequences").realName == "analysis_sequences.tsv")
        #expect(try key("analysis_sequences").layer == .base)
        #expect(try key("meta_checkpoints").layer == .meta)
        #expect(try key("meta_checkpoints").realName == "meta_checkpoints.pkl")
        #expect(try key("meta_checkpoints", name: "epoch_001", format: "pt").realName == "epoch_001.pt")
        #expect(try key("training_data").layer == .base)
        #expect(try key("training_data", layer: .meta, format: ".tsv").realName == "training_data.tsv")
        #expect(try key("training_data", layer: .meta).layer == .meta)
    }

    @Test func wrongKeysSayWhatIsRight() throws {
        func error(_ make: () throws(ArtifactError) -> ArtifactKey) -> ArtifactError? {
            do {
                _ = try make()
                return nil
            } catch { return error }
        }
        let known = schema.types.map(\.name)
        #expect(
            error { () throws(ArtifactError) in try key("my_predictions") }
                == .unknownType("my_predictions", known: known))
        #expect(
            error { () throws(ArtifactError) in try key("gene_manifest", layer: .meta) }
                == .notInLayer(type: "gene_manifest", layer: .meta, has: [.base]))
        #expect(
            error { () throws(ArtifactError) in try key("gene_manifest", format: "csv") }
                == .unknownFormat(type: "gene_manifest", format: "csv", known: [".tsv"]))
        #expect(
            error { () throws(ArtifactError) in try key("gene_manifest", chromosome: "1") }
                == .invalidName("chr1.tsv", type: "gene_manifest", names: "gene_manifest.tsv"))
        #expect(
            error { () throws(ArtifactError) in try key("splice_errors", chromosome: "1", name: "a") }
                == .chromosomeAndName(type: "splice_errors"))
        for chromosome in ["", "../x", "1/2", "1\n", "-", "chr", " 1"] {
            let found = error { () throws(ArtifactError) in try key("splice_errors", chromosome: chromosome) }
            guard case .invalidName = found else {
                Issue.record("'\(chromosome)' gave \(String(describing: found))")
                continue
            }
        }
        for name in ["tmp1", ".x", "a b", "..", "a/b"] {
            let found = error { () throws(ArtifactError) in try key("meta_checkpoints", name: name) }
            guard case .invalidName = found else {
                Issue.record("'\(name)' gave \(String(describing: found))")
                continue
            }
        }
    }

    @Test func timesAreISO() {
        #expect(isoTime(secondsSince1970: 1_771_165_822) == "2026-02-15T14:30:22Z")
        #expect(isoTime(secondsSince1970: 0) == "1970-01-01T00:00:00Z")
        #expect(isoTime(secondsSince1970: -1) == "")
    }
}
