import Glibc
import SystemPackage
import TestSupport
import Testing

extension MountedTests {
    /// `artifactfs ls`, by what a person sees.
    @Suite struct ListTests {
        static let onATerminal = """
            import fcntl, os, pty, struct, sys, termios
            (child, terminal) = pty.fork()
            if not child: os.execv(sys.argv[1], sys.argv[1:])
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            text = b""
            try:
                while part := os.read(terminal, 65536): text += part
            except OSError: pass
            sys.stdout.write(text.decode().replace("\\r\\n", "\\n"))
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            """

        private func production(_ mount: Mount) throws {
            let script = """
                table() { printf 'a\\tb\\n1\\t2\\n' > "$1"; }
                P=production/base
                for name in $(seq 22) X Y; do table $P/analysis_sequences/chr$name.tsv; done
                for name in 1 2 10 X; do table $P/splice_errors/chr$name.tsv; done
                table $P/gene_manifest/gene_manifest.tsv; echo '{}' > production/meta/meta_metrics/m.json
                bash -c 'exec 3> "$0"; echo a >&3; kill -9 $$' $P/splice_errors/chr7.tsv 2> /dev/null
                "$0" wait . 2> /dev/null; true
                """
            let outcome = try run(["bash", "-c", script, try Mount.binary()], directory: mount.root)
            #expect(outcome.succeeded, "\(outcome)")
        }

        @Test(arguments: MountVariant.both) func productionAtAGlance(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try production(mount)
            let writing = try openFile(mount.production("base/splice_errors/chr9.tsv"), O_WRONLY | O_CREAT | O_EXCL)
            try writeAll(writing, table)
            let page = try python(Self.onATerminal, [try Mount.binary(), "ls", mount.root])
            #expect(page.succeeded, "\(page)")
            let expected = """
                production/base
                  chr                  1  2  3  4  5  6  7  8  9  10 11 12 13 14 15 16 17 18 19
                  analysis_sequences   +  +  +  +  +  +  +  +  +  +  +  +  +  +  +  +  +  +  +
                  splice_errors        +  +  -  -  -  -  k  -  w  +  -  -  -  -  -  -  -  -  -
                                       20 21 22 X  Y
                  analysis_sequences   +  +  +  +  +
                  splice_errors        -  -  -  +  -
                  nucleotide_scores    nothing
                  gene_manifest        there
                  training_data        nothing
                  validation_data      nothing

                production/meta
                  meta_predictions     nothing
                  meta_checkpoints     nothing
                  meta_metrics         1 artifact
                  training_data        nothing
                  validation_data      nothing
                  experiment_metadata  nothing
                  experiment_plots     nothing

                + there   - missing   w being written   k kept back

                """
            #expect(page.output == expected, "\(page.output)")
            try closeFile(writing)
            #expect(mount.settle())
            let json = try run(
                [try Mount.binary(), "ls", "--json", "production/base/splice_errors"], directory: mount.root)
            #expect(
                json.output.contains(#""there":["chr1","chr2","chr9","chr10","chrX"],"writing":[],"kept":["chr7"]"#),
                "\(json)")
            // In the store's directory too.
            for place in [mount.root, mount.store] {
                let lines = try run([try Mount.binary(), "ls", place])
                #expect(lines.succeeded, "\(lines)")
                let all = Set(lines.output.split(separator: "\n"))
                for line in [
                    "base/analysis_sequences\tchrY\tthere", "base/splice_errors\tchr7\tkept",
                    "base/splice_errors\tchr8\tmissing", "base/gene_manifest\tgene_manifest\tthere",
                    "meta/meta_metrics\tm\tthere",
                ] { #expect(all.contains("production/" + line), "\(line) of \(lines.output)") }
            }
        }

        /// Where the ledgers are so long that directories are not read, a person sees the same: what was removed at its real path is missing.
        @Test func ofVeryManyTheCatalogTells() throws {
            let mount = try Mount()
            try production(mount)
            func pages() throws -> [String] {
                try [mount.root, mount.store].map { place in
                    let page = try python(Self.onATerminal, [try Mount.binary(), "ls", place])
                    #expect(page.succeeded, "\(page)")
                    return page.output
                }
            }
            let before = try pages()
            let ledger = try #require(
                try names(in: mount.store + "/.artifactfs/ledger").first { $0.hasSuffix(".jsonl") })
            let later = #"{"seq":1,"prev":"","time":"","event":"of-a-later-version","text":""#
            let filled = try run([
                "python3", "-c",
                "import sys; open(sys.argv[1], 'a').write((sys.argv[2] + 'x' * (1 << 20) + '\"}\\n') * 17)",
                mount.store + "/.artifactfs/ledger/" + ledger, later,
            ])
            #expect(filled.succeeded, "\(filled)")
            #expect(try run([try Mount.binary(), "find", "--store", mount.store]).succeeded)
            let counted = try pages()
            #expect(counted == before, "\(counted)")
            unlink(mount.store + "/base_layer/analysis_sequences_chr10.tsv")
            let writing = try openFile(mount.production("base/splice_errors/chr9.tsv"), O_WRONLY | O_CREAT | O_EXCL)
            try writeAll(writing, table)
            let sequences = "analysis_sequences   +  +  +  +  +  +  +  +  +  -  +"
            let areMissing = try eventually { try pages().allSatisfy { $0.contains(sequences) } }
            #expect(areMissing)
            let after = try pages()[0]
            #expect(after.contains("splice_errors        +  +  -  -  -  -  k  -  w  +"), "\(after)")
            let listed = try run([try Mount.binary(), "ls", "--missing", mount.store])
            #expect(listed.output.contains("analysis_sequences/chr10.tsv\n"), "\(listed)")
            try closeFile(writing)
        }

        @Test func whatIsMissing() throws {
            let mount = try Mount()
            try production(mount)
            func missing(_ place: String) throws -> (lines: [Substring], status: Int32) {
                let outcome = try run([try Mount.binary(), "ls", "--missing", place], directory: mount.root)
                return (outcome.output.split(separator: "\n"), outcome.status)
            }
            let errors = try missing("production/base/splice_errors")
            #expect(errors.status == 1 && errors.lines.count == 20)
            #expect(errors.lines.contains("production/base/splice_errors/chr7.tsv"), "which was kept back")
            #expect(try missing(".") == errors, "of what there is nothing nobody misses")
            #expect(try missing("production/base/analysis_sequences") == ([], 0))
            #expect(try missing("production/base/nucleotide_scores").lines.count == 24, "but who asks for it")
            #expect(try missing("production/base/validation_data").status == 1)
            for (place, status) in [("development", 2), ("production/base/splice_errors/chr1.tsv", 2), ("/", 3)]
                as [(String, Int32)]
            {
                #expect(try missing(place).status == status, "\(place)")
            }
        }
    }
}
