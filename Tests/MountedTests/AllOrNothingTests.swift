import ArtifactRecords
import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 2.7: what a run makes is published together when its command ends well, and not at all otherwise.
extension MountedTests {
    @Suite struct AllOrNothingTests {
        private static let place = "production/base/analysis_sequences/"

        /// A run that goes on, until a line comes through its fifo.
        private final class Going {
            let mount: Mount
            let runner: Child
            private let go: String

            /// - Parameter script: after it the command waits; `exit` and what is in `end` follow.
            init(_ mount: Mount, _ script: String, end: String = "") throws {
                self.mount = mount
                go = mount.store + "/go"
                try check(mkfifo(go, 0o600))
                runner = try Child([
                    Mount.binary(), "run", "--all-or-nothing", "--mount", mount.root, "--", "bash", "-c",
                    "cd \(mount.root)/\(AllOrNothingTests.place)\n\(script)\necho ready; read -r x < \(go); \(end)",
                ])
                let isReady = eventually(within: 30) { runner.output.hasSuffix("ready\n") || !runner.isRunning }
                #expect(isReady && runner.isRunning, "\(runner.output) \(runner.errors) \(mount.log)")
            }

            func end() throws -> Int32? {
                try write("\n", to: go)
                #expect(runner.wait(seconds: 30), "\(mount.log)")
                return runner.status
            }
        }

        private func file(_ mount: Mount, _ name: String) -> String { mount.path(Self.place + name) }
        private func real(_ mount: Mount, _ name: String) -> String {
            mount.real("base_layer/analysis_sequences_" + name)
        }
        private func kept(_ mount: Mount) throws -> [String] {
            try names(in: mount.real(".artifactfs/quarantine")).filter { !$0.hasSuffix(".reason.json") }.sorted()
        }

        @Test(arguments: MountVariant.both) func allIsPublishedTogether(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try write(table, to: mount.session("base/analysis_sequences/chr4.tsv"))
            let run = try Going(
                mount,
                #"""
                printf 'a\tb\n1\t2\n' > chr1.tsv; cat chr1.tsv > chr2.tsv
                printf 'x\ty\n' > chr1.tsv; printf '3\t4\n' >> chr1.tsv; setsid -w cat chr1.tsv
                printf 'a\tb\n' > chr3.tsv; rm chr3.tsv; printf 'a\tb\n' > chr3.tsv; mv chr2.tsv chr3.tsv
                touch chr9.tsv; mv ../../../development/\#(mount.sessionName)/base/analysis_sequences/chr4.tsv .
                """#)
            let names = ["chr1.tsv", "chr3.tsv", "chr4.tsv"]
            for name in names {
                #expect(mount.state(of: file(mount, name)) == "held" && !exists(real(mount, name)), "\(name)")
                let path = file(mount, name)
                #expect(answer { () throws(Errno) in _ = try contents(path) } == .resourceBusy)
                #expect(answer { () throws(Errno) in try openAndClose(path, O_WRONLY | O_TRUNC) } == .fileExists)
                #expect(answer { () throws(Errno) in try openAndClose(path, O_WRONLY) } == .notPermitted)
                #expect(unlink(path) == -1 && errno == EPERM)
                #expect(rename(path, file(mount, "chr8.tsv")) == -1 && errno == EPERM)
            }
            #expect(mount.denials().contains { $0.contains("held-by-run") })
            #expect(mount.count("held") == 3)
            #expect(try run.end() == 0, "\(run.runner.errors) \(mount.log)")
            #expect(run.runner.output == "x\ty\n3\t4\nready\n" && run.runner.errors == "")
            for name in names {
                #expect(mount.state(of: file(mount, name)) == "sealed")
                #expect(try contents(real(mount, name)) == contents(file(mount, name)))
                let record = try contents(mount.path("\(Self.place).meta/\(name).json"))
                #expect(record.contains("\"run\":{\"id\":"), "\(record)")
            }
            #expect(!exists(file(mount, "chr9.tsv")) && !exists(file(mount, "chr2.tsv")))
            #expect(try kept(mount).isEmpty)
            let ledger = try shell("cat \(mount.store)/.artifactfs/ledger/*.jsonl").output
            #expect(ledger.contains("\"event\":\"run-sealing\"") && ledger.contains("\"published\":3"))
        }

        @Test(arguments: MountVariant.both) func ofARunThatFailsNothingIs(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let run = try Going(
                mount, #"printf 'a\tb\n1\t2\n' > chr1.tsv; printf 'a\tb\n3\t4\n' > chr2.tsv"#, end: "exit 3")
            #expect(try run.end() == 3)
            #expect(run.runner.errors.contains("artifactfs recover show"), "\(run.runner.errors)")
            let entries = try kept(mount)
            #expect(entries.count == 1, "\(entries)")
            for name in ["chr1.tsv", "chr2.tsv"] {
                #expect(!exists(file(mount, name)) && !exists(real(mount, name)))
                #expect(mount.denials().contains { $0.contains(name) && $0.contains("ended with status 3") })
            }
            // All of it is there, told by the run or by one of them, and comes back by copying.
            func recover(_ arguments: String...) throws -> Outcome {
                try TestSupport.run([Mount.binary(), "recover"] + arguments)
            }
            let shown = try recover("show", mount.root, entries.first ?? "").output
            #expect(shown.contains("with      \(Self.place)chr1.tsv\n          \(Self.place)chr2.tsv\n"), "\(shown)")
            let one = try recover("discard", file(mount, "chr1.tsv"))
            #expect(one.status == 2 && one.errors.contains("with the others of its run"), "\(one)")
            let published = try recover("publish", mount.root, entries.first ?? "")
            #expect(published.status == 1 && published.errors.contains("2 of 2 were refused"), "\(published)")
            #expect(published.errors.contains("--despite"), "\(published)")
            #expect(try recover("list", file(mount, "chr1.tsv")).output.contains("runs/"))
            let asked = try TestSupport.run([Mount.binary(), "show", file(mount, "chr1.tsv")])
            let words = asked.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(
                words.hasPrefix("artifact \(Self.place)chr1.tsv") && words.contains("ended with status 3"), "\(asked)")
            let place = mount.store + "-back"
            defer { _ = try? shell("rm -r \(place)") }
            let restored = try recover("restore", mount.root, entries.first ?? "", place)
            #expect(restored.succeeded, "\(restored)")
            #expect(try contents(place + "/" + Self.place + "chr2.tsv") == "a\tb\n3\t4\n")
            #expect(try shell("cp -r \(place)/production \(mount.root)/").succeeded)
            for name in ["chr1.tsv", "chr2.tsv"] { #expect(mount.isSealed(file(mount, name))) }
            let gone = try recover("discard", mount.root, entries.first ?? "")
            #expect(try gone.succeeded && kept(mount).isEmpty)
        }

        /// What a run has left is published whole with a reason; with something in the way nothing of it is. Several of one run that is none go
        /// together too.
        @Test(arguments: MountVariant.both) func whatIsLeftIsPublishedTogether(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            func recover(_ arguments: String...) throws -> Outcome {
                try TestSupport.run([Mount.binary(), "recover"] + arguments)
            }
            let run = try Going(
                mount, #"printf 'a\tb\n1\t2\n' > chr1.tsv; printf 'a\tb\n3\t4\n' > chr2.tsv"#, end: "exit 3")
            #expect(try run.end() == 3)
            let id = try #require(try kept(mount).first)
            try write("theirs", to: real(mount, "chr2.tsv"))
            let taken = try recover("publish", mount.root, id, "--despite", "only its last command failed")
            #expect(taken.status == 1 && taken.errors.contains("overwrite not allowed"), "\(taken)")
            #expect(!exists(file(mount, "chr1.tsv")) && unlink(real(mount, "chr2.tsv")) == 0)
            let done = try recover("publish", mount.root, id, "--despite", "only its last command failed")
            #expect(done.succeeded && done.output.split(separator: "\n").count == 2, "\(done) \(mount.log)")
            for name in ["chr1.tsv", "chr2.tsv"] { #expect(mount.isSealed(file(mount, name))) }
            let record = try contents(mount.path("\(Self.place).meta/chr1.tsv.json"))
            #expect(record.contains("only its last command failed") && record.contains("printf"), "\(record)")
            #expect(try names(in: mount.real(".artifactfs/quarantine")) == [])

            let failing = try TestSupport.run([
                Mount.binary(), "run", "--mount", mount.root, "--", "bash", "-c",
                "cd \(mount.root)/\(Self.place); printf 'a\\n1\\n' > chr3.tsv; printf 'a\\n1\\n' > chr4.tsv; exit 3",
            ])
            #expect(failing.status == 3, "\(failing)")
            #expect(eventually(within: 30) { (try? kept(mount).count) == 2 }, "\(mount.log)")
            let ids = try kept(mount)
            let listed = try TestSupport.run([Mount.binary(), "runs", "--json", mount.root]).output
            let runID = listed.split(separator: "\"").drop { $0 != "run" }.dropFirst(2).first.map(String.init) ?? ""
            #expect(try recover("publish", mount.root, "--run", "nothing").status == 2)
            #expect(try recover("publish", mount.root, "--run", runID, ids[0]).status == 64)
            let refused = try recover("publish", mount.root, ids[0], ids[1])
            #expect(refused.status == 1 && refused.errors.contains("nothing was published: 2 of 2"), "\(refused)")
            let several = try recover("publish", mount.root, "--run", runID, "--despite", "they are whole")
            #expect(several.succeeded && several.output.split(separator: "\n").count == 2, "\(several) \(listed)")
            #expect(mount.isSealed(file(mount, "chr3.tsv")) && mount.isSealed(file(mount, "chr4.tsv")))
            #expect(try TestSupport.run([Mount.binary(), "audit", mount.store]).succeeded)
        }

        /// One of them fails its check, or its program does, or somebody still writes to it: none is published, and which it was is told.
        @Test(arguments: ["check", "signal 9", "had it open"]) func oneIsAtFault(_ words: String) throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/model_eval"
            try Mount.initialize(store: store)
            let schema = store + "/.artifactfs/schema.yaml"
            try write(contents(schema).replacing("settle_seconds: 2", with: "settle_seconds: 1"), to: schema)
            let mount = try Mount(store: store)
            let left = mount.store + "/left"
            try check(mkfifo(left, 0o600))
            let script =
                switch words {
                case "check": #"printf 'a\tb\n1\n' > chr2.tsv"#
                case "signal 9": #"(printf 'a\tb\n'; kill -9 $BASHPID) > chr2.tsv"#
                default:
                    #"""
                    setsid bash -c 'exec 4> chr2.tsv > /dev/null 2>&1; echo >&4; touch $0.open; read -r x < $0' \#(left) &
                    until [ -e \#(left).open ]; do sleep 0.02; done
                    """#
                }
            let run = try Going(mount, #"printf 'a\tb\n1\t2\n' > chr1.tsv; "# + script)
            #expect(try run.end() == 125, "\(run.runner.errors)")
            let said = run.runner.errors
            #expect(said.contains("chr2.tsv: ") && said.contains("artifactfs recover"), "\(said)")
            #expect(words == "check" || said.contains(words), "\(said)")
            for name in ["chr1.tsv", "chr2.tsv"] { #expect(!exists(file(mount, name)) && !exists(real(mount, name))) }
            #expect(try kept(mount).count == 1)
            guard words == "had it open" else { return }
            try write("\n", to: left)
            #expect(eventually { ((try? kept(mount)) ?? []).count == 2 }, "\(mount.log)")
        }

        /// `artifactfs run` is killed: nothing is published of what its command made, nor of what that goes on to make.
        @Test(arguments: MountVariant.both) func theRunnerIsKilled(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let run = try Going(
                mount, #"printf 'a\tb\n1\t2\n' > chr1.tsv; printf 'a\tb\n3\t4\n' > chr2.tsv"#,
                end: #"(printf 'a\tb\n5\t6\n' > chr3.tsv) 2> \#(mount.store)/said; echo $? >> \#(mount.store)/said"#)
            run.runner.signal(SIGKILL)
            #expect(eventually { !exists(file(mount, "chr1.tsv")) && !exists(file(mount, "chr2.tsv")) })
            #expect(eventually { ((try? kept(mount)) ?? []).count == 1 }, "\(mount.log)")
            _ = try run.end()
            #expect(eventually { ((try? contents(mount.store + "/said")) ?? "").hasSuffix("1\n") })
            #expect(try contents(mount.store + "/said").contains("Operation not permitted"))
            #expect(!exists(file(mount, "chr3.tsv")) && !exists(real(mount, "chr1.tsv")))
            #expect(mount.denials().contains { $0.contains("run-is-over") })
        }

        /// The driver is killed: what the run had made is in quarantine.
        @Test func theDriverIsKilled() throws {
            let mount = try Mount()
            let run = try Going(mount, #"printf 'a\tb\n1\t2\n' > chr1.tsv; printf 'a\tb\n3\t4\n' > chr2.tsv"#)
            mount.kill()
            _ = try run.end()
            #expect(run.runner.status == 125, "\(run.runner.errors)")
            let next = try Mount(store: mount.store)
            for name in ["chr1.tsv", "chr2.tsv"] { #expect(!exists(file(next, name)) && !exists(real(next, name))) }
            #expect(try kept(next).count == 2)
        }

        /// make removes what a failed recipe left, and the second try makes it.
        @Test func cleaningUpAndTryingAgain() throws {
            let mount = try Mount()
            let files = try TemporaryDirectory()
            try write(
                """
                .DELETE_ON_ERROR:
                chr2.tsv: chr1.tsv
                \tcat chr1.tsv > $@; test -e \(files.path)/second
                chr1.tsv:
                \tprintf 'a\\tb\\n1\\t2\\n' > $@

                """, to: files.path + "/Makefile")
            let make = "make -f \(files.path)/Makefile chr2.tsv"
            let script = "\(make); ls; touch \(files.path)/second; \(make)"
            let outcome = try run(
                [Mount.binary(), "run", "--all-or-nothing", "--", "bash", "-c", "cd \(Self.place); " + script],
                directory: mount.root)
            #expect(outcome.succeeded, "\(outcome)")
            #expect(outcome.errors.contains("Deleting file"), "\(outcome)")
            for name in ["chr1.tsv", "chr2.tsv"] { #expect(mount.state(of: file(mount, name)) == "sealed") }
        }

        /// What the command starts is of the run: another run in it, and what it leaves running for a moment.
        @Test(arguments: [0, 3]) func whatItStartsIsOfIt(_ status: Int32) throws {
            let mount = try Mount()
            let script = #"""
                table() { printf 'a\tb\n1\t2\n'; }; export -f table
                "$0" run -- bash -c 'table > chr1.tsv'; "$0" run --all-or-nothing -- true; echo $?
                setsid bash -c 'sleep 0.2; table > chr2.tsv' &
                exit "$1"
                """#
            let outcome = try run(
                [Mount.binary(), "run", "--all-or-nothing", "--", "bash", "-c", script, Mount.binary(), "\(status)"],
                directory: mount.path(Self.place))
            #expect(outcome.status == status && outcome.output == "6\n", "\(outcome)")
            for name in ["chr1.tsv", "chr2.tsv"] {
                #expect(exists(real(mount, name)) == (status == 0) && exists(file(mount, name)) == (status == 0))
            }
            #expect(try kept(mount).count == (status == 0 ? 0 : 1))
        }

        /// What cannot be made together is refused at once.
        @Test func directoriesAreRefused() throws {
            let mount = try Mount()
            let place = mount.production("meta/meta_checkpoints/")
            try check(mkdir(place + "others", 0o755))
            try check(mkdir(mount.session("meta/meta_checkpoints/mine"), 0o755))
            try write("{}", to: mount.session("meta/meta_checkpoints/mine/a.json"))
            for command in [
                ["mkdir", place + "c"], ["touch", place + "others/a"],
                ["mv", mount.session("meta/meta_checkpoints/mine"), place],
            ] {
                let outcome = try run(
                    [Mount.binary(), "run", "--all-or-nothing", "--"] + command, directory: mount.root)
                #expect(outcome.status == 1 && outcome.errors.contains("Operation not permitted"), "\(outcome)")
            }
            #expect(exists(mount.session("meta/meta_checkpoints/mine/a.json")))
            #expect(mount.denials().contains { $0.contains("files-only-in-run") })
        }
    }
}
