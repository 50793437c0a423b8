import Glibc
import SystemPackage
import TestSupport
import Testing

extension MountedTests {
    /// `artifactfs gc`: what is old goes, what somebody needs stays, and mounts notice.
    @Suite struct ClearingTests {
        /// A store with old sessions, each with two files in two layers and a private directory.
        struct Sessions {
            let directory: TemporaryDirectory
            let store: String
            static let all = (10...15).map { "202001\($0)_000000" }

            init(count: Int = 6, in parent: String? = nil) throws {
                directory = try TemporaryDirectory()
                store = (parent ?? directory.path) + "/store"
                try Mount.initialize(store: store)
                let made = try shell(
                    """
                    set -e
                    mkdir base_layer/dev meta_layer/dev
                    for n in $(seq 10 \(9 + count)); do
                        s=202001${n}_000000
                        mkdir -p base_layer/dev/$s/scratch/deep meta_layer/dev/$s/predictions
                        printf 'a\\tb\\n%d\\t1\\n' $n > base_layer/dev/$s/splice_errors_chr1.tsv
                        echo $n > base_layer/dev/$s/scratch/deep/notes
                        echo "{\\"metrics\\": {\\"loss\\": $n}}" > base_layer/dev/$s/metadata.json
                        printf 'a\\tb\\n%d\\t2\\n' $n > meta_layer/dev/$s/predictions/meta_predictions.tsv
                        find base_layer/dev/$s meta_layer/dev/$s -exec touch -h -d "2020-01-$n 12:00 UTC" {} +
                    done
                    """, in: store)
                #expect(made.succeeded, "\(made)")
            }

            func gc(_ words: String..., place: String? = nil) throws -> Outcome {
                try run([try Mount.binary(), "gc", place ?? store] + words)
            }

            /// The sessions that are there, in any layer.
            var left: [String] {
                Set(["base_layer", "meta_layer"].flatMap { (try? names(in: "\(store)/\($0)/dev")) ?? [] }).sorted()
            }

            func ledger(_ event: String) throws -> [String] {
                try tree(store + "/.artifactfs/ledger").flatMap { name in
                    try contents(store + "/.artifactfs/ledger/" + name).split(separator: "\n").map(String.init)
                }.filter { $0.contains("\"event\":\"\(event)\"") }
            }
        }

        /// Nothing goes without `--delete`, and nothing without a rule.
        @Test func nothingGoesByAccident() throws {
            let sessions = try Sessions()
            let before = tree(sessions.store)
            let none = try sessions.gc("--delete")
            #expect(none.succeeded && none.output.contains("nothing is to go: say what stays"), "\(none)")
            let shown = try sessions.gc("--keep-last", "2")
            #expect(shown.succeeded && sessions.left == Sessions.all, "\(shown)")
            for text in [
                "would remove 4 sessions, 1", "--delete removes it", "2 sessions stay: 2 of the last 2",
                "20200110_000000  2020-01-10      4",
            ] { #expect(shown.output.contains(text), "\(text) of \(shown)") }
            #expect(try sessions.gc("--keep-last", "2", "--json").output.split(separator: "\n").count == 6)
            #expect(
                tree(sessions.store).filter { !$0.hasPrefix(".artifactfs") }
                    == before.filter { !$0.hasPrefix(".artifactfs") })
            for (words, text) in [
                (["--keep-last", "0"], "would keep none"), (["--keep-last", "-3"], "would keep none"),
                (["--keep-within", "0d"], "no span of time"), (["--keep-within", "soon"], "no span of time"),
                (["--session", "../../etc"], "YYYYMMDD_HHMMSS"),
                (["--session", "20200110_000000", "--keep-last", "1"], "goes without"),
            ] {
                let wrong = try run([try Mount.binary(), "gc", sessions.store, "--delete"] + words)
                #expect(wrong.status == 64 && wrong.errors.contains(text), "\(words): \(wrong)")
            }
            let unknown = try sessions.gc("--session", "20300101_000000", "--delete")
            #expect(unknown.status == 2 && unknown.errors.contains("there is no session"), "\(unknown)")
            #expect(try run([try Mount.binary(), "gc", "/usr"]).status == 3)
            #expect(sessions.left == Sessions.all)
        }

        @Test func whatNoRuleKeepsGoes() throws {
            let sessions = try Sessions()
            // Old, and changed now.
            try write("x", to: sessions.store + "/base_layer/dev/20200111_000000/scratch/deep/new")
            let done = try sessions.gc("--keep-last", "2", "--keep-within", "1h", "--delete")
            #expect(done.succeeded && done.output.contains("removed 3 sessions"), "\(done)")
            #expect(sessions.left == ["20200111_000000", "20200114_000000", "20200115_000000"])
            #expect(tree(sessions.store + "/.artifactfs/staging") == [])
            let lines = try sessions.ledger("session-removed")
            #expect(lines.count == 3 && lines[0].contains(#""files":4,"#) && lines[0].contains(#"\"loss\": 10"#))
            #expect(lines[0].contains("it is none of the last 2, and was not changed within 1h"))
            let one = try sessions.gc("--session", "20200114_000000", "--delete")
            #expect(one.succeeded && sessions.left == ["20200111_000000", "20200115_000000"], "\(one)")
            let history = try run(
                [
                    try Mount.binary(), "history", "development/20200110_000000/base/splice_errors/chr1.tsv", "--store",
                    sessions.store,
                ])
            #expect(history.succeeded && history.output.contains("session-removed"), "\(history)")
            #expect(try run([try Mount.binary(), "audit", sessions.store]).succeeded)
            let empty = try TemporaryDirectory()
            let resumed = try run(
                [try Mount.binary(), "mount", "--session", "20200110_000000", sessions.store, empty.path])
            #expect(resumed.status != 0 && resumed.errors.contains("'artifactfs gc' has removed it"), "\(resumed)")
        }

        /// What was made from a file of a session keeps it, until production has the same bytes or the file has others.
        @Test func whatProductionWasMadeFromStays() throws {
            let sessions = try Sessions()
            let mount = try Mount(store: sessions.store)
            let made = try run(
                [
                    "bash", "-c",
                    """
                    d=development; p=production/base/splice_errors
                    for n in 10 11 12; do awk 1 $d/202001${n}_000000/base/splice_errors/chr1.tsv | sed s/1/7/ > $p/chr$n.tsv; done
                    cp $d/20200113_000000/base/splice_errors/chr1.tsv $p/chr13.tsv
                    cp $d/20200111_000000/base/splice_errors/chr1.tsv $p/chrX.tsv
                    """,
                ], directory: mount.root)
            #expect(made.succeeded && mount.settle(), "\(made)")
            // Another file by now: what was read is nowhere.
            let changed = try shell(
                "f=base_layer/dev/20200112_000000/splice_errors_chr1.tsv; echo >> $f", in: sessions.store)
            #expect(changed.succeeded)
            for place in [sessions.store, mount.root] {
                let shown = try sessions.gc("--keep-last", "1", place: place)
                #expect(shown.succeeded, "\(shown)")
                #expect(
                    shown.output.contains(
                        "20200110_000000 stays: production/base/splice_errors/chr10.tsv was made from "
                            + "development/20200110_000000/base/splice_errors/chr1.tsv"), "\(shown)")
                for other in ["11", "12", "13", "14"] {
                    #expect(shown.output.contains("session  202001\(other)_000000"), "\(other) of \(shown)")
                }
                #expect(shown.output.contains("2 sessions stay: 1 needed, 1 of the last 1"), "\(shown)")
            }
            // Whoever names it is told.
            let named = try sessions.gc("--session", "20200110_000000", "--delete")
            #expect(named.status == 1 && named.output.contains("stays: production/"), "\(named)")
            let json = try sessions.gc("--keep-last", "1", "--json")
            #expect(
                json.output.contains(
                    #""why":"needed","needed_by":"production/base/splice_errors/chr10.tsv","input":"development/20200110"#
                ),
                "\(json)")
            // Without what was made from it nobody needs it.
            #expect(try shell("rm -f base_layer/splice_errors_chr10.tsv", in: sessions.store).succeeded)
            let done = try sessions.gc("--keep-last", "1", "--delete")
            #expect(done.succeeded && sessions.left.first == "20200115_000000", "\(done)")
            #expect(
                try run([try Mount.binary(), "verify", "--store", sessions.store, "type = splice_errors"]).status == 1)
        }

        /// A session that a mount has stays, whatever is said; it is told which.
        @Test func liveOnesStay() throws {
            let sessions = try Sessions()
            let mount = try Mount(store: sessions.store, MountVariant(session: "20200112_000000"))
            let done = try sessions.gc("--keep-last", "1", "--delete")
            #expect(done.succeeded && done.output.contains("1 live"), "\(done)")
            #expect(sessions.left == ["20200112_000000", "20200115_000000"])
            #expect(try contents(mount.session("metadata.json")).contains("12"))
            let named = try sessions.gc("--session", "20200112_000000", "--delete")
            #expect(named.status == 1 && named.output.contains("stays: a mount has it"), "\(named)")
            try mount.unmount()
            #expect(try sessions.gc("--session", "20200112_000000", "--delete").succeeded)
            #expect(sessions.left == ["20200115_000000"])
        }

        /// Mounts that live show at once, or soon, what is there; what is open can be read.
        @Test(arguments: [false, true]) func mountsNotice(readOnly: Bool) throws {
            let sessions = try Sessions()
            let mount = try Mount(store: sessions.store, MountVariant(readOnly: readOnly))
            let old = mount.path("development/20200110_000000")
            let files = ["base/splice_errors/chr1.tsv", "scratch/deep/notes", "metadata.json"]
            for file in files { #expect(!(try contents(old + "/" + file)).isEmpty) }
            let notes = try FileDescriptor.open(old + "/scratch/deep/notes", .readOnly)
            defer { try? notes.close() }
            let done = try sessions.gc("--keep-last", "3", "--delete")
            #expect(done.succeeded, "\(done)")
            #expect(try names(in: mount.path("development")).contains("20200110_000000") == false)
            for file in files + ["", "base", "base/splice_errors", "scratch"] {
                #expect(eventually(within: 5) { !exists(old + "/" + file) }, "\(file)")
            }
            var buffer = [UInt8](repeating: 0, count: 10)
            let count = try buffer.withUnsafeMutableBytes { try notes.read(fromAbsoluteOffset: 0, into: $0) }
            #expect(buffer.prefix(count).elementsEqual("10\n".utf8))
            for file in files {
                #expect(!(try contents(mount.path("development/20200115_000000/" + file))).isEmpty, "others are there")
            }
            guard !readOnly else { return }
            // Its name is not given again.
            #expect(mkdir(old, 0o755) != 0)
            try write("a\tb\n1\t2\n", to: mount.session("base/splice_errors/chr1.tsv"))
        }

        /// On the mount an ended session is not removed; the refusal says what does.
        @Test func theRefusalNamesIt() throws {
            let sessions = try Sessions()
            let mount = try Mount(store: sessions.store)
            let removed = try run(["rm", "-r", mount.path("development/20200110_000000")])
            #expect(removed.status == 1 && sessions.left == Sessions.all, "\(removed)")
            let explained = try run(
                [try Mount.binary(), "explain", "remove", mount.path("development/20200110_000000/metadata.json")])
            #expect(explained.output.contains("frozen-session"), "\(explained)")
            #expect(
                explained.output.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains(
                    "'artifactfs gc'"))
        }

        /// What was kept back and what was left go by age, when that is asked for, and nothing else does.
        @Test func quarantineAndTemporaryFiles() throws {
            let sessions = try Sessions()
            let mount = try Mount(store: sessions.store)
            let bad = try run(
                [
                    "bash", "-c",
                    """
                    for n in 1 2; do sh -c 'printf "a\\tb\\n1\\t2\\n"; exit 3' > production/base/splice_errors/chr$n.tsv; done
                    artifact=production/meta/meta_checkpoints/checkpoint-1; mkdir $artifact; echo '{}' > $artifact/a.json; false
                    echo x > production/base/splice_errors/.chr3.tsv.abcdef
                    """,
                ], directory: mount.root)
            #expect(eventually { mount.quarantined().count >= 2 }, "\(bad), \(mount.quarantined())")
            mount.kill()
            let kept = try run([try Mount.binary(), "recover", "list", sessions.store])
            #expect(kept.output.contains("kept back"), "\(kept)")
            let young = try sessions.gc("--quarantine-older-than", "1h", "--temporary-older-than", "1h", "--delete")
            #expect(young.succeeded && young.output.contains("nothing was removed"), "\(young)")
            let entries = try names(in: sessions.store + "/.artifactfs/quarantine").filter {
                !$0.hasSuffix(".reason.json")
            }
            #expect(entries.count >= 2)
            // As if a year had passed: the time is in the reason and in the name.
            let isOld = eventually {
                (try? sessions.gc("--temporary-older-than", "1s"))?.output.contains("temporary  ") == true
            }
            #expect(isOld, "it gets old")
            let temporary = try sessions.gc("--temporary-older-than", "1s", "--delete")
            #expect(
                temporary.succeeded && temporary.output.contains("removed 1 temporary file, 2 bytes"), "\(temporary)")
            #expect(try sessions.ledger("removed-transient").count == 1)
            let aged = try shell(
                """
                cd .artifactfs/quarantine
                for f in *; do sed -i 's/"time":"2026/"time":"2020/' "$f"; done
                """, in: sessions.store)
            #expect(aged.succeeded, "\(aged)")
            let shown = try sessions.gc("--quarantine-older-than", "90d")
            #expect(shown.succeeded && shown.output.contains("would remove \(entries.count) of quarantine"), "\(shown)")
            #expect(try names(in: sessions.store + "/.artifactfs/quarantine").count >= entries.count)
            let done = try sessions.gc("--quarantine-older-than", "90d", "--delete")
            #expect(done.succeeded && done.output.contains("removed \(entries.count) of quarantine"), "\(done)")
            #expect(try names(in: sessions.store + "/.artifactfs/quarantine") == [])
            #expect(try sessions.ledger("discarded").count == entries.count && sessions.left == Sessions.all)
        }

        /// What is mounted in a session is another's: nothing of it is touched.
        @Test(.enabled(if: geteuid() == 0, "needs to mount")) func whatIsMountedInASession() throws {
            let sessions = try Sessions()
            let precious = try TemporaryDirectory()
            try write("precious", to: precious.path + "/file")
            let place = sessions.store + "/base_layer/dev/20200110_000000/scratch/deep"
            #expect(try run(["mount", "--bind", precious.path, place]).succeeded)
            defer { _ = try? run(["umount", "-l", place]) }
            let done = try sessions.gc("--session", "20200110_000000", "--delete")
            #expect(done.status == 1 && done.output.contains("something is mounted in it"), "\(done)")
            #expect(sessions.left == Sessions.all)
            #expect(try contents(precious.path + "/file") == "precious")
            // Of a path with a link in it too.
            let link = sessions.directory.path + "/link"
            #expect(symlink(sessions.store, link) == 0)
            let linked = try sessions.gc("--keep-last", "5", "--delete", place: link)
            #expect(linked.output.contains("something is mounted in it"), "\(linked)")
            #expect(try contents(precious.path + "/file") == "precious" && sessions.left == Sessions.all)
        }

        /// A store's owner who is not root removes nothing of others', and nothing by half.
        @Test(.enabled(if: geteuid() == 0, "makes files of two users")) func ofOtherUsers() throws {
            let user = try OrdinaryUser()
            let made = try user.shell(
                """
                set -e
                artifactfs init s > /dev/null
                for n in 10 11; do mkdir -p s/base_layer/dev/202001${n}_000000/scratch/own s/meta_layer/dev/202001${n}_000000; done
                """)
            #expect(made.succeeded, "\(made)")
            let others = user.home + "/s/base_layer/dev/20200110_000000/scratch/others"
            #expect(mkdir(others, 0o755) == 0)
            try write("x", to: others + "/file")
            let done = try user.artifactfs(
                "gc", user.home + "/s", "--session", "20200110_000000", "--session", "20200111_000000", "--delete")
            #expect(done.status == 1 && done.output.contains("scratch/others belongs to root"), "\(done)")
            #expect(try contents(others + "/file") == "x")
            #expect(exists(user.home + "/s/meta_layer/dev/20200110_000000"))
            #expect(!exists(user.home + "/s/base_layer/dev/20200111_000000"))
            // Who is neither owner nor root is told who may.
            let stranger = try Sessions()
            let refused = try user.artifactfs("gc", stranger.store, "--keep-last", "1")
            #expect(refused.status == 2 && refused.errors.contains("its owner and root make room"), "\(refused)")
            // Root removes all.
            let root = try run(
                [try Mount.binary(), "gc", user.home + "/s", "--session", "20200110_000000", "--delete"])
            #expect(root.succeeded && !exists(others), "\(root)")
        }

        /// Metrics are found as before, by a catalog that goes on and by one that is made anew.
        @Test func metricsStay() throws {
            let sessions = try Sessions()
            let mount = try Mount(store: sessions.store)
            let ran = try run(
                [
                    try Mount.binary(), "run", "--experiment", "e", "--", "bash", "-c",
                    "echo '{\"auc\": 0.75}' > development/current/meta/meta_metrics/m.json",
                ], directory: mount.root)
            #expect(ran.succeeded, "\(ran)")
            try mount.unmount()
            func found() throws -> String {
                let found = try run(
                    [
                        try Mount.binary(), "runs", "metric.auc > 0.5", "--columns", "run,metric.auc,session",
                        "--store",
                        sessions.store,
                    ])
                return found.output
            }
            let before = try found()
            #expect(before.contains("0.75"))
            let session = try #require(sessions.left.last)
            #expect(try sessions.gc("--session", session, "--delete").succeeded)
            #expect(try found() == before)
            let id = try #require(before.split(separator: "\t").first.map(String.init))
            let shown = try run([try Mount.binary(), "runs", "show", id, sessions.store])
            #expect(shown.output.contains("\(session), which was removed since"), "\(shown)")
            #expect(try run([try Mount.binary(), "reindex", "--store", sessions.store]).succeeded)
            #expect(try found() == before)
        }

        /// Former versions go where the schema lets them, and nothing that a tag shows, that something was made from, or that is signed.
        @Test(arguments: MountVariant.both) func formerVersions(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let files = try TemporaryDirectory()
            func command(_ words: String...) throws -> Outcome { try run([try Mount.binary()] + words) }
            func publish(_ path: String, _ number: Int) throws {
                try write("a\tb\n\(number)\t2\n", to: mount.production(path))
                #expect(mount.isSealed(mount.production(path)))
            }
            let errors = mount.production("base/splice_errors")
            let (path, shown) = ("production/base/splice_errors/chr1.tsv", errors + "/chr1.tsv")
            for number in 1...6 {
                try publish("base/splice_errors/chr1.tsv", number)
                if number == 2 { #expect(try command("tag", "paper", "--store", mount.store).succeeded) }
                if number == 3 {
                    let made = try shell(
                        "awk 1 production/base/splice_errors/chr1.tsv > production/base/analysis_sequences/chr1.tsv",
                        in: mount.root)
                    #expect(made.succeeded && mount.settle(), "\(made)")
                    // What it was made from is needed by what that was made from, and so on.
                    #expect(
                        try command("retract", "--reason", "r", mount.production("base/analysis_sequences/chr1.tsv"))
                            .succeeded)
                }
                if number == 4 {
                    #expect(
                        try shell(
                            "openssl ecparam -genkey -name prime256v1 -noout -out key.pem && chmod 600 key.pem",
                            in: files.path
                        ).succeeded)
                    let signed = try command("attest", path, "--store", mount.store, "--key", files.path + "/key.pem")
                    #expect(signed.succeeded, "\(signed)")
                }
                if number < 6 { #expect(try command("retract", "--reason", "r\(number)", shown).succeeded) }
            }
            let shelf = mount.real(".artifactfs/versions/base_layer%2Fsplice_errors_chr1.tsv")
            let all = (1...5).flatMap { ["\($0)", "\($0).json"] }
            let none = try command("gc", "--versions", "--delete", mount.store)
            #expect(none.succeeded && none.output.contains("6 that the schema keeps"), "\(none)")
            #expect(try names(in: shelf).sorted() == all)

            // The schema is read when the command begins.
            let schema = mount.real(".artifactfs/schema.yaml")
            let text = try contents(schema)
            try write(
                text.replacing(
                    "    names: chromosome\n    checks: true\n  splice_errors:",
                    with: "    names: chromosome\n    checks: true\n    keep_versions: all\n  splice_errors:"
                ).replacing("keep_versions: all\n\n", with: "keep_versions: {last: 1}\n\n"), to: schema)
            let dry = try command("gc", "--versions", "--json", mount.store)
            let lines = dry.output.split(separator: "\n").map(String.init).filter { $0.contains(#""kind":"version""#) }
            for (number, why) in [
                (2, #""why":"tag","tag":"paper""#),
                (3, #""why":"needed","needed_by":"production/base/analysis_sequences/chr1.tsv""#),
                (4, #""why":"signed""#), (5, #""why":"last""#),
                (1, #""action":"remove","removed":false,"files":1,"bytes":8"#),
            ] {
                let line = lines.first { $0.contains("splice_errors/chr1.tsv@\(number)\"") }
                #expect(line?.contains(why) == true, "\(number): \(dry)")
            }
            #expect(lines.contains { $0.contains("analysis_sequences/chr1.tsv@1") && $0.contains("no-rule") }, "\(dry)")
            #expect(try names(in: shelf).sorted() == all, "a dry run by default")

            // Who has it open reads on.
            let reader = try FileDescriptor.open(errors + "/.meta/chr1.tsv.versions/1", .readOnly)
            defer { try? reader.close() }
            let done = try command("gc", "--versions", "--delete", mount.root)
            #expect(done.succeeded && done.output.contains("removed 1 former version, 8 bytes"), "\(done)")
            #expect(try names(in: shelf).sorted() == ["1.removed"] + all.dropFirst(2))
            var buffer = [UInt8](repeating: 0, count: 100)
            let count = try buffer.withUnsafeMutableBytes { try reader.read(fromAbsoluteOffset: 0, into: $0) }
            #expect(String(decoding: buffer[..<count], as: UTF8.self) == "a\tb\n1\t2\n")

            // Everything says what became of it.
            let words = "its bytes were removed by gc on 2"
            for place in [[shown], ["--store", mount.store, path]] {
                let versions = try run([try Mount.binary(), "versions"] + place)
                #expect(versions.succeeded && versions.output.contains("r1; " + words), "\(versions)")
                let json = try run([try Mount.binary(), "versions", "--json"] + place)
                #expect(
                    json.output.contains(#""removed":{"time":"2"#) && !json.output.contains(#""missing":true"#),
                    "\(json)")
            }
            #expect(try names(in: errors + "/.meta/chr1.tsv.versions").sorted() == ["1.json"] + all.dropFirst(2))
            #expect(try contents(errors + "/.meta/chr1.tsv.versions/1.json").contains("\"removed\":{"))
            let verify = try command("verify", mount.store)
            #expect(
                verify.succeeded && verify.output.contains("the bytes of 1 former version were removed by gc"),
                "\(verify)")
            let named = try command("verify", "--store", mount.store, path)
            #expect(named.succeeded && named.output.contains("\(path)@1: " + words), "\(named)")
            let audit = try command("audit", mount.store)
            #expect(audit.succeeded && audit.output.contains("removed by gc"), "\(audit)")
            #expect(try command("lineage", shown + "@1").output.contains(words))
            #expect(try command("history", shown).output.contains("version-removed version 1, by "))
            #expect(try command("doctor", mount.store).succeeded)
            #expect(
                try command(
                    "find", "--store", mount.store, "state = retracted and removed > 2020-01-01", "--columns", "path"
                ).output == path + "\n")

            // Of a moment in which it had the name.
            let first = try contents(shelf + "/1.removed")
            let moment = try #require(first.split(separator: "\"sealed\":\"").last?.prefix(30))
            let before = try command("production", "--at", String(moment), mount.store)
            #expect(before.succeeded && before.output == path + "\n" && before.errors.contains(words), "\(before)")
            let then = files.path + "/then"
            #expect(mkdir(then, 0o755) == 0)
            let mounted = try command("mount", "--as-of", String(moment), mount.store, then)
            #expect(
                mounted.succeeded && mounted.errors.contains("1 artifact of that moment cannot be shown"), "\(mounted)")
            #expect(try names(in: then + "/production/base/splice_errors") == [])
            #expect(try command("unmount", then).succeeded)
            let tagged = try command("mount", "--as-of", "paper", mount.store, then)
            #expect(tagged.succeeded && tagged.errors == "", "\(tagged)")
            #expect(try contents(then + "/production/base/splice_errors/chr1.tsv") == "a\tb\n2\t2\n")
            #expect(try command("unmount", then).succeeded)
        }

        /// Killed at many moments: each version is there, or what is left of it says that it was removed.
        @Test func versionsKilledOnTheirWay() throws {
            var random = SplitMix64(seed: Seed.fromEnvironment())
            let mount = try Mount()
            let script = """
                set -e
                for n in $(seq 1 22); do printf 'a\\tb\\n%d\\t2\\n' $n > production/base/splice_errors/chr$n.tsv; done
                """
            for _ in 0..<3 {
                #expect(try shell(script, in: mount.root).succeeded && mount.settle())
                let paths = (1...22).map { mount.production("base/splice_errors/chr\($0).tsv") }
                #expect(try run([try Mount.binary(), "retract", "--reason", "r"] + paths).succeeded)
            }
            try mount.unmount()
            let schema = mount.real(".artifactfs/schema.yaml")
            try write(
                try contents(schema).replacing("keep_versions: all", with: "keep_versions: {last: 1}"), to: schema)
            let shelf = mount.real(".artifactfs/versions")
            func count(_ suffix: String) -> Int { tree(shelf).count { $0.hasSuffix(suffix) } }
            let gc = [try Mount.binary(), "gc", "--versions", "--delete", mount.store]
            var target = 0
            while target < 44 {
                target = Int.random(in: target...44, using: &random) + 1
                let child = try Child(gc)
                #expect(eventually { count(".removed") >= min(44, target) || !child.isRunning })
                child.kill()
                #expect(try run([try Mount.binary(), "gc", "--delete", mount.store, "--keep-last", "99"]).succeeded)
                #expect(
                    count("/1") + count("/2") + count("/3")
                        + tree(shelf).count { name in
                            name.hasSuffix(".removed") && !tree(shelf).contains(String(name.dropLast(8)))
                        } == 66)
                #expect(try run([try Mount.binary(), "audit", mount.store]).succeeded)
            }
            #expect(try run(gc).succeeded && count(".removed") == 44 && count("/3") == 22)
            #expect(try run([try Mount.binary(), "doctor", mount.store]).succeeded)
        }

        /// Killed at many moments, and begun again: each session is there as it was or gone with its line, and at the end those are gone that were to go.
        @Test func killedOnItsWay() throws {
            var random = SplitMix64(seed: Seed.fromEnvironment())
            for _ in 0..<6 {
                let sessions = try Sessions(count: 20)
                let whole = tree(sessions.store).filter { $0.contains("/dev/") }
                var target = 19
                while target > 1 {
                    target = Int.random(in: 0..<target, using: &random)
                    let gc = try Child([try Mount.binary(), "gc", sessions.store, "--keep-last", "1", "--delete"])
                    // In the middle of the removals, or of what comes before or after.
                    #expect(eventually { sessions.left.count <= max(1, target) || !gc.isRunning })
                    gc.kill()
                    let opened = try run([try Mount.binary(), "gc", sessions.store, "--keep-last", "20", "--delete"])
                    #expect(opened.succeeded, "\(opened)")
                    let (left, removed) = (sessions.left, try sessions.ledger("session-removed"))
                    for name in (10..<30).map({ "202001\($0)_000000" }) {
                        let isTold = removed.contains { $0.contains("\"session\":\"\(name)\"") }
                        #expect(isTold != left.contains(name), "\(name)")
                    }
                    let files = tree(sessions.store).filter { $0.contains("/dev/") }
                    #expect(files == whole.filter { file in left.contains { file.contains($0) } })
                    #expect(tree(sessions.store + "/.artifactfs/staging") == [])
                }
                #expect(try sessions.gc("--keep-last", "1", "--delete").succeeded && sessions.left.count == 1)
                #expect(try run([try Mount.binary(), "audit", sessions.store]).succeeded)
            }
        }

        /// A full disk is what it is for.
        @Test(.enabled(if: geteuid() == 0, "needs to mount a file system")) func onAFullDisk() throws {
            let disk = try TemporaryDirectory()
            #expect(try run(["mount", "-t", "tmpfs", "-o", "size=4m", "room", disk.path]).succeeded)
            defer { _ = try? run(["umount", "-l", disk.path]) }
            let sessions = try Sessions(in: disk.path)
            let mount = try Mount(store: sessions.store)
            try mount.unmount()
            let filler = sessions.store + "/base_layer/dev/20200110_000000/scratch/filler"
            #expect(try shell("head -c 16M /dev/zero > \(filler) 2> /dev/null; test -s \(filler)").succeeded)
            #expect(try !shell("echo x > \(disk.path)/new; test -s \(disk.path)/new").succeeded, "it is full")
            let done = try sessions.gc("--session", "20200110_000000", "--delete")
            #expect(done.succeeded && done.output.contains("removed 1 session"), "\(done)")
            #expect(sessions.left == Array(Sessions.all.dropFirst()))
            #expect(try sessions.ledger("session-removed").count { $0.contains(#"\"loss\": 10"#) } == 1)
            #expect(try shell("echo x > \(disk.path)/new; test -s \(disk.path)/new").succeeded, "there is room")
            #expect(try run([try Mount.binary(), "audit", sessions.store]).succeeded)
        }
    }
}
