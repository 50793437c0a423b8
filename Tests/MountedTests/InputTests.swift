import Glibc
import TestSupport
import Testing

extension MountedTests {
    /// What an artifact was made from, as its record has it, of real programs.
    @Suite struct InputTests {
        private func seal(_ mount: Mount, _ names: String...) throws {
            for name in names {
                try write("\(name)\tb\n1\t2\n", to: mount.production("base/analysis_sequences/\(name).tsv"))
            }
            #expect(mount.settle())
        }

        /// The inputs of `splice_errors/<name>.tsv`, as `path how` each, with the last two parts of the path.
        private func inputs(_ mount: Mount, _ name: String) throws -> [String] {
            #expect(mount.settle(), "log: \(mount.log)")
            let script = """
                import json, sys
                r = json.load(open(sys.argv[1]))
                for i in r.get('inputs', []): print('/'.join(i['path'].split('/')[-2:]), i['how'], 'sha256' in i, 'at' in i)
                """
            let record = mount.production("base/splice_errors/.meta/\(name).tsv.json")
            return try python(script, [record]).output.split(separator: "\n").map(String.init).sorted()
        }

        private func python(_ script: String, _ arguments: [String]) throws -> Outcome {
            try run([testPython, "-c", script] + arguments)
        }

        /// What a shell opens for a command that it runs: the command has had it, and closes it, which is told, however short it lives.
        @Test(.enabled(if: Child.finds("dash"))) func whatAShellOpensForItsCommands() throws {
            let mount = try Mount()
            try seal(mount, "chr1", "chr2")
            let script = """
                cd \(mount.production("base"))
                for turn in 1 2 3 4 5 6 7 8; do
                    sort < analysis_sequences/chr1.tsv > splice_errors/chr$turn.tsv
                done
                exec 5< analysis_sequences/chr2.tsv
                cat > /dev/null < /dev/null
                """
            let outcome = try run(["dash", "-c", script])
            #expect(outcome.succeeded, "\(outcome)")
            let told = try (1...8).map { try inputs(mount, "chr\($0)") }
            // Where the machine is so busy that it is heard too late, it is possible still.
            let isSure = told.map { $0 == ["analysis_sequences/chr1.tsv ancestor True True"] }
            #expect(isSure.count { $0 } >= 4, "\(told)")
            #expect(
                zip(told, isSure).allSatisfy { $0.1 || $0.0 == ["analysis_sequences/chr1.tsv job True True"] },
                "\(told)")
        }

        /// Python reads and writes in turns; what is read after the last write is no input of it.
        @Test(arguments: MountVariant.both) func readingAndWritingInTurns(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try seal(mount, "chr1", "chr2", "chr3")
            let script = """
                import os, sys, time
                a, b, c, x, y = sys.argv[1:]
                rows = open(a).read()
                open(x, "w").write(rows)
                rows += open(b).read()
                open(y, "w").write(rows)
                open(c).read()
                """
            let read = ["chr1", "chr2", "chr3"].map { mount.production("base/analysis_sequences/\($0).tsv") }
            let written = ["chr1", "chr2"].map { mount.production("base/splice_errors/\($0).tsv") }
            let outcome = try python(script, read + written)
            #expect(outcome.succeeded, "\(outcome)")
            #expect(try inputs(mount, "chr1") == ["analysis_sequences/chr1.tsv process True True"])
            #expect(
                try inputs(mount, "chr2")
                    == [
                        "analysis_sequences/chr1.tsv process True True",
                        "analysis_sequences/chr2.tsv process True True",
                    ])
        }

        /// A child remembers what its parent read before it was made, and nothing that that read later; another program remembers nothing.
        @Test func memoryGoesOverForkAndNotOverExec() throws {
            let mount = try Mount()
            try seal(mount, "chr1", "chr2", "chr3")
            let script = """
                import os, sys
                a, b, c, x, y, z = sys.argv[1:]
                rows = open(a).read()
                go, told = os.pipe()
                child = os.fork()
                if child == 0:
                    os.read(go, 1)
                    open(x, "w").write(rows)
                    os._exit(0)
                rows += open(b).read()
                os.write(told, b"1")
                assert os.waitpid(child, 0)[1] == 0
                os.close(go); os.close(told)
                child = os.fork()
                if child == 0:
                    os.execv(sys.executable, [sys.executable, "-c", "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read())", c, y])
                assert os.waitpid(child, 0)[1] == 0
                """
            let read = ["chr1", "chr2", "chr3"].map { mount.production("base/analysis_sequences/\($0).tsv") }
            let written = ["chr1", "chr2", "chr3"].map { mount.production("base/splice_errors/\($0).tsv") }
            let outcome = try python(script, read + written)
            #expect(outcome.succeeded, "\(outcome)")
            #expect(try inputs(mount, "chr1") == ["analysis_sequences/chr1.tsv ancestor True True"])
            #expect(try inputs(mount, "chr2") == ["analysis_sequences/chr3.tsv process True True"])
        }

        /// Programs joined by pipes, each of which lives until the last has closed what it wrote.
        @Test func pipelines() throws {
            let mount = try Mount()
            try seal(mount, "chr1", "chr2")
            let stages = """
                import os, subprocess, sys
                a, x = sys.argv[1:]
                first = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdout.write(open(sys.argv[1]).read()); sys.stdout.flush(); sys.stdin.read()", a],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                second = subprocess.Popen([sys.executable, "-c", "import os, sys; f = open(sys.argv[1], 'w'); f.write(sys.stdin.readline() + sys.stdin.readline()); f.close()", x],
                    stdin=first.stdout)
                assert second.wait() == 0
                first.stdin.close()
                assert first.wait() == 0
                """
            let outcome = try python(
                stages,
                [mount.production("base/analysis_sequences/chr1.tsv"), mount.production("base/splice_errors/chr1.tsv")])
            #expect(outcome.succeeded, "\(outcome)")
            #expect(try inputs(mount, "chr1") == ["analysis_sequences/chr1.tsv pipe True True"])
        }

        /// A session's file is an input too: by the hash of what was read, unless it is another by now.
        @Test func filesOfSessions() throws {
            let mount = try Mount()
            try write("a\tb\n1\t2\n", to: mount.session("base/analysis_sequences/chr1.tsv"))
            try write("a\tb\n1\t2\n", to: mount.session("scratch/rows.tsv"))
            let script = """
                import sys
                typed, free, x, y = sys.argv[1:]
                rows = open(typed).read()
                open(free).read()
                open(x, "w").write(rows)
                with open(y, "w") as file:
                    file.write(rows)
                    file.flush()
                    with open(typed, "a") as other: other.write("3\\t4\\n")
                """
            let outcome = try python(
                script,
                [
                    mount.session("base/analysis_sequences/chr1.tsv"), mount.session("scratch/rows.tsv"),
                    mount.production("base/splice_errors/chr1.tsv"), mount.production("base/splice_errors/chr2.tsv"),
                ])
            #expect(outcome.succeeded, "\(outcome)")
            #expect(
                try inputs(mount, "chr2")
                    == ["analysis_sequences/chr1.tsv process False True", "scratch/rows.tsv process True True"])
        }

        /// What a session's file was made from, and by whom, is told when it is promoted by renaming it.
        @Test(arguments: MountVariant.both) func promotedFilesTellWhoMadeThem(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try seal(mount, "chr1", "chr2", "chr3")
            let script = """
                P=production/base S=development/current/base/splice_errors
                sort $P/analysis_sequences/chr1.tsv > $S/chr1.tsv
                cat $P/analysis_sequences/chr2.tsv | awk 1 > $S/chr2.tsv
                $PYTHON -c 'import sys; open(sys.argv[2], "w").write(open(sys.argv[1]).read())' $P/analysis_sequences/chr3.tsv $S/chr3.tsv
                sort $P/analysis_sequences/chr1.tsv > $S/chr4.tsv
                cat $S/chr4.tsv > $S/chr5.tmp; mv $S/chr5.tmp $S/chr5.tsv
                mv $S/chr[1-5].tsv $P/splice_errors/
                """
            let outcome = try shell(script, in: mount.path(""), environment: ["PYTHON": testPython])
            #expect(outcome.succeeded, "\(outcome)")
            #expect(try inputs(mount, "chr1") == ["analysis_sequences/chr1.tsv process True True"])
            #expect(try inputs(mount, "chr2") == ["analysis_sequences/chr2.tsv pipe True True"])
            #expect(try inputs(mount, "chr3") == ["analysis_sequences/chr3.tsv process True True"])
            #expect(try inputs(mount, "chr4") == ["analysis_sequences/chr1.tsv process True True"])
            #expect(try inputs(mount, "chr5").map { $0.split(separator: " ")[0] } == ["splice_errors/chr4.tsv"])
            let read = """
                import json, sys
                for name in sys.argv[2:]:
                    r = json.load(open(sys.argv[1] + '/.meta/' + name + '.tsv.json'))
                    by = r['origin']['promoted_by']
                    # The arguments of a program of a millisecond may be gone before they are looked at: never others.
                    who = r['writer'].get('argv', ['?'])[0].split('/')[-1]
                    print(name, who, by['argv'][0].split('/')[-1], by['pid'] != r['writer']['pid'])
                """
            let directory = mount.production("base/splice_errors")
            let told = try python(read, [directory] + (1...5).map { "chr\($0)" })
            let name = testPython.split(separator: "/").last.map(String.init) ?? ""
            let lines = told.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            #expect(lines.map { [$0[0]] + $0[2...] } == (1...5).map { ["chr\($0)", "mv", "True"] }, "\(told)")
            let makers = zip(lines.map { $0[1] }, ["sort", "awk", name, "sort", "cat"])
            #expect(makers.allSatisfy { $0 == $1 || $0 == "?" } && makers.count { $0 == $1 } >= 3, "\(told)")
            let page = try run([try Mount.binary(), "show", directory + "/chr1.tsv"])
            #expect(page.output.contains("promoted") && page.output.contains(": mv "), "\(page)")
        }

        /// What was changed by another way than the mount's since its maker closed it is nobody's whom we know.
        @Test func whatOthersChangedIsNotItsMakers() throws {
            let mount = try Mount()
            try seal(mount, "chr1")
            let (shown, real) = (mount.session("base/splice_errors/chr1.tsv"), mount.real("base_layer/dev"))
            let outcome = try shell(
                """
                sort \(mount.production("base/analysis_sequences/chr1.tsv")) > \(shown)
                printf '3\t4\n' >> \(real)/*/splice_errors_chr1.tsv
                mv \(shown) \(mount.production("base/splice_errors/chr1.tsv"))
                """)
            #expect(outcome.succeeded, "\(outcome)")
            #expect(try inputs(mount, "chr1") == [])
            let record = try contents(mount.production("base/splice_errors/.meta/chr1.tsv.json"))
            #expect(!record.contains("promoted_by") && record.contains(#""mv""#), "\(record)")
        }

        /// Where nothing better is known, what the same job had read before is told as possible.
        @Test func whatTheJobHadReadIsPossible() throws {
            let mount = try Mount()
            try seal(mount, "chr1", "chr2", "chr3")
            let outcome = try shell(
                #"""
                cd "$P"
                cat analysis_sequences/chr1.tsv > /dev/null
                printf 'a\tb\n1\t2\n' > splice_errors/chr1.tsv
                sort analysis_sequences/chr2.tsv > splice_errors/chr2.tsv
                setsid cat analysis_sequences/chr3.tsv > /dev/null
                printf 'a\tb\n1\t2\n' > splice_errors/chr3.tsv
                """#, environment: ["P": mount.production("base")])
            #expect(outcome.succeeded, "\(outcome)")
            #expect(try inputs(mount, "chr1") == ["analysis_sequences/chr1.tsv job True True"])
            #expect(try inputs(mount, "chr2") == ["analysis_sequences/chr2.tsv process True True"])
            #expect(
                try inputs(mount, "chr3")
                    == ["analysis_sequences/chr1.tsv job True True", "analysis_sequences/chr2.tsv job True True"])
            let page = try run([try Mount.binary(), "show", mount.production("base/splice_errors/chr1.tsv")])
            #expect(page.output.contains("1 more is possible: --possible"), "\(page)")
        }

        /// A mount that is told to look at nobody tells who wrote by number only; files are published by how their makers end all the same.
        @Test func withoutProvenance() throws {
            let mount = try Mount(MountVariant(options: "no_provenance"))
            try seal(mount, "chr1")
            let outcome = try shell(
                """
                sort analysis_sequences/chr1.tsv > splice_errors/chr1.tsv
                (printf 'a\tb\n1\t2\n'; exit 3) > splice_errors/chr2.tsv
                sort analysis_sequences/chr1.tsv > "$S/chr3.tsv"; mv "$S/chr3.tsv" splice_errors/
                """, in: mount.production("base"), environment: ["S": mount.session("base/splice_errors")])
            #expect(outcome.succeeded, "\(outcome)")
            #expect(try inputs(mount, "chr1") == [])
            let script = """
                import json, sys
                for name in ("chr1", "chr3"):
                    r = json.load(open(sys.argv[1] + "/.meta/" + name + ".tsv.json"))
                    w = r["writer"]
                    print(sorted(set(w) & {"uid", "gid", "argv", "program", "cwd"}), w["pid"] > 0, "inputs" in r, "job" in r, "code" in r)
                """
            let told = try python(script, [mount.production("base/splice_errors")])
            #expect(told.output == String(repeating: "['gid', 'uid'] True False False False\n", count: 2), "\(told)")
            #expect(!exists(mount.production("base/splice_errors/chr2.tsv")), "its maker failed")
            let both = try run([
                try Mount.binary(), "mount", mount.store, mount.path(""), "-o", "observe=/usr,no_provenance",
            ])
            #expect(both.status == 64 && both.errors.contains("exclude each other"), "\(both)")
        }
    }
}
