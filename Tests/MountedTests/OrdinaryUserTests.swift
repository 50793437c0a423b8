import Glibc
import SystemPackage
import TestSupport
import Testing

/// Everything by one user without root: fusermount3 mounts, and no passthrough.
extension MountedTests {
    @Suite struct OrdinaryUserTests {
        /// A sealed file has no write bits while its writer sets attributes by path, not for a moment: the owner tries all the time to open
        /// the real file.
        @Test func attributesAreSetWithoutWriteBits() throws {
            let person = try OrdinaryUser()
            let (store, mount) = (person.home + "/eval", person.home + "/m")
            #expect(try person.artifactfs("init", store).succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            try setSettling(60, of: store)
            #expect(try person.artifactfs("mount", store, mount).succeeded)
            let answer = try person.shell(
                #"""
                cat > try.py <<'PYTHON'
                import os, subprocess, sys, time
                shown, real = "m/production/base/analysis_sequences/chr2.tsv", "eval/base_layer/analysis_sequences_chr2.tsv"
                with open(shown, "w") as f: f.write("a\tb\n3\t4\n")
                while not os.path.exists(real) or os.stat(real).st_mode & 0o222: time.sleep(0.01)
                opener = subprocess.Popen([sys.executable, "-c", """
                import os, sys
                print(flush=True)
                tries = 0
                while True:
                    try: os.open(sys.argv[1], os.O_WRONLY); print("opened", flush=True); break
                    except PermissionError: tries += 1
                    if tries % 1000 == 0 and os.getppid() != int(sys.argv[2]): break
                """.replace("\n                ", "\n"), real, str(os.getpid())], stdout=subprocess.PIPE)
                opener.stdout.readline()
                for i in range(2000): os.setxattr(shown, "user.artifact.note", str(i).encode())
                os.removexattr(shown, "user.artifact.note")
                os.setxattr(shown, "user.artifact.config", b"")
                print(sorted(os.listxattr(shown)), os.getxattr(shown, "user.artifact.config"), oct(os.stat(real).st_mode), opener.poll())
                opener.kill()
                print(opener.stdout.read())
                PYTHON
                umask 022; /usr/bin/python3 try.py
                """#)
            #expect(answer.output == "['user.artifact.config'] b'' 0o100444 None\nb''\n", "\(answer)")
        }

        /// Sessions and runs, also those that are all or nothing, on a mount of one's own.
        @Test func sessionsAndRuns() throws {
            let person = try OrdinaryUser()
            let (store, mount) = (person.home + "/eval", person.home + "/m")
            #expect(try person.artifactfs("init", store).succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            #expect(try person.artifactfs("mount", store, mount).succeeded)
            let answer = try person.shell(
                #"""
                set -e
                second=$(artifactfs session new m)
                [ "$(readlink m/development/current)" = $second ]; artifactfs session end $second m > ended
                artifactfs session list m | grep -c live
                cd m; table() { printf 'a\tb\n1\t2\n'; }; export -f table
                artifactfs run --experiment one -- bash -c '
                    [ $(readlink development/current) = $ARTIFACTFS_SESSION ]
                    echo "{}" > development/current/meta/meta_metrics/x.json; table > production/base/splice_errors/chr1.tsv'
                cd production/base/splice_errors; artifactfs wait chr1.tsv
                artifactfs run --all-or-nothing -- bash -c '
                    table > chr2.tsv; cat chr2.tsv > chr3.tsv; rm chr2.tsv; table > chr4.tsv; table > chr4.tsv'
                artifactfs run --all-or-nothing -- bash -c 'table > chr5.tsv; table > chr6.tsv; exit 4' 2> ~/said || echo $?
                grep -c 'artifactfs recover show' ~/said; echo *; artifactfs recover list ~/m | grep -c 'runs/'
                artifactfs runs -n 3 | grep -o 'status [0-9], [0-9] artifact'; artifactfs runs --json ~/eval | grep -c '"experiment":"one"'
                artifactfs runs show $(artifactfs runs -n 1 | head -1) | grep '^kept back'
                """#)
            #expect(
                answer.output == """
                    1
                    4
                    1
                    chr1.tsv chr3.tsv chr4.tsv
                    1
                    status 4, 0 artifact
                    status 0, 2 artifact
                    status 0, 1 artifact
                    1
                    kept back   2

                    """, "\(answer)")
            #expect(try person.artifactfs("unmount", mount).succeeded)
        }

        /// With and without asking for passthrough: without root there is none either way.
        @Test(arguments: [true, false]) func theWholeWay(passthrough: Bool) throws {
            let person = try OrdinaryUser()
            let (store, mount) = (person.home + "/eval", person.home + "/m")
            #expect(try person.artifactfs("init", store).succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            let mounted = try person.artifactfs(
                "mount", store, mount, passthrough ? "--durability=synced" : "--no-passthrough")
            #expect(
                mounted.succeeded && mounted.output.hasPrefix("mounted \(store) at \(mount): session "), "\(mounted)")

            let path = mount + "/production/base/analysis_sequences/chr1.tsv"
            let session = mount + "/development/current/"
            // Publish, with what `cp -p` and a note add after the close, on a file without write bits.
            let written = try person.shell(
                #"""
                set -e; umask 022
                printf 'a\tb\n1\t2\n' > source.tsv; touch -d @1000000000 source.tsv; chmod 640 source.tsv
                cp -p source.tsv m/production/base/analysis_sequences/chr1.tsv
                /usr/bin/python3 -c '
                import os, sys
                p = "m/production/base/analysis_sequences/chr2.tsv"
                with open(p, "w") as f: f.write("a\tb\n3\t4\n")
                os.setxattr(p, "user.artifact.note", b"mine"); os.chmod(p, 0o600); os.utime(p, (1, 1000000001))
                print(os.getxattr(p, "user.artifact.note").decode(), os.stat(p).st_mtime)'
                """#)
            #expect(written.output == "mine 1000000001.0\n", "\(written)")
            let sealed =
                "set -e; for i in $(seq 100); do [ $(stat -c %a eval/base_layer/*chr2.tsv) = 400 ] && break; sleep 0.1; done; "
            let listed = try person.shell(
                sealed
                    + "stat -c '%u %a %Y %s' eval/base_layer/*.tsv; cat m/production/base/analysis_sequences/chr2.tsv")
            let me = person.user.user
            #expect(listed.output == "\(me) 440 1000000000 8\n\(me) 400 1000000001 8\na\tb\n3\t4\n", "\(listed)")

            // Refused, with the errno and the reason.
            for (operation, expected) in [
                ("open(p, 'w')", "EEXIST"), ("open(p, 'a')", "EPERM"), ("os.truncate(p, 0)", "EPERM"),
                ("os.unlink(p)", "EPERM"), ("os.rename(p, p + '.tmp')", "EPERM"), ("os.chmod(p, 0o666)", "ok"),
                ("os.utime(p, (7, 7))", "ok"), ("os.utime(p)", "ok"),
                ("os.setxattr(p, 'user.artifact.note', b'x')", "EPERM"), ("open(p + '.csv', 'w')", "EINVAL"),
            ] { #expect(try person.answer(operation, path) == expected, "\(operation)") }
            let explained = try person.artifactfs("explain", "overwrite", path)
            #expect(
                explained.status == 1 && explained.output.contains("production artifacts are immutable"), "\(explained)"
            )

            // The session, promotion, a test.
            let worked = try person.shell(
                #"""
                set -e; cd m/development/current
                for i in 1 2; do printf 'a\tb\n%d\t2\n' $i > base/splice_errors/chr1.tsv; done
                sed -i s/2$/3/ base/splice_errors/chr1.tsv
                mkdir scratch/d; printf x > scratch/d/f; ln scratch/d/f scratch/l; mkfifo scratch/fifo; rm -r scratch/d
                mv base/splice_errors/chr1.tsv ../../production/base/splice_errors/
                cat ../../production/base/splice_errors/chr1.tsv
                mkdir ../../test/t; cp scratch/l ../../test/t/logs/l; rm -r ../../test/t; ls scratch ../../test
                """#)
            #expect(worked.output == "a\tb\n2\t3\n../../test:\n\nscratch:\nfifo\nl\n", "\(worked)")

            // A failed writer is seen through /proc without root too.
            let failed = try person.shell(
                "awk 'BEGIN { print \"a\\tb\"; print \"1\\t2\"; fflush(); exit 3 }' > m/production/base/splice_errors/chr9.tsv; "
                    + "for i in $(seq 100); do [ -e m/production/base/splice_errors/chr9.tsv ] || break; sleep 0.1; done; "
                    + "ls eval/.artifactfs/quarantine | grep -c reason; ls eval/base_layer | grep -c chr9")
            #expect(failed.output == "1\n0\n", "\(failed)")

            // Status 1: something was kept back.
            let waited = try person.artifactfs("wait", mount)
            #expect(waited.status == 1, "\(waited)")
            let status = try person.artifactfs("status", mount)
            let obstacle = passthrough ? "off: the driver lacks CAP_SYS_ADMIN" : "off: switched off"
            #expect(status.succeeded && status.output.contains("passthrough   " + obstacle), "\(status)")
            #expect(status.output.contains("3 sealed, 1 quarantined"), "\(status)")
            #expect(try person.artifactfs("status").output.contains(mount))
            if geteuid() == 0 {
                #expect(try answer("os.listdir(p[0])", session, as: .bob) != "ok", "nobody else sees it")
            }

            // What is written last is published when the unmount is done.
            #expect(try person.shell("printf 'a\\n1\\n' > m/production/base/gene_manifest/gene_manifest.tsv").succeeded)
            let unmounted = try person.artifactfs("unmount", mount)
            #expect(unmounted.succeeded, "\(unmounted)")
            #expect(
                try person.shell(
                    "ls m; grep -c \" $PWD/m \" /proc/self/mountinfo; cat eval/base_layer/gene_manifest.tsv"
                ).output == "0\na\n1\n")
        }

        /// The fallback is said once, in the log, and changes nothing else.
        @Test func passthroughFallsBackAndSaysSoOnce() throws {
            let person = try OrdinaryUser()
            #expect(try person.artifactfs("init", person.home + "/eval").succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            let driver = try person.startArtifactfs("mount", person.home + "/eval", person.home + "/m", "--foreground")
            #expect(eventually(within: 20) { driver.output.hasPrefix("mounted ") }, "\(driver.errors)")
            let script =
                "cd m/production/base/splice_errors; for i in 1 2 3; do printf 'a\\n%d\\n' $i > chr$i.tsv; done; cat *"
            #expect(try person.shell(script).output == "a\n1\na\n2\na\n3\n")
            let unmounted = try person.artifactfs("unmount", person.home + "/m")
            #expect(
                unmounted.succeeded && driver.wait(seconds: 20) && driver.status == 0, "\(unmounted) \(driver.errors)")
            let lines = driver.errors.split(separator: "\n")
            #expect(lines.count == 1 && lines.first?.contains("CAP_SYS_ADMIN") == true, "\(driver.errors)")
        }

        /// Signals end the mount of an ordinary user too.
        @Test func aSignalUnmounts() throws {
            let person = try OrdinaryUser()
            #expect(try person.artifactfs("init", person.home + "/eval").succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            let driver = try person.startArtifactfs("mount", person.home + "/eval", person.home + "/m", "--foreground")
            #expect(eventually(within: 20) { driver.output.hasPrefix("mounted ") }, "\(driver.errors)")
            driver.signal(SIGTERM)
            #expect(driver.wait(seconds: 20) && driver.status == 0, "\(driver.errors)")
            #expect(try person.shell("grep -c \" $PWD/m \" /proc/self/mountinfo").output == "0\n")
        }

        @Test func allowOtherNeedsItsLineInFuseConf() throws {
            let lines = ((try? contents("/etc/fuse.conf")) ?? "").split(separator: "\n")
            guard !lines.contains("user_allow_other") else { return }
            let person = try OrdinaryUser()
            #expect(try person.artifactfs("init", person.home + "/eval").succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            let refused = try person.artifactfs("mount", person.home + "/eval", person.home + "/m", "--allow-other")
            #expect(refused.status == 4 && refused.errors.contains("user_allow_other"), "\(refused)")
        }

        /// The schema of somebody else's store lies in `.artifactfs`, which is theirs alone. With another schema the tree would
        /// be another one, so it is refused, with the way out; a store that never had one is there for whoever may read it.
        @Test(.enabled(if: geteuid() == 0, "it needs a store of another user")) func somebodyElsesStoreReadOnly() throws
        {
            let person = try OrdinaryUser()
            let directory = try TemporaryDirectory()
            let store = directory.path + "/model_eval"
            try Mount.initialize(store: store)
            try write(table, to: store + "/base_layer/analysis_sequences_chr1.tsv")
            #expect(try person.shell("mkdir m").succeeded)
            let mount = person.home + "/m"
            let refused = try person.artifactfs("mount", store, mount, "--read-only")
            #expect(refused.status == 1 && refused.errors.split(separator: "\n").count == 1, "\(refused)")
            for words in [
                store + "/.artifactfs/schema.yaml", "Permission denied", "mode 0700", "the owner or root",
                "--read-only --allow-other",
            ] { #expect(refused.errors.contains(words), "'\(words)' in \(refused)") }
            #expect(try person.artifactfs("mount", store, mount).status == 1, "nor to write")
            #expect(try person.shell("ls -A m | wc -l; grep -c \" $PWD/m \" /proc/self/mountinfo").output == "0\n0\n")

            // The main way: root mounts for everybody.
            do {
                let shared = try Mount(store: store, MountVariant(readOnly: true, allowOther: true))
                let path = shared.production("base/analysis_sequences/chr1.tsv")
                #expect(try answer("assert open(p[0]).read() == 'a\\tb\\n1\\t2\\n'", path, as: .nobody) == "ok")
                #expect(try answer("open(p[0], 'w')", path, as: .nobody) == "EROFS")
            }

            // The seed's own layout, without us.
            #expect(try run(["rm", "-r", store + "/.artifactfs"]).succeeded)
            let mounted = try person.artifactfs("mount", store, mount, "--read-only")
            #expect(mounted.output.hasSuffix(": read-only\n"), "\(mounted)")
            let path = mount + "/production/base/analysis_sequences/chr1.tsv"
            #expect(try person.answer("assert open(p).read() == 'a\\tb\\n1\\t2\\n'", path) == "ok")
            #expect(try person.answer("open(p, 'w')", path) == "EROFS")
            #expect(try person.artifactfs("unmount", mount).succeeded)
            #expect(!exists(store + "/.artifactfs"), "a read-only mount makes nothing")
        }
    }
}
