import CLinux
import Glibc
import SystemPackage
import TestSupport
import Testing

/// `--read-only`: the kernel answers `EROFS` to every change, and reading works for all whom the modes allow it.
extension MountedTests {
    @Suite struct ReadOnlyTests {
        /// A store with a published file, one that only root may read, an ended session and a test.
        private func store(in directory: TemporaryDirectory) throws -> (path: String, session: String) {
            let store = directory.path + "/model_eval"
            try Mount.initialize(store: store)
            let mount = try Mount(store: store)
            let outcome = try shell(
                #"""
                set -e; printf 'a\tb\n1\t2\n' > production/base/analysis_sequences/chr1.tsv
                cp production/base/analysis_sequences/chr1.tsv development/current/base/splice_errors/
                (umask 077; printf 'a\tb\n1\t2\n' > production/base/analysis_sequences/chr2.tsv)
                printf x > development/current/scratch/file; mkdir test/t test/t/scratch/d; printf '{}' > test/t/metadata.json
                """#, in: mount.root)
            #expect(outcome.succeeded, "\(outcome)")
            let session = mount.sessionName
            #expect(try mount.unmount() == 0)
            return (store, session)
        }

        @Test(arguments: MountVariant.both) func everyChangeIsRefusedByTheKernel(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            let (store, session) = try store(in: directory)
            let before = tree(store)
            let mount = try Mount(store: store, variant.with { $0.readOnly = true })
            let typed = mount.production("base/analysis_sequences/")
            let files = [
                typed + "chr1.tsv", mount.path("development/\(session)/base/splice_errors/chr1.tsv"),
                mount.path("development/\(session)/scratch/file"), mount.test("t/metadata.json"),
            ]
            for path in files {
                let fresh = path.hasSuffix(".json") ? mount.test("t/plots/p.png") : String(path.dropLast(4)) + "9.tsv"
                for (what, body) in [
                    ("open O_WRONLY", { () throws(Errno) in try openAndClose(path, O_WRONLY) }),
                    ("open O_RDWR", { () throws(Errno) in try openAndClose(path, O_RDWR) }),
                    ("open O_WRONLY|O_TRUNC", { () throws(Errno) in try openAndClose(path, O_WRONLY | O_TRUNC) }),
                    ("open O_WRONLY|O_APPEND", { () throws(Errno) in try openAndClose(path, O_WRONLY | O_APPEND) }),
                    ("create", { () throws(Errno) in try openAndClose(fresh, O_WRONLY | O_CREAT) }),
                    ("create O_EXCL", { () throws(Errno) in try openAndClose(fresh, O_WRONLY | O_CREAT | O_EXCL) }),
                    ("truncate", { () throws(Errno) in try check(Glibc.truncate(path, 0)) }),
                    ("unlink", { () throws(Errno) in try remove(path) }),
                    ("rename", { () throws(Errno) in try move(path, fresh) }),
                    ("exchange", { () throws(Errno) in try exchange(path, path) }),
                    ("link", { () throws(Errno) in try hardLink(path, fresh) }),
                    ("symlink", { () throws(Errno) in try check(symlink("x", fresh)) }),
                    ("mkfifo", { () throws(Errno) in try check(mkfifo(fresh, 0o644)) }),
                    ("mkdir", { () throws(Errno) in try check(mkdir(fresh, 0o755)) }),
                    ("chmod", { () throws(Errno) in try setMode(path, 0o777) }),
                    ("chown", { () throws(Errno) in try check(chown(path, 1, 1)) }),
                    ("utimens", { () throws(Errno) in try setTimes(path, 1) }),
                    ("setxattr", { () throws(Errno) in try setExtendedAttribute("user.note", "n", of: path) }),
                    ("removexattr", { () throws(Errno) in try removeExtendedAttribute("user.note", of: path) }),
                ] as [(String, () throws(Errno) -> Void)] {
                    let got = answer(body)
                    #expect(got == .readOnlyFileSystem, "\(what) \(path): \(got.map { "\($0)" } ?? "success")")
                }
            }
            for (what, body) in [
                ("mkdir of a test", { () throws(Errno) in try check(mkdir(mount.test("u"), 0o755)) }),
                (
                    "mkdir of a session",
                    { () throws(Errno) in try check(mkdir(mount.path("development/20991231_235959"), 0o755)) }
                ),
                ("rmdir of a test", { () throws(Errno) in try check(rmdir(mount.test("t"))) }),
                ("rmdir in scratch", { () throws(Errno) in try check(rmdir(mount.test("t/scratch/d"))) }),
                ("chmod of a directory", { () throws(Errno) in try setMode(mount.production("base"), 0o777) }),
            ] as [(String, () throws(Errno) -> Void)] {
                let got = answer(body)
                #expect(got == .readOnlyFileSystem, "\(what): \(got.map { "\($0)" } ?? "success")")
            }
            for path in files.prefix(2) { #expect(try contents(path) == table) }
            #expect(try mount.unmount() == 0)
            #expect(tree(store) == before, "not even in .artifactfs")
        }

        @Test(arguments: MountVariant.both) func readingWorks(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            let (store, session) = try store(in: directory)
            let mount = try Mount(
                store: store, variant.with { ($0.readOnly, $0.allowOther) = (true, geteuid() == 0) })
            let path = mount.production("base/analysis_sequences/chr1.tsv")
            #expect(try contents(path) == table)
            #expect(try attributes(path).st_mode & 0o7777 == 0o444, "the real mode")
            #expect(mount.state(of: path) == "sealed")
            #expect(mount.sessionName == session, "the newest session")
            #expect(try names(in: mount.path("development/current/scratch")) == ["file"])
            #expect(try mount.status().contains(#""read_only":true"#))
            let outcome = try shell(
                "awk -F'\\t' 'NR > 1 { print $2 }' production/base/*/chr1.tsv; grep -rl 1 development | sort; "
                    + "python3 -c 'import mmap; f = open(\"production/base/analysis_sequences/chr1.tsv\", \"rb\"); "
                    + "print(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[:3])'", in: mount.root)
            #expect(outcome.output == "2\ndevelopment/\(session)/base/splice_errors/chr1.tsv\nb'a\\tb'\n", "\(outcome)")
            // What somebody publishes at the real path, another mount for instance, appears.
            do {
                let writing = try Mount(store: store, variant)
                try write(table, to: writing.production("base/analysis_sequences/chr3.tsv"))
                #expect(try writing.unmount() == 0)
            }
            #expect(
                eventually(within: 30) {
                    (try? contents(mount.production("base/analysis_sequences/chr3.tsv"))) == table
                })
            guard geteuid() == 0 else { return }
            #expect(try answer("assert open(p[0]).read() == 'a\\tb\\n1\\t2\\n'", path, as: .bob) == "ok")
            #expect(
                try answer("open(p[0])", mount.production("base/analysis_sequences/chr2.tsv"), as: .bob) == "EACCES")
            #expect(try answer("open(p[0], 'w')", path, as: .bob) == "EROFS")
        }
    }
}
