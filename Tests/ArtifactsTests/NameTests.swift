import Artifacts
import TestSupport
import Testing

private let schema = ArtifactSchema.builtIn

private func type(_ name: String) throws -> TypeDefinition { try #require(schema.type(named: name)) }

/// Random names that are often nearly right: pieces of valid names, glued together, sometimes damaged.
private func randomName(_ generator: inout SplitMix64) -> String {
    let pieces =
        schema.types.map(\.name) + schema.types.flatMap(\.formats) + [
            "chr", "chr1", "_chr", "chrUn_KI270742v1", "_", "-", ".", "~", "tmp", ".tmp", ".part", ".partial", ".temp",
            "sed", "epoch_001", "latest", "a", "Z9", ".a1B2c3", ".abcdef123456", ".abcdef1234567", "\n", "\u{7}", "é",
            "e\u{301}", "\u{301}", "\u{600}", "\u{212A}", " ", "/", "..", "🧬",
        ]
    // One in three begins as a whole valid name, so that valid names are met often enough.
    let stems = schema.types.map(\.name) + ["chr1", "chrX", "chr_1.v2", "epoch_001", "a.b-c"]
    let formats = schema.types.flatMap(\.formats)
    let isPlain = Int.random(in: 0..<3, using: &generator) == 0
    var name =
        isPlain ? (stems.randomElement(using: &generator) ?? "") + (formats.randomElement(using: &generator) ?? "") : ""
    for _ in 0..<Int.random(in: isPlain ? 0...1 : 1...4, using: &generator) {
        name += pieces.randomElement(using: &generator) ?? ""
    }
    return name
}

@Suite struct NameTests {
    @Test func namesOfTheSeed() throws {
        let cases: [(String, String, String)] = [
            ("analysis_sequences", "chr1.tsv", "analysis_sequences_chr1.tsv"),
            ("analysis_sequences", "analysis_sequences.tsv", "analysis_sequences.tsv"),
            ("analysis_sequences", "chrUn_KI270742v1.tsv", "analysis_sequences_chrUn_KI270742v1.tsv"),
            ("nucleotide_scores", "chrX.parquet", "nucleotide_scores_chrX.parquet"),
            ("gene_manifest", "gene_manifest.tsv", "gene_manifest.tsv"),
            ("meta_checkpoints", "epoch_001.pkl", "epoch_001.pkl"),
            ("meta_checkpoints", "latest.pt", "latest.pt"),
            ("meta_checkpoints", "model.v2.safetensors", "model.v2.safetensors"),
            ("meta_checkpoints", "meta_checkpoints.pkl", "meta_checkpoints.pkl"),
            ("meta_metrics", "training_metrics.json", "training_metrics.json"),
            ("training_data", "chr2.tsv", "training_data_chr2.tsv"),
            ("meta_predictions", "chr1.v2.parquet", "meta_predictions_chr1.v2.parquet"),
        ]
        for (name, virtual, real) in cases {
            #expect(try type(name).classify(virtual) == .artifact(realName: real))
            #expect(try type(name).virtualName(forReal: real) == virtual)
        }
    }

    @Test(arguments: [
        "", ".tsv1", "1.tsv", "chr.tsv", "Chr1.tsv", "chr1", "chr1.csv", "chr1.TSV", "chr-1.tsv", "chr 1.tsv",
        "chr1\n.tsv", "chr1.tsv\n", "chr1\u{7}.tsv", "chré.tsv", "chr1\u{301}.tsv", "splice_errors.tsv",
        "analysis_sequences_chr1.tsv", "analysis_sequences.parquet", "notes.txt", "chr1.tsv.abcde",
        "chr1.tsv.abcdef1234567", "chr1.tsv.abc-def", "notes.abc123", "chr1.tsvx", "..", ".", "../x.tmp", "a/b.tmp",
        "chr1.tsv/", "/", "a\0.tmp", "\u{FFFD}.tsv",
    ])
    func namesThatAreNoneOfTheType(name: String) throws {
        let found = try type("analysis_sequences").classify(name)
        if name == ".tsv1" {
            #expect(found == .transient)
        } else {
            #expect(found == .invalid(.notOfType("analysis_sequences")))
        }
    }

    @Test func freeNamesArePlain() throws {
        let checkpoints = try type("meta_checkpoints")
        for name in ["-a.pkl", "_a.pkl", "a b.pkl", "é.pkl", "a\n.pkl", "a", "a.txt", "\u{212A}.pkl"] {
            #expect(checkpoints.classify(name) == .invalid(.notOfType("meta_checkpoints")), "\(name)")
            #expect(checkpoints.virtualName(forReal: name) == nil, "\(name)")
        }
    }

    /// Each kind of transient name of the document, and its nearest neighbours that are not.
    @Test func transientNames() throws {
        let rows: [(kind: String, transient: [String], other: [String])] = [
            ("leading .", [".chr1.tsv", ".a", "..a", ".chr1.tsv.Xy12Zw", "...", ".\n"], ["chr1.tsv", ".", ".."]),
            ("*.tmp", ["chr1.tsv.tmp", "x.tmp", "\n.tmp", "\u{600}.tmp"], ["xtmp", "x.tmp2", "x.TMP"]),
            ("*.temp", ["chr1.tsv.temp", "x.temp"], ["xtemp", "x.tempo"]),
            ("*.part", ["chr1.tsv.part", "x.part"], ["xpart", "x.parts"]),
            ("*.partial", ["chr1.tsv.partial", "x.partial"], ["xpartial", "x.partially"]),
            ("*~", ["chr1.tsv~", "~"], ["~chr1.tsv"]),
            ("sed??????", ["sedaB3xYz", "sed......"], ["sedaB3xY", "sedaB3xYz1", "Sedab3xYz"]),
            ("tmp*", ["tmp", "tmpk2j3h4", "tmp_chr1.tsv"], ["tm", "atmp", "Tmp"]),
            (
                "a valid name, a dot, 6 to 12 letters and digits",
                ["chr1.tsv.abc123", "chr1.tsv.ABCDEF123456", "analysis_sequences.tsv.000000"],
                ["chr1.tsv.abc12", "chr1.tsv.abcdef1234567", "chr1.tsv.abc_123", "chr1.csv.abc123", "chr1.abc123"]
            ),
        ]
        let sequences = try type("analysis_sequences")
        for row in rows {
            for name in row.transient {
                #expect(sequences.classify(name) == .transient, "\(row.kind): \(name)")
                #expect(sequences.virtualName(forReal: name) == nil, "\(row.kind): \(name)")
            }
            for name in row.other { #expect(sequences.classify(name) != .transient, "\(row.kind): \(name)") }
        }
        // A valid name wins over the random suffix that it resembles.
        #expect(
            try type("nucleotide_scores").classify("nucleotide_scores.parquet")
                == .artifact(realName: "nucleotide_scores.parquet"))
        #expect(try type("meta_checkpoints").classify("a.pkl.keras") == .artifact(realName: "a.pkl.keras"))
        #expect(try type("meta_checkpoints").classify("a.pkl.keras1") == .transient)
    }

    @Test func theLimitIs255BytesOnBothSides() throws {
        let sequences = try type("analysis_sequences")  // The real name is 19 bytes longer.
        func chromosome(_ length: Int) -> String { "chr" + String(repeating: "1", count: length - 7) + ".tsv" }
        #expect(sequences.classify(chromosome(236)) == .artifact(realName: "analysis_sequences_" + chromosome(236)))
        #expect(sequences.classify(chromosome(237)) == .invalid(.tooLong))
        #expect(sequences.classify(chromosome(256)) == .invalid(.tooLong))
        let checkpoints = try type("meta_checkpoints")
        let longest = String(repeating: "a", count: 251) + ".pkl"
        #expect(checkpoints.classify(longest) == .artifact(realName: longest))
        #expect(checkpoints.classify("a" + longest) == .invalid(.tooLong))
        #expect(checkpoints.virtualName(forReal: longest) == longest)
        #expect(checkpoints.virtualName(forReal: "a" + longest) == nil)
        #expect(checkpoints.classify("." + String(repeating: "a", count: 254)) == .transient)
        #expect(checkpoints.classify("." + String(repeating: "a", count: 255)) == .invalid(.tooLong))
        // Bytes count, not characters.
        #expect(checkpoints.classify(".a" + String(repeating: "é", count: 127)) == .invalid(.tooLong))
        #expect(checkpoints.classify("." + String(repeating: "é", count: 127)) == .transient)
        #expect(UntypedDirectory.classifyPlot(String(repeating: "a", count: 251) + ".png") != .invalid(.tooLong))
        #expect(UntypedDirectory.classifyPlot(String(repeating: "a", count: 252) + ".png") == .invalid(.tooLong))
    }

    /// Canonically equivalent text is other bytes, so another file.
    @Test func namesAreBytes() throws {
        let key = TypeDefinition(name: "Key", layers: [.base], formats: [".K"])
        #expect(key.classify("Key.K") == .artifact(realName: "Key.K"))
        #expect(key.classify("\u{212A}ey.K") == .invalid(.notOfType("Key")))
        #expect(key.classify("Key.\u{212A}") == .invalid(.notOfType("Key")))
        #expect(key.virtualName(forReal: "\u{212A}ey.K") == nil)
    }

    @Test func theLongestFormatCounts() throws {
        let packed = TypeDefinition(name: "a", layers: [.base], formats: [".gz", ".tsv.gz"], naming: .chromosome)
        for (virtual, real) in [("a.gz", "a.gz"), ("a.tsv.gz", "a.tsv.gz"), ("chr1.tsv.gz", "a_chr1.tsv.gz")] {
            #expect(packed.classify(virtual) == .artifact(realName: real))
            #expect(packed.virtualName(forReal: real) == virtual)
        }
        #expect(packed.classify("chr.tsv.gz") == .invalid(.notOfType("a")))
        #expect(packed.virtualName(forReal: "a_chr.tsv.gz") == nil)
    }

    /// Virtual to real and back gives the same name; two names never share a real file; no file has two types.
    @Test func namesRoundTripAndAreInjective() throws {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        var artifacts = 0
        var owners: [String: String] = [:]
        for _ in 0..<6000 {
            let name = randomName(&generator)
            for type in schema.types {
                switch type.classify(name) {
                case .artifact(let real):
                    artifacts += 1
                    try #require(type.virtualName(forReal: real) == name, "seed \(seed): \(type.name) \(name)")
                    for layer in type.layers {
                        let claimants = schema.types.filter {
                            $0.directory == type.directory && $0.layers.contains(layer)
                                && $0.virtualName(forReal: real) != nil
                        }
                        try #require(claimants == [type], "seed \(seed): \(real)")
                        let file = "\(layer) \(type.directory) \(real)"
                        let owner = "\(type.name) \(name)"
                        try #require(owners.updateValue(owner, forKey: file) ?? owner == owner, "seed \(seed): \(file)")
                    }
                case .transient:
                    // What is transient is claimed by nobody, should a file of that name be there.
                    try #require(type.virtualName(forReal: name) == nil, "seed \(seed): \(type.name) \(name)")
                case .invalid: break
                }
                // And the other way: a claimed file is found again by its name on the mount.
                if let virtual = type.virtualName(forReal: name) {
                    try #require(
                        type.classify(virtual) == .artifact(realName: name), "seed \(seed): \(type.name) \(name)")
                }
            }
        }
        #expect(artifacts > 1000, "seed \(seed): the names are too wild to test anything")
    }

    /// Whatever schemas the initializer accepts, no real file has two types in them.
    @Test func acceptedSchemasAreInjective() throws {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        let names = ["a", "ab", "a_chr", "a_chr1", "a_chr_chr", "a-chr", "a_c", "b", "a_"]
        let formats = [".gz", ".tsv", ".tsv.gz", ".x.tsv", ".chr1.tsv"]
        let tails = ["", "_chr1", "_chr", "_chr_chr1", "_chr1_chr2", ".x", "_chr.x", "_chr.chr1"]
        var accepted = 0
        for _ in 0..<4000 {
            let types = (0..<2).map { _ in
                TypeDefinition(
                    name: names.randomElement(using: &generator) ?? "a", layers: [.base],
                    formats: Array(Set((0..<2).compactMap { _ in formats.randomElement(using: &generator) })).sorted(),
                    naming: TypeDefinition.Naming.allCases.randomElement(using: &generator) ?? .whole)
            }
            guard let schema = try? ArtifactSchema(types: types) else { continue }
            accepted += 1
            for name in names {
                for real in tails.flatMap({ tail in formats.map { name + tail + $0 } }) {
                    let claimants = schema.types.filter { $0.virtualName(forReal: real) != nil }
                    try #require(claimants.count <= 1, "seed \(seed): \(real) in \(types)")
                }
            }
        }
        #expect(accepted > 500, "seed \(seed)")
    }

    @Test func hintsNameWhatIsTaken() throws {
        #expect(try type("gene_manifest").nameHint == "gene_manifest.tsv")
        #expect(try type("splice_errors").nameHint == "splice_errors.tsv or chr<name>.tsv")
        #expect(
            try type("meta_metrics").nameHint == "<name>(.json|.jsonl), where <name> is letters, digits, '.', '_', '-'")
        #expect(try type("training_data").nameHint.contains("(.parquet|.tsv|.npz|.npy)"))
    }
}
