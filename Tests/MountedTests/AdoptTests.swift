import Glibc
import SystemPackage
import TestSupport
import Testing

extension MountedTests {
    /// `artifactfs adopt`: files that were there before any record knew them.
    @Suite struct AdoptTests {
        private func oldDirectory() throws -> TemporaryDirectory {
            let directory = try TemporaryDirectory()
            let script = """
                mkdir -p base_layer meta_layer/metrics meta_layer/extra && cd base_layer
                for c in 1 2 X; do printf 'a\\tb\\n1\\t2\\n' > analysis_sequences_chr$c.tsv; printf 'x\\n' > odd_one_chr$c.bed; done
                printf 'a\\tb\\n1\\n' > splice_errors_chr1.tsv; : > splice_errors_chr2.tsv; printf 'a\\tb\\n1\\t2\\n' > gene_manifest.tsv
                ln gene_manifest.tsv ../linked; echo PDF > report.pdf; touch analysis_sequences_chr3.tsv.tmp
                echo '{"auc": 0.9}' > ../meta_layer/metrics/m.json; echo x > ../meta_layer/extra/model.onnx; ln -s / link.tsv
                chmod 640 analysis_sequences_chr1.tsv
                """
            #expect(try run(["bash", "-ec", script], directory: directory.path).succeeded)
            return directory
        }

        private func artifactfs(_ words: String..., user: User? = nil) throws -> Outcome {
            try run([try Mount.binary()] + words, user: user)
        }

        private func listing(_ path: String) throws -> String {
            try run(["bash", "-c", "cd \(path)/base_layer && stat -c '%n %a %s %y' * ../meta_layer/*/*"]).output
        }

        @Test func whatWasThereIsTakenUp() throws {
            let directory = try oldDirectory()
            let store = directory.path
            let made = try artifactfs("init", store)
            #expect(
                made.output.contains("files were there: 7 have names"), "\(made)")
            let before = try listing(store)
            let told = try artifactfs("adopt", "--dry-run", store)
            #expect(
                told.succeeded
                    && told.output.contains(
                        "base_layer/analysis_sequences_chrX.tsv: would be production/base/analysis_sequences/chrX.tsv (8 bytes)"
                    ), "\(told)")
            for line in [
                "  odd_one: {layers: [base], formats: [\".bed\"], directory: \".\", names: chromosome}",
                "  report: {layers: [base], formats: [\".pdf\"], directory: \".\", names: whole}",
                "  extra: {layers: [meta], formats: [\".onnx\"], directory: \"extra\", names: free}",
                "  base_layer/link.tsv",
            ] { #expect(told.output.contains("\n" + line), "\(told)") }
            #expect(!told.output.contains(".tmp") && !told.output.contains("linked:"))
            #expect(try listing(store) == before, "nothing is done")

            let adopted = try artifactfs("adopt", store)
            #expect(adopted.status == 1 && adopted.output.hasPrefix("adopted 4 files, refused 3\n"), "\(adopted)")
            for (name, reason) in [
                ("splice_errors_chr1", "line 2"), ("splice_errors_chr2", "empty"), ("gene_manifest", "other names"),
            ] {
                let line = adopted.errors.split(separator: "\n").first { $0.contains(name) }
                #expect(line?.contains(reason) == true, "\(adopted)")
            }
            let after = try listing(store)
            #expect(
                after.contains("analysis_sequences_chr1.tsv 440 8") && after.contains("splice_errors_chr1.tsv 644"),
                "\(after)")
            #expect(after.contains("m.json 444"), "\(after)")
            #expect(
                after.replacing(" 440 ", with: " 640 ").replacing(" 444 ", with: " 644 ") == before,
                "bytes and times are as they were")

            let found = try artifactfs("find", "--store", store, "--columns", "path,rows,user", "--sort", "path")
            #expect(
                found.output == ["chr1", "chr2", "chrX"].map { "production/base/analysis_sequences/\($0).tsv\t1\t\n" }
                    .joined() + "production/meta/meta_metrics/m.json\t\t\n", "\(found)")
            #expect(try artifactfs("find", "--store", store, "metric.auc = 0.9").succeeded)
            // Again: what has a record is not touched.
            let again = try artifactfs("adopt", store)
            #expect(again.output.hasPrefix("adopted 0 files, refused 3\n") && again.status == 1, "\(again)")

            // On a mount it is as sealed as anything, with its record; and the lines for the schema hold.
            let schema = store + "/.artifactfs/schema.yaml"
            let lines = told.output.split(separator: "\n").filter { $0.contains(": {layers:") }.joined(separator: "\n")
            try write(try contents(schema).replacing("\ntypes:\n", with: "\ntypes:\n" + lines + "\n"), to: schema)
            let mount = try Mount(store: store)
            #expect(try run(["ls", mount.production("base/odd_one")]).output == "chr1.bed\nchr2.bed\nchrX.bed\n")
            let path = mount.production("base/analysis_sequences/chr1.tsv")
            #expect(!(try run(["bash", "-c", "echo x >> \(path)"]).succeeded))
            let shown = try artifactfs("show", path)
            #expect(
                shown.output.contains("adopted     by ") && shown.output.contains("user        not known"), "\(shown)")
            let history = try artifactfs("history", path)
            #expect(history.output.contains("adopted") && history.output.contains("it was there already"), "\(history)")
            #expect(try artifactfs("lineage", path).succeeded)
        }

        /// Who is killed in between goes on with the next call; nothing is recorded twice.
        @Test func whatIsStoppedGoesOn() throws {
            let directory = try TemporaryDirectory()
            let store = directory.path
            let script = """
                mkdir -p base_layer meta_layer/metrics
                for n in $(seq 300); do echo '{"n": '$n'}' > meta_layer/metrics/m$n.json; done
                """
            #expect(try run(["bash", "-ec", script], directory: store).succeeded)
            #expect(try artifactfs("init", store).output.contains("300 files were there"))
            let child = try Child([try Mount.binary(), "adopt", store])
            #expect(eventually { exists(store + "/.artifactfs/ledger") && lines(store) > 20 })
            child.kill()
            let rest = try artifactfs("adopt", store)
            #expect(rest.succeeded, "\(rest)")
            #expect(lines(store) == 300)
            #expect(try artifactfs("find", "--store", store).output.split(separator: "\n").count == 300)
        }

        private func lines(_ store: String) -> Int {
            let outcome = try? run([
                "bash", "-c", "cat \(store)/.artifactfs/ledger/*.jsonl | grep -c '\"event\":\"sealed\"'",
            ])
            return Int(outcome?.output.filter(\.isNumber) ?? "") ?? 0
        }
    }
}
