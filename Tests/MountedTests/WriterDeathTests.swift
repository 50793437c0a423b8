import Glibc
import TestSupport
import Testing

/// What becomes of a file whose writer was killed, failed, or lent its handle to other processes.
extension MountedTests {
    @Suite struct WriterDeathTests {
        private func quarantined(_ mount: Mount, _ name: String) -> Bool {
            tree(mount.real(".artifactfs/quarantine")).contains { $0.contains(name) && $0.hasSuffix(".reason.json") }
        }

        /// Runs a script that writes `$1` and must not have it published: the bytes are in quarantine and the name is free.
        private func expectQuarantine(_ mount: Mount, _ name: String, _ script: [String]) throws {
            let path = mount.production("base/splice_errors/" + name)
            let outcome = try run(script + [path])
            #expect(!outcome.succeeded, "\(outcome)")
            #expect(eventually { quarantined(mount, name) && !exists(path) }, "\(name); log: \(mount.log)")
            #expect(!exists(mount.real("base_layer/splice_errors_" + name)))
            try write("a\tb\n1\t2\n", to: path)
            #expect(eventually { exists(mount.real("base_layer/splice_errors_" + name)) }, "the name is free again")
        }

        @Test(arguments: MountVariant.both) func nothingOfThemIsPublished(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try expectQuarantine(
                mount, "chr903.tsv",
                ["bash", "-c", #"exec 3> "$0"; printf 'a\tb\n1\t2\n' >&3; kill -9 $$"#])
            try expectQuarantine(
                mount, "chr904.tsv",
                ["bash", "-c", #"awk 'BEGIN { print "a\tb"; print "1\t2"; fflush(); exit 3 }' > "$0""#])
            // The same in a script that goes on.
            try expectQuarantine(
                mount, "chr905.tsv",
                ["bash", "-c", #"awk 'BEGIN { print "a\tb"; print "1\t2"; exit 3 }' > "$0"; : ; exit 1"#])
            try expectQuarantine(
                mount, "chr906.tsv",
                [
                    testPython, "-c",
                    "import os,sys\nf=open(sys.argv[1],'w'); f.write('a\\tb\\n1\\t2\\n'); f.flush(); os._exit(3)",
                ])
        }

        /// With `publish: close` only how a writer ends while it holds the file counts: what was closed before is finished.
        @Test(arguments: MountVariant.both) func whoeverClosesMayFailAfterwards(_ variant: MountVariant) throws {
            let mount = try Mount(variant.with { $0.publishesAtClose = true })
            for (name, ending) in [
                ("Exit", "os._exit(3)"), ("Raise", "raise ValueError"), ("Kill", "os.kill(os.getpid(), 9)"),
            ] {
                let script = """
                    import os, sys
                    f = open(sys.argv[1], 'w'); f.write('a\\tb\\n1\\t2\\n'); f.close()
                    \(ending)
                    """
                let outcome = try run([
                    testPython, "-c", script, mount.production("base/splice_errors/chrUn_\(name)1.tsv"),
                ])
                #expect(!outcome.succeeded, "\(outcome)")
                let real = mount.real("base_layer/splice_errors_chrUn_\(name)1.tsv")
                #expect(eventually { (try? contents(real)) == table }, "\(name); log: \(mount.log)")
            }
            let redirected = try shell(
                #"{ printf 'a\tb\n1\t2\n'; } > "$T"; exit 3"#,
                environment: ["T": mount.production("base/splice_errors/chr901.tsv")])
            #expect(redirected.status == 3, "\(redirected)")
            #expect(eventually { exists(mount.real("base_layer/splice_errors_chr901.tsv")) }, "\(mount.log)")
            #expect(mount.count("quarantined_since_mount") == 0 && mount.quarantined().isEmpty)
        }

        /// Without a close and without a failure: the end of a program closes its files. `exec` of another does as well.
        @Test(arguments: MountVariant.both) func anEndWithoutFailurePublishes(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            for (name, ending) in [("Exit", "os._exit(0)"), ("Exec", "os.execv('/bin/true', ['true'])")] {
                let script = """
                    import os, sys
                    f = open(sys.argv[1], 'w'); f.write('a\\tb\\n1\\t2\\n'); f.flush()
                    \(ending)
                    """
                let path = mount.production("base/splice_errors/chrUn_\(name)1.tsv")
                let outcome = try run([testPython, "-c", script, path], timeout: 20)
                #expect(outcome.status == 0, "\(outcome)")
                let real = mount.real("base_layer/splice_errors_chrUn_\(name)1.tsv")
                #expect(eventually { (try? contents(real)) == table }, "\(name); log: \(mount.log)")
            }
        }

        /// One file that is not published is one refusal, which names the program and where the bytes are: whether its close failed
        /// by what is quickly seen or by what the whole check finds, or its writer was killed.
        @Test(arguments: MountVariant.both) func oneFailureIsOneRefusal(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let big = #"printf 'a\tb\n'; yes $'1\t2' | head -n 50000; echo 1; yes $'1\t2' | head -n 50000"#
            let scripts = [
                ("close", #"exec 3> "$0"; printf 'a\tb\n1\n' >&3; exec 3>&-"#, "line 2 has only 1 column"),
                ("close", "exec 3> \"$0\"; { \(big); } >&3; exec 3>&-", "line 50002"),
                ("publish", #"exec 3> "$0"; printf 'a\tb\n' >&3; kill -9 $$"#, "killed by signal 9"),
            ]
            for (index, (operation, script, word)) in scripts.enumerated() {
                let name = "chr\(index).tsv"
                _ = try run(["bash", "-c", script, mount.production("base/splice_errors/" + name)])
                #expect(eventually { quarantined(mount, name) && mount.settle() })
                let lines = mount.denials().filter { $0.contains("\"path\":\"production/base/splice_errors/\(name)\"") }
                #expect(lines.count == 1, "\(lines)")
                let line = lines.first ?? ""
                for part in ["\"program\":\"bash\"", "\"operation\":\"\(operation)\"", word, ".artifactfs/quarantine/"]
                {
                    #expect(line.contains(part), "\(part) in \(line)")
                }
                #expect((mount.count("failed-check") ?? 0) + (mount.count("maker-failed") ?? 0) == index + 1)
            }
        }

        /// Threads that `exit_group(0)` ends look signalled to the kernel; the writer succeeded all the same.
        @Test(arguments: MountVariant.both) func manyThreadsThatEndWellArePublished(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let script = """
                import os, sys, threading, time
                f = open(sys.argv[1], 'w'); f.write('a\\tb\\n1\\t2\\n'); f.flush()
                for i in range(16): threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
                os._exit(0)
                """
            for number in 0..<8 {
                let path = mount.production("base/splice_errors/chr\(number).tsv")
                let outcome = try run([testPython, "-c", script, path])
                #expect(outcome.succeeded, "\(outcome)")
                #expect(eventually { exists(mount.real("base_layer/splice_errors_chr\(number).tsv")) }, "\(mount.log)")
            }
        }

        /// A child that inherited the handle is killed or fails while its parent goes on.
        @Test(arguments: MountVariant.both) func childrenDoNotDecide(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = mount.production("base/splice_errors/chr1.tsv")
            let script =
                #"exec 3> "$0"; printf 'a\tb' >&3; (kill -9 $BASHPID); (exit 3); printf '\n1\t2\n' >&3; exec 3>&-"#
            let outcome = try run(["bash", "-c", script, path])
            #expect(outcome.succeeded, "\(outcome)")
            let real = mount.real("base_layer/splice_errors_chr1.tsv")
            #expect(eventually { (try? contents(real)) == "a\tb\n1\t2\n" }, "\(mount.log)")
        }

        /// `execve` closes close-on-exec descriptors while it holds a lock that `/proc/<pid>/stat` waits for: a driver that reads it
        /// for that FLUSH hangs the mount, and every ps(1) with it.
        @Test(arguments: MountVariant.both) func closeOnExecDoesNotHangTheMount(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = mount.production("base/splice_errors/chr1.tsv")
            let script = """
                import os, sys
                f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
                os.write(f, b'a\\tb\\n')
                for i in range(3): os.waitpid(os.posix_spawn('/bin/true', ['true'], os.environ), 0)
                os.write(f, b'1\\t2\\n'); os.close(f)
                """
            let outcome = try run([testPython, "-c", script, path], timeout: 20)
            #expect(outcome.succeeded, "\(outcome)")
            let real = mount.real("base_layer/splice_errors_chr1.tsv")
            #expect(eventually { (try? contents(real)) == "a\tb\n1\t2\n" }, "\(mount.log)")
        }

        /// Many writers for one name, some through a temporary name: one wins, and its bytes are whole.
        @Test(arguments: MountVariant.both) func oneOfManyWins(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = mount.production("base/splice_errors/chr1.tsv")
            let script = #"""
                writer() {
                    local i=$1 rows; rows=$(for ((r = 0; r < 50; r++)); do printf '%d\t%d\n' "$i" "$r"; done)
                    if ((i % 3 == 0)); then
                        printf 'writer\trow\n%s\n' "$rows" > "$0.tmp$i.part" && mv -n "$0.tmp$i.part" "$0"
                        [ ! -e "$0.tmp$i.part" ] || rm -f "$0.tmp$i.part"
                    elif ((i % 3 == 1)); then (set -C; printf 'writer\trow\n%s\n' "$rows" > "$0") 2>/dev/null
                    else printf 'writer\trow\n%s\n' "$rows" 2>/dev/null > "$0"; fi
                }
                for ((i = 0; i < 150; i++)); do writer $i 2>/dev/null & done; wait
                """#
            _ = try run(["bash", "-c", script, path], timeout: 120)
            let real = mount.real("base_layer/splice_errors_chr1.tsv")
            #expect(eventually { exists(real) }, "\(mount.log)")
            let rows = try contents(real).split(separator: "\n").dropFirst()
            #expect(rows.count == 50, "\(rows.count) rows")
            #expect(Set(rows.compactMap { $0.split(separator: "\t").first }).count == 1, "one writer's rows")
        }

        /// Many writers of different names at once: all are published.
        @Test(arguments: MountVariant.both) func manyNamesAtOnce(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let script = #"for ((i = 0; i < 300; i++)); do printf 'a\tb\n%d\t2\n' $i > "$0/chr$i.tsv" & done; wait"#
            let outcome = try run(["bash", "-c", script, mount.production("base/splice_errors")], timeout: 120)
            #expect(outcome.succeeded, "\(outcome)")
            #expect(
                eventually { tree(mount.real("base_layer")).filter { $0.contains("splice_errors_chr") }.count == 300 })
        }

        /// The driver is killed while files are written and sealed: what is there afterwards is whole, and nothing is lost.
        @Test(arguments: MountVariant.both) func killingTheDriverLeavesNoHalfFile(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/model_eval"
            try Mount.initialize(store: store)
            do {
                let mount = try Mount(store: store, variant)
                let script =
                    #"for ((i = 0; ; i++)); do (printf 'a\tb\n'; yes $'1\t2' | head -n 20000) > "$0/chr$i.tsv"; done"#
                let writer = try Child(["bash", "-c", script, mount.production("base/splice_errors")])
                #expect(eventually { tree(store + "/base_layer").filter { $0.contains("chr") }.count > 5 })
                mount.kill()
                writer.kill()
            }
            let mount = try Mount(store: store, variant)
            let expected = "a\tb\n" + String(repeating: "1\t2\n", count: 20_000)
            let published = tree(store + "/base_layer").filter { $0.contains("splice_errors_chr") }
            #expect(published.count > 5)
            for name in try names(in: mount.production("base/splice_errors")) {
                #expect(try contents(mount.production("base/splice_errors/" + name)) == expected, "\(name) is whole")
            }
        }
    }
}
