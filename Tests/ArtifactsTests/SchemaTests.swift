import Artifacts
import Testing

/// The built-in schema's table, as text.
private let schemaTable = """
    | type | layer | formats, first is the default | directory in the layer | names | kind |
    | --- | --- | --- | --- | --- | --- |
    | `analysis_sequences` | base | `.tsv` | `.` | whole, or by chromosome | file |
    | `splice_errors` | base | `.tsv` | `.` | whole, or by chromosome | file |
    | `nucleotide_scores` | base | `.parquet`, `.npz`, `.npy` | `.` | whole, or by chromosome | file |
    | `gene_manifest` | base | `.tsv` | `.` | whole | file |
    | `meta_predictions` | meta | `.tsv`, `.parquet` | `predictions` | whole, or by chromosome | file |
    | `meta_checkpoints` | meta | `.pkl`, `.pt`, `.ckpt`, `.safetensors`, `.h5`, `.keras`, `.npz`, `.npy`, `.index`, `.data-00000-of-00001` | `checkpoints` | whole, or free (`epoch_001`, `latest`) | either |
    | `meta_metrics` | meta | `.json`, `.jsonl` | `metrics` | whole, or free (`training_metrics`) | file |
    | `training_data` | base, meta | `.parquet`, `.tsv`, `.npz`, `.npy` | `.` | whole, or by chromosome | either |
    | `validation_data` | base, meta | `.parquet`, `.tsv`, `.npz`, `.npy` | `.` | whole, or by chromosome | either |
    | `experiment_metadata` | meta | `.json` | `experiments` | whole, or free (`20260215_143022`) | file |
    | `experiment_plots` | meta | `.png`, `.pdf`, `.svg` | `figures` | whole, or free (`20260215_143022_loss`) | file |
    """

/// The types that a table declares.
private func types(in text: String) throws -> [TypeDefinition] {
    let table = try #require(MarkdownTable(in: text, headerStarting: ["type", "layer"]))
    return try table.rows.map { row in
        try #require(row.count == 6)
        func list(_ cell: String) -> [String] {
            cell.split(separator: ", ").map { String($0.filter { $0 != "`" }) }
        }
        let naming: TypeDefinition.Naming =
            row[4].contains("by chromosome") ? .chromosome : row[4].contains("free") ? .free : .whole
        return TypeDefinition(
            name: list(row[0])[0], layers: try list(row[1]).map { try #require(Layer(rawValue: $0)) },
            formats: list(row[2]), directory: list(row[3])[0], naming: naming,
            kind: try #require(TypeDefinition.Kind(rawValue: row[5])))
    }
}

/// A declaration that must be refused, and words of the reason.
private struct Bad: CustomTestStringConvertible {
    let types: [TypeDefinition]
    let reason: String
    var testDescription: String { types.map(\.name).joined(separator: ", ") + ": " + reason }

    init(_ reason: String, _ types: TypeDefinition...) {
        self.types = types
        self.reason = reason
    }
}

private func type(
    _ name: String, _ formats: [String] = [".tsv"], in layers: [Layer] = [.base], at directory: String = ".",
    _ naming: TypeDefinition.Naming = .whole
) -> TypeDefinition {
    TypeDefinition(name: name, layers: layers, formats: formats, directory: directory, naming: naming)
}

private let bad: [Bad] = [
    Bad("is not a type name", type("")),
    Bad("is not a type name", type("a.b")),
    Bad("is not a type name", type("a/b")),
    Bad("is not a type name", type("..")),
    Bad("is not a type name", type("_a")),
    Bad("is not a type name", type("a b")),
    Bad("is not a type name", type("\u{212A}ey")),
    Bad("is not a type name", type("a\u{301}")),
    Bad("is not a type name", type(String(repeating: "a", count: 101))),
    Bad("a name of temporary files", type("tmp_scores")),
    Bad("a name of temporary files", type("scores_tmp")),
    Bad("marks temporary files", type("scores", [".tmp.tsv"])),
    Bad("for other reasons", type("chr1", .chromosome)),
    Bad("for other reasons", type("chrUn_1", .chromosome)),
    Bad("a name of temporary files", type("tmpan", [".csv", ".tsv"])),
    Bad("has no layer", type("a", in: [])),
    Bad("names a layer twice", type("a", in: [.base, .base])),
    Bad("has no format", type("a", [])),
    Bad("not an extension", type("a", ["tsv"])),
    Bad("not an extension", type("a", ["."])),
    Bad("not an extension", type("a", [""])),
    Bad("not an extension", type("a", ["..tsv"])),
    Bad("not an extension", type("a", [".t/v"])),
    Bad("not an extension", type("a", [".t\n"])),
    Bad("not an extension", type("a", ["." + String(repeating: "a", count: 32)])),
    Bad("marks temporary files", type("a", [".tmp"])),
    Bad("marks temporary files", type("a", [".tsv.part"])),
    Bad("names a format twice", type("a", [".tsv", ".tsv"])),
    Bad("not '.' or one plain name", type("a", at: "")),
    Bad("not '.' or one plain name", type("a", at: "..")),
    Bad("not '.' or one plain name", type("a", at: "x/y")),
    Bad("not '.' or one plain name", type("a", at: "/x")),
    Bad("not '.' or one plain name", type("a", at: String(repeating: "a", count: 201))),
    Bad("used for sessions", type("a", at: "dev")),
    Bad("used for sessions", type("a", at: "tests")),
    Bad("used for sessions", type("a", at: "plots")),
    Bad("used for sessions", type("a", at: "scratch")),
    Bad("would claim 'metadata.json'", type("metadata", [".json"])),
    Bad("would claim 'metadata.json'", type("a", [".json"], .free)),
    Bad("would claim 'metadata.json'", type("a", at: "metadata.json")),
    Bad("is declared twice", type("a"), type("a", in: [.meta])),
    // Two types for one real file.
    Bad("same real files as 'a'", type("a", .free), type("b")),
    Bad("same real files as 'a'", type("a"), type("b", .free)),
    Bad("same real files as 'a'", type("a", .chromosome), type("a_chr1")),
    Bad("same real files as 'a_chr1'", type("a_chr1"), type("a", .chromosome)),
    Bad("same real files as 'a'", type("a", .chromosome), type("a_chr", .chromosome)),
    Bad("same real files as 'a'", type("a", [".tsv"], .chromosome), type("a_chr", [".x.tsv"])),
    Bad("same real files as 'a'", type("a", [".gz"], .free), type("b", [".tsv.gz"])),
    Bad("same real files as 'a'", type("a", [".tsv.gz"]), type("b", [".gz"], .free)),
    Bad("same real files as 'a'", type("a", in: [.base, .meta], .free), type("b", in: [.meta])),
    // A directory where another type has a file of that name.
    Bad("which is a file name of 'b'", type("a", at: "b.tsv"), type("b")),
    Bad("which is a file name of 'b'", type("b", .chromosome), type("a", at: "b_chr1.tsv")),
]

private func type(_ name: String, _ naming: TypeDefinition.Naming) -> TypeDefinition { type(name, [".tsv"], naming) }

private func type(
    _ name: String, in layers: [Layer], at directory: String = ".", _ naming: TypeDefinition.Naming
) -> TypeDefinition {
    type(name, [".tsv"], in: layers, at: directory, naming)
}

private func type(_ name: String, _ formats: [String], _ naming: TypeDefinition.Naming) -> TypeDefinition {
    type(name, formats, in: [.base], at: ".", naming)
}

@Suite struct SchemaTests {
    @Test func theBuiltInSchemaIsTheTable() throws {
        #expect(try types(in: schemaTable) == ArtifactSchema.builtIn.types)
        #expect(ArtifactSchema.builtIn.types.count == 11)
        #expect(ArtifactSchema.builtIn.settlingSeconds == 5)
        #expect(ArtifactSchema.builtIn.transientSeconds == 86_400)
        #expect(ArtifactSchema.builtIn.checkAtClose == 256 << 20)
    }

    @Test func theBuiltInSchemaIsTheDocument() throws {
        #expect(try types(in: SemanticsDocument.text()) == ArtifactSchema.builtIn.types)
    }

    @Test func theBuiltInSchemaPassesTheChecks() throws {
        #expect(try ArtifactSchema(types: ArtifactSchema.builtIn.types) == ArtifactSchema.builtIn)
    }

    @Test(arguments: bad) fileprivate func refuses(_ bad: Bad) throws {
        let error = try #require(throws: SchemaError.self) { try ArtifactSchema(types: bad.types) }
        #expect(error.problem.contains(bad.reason), "\(error)")
        #expect(bad.types.contains { $0.name == error.type })
        #expect(error.description == "type '\(error.type ?? "")' \(error.problem)")
    }

    @Test func acceptsWhatCannotConflict() throws {
        let good: [[TypeDefinition]] = [
            [],
            [type("a"), type("b")],
            [type("a", .chromosome), type("b", .chromosome)],
            [type("a", .chromosome), type("ab", .chromosome)],
            [type("a", in: [.base], .free), type("b", in: [.meta], .free)],
            [type("a", [".tsv"], .free), type("b", [".json"], in: [.meta], .free)],
            [type("a", [".tsv"], .free), type("b", [".pkl"], .free)],
            [type("a", in: [.base], at: "x", .free), type("b", in: [.base], at: "y", .free)],
            [type("a", .chromosome), type("a_chr1", [".pkl"])],
            [type("chromatin"), type("chromosomes", [".json"], in: [.meta], .free)],
            [
                type("chromatin", .chromosome), type("sequence", .chromosome), type("a_c", .chromosome),
                type("a", .chromosome),
            ],
            [type("metadata", [".json"], in: [.meta])],
            [type("a", in: [.meta], at: "b.tsv"), type("b")],
            [type("a", [".gz", ".tsv.gz"], .chromosome)],
        ]
        for types in good { #expect(try ArtifactSchema(types: types).types == types) }
    }

    @Test func timesHaveBounds() throws {
        for (settling, transient) in [(-1, 60), (3601, 60), (5, 59), (5, 315_360_001), (Int.max, Int.max)] {
            let error = try #require(throws: SchemaError.self) {
                try ArtifactSchema(types: [], settlingSeconds: settling, transientSeconds: transient)
            }
            #expect(error.type == nil && error.description == error.problem)
        }
        for (settling, transient) in [(0, 60), (3600, 315_360_000)] {
            let schema = try ArtifactSchema(types: [], settlingSeconds: settling, transientSeconds: transient)
            #expect(schema.settlingSeconds == settling && schema.transientSeconds == transient)
        }
    }

    @Test func sizesHaveBounds() throws {
        for size in [-1, (1 << 40) + 1, Int64.min, .max] {
            let error = try #require(throws: SchemaError.self) { try ArtifactSchema(types: [], checkAtClose: size) }
            #expect(error.problem.contains("check_at_close"))
        }
        for size in [0, 1, 1 << 40] as [Int64] {
            #expect(try ArtifactSchema(types: [], checkAtClose: size).checkAtClose == size)
        }
    }

    @Test func typesAreFoundByNameLayerAndFile() throws {
        let schema = ArtifactSchema.builtIn
        #expect(schema.type(named: "gene_manifest")?.naming == .whole)
        #expect(schema.type(named: "Gene_manifest") == nil)
        let key = try ArtifactSchema(types: [type("Key")])
        #expect(key.type(named: "Key") != nil && key.type(named: "\u{212A}ey") == nil)
        #expect(
            schema.types(in: .meta).map(\.name) == [
                "meta_predictions", "meta_checkpoints", "meta_metrics", "training_data", "validation_data",
                "experiment_metadata", "experiment_plots",
            ])
        func claimant(_ real: String, _ directory: String, _ layer: Layer) -> String? {
            schema.claimant(ofReal: real, in: directory, layer: layer)?.name
        }
        #expect(claimant("analysis_sequences_chr1.tsv", ".", .base) == "analysis_sequences")
        #expect(claimant("analysis_sequences_chr1.tsv", ".", .meta) == nil)
        #expect(claimant("training_data.parquet", ".", .meta) == "training_data")
        #expect(claimant("epoch_001.pkl", "checkpoints", .meta) == "meta_checkpoints")
        #expect(claimant("epoch_001.pkl", ".", .meta) == nil)
        #expect(claimant("notes.txt", ".", .base) == nil)
        #expect(claimant("analysis_sequences_chrchr1.tsv", ".", .base) == nil)
        #expect(claimant("analysis_sequences_chr1_tmp.tsv", ".", .base) == nil)
    }

    /// The document's table of temporary names has the built-in patterns, all of them and in no other spelling.
    @Test func theBuiltInTransientNamesAreTheDocument() throws {
        let table = try #require(
            MarkdownTable(in: SemanticsDocument.text(), headerStarting: ["built-in pattern", "whose"]))
        let documented = table.rows.flatMap { $0[0].split(separator: ", ").map { String($0.filter { $0 != "`" }) } }
        #expect(Set(documented).count == documented.count)
        #expect(Set(documented) == Set(TransientNames.builtIn.patterns.map(\.description)))
    }

    /// What a chromosome is changes which types can be beside each other.
    @Test func chromosomesOfASchemaMayNotBeFilesOfAnotherType() throws {
        func accepts(_ chromosomes: ChromosomeNames, _ types: TypeDefinition...) -> Bool {
            (try? ArtifactSchema(types: types, chromosomes: chromosomes)) != nil
        }
        let (a, beside) = (type("a", .chromosome), type("a_x", .chromosome))
        #expect(accepts(.assemblies, a, beside))
        #expect(accepts(.names(["1", "y", "xy"]), a, beside))
        for names in [["x"], ["x_1"], ["x.1"], ["1", "x"]] as [Set<String>] {
            #expect(!accepts(.names(names), a, beside))
        }
        #expect(!accepts(.names(["a"]), a))
        for (text, isApart) in [("*", false), ("x*", false), ("x?", false), ("?", false), ("s*", true), ("NC_*", true)]
        {
            let pattern = try #require(NamePattern(text))
            #expect(accepts(.pattern(pattern), a, beside) == isApart, "\(text)")
        }
    }
}
