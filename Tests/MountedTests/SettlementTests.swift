import Glibc
import TestSupport
import Testing

/// SEMANTICS 2.2 on the real mount: a file is published when its makers have ended well, and kept when one of them has not.
extension MountedTests {
    @Suite struct SettlementTests {
        /// A script that writes `$T`, and what becomes of that.
        struct Ending: Sendable, CustomTestStringConvertible {
            let name: String
            let script: String
            /// What the reason says; nil for a file that is published.
            var reason: String?
            var testDescription: String { name }
        }

        /// A table by whatever program: `row` prints it.
        private static let row = #"row() { printf 'a\tb\n1\t2\n'; }; "#
        /// Waits until the table has been opened, and with it who writes to its writer was looked at: on a busy machine a program can end
        /// before its reader has begun.
        private static let seen = #"seen() { until [ -e "$T" ]; do sleep 0.05; done; }; "#

        static let endings: [Ending] = [
            .init(
                name: "cp", script: #"row > "$T.source.txt.tmp"; cp "$T.source.txt.tmp" "$T"; rm "$T.source.txt.tmp""#),
            .init(
                name: "a Python exception after the close",
                script:
                    #"python3 -c 'import sys; f = open(sys.argv[1], "w"); f.write("a\tb\n1\t2\n"); f.close(); raise ValueError' "$T""#,
                reason: "ended with status 1"),
            .init(
                name: "a kill after the close",
                script:
                    #"python3 -c 'import os, sys; f = open(sys.argv[1], "w"); f.write("a\tb\n1\t2\n"); f.close(); os.kill(os.getpid(), 9)' "$T""#,
                reason: "was killed by signal 9"),
            .init(
                name: "a recipe whose last command fails", script: #"sh -c 'printf "a\tb\n1\t2\n" > "$T"; false'"#,
                reason: "the writer (sh,"),
            .init(
                name: "a recipe whose last command works", script: #"sh -c 'printf "a\tb\n1\t2\n" > "$T"; true'"#),
            .init(
                name: "a redirection in a recipe that fails",
                script: #"sh -c 'awk "BEGIN { print \"a\\tb\"; print \"1\\t2\" }" > "$T"; false'"#,
                // Which shell: dash opens it itself, bash lets the command's process do so.
                reason: "ended with status 1"),
            .init(
                name: "a redirection in a strict recipe that fails later",
                script: #"bash -c 'set -euo pipefail; printf "a\tb\n1\t2\n" | cat > "$T"; sleep 0.3; false; true'"#,
                reason: "the shell that opened it for the writer (bash,"),
            .init(
                name: "a redirection in a part of a recipe that fails",
                script: #"bash -c '(printf "a\tb\n1\t2\n" | awk 1 > "$T"; false) || exit 3'"#,
                reason: "the shell that opened it for the writer (bash,"),
            .init(
                name: "a redirection in a recipe that works",
                script: #"bash -c 'printf "a\tb\n1\t2\n" | cat > "$T"; true'"#),
            .init(
                name: "a comparison that is a recipe's last command",
                script:
                    #"bash -c 'row > "$T.tmp"; { row; row; } > "$T.2.tmp"; diff --line-format=%L "$T.tmp" "$T.2.tmp" > "$T"; exit $?'; rm "$T.tmp" "$T.2.tmp""#
            ),
            .init(
                name: "a pipeline whose first program fails",
                script: #"bash -c 'printf "a\tb\n1\t2\n"; seen; exit 3' | awk 1 > "$T""#,
                reason: "through a pipe (bash,"),
            .init(
                name: "a pipeline whose middle program is killed",
                script: #"row | bash -c 'cat; seen; kill -9 $$' | cat | awk 1 > "$T""#,
                reason: "was killed by signal 9"),
            .init(
                name: "tee in a pipeline that fails",
                script: #"bash -c 'printf "a\tb\n1\t2\n"; seen; exit 4' | tee "$T" | cat > /dev/null"#,
                reason: "through a pipe (bash,"),
            .init(name: "a reader that has enough", script: #"yes $'a\tb' | head -n 5 | awk 1 > "$T""#),
            .init(
                name: "a search that finds nothing",
                script: #"bash -c 'seen; exec grep zzz /etc/hostname' | { row; cat; } > "$T""#),
            .init(
                name: "a comparison that finds differences",
                script: #"row > "$T.tmp"; { row; row; } | diff --line-format='%L' "$T.tmp" - > "$T"; rm "$T.tmp""#),
            .init(
                name: "a second try by way of a temporary name",
                script:
                    #"sh -c 'printf "a\tb\n" > "$T.tmp"; exit 1'; sh -c 'printf "a\tb\n1\t2\n" > "$T.tmp"'; mv "$T.tmp" "$T""#
            ),
            .init(
                name: "a child that is killed in a group",
                script: #"{ row; sh -c 'printf "3\t4\n"; kill -9 $$'; true; } > "$T""#,
                reason: "was killed by signal 9"),
            .init(
                name: "appending again and again", script: #"for i in 1 2 3; do row >> "$T"; done"#),
            .init(
                name: "an earlier writer that was killed",
                script:
                    #"exec 4>> "$T"; bash -c 'exec 3>> "$T"; printf "a\tb\n" >&3; exec 3>&-; kill -9 $$'; printf '1\t2\n' >&4; exec 4>&-"#,
                reason: "was killed by signal 9"),
            .init(
                name: "a program that saves by renaming and then fails",
                script:
                    #"python3 -c 'import os, sys; t = sys.argv[1]; f = open(t + ".tmp", "w"); f.write("a\tb\n1\t2\n"); f.close(); os.rename(t + ".tmp", t); sys.exit(5)' "$T""#,
                reason: "ended with status 5"),
            .init(
                name: "mv from a session",
                script: #"row > "$S/base/splice_errors/chr77.tsv"; mv "$S/base/splice_errors/chr77.tsv" "$T""#),
        ]

        @Test(arguments: MountVariant.both) func everyEnding(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            for (index, ending) in Self.endings.enumerated() {
                let path = mount.production("base/splice_errors/chr\(index).tsv")
                let ran = try shell(
                    Self.row + Self.seen + "export -f row seen; " + ending.script,
                    environment: ["T": path, "S": mount.root + "/development/current"])
                guard let reason = ending.reason else {
                    #expect(
                        mount.isSealed(path),
                        "\(ending.name): \(ran); \(mount.log); it is '\(mount.state(of: path))'; \((try? mount.status()) ?? "")"
                    )
                    continue
                }
                #expect(eventually(within: 30) { !exists(path) }, "\(ending.name): \(ran)")
                // The name is gone when the bytes are put away, and a moment later it is told.
                func refusals() -> [String] {
                    mount.denials().filter { $0.contains("chr\(index).tsv") && $0.contains("maker-failed") }
                }
                #expect(eventually { !refusals().isEmpty })
                let told = refusals()
                #expect(told.count == 1 && told.first?.contains(reason) == true, "\(ending.name): \(told); \(ran)")
                #expect(!exists(mount.real("base_layer/splice_errors_chr\(index).tsv")), "\(ending.name)")
            }
            #expect(mount.settle())
        }

        /// The same without root: a pidfd tells how a process ended to whoever has it.
        @Test func ofAnOrdinaryUser() throws {
            let person = try OrdinaryUser()
            #expect(try person.artifactfs("init", person.home + "/eval").succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            #expect(try person.artifactfs("mount", person.home + "/eval", person.home + "/m").succeeded)
            let ran = try person.shell(
                #"""
                cd m/production/base/splice_errors
                sh -c 'printf "a\tb\n1\t2\n" > chr1.tsv; false'
                sh -c 'printf "a\tb\n1\t2\n" > chr2.tsv; true'
                printf 'a\tb\n1\t2\n' > ~/one; printf 'a\tb\n1\t3\n' > ~/two; diff --line-format=%L ~/one ~/two > chr3.tsv
                install -m 444 ~/one chr4.tsv; printf '5\t6\n' >> chr4.tsv 2> /dev/null || true
                for i in $(seq 100); do [ -e chr1.tsv ] || break; sleep 0.1; done
                for i in $(seq 100); do getfattr --only-values -n user.artifact.state chr4.tsv | grep -q sealed && break; sleep 0.1; done; ls
                """#)
            #expect(ran.output == "chr2.tsv\nchr3.tsv\nchr4.tsv\n", "\(ran)")
            #expect(try person.artifactfs("unmount", person.home + "/m").output.contains("ended with status 1"))
        }

        /// What the job of a file may do while it settles, and that nobody overwrites it.
        @Test(arguments: MountVariant.both) func whileItSettles(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = mount.production("base/splice_errors/chr1.tsv")
            let ran = try python(
                """
                import os, subprocess, sys, time
                path = sys.argv[1]
                def said(body):
                    try: body(); return "ok"
                    except OSError as e: return type(e).__name__
                def save(mode, text):
                    with open(path, mode) as f: f.write(text)
                save("w", "a\\tb\\n")
                # The kernel tells of the last close after close(2) has returned.
                for _ in range(1000):
                    if os.getxattr(path, "user.artifact.state") != b"writing": break
                    time.sleep(0.01)
                print(os.getxattr(path, "user.artifact.state").decode(), open(path).read().count("\\n"))
                save("a", "1\\t2\\n")
                print(said(lambda: save("w", "x")), said(lambda: os.rename("/etc/hostname", path)), said(lambda: os.unlink(path)),
                      said(lambda: os.truncate(path, 0)), said(lambda: os.chmod(path, 0o640)), said(lambda: os.utime(path, (7, 7))),
                      said(lambda: os.setxattr(path, "user.artifact.note", b"n")))
                subprocess.run(["sh", "-c", "printf '3\\\\t4\\\\n' >> " + path], check=True)
                print(open(path).read().count("\\n"))
                """, [path])
            #expect(
                ran.output == "settling 1\nFileExistsError OSError PermissionError PermissionError ok ok ok\n3\n",
                "\(ran)")
            #expect(mount.isSealed(path))
            #expect(try contents(mount.real("base_layer/splice_errors_chr1.tsv")) == "a\tb\n1\t2\n3\t4\n")
            #expect(try ModeAndTime(mount.real("base_layer/splice_errors_chr1.tsv")).mode == 0o440)
        }

        /// What a shell at a prompt redirects for a command is sealed when that has ended, though the shell goes on; what a script redirects waits for
        /// it.
        @Test(arguments: MountVariant.both) func aShellAtAPrompt(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/eval"
            try Mount.initialize(store: store)
            let schema = store + "/.artifactfs/schema.yaml"
            try write(try contents(schema).replacing("settle_seconds: 2", with: "settle_seconds: 60"), to: schema)
            let mount = try Mount(store: store, variant)
            let go = directory.path + "/go"
            #expect(try run(["mkfifo", go]).succeeded)
            let command = "cat /proc/self/comm /proc/self/comm"
            for (name, options, isSealed) in [("chr910.tsv", "set -m; ", true), ("chr911.tsv", "", false)] {
                let path = mount.production("base/splice_errors/" + name)
                let shell = try Child(
                    [
                        "setsid", "-w", "bash", "-c",
                        "\(options)\(command) > \(path); echo done; read line < \(go); true",
                    ])
                #expect(eventually(within: 30) { shell.output == "done\n" })
                if isSealed {
                    #expect(try run([try Mount.binary(), "wait", path]).succeeded)
                    #expect(shell.isRunning)
                }
                #expect(
                    try run(["getfattr", "-n", "user.artifact.state", "--only-values", path]).output
                        == (isSealed ? "sealed" : "settling"))
                #expect(try run(["bash", "-c", "echo > \(go)"]).succeeded)
                #expect(shell.wait(seconds: 30))
                #expect(try run([try Mount.binary(), "wait", path]).succeeded)
                #expect(mount.isSealed(path))
            }
        }

        /// Another job hears `EBUSY` while a file is being written, waits while it settles, and gets the whole file, or none.
        @Test(arguments: MountVariant.both) func anotherJobWaits(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/eval"
            try Mount.initialize(store: store)
            let schema = store + "/.artifactfs/schema.yaml"
            try write(try contents(schema).replacing("settle_seconds: 2", with: "settle_seconds: 60"), to: schema)
            let mount = try Mount(store: store, variant)
            for (name, status) in [("chr910.tsv", 0), ("chr911.tsv", 3)] {
                let path = mount.production("base/splice_errors/" + name)
                let (go, begun) = (directory.path + "/go-" + name, directory.path + "/begun-" + name)
                #expect(try run(["mkfifo", go, begun]).succeeded)
                let writer = try Child([
                    "setsid", "-w", testPython, "-c",
                    """
                    import sys
                    path, go, begun, status = sys.argv[1:]
                    f = open(path, "w"); f.write("a\\tb\\n"); f.flush()
                    open(begun, "w").write("x"); open(go).read()
                    f.write("1\\t2\\n"); f.close()
                    open(begun, "w").write("x"); open(go).read()
                    sys.exit(int(status))
                    """, path, go, begun, String(status),
                ])
                #expect(try run(["cat", begun]).output == "x")
                let busy = try run(["setsid", "-w", "cat", path])
                #expect(busy.errors.contains("Device or resource busy"), "\(busy)")
                #expect(mount.denials().contains { $0.contains("not-whole-yet") && $0.contains("writes it since") })
                try write("go", to: go)
                #expect(try run(["cat", begun]).output == "x")
                let reader = try Child(["setsid", "-w", "cat", path])
                // Asleep in its open: the request is with us.
                #expect(eventually { (try? contents("/proc/\(reader.process)/status").contains("State:\tS")) == true })
                try write("go", to: go)
                #expect(writer.wait(seconds: 30))
                #expect(reader.wait(seconds: 30))
                if status == 0 {
                    #expect(reader.output == "a\tb\n1\t2\n", "\(reader.errors)")
                } else {
                    #expect(
                        reader.output == "" && reader.errors.contains("No such file"),
                        "\(reader.output) \(reader.errors)")
                }
            }
        }

        /// `artifactfs wait`: 0 when all is sealed, 1 with the reason when something was kept back, 2 for what is not there.
        @Test func theCommandThatWaits() throws {
            let mount = try Mount()
            let (good, bad) = (
                mount.production("base/splice_errors/chr1.tsv"), mount.production("base/splice_errors/chr2.tsv")
            )
            #expect(try shell(Self.row + #"row > "$T""#, environment: ["T": good]).succeeded)
            let waited = try run([Mount.binary(), "wait", good])
            #expect(waited.status == 0 && waited.output == "" && mount.state(of: good) == "sealed", "\(waited)")
            #expect(try !shell(#"sh -c 'printf "a\tb\n1\t2\n" > "$T"; false'"#, environment: ["T": bad]).succeeded)
            let kept = try run([Mount.binary(), "wait", good, bad])
            #expect(kept.status == 1 && kept.errors.contains("ended with status 1"), "\(kept)")
            // The time is over while this process goes on.
            try write(table, to: mount.production("base/splice_errors/chr3.tsv"))
            let all = try run([Mount.binary(), "wait"], directory: mount.production("base"))
            #expect(all.status == 1 && all.errors.contains("chr2.tsv"), "\(all)")
            #expect(mount.count("settling") == 0)
            #expect(try run([Mount.binary(), "wait", mount.production("base/splice_errors/chr9.tsv")]).status == 2)
            #expect(try run([Mount.binary(), "wait", "/etc/passwd"]).status == 2)
        }

        /// An unmount waits for those who still run for as long as the schema says, and publishes then.
        @Test func anUnmountSettles() throws {
            let mount = try Mount()
            let path = mount.production("base/splice_errors/chr1.tsv")
            try write(table, to: path)  // This process runs on.
            // The kernel's RELEASE comes a moment after `close`.
            #expect(eventually { mount.state(of: path) == "settling" })
            #expect(try mount.unmount() == 0)
            #expect(try contents(mount.real("base_layer/splice_errors_chr1.tsv")) == table)
        }
    }
}
