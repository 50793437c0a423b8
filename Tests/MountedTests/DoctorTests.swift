import Glibc
import SystemPackage
import TestSupport
import Testing

extension MountedTests {
    /// `artifactfs doctor` finds what is made to be wrong, and nothing else.
    @Suite struct DoctorTests {
        @Test func whatIsWrongIsFound() throws {
            let mount = try Mount()
            for name in ["chr1", "chr2", "chr3", "chr4"] {
                try write("a\tb\n1\t2\n", to: mount.production("base/splice_errors/\(name).tsv"))
            }
            #expect(mount.settle())
            func doctor(_ words: String...) throws -> Outcome {
                try run([try Mount.binary(), "doctor", mount.store] + words)
            }
            let well = try doctor()
            #expect(well.succeeded && well.output.hasPrefix("all is as it should be"), "\(well)")
            let script = """
                cd "$0"
                chmod u+w base_layer/splice_errors_chr1.tsv
                chmod u+w base_layer/splice_errors_chr2.tsv && echo more >> base_layer/splice_errors_chr2.tsv && chmod a-w base_layer/splice_errors_chr2.tsv
                rm -f base_layer/splice_errors_chr3.tsv
                printf 'a\\tb\\n1\\t2\\n' > base_layer/analysis_sequences_chr1.tsv; echo x > base_layer/odd_chr1.bed
                session=$(ls base_layer/dev | head -1); mkdir -p base_layer/dev/$session && ln -s gone.pt base_layer/dev/$session/last.pt
                mkdir -p .artifactfs/staging/dead && : > .artifactfs/staging/dead/.lock && echo x > .artifactfs/staging/dead/a-1-production%2Fbase%2Fx
                """
            try write("x", to: mount.path("development/current/logs/x.log"))
            #expect(try run(["bash", "-ec", script, mount.store]).succeeded)
            let found = try doctor("--json")
            let lines = found.output.split(separator: "\n").map(String.init)
            #expect(found.status == 1 && lines.count == 7, "\(found)")
            for (trouble, path, remedy) in [
                ("stray", "base_layer/odd_chr1.bed", "odd: {layers: [base]"),
                ("unrecorded", "base_layer/analysis_sequences_chr1.tsv", "artifactfs adopt \(mount.store)"),
                (
                    "writable", "base_layer/splice_errors_chr1.tsv",
                    "chmod a-w \(mount.store)/base_layer/splice_errors_chr1.tsv"
                ),
                ("resized", "base_layer/splice_errors_chr2.tsv", "artifactfs history"),
                ("gone", "production/base/splice_errors/chr3.tsv", "artifactfs history"),
                ("left", ".artifactfs/staging/dead", "artifactfs mount"), ("broken-link", "/last.pt", "rm "),
            ] {
                let line = lines.first { $0.contains("\"trouble\":\"\(trouble)\"") }
                #expect(line?.contains(path) == true && line?.contains(remedy) == true, "\(trouble): \(found)")
            }
            let page = try doctor()
            #expect(
                page.status == 1
                    && page.output.contains(
                        "1 sealed artifact can be written to:\n  base_layer/splice_errors_chr1.tsv\n  mend: chmod a-w "),
                "\(page)")
            // The commands mend what they say.
            let mend = try run([
                "bash", "-c",
                #""$0" doctor "$1" --json | grep -E '"(writable|broken-link)"' | python3 -c 'import json,sys; [print(json.loads(l)["remedy"]) for l in sys.stdin]' | bash"#,
                try Mount.binary(), mount.store,
            ])
            #expect(mend.succeeded, "\(mend)")
            let rest = try doctor("--json")
            #expect(rest.output.split(separator: "\n").count == 5, "\(rest)")
        }
    }
}
