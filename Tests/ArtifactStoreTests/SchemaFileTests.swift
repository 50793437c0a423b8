import ArtifactFormats
import Artifacts
import Glibc
import Testing

@testable import ArtifactStore

@Suite struct SchemaFileTests {
    @Test func theDefaultIsTheBuiltInSchema() throws {
        #expect(try SchemaFile.parse(SchemaFile.defaultText, file: "schema.yaml") == .builtIn)
        for line in SchemaFile.defaultText.split(separator: "\n") { #expect(line.utf8.count <= 150) }
    }

    @Test func keepsNamesThatYAMLReadsAsSomethingElse() throws {
        let schema = try ArtifactSchema(types: [
            TypeDefinition(name: "no", layers: [.base], formats: [".tsv"], directory: "1e3"),
            TypeDefinition(name: "true", layers: [.meta], formats: [".7"], directory: "null", isChecked: false),
        ])
        #expect(try SchemaFile.parse(SchemaFile.text(of: schema), file: "f") == schema)
    }

    @Test func keepsTheKey() throws {
        #expect(ArtifactSchema.builtIn.signingKey == nil)
        for path in ["/etc/lab keys/#1.pem", "keys/lab.pem", "none.pem"] {
            let schema = try ArtifactSchema(types: ArtifactSchema.builtIn.types, signingKey: path)
            let read = try SchemaFile.parse(SchemaFile.text(of: schema), file: "f")
            #expect(read == schema && read.signingKey == path, "\(path)")
        }
        for path in ["", "../lab.pem", "/a/../b", "keys/", "a\nb", "a\"b", "a\\b"] {
            #expect(throws: SchemaError.self, "\(path)") {
                try ArtifactSchema(types: ArtifactSchema.builtIn.types, signingKey: path)
            }
        }
        #expect(throws: StoreError.self) {
            try SchemaFile.parse("version: 1\nsigning_key: [a]\ntypes: {}\n", file: "f")
        }
    }

    @Test func keepsWhatIsSaidOfHosts() throws {
        #expect(ArtifactSchema.builtIn.hosts == .auto && ArtifactSchema.builtIn.cacheTime == 5)
        for hosts in StoreHosts.allCases {
            for time in [0, 1, 3600] {
                let schema = try ArtifactSchema(types: ArtifactSchema.builtIn.types, hosts: hosts, cacheTime: time)
                let read = try SchemaFile.parse(SchemaFile.text(of: schema), file: "f")
                #expect(read == schema && (read.hosts, read.cacheTime) == (hosts, time))
            }
        }
        for time in [-1, 3601, .min, .max] {
            #expect(throws: SchemaError.self) {
                try ArtifactSchema(types: ArtifactSchema.builtIn.types, cacheTime: time)
            }
        }
    }

    @Test func keepsWhatIsSaidOfTables() throws {
        let options = TableOptions(comment: UInt8(ascii: "#"), hasHeader: false, quotes: .csv)
        let type = TypeDefinition(name: "variants", layers: [.base], formats: [".tsv.gz", ".tsv"], table: options)
        let schema = try ArtifactSchema(types: [type])
        let text = SchemaFile.text(of: schema)
        #expect(text.contains("    comment: \"#\"\n    header: false\n    quotes: csv\n"))
        let read = try SchemaFile.parse(text, file: "f")
        #expect(read == schema)
        let form = TableForm(comment: .hash, hasHeader: false, hasQuotes: true)
        #expect(read.types.first?.check(ofFormat: ".tsv") == .table(form))
        #expect(read.types.first?.check(ofFormat: ".json") == .json)
        for byte in TableOptions.comments { #expect(TableForm.Comment(rawValue: byte) != nil) }
        #expect(TableOptions.comments.count == TableForm.Comment.allCases.count)
    }

    @Test(arguments: [
        ("version: 1\ntypes:\n  a:\n    layers: [base]\n    formats: [.tsv]\n    colour: red\n", 6, "colour"),
        ("version: 1\nsettling: 5\ntypes: {}\n", 2, "settling"),
        ("version: 2\ntypes: {}\n", 1, "version 2"),
        ("version: 1\ntypes:\n  a:\n    layers: [top]\n    formats: [.tsv]\n", 4, "top"),
        ("version: 1\ntypes:\n  a:\n    layers: base\n    formats: [.tsv]\n", 4, "list"),
        ("version: 1\ntypes:\n  a:\n    layers: [base]\n    formats: [.tsv]\n    names: some\n", 6, "some"),
        ("version: 1\ntypes:\n  a:\n    layers: [base]\n    formats: [.tsv]\n    checks: perhaps\n", 6, "checks"),
        (
            "version: 1\ntypes:\n  a:\n    layers: [base]\n    formats: [.tsv]\n    comment: \"//\"\n", 6,
            "comment is one of"
        ),
        (
            "version: 1\ntypes:\n  a:\n    layers: [base]\n    formats: [.tsv]\n    header: 0\n", 6,
            "header is true or false"
        ),
        (
            "version: 1\ntypes:\n  a:\n    layers: [base]\n    formats: [.tsv]\n    quotes: yes\n", 6,
            "quotes is none or csv"
        ),
        ("version: 1\ntransient_seconds: soon\ntypes: {}\n", 2, "whole number"),
        ("version: 1\ntypes:\n  a:\n    layers: [base]\n    formats: [tsv]\n", 3, "extension"),
        ("version: 1\ntypes:\n  a: &x\n    layers: [base]\n", 3, "anchors"),
        ("version: 1\ntypes:\n  a: [\n", 4, ""),
        ("version: 1\ntypes:\n  a: [\"x\", *x]\n", 3, "anchors"),
        ("version: 1\ntypes:\n  a: [\"x\n  \", *x, \"\"]\n", 4, "anchors"),
        ("version: 1\ntypes:\n  a: [\"\\\"\", *x, \"\"]\n", 3, "anchors"),
        ("version: 1\ntransient_names: \"*.x\"\ntypes: {}\n", 2, "list"),
        ("version: 1\nenvironment: HOME\ntypes: {}\n", 2, "list"),
        ("version: 1\nenvironment:\n  - A\n  - \"A B\"\ntypes: {}\n", 4, "a variable's name"),
        ("version: 1\ntransient_names:\n  - \"*.x\"\n  - \"a/b\"\ntypes: {}\n", 4, "no pattern"),
        (
            "version: 1\ntransient_names: [\"*\"]\ntypes:\n  a:\n    layers: [base]\n    formats: [.tsv]\n", 4,
            "temporary"
        ),
        ("version: 1\nhosts: many\ntypes: {}\n", 2, "auto, one and several"),
        ("version: 1\nhosts: 2\ntypes: {}\n", 2, "'2' is no number of hosts"),
        ("version: 1\nhosts: [several]\ntypes: {}\n", 2, "one word"),
        ("version: 1\nhosts: several\ncache: -1\ntypes: {}\n", 3, "0 to 3600"),
        ("version: 1\ncache: 3601\ntypes: {}\n", 2, "0 to 3600"),
        ("version: 1\ncache: 5s\ntypes: {}\n", 2, "whole number"),
        ("version: 1\ncache: 99999999999999999999\ntypes: {}\n", 2, "whole number"),
        ("version: 1\nkeep_versions: some\ntypes: {}\n", 2, "{last: N, within: SPAN}"),
        ("version: 1\nkeep_versions: {}\ntypes: {}\n", 2, "{last: N, within: SPAN}"),
        ("version: 1\nkeep_versions: {last: 0}\ntypes: {}\n", 2, "N from 1"),
        ("version: 1\nkeep_versions: {last: 1, within: 0d}\ntypes: {}\n", 2, "such as 90d"),
        ("version: 1\nkeep_versions: {within: 90}\ntypes: {}\n", 2, "such as 90d"),
        ("version: 1\nkeep_versions: {latest: 3}\ntypes: {}\n", 2, "{last: N, within: SPAN}"),
        ("version: 1\ntypes:\n  a:\n    layers: [base]\n    keep_versions: {last: x}\n", 5, "whole number"),
        ("version: 1\nchromosomes: {}\ntypes: {}\n", 2, ".fai"),
        ("version: 1\npublish_mode: 0644\ntypes: {}\n", 2, "leave to write"),
        ("version: 1\npublish_mode: 444\ntypes: {}\n", 2, "octal"),
        ("version: 1\npublish_mode: 0044\ntypes: {}\n", 2, "octal"),
        ("version: 1\nchromosomes: [\"a/b\"]\ntypes: {}\n", 2, "cannot be the name"),
        ("version: 1\nchromosomes: \"a b\"\ntypes: {}\n", 2, "no pattern"),
        ("version: 1\nchromosomes: /nowhere/genome.fai\ntypes: {}\n", 2, "cannot be read"),
        ("version: 1\ncheck_at_close: 5\ntypes: {}\n", 2, "with its unit"),
        ("version: 1\ncheck_at_close: MiB\ntypes: {}\n", 2, "with its unit"),
        ("version: 1\ncheck_at_close: -1 MiB\ntypes: {}\n", 2, "with its unit"),
        ("version: 1\ncheck_at_close: 1 TB\ntypes: {}\n", 2, "with its unit"),
        ("version: 1\ncheck_at_close: 99999999999999999999 B\ntypes: {}\n", 2, "with its unit"),
        (
            "version: 1\ntypes:\n  a:\n    layers: [base]\n    formats: [.tsv]\n    names: free\n"
                + "  b:\n    layers: [base]\n    formats: [.tsv]\n", 7, "same real files"
        ),
    ])
    func namesTheLine(text: String, line: Int, words: String) {
        do throws(StoreError) {
            _ = try SchemaFile.parse(text, file: "/s/schema.yaml")
            Issue.record("accepted")
        } catch {
            guard case .schema(_, let found, let problem) = error else {
                Issue.record("another error: \(error)")
                return
            }
            #expect(found == line, "\(error)")
            #expect(problem.contains(words))
            #expect(error.description.contains("/s/schema.yaml"))
        }
    }

    @Test(
        arguments: [
            ("0", 0), ("1 B", 1), ("7KiB", 7 << 10), ("256 MiB", 256 << 20), ("\"1024 GiB\"", 1 << 40), ("0 B", 0),
        ] as [(String, Int64)])
    func sizesHaveUnits(text: String, size: Int64) throws {
        let schema = try SchemaFile.parse("version: 1\ncheck_at_close: \(text)\ntypes: {}\n", file: "f")
        #expect(schema.checkAtClose == size)
        let whole = try ArtifactSchema(types: ArtifactSchema.builtIn.types, checkAtClose: size)
        #expect(try SchemaFile.parse(SchemaFile.text(of: whole), file: "f") == whole)
        for text in ["9223372036854775807 GiB", "9223372036854775807 B", "1025 GiB"] {
            #expect(throws: StoreError.self) {
                try SchemaFile.parse("version: 1\ncheck_at_close: \(text)\ntypes: {}\n", file: "f")
            }
        }
    }

    @Test func refusesWhatIsTwiceEmptyOrHuge() {
        let twice = "version: 1\nversion: 1\ntypes: {}\n"
        let texts = [
            twice, "", "# nothing\n", "[]", "version: 1\ntypes: " + String(repeating: "[", count: 20_000),
            "#" + String(repeating: "x", count: 300_000), "version: 1\n", "version: 1\n---\nversion: 1\n",
        ]
        for text in texts {
            #expect(throws: StoreError.self, "\(text.prefix(40))") { try SchemaFile.parse(text, file: "f") }
        }
    }

    /// Editors of another system begin files with a byte order mark.
    @Test func aByteOrderMarkIsPassedOver() throws {
        let text = "\u{feff}version: 1\ntypes:\n  scores:\n    layers: [base]\n    formats: [.tsv]\n"
        #expect(try SchemaFile.parse(text, file: "schema.yaml").types.map(\.name) == ["scores"])
        #expect(throws: StoreError.self) {
            try SchemaFile.parse("version: 1\n\u{feff}types: {}\n", file: "schema.yaml")
        }
    }

    @Test func namesOfAStoreAreData() throws {
        let types = "types:\n  a:\n    layers: [base]\n    formats: [.tsv]\n    names: chromosome\n"
        let schema = try SchemaFile.parse(
            "version: 1\ntransient_names: [\"*.mine\", 'x?*']  # don't\nchromosomes: \"scaffold_*\"\n" + types,
            file: "f")
        let type = try #require(schema.type(named: "a"))
        #expect(type.classify("chr1.mine") == .transient && type.classify("x1.tsv") == .transient)
        #expect(type.classify("scaffold_1.tsv") == .artifact(realName: "a_scaffold_1.tsv"))
        #expect(type.classify("chr1.tmp") == .invalid(.notOfType("a")))
        #expect(try SchemaFile.parse(SchemaFile.text(of: schema), file: "f") == schema)
        for mode in ["writer", "0444", "0440"] {
            let schema = try SchemaFile.parse("version: 1\npublish_mode: \(mode)\n" + types, file: "f")
            #expect(schema.publishMode == (mode == "writer" ? nil : mode == "0444" ? 0o444 : 0o440))
            #expect(try SchemaFile.parse(SchemaFile.text(of: schema), file: "f") == schema)
        }
        for (text, names) in [("[]", []), ("[MINE, 'X_*']", ["MINE", "X_1"])] {
            let schema = try SchemaFile.parse("version: 1\nenvironment: \(text)\n" + types, file: "f")
            for name in ["MINE", "X_1", "MINES", "HOME", "SLURM_JOB_ID"] {
                #expect(schema.environment.contains(name) == names.contains(name), "\(name)")
            }
            #expect(try SchemaFile.parse(SchemaFile.text(of: schema), file: "f") == schema)
        }
        #expect(try SchemaFile.parse("version: 1\n" + types, file: "f").environment.contains("SLURM_JOB_ID"))
        for (text, last, within) in [
            ("{last: 3}", 3, nil), ("{within: 90d}", nil, 7_776_000), ("{last: 1, within: 90s}", 1, 90),
        ] as [(String, Int?, Int64?)] {
            let rule = try #require(VersionRetention(last: last, within: within))
            let whole = try SchemaFile.parse("version: 1\nkeep_versions: \(text)\n" + types, file: "f")
            #expect(whole.keepVersions == rule && whole.types.map(whole.retention) == [rule])
            #expect(try SchemaFile.parse(SchemaFile.text(of: whole), file: "f") == whole)
            for all in ["", "keep_versions: all\n"] {
                let one = try SchemaFile.parse("version: 1\n" + all + types + "    keep_versions: \(text)\n", file: "f")
                #expect(one.keepVersions == .all && one.types.map(one.retention) == [rule])
                #expect(try SchemaFile.parse(SchemaFile.text(of: one), file: "f") == one)
            }
        }
        for chromosomes in ["assemblies", "[\"HLA-A*01:01\", NC_1.1]", "[]"] {
            let schema = try SchemaFile.parse("version: 1\nchromosomes: \(chromosomes)\n" + types, file: "f")
            #expect(try SchemaFile.parse(SchemaFile.text(of: schema), file: "f") == schema)
        }
    }

    /// The index is read once; readers of the mount have the names.
    @Test func chromosomesOfAnIndex() throws {
        let directory = try TemporaryDirectory()
        let index = directory.path + "/genome.fai"
        func write(_ text: String) throws {
            let file = try #require(fopen(index, "w"))
            fputs(text, file)
            fclose(file)
        }
        let text = "version: 1\nchromosomes: \(index)\ntypes: {}\n"
        try write("NC_000001.11\t248956422\t112\t70\t71\nHLA-A*01:01\t3503\t3\t60\t61\n")
        let schema = try SchemaFile.parse(text, file: "f")
        #expect(schema.chromosomes == .names(["NC_000001.11", "HLA-A*01:01"]))
        #expect(
            try SchemaFile.parse(text.replacing(index, with: "genome.fai"), file: directory.path + "/schema.yaml")
                == schema)
        let named = SchemaFile.text(of: schema)
        #expect(!named.contains("genome.fai:") && named.contains("NC_000001.11"))
        for bad in ["", "root:x:0:0\n", "a\tb\tc\td\te\n", "a\t1\t2\t3\n", "a/b\t1\t2\t3\t4\n", "a\t1\t2\t3\t-4\n"] {
            try write(bad)
            #expect(throws: StoreError.self, "\(bad)") { try SchemaFile.parse(text, file: "f") }
        }
    }
}
