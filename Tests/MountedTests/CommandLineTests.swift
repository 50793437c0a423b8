import Foundation
import Glibc
import TestSupport
import Testing

/// What the command line says of bad input: one sentence with the way out, the documented exit status, nothing half-made.
extension MountedTests {
    @Suite struct CommandLineTests {
        private func artifactfs(_ arguments: String...) throws -> Outcome {
            try run([try Mount.binary()] + arguments, timeout: 30)
        }

        /// With a slash at the end.
        private var repository: String { #filePath.components(separatedBy: "Tests/MountedTests/").first ?? "" }

        private func expect(_ outcome: Outcome, _ status: Int32, _ words: String...) {
            #expect(outcome.status == status, "\(outcome)")
            let lines = outcome.errors.split(separator: "\n")
            #expect(lines.count == 1 && outcome.errors.hasPrefix("artifactfs: "), "one sentence: \(outcome)")
            for word in words { #expect(outcome.errors.contains(word), "'\(word)' in \(outcome)") }
        }

        @Test func mountPointsThatCannotBeUsed() throws {
            let directory = try TemporaryDirectory()
            let (store, mount) = (directory.path + "/s", directory.path + "/m")
            expect(try artifactfs("mount", directory.path + "/none", mount), 3, "no store", "artifactfs init")
            #expect(try artifactfs("init", store).succeeded)
            #expect(try artifactfs("init", store).output.contains("already"))
            expect(try artifactfs("mount", store, mount), 4, "does not exist", "mkdir -p")
            try write("x", to: directory.path + "/file")
            expect(try artifactfs("mount", store, directory.path + "/file"), 4, "not a directory")
            _ = mkdir(mount, 0o755)
            try write("x", to: mount + "/kept")
            expect(try artifactfs("mount", store, mount), 4, "not empty")
            #expect(try names(in: mount) == ["kept"])
            expect(try artifactfs("mount", store, store + "/base_layer"), 4, "inside each other")
            _ = mkdir(store + "/base_layer/dev", 0o755)
            expect(try artifactfs("mount", store, mount, "--session", "yesterday"), 2, "YYYYMMDD_HHMMSS")
            expect(try artifactfs("unmount", mount), 2, "not a mount point")
            expect(try artifactfs("status", mount), 2, "not on a mount")
            expect(try artifactfs("explain", "write", mount), 2, "not on a mount")
            #expect(try artifactfs("mount", store).status == 64)
        }

        @Test func schemaWithAFaultNamesTheLine() throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/s"
            #expect(try artifactfs("init", store).succeeded)
            try write("version: 1\ntypes:\n  scores:\n    layer: [base]\n", to: store + "/.artifactfs/schema.yaml")
            _ = mkdir(directory.path + "/m", 0o755)
            expect(try artifactfs("mount", store, directory.path + "/m"), 7, "schema.yaml:")
            #expect(try artifactfs("status").output.contains(directory.path) == false)
        }

        @Test func backgroundStatusExplainUnmount() throws {
            let directory = try TemporaryDirectory()
            let (store, mount) = (directory.path + "/s", directory.path + "/m")
            #expect(try artifactfs("init", store).succeeded)
            _ = mkdir(mount, 0o755)
            let mounted = try artifactfs("mount", store, mount)
            defer { _ = try? artifactfs("unmount", "--lazy", mount) }
            #expect(
                mounted.succeeded && mounted.output.hasPrefix("mounted \(store) at \(mount): session "), "\(mounted)")
            expect(try artifactfs("mount", store, mount), 4, "mount point already")
            let file = mount + "/production/base/gene_manifest/gene_manifest.tsv"
            #expect(try artifactfs("explain", "create", file).output == "allowed (a new name)\n")
            let wrong = try artifactfs("explain", "create", mount + "/production/base/analysis_sequences/1.csv")
            #expect(
                wrong.status == 1
                    && wrong.output.contains(
                        "instead: use a name that this directory takes: analysis_sequences.tsv or chr<name>.tsv; "
                            + "for example: chr1.tsv\n"),
                "\(wrong)")
            try write(table, to: file)
            let refused = try artifactfs("explain", "overwrite", file)
            #expect(refused.status == 1)
            #expect(
                refused.output.contains(
                    "artifact exists and overwrite not allowed: \(file) (production artifacts are immutable)"))
            #expect(
                try artifactfs("explain", "overwrite", mount + "/development/current/base/gene_manifest/x").status == 1)
            expect(try artifactfs("explain", "fly", file), 2, "not an operation")
            #expect(try artifactfs("status", mount, "--json").output.contains(#""mount_point":"\#(mount)""#))
            let holder = try Child(["sleep", "60"], directory: mount)
            expect(try artifactfs("unmount", mount), 6, "busy", "sleep")
            holder.kill()
            #expect(try artifactfs("unmount", mount).succeeded)
            #expect(try names(in: mount).isEmpty)
            #expect(exists(store + "/base_layer/gene_manifest.tsv"), "unmounting waited for what was being published")
        }

        /// After `--` everything is a path, in the background too.
        @Test func pathsThatLookLikeOptions() throws {
            let directory = try TemporaryDirectory()
            let binary = try Mount.binary()
            func inside(_ arguments: String...) throws -> Outcome {
                try run([binary] + arguments, directory: directory.path, timeout: 30)
            }
            #expect(try inside("init", "--", "-s").succeeded)
            _ = mkdir(directory.path + "/--m", 0o755)
            let mounted = try inside("mount", "--durability", "relaxed", "--", "-s", "--m")
            defer { _ = try? inside("unmount", "--lazy", "--", "--m") }
            #expect(mounted.output.hasPrefix("mounted \(directory.path)/-s at \(directory.path)/--m"), "\(mounted)")
            #expect(try inside("status", "--", "--m").succeeded)
            #expect(try inside("unmount", "--", "--m").succeeded)
        }

        /// What people, fstab, mount(8), mount.fuse3 and systemd pass works; a mistake is named, with what would be right.
        @Test func mountOptions() throws {
            let directory = try TemporaryDirectory()
            let (store, mount) = (directory.path + "/s", directory.path + "/m")
            #expect(try artifactfs("init", store).succeeded)
            _ = mkdir(mount, 0o755)
            for wrong in ["bogus", "subtype=x", "ro=1", "relatime=x", "noexec,readonly,ro"] {
                let name = wrong.split(separator: ",").first { $0 != "noexec" } ?? ""
                expect(
                    try artifactfs("mount", store, mount, "-o", wrong), 64, "unknown option '\(name)'", "allow_other",
                    "leave it out")
            }
            expect(try artifactfs("mount", store, mount, "-o", "session"), 64, "session in -o needs a value")
            expect(try artifactfs("mount", store, mount, "-o", "max_read=lots"), 64, "max_read", "number of bytes")
            expect(try artifactfs("mount", store, mount, "-o", "remount,ro"), 64, "unmount it")
            #expect(try artifactfs("status").output.contains(directory.path) == false)

            func shown(_ helper: Bool, _ options: String) throws -> String {
                let script = "mount-scripts/mount.artifactfs"
                let outcome =
                    helper
                    ? try run(
                        ["sh", repository + script, store, mount, "-n", "-o", options],
                        environment: ["PATH": directory.path + ":/usr/bin:/bin"], timeout: 30)
                    : try artifactfs("mount", store, mount, "-o", options)
                defer { _ = try? artifactfs("unmount", mount) }
                #expect(outcome.succeeded, "\(options): \(outcome)")
                #expect(try contents(mount + "/.artifactfs/status.json").contains("session"), "\(options): it answers")
                if !options.contains("ro,") {
                    try write("text", to: mount + "/development/current/scratch/file")
                    #expect(try contents(mount + "/development/current/scratch/file") == "text", "\(options)")
                }
                let line = try contents("/proc/self/mountinfo").split(separator: "\n").first {
                    $0.contains(" \(mount) ")
                }
                return line.map(String.init) ?? "not mounted"
            }
            #expect(symlink(try Mount.binary(), directory.path + "/artifactfs") == 0)
            for helper in [false, true] {
                let plain = try shown(
                    helper,
                    "defaults,auto,noauto,user,user=root,users,nouser,_netdev,x-systemd.automount,X-mount.mkdir,nofail,"
                        + "dev,suid,exec,relatime,nodiratime,comment=x,rw")
                #expect(plain.contains(" rw,nosuid,nodev,relatime ") && !plain.contains("allow_other"), "\(plain)")
                let full = try shown(
                    helper, "ro,allow_other,default_permissions,nosuid,nodev,noexec,noatime,max_read=65536")
                #expect(full.contains(" ro,nosuid,nodev,noexec,noatime "), "\(full)")
                #expect(full.contains("allow_other") && full.contains("max_read=65536"), "\(full)")
                let rest = try shown(
                    helper, "no_passthrough,durability=relaxed,sync,dirsync,max_read=131072,noexec,exec")
                #expect(rest.contains(",sync,dirsync,") && !rest.contains("noexec"), "\(rest)")
            }
        }

        /// Who looks into `/proc` at a process that hangs in `execve` hangs with it: unmount ends all the same, and says what it saw.
        @Test func unmountEndsWhenAnotherMountHangs() throws {
            let (hanging, busy) = (try Mount(), try Mount())
            let directory = try TemporaryDirectory()
            let script = """
                import os, sys, time
                f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
                os.write(f, b'a')
                print(flush=True)
                while not os.path.exists(sys.argv[2]): time.sleep(0.01)
                os.execv('/bin/true', ['true'])
                """
            let go = directory.path + "/go"
            let stuck = try Child(
                [testPython, "-c", script, hanging.production("base/splice_errors/chr1.tsv"), go])
            #expect(eventually { !stuck.output.isEmpty })
            defer {
                hanging.driver.signal(SIGCONT)
                stuck.kill()
            }
            hanging.driver.signal(SIGSTOP)
            try write("", to: go)
            // It has no arguments while it has another program's memory and not yet its own: it hangs in `execve`.
            #expect(eventually { (try? contents("/proc/\(stuck.process)/cmdline")) == "" })
            let holder = try Child(["sleep", "60"], directory: busy.root)
            defer { holder.kill() }
            #expect(eventually { (try? contents("/proc/\(holder.process)/comm")) == "sleep\n" })
            let outcome = try run([try Mount.binary(), "unmount", busy.root], timeout: 30)
            expect(
                outcome, 6, "process \(holder.process) (sleep) has \(busy.root)", "process \(stuck.process) (", "hangs")
            #expect(!outcome.errors.contains("not all"), "\(outcome)")
            // The mount that hangs is detached without a question to its driver.
            #expect(try run([try Mount.binary(), "unmount", "--lazy", hanging.root], timeout: 10).succeeded)
        }

        /// systemd's `Type=notify`: it hears that the mount can be used when it can, and not before.
        @Test(arguments: ["", "@"]) func theServiceManagerHearsOfTheMount(_ kind: String) throws {
            let directory = try TemporaryDirectory()
            try Mount.initialize(store: directory.path + "/s")
            _ = mkdir(directory.path + "/m", 0o755)
            let script = """
                import os, socket, subprocess, sys
                binary, directory, kind = sys.argv[1:]
                name = kind + directory + '/notify'
                manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); manager.settimeout(20)
                manager.bind('\\0' + name[1:] if kind else name)
                driver = subprocess.Popen(
                    [binary, 'mount', '--foreground', directory + '/s', directory + '/m'],
                    env=os.environ | {'NOTIFY_SOCKET': name})
                try: print(manager.recv(100).decode(), os.path.ismount(directory + '/m'))
                finally:
                    subprocess.run([binary, 'unmount', directory + '/m'])
                    driver.wait(20)
                """
            let outcome = try python(script, [try Mount.binary(), directory.path, kind], timeout: 60)
            #expect(outcome.succeeded && outcome.output.contains("READY=1 True"), "\(outcome)")
        }

        /// On a terminal of 80 columns no line is broken, and what is shown as a command stays one line.
        @Test(
            arguments: [
                "", "init", "adopt", "mount", "unmount", "status", "wait", "explain", "ls", "find", "du", "show",
                "history",
                "lineage", "doctor", "recover", "reindex", "recover list",
                "lineage show", "lineage diff", "recover show", "recover publish", "recover restore", "recover discard",
                "run", "compare", "serve", "report", "verify", "audit", "validate", "versions", "production", "tag",
                "supersede", "retract", "gc", "promote", "stale", "attest", "mirror", "mirror add", "mirror push",
                "mirror status", "mirror verify", "mirror evict", "mirror recall", "mirror restore",
                "runs", "runs list", "runs show",
                "sessions",
                "session",
                "session list",
                "session new",
                "session end",
            ])
        func helpFitsEightyColumns(_ command: String) throws {
            let words = command.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            let outcome = try run([try Mount.binary(), "help"] + words, timeout: 30)
            #expect(outcome.succeeded && !outcome.output.isEmpty, "\(outcome)")
            for line in outcome.output.split(separator: "\n") {
                #expect(line.count <= 80 && !line.hasPrefix("/"), "\(line)")
            }
        }

        /// Handlers of exit(3) and what libraries do at their end would take away what the program's other threads are using.
        @Test func nothingIsTakenDownAtTheEnd() throws {
            let files = try TemporaryDirectory()
            let library = files.path + "/end.so"
            try write(
                """
                #include <stdlib.h>
                #include <unistd.h>
                __attribute__((destructor)) static void end(void) { _exit(99); }
                """, to: files.path + "/end.c")
            let compiled = try run(["clang", "-shared", "-fPIC", "-o", library, files.path + "/end.c"])
            #expect(compiled.succeeded, "\(compiled)")
            let preloaded = ["LD_PRELOAD": library]
            // That it is loaded, and what it would do.
            #expect(try run(["ls", "/"], environment: preloaded).status == 99)
            let binary = try Mount.binary()
            try Mount.initialize(store: files.path + "/store")
            for words in [
                ["--version"], ["status", "--help"], ["status", "--no-such"], ["doctor", "/nowhere"], ["\u{FF}"],
                ["find", "--store", files.path + "/store"],
            ] {
                let plain = try run([binary] + words)
                let outcome = try run([binary] + words, environment: preloaded)
                #expect(outcome.status == plain.status && outcome.status != 99, "\(words): \(outcome)")
                #expect(outcome.output == plain.output && outcome.errors == plain.errors, "\(words): \(outcome)")
            }
            let root = files.path + "/mount"
            #expect(mkdir(root, 0o755) == 0)
            let driver = try Child(
                ["env", "LD_PRELOAD=" + library, binary, "mount", "--foreground", files.path + "/store", root])
            #expect(eventually { exists(root + "/production") })
            try write("a\n1\n", to: root + "/development/current/base/splice_errors/chr1.tsv")
            #expect(try eventually { try run([binary, "unmount", root]).succeeded })
            #expect(driver.wait(seconds: 60) && driver.status == 0, "\(driver.errors)")
        }

        /// Sentences on a terminal are broken between words; a path stays whole.
        @Test func linesAreBrokenBetweenWords() throws {
            let directory = try TemporaryDirectory()
            let path = directory.path + "/" + String(repeating: "x", count: 100)
            let script = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
            let outcome = try python(script, [try Mount.binary(), "mount", path, directory.path], timeout: 30)
            #expect(outcome.status == 3, "\(outcome)")
            let lines = outcome.output.split(whereSeparator: \.isNewline).map(String.init)
            #expect(lines.contains("    " + path + ";"), "\(lines)")
            #expect(lines.contains { $0.contains("artifactfs init") }, "\(lines)")
            for line in lines where !line.contains(path) {
                #expect(line.count <= 80 && line.last != " ", "\(line)")
            }
        }

        /// When memory runs out another process goes first, where root may say so (`CAP_SYS_RESOURCE`, bit 24).
        @Test func theKernelIsToEndOthersFirst() throws {
            let line = try contents("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("CapEff:") }
            let digits = line?.split(separator: "\t").last ?? "0"
            let capabilities = UInt64(digits, radix: 16) ?? 0
            let mount = try Mount()
            let mine = try contents("/proc/self/oom_score_adj")
            let expected = mine == "0\n" && capabilities & 1 << 24 != 0 ? "-900\n" : mine
            #expect(try contents("/proc/\(mount.driver.process)/oom_score_adj") == expected)
        }

        @Test func deadMountsAreCleanedUp() throws {
            let mount = try Mount(MountVariant())
            mount.driver.kill()
            let other = try TemporaryDirectory()
            #expect(try artifactfs("init", other.path + "/s").succeeded)
            expect(try artifactfs("mount", other.path + "/s", mount.root), 4, "dead mount", "artifactfs unmount")
            #expect(try artifactfs("unmount", mount.root).output.contains("dead mount"))
            #expect(!mount.isMounted)
        }

        /// Mounting again is how to go on after the driver was killed: the dead mount of the same store makes room.
        @Test func aDeadMountOfTheSameStoreIsReplaced() throws {
            let mount = try Mount(MountVariant())
            mount.driver.kill()
            let again = try artifactfs("mount", mount.store, mount.root)
            #expect(again.succeeded && again.output.hasPrefix("mounted \(mount.store)"), "\(again)")
            #expect(try artifactfs("unmount", mount.root).succeeded)
            #expect(!mount.isMounted, "nothing was under it")
        }

        /// What lies inside itself would be looked through for ever; bind mounts give a directory another path.
        @Test(.enabled(if: geteuid() == 0, "it makes bind mounts")) func storesAndMountsInsideEachOther() throws {
            let mount = try Mount()
            let directory = try TemporaryDirectory()
            let (inside, bind) = (mount.session("scratch/m"), directory.path + "/bind")
            #expect(mkdir(inside, 0o755) == 0 && mkdir(bind, 0o755) == 0)
            expect(try artifactfs("mount", mount.store, inside), 4, "lies on the mount", "somewhere else")
            expect(try artifactfs("mount", mount.root, bind), 4, "lies on the mount", "real path")
            expect(try artifactfs("init", inside + "/new/store"), 2, "lies on the mount", "somewhere else")
            #expect(try names(in: inside).isEmpty)
            #expect(try artifactfs("init", directory.path + "/s").succeeded)
            for (real, below) in [("", "base_layer/m"), ("base_layer", "m")] {
                #expect(try run(["mkdir", "-p", directory.path + "/s/base_layer/m"]).succeeded)
                #expect(try run(["mount", "--bind", directory.path + "/s/" + real, bind]).succeeded)
                defer { umount2(bind, Int32(MNT_DETACH)) }
                expect(try artifactfs("mount", directory.path + "/s", bind + "/" + below), 4, "inside each other")
            }
        }

        /// Bytes that are no text would become another path on their way.
        @Test func pathsThatAreNoText() throws {
            let directory = try TemporaryDirectory()
            let script =
                #"cd "$1"; "$0" init $'st\xffore'; echo $?; mkdir $'d\xff'; cd $'d\xff'; "$0" init s; echo $?"#
            let outcome = try run(["bash", "-c", script, try Mount.binary(), directory.path])
            #expect(outcome.output == "2\n2\n", "\(outcome)")
            #expect(outcome.errors.contains(#"st\xffore is not UTF-8 text"#), "\(outcome)")
            #expect(try names(in: directory.path).count == 1, "nothing was made")
        }

        @Test func controlCharactersAreShownEscaped() throws {
            let directory = try TemporaryDirectory()
            let (store, mount) = (directory.path + "/s\u{1b}[2J\n", directory.path + "/m\u{202e}\t")
            let made = try artifactfs("init", store)
            #expect(made.succeeded && mkdir(mount, 0o755) == 0)
            let mounted = try artifactfs("mount", store, mount)
            defer { _ = try? artifactfs("unmount", "--lazy", mount) }
            let outcomes = [made, mounted, try artifactfs("status"), try artifactfs("status", mount)]
            for outcome in outcomes {
                #expect(outcome.succeeded, "\(outcome)")
                #expect(!outcome.output.contains("\u{1b}") && !outcome.output.contains("\u{202e}"), "\(outcome)")
                #expect(outcome.output.contains(#"s\x1b[2J\n"#), "\(outcome)")
            }
            expect(try artifactfs("mount", store, mount), 4, #"m\u{202e}\t"#)
            #expect(try artifactfs("unmount", mount).succeeded)
        }
    }
}
