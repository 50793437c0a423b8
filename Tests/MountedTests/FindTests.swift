import Glibc
import SystemPackage
import TestSupport
import Testing

extension MountedTests {
    /// `artifactfs find` and `reindex`, as people use them.
    @Suite struct FindTests {
        private func production(_ mount: Mount) throws {
            let script = """
                import os, sys
                def write(path, text, note=None):
                    file = os.open(path, os.O_CREAT | os.O_WRONLY)
                    os.write(file, text)
                    if note: os.setxattr(path, "user.artifact.note", note)
                    os.close(file)
                base = "production/base/"
                for name in ["1", "2", "X"]: write(base + "analysis_sequences/chr%s.tsv" % name, b"a\\tb\\n" + b"1\\t2\\n" * 100)
                write(base + "splice_errors/chr1.tsv", b"a\\tb\\n1\\t2\\n", b"the good, 'best' \\"one\\"\\x1b[31m\\n")
                """
            try write(script, to: mount.store + "/../make.py")
            #expect(try run([testPython, mount.store + "/../make.py"], directory: mount.root).succeeded)
            let command = """
                echo '{"val_auc": [0.5, 0.9], "loss": 0.1}' > development/current/meta/meta_metrics/train.json
                sort production/base/analysis_sequences/chr1.tsv > production/base/splice_errors/chr2.tsv
                """
            let ran = try run(
                [
                    try Mount.binary(), "run", "--experiment", "splice", "--param", "lr=1e-3", "--", "bash", "-c",
                    command,
                ], directory: mount.root)
            #expect(ran.succeeded, "\(ran)")
            #expect(mount.settle())
        }

        private func find(_ words: String..., in place: String, user: User? = nil) throws -> Outcome {
            try run([try Mount.binary(), "find", "--store", place] + words, user: user)
        }

        @Test(arguments: MountVariant.both) func artifactsAreFound(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try production(mount)
            let base = "production/base/"
            for place in [mount.root, mount.store, mount.root + "/development", mount.store + "/base_layer"] {
                for (query, names) in [
                    (
                        "type = analysis_sequences",
                        ["analysis_sequences/chr1.tsv", "analysis_sequences/chr2.tsv", "analysis_sequences/chrX.tsv"]
                    ),
                    (
                        "key in (chr2, chrX) and size > 300b and run is unknown",
                        ["analysis_sequences/chr2.tsv", "analysis_sequences/chrX.tsv"]
                    ),
                    ("rows < 2", ["splice_errors/chr1.tsv"]), ("good", ["splice_errors/chr1.tsv"]),
                    ("metric.val_auc > 0.8 and experiment = splice", ["splice_errors/chr2.tsv"]),
                    ("param.lr = 0.001", ["splice_errors/chr2.tsv"]),
                    ("input like *analysis_sequences/chr1.tsv", ["splice_errors/chr2.tsv"]),
                    ("run is known", ["splice_errors/chr2.tsv"]), ("sealed before 2020", []),
                    (
                        "sealed since today not type = splice_errors not key ~ '^chr[0-9]'",
                        ["analysis_sequences/chrX.tsv"]
                    ),
                ] as [(String, [String])] {
                    let outcome = try find(query, "--columns", "path", "--sort", "path", in: place)
                    #expect(outcome.status == (names.isEmpty ? 1 : 0), "\(query): \(outcome)")
                    #expect(
                        outcome.output.split(separator: "\n").map(String.init) == names.map { base + $0 }, "\(query)")
                }
            }
            // From within, and by the environment.
            let within = try run([try Mount.binary(), "find", "good"], directory: mount.store + "/base_layer")
            #expect(within.output.hasPrefix(base + "splice_errors/chr1.tsv\t8\t1\t20"), "\(within)")
            let named = try run(
                ["env", "ARTIFACTFS_STORE=" + mount.root, try Mount.binary(), "find", "type", "=", "splice_errors"],
                directory: "/")
            #expect(named.succeeded && named.output.split(separator: "\n").count == 2, "\(named)")
            let nowhere = try run([try Mount.binary(), "find"], directory: "/")
            #expect(nowhere.status == 3 && nowhere.errors.contains("ARTIFACTFS_STORE"), "\(nowhere)")
        }

        /// When much was published a mount brings the catalog up to date, without anybody who asks; where nobody has ever asked there is none.
        @Test func theMountKeepsTheCatalog() throws {
            let mount = try Mount()
            let script = """
                import os, sys
                for number in range(int(sys.argv[1]), int(sys.argv[2])):
                    path = "production/meta/meta_metrics/m%d.json" % number
                    file = os.open(path, os.O_CREAT | os.O_WRONLY)
                    os.write(file, b"{}")
                    os.setxattr(path, "user.artifact.note", b"x" * 3500)
                    os.close(file)
                """
            func publish(_ numbers: Range<Int>) throws {
                let made = try run(
                    [testPython, "-c", script, "\(numbers.lowerBound)", "\(numbers.upperBound)"], directory: mount.root)
                #expect(made.succeeded && mount.settle(), "\(made)")
            }
            func known() throws -> Int? {
                let asked = try run([
                    testPython, "-c",
                    """
                    import sqlite3, sys
                    print(sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True).execute("SELECT count(*) FROM artifact").fetchone()[0])
                    """, mount.store + "/.artifactfs/catalog/catalog.sqlite",
                ])
                return Int(asked.output.dropLast())
            }
            try publish(0..<100)
            #expect(try known() == nil)
            #expect(try find(in: mount.root).succeeded && known() == 100)
            try publish(100..<1500)
            // It comes after all others for the processor, which on a busy machine takes its time: it is looked at seldom, and helped.
            var looks = 0
            let isKept = try eventually(within: 400) {
                looks += 1
                _ = try run(["sh", "-c", "pgrep artifact-cat | xargs -r renice -n 0 -p"])
                return try looks.isMultiple(of: 10) && known() ?? 0 > 100
            }
            #expect(isKept)
        }

        @Test func forPrograms() throws {
            let mount = try Mount()
            try production(mount)
            let json = try find(
                "type = splice_errors", "--json", "--columns", "path,note,metric.val_auc,rows,dirty", "--sort", "path",
                in: mount.root)
            let lines = json.output.split(separator: "\n")
            try #require(lines.count == 2, "\(json)")
            #expect(
                lines[1].contains(#""metric.val_auc":0.9"#) && !lines[1].contains("note"), "\(json)"
            )
            #expect(lines[0].contains(#"the good, 'best' \"one\"\u001b[31m\n"#), "\(json)")
            let csv = try find("good", "--csv", "--columns", "note,path", in: mount.root)
            #expect(
                csv.output
                    == "note,path\n\"the good, 'best' \"\"one\"\"\u{1b}[31m\n\",production/base/splice_errors/chr1.tsv\n",
                "\(csv)")
            let tsv = try find("good", "--tsv", "--columns", "path, note", in: mount.root)
            #expect(
                tsv.output
                    == "path\tnote\nproduction/base/splice_errors/chr1.tsv\tthe good, 'best' \"one\"\\x1b[31m\\n\n",
                "\(tsv)")
            for place in [mount.root, mount.store] {
                let script = #""$0" find --store "$1" 'type = analysis_sequences' --paths0 | xargs -0 cat | wc -l"#
                let counted = try run(["bash", "-c", script, try Mount.binary(), place])
                #expect(counted.output == "303\n", "\(counted)")
            }
            // Who reads no more ends it.
            let head = try run([
                "bash", "-c", #"set -o pipefail; "$0" find --store "$1" | head -1"#, try Mount.binary(), mount.root,
            ])
            #expect(head.output.split(separator: "\n").count == 1 && head.errors.isEmpty, "\(head)")
        }

        @Test(arguments: MountVariant.both) func howMuchThereIs(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try production(mount)
            let killed = try run(
                ["bash", "-c", "exec 3> \(mount.production("base/splice_errors/chr5.tsv")); echo a >&3; kill -9 $$"])
            #expect(!killed.succeeded && mount.settle())
            func usage(_ words: String...) throws -> String {
                try run([try Mount.binary(), "du", "--store", mount.root] + words).output
            }
            #expect(try usage() == "analysis_sequences\t3\t1212\nsplice_errors\t2\t412\n")
            let states = try usage("--by", "state")
            #expect(states.hasPrefix("sealed\t5\t1624\nquarantined\t1\t"), "\(states)")
            #expect(
                try usage("--by", "experiment", "type = splice_errors", "--csv")
                    == "experiment,artifacts,bytes\nsplice,1,404\n,1,8\n")
            #expect(try usage("--by", "key", "size > 1TB") == "")
            // What lies in sessions: a file of metrics, the run's output and what the session says of itself.
            let sessions = try usage("--by", "session").split(separator: "\n").map { $0.split(separator: "\t") }
            let bytes = try run([
                "bash", "-c",
                "cd \(mount.root)/development && find . -type f -printf '%s\n' | awk '{ s += $1 } END { print s }'",
            ])
            #expect(
                sessions.compactMap { Int($0[2]) }.reduce(0, +) == Int(bytes.output.dropLast()), "\(sessions) \(bytes)")
            let page = try python(ListTests.onATerminal, [try Mount.binary(), "du", "--store", mount.root])
            #expect(page.output.contains("analysis_sequences          3    1.2 KiB\n"), "\(page)")
            #expect(page.output.hasSuffix("all                         5    1.6 KiB\n"), "\(page)")
        }

        /// On a terminal: a table that is not wider than it.
        @Test func forPeople() throws {
            let mount = try Mount()
            try production(mount)
            let page = try python(
                ListTests.onATerminal,
                [
                    try Mount.binary(), "find", "--store", mount.root, "--columns", "path,size,rows,user,note,command",
                    "--sort", "size,path",
                ])
            let lines = page.output.split(separator: "\n").map(String.init)
            #expect(lines.count == 6 && lines.allSatisfy { $0.count <= 80 }, "\(page)")
            #expect(lines[0].hasPrefix("path ") && lines[0].contains("  user"), "\(page)")
            #expect(lines[1].contains("8 bytes     1  root") && !page.output.contains("\u{1b}"), "\(page)")
        }

        @Test(arguments: MountVariant.both) func runsAreFound(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try production(mount)
            let failed = try run(
                [try Mount.binary(), "run", "--experiment", "other", "--param", "lr=0.1", "--", "false"],
                directory: mount.root)
            #expect(failed.status == 1)
            func runs(_ words: String...) throws -> Outcome {
                try run([try Mount.binary(), "runs", "--store", mount.store] + words)
            }
            let all = try runs(
                "--columns", "experiment,param.lr,min val_auc,max val_auc,first val_auc,metric.val_auc,state,made",
                "--sort", "-max val_auc")
            #expect(
                all.output == "splice\t0.001\t0.5\t0.9\t0.5\t0.9\tended\t1\nother\t0.1\t\t\t\t\tfailed\t0\n", "\(all)")
            let good = try runs(
                "metric.val_auc > 0.8 and begun since today", "--json", "--columns", "experiment,min loss")
            #expect(good.output == #"{"experiment":"splice","min loss":0.1}"# + "\n", "\(good)")
            #expect(
                try runs("state = failed", "--csv", "--columns", "experiment,status").output
                    == "experiment,status\nother,1\n")
            #expect(try runs("experiment = none").status == 1 && runs("size > 1").status == 64)
            // A place that is named alone is no query.
            let listed = try run([try Mount.binary(), "runs", mount.store])
            #expect(listed.succeeded && listed.output.contains("  splice\n"), "\(listed)")
        }

        @Test func whatIsWrong() throws {
            let mount = try Mount()
            for (words, place, part) in [
                (["typ = x"], "    typ = x\n    ^^^\n", "did you mean type?"),
                (["size > 1GB and and"], "                   ^^^", "a test was expected"),
                (["note ~ '('"], "", "an expression"), (["note ~ '(.{200}){200}'"], "", "repeats more than"),
                (["--columns", "siz"], "", "did you mean size?"),
                (["--sort", "-nothing"], "", "is no field"), (["--limit", "-3"], "", "no number"),
            ] as [([String], String, String)] {
                let outcome = try run([try Mount.binary(), "find", "--store", mount.root] + words)
                #expect(outcome.status == 64 && outcome.output.isEmpty, "\(words): \(outcome)")
                let text = outcome.errors.replacing("\n    ", with: " ")
                #expect(outcome.errors.contains(place) && text.contains(part), "\(words): \(outcome)")
            }
        }

        @Test func reindexing() throws {
            let mount = try Mount()
            try production(mount)
            let catalog = mount.store + "/.artifactfs/catalog/catalog.sqlite"
            #expect(try find(in: mount.root).succeeded && exists(catalog))
            #expect(truncate(catalog, 8000) == 0)
            let found = try find(in: mount.root)
            #expect(found.output.split(separator: "\n").count == 5 && found.errors.contains("made anew"), "\(found)")
            let anew = try run([try Mount.binary(), "reindex", "--store", mount.store])
            #expect(anew.succeeded && anew.output.contains("5 artifacts and 1 runs in "), "\(anew)")
            // What was removed at its real path is told by no ledger.
            #expect(unlink(mount.store + "/base_layer/splice_errors_chr1.tsv") == 0)
            let gone = try find("type = splice_errors", "--columns", "key", in: mount.root)
            #expect(gone.output == "chr2\n" && gone.errors.contains("1 artifact is not told"), "\(gone)")
            for order in ["sealed", "-sealed"] {
                let one = try find(
                    "type = splice_errors", "--columns", "key", "--sort", order, "-n", "1", in: mount.root)
                #expect(one.output == "chr2\n", "\(one)")
            }
            // The kernel may know the former file for a moment.
            let path = mount.production("base/splice_errors/chr1.tsv")
            #expect(eventually { (try? write("a\tb\n1\t2\n3\t4\n", to: path)) != nil })
            #expect(mount.settle())
            #expect(try find("key = chr1 type = splice_errors", "--columns", "size", in: mount.root).output == "12\n")
            // A disk that is full makes no list that is cut and looks whole.
            let full = try run(["bash", "-c", #""$0" find --store "$1" > /dev/full"#, try Mount.binary(), mount.root])
            #expect(full.status == 1 && full.errors.contains("cannot write"), "\(full)")
            let listed = try run(["bash", "-c", #""$0" ls "$1" > /dev/full"#, try Mount.binary(), mount.root])
            #expect(listed.status == 1 && listed.errors.contains("cannot write"), "\(listed)")
            // What is kept back is found when it is asked for.
            let killed = try run(
                ["bash", "-c", "exec 3> \(mount.production("base/splice_errors/chr5.tsv")); echo a >&3; kill -9 $$"])
            #expect(!killed.succeeded && mount.settle())
            #expect(try find("key = chr5", in: mount.root).status == 1)
            let kept = try find("key = chr5 and state = quarantined", in: mount.root)
            #expect(kept.output.contains("chr5.tsv") && kept.output.hasSuffix("\tquarantined\n"), "\(kept)")
        }

        /// Users of root's mount find what they may read, and nothing of what not.
        @Test(.enabled(if: geteuid() == 0, "only root acts as several users"), arguments: MountVariant.bothForAll)
        func severalUsers(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            for (user, name, mask) in [(User.alice, "chr1", "077"), (.bob, "chr2", "022"), (.alice, "chr3", "022")] {
                let made = try shell(
                    "umask \(mask); printf 'a\\tb\\n1\\t2\\n' > \(mount.production("base/splice_errors/\(name).tsv"))",
                    user: user)
                #expect(made.succeeded, "\(made)")
            }
            #expect(mount.settle())
            for (user, names) in [(User.alice, ["chr1", "chr2", "chr3"]), (.bob, ["chr2", "chr3"])] {
                let found = try find(
                    "type = splice_errors", "--columns", "key,user", "--sort", "key", in: mount.root, user: user)
                #expect(
                    found.output.split(separator: "\n").map { $0.split(separator: "\t")[0] }
                        == names.map { Substring($0) }, "\(found)")
                let direct = try find(in: mount.store, user: user)
                #expect(direct.status != 0 && direct.output.isEmpty, "\(direct)")
            }
            #expect(try find(in: mount.root).output.split(separator: "\n").count == 3)
            // What is measured in files of production, and each one's own that was kept back.
            let measured = try shell(
                "echo '{\"auc\": [0.5, NaN, 0.75]}' > \(mount.production("meta/meta_metrics/m.json"))", user: .alice)
            let killed = try shell(
                "exec 3> \(mount.production("base/splice_errors/chr9.tsv")); echo a >&3; kill -9 $$", user: .alice)
            #expect(measured.succeeded && !killed.succeeded && mount.settle())
            for user in [User.alice, .bob] {
                let found = try find("metric.auc > 0.7", "--columns", "name,min auc", in: mount.root, user: user)
                #expect(found.output == "m.json\t0.5\n", "\(user.user): \(found)")
                let kept = try find("state = quarantined", "--columns", "name", in: mount.root, user: user)
                #expect(kept.output == (user.user == User.alice.user ? "chr9.tsv\n" : ""), "\(user.user): \(kept)")
            }
            // Runs too: those whose sessions a user may read.
            for (user, experiment, mask) in [(User.alice, "secret", "077"), (.bob, "open", "022")] {
                let ran = try run(
                    [
                        "bash", "-c", "umask \(mask); exec \"$@\"", "run", try Mount.binary(), "run", "--experiment",
                        experiment, "--mount", mount.root, "--", "true",
                    ], user: user)
                #expect(ran.succeeded, "\(ran)")
            }
            for (user, experiments) in [(User.alice, ["open", "secret"]), (.bob, ["open"])] {
                let found = try run(
                    [
                        try Mount.binary(), "runs", "--store", mount.root, "--columns", "experiment,user", "--sort",
                        "experiment",
                    ], user: user)
                let names = found.output.split(separator: "\n").map { String($0.split(separator: "\t")[0]) }
                #expect(names == experiments, "\(user.user): \(found)")
            }
        }
    }
}
