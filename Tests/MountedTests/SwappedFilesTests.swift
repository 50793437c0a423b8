import Glibc
import SystemPackage
import TestSupport
import Testing

/// Who may rename in a real directory puts another file where the kernel has just checked one: nobody gets more by that than the real
/// path gives.
extension MountedTests {
    @Suite(.enabled(if: geteuid() == 0, "only root makes files of several users")) struct SwappedFilesTests {
        /// What Bob does within the time that the kernel trusts what it knows, with `shown` on the mount, `real` at the real path, and
        /// `other`, a file that he may not read beside it. `look()` makes the kernel know; `swap()` puts the other file there.
        private static let script = """
            import errno, os, sys
            shown, real, other, what = sys.argv[1:5]
            def look(): os.stat(shown); open(shown).close()
            def swap(): os.rename(real, real + '.mine'); os.rename(other, real)
            look(); swap()
            try:
                exec(what)
                print('done')
            except OSError as e: print(errno.errorcode[e.errno])
            """

        private static let attempts = [
            "print(open(shown).read())", "print(os.read(os.open(shown, os.O_RDONLY), 100))",
            "open(shown, 'a').write('bob')", "open(shown, 'r+').write('bob')", "open(shown, 'w').write('bob')",
            "os.truncate(shown, 0)", "os.chmod(shown, 0o4777)", "os.chown(shown, 61002, -1)", "os.utime(shown, (1, 1))",
            "os.setxattr(shown, 'user.bob', b'1')", "print(os.getxattr(shown, 'user.secret'))",
        ]

        private func attack(
            _ stage: SharedStage, shown: String, real: String, attempt: String, owner: User?
        ) throws {
            for path in [real, real + ".mine", real + ".other"] { unlink(path) }
            #expect(try run(["bash", "-c", #"printf 'bob\n' > "$0"; chmod 644 "$0""#, real], user: .bob).succeeded)
            let made = try run(
                [
                    "bash", "-c", #"umask 077; printf 'secret\n' > "$0"; setfattr -n user.secret -v x "$0""#,
                    real + ".other",
                ],
                user: owner)
            #expect(made.succeeded, "\(made)")
            let before = try attributes(real + ".other")
            let outcome = try run(
                ["/usr/bin/python3", "-c", Self.script, shown, real, real + ".other", attempt], user: .bob)
            #expect(outcome.succeeded && !outcome.output.contains("secret"), "\(attempt): \(outcome)")
            // Wherever it is now, the other file is as it was.
            let after = try attributes(real)
            #expect(after.st_ino == before.st_ino, "\(attempt): \(outcome)")
            #expect(
                (after.st_mode, after.st_uid, after.st_size) == (before.st_mode, before.st_uid, before.st_size),
                "\(attempt): \(outcome)")
            #expect(try contents(real) == "secret\n")
            #expect((try? extendedAttribute("user.bob", of: real)) == nil, "\(attempt): \(outcome)")
        }

        /// Another user's file, and root's: in a session, in production, read-only too.
        @Test(arguments: MountVariant.bothForAll) func anotherFileUnderAName(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            try stage.write(mount.session("base/splice_errors/chr9.tsv"), as: .alice)
            let session = mount.real("base_layer/dev/\(mount.sessionName)")
            let readOnly = try Mount(store: mount.store, variant.with { $0.readOnly = true })
            for attempt in Self.attempts {
                for owner in [User.alice, nil] {
                    try attack(
                        stage, shown: mount.session("base/splice_errors/chr1.tsv"),
                        real: session + "/splice_errors_chr1.tsv", attempt: attempt, owner: owner)
                    try attack(
                        stage, shown: mount.production("base/splice_errors/chr1.tsv"),
                        real: mount.real("base_layer/splice_errors_chr1.tsv"), attempt: attempt, owner: owner)
                    try attack(
                        stage, shown: readOnly.production("base/splice_errors/chr2.tsv"),
                        real: mount.real("base_layer/splice_errors_chr2.tsv"), attempt: attempt, owner: owner)
                }
            }
        }

        /// A fifo, a link and a directory where a file was: no request waits for anybody, and nothing is followed.
        @Test(arguments: MountVariant.bothForAll) func somethingElseUnderAName(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let readOnly = try Mount(store: mount.store, variant.with { $0.readOnly = true })
            for what in ["os.mkfifo(real)", "os.symlink('/etc/shadow', real)", "os.mkdir(real)"] {
                for (shown, name) in [(mount, "chr1.tsv"), (readOnly, "chr2.tsv")] {
                    for attempt in Self.attempts {
                        let real = mount.real("base_layer/splice_errors_" + name)
                        _ = try run(["rm", "-rf", real, real + ".mine"])
                        let outcome = try run(
                            [
                                "timeout", "20", "/usr/bin/python3", "-c",
                                """
                                import errno, os, sys
                                shown, real, replace, what = sys.argv[1:5]
                                open(real, 'w').write('bob'); os.stat(shown); open(shown).close()
                                os.rename(real, real + '.mine'); exec(replace)
                                try:
                                    exec(what)
                                    print('done')
                                except OSError as e: print(errno.errorcode[e.errno])
                                """, shown.production("base/splice_errors/" + name), real, what, attempt,
                            ], user: .bob)
                        #expect(
                            outcome.succeeded && !outcome.output.contains("root:"), "\(what), \(attempt): \(outcome)")
                    }
                }
            }
        }

        /// Sixteen fifos, as many as requests are handled at a time: the mount goes on.
        @Test(arguments: MountVariant.bothForAll) func manyFifos(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let script = """
                import os, sys, threading
                shown, real = sys.argv[1:3]
                def attack(i):
                    name = real + '_chr%d.tsv' % i
                    open(name, 'w').write('x'); os.stat(shown + '/chr%d.tsv' % i)
                    os.unlink(name); os.mkfifo(name)
                    try: open(shown + '/chr%d.tsv' % i).read()
                    except OSError: pass
                threads = [threading.Thread(target=attack, args=(i,)) for i in range(40)]
                for t in threads: t.start()
                for t in threads: t.join(20)
                assert not any(t.is_alive() for t in threads)
                """
            let outcome = try run(
                [
                    "timeout", "60", "/usr/bin/python3", "-c", script, mount.production("base/splice_errors"),
                    mount.real("base_layer/splice_errors"),
                ], user: .bob)
            #expect(outcome.succeeded, "\(outcome)")
            #expect(try stage.publish("chr1.tsv", as: .alice).isEmpty == false)
        }

        /// A file that another user makes between the kernel's look and the creation is opened with the creator's rights, or not at all.
        @Test(arguments: MountVariant.bothForAll) func aNameThatIsTakenMeanwhile(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            _ = try run(["mkdir", "-m", "777", mount.session("scratch/d")])
            let real = mount.real("base_layer/dev/\(mount.sessionName)/scratch/d")
            let script = """
                import errno, os, sys
                shown, real = sys.argv[1:3]; won = 0
                if os.getuid() == 61001:
                    os.umask(0o077)
                    for i in range(3000):
                        with open(real + '/f%d' % i, 'a') as f: f.write('alice')
                else:
                    for i in range(3000):
                        try:
                            fd = os.open(shown + '/f%d' % i, os.O_RDWR | os.O_CREAT, 0o600)
                            if os.fstat(fd).st_uid != 61002: print('opened', i)
                            os.close(fd)
                        except OSError as e: assert e.errno in (errno.EACCES, errno.ESTALE), e
                """
            let racers = try [User.alice, .bob].map { user in
                try Child(["/usr/bin/python3", "-c", script, mount.session("scratch/d"), real], user: user)
            }
            for racer in racers {
                #expect(racer.wait(seconds: 120))
                // Alice may not append to what Bob made first.
                #expect(racer.output == "", "\(racer.output)")
            }
        }

        /// A program that its owner lets everybody run as the owner stays the owner's to make.
        @Test(arguments: MountVariant.bothForAll) func setIDBits(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            #expect(
                try answer(
                    "os.close(os.open(p[0], os.O_CREAT | os.O_WRONLY, 0o6755))",
                    mount.production("base/splice_errors/chr1.tsv"), as: .bob) == "ok")
            #expect(try attributes(mount.production("base/splice_errors/chr1.tsv")).st_mode & 0o6000 == 0)
            let free = mount.session("scratch/tool")
            #expect(try answer("open(p[0], 'w').write('x'); os.chmod(p[0], 0o4755)", free, as: .bob) == "ok")
            #expect(try ownership(free) == "61002:61102 4755")
            #expect(try answer("os.chmod(p[0], 0o777)", free, as: .alice) == "EPERM")
            #expect(try answer("os.chmod(p[0], 0o666)", free, as: .bob) == "ok")
            #expect(try answer("os.chmod(p[0], 0o6666); open(p[0], 'a').write('x')", free, as: .bob) == "ok")
            #expect(try answer("open(p[0], 'a').write('y')", free, as: .alice) == "ok")
            #expect(try attributes(free).st_mode & 0o4000 == 0, "another user's write takes it away")
        }
    }
}
