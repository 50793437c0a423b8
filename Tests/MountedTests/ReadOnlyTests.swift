import CLinux
import Glibc
import SystemPackage
import TestSupport
import Testing

/// `--read-only`: the kernel answers `EROFS` to every change, and reading works for all whom the modes allow it.
extension MountedTests {
    @Suite struct ReadOnlyTests {
        /// Without opens, also where the driver would move all bytes, and with.
        private static let ways = MountVariant.both + [MountVariant(options: "passthrough")]

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

        @Test(arguments: ways) func everyChangeIsRefusedByTheKernel(_ variant: MountVariant) throws {
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

        /// The kernel opens files of a read-only mount by itself and keeps what it read; what another mount writes is seen all the
        /// same, as soon as its writer has closed it.
        @Test(arguments: ways) func whatAnotherMountWritesIsSeen(_ variant: MountVariant) throws {
            let writing = try Mount(variant)
            let reading = try Mount(store: writing.store, variant.with { $0.readOnly = true })
            for name in ["base/splice_errors/chr1.tsv", "scratch/file", "logs/run.log"] {
                let (from, to) = (writing.session(name), reading.path("development/\(writing.sessionName)/\(name)"))
                for round in 0..<20 {
                    try write("round \(round % 10), of one size\n", to: from)
                    #expect(try contents(to) == "round \(round % 10), of one size\n", "\(name)")
                }
                let open = try openFile(to, O_RDONLY)
                for round in 0..<20 {
                    let appended = try run(["sh", "-c", "echo line \(round) >> \(from)"])
                    #expect(appended.succeeded, "\(appended)")
                    #expect(try contents(to).hasSuffix("line \(round)\n"), "\(name)")
                }
                var last = UInt8(0)
                let end = off_t(try contents(from).utf8.count)
                #expect(
                    pread(open, &last, 1, end - 2) == 1 && last == UInt8(ascii: "9"), "through a handle opened before")
                try closeFile(open)
            }
            let directory = reading.production("base/analysis_sequences")
            for number in 1...5 {
                try write(table, to: writing.production("base/analysis_sequences/chr\(number).tsv"))
                #expect(eventually { (try? contents(directory + "/chr\(number).tsv")) == table })
                #expect(eventually { (try? names(in: directory))?.count == number }, "listed within two seconds")
            }
            sleep(3)
            // From now on the kernel answers listings itself.
            for _ in 0..<3 { #expect(try names(in: directory).count == 5) }
            try write(table, to: writing.production("base/analysis_sequences/chr6.tsv"))
            #expect(eventually { (try? names(in: directory))?.count == 6 })
            let first = try reading.status()
            #expect(try eventually { try reading.status() != first }, "the uptime")
            #expect(first.hasSuffix("}\n"))
        }

        /// What a person does to production's real files: the kernel, which would trust what it knows of sealed files for ten minutes,
        /// is told.
        @Test(arguments: ways) func whatAPersonChangesIsSeen(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            let (store, _) = try store(in: directory)
            let mount = try Mount(store: store, variant.with { $0.readOnly = true })
            let (name, real) = (
                mount.production("base/analysis_sequences/chr1.tsv"), store + "/base_layer/analysis_sequences_chr1.tsv"
            )
            let listed = { try names(in: mount.production("base/analysis_sequences")) }
            // Known to the kernel with its attributes, its bytes and the listing.
            sleep(2)
            for _ in 0..<3 { #expect(try contents(name) == table && listed() == ["chr1.tsv", "chr2.tsv"]) }
            try check(chmod(real, 0o640))
            #expect(eventually { (try? attributes(name))?.st_mode ?? 0 & 0o777 == S_IFREG | 0o640 }, "chmod")
            try write("a\tb\n9\t9\n", to: real)
            #expect(eventually { (try? contents(name)) == "a\tb\n9\t9\n" }, "written in place, of the same size")
            try write("a\tb\n8\t8\n", to: store + "/base_layer/new")
            try move(store + "/base_layer/new", real)
            #expect(eventually { (try? contents(name)) == "a\tb\n8\t8\n" }, "replaced")
            try move(real, store + "/base_layer/analysis_sequences_chr7.tsv")
            #expect(
                eventually { !exists(name) && exists(mount.production("base/analysis_sequences/chr7.tsv")) }, "renamed")
            #expect(eventually { (try? listed()) == ["chr2.tsv", "chr7.tsv"] })
            try remove(store + "/base_layer/analysis_sequences_chr7.tsv")
            #expect(eventually { (try? listed()) == ["chr2.tsv"] }, "removed")
            // The whole directory made anew.
            try move(store + "/base_layer", store + "/old")
            try check(mkdir(store + "/base_layer", 0o755))
            try write(table, to: store + "/base_layer/analysis_sequences_chr5.tsv")
            #expect(eventually(within: 15) { (try? listed()) == ["chr5.tsv"] }, "\((try? listed()) ?? [])")
        }

        /// Files are opened, and the kernel reads them by itself, where they are large, or where that is asked for.
        @Test(arguments: [nil, "passthrough", "no_passthrough"]) func largeFilesAreOpened(_ option: String?) throws {
            let directory = try TemporaryDirectory()
            let (store, _) = try store(in: directory)
            let large = store + "/base_layer/analysis_sequences_chr5.tsv"
            for isLarge in [false, true] {
                if isLarge { try write(table + String(repeating: "1\t2\n", count: 2_000_000), to: large) }
                let mount = try Mount(store: store, MountVariant(readOnly: true, options: option))
                let status = try mount.status()
                let isOpened = option == "passthrough" || isLarge && option == nil
                let isPrivileged = geteuid() == 0
                #expect(
                    status.contains(#""passthrough":{"on":true,"obstacle":null}"#) == (isOpened && isPrivileged),
                    "\(status)")
                let why =
                    option == "no_passthrough"
                    ? "switched off (--no-passthrough)"
                    : !isOpened
                        ? "the kernel keeps what it read of small files (-o passthrough)"
                        : "the driver lacks CAP_SYS_ADMIN"
                if !(isOpened && isPrivileged) { #expect(status.contains(why), "\(status)") }
                // A handle of the real file, which the kernel reads by itself, or none.
                let name = mount.production("base/analysis_sequences/chr\(isLarge ? 5 : 1).tsv")
                let real = isLarge ? large : store + "/base_layer/analysis_sequences_chr1.tsv"
                #expect(try run(["cmp", name, real]).succeeded)
                let open = try openFile(name, O_RDONLY)
                let number = try mount.status().firstMatch(of: /"open_files":([0-9]+)/)?.output.1
                #expect(number == (isOpened && isPrivileged ? "1" : "0"))
                // Who has it open reads on what it was.
                try move(real, real + ".old")
                try write("a\tb\n7\t7\n", to: real)
                #expect(eventually { (try? contents(name)) == "a\tb\n7\t7\n" })
                var byte = UInt8(0)
                if isLarge && isOpened && isPrivileged {
                    #expect(pread(open, &byte, 1, 4) == 1 && byte == UInt8(ascii: "1"))
                }
                try closeFile(open)
                try move(real + ".old", real)
                #expect(try mount.unmount() == 0)
            }
        }

        @Test(arguments: ways) func readingWorks(_ variant: MountVariant) throws {
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
