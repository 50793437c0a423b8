import Foundation
import Glibc
import TestSupport
import Testing

/// SEMANTICS 4: who made an artifact, when, and from what is said by `show`, and what happened to it by `history`.
extension MountedTests {
    @Suite struct ShowTests {
        private let path = "production/base/analysis_sequences/chr1.tsv"

        private func artifactfs(_ arguments: String..., directory: String? = nil, user: User? = nil) throws -> Outcome {
            try run([try Mount.binary()] + arguments, directory: directory, user: user, timeout: 60)
        }

        /// A member of a JSON object, as Python reads it.
        private func value(_ text: String, _ keys: String...) throws -> String {
            let script = """
                import json, sys
                found = json.loads(sys.argv[1])
                for key in sys.argv[2:]: found = found[int(key) if isinstance(found, list) else key]
                print(found)
                """
            return String(try run(["/usr/bin/python3", "-c", script, text] + keys).output.dropLast())
        }

        /// What is written, kept back, refused and changed is found again by its path.
        @Test func anArtifactsRecordAndHistory() throws {
            let mount = try Mount()
            let shown = mount.path(path)
            let before = try artifactfs("show", shown)
            #expect(before.status == 2 && before.errors.contains("is not there"), "\(before)")
            #expect(try artifactfs("history", shown).status == 1)

            #expect(try shell(#"printf 'a\tb\n1\t2\n' > "$0"; exit 3"#.replacing("$0", with: shown)).status == 3)
            #expect(eventually { !exists(shown) }, "log: \(mount.log)")
            let kept = try artifactfs("show", shown)
            #expect(kept.succeeded, "\(kept)")
            #expect(kept.output.contains("kept back: ") && kept.output.contains("status 3"), "\(kept)")

            #expect(try shell("printf 'a\\tb\\n1\\t2\\n' > \(shown)").succeeded)
            #expect(mount.isSealed(shown), "log: \(mount.log)")
            let page = try artifactfs("show", "chr1.tsv", directory: mount.production("base/analysis_sequences"))
            #expect(page.succeeded, "\(page)")
            for words in [
                "artifact    \(path)\n", "of type analysis_sequences, layer base, key chr1", "state       sealed\n",
                "size        8 bytes\n", "1 row, 2 columns (a, b)", "user        root (0)\n",
                "exit        ", "inputs      not known\n", "code        ", "job         ",
            ] {
                #expect(page.output.contains(words), "\(words) in \(page)")
            }
            let json = try artifactfs("show", shown, "--json")
            #expect(try json.succeeded && value(json.output, "artifact", "path") == path, "\(json)")
            #expect(try value(json.output, "artifact", "state") == "sealed")
            #expect(try value(json.output, "times", "sealed").hasSuffix("Z"))
            // By its real path, and by the store alone.
            let real = mount.real("base_layer/analysis_sequences_chr1.tsv")
            #expect(try artifactfs("show", real).output == page.output)
            #expect(try artifactfs("show", "--store", mount.store, path).output == page.output)

            #expect(try shell("echo x > \(shown); chmod 0440 \(shown)").succeeded)
            #expect(
                eventually {
                    (try? artifactfs("history", shown).output.contains("  denied ")) ?? false
                }, "a refusal is in the ledger after a moment")
            let history = try artifactfs("history", shown)
            let lines = history.output.split(separator: "\n").map { $0.split(separator: " ")[1] }
            #expect(
                lines.filter { $0 != "denied" } == ["quarantined", "sealed", "attributes-set"], "\(history)")
            #expect(history.output.contains("EEXIST"), "\(history)")
            let events = try artifactfs("history", "--json", shown)
            #expect(events.output.split(separator: "\n").count == lines.count, "\(events)")
            for line in events.output.split(separator: "\n") {
                #expect(try !value(String(line), "event").isEmpty && !value(String(line), "seq").isEmpty)
            }
        }

        /// What has no record is said to have none, with what is known of it and a way out.
        @Test func whatHasNoRecord() throws {
            let mount = try Mount()
            let session = mount.session("base/splice_errors/chr1.tsv")
            try write(table, to: session)
            let none = try artifactfs("show", session, "--json")
            #expect(none.status == 1 && none.output.isEmpty, "\(none)")
            #expect(
                none.errors.contains("8 bytes of root") && none.errors.contains("'mv' it into production"), "\(none)")
            try write(table, to: mount.session("scratch/x"))
            #expect(try artifactfs("show", mount.session("scratch/x")).status == 1)
            #expect(try artifactfs("show", mount.session("scratch/y")).status == 2)
            #expect(try artifactfs("show", "/etc/passwd").status == 2)
            #expect(try artifactfs("show", "--store", "/etc", path).status == 3)
            #expect(try artifactfs("show").status == 64)

            let real = mount.real("base_layer/gene_manifest.tsv")
            try write(table, to: real)
            let brought = try artifactfs("show", mount.path("production/base/gene_manifest/gene_manifest.tsv"))
            #expect(brought.status == 1 && brought.errors.contains("without the driver"), "\(brought)")

            // Promoted, it has one, and both paths tell of it.
            let target = mount.path("production/base/splice_errors/chr1.tsv")
            #expect(try run(["mv", session, target]).succeeded && mount.isSealed(target), "log: \(mount.log)")
            let page = try artifactfs("show", target)
            #expect(page.output.contains("promoted    from development/"), "\(page)")
            let history = try artifactfs("history", session)
            #expect(history.output.contains("  promoted ") && history.output.contains("to production/"), "\(history)")
        }

        /// Every part of a record has its place on the page, no line is longer than 80 columns, and nothing moves the cursor.
        @Test func aPageOfAllThatARecordHas() throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/s"
            try Mount.initialize(store: store)
            let real = store + "/base_layer/analysis_sequences_chr1.tsv"
            try write(table, to: real)
            let script = #"""
                import json, sys
                record = {
                    "artifact": {"path": "production/base/analysis_sequences/chr1.tsv", "type": "analysis_sequences",
                        "layer": "base", "mode": "production", "key": "chr1", "format": ".tsv", "size": 8,
                        "sha256": "ab" * 32, "version": 2, "state": "sealed",
                        "content": {"rows": 1, "columns": [{"name": "a\x1b[31m"}, {"name": "b"}]}},
                    "times": {"opened": "2026-02-15T14:30:20.000000000Z", "sealed": "2026-02-15T14:30:22.000000000Z"},
                    "writer": {"user": "ada", "uid": 1000, "gid": 1000, "host": "node7", "pid": 4711,
                        "program": "/usr/bin/python3", "argv": ["python3", "train.py", "--note", "it's one"]
                            + ["--option-%d=%s" % (n, "x" * n) for n in range(40)] + ["y" * 400],
                        "cwd": "/home/ada", "started": "2026-02-15T14:00:00.000000000Z", "exit": {"status": 0},
                        "environment": {"CONDA_PREFIX": "/opt/conda"}},
                    "job": {"id": "77", "kind": "slurm", "processes": [{"pid": 4700, "argv": ["bash", "run.sh"]}]},
                    "code": [{"path": "/home/ada/repo", "commit": "c" * 40, "branch": "main",
                        "remote": "https://example.org/r.git", "dirty": True, "role": "script",
                        "script": "/home/ada/repo/train.py", "sha256": "cd" * 32}],
                    "inputs": [
                        {"path": "production/base/gene_manifest/gene_manifest.tsv", "version": 1, "sha256": "ef" * 32,
                            "how": "process"},
                        {"path": "production/base/splice_errors/chr1.tsv", "how": "job"}],
                    "outside": [{"path": "/data/hg38.fa", "size": 3000, "modified": "2026-01-01T00:00:00Z"}],
                    "run": {"id": "run-1", "experiment": "baseline"},
                    "origin": {"path": "development/20260215_143022/base/analysis_sequences/chr1.tsv"},
                    "attributes": {"user.artifact.config": {"lr": 0.1}, "user.artifact.note": "two\nlines"},
                }
                line = {"seq": 1, "prev": "0" * 64, "time": "2026-02-15T14:30:22.000000000Z", "event": "sealed",
                    "mount": "m", "staged": "f-1", "directory": "base_layer", "name": "analysis_sequences_chr1.tsv",
                    "inode": 1, "size": 8, "modified": "2026-02-15T14:30:21.000000000Z", "sha256": "ab" * 32,
                    "record": record}
                print(json.dumps(line, separators=(",", ":")))
                print(json.dumps(record, sort_keys=True), file=sys.stderr)
                """#
            let ledger = try run(["/usr/bin/python3", "-c", script])
            try write(ledger.output, to: store + "/.artifactfs/ledger/node7.jsonl")
            let page = try artifactfs("show", real)
            #expect(page.succeeded, "\(page)")
            for line in page.output.split(separator: "\n") {
                #expect(line.unicodeScalars.count <= 80, "\(line)")
                #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(line)")
            }
            for words in [
                "sealed, version 2", #"a\x1b[31m, b"#, "ada (1000)", "node7", "4711, started 2026-02-15T14:00:00Z",
                "command     python3 train.py --note 'it'\\''s one'", " \\\n", "characters more: --json has all",
                "CONDA_PREFIX=/opt/conda", "slurm, 77", "bash run.sh", "with changes that are in no commit",
                "process: the writer opened it", "1 more is possible: --possible", "/data/hg38.fa",
                "run-1, of experiment baseline", #"user.artifact.note: two\nlines"#, #"{"lr":0.1}"#,
                "promoted    from development/20260215_143022/",
            ] {
                #expect(page.output.contains(words), "\(words) in \(page)")
            }
            #expect(!page.output.contains("splice_errors"))
            #expect(try artifactfs("show", "--possible", real).output.contains("splice_errors/chr1.tsv"))
            // The record itself, member by member.
            let json = try artifactfs("show", "--json", real).output
            let sorted = "import json, sys; print(json.dumps(json.loads(sys.argv[1]), sort_keys=True))"
            #expect(try run(["/usr/bin/python3", "-c", sorted, json]).output == ledger.errors)

            // What was put there since is not what was sealed.
            try write("other bytes\n", to: real)
            #expect(try artifactfs("show", real).output.contains("not what was sealed: what is there now has 12"))
            #expect(try run(["rm", real]).succeeded)
            let gone = try artifactfs("show", "--store", store, path)
            #expect(gone.succeeded && gone.output.contains("is not there any more"), "\(gone)")
        }

        /// Links are followed, and what is in a directory that is an artifact is that artifact.
        @Test func linksAndDirectories() throws {
            let mount = try Mount()
            let checkpoints = mount.production("meta/meta_checkpoints")
            let script = "import pickle, sys; pickle.dump({'a': 1}, open(sys.argv[1], 'wb'))"
            #expect(try python(script, [checkpoints + "/epoch_001.pkl"]).succeeded)
            #expect(mount.isSealed(checkpoints + "/epoch_001.pkl"), "log: \(mount.log)")
            let latest = try artifactfs("show", checkpoints + "/latest.pkl")
            #expect(latest.output.contains("meta_checkpoints/epoch_001.pkl\n"), "\(latest)")
            let made = mount.session("meta/meta_checkpoints/checkpoint-5")
            #expect(try shell("mkdir -p \(made)/sub && echo {} > \(made)/sub/config.json").succeeded)
            let target = checkpoints + "/checkpoint-5"
            #expect(try run(["mv", made, target]).succeeded && mount.isSealed(target), "log: \(mount.log)")
            let inside = try artifactfs("show", target + "/sub/config.json")
            #expect(inside.succeeded && inside.output.contains("a directory"), "\(inside)")
            #expect(inside.output.contains("artifact    production/meta/meta_checkpoints/checkpoint-5\n"), "\(inside)")
        }

        /// Where the store is somebody else's, that is said.
        @Test(.enabled(if: geteuid() == 0, "another user looks")) func historyIsTheStoreOwners() throws {
            let mount = try Mount(MountVariant(allowOther: true))
            let shown = mount.path(path)
            #expect(try shell("printf 'a\\tb\\n1\\t2\\n' > \(shown)").succeeded && mount.isSealed(shown))
            let refused = try artifactfs("history", shown, user: .nobody)
            #expect(refused.status == 2 && refused.errors.contains("its owner's and root's"), "\(refused)")
        }
    }
}
