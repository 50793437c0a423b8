import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 2.4 on the real mount: a session is read and written, an ended one is frozen, a test goes as it came.
extension MountedTests {
    @Suite struct SessionTests {
        @Test(arguments: MountVariant.both) func everythingInASessionMayBeOverwritten(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let session = mount.sessionName
            #expect(!mount.realFiles().contains { $0.contains(session) }, "the first write makes the directory")
            let path = mount.session("base/analysis_sequences/chr1.tsv")
            let real = mount.real("base_layer/dev/\(session)/analysis_sequences_chr1.tsv")
            for text in [table, "a\tb\n3\t4\n", "x\n"] {
                try write(text, to: path)
                #expect(try contents(path) == text)
                #expect(eventually { (try? contents(real)) == text })
            }
            try remove(path)
            #expect(!exists(real))
            try write("{}\n", to: mount.session("metadata.json"))
            #expect(
                answer { () throws(Errno) in try openAndClose(mount.session("notes.txt"), O_WRONLY | O_CREAT) }
                    == .invalidArgument, "a session's root takes metadata.json and nothing else")
        }

        @Test(arguments: MountVariant.both) func anEndedSessionIsFrozenAndCanBeResumed(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/model_eval"
            try Mount.initialize(store: store)
            let first = try Mount(store: store, variant)
            let session = first.sessionName
            try write(table, to: first.session("base/analysis_sequences/chr1.tsv"))
            _ = mkdir(first.session("scratch"), 0o755)
            try write("note", to: first.session("scratch/note"))
            #expect(try first.unmount() == 0)

            let second = try Mount(store: store, variant)
            #expect(second.sessionName != session, "a session's name is never used again")
            let path = second.path("development/\(session)/base/analysis_sequences/chr1.tsv")
            #expect(try contents(path) == table)
            let inside = second.path("development/\(session)/")
            for (what, body) in [
                ("overwrite", { () throws(Errno) in try openAndClose(path, O_WRONLY | O_TRUNC) }),
                ("remove", { () throws(Errno) in try remove(path) }),
                (
                    "create",
                    { () throws(Errno) in
                        try openAndClose(inside + "base/analysis_sequences/chr2.tsv", O_WRONLY | O_CREAT)
                    }
                ),
                ("write in scratch", { () throws(Errno) in try openAndClose(inside + "scratch/note", O_WRONLY) }),
                (
                    "create in scratch",
                    { () throws(Errno) in try openAndClose(inside + "scratch/n", O_WRONLY | O_CREAT) }
                ),
                ("mkdir in scratch", { () throws(Errno) in try check(mkdir(inside + "scratch/d", 0o755)) }),
                ("remove in scratch", { () throws(Errno) in try remove(inside + "scratch/note") }),
            ] as [(String, () throws(Errno) -> Void)] {
                let got = answer(body)
                #expect(got == .notPermitted, "\(what) in a frozen session: \(got.map { "\($0)" } ?? "success")")
            }
            #expect(try contents(path) == table)
            #expect(try second.unmount() == 0)

            let third = try Mount(store: store, variant.with { $0.session = session })
            #expect(third.sessionName == session)
            try write("a\tb\n5\t6\n", to: third.session("base/analysis_sequences/chr1.tsv"))
            #expect(try contents(third.session("base/analysis_sequences/chr1.tsv")) == "a\tb\n5\t6\n")
        }

        @Test(arguments: MountVariant.both) func mkdirBeginsAnotherSession(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let before = mount.sessionName
            try write(table, to: mount.session("base/analysis_sequences/chr1.tsv"))
            try check(mkdir(mount.path("development/20991231_235959"), 0o755))
            #expect(mount.sessionName == "20991231_235959", "current moves")
            try write(table, to: mount.session("base/analysis_sequences/chr1.tsv"))
            #expect(
                answer { () throws(Errno) in try check(mkdir(mount.path("development/notes"), 0o755)) }
                    == .invalidArgument)
            // SEMANTICS 2.4: what was begun on this mount stays live.
            let old = mount.path("development/\(before)/base/analysis_sequences/chr1.tsv")
            try write("x\n", to: old)
            #expect(try contents(mount.session("base/analysis_sequences/chr1.tsv")) == table)
        }

        /// The kernel keeps what `current` says: it must be told in time, or a program writes into the session that ended.
        @Test(arguments: MountVariant.both) func currentMovesAtOnce(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let current = mount.path("development/current")
            for second in 10..<40 {
                let name = "20190101_0000\(second)"
                _ = try linkTarget(current)
                try check(mkdir(mount.path("development/" + name), 0o755))
                #expect(try linkTarget(current) == name)
                try write(table, to: current + "/base/analysis_sequences/chr1.tsv")
                #expect(exists(mount.real("base_layer/dev/\(name)/analysis_sequences_chr1.tsv")))
            }
        }

        /// `artifactfs sessions`: all of them as a table, on the mount and in the store.
        @Test func sessionsAsATable() throws {
            let mount = try Mount()
            let ran = try run(
                [
                    try Mount.binary(), "run", "--experiment", "splice", "--", "bash", "-c",
                    "echo 12345 > development/current/scratch/notes",
                ], directory: mount.root)
            #expect(ran.succeeded, "\(ran)")
            for place in [mount.root, mount.store] {
                func table(_ words: String...) throws -> [[String]] {
                    let listed = try run([try Mount.binary(), "sessions", place] + words)
                    #expect(listed.succeeded, "\(listed)")
                    return listed.output.split(separator: "\n").map {
                        $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
                    }
                }
                let rows = try table()
                let ofRun = try #require(rows.first { $0[3] == "splice" }, "\(rows)")
                let owner = String(cString: getpwuid(geteuid()).pointee.pw_name)
                #expect(Array(ofRun[1...4]) == ["live", owner, "splice", "1"], "\(rows)")
                #expect(Int(ofRun[6]).map { $0 > 6 } == true, "\(rows)")
                #expect(rows.count == (place == mount.root ? 2 : 1), "the mount's own has no directory yet: \(rows)")
                #expect(try table("-n", "1").count == 1 && table("-n", "1")[0] == rows[0])
                #expect(try table("--sort", "-size")[0] == ofRun)
                #expect(try table("--tsv")[0] == ["session", "state", "user", "experiment", "runs", "files", "size"])
            }
            _ = try run([try Mount.binary(), "unmount", mount.root])
            let ended = try run([try Mount.binary(), "sessions", mount.store])
            #expect(ended.output.contains("\tended\t"), "\(ended)")
            let wrong = try run([try Mount.binary(), "sessions", mount.store, "--sort", "age"])
            #expect(wrong.status == 64 && wrong.errors.contains("session, state"), "\(wrong)")
        }

        /// Mounts of one store that begin in one second have sessions of their own, each of which is live on its own mount only.
        @Test(arguments: MountVariant.both) func mountsInOneSecondHaveSessionsOfTheirOwn(_ variant: MountVariant) throws
        {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/model_eval"
            try Mount.initialize(store: store)
            var seen: [String] = []
            for round in 0..<4 {
                let points = (0..<5).map { directory.path + "/m\(round).\($0)" }
                defer { for point in points { _ = try? run([Mount.binary(), "unmount", "--lazy", point]) } }
                // All at once, in the background as people do it.
                let starts = try points.map { point in
                    _ = mkdir(point, 0o755)
                    return try Child(
                        [Mount.binary(), "mount", store, point, "--durability=relaxed"]
                            + (variant.passthrough ? [] : ["--no-passthrough"]))
                }
                for start in starts { #expect(start.wait(seconds: 30) && start.status == 0, "\(start.errors)") }
                let sessions = starts.map { String($0.output.dropLast().suffix(15)) }
                for (point, session) in zip(points, sessions) {
                    #expect(try linkTarget(point + "/development/current") == session)
                    let file = "/base/splice_errors/chr1.tsv"
                    try write(table, to: point + "/development/current" + file)
                    for other in sessions where other != session && exists(point + "/development/\(other)" + file) {
                        #expect(
                            answer { () throws(Errno) in
                                try openAndClose(point + "/development/\(other)" + file, O_WRONLY)
                            } == .notPermitted, "another mount's session")
                    }
                }
                seen += sessions
                for point in points {
                    let unmounted = try run([Mount.binary(), "unmount", point])
                    #expect(unmounted.succeeded, "\(unmounted)")
                }
            }
            #expect(Set(seen).count == 20, "\(seen.sorted())")
        }

        /// `metadata.json` and `plots/` are there in sessions and tests, live and frozen, and nowhere else.
        @Test(arguments: MountVariant.both) func metadataAndPlots(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let session = "20991231_235958"
            try check(mkdir(mount.path("development/" + session), 0o755))
            #expect(mount.sessionName == session)
            try check(mkdir(mount.test("t"), 0o755))
            for (scope, real) in [
                (mount.session(""), "base_layer/dev/\(session)/"), (mount.test("t/"), "base_layer/tests/t/"),
            ] {
                #expect(try names(in: scope) == ["base", "logs", "meta", "plots", "scratch"])
                for text in ["{\"lr\": 1}\n", "{\"lr\": 2}\n"] {
                    try write(text, to: scope + "metadata.json")
                    #expect(try contents(mount.real(real + "metadata.json")) == text)
                }
                #expect(try names(in: scope) == ["base", "logs", "meta", "metadata.json", "plots", "scratch"])
                // Saved through a temporary name, as editors and Python do.
                try write("{}\n", to: scope + "metadata.json.tmp")
                #expect(!exists(mount.real(real + "metadata.json.tmp")))
                try move(scope + "metadata.json.tmp", scope + "metadata.json")
                #expect(try contents(mount.real(real + "metadata.json")) == "{}\n")

                for name in ["roc.png", "roc.pdf", "roc.svg"] {
                    for text in ["not a picture: nothing is checked here", "again"] {
                        try write(text, to: scope + "plots/" + name)
                        #expect(try contents(mount.real(real + "plots/" + name)) == text)
                    }
                }
                #expect(try names(in: scope + "plots") == ["roc.pdf", "roc.png", "roc.svg"])
                try write("x", to: scope + "plots/tmp1234")
                try move(scope + "plots/tmp1234", scope + "plots/pr.png")
                try remove(scope + "plots/roc.pdf")
                let before = mount.realFiles()
                for (what, body, expected) in [
                    (
                        "another name", { () throws(Errno) in try write("x", to: scope + "notes.json") },
                        .invalidArgument
                    ),
                    (
                        "no picture", { () throws(Errno) in try write("x", to: scope + "plots/roc.txt") },
                        .invalidArgument
                    ),
                    (
                        "a directory", { () throws(Errno) in try check(mkdir(scope + "plots/d", 0o755)) },
                        .invalidArgument
                    ),
                    ("a directory", { () throws(Errno) in try check(mkdir(scope + "d", 0o755)) }, .invalidArgument),
                    ("a link", { () throws(Errno) in try check(symlink("x", scope + "plots/l.png")) }, .notPermitted),
                    (
                        "a hard link",
                        { () throws(Errno) in try hardLink(scope + "plots/roc.png", scope + "plots/l.png") },
                        .notPermitted
                    ),
                    (
                        "a fifo", { () throws(Errno) in try check(mkfifo(scope + "metadata.json.tmp", 0o644)) },
                        .notPermitted
                    ),
                ] as [(String, () throws(Errno) -> Void, Errno)] {
                    #expect(answer(body) == expected, "\(what) in \(scope)")
                }
                #expect(mount.realFiles() == before)
            }
            for path in ["metadata.json", "plots/p.png", "base/plots/p.png", "base/metadata.json"] {
                #expect(answer { () throws(Errno) in try write("x", to: mount.production(path)) } != nil, "\(path)")
                #expect(answer { () throws(Errno) in try write("x", to: mount.session("base/" + path)) } != nil)
            }
            #expect(!exists(mount.production("plots")))

            // Frozen.
            #expect(try run([Mount.binary(), "session", "end", session, mount.root]).succeeded)
            let old = mount.path("development/\(session)/")
            #expect(try contents(old + "metadata.json") == "{}\n" && contents(old + "plots/pr.png") == "x")
            for name in ["metadata.json", "plots/pr.png", "plots/new.png"] {
                #expect(answer { () throws(Errno) in try write("x", to: old + name) } == .notPermitted, "\(name)")
            }
            #expect(answer { () throws(Errno) in try remove(old + "plots/pr.png") } == .notPermitted)
            // rm -r takes a test with all of it.
            #expect(try run(["rm", "-r", mount.test("t")]).succeeded && !exists(mount.real("base_layer/tests/t")))
        }

        @Test(arguments: MountVariant.both) func aTestGoesAsItCame(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try check(mkdir(mount.test("trial"), 0o755))
            try write(table, to: mount.test("trial/base/analysis_sequences/chr1.tsv"))
            _ = mkdir(mount.test("trial/scratch"), 0o755)
            try check(mkdir(mount.test("trial/scratch/deep"), 0o755))
            try write("x", to: mount.test("trial/scratch/deep/file"))
            #expect(mount.realFiles().contains("base_layer/tests/trial/analysis_sequences_chr1.tsv"))
            let removed = try run(["rm", "-r", mount.test("trial")])
            #expect(removed.succeeded, "\(removed)")
            #expect(!exists(mount.test("trial")))
            #expect(mount.realFiles() == ["base_layer", "meta_layer"], "whole, with the directory that held it")

            try check(mkdir(mount.test("trial"), 0o755))
            try write(table, to: mount.test("trial/base/analysis_sequences/chr1.tsv"))
            let outcome = try python("import shutil, sys; shutil.rmtree(sys.argv[1])", [mount.test("trial")])
            #expect(outcome.succeeded, "\(outcome)")
            #expect(!exists(mount.test("trial")) && !mount.realFiles().contains { $0.contains("trial") })
        }
    }
}
