import Testing

@testable import Artifacts

/// What is there, and what is missing.
@Suite struct InventoryTests {
    private static let schema = ArtifactSchema.builtIn

    private static func type(_ name: String) throws -> TypeDefinition { try #require(schema.type(named: name)) }

    private static func found(
        _ type: String, _ name: String, _ cell: Inventory.Cell = .there, in layer: Layer = .base
    ) throws -> Inventory.Found { .init(try Self.type(type), in: layer, name: name, cell) }

    private static func row(_ inventory: Inventory, _ type: String) throws -> Inventory.OfType {
        try #require(inventory.rows.first { $0.type.name == type && $0.layer == .base })
    }

    @Test func whatOthersHaveIsMissing() throws {
        let inventory = Inventory(
            Self.schema,
            [
                try Self.found("analysis_sequences", "chr10.tsv"), try Self.found("analysis_sequences", "chr2.tsv"),
                try Self.found("splice_errors", "chr2.tsv", .beingWritten),
                try Self.found("splice_errors", "chrX.tsv", .keptBack),
            ])
        #expect(inventory.chromosomes == ["chr2", "chr10", "chrX"])
        let sequences = try Self.row(inventory, "analysis_sequences")
        #expect(inventory.chromosomes.map(sequences.cell(of:)) == [.there, .there, .missing])
        #expect(sequences.missing == ["production/base/analysis_sequences/chrX.tsv"])
        let errors = try Self.row(inventory, "splice_errors")
        #expect(inventory.chromosomes.map(errors.cell(of:)) == [.beingWritten, .missing, .keptBack])
        #expect(errors.missing == ["chr10", "chrX"].map { "production/base/splice_errors/\($0).tsv" })
        // Of which there is nothing, and nobody asks.
        #expect(try Self.row(inventory, "nucleotide_scores").missing.isEmpty)
        #expect(inventory.rows.filter(\.isEmpty).count == inventory.rows.count - 2)
    }

    @Test func whatIsAskedForIsMissing() throws {
        let inventory = Inventory(Self.schema, [try Self.found("analysis_sequences", "chr1.tsv")]) { layer, type in
            layer == .base && ["nucleotide_scores", "gene_manifest"].contains(type.name)
        }
        let scores = try Self.row(inventory, "nucleotide_scores")
        #expect(scores.cell(of: "chr1") == .missing && scores.missing.count == 1)
        let manifest = try Self.row(inventory, "gene_manifest")
        #expect(manifest.whole == .missing && manifest.isEmpty)
        #expect(manifest.missing == ["production/base/gene_manifest/gene_manifest.tsv"])
    }

    /// One file with all chromosomes, and two of one chromosome.
    @Test func wholesAndFormats() throws {
        let schema = try ArtifactSchema(types: [
            TypeDefinition(name: "t", layers: [.base], formats: [".tsv", ".tsv.gz"], naming: .chromosome)
        ])
        let type = try #require(schema.type(named: "t"))
        let whole = Inventory(schema, [.init(type, in: .base, name: "t.tsv", .there)]) { _, _ in true }
        #expect(whole.rows.first?.whole == .there && whole.rows.first?.missing == [])
        for cells in [[Inventory.Cell.keptBack, .there], [.there, .keptBack]] {
            let both = Inventory(
                schema, zip(["chr1.tsv", "chr1.tsv.gz"], cells).map { .init(type, in: .base, name: $0, $1) })
            #expect(both.rows.first?.cells == ["chr1": .there])
        }
    }

    @Test func listedChromosomesAreExpected() throws {
        let schema = try ArtifactSchema(
            types: [TypeDefinition(name: "t", layers: [.base], formats: [".tsv"], naming: .chromosome)],
            chromosomes: .names(["chr1", "chr2", "chrX"]))
        let type = try #require(schema.type(named: "t"))
        let inventory = Inventory(schema, [.init(type, in: .base, name: "chr2.tsv", .there)])
        #expect(inventory.rows.first?.missing == ["production/base/t/chr1.tsv", "production/base/t/chrX.tsv"])
        #expect(Inventory(schema, []).rows.first?.missing == [])
        #expect(Inventory(schema, []) { _, _ in true }.rows.first?.missing.count == 3)
    }

    @Test func chromosomesAreInOrder() {
        let names = [
            "chr1", "chr2", "chr2L", "chr9", "chr10", "chr22", "chrI", "chrII", "chrX", "chrY", "chrM", "chr1_alt",
            "chrUn_KI270742v1",
        ]
        #expect(names.shuffled().sorted(by: ChromosomeNames.areInOrder) == names)
        let bare = ["1", "2", "10", "99999999999999999999999", "X", "MT", "GL000192.1"]
        #expect(bare.shuffled().sorted(by: ChromosomeNames.areInOrder) == bare)
    }
}
