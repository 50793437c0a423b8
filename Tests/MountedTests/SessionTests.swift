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
            // SEMANTICS 2.4: all other sessions are frozen.
            let old = mount.path("development/\(before)/base/analysis_sequences/chr1.tsv")
            #expect(answer { () throws(Errno) in try openAndClose(old, O_WRONLY) } == .notPermitted)
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
