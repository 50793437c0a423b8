import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 2.4 on the real mount, with real shells: a session belongs to its user, and never moves under a running job.
extension MountedTests {
    @Suite struct JobSessionTests {
        private static let (one, other) = ("20300101_000001", "20300101_000002")

        /// What lets somebody go on who waits for it.
        private func fifo(_ mount: Mount, _ name: String) throws -> String {
            let path = mount.store + "/" + name
            try check(mkfifo(path, 0o666))
            try setMode(path, 0o666)
            return path
        }

        private func current(_ mount: Mount, as user: User? = nil) throws -> String {
            try run(["readlink", mount.path("development/current")], user: user).output.replacing("\n", with: "")
        }

        /// A script in the background writes on where it began, with all that it runs, in a group of its own or not.
        @Test(arguments: MountVariant.both) func aJobKeepsItsSession(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let before = mount.sessionName
            let go = try fifo(mount, "go")
            let job = try Child([
                "bash", "-c",
                #"""
                cd "$0"; C=development/current; mkdir -p $C/scratch; readlink $C; echo a > $C/scratch/a; read -r x < $1
                readlink $C; echo b > $C/scratch/b; timeout 20 bash -c "readlink $C; echo c > $C/scratch/c"
                setsid -w bash -c "readlink $C; echo d > $C/scratch/d"; (readlink $C) | cat; x=$(readlink $C); echo $x
                """#, mount.root, go,
            ])
            #expect(eventually { exists(mount.session("scratch/a")) }, "\(job.errors)")
            #expect(try run(["mkdir", mount.path("development/" + Self.one)]).succeeded)
            #expect(mount.sessionName == Self.one)
            try write("\n", to: go)
            #expect(job.wait(seconds: 30) && job.status == 0, "\(job.errors)")
            #expect(job.output == String(repeating: before + "\n", count: 6), "\(job.output)")
            #expect(try names(in: mount.path("development/\(before)/scratch")) == ["a", "b", "c", "d"])
            #expect(try names(in: mount.session("scratch")) == [])
        }

        /// A shell at a prompt is in what was begun in it; what it has in the background stays.
        @Test(arguments: MountVariant.both) func atAPrompt(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let before = mount.sessionName
            let go = try fifo(mount, "go")
            let files = try TemporaryDirectory()
            try write(
                """
                stty -echo; cd \(mount.root); C=development/current; F=\(files.path)
                bash -c 'readlink $0; read -r x < $1; readlink $0' $C \(go) > $F/job &
                until test -s $F/job; do sleep 0.01; done
                mkdir development/\(Self.one); readlink $C > $F/typed; cd $C; pwd -P > $F/directory; cd ../..
                echo > \(go); wait; exit

                """, to: files.path + "/lines")
            let script = """
                import os, pty, sys
                pid, terminal = pty.fork()
                if pid == 0:
                    os.environ.update(PS1='', HISTFILE='/dev/null')
                    os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
                os.write(terminal, open(sys.argv[1], 'rb').read())
                try:
                    while os.read(terminal, 1000): pass
                except OSError: pass
                os.waitpid(pid, 0)
                """
            let outcome = try python(script, [files.path + "/lines"], timeout: 60)
            #expect(outcome.succeeded, "\(outcome)")
            #expect(try contents(files.path + "/job") == "\(before)\n\(before)\n")
            #expect(try contents(files.path + "/typed") == Self.one + "\n")
            #expect(try contents(files.path + "/directory") == mount.path("development/\(Self.one)\n"))
        }

        /// A script that begins its next step goes on there; what it had running does not.
        @Test(arguments: MountVariant.both) func aScriptBeginsItsNextStep(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let before = mount.sessionName
            let go = try fifo(mount, "go")
            let outcome = try shell(
                """
                set -e; C=development/current; echo 1 > $C/metadata.json
                (readlink $C; read -r x < \(go); readlink $C) > \(mount.store)/behind & mkdir development/\(Self.one)
                echo 2 > $C/metadata.json; readlink $C; python3 -c 'import os; print(os.readlink("development/current"))'
                echo > \(go); wait
                """, in: mount.root)
            #expect(outcome.output == "\(Self.one)\n\(Self.one)\n", "\(outcome)")
            #expect(try contents(mount.store + "/behind").hasSuffix("\(before)\n"))
            #expect(try contents(mount.path("development/\(before)/metadata.json")) == "1\n")
            #expect(try contents(mount.path("development/\(Self.one)/metadata.json")) == "2\n")
        }

        /// The kernel keeps names and links for all processes: each gets its own all the same, many at once.
        @Test(arguments: MountVariant.bothForAll) func usersHaveTheirOwn(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let before = mount.sessionName
            // So that the kernel knows it.
            #expect(try current(mount, as: .alice) == before && current(mount, as: .bob) == before)
            let go = try fifo(mount, "go")
            let script = """
                import os, sys
                c = sys.argv[1] + '/development/current'
                seen = {os.readlink(c)}
                print(*seen, flush=True)
                open(sys.argv[2]).read()
                for number in range(1000):
                    seen.add(os.readlink(c)); seen.add(os.path.basename(os.path.realpath(c)))
                print(*seen)
                """
            let job = try Child(["/usr/bin/python3", "-c", script, mount.root, go], user: .alice)
            #expect(eventually { job.output == before + "\n" }, "\(job.errors)")
            #expect(try run(["mkdir", mount.path("development/" + Self.one)], user: .alice).succeeded)
            #expect(try current(mount, as: .alice) == Self.one)
            #expect(try current(mount, as: .bob) == before && current(mount) == before)
            #expect(try run(["mkdir", mount.path("development/" + Self.other)], user: .bob).succeeded)
            let ways = [(User.alice, Self.one), (.bob, Self.other), (.carol, before), (.alice, Self.one)]
            let loops = try ways.map { way in
                try Child(["/usr/bin/python3", "-c", script, mount.root, "/dev/null"], user: way.0)
            }
            try write("", to: go)
            for (loop, way) in zip(loops, ways) {
                #expect(loop.wait(seconds: 60) && loop.output == "\(way.1)\n\(way.1)\n", "\(loop.output)")
            }
            #expect(job.wait(seconds: 60) && job.output == "\(before)\n\(before)\n", "\(job.output) \(job.errors)")
            // All three are written to.
            for (user, name) in [(User.alice, Self.one), (.bob, Self.other)] {
                let path = mount.path("development/current/base/splice_errors/chr1.tsv")
                #expect(try answer("open(p[0], 'w').write('x\\n')", path, as: user) == "ok")
                #expect(exists(mount.real("base_layer/dev/\(name)/splice_errors_chr1.tsv")))
            }
            try write(table, to: mount.session("base/splice_errors/chr2.tsv"))
            #expect(exists(mount.real("base_layer/dev/\(before)/splice_errors_chr2.tsv")))
        }

        /// Sessions end when their users say so.
        @Test(arguments: MountVariant.bothForAll) func sessionsEnd(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let before = mount.sessionName
            func session(_ words: String..., as user: User? = nil) throws -> Outcome {
                try run([Mount.binary(), "session"] + words + [mount.root], user: user, timeout: 30)
            }
            #expect(try session("new", "--name", Self.one, as: .alice).output == Self.one + "\n")
            #expect(try session("new", "--name", Self.one, as: .bob).status == 1, "taken")
            let bobs = try session("new", as: .bob).output.replacing("\n", with: "")
            #expect(try current(mount, as: .bob) == bobs && current(mount, as: .alice) == Self.one)
            let all = try session("list")
            for line in [
                "\(Self.one)  user 61001  live, current of user 61001\n",
                "\(bobs)  user 61002  live, current of user 61002\n",
                "\(before)  root  live, the mount's, current of root\n",
            ] { #expect(all.output.contains(line), "\(all)") }
            let alices = try session("list", as: .alice)
            #expect(alices.succeeded && !alices.output.contains("of user 61002"), "\(alices)")

            let path = mount.path("development/\(Self.one)/base/splice_errors/chr1.tsv")
            try stage.write(path, as: .alice)
            for user in [User.bob, .carol] {
                let refused = try session("end", Self.one, as: user)
                #expect(refused.status == 1 && refused.errors.contains("another user's"), "\(refused)")
            }
            #expect(try session("end", before).status == 6 && session("end", "20010101_000000").status == 2)
            #expect(try session("end", "yesterday").status == 64)
            let go = try fifo(mount, "go")
            let writer = try Child(["bash", "-c", #"exec 3>> "$0"; echo ready; read -r x < "$1""#, path, go])
            #expect(eventually { writer.output == "ready\n" }, "\(writer.errors)")
            let refused = try session("end", Self.one, as: .alice)
            #expect(refused.status == 6 && refused.errors.contains("written to"), "\(refused)")
            try write("\n", to: go)
            #expect(writer.wait(seconds: 20))
            #expect(try eventually { try session("end", Self.one, as: .alice).succeeded })
            #expect(try session("end", Self.one, as: .alice).succeeded, "it has ended")
            #expect(try current(mount, as: .alice) == before)
            #expect(answer { () throws(Errno) in try openAndClose(path, O_WRONLY) } == .notPermitted)
            let why = try run([Mount.binary(), "explain", "write", path], timeout: 30)
            #expect(why.status == 1 && why.output.contains("frozen-session"), "\(why)")
            let status = try contents(mount.path(".artifactfs/status.json"))
            #expect(status.contains(bobs) && !status.contains(Self.one))
            // Root ends anybody's, and another mount may have it then.
            #expect(try session("end", bobs).succeeded)
            let second = try Mount(store: mount.store, variant.with { $0.session = bobs })
            #expect(second.sessionName == bobs)
        }
    }
}
