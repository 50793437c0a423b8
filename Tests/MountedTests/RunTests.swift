import ArtifactRecords
import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 2.6: a command as a run of an experiment.
extension MountedTests {
    @Suite struct RunTests {
        private func member(_ path: String, _ keys: String...) throws -> JSONValue? {
            var value = JSONValue(parsing: Array(try contents(path).utf8))
            for key in keys { value = value?[key] }
            return value
        }

        /// The only session that is not the mount's.
        private func session(of mount: Mount, besides others: [String] = []) throws -> String {
            let all = try names(in: mount.path("development")).filter {
                $0 != "current" && $0 != mount.sessionName && !others.contains($0)
            }
            return all.count == 1 ? all[0] : "\(all)"
        }

        @Test(arguments: MountVariant.both) func aRunHasItsSessionAndItsRecord(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let before = mount.sessionName
            let files = try TemporaryDirectory()
            try write(#"{"lr": 0.5}"#, to: files.path + "/c.json")
            let input = mount.production("base/gene_manifest/gene_manifest.tsv")
            try write(table, to: input)
            #expect(mount.isSealed(input))
            let script = #"""
                echo "$ARTIFACTFS_SESSION $(readlink development/current) $(setsid -w readlink development/current)"
                printf 'a\tb\n1\t2\n' > production/base/splice_errors/chr1.tsv
                echo '{"auc": 0.75}' > development/current/meta/meta_metrics/training_metrics.json
                echo oops >&2; echo x > development/current/scratch/x
                """#
            let outcome = try run(
                [
                    Mount.binary(), "run", "--experiment", "demo", "--config", files.path + "/c.json", "--param", "n=3",
                    "--param", "name=x y", "--input", input, "--", "bash", "-c", script,
                ], directory: mount.root)
            let session = try session(of: mount)
            #expect(outcome.status == 0 && outcome.errors == "oops\n", "\(outcome)")
            #expect(outcome.output == "\(session) \(session) \(session)\n", "\(outcome)")
            #expect(mount.sessionName == before && exists(mount.path("development/\(session)/scratch/x")))

            let metadata = mount.path("development/\(session)/metadata.json")
            #expect(try member(metadata, "experiment_name")?.string == "demo")
            #expect(try member(metadata, "config", "lr") == .number(0.5))
            #expect(try member(metadata, "metrics", "training_metrics", "auc") == .number(0.75))
            #expect(try member(metadata, "created_at")?.string?.hasSuffix("Z") == true)
            #expect(try member(metadata, "run", "status")?.integer == 0)
            #expect(try member(metadata, "run", "parameters", "n")?.integer == 3)
            #expect(try member(metadata, "run", "parameters", "name")?.string == "x y")
            let id = try #require(try member(metadata, "run", "id")?.string)
            let said = try contents(mount.path("development/\(session)/logs/\(id).log"))
            #expect(said.contains("oops\n") && said.contains(session))

            let made = mount.production("base/splice_errors/chr1.tsv")
            #expect(mount.isSealed(made), "\(mount.log)")
            let record = mount.production("base/splice_errors/.meta/chr1.tsv.json")
            #expect(try member(record, "run", "id")?.string == id)
            #expect(try member(record, "run", "experiment")?.string == "demo")
            guard case .array(let inputs)? = try member(record, "inputs") else {
                Issue.record("no inputs: \(try contents(record))")
                return
            }
            #expect(
                inputs.contains { input in
                    input["path"]?.string == "production/base/gene_manifest/gene_manifest.tsv"
                        && input["how"]?.string == "declared" && input["sha256"] != nil
                })
            #expect(try contents(mount.path(".artifactfs/runs.jsonl")) == "")
            let lines = try shell("cat \(mount.store)/.artifactfs/ledger/*.jsonl | grep '\"event\":\"run-'").output
            #expect(lines.contains("run-begun") && lines.contains("run-ended") && lines.contains(id), "\(lines)")
        }

        /// How it ends is told, whatever that is.
        @Test(arguments: MountVariant.both) func itsEndIsKept(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            var known: [String] = []
            for (command, status, key, value) in [
                ("exit 7", 7, "status", 7), ("kill -KILL $$", 137, "signal", 9),
                (#"echo '{"metrics": {"mine": 1}}' > development/current/metadata.json; false"#, 1, "status", 1),
            ] as [(String, Int32, String, Int64)] {
                let outcome = try run([Mount.binary(), "run", "--", "bash", "-c", command], directory: mount.root)
                #expect(outcome.status == status, "\(outcome)")
                let session = try session(of: mount, besides: known)
                known.append(session)
                let metadata = mount.path("development/\(session)/metadata.json")
                #expect(try member(metadata, "run", key)?.integer == value, "\(command)")
                #expect(try member(metadata, "experiment_name") != nil)
                let metrics = try member(metadata, "metrics", "mine")?.integer
                #expect(metrics == (command.contains("mine") ? 1 : nil), "what the command says stays")
            }
            #expect(try run([Mount.binary(), "run", "--mount", mount.root, "--", "no-such-command"]).status == 127)
            for (arguments, status) in [
                (["run"], 64), (["run", "--session", "20200101_000000", "--", "true"], 2),
                (["run", "--session", "x", "--", "true"], 64), (["run", "--param", "x", "--", "true"], 64),
                (["run", "--input", "nothing", "--", "true"], 2), (["run", "--config", "nothing", "--", "true"], 2),
            ] as [([String], Int32)] {
                let outcome = try run([Mount.binary()] + arguments, directory: mount.root)
                #expect(outcome.status == status && !outcome.errors.isEmpty, "\(arguments): \(outcome)")
            }
            // Long output goes through whole, its end is kept; who has had enough of it is told.
            let long = try run(
                [Mount.binary(), "run", "--", "seq", "200000"], directory: mount.root)
            #expect(long.output.hasSuffix("\n200000\n") && long.output.utf8.count == 1_288_895)
            let cut = try shell(
                #""$0" run -- yes | head -1; echo ${PIPESTATUS[0]}"#.replacing("$0", with: Mount.binary()),
                in: mount.root)
            #expect(cut.output == "y\n141\n", "\(cut)")
        }

        /// `artifactfs runs`: all to root, with and without the mount; to others what they may read.
        @Test func runsAreListed() throws {
            let stage = try SharedStage(MountVariant.bothForAll[0])
            let mount = stage.mount
            let script = #"printf 'a\tb\n1\t2\n' > "$0"; echo said; exit 5"#
            for (user, name) in [(User.alice, "chr1"), (.bob, "chr2")] {
                let outcome = try run(
                    [
                        Mount.binary(), "run", "--mount", mount.root, "--experiment", name, "--param", "n=1", "--",
                        "bash", "-c", script, mount.production("base/splice_errors/\(name).tsv"),
                    ], user: user)
                #expect(outcome.status == 5, "\(outcome)")
            }
            for place in [mount.root, mount.store] {
                let outcome = try run([Mount.binary(), "runs", place])
                let lines = outcome.output.split(separator: "\n").map(String.init)
                #expect(lines.count >= 4 && lines[0].hasSuffix("  chr2"), "\(outcome)")
                // Long lines are folded.
                func unfolded(_ text: String) -> String {
                    text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                }
                #expect(lines.allSatisfy { $0.count <= 80 }, "\(outcome)")
                #expect(unfolded(outcome.output).contains("status 5, 1 artifact,"), "\(outcome)")
                #expect(try run([Mount.binary(), "runs", place, "-n", "1"]).output.contains("chr2"))
                let shown = try run([
                    Mount.binary(), "runs", "show", String(lines[0].prefix { $0 != " " }), place,
                ]).output
                for text in ["command bash -c", "n=1", "status 5", "the last of it said", "made production/base/"] {
                    #expect(unfolded(shown).contains(text), "\(text): \(shown)")
                }
            }
            #expect(try run([Mount.binary(), "runs", "show", "x", mount.root]).status == 2)
            #expect(try run([Mount.binary(), "runs", "/"]).status == 3)
            // What alice hides bob does not see.
            _ = try run(["bash", "-c", "chmod 700 \(mount.path("development"))/*"], user: .alice)
            for (user, names) in [(User.alice, ["chr1", "chr2"]), (.bob, ["chr2"])] {
                let outcome = try run([Mount.binary(), "runs", "--json", mount.root], user: user)
                #expect(["chr1", "chr2"].filter { outcome.output.contains($0) } == names, "\(outcome)")
            }
        }

        /// A signal goes to the command; what that leaves running stays of the run.
        @Test(arguments: MountVariant.both) func signalsAreForTheCommand(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let go = mount.store + "/go"
            try check(mkfifo(go, 0o600))
            let script = """
                trap 'echo told; exit 5' TERM
                setsid bash -c 'read -r x < \(go); readlink \(mount.root)/development/current > \(mount.store)/left' &
                echo ready; while true; do sleep 0.05; done
                """
            let runner = try Child([Mount.binary(), "run", "--mount", mount.root, "--", "bash", "-c", script])
            #expect(eventually { runner.output == "ready\n" }, "\(runner.errors)")
            #expect(try contents(mount.path(".artifactfs/runs.jsonl")).contains("\"pid\":\(runner.process)"))
            runner.signal(SIGTERM)
            #expect(
                runner.wait(seconds: 20) && runner.status == 5 && runner.output == "ready\ntold\n", "\(runner.output)")
            let session = try session(of: mount)
            try write("\n", to: go)
            #expect(eventually { (try? contents(mount.store + "/left")) == session + "\n" })
        }

        /// Users run beside each other; nobody's `current` is another's.
        @Test(arguments: MountVariant.bothForAll) func usersRunBesideEachOther(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let before = mount.sessionName
            let runs = try [User.alice, .bob, .alice].map { user in
                try Child(
                    [
                        Mount.binary(), "run", "--mount", mount.root, "--", "bash", "-c",
                        #"for i in {1..50}; do [ $(readlink "$0") = $ARTIFACTFS_SESSION ] || exit 9; done; echo $ARTIFACTFS_SESSION"#,
                        mount.path("development/current"),
                    ], user: user)
            }
            for run in runs { #expect(run.wait(seconds: 60) && run.status == 0, "\(run.output) \(run.errors)") }
            #expect(Set(runs.map(\.output)).count == 3 && mount.sessionName == before)
        }
    }
}
