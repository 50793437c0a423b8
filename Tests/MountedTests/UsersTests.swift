import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 2.3 with several users on one mount of root's: what a user makes is theirs, and each may do what the modes of the
/// real files allow, and no more.
extension MountedTests {
    @Suite(.enabled(if: geteuid() == 0, "only root makes files of several users")) struct UsersTests {
        @Test(arguments: MountVariant.bothForAll) func whatAUserMakesIsTheirs(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let session = mount.sessionName
            for (mask, file, sealed, directory) in [
                ("022", "644", "444", "755"), ("027", "640", "440", "750"), ("077", "600", "400", "700"),
            ] {
                let owner = "61001:61101 "
                // Production: sealed at the real path; the mount goes on to show the owner's write bit.
                let path = try stage.publish("chr\(mask).tsv", as: .alice, umask: mask)
                #expect(try ownership(path) == owner + file)
                #expect(try ownership(mount.real("base_layer/analysis_sequences_chr\(mask).tsv")) == owner + sealed)
                // Everything else is the same here and there.
                let name = "t\(mask)"
                let made = try shell(
                    """
                    set -e; umask \(mask); cd '\(mount.root)/development/\(session)'
                    printf 'a\\n1\\n' > base/splice_errors/chr\(mask).tsv
                    printf x > plots/\(name).png; printf x > scratch/\(name); mkdir scratch/\(name).d
                    mkdir ../../test/\(name); printf '{}' > ../../test/\(name)/metadata.json
                    """, user: .alice)
                #expect(made.succeeded, "\(made)")
                for (shown, real, mode) in [
                    ("base/splice_errors/chr\(mask).tsv", "splice_errors_chr\(mask).tsv", file),
                    ("plots/\(name).png", "plots/\(name).png", file), ("scratch/\(name)", "scratch/\(name)", file),
                    ("scratch/\(name).d", "scratch/\(name).d", directory),
                ] {
                    #expect(try ownership(mount.session(shown)) == owner + mode, "\(shown)")
                    #expect(try ownership(mount.real("base_layer/dev/\(session)/\(real)")) == owner + mode, "\(real)")
                }
                for (path, mode) in [("", directory), ("/metadata.json", file)] {
                    #expect(try ownership(mount.test(name) + path) == owner + mode)
                    #expect(try ownership(mount.real("base_layer/tests/\(name)") + path) == owner + mode)
                }
            }
        }

        /// Sealing takes every write bit; the mount goes on to show the owner's, and only that.
        @Test(arguments: MountVariant.bothForAll) func writeBitsOfTheGroupGoWithTheSeal(_ variant: MountVariant) throws
        {
            let stage = try SharedStage(variant)
            let path = stage.mount.production("base/analysis_sequences/chr1.tsv")
            // Large enough that the kernel is told of the first mode while it is being checked.
            let script = #"umask 002; (printf 'a\tb\n'; yes $'1\t2' | head -n 300000) > "$0""#
            let outcome = try run(["bash", "-c", script, path], user: .alice)
            #expect(try ownership(path).hasPrefix("61001:61101 6"))
            #expect(outcome.succeeded && stage.mount.isSealed(path), "\(outcome)")
            // Not by waiting until the kernel asks again by itself, which it does after ten seconds.
            #expect(eventually(within: 8) { (try? ownership(path)) == "61001:61101 644" })
            #expect(try ownership(stage.mount.real("base_layer/analysis_sequences_chr1.tsv")) == "61001:61101 444")
        }

        /// The kernel asks the modes before the rules are asked: the owner learns the rule, others that it is not theirs.
        @Test(arguments: MountVariant.bothForAll) func sealedFiles(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let open = try stage.publish("chr908.tsv", as: .alice)
            let secret = try stage.publish("chr909.tsv", as: .alice, umask: "077")
            let fresh = mount.production("base/analysis_sequences/chr902.tsv")
            for (operation, alice, bob, bobOnSecret) in [
                ("os.close(os.open(p[0], os.O_RDONLY))", "ok", "ok", "EACCES"),
                ("open(p[0], 'w')", "EEXIST", "EACCES", "EACCES"),
                ("os.open(p[0], os.O_WRONLY)", "EPERM", "EACCES", "EACCES"),
                ("os.open(p[0], os.O_WRONLY | os.O_CREAT | os.O_EXCL)", "EEXIST", "EEXIST", "EEXIST"),
                ("os.truncate(p[0], 0)", "EPERM", "EACCES", "EACCES"),
                ("os.chmod(p[0], 0o644)", "ok", "EPERM", "EPERM"),
                ("os.utime(p[0], (1, 1))", "ok", "EPERM", "EPERM"),
                ("os.chown(p[0], -1, 0)", "EPERM", "EPERM", "EPERM"),
                ("os.setxattr(p[0], 'user.note', b'n')", "EPERM", "EACCES", "EACCES"),
                ("os.rename(p[0], p[1])", "EPERM", "EPERM", "EPERM"),
                ("os.unlink(p[0])", "EPERM", "EPERM", "EPERM"),
            ] {
                #expect(try answer(operation, open, fresh, as: .alice) == alice, "\(operation), the owner")
                #expect(try answer(operation, open, fresh, as: .bob) == bob, "\(operation), another")
                #expect(try answer(operation, secret, fresh, as: .bob) == bobOnSecret, "\(operation), a secret one's")
            }
            #expect(try contents(open) == table && !exists(fresh))
            #expect(
                try answer("open(p[0]).read()", mount.real("base_layer/analysis_sequences_chr909.tsv"), as: .bob)
                    == "EACCES")
        }

        /// Where a user may not write to the real directory, they may not on the mount.
        @Test(arguments: MountVariant.bothForAll) func directoriesOfOthers(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant, mode: 0o775, group: User.team)
            let mount = stage.mount
            let path = mount.production("base/analysis_sequences/chr1.tsv")
            #expect(try answer("open(p[0], 'x')", path, as: .bob) == "EACCES")
            #expect(try answer("os.mkdir(p[0])", mount.test("t"), as: .bob) == "EACCES")
            #expect(try answer("open(p[0], 'x')", mount.session("scratch/f"), as: .bob) == "EACCES")
            #expect(!mount.realFiles().contains { $0.contains("chr1") || $0.contains("tests") || $0.contains("dev") })
            // The team may, through a further group too.
            #expect(try stage.publish("chr1.tsv", as: .carol) == path)
            #expect(try ownership(path) == "61003:61103 644")
            #expect(try answer("os.mkdir(p[0])", mount.test("t"), as: .carol) == "ok")
            #expect(try answer("open(p[0], 'x')", mount.session("scratch/f"), as: .carol) == "ok")
            #expect(try answer("open(p[0], 'x')", mount.session("base/splice_errors/chr1.tsv"), as: .carol) == "ok")
            #expect(try answer("os.unlink(p[0])", mount.session("scratch/f"), as: .bob) == "EACCES")
            #expect(try answer("os.unlink(p[0])", mount.session("base/splice_errors/chr1.tsv"), as: .bob) == "EACCES")
            #expect(try answer("os.unlink(p[0])", path, as: .bob) == "EACCES")
            #expect(try answer("os.rmdir(p[0])", mount.test("t"), as: .bob) == "EACCES")
        }

        /// A file that is being written: what another user may do is up to its modes first, and then to the rules.
        @Test(arguments: MountVariant.bothForAll) func filesThatAnotherWrites(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let directory = mount.production("base/analysis_sequences/")
            for (mask, truncating, writing) in [("022", "EACCES", "EACCES"), ("000", "EEXIST", "EPERM")] {
                let path = directory + "chr\(mask).tsv"
                let writer = try Child(
                    [
                        "bash", "-c",
                        #"umask "$1"; exec 3> "$0"; printf 'a\tb\n' >&3; echo ready; read -r -t 60 < "$2"; printf '1\t2\n' >&3"#,
                        path, mask, try fifo(mount),
                    ], user: .alice)
                #expect(eventually { writer.output == "ready\n" }, "\(writer.errors)")
                for (operation, expected) in [
                    ("assert open(p[0]).read() == 'a\\tb\\n'", "ok"), ("open(p[0], 'w')", truncating),
                    ("os.open(p[0], os.O_WRONLY)", writing), ("open(p[0], 'a')", writing),
                    ("os.truncate(p[0], 0)", mask == "000" ? "EPERM" : "EACCES"), ("os.chmod(p[0], 0o777)", "EPERM"),
                    ("os.rename(p[0], p[0] + '.tmp')", "EBUSY"),
                ] {
                    #expect(try answer(operation, path, as: .bob) == expected, "\(operation), umask \(mask)")
                }
                try write("\n", to: fifo(mount))
                #expect(writer.wait(seconds: 20) && mount.isSealed(path))
                #expect(try contents(path) == table, "nothing of that reached the file")
            }
        }

        /// What lets a writer go on.
        private func fifo(_ mount: Mount) throws -> String {
            let path = mount.store + "/go"
            if !exists(path) {
                try check(mkfifo(path, 0o666))
                try setMode(path, 0o666)
            }
            return path
        }

        /// Whoever may write to a directory may remove what another is writing there, as everywhere; its bytes are kept. In a
        /// sticky directory only the owner may.
        @Test(arguments: MountVariant.bothForAll) func removingWhatAnotherWrites(_ variant: MountVariant) throws {
            for (mode, expected) in [(0o777, "ok"), (0o1777, "EPERM")] as [(mode_t, String)] {
                let stage = try SharedStage(variant, mode: mode)
                let path = stage.mount.production("base/splice_errors/chr1.tsv")
                let writer = try Child(
                    ["bash", "-c", #"exec 3> "$0"; printf 'a\tb\n1\t2\n' >&3; echo ready; sleep 60"#, path],
                    user: .alice)
                #expect(eventually { writer.output == "ready\n" }, "\(writer.errors)")
                #expect(try answer("os.unlink(p[0])", path, as: .bob) == expected)
                #expect(
                    try answer("os.rename(p[0], p[0] + '.tmp')", path, as: .bob)
                        == (expected == "ok" ? "ENOENT" : "EPERM"))
                #expect(exists(path) == (expected != "ok"))
                writer.kill()
                #expect(eventually { stage.mount.quarantined().contains { $0.contains("chr1.tsv") } })
            }
        }

        @Test(arguments: MountVariant.bothForAll) func stickyDirectories(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant, mode: 0o1777)
            let mount = stage.mount
            try stage.write(mount.session("base/splice_errors/chr1.tsv"), as: .alice)
            try stage.write(mount.session("scratch/file"), as: .alice)
            #expect(try answer("os.mkdir(p[0])", mount.test("t"), as: .alice) == "ok")
            #expect(try ownership(mount.session("scratch")) == "0:0 1777")
            for path in ["base/splice_errors/chr1.tsv", "scratch/file"].map({ mount.session($0) }) {
                let other = path.replacingSuffix("1.tsv", "2.tsv")
                #expect(try answer("os.unlink(p[0])", path, as: .bob) == "EPERM")
                #expect(try answer("os.rename(p[0], p[1])", path, other, as: .bob) == "EPERM")
                try stage.write(other, as: .bob)
                #expect(try answer("os.rename(p[0], p[1])", other, path, as: .bob) == "EPERM", "onto another's")
                #expect(try answer("os.unlink(p[0])", other, as: .alice) == "EPERM")
                #expect(try answer("os.unlink(p[0])", path, as: .alice) == "ok")
                #expect(try answer("os.rename(p[0], p[1])", other, path, as: .bob) == "ok")
            }
            #expect(try answer("os.rmdir(p[0])", mount.test("t"), as: .bob) == "EPERM")
            #expect(try answer("os.rmdir(p[0])", mount.test("t"), as: .alice) == "ok")
        }

        /// The set-group-id bit of a directory gives its group to what is made in it, and itself to directories (inode(7)).
        @Test(arguments: MountVariant.bothForAll) func setGroupIDDirectories(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant, mode: 0o2777, group: User.team)
            let mount = stage.mount
            let session = mount.sessionName
            let file = "61001:\(User.team) 644"
            let directory = "61001:\(User.team) 2755"
            _ = try stage.publish("chr1.tsv", as: .alice)
            #expect(try ownership(mount.real("base_layer/analysis_sequences_chr1.tsv")) == "61001:\(User.team) 444")
            let made = try shell(
                """
                set -e; cd '\(mount.root)/development/current'
                printf x > base/splice_errors/chr1.tsv; printf x > metadata.json; printf x > plots/p.png
                printf x > scratch/f; mkdir scratch/d; printf x > scratch/d/f; mkdir scratch/d/d; ln -s f scratch/d/l
                mkdir ../../test/t ../20991231_235959; printf x > ../../test/t/metadata.json
                """, user: .alice)
            #expect(made.succeeded, "\(made)")
            for (shown, real, expected) in [
                ("base/splice_errors/chr1.tsv", "splice_errors_chr1.tsv", file),
                ("metadata.json", "metadata.json", file),
                ("plots/p.png", "plots/p.png", file), ("scratch/f", "scratch/f", file),
                ("scratch/d", "scratch/d", directory), ("scratch/d/f", "scratch/d/f", file),
                ("scratch/d/d", "scratch/d/d", directory), ("scratch/d/l", "scratch/d/l", "61001:\(User.team) 777"),
            ] {
                #expect(try ownership(mount.path("development/\(session)/" + shown)) == expected, "\(shown)")
                #expect(try ownership(mount.real("base_layer/dev/\(session)/" + real)) == expected, "\(real)")
            }
            #expect(try ownership(mount.test("t")) == directory)
            #expect(try ownership(mount.real("base_layer/tests/t")) == directory)
            #expect(try ownership(mount.test("t/metadata.json")) == file)
            #expect(try ownership(mount.path("development/20991231_235959")) == directory)
        }

        /// Three users, one of them in a group of the files, in directories of all kinds: what a plain directory answers,
        /// `scratch` answers.
        @Test(arguments: MountVariant.bothForAll) func scratchIsAPlainDirectoryForAllUsers(_ variant: MountVariant)
            throws
        {
            let stage = try SharedStage(variant)
            let plain = try TemporaryDirectory()
            let base = stage.mount.session("scratch")
            func results(below directory: String) throws -> [String] {
                try check(mkdir(directory + "/users", 0o755))
                let prepared = try run(["/usr/bin/python3", "-c", Self.prepare, directory + "/users"])
                #expect(prepared.succeeded, "\(prepared)")
                return try [User.bob, .carol, .alice].flatMap { user in
                    let outcome = try run(["/usr/bin/python3", "-c", Self.attempt, directory + "/users"], user: user)
                    #expect(outcome.succeeded, "\(outcome)")
                    return outcome.output.split(separator: "\n").map { "user \(user.user): \($0)" }
                }
            }
            let expected = try results(below: plain.path)
            let found = try results(below: base)
            #expect(expected.count > 400 && expected.count == found.count)
            for (one, other) in zip(expected, found) {
                #expect(one == other, "plain directory: \(one)\nscratch: \(other)")
            }
            for word in ["ok", "EACCES", "EPERM"] { #expect(expected.contains { $0.hasSuffix(" " + word) }) }
        }

        private static let prepare = """
            import os, sys
            os.chdir(sys.argv[1]); os.umask(0); team = \(User.team)
            kinds = [(0o755, 61101), (0o775, team), (0o2775, team), (0o1777, 0), (0o777, 0), (0o3777, team)]
            for n, (mode, group) in enumerate(kinds):
                d = "d%d" % n; os.mkdir(d); os.chown(d, 61001, group); os.chmod(d, mode)
                for m, (mode, group) in enumerate([(0o600, 61101), (0o640, team), (0o644, 61101), (0o664, team), (0o666, 61101)]):
                    for k in range(3):
                        f = "%s/f%d.%d" % (d, m, k)
                        with open(f, "w") as file: file.write("text")
                        os.chown(f, 61001, group); os.chmod(f, mode)
            """

        /// Each user has files of their own to try things on, so that the order does not matter.
        private static let attempt = """
            import errno, os, sys
            os.chdir(sys.argv[1]); os.umask(0o027); me = os.getuid(); k = me - 61001
            def attempt(what, body):
                try: body(); said = "ok"
                except OSError as e: said = errno.errorcode[e.errno]
                print(what, said)
            def look(path):
                try: s = os.lstat(path); print(path, s.st_uid, s.st_gid, oct(s.st_mode))
                except OSError as e: print(path, errno.errorcode[e.errno])
            for d in sorted(os.listdir(".")):
                for m in range(5):
                    f = "%s/f%d.%d" % (d, m, k); n = "%s.%d" % (f, me)
                    attempt(f + " read", lambda: open(f).read())
                    attempt(f + " write", lambda: os.close(os.open(f, os.O_WRONLY)))
                    attempt(f + " append", lambda: open(f, "a").close())
                    attempt(f + " truncating", lambda: open(f, "w").close())
                    attempt(f + " truncate", lambda: os.truncate(f, 1))
                    attempt(f + " access", lambda: print(os.access(f, os.R_OK), os.access(f, os.W_OK), os.access(f, os.X_OK)))
                    attempt(f + " chmod", lambda: os.chmod(f, os.lstat(f).st_mode & 0o7777))
                    attempt(f + " set-group-id", lambda: os.chmod(f, os.lstat(f).st_mode & 0o7777 | 0o2010))
                    look(f)
                    attempt(f + " chown", lambda: os.chown(f, 61002, -1))
                    attempt(f + " chgrp", lambda: os.chown(f, -1, \(User.team)))
                    attempt(f + " times", lambda: os.utime(f, (1, 1)))
                    attempt(f + " now", lambda: os.utime(f))
                    attempt(f + " xattr", lambda: os.setxattr(f, "user.x", b"1"))
                    attempt(f + " xattrs", lambda: print(os.listxattr(f)))
                    attempt(f + " link", lambda: os.link(f, n + ".link"))
                    attempt(f + " rename", lambda: os.rename(f, n))
                    attempt(f + " unlink", lambda: os.unlink(n if os.path.exists(n) else f))
                attempt(d + " create", lambda: open("%s/new.%d" % (d, me), "x").close()); look("%s/new.%d" % (d, me))
                attempt(d + " mkdir", lambda: os.mkdir("%s/dir.%d" % (d, me))); look("%s/dir.%d" % (d, me))
                attempt(d + " mkdir 2", lambda: os.mkdir("%s/dir.%d/d" % (d, me))); look("%s/dir.%d/d" % (d, me))
                f = "%s/sg.%d" % (d, me)
                attempt(d + " set-group-id file", lambda: os.close(os.open(f, os.O_CREAT | os.O_WRONLY, 0o2775))); look(f)
                attempt(d + " symlink", lambda: os.symlink("x", "%s/sym.%d" % (d, me))); look("%s/sym.%d" % (d, me))
                attempt(d + " fifo", lambda: os.mkfifo("%s/fifo.%d" % (d, me))); look("%s/fifo.%d" % (d, me))
                attempt(d + " list", lambda: os.listdir(d))
            """

        /// Two users race for names: of each one has it, and its bytes and its owner are the winner's.
        @Test(arguments: MountVariant.bothForAll) func twoUsersRaceForOneName(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let directory = mount.production("base/analysis_sequences")
            // Half of the names are created, half come by a rename; all refusals are of the known kinds.
            let script = """
                import errno, os, sys, time
                os.chdir(sys.argv[1]); me = str(os.getuid()); text = "user\\trow\\n" + (me + "\\t1\\n") * 100
                while time.time() < float(sys.argv[2]): pass
                for i in range(60):
                    try:
                        if i % 2:
                            with open("tmp%d.%s" % (i, me), "w") as f: f.write(text)
                            os.rename(f.name, "chr%d.tsv" % i)
                        else:
                            with open("chr%d.tsv" % i, "w") as f: f.write(text)
                        print("won", i)
                    except OSError as e: print(errno.errorcode[e.errno], i)
                """
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            let racers = try [User.alice, .bob].map { user in
                try Child(
                    ["/usr/bin/python3", "-c", script, directory, "\(now.tv_sec + 1).\(now.tv_nsec / 1_000_000)"],
                    user: user)
            }
            for racer in racers { #expect(racer.wait(seconds: 60) && racer.status == 0, "\(racer.errors)") }
            #expect(mount.settle())
            let said = racers.map { Set($0.output.split(separator: "\n").map(String.init)) }
            for number in 0..<60 {
                let winners = said.indices.filter { said[$0].contains("won \(number)") }
                #expect(winners.count == 1, "chr\(number): \(winners.count) winners")
                let user = winners.first == 0 ? User.alice : .bob
                let text = "user\trow\n" + String(repeating: "\(user.user)\t1\n", count: 100)
                #expect(try contents(mount.production("base/analysis_sequences/chr\(number).tsv")) == text)
                let real = mount.real("base_layer/analysis_sequences_chr\(number).tsv")
                #expect(try contents(real) == text)
                #expect(try ownership(real) == "\(user.user):\(user.group) 444")
            }
            let refusals = Set(said.joined().compactMap { $0.split(separator: " ").first }).subtracting(["won"])
            #expect(refusals.isSubset(of: ["EEXIST", "EACCES"]), "\(refusals)")
        }

        @Test(arguments: MountVariant.both) func withoutAllowOtherOthersAreShutOut(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            #expect(try answer("os.listdir(p[0])", mount.root, as: .bob) == "EACCES")
            #expect(try answer("open(p[0])", mount.path(".artifactfs/status.json"), as: .bob) == "EACCES")
        }
    }
}

extension String {
    /// With another end, or with one more letter when it does not end so.
    fileprivate func replacingSuffix(_ suffix: String, _ other: String) -> String {
        hasSuffix(suffix) ? dropLast(suffix.count) + other : self + "2"
    }
}
