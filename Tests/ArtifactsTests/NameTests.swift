import Artifacts
import TestSupport
import Testing

private let schema = ArtifactSchema.builtIn

private func type(_ name: String) throws -> TypeDefinition { try #require(schema.type(named: name)) }

/// Random names that are often nearly right: pieces of valid names, glued together, sometimes damaged.
private func randomName(_ generator: inout SplitMix64) -> String {
    let pieces =
        schema.types.map(\.name) + schema.types.flatMap(\.formats) + [
            "chr", "chr1", "_chr", "_tmp", "-tmp", ".lock", "#", "XXsMAfVQ", ".gawk.", "chrUn_KI270742v1", "_", "-",
            ".", "~", "tmp", ".tmp", ".part", ".partial", ".temp",
            "sed", "epoch_001", "latest", "a", "Z9", ".a1B2c3", ".abcdef123456", ".abcdef1234567", "\n", "\u{7}", "é",
            "e\u{301}", "\u{301}", "\u{600}", "\u{212A}", " ", "/", "..", "🧬",
        ]
    // One in three begins as a whole valid name, so that valid names are met often enough.
    let stems = schema.types.map(\.name) + ["chr1", "chrX", "chrUn_1.v2", "epoch_001", "a.b-c"]
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
            ("meta_predictions", "chrUn_1.v2.parquet", "meta_predictions_chrUn_1.v2.parquet"),
            ("analysis_sequences", "HLA-A*01:01:01:01.tsv", "analysis_sequences_HLA-A*01:01:01:01.tsv"),
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
        "chr1.tsv/", "/", "a\0.tmp", "\u{FFFD}.tsv", "chrchr1.tsv", "chr1.v2.tsv", "chr1_backup.tsv", "training",
        "12345678.tsv",
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
            (".*", [".chr1.tsv", ".a", "..a", ".chr1.tsv.Xy12Zw", "...", ".\n"], ["chr1.tsv", ".", ".."]),
            ("*~", ["chr1.tsv~", "~"], ["~chr1.tsv"]),
            ("#*#", ["#chr1.tsv#", "##"], ["#chr1.tsv", "chr1.tsv#", "#"]),
            ("*.swp", ["chr1.tsv.swp"], ["chr1.swpx", "swp"]),
            ("*.swo", ["chr1.tsv.swo"], []),
            ("*.swx", ["chr1.tsv.swx"], []),
            ("*___jb_tmp___", ["chr1.tsv___jb_tmp___"], ["chr1.tsv__jb_tmp__"]),
            ("*___jb_old___", ["chr1.tsv___jb_old___"], ["___jb_old___1"]),
            ("sed??????", ["sedaB3xYz"], ["sedaB3xYzA1", "sedaB3xYz1", "Sedab3xYz", "sed......"]),
            (
                "*.gawk.??????", ["chr1.tsv.gawk.4SiDyH", "x.gawk.abcdef"],
                ["gawk.4SiDyH", "x.gawk.4SiDy", "x.gawk.4SiDyH1"]
            ),
            (
                "????????", ["XXsMAfVQ", "a1b2c3d4", "01234567"],
                ["XXsMAfV", "XXsMAfVQ1", "metadata", "ab_d1234", "é1b2c3d"]
            ),
            ("d2utmp*", ["d2utmpAbC123"], ["xd2utmp"]),
            ("tmp*", ["tmp", "tmpk2j3h4", "tmp_chr1.tsv"], ["tm", "atmp", "Tmp"]),
            ("*.tmp", ["chr1.tsv.tmp", "x.tmp", "\n.tmp", "\u{600}.tmp"], ["xtmp", "x.tmp2", "x.TMP"]),
            ("*.temp", ["chr1.tsv.temp", "x.temp"], ["xtemp", "x.tempo"]),
            ("*_tmp", ["chr1_tmp"], ["chr1_tmpx"]),
            ("*-tmp", ["chr1-tmp"], ["chr1-tmpx"]),
            ("*.tmp.*", ["chr1.tmp.tsv", "chr1.tsv.tmp.123"], ["chr1.tmpx.tsv"]),
            ("*.temp.*", ["chr1.temp.tsv"], ["chr1.tempx.tsv"]),
            ("*_tmp.*", ["chr1_tmp.tsv", "chr1_tmp.tsv.gz"], ["chr1_tmpx.tsv", "chr1_TMP.tsv"]),
            ("*-tmp.*", ["chr1-tmp.tsv"], ["chr1-tmpx.tsv"]),
            ("*.part", ["chr1.tsv.part", "x.part"], ["xpart", "x.parts"]),
            ("*.partial", ["chr1.tsv.partial", "x.partial"], ["xpartial", "x.partially"]),
            ("*.partial.*", ["chr1.partial.tsv"], ["chr1.partials.tsv"]),
            ("*_partial.*", ["chr1_partial.tsv"], ["chr1_partials.tsv"]),
            ("*.incomplete", ["model.incomplete"], ["incomplete"]),
            ("*.incomplete.*", ["chr1.incomplete.tsv"], ["chr1.incompletely.tsv"]),
            ("*_.gstmp", ["chr1.tsv_.gstmp"], ["chr1.tsv.gstmp"]),
            ("*.aria2", ["chr1.tsv.aria2"], ["chr1.aria22"]),
            ("*.aria2__temp", ["chr1.tsv.aria2__temp"], ["chr1.aria2__tempo"]),
            ("*.st", ["chr1.tsv.st"], ["st"]),
            ("*.crdownload", ["chr1.tsv.crdownload"], ["crdownload"]),
            ("*.download", ["chr1.tsv.download"], ["xdownload"]),
            ("*.filepart", ["chr1.tsv.filepart"], ["filepart"]),
            ("*.lock", ["chr1.tsv.lock"], ["chr1.locked", "lock"]),
            ("*.lck", ["chr1.tsv.lck"], ["lck"]),
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
        #expect(Set(rows.dropLast().map(\.kind)) == Set(TransientNames.builtIn.patterns.map(\.description)))
        // A valid name wins over the random suffix that it resembles.
        #expect(
            try type("nucleotide_scores").classify("nucleotide_scores.parquet")
                == .artifact(realName: "nucleotide_scores.parquet"))
        #expect(try type("meta_checkpoints").classify("a.pkl.keras") == .artifact(realName: "a.pkl.keras"))
        #expect(try type("meta_checkpoints").classify("a.pkl.keras1") == .transient)
    }

    /// A working name that keeps its extension never becomes an artifact, in any type.
    @Test func workingNamesThatKeepTheirExtension() throws {
        for type in schema.types {
            for format in type.formats {
                for stem in [
                    "chr1_tmp", "epoch_001.tmp", "tmp_chr1", "chr1.partial", "chr1-tmp", "\(type.name)_tmp",
                    "a_partial",
                ] {
                    #expect(type.classify(stem + format) == .transient, "\(type.name): \(stem)")
                    #expect(type.virtualName(forReal: stem + format) == nil)
                    guard type.naming != .free else { continue }
                    #expect(type.virtualName(forReal: type.name + "_" + stem + format) == nil)
                }
            }
        }
        // Words that results have in their names.
        for name in [
            "softmax_temp.json", "temperature.json", "part_1.json", "partial_dependence.json", "template.json",
        ] {
            #expect(try type("meta_metrics").classify(name) == .artifact(realName: name))
        }
    }

    @Test(arguments: [
        "chr1", "chr22", "chr01", "chrX", "chrY", "chrM", "chrMT", "chrZ", "chrW", "chr2L", "chr3R", "chr4", "chr2a",
        "chr7D", "chrXHet",
        "chr2LHet", "chrU", "chrUextra", "chrI", "chrII", "chrIV", "chrVIII", "chrXVI", "chrXXI", "chrEBV", "chrUn",
        "chrUn_KI270742v1",
        "chrUn_GL000220v1", "chrUn_KN707606v1_decoy", "chrUn_gl000211", "chr1_KI270706v1_random",
        "chr22_KI270928v1_alt",
        "chr1_ML143341v1_fix", "chr6_apd_hap1", "chr4_ctg9_hap1", "chr1_random", "chrY_KZ208923v1_fix", "chrX5",
        "chrPt", "chrC",
        "HLA-A*01:01:01:01", "HLA-DRB1*15:01:01:01", "HLA-C*04:09N", "HLA-DQA1*01:01:02",
    ])
    func namesOfAssemblies(_ name: String) throws {
        #expect(ChromosomeNames.assemblies.contains(name))
        let sequences = try type("analysis_sequences")
        #expect(sequences.classify(name + ".tsv") == .artifact(realName: "analysis_sequences_\(name).tsv"))
        #expect(sequences.virtualName(forReal: "analysis_sequences_\(name).tsv") == name + ".tsv")
        for damaged in [
            "chr" + name, name + "_", name + "_tmp", name + "_backup", name + " ", name + "/", "x" + name, name + "_1",
            name + ".bak",
        ]
        where !name.hasPrefix("chrUn") {
            #expect(!ChromosomeNames.assemblies.contains(damaged), "\(damaged)")
        }
    }

    @Test(arguments: [
        "", "chr", "chr_", "chrchr1", "Chr1", "1", "chr1_", "chr1__random", "chr1_random_x", "chrIIX", "chrIIII",
        "chrXXXX", "chrVV",
        "chromatin", "chrome", "chrUn_", "chrUn_backup", "chrUnx", "chr-1", "chr1-2", "chr1234567890", "chr1LL",
        "chr6_apd_hap", "chrX123",
        "HLA-", "HLA-A", "HLA-A*", "HLA-*01", "HLA-A*01:", "HLA-A*01::01", "HLA-A*x", "HLA-A*01*02", "hla-A*01",
        "chr\u{0661}", "chrHet",
    ])
    func namesThatNoAssemblyHas(_ name: String) { #expect(!ChromosomeNames.assemblies.contains(name)) }

    @Test func chromosomesAreWhatTheSchemaSays() throws {
        let base = TypeDefinition(name: "a", layers: [.base], formats: [".tsv"], naming: .chromosome)
        func inside(_ chromosomes: ChromosomeNames) throws -> TypeDefinition {
            try #require(ArtifactSchema(types: [base], chromosomes: chromosomes).type(named: "a"))
        }
        let listed = try inside(.names(["NC_000001.11", "1", "partial"]))
        #expect(listed.classify("NC_000001.11.tsv") == .artifact(realName: "a_NC_000001.11.tsv"))
        #expect(listed.virtualName(forReal: "a_1.tsv") == "1.tsv")
        #expect(listed.classify("chr1.tsv") == .invalid(.notOfType("a")))
        #expect(listed.classify("NC_000001.11_tmp.tsv") == .transient)
        // Its real file would be taken for a temporary one.
        #expect(listed.classify("partial.tsv") == .invalid(.notOfType("a")))
        #expect(listed.nameHint == "a.tsv or <chromosome>.tsv")
        let scaffolds = try inside(.pattern(try #require(NamePattern("scaffold_*"))))
        #expect(scaffolds.classify("scaffold_17.tsv") == .artifact(realName: "a_scaffold_17.tsv"))
        #expect(scaffolds.classify("scaffold_.tsv") == .artifact(realName: "a_scaffold_.tsv"))
        for name in ["scaffold.tsv", "scaffold_é.tsv", "scaffold_ 1.tsv", "scaffold_\n.tsv"] {
            #expect(scaffolds.classify(name) == .invalid(.notOfType("a")), "\(name)")
        }
        #expect(scaffolds.nameHint == "a.tsv or scaffold_*.tsv")
        #expect(Place.typed(scaffolds).names?.example == "scaffold_1.tsv")
    }

    @Test func patterns() throws {
        let rows: [(String, [String], [String])] = [
            ("*", ["", "a", "é"], []), ("**", ["", "ab"], []), ("a*b", ["ab", "axb", "abab"], ["a", "abc"]),
            ("*a*b*", ["ab", "xaybz"], ["ba"]),
            ("a?c", ["abc", "a1c"], ["ac", "a.c", "abbc"]), ("*ab", ["ab", "aab", "abab"], ["aba"]),
            ("?*", ["a", "1x."], ["", ".a"]),
            ("a*a*a", ["aaa", "abaca"], ["aa"]),
        ]
        for (text, fits, others) in rows {
            let pattern = try #require(NamePattern(text))
            let names = TransientNames([pattern])
            for name in fits { #expect(names.pattern(of: name) == pattern, "\(text): \(name)") }
            for name in others { #expect(names.pattern(of: name) == nil, "\(text): \(name)") }
        }
        for text in ["", "a b", "a/b", "é", "a\"", "a\\b", "a\n", String(repeating: "a", count: 256)] {
            #expect(NamePattern(text) == nil)
        }
    }

    /// What a pattern says is what the plainest way to try it says, and what the table of all patterns says quickly.
    @Test func patternsOfAllKinds() throws {
        func fits(_ name: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
            guard let wanted = pattern.first else { return name.isEmpty }
            if wanted == UInt8(ascii: "*") {
                return fits(name, pattern.dropFirst()) || (!name.isEmpty && fits(name.dropFirst(), pattern))
            }
            guard let byte = name.first else { return false }
            return (wanted == UInt8(ascii: "?") ? "abA1".utf8.contains(byte) : wanted == byte)
                && fits(name.dropFirst(), pattern.dropFirst())
        }
        let type = TypeDefinition(name: "zz", layers: [.base], formats: [".zz"])
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        func text(_ pieces: [String], _ generator: inout SplitMix64) -> String {
            (0..<Int.random(in: 0...9, using: &generator)).map { _ in pieces.randomElement(using: &generator) ?? "" }
                .joined()
        }
        for _ in 0..<20_000 {
            let name = text(["a", "b", ".", "_", "é", "*", "?", "A", "1"], &generator)
            let patterns = (0..<3).compactMap { _ in NamePattern(text(["a", "b", ".", "_", "*", "?"], &generator)) }
            let expected = patterns.filter { pattern in
                let text = pattern.description
                let isWord = text.allSatisfy { $0 == "?" } && name.utf8.allSatisfy { $0 == 0x61 || $0 == 0x62 }
                return !isWord && fits(Array(name.utf8)[...], Array(text.utf8)[...])
            }
            let names = TransientNames(patterns)
            try #require(names.pattern(of: name) == expected.first, "seed \(seed): \(name) \(patterns)")
            guard !["", ".", ".."].contains(name),
                let schema = try? ArtifactSchema(types: [type], transientNames: names),
                let type = schema.type(named: type.name)
            else { continue }
            try #require((type.classify(name) == .transient) == !expected.isEmpty, "seed \(seed): \(name) \(patterns)")
        }
    }

    /// The quick way that lookups take says what trying each pattern says.
    @Test func theQuickWayIsThePatterns() throws {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        let free = TypeDefinition(name: "zz", layers: [.base], formats: [".zz"])
        for _ in 0..<2000 {
            let name = randomName(&generator)
            guard !name.utf8.contains(UInt8(ascii: "/")), !["", ".", ".."].contains(name) else { continue }
            let isTransient = TransientNames.builtIn.pattern(of: name) != nil
            try #require((free.classify(name) == .transient) == isTransient, "seed \(seed): \(name)")
        }
    }

    @Test func theLimitIs255BytesOnBothSides() throws {
        let sequences = try type("analysis_sequences")  // The real name is 19 bytes longer.
        func chromosome(_ length: Int) -> String { "chrUn_" + String(repeating: "1", count: length - 10) + ".tsv" }
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
            try type("meta_metrics").nameHint
                == "<name>(.json|.jsonl), where <name> is letters, digits, '.', '_', '-', '='")
        #expect(try type("training_data").nameHint.contains("(.parquet|.tsv|.npz|.npy)"))
    }
}
