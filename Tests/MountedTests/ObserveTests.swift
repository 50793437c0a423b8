import Glibc
import TestSupport
import Testing

/// SEMANTICS 4: inputs outside of the store, and what is read on a read-only mount, as records of real jobs have them.
extension MountedTests {
    @Suite(.enabled(if: geteuid() == 0, "only root observes")) struct ObserveTests {
        /// A mount that observes a directory, in which there are a reference of several pipes' size and a small one.
        private func scene(_ variant: MountVariant = MountVariant()) throws -> (mount: Mount, place: TemporaryDirectory)
        {
            let place = try TemporaryDirectory()
            let sequence = "a\tb\n" + String(repeating: "ACGTACGTACGT\tACGT\n", count: 40_000)
            try write(sequence, to: place.path + "/ref.fa")
            try write(table, to: place.path + "/small.fa")
            return (try Mount(MountVariant(options: "observe=" + place.path)), place)
        }

        private func job(_ script: String, _ mount: Mount, _ place: TemporaryDirectory) throws {
            let outcome = try shell(
                script, in: mount.production("base/splice_errors"),
                environment: ["D": place.path, "PYTHON": testPython],
                timeout: 60)
            #expect(outcome.succeeded, "\(outcome)")
        }

        private func path(_ name: String) -> String { "base/splice_errors/\(name).tsv" }

        /// What the record of `splice_errors/<name>.tsv` has in a member: names and how they are known; after `seen`, whether somebody looked.
        private func told(_ mount: Mount, _ name: String, _ member: String = "outside") throws -> [String] {
            #expect(mount.isSealed(mount.production(path(name))), "log: \(mount.log)")
            let script = """
                import json, sys
                r = json.load(open(sys.argv[1]))
                for i in r.get(sys.argv[2], []):
                    print(i['path'].split('/')[-1], i['how'], *[k for k in ('size', 'modified', 'sha256') if k in i])
                print("seen", r.get('outside_seen'))
                """
            let record = mount.production("base/splice_errors/.meta/\(name).tsv.json")
            return try run([testPython, "-c", script, record, member]).output.split(separator: "\n").map(String.init)
                .sorted()
        }

        private func file(_ name: String, _ how: String) -> String { "\(name) \(how) size modified" }

        @Test func aReferenceAndAScript() throws {
            let (mount, place) = try scene()
            try write(
                """
                import sys
                rows = open(sys.argv[1]).read()
                open(sys.argv[2], "w").write(rows)
                open(sys.argv[1].replace("ref", "small")).read()
                """, to: place.path + "/job.py")
            try job(
                """
                $PYTHON $D/job.py $D/ref.fa chr1.tsv
                cat $D/small.fa > chr2.tsv
                cat < $D/small.fa > chr3.tsv
                cat $D/ref.fa | awk -F'\\t' 'NF == 2' > chr4.tsv
                cat $D/small.fa > /dev/null
                printf 'a\\tb\\n1\\t2\\n' > chr5.tsv
                """, mount, place)
            // What is read after the last write is no input.
            #expect(try told(mount, "chr1") == [file("job.py", "process"), file("ref.fa", "process"), "seen yes"])
            #expect(try told(mount, "chr2") == ["seen yes", file("small.fa", "process")])
            #expect(
                try told(mount, "chr3").map { $0.replacing("ancestor", with: "process") } == [
                    "seen yes", file("small.fa", "process"),
                ])
            #expect(try told(mount, "chr4") == [file("ref.fa", "pipe"), "seen yes"])
            #expect(try told(mount, "chr5") == ["seen yes"])

            let page = try run([Mount.binary(), "show", mount.production(path("chr4"))])
            #expect(page.output.contains("outside     \(place.path)/ref.fa\n"), "\(page)")
            #expect(page.output.contains("pipe: a process joined to the writer by pipes opened it"), "\(page)")
            let none = try run([Mount.binary(), "show", mount.production(path("chr5"))])
            #expect(none.output.contains("outside     nothing was seen to be read below"), "\(none)")
            let lineage = try run([Mount.binary(), "lineage", mount.production(path("chr4"))])
            #expect(lineage.output.contains("\(place.path)/ref.fa") && lineage.output.contains("pipe"), "\(lineage)")
            #expect(!lineage.output.contains("not looked at"), "\(lineage)")
        }

        /// A fifo's ends are opened by nobody else, what is written is no input, and neither are programs and libraries.
        @Test func whatIsNoInput() throws {
            let (mount, place) = try scene()
            try write("#!/bin/sh\ncat \"$1\"\n", to: place.path + "/tool.sh")
            try job(
                """
                mkfifo $D/p
                for turn in 1 2 3 4 5 6 7 8; do
                    (cat $D/small.fa > $D/p) & cat $D/p > $D/copy; wait $!
                    cmp $D/copy $D/small.fa
                done
                cp /bin/cat $D/prog; chmod 755 $D/prog $D/tool.sh
                $D/prog $D/small.fa > chr1.tsv
                $PYTHON -c '
                import sys
                with open(sys.argv[1] + "/log", "w") as log, open(sys.argv[1] + "/copy", "r+") as both, open("chr2.tsv", "w") as out:
                    log.write("x"); out.write(both.read())
                ' $D
                $D/tool.sh $D/small.fa > chr3.tsv
                mkdir $D/.git $D/site-packages; cp $D/small.fa $D/.git/x; cp $D/small.fa $D/site-packages/x
                cat $D/.git/x > chr4.tsv; cat $D/site-packages/x > chr5.tsv
                """, mount, place)
            let first = try told(mount, "chr1")
            #expect(first == ["seen yes", file("small.fa", "process")], "\(mount.log)")
            #expect(try told(mount, "chr2") == ["seen yes"])
            // The one that runs a script has read it; its child writes.
            #expect(try told(mount, "chr3").contains(file("small.fa", "process")))
            for name in ["chr4", "chr5"] { #expect(try told(mount, name) == ["seen yes"]) }
        }

        /// What is read on a read-only mount of the store is an input as any other.
        @Test func aReadOnlyMount() throws {
            let (mount, place) = try scene()
            let reading = try Mount(store: mount.store, MountVariant(readOnly: true, options: "observe"))
            try write(table, to: mount.production("base/analysis_sequences/chr1.tsv"))
            #expect(mount.isSealed(mount.production("base/analysis_sequences/chr1.tsv")))
            let shown = reading.production("base/analysis_sequences/chr1.tsv")
            #expect(eventually { exists(shown) })
            try job("cat \(shown) > chr1.tsv; cat \(shown) $D/ref.fa | awk 'NR < 2' > chr2.tsv", mount, place)
            #expect(try told(mount, "chr1", "inputs") == ["chr1.tsv process sha256", "seen yes"])
            #expect(try told(mount, "chr2", "inputs") == ["chr1.tsv pipe sha256", "seen yes"])
            #expect(try told(mount, "chr2") == [file("ref.fa", "pipe"), "seen yes"])
        }

        /// Without the option it is said that nobody looked.
        @Test func withoutTheOption() throws {
            let mount = try Mount()
            try write(table, to: mount.production(path("chr1")))
            #expect(try told(mount, "chr1") == ["seen no"])
            let page = try run([Mount.binary(), "show", mount.production(path("chr1"))])
            #expect(page.output.contains("outside     not looked at: "), "\(page)")
            let lineage = try run([Mount.binary(), "lineage", mount.production(path("chr1"))])
            #expect(lineage.output.contains("not looked at for 1 of 1 artifact."), "\(lineage)")
        }

        @Test func whoMayNotIsToldSo() throws {
            let person = try OrdinaryUser()
            let (store, mount) = (person.home + "/model_eval", person.home + "/m")
            #expect(try person.shell("mkdir m").succeeded && person.artifactfs("init", store).succeeded)
            let refused = try person.artifactfs("mount", store, mount, "-o", "observe")
            #expect(refused.status == 2 && refused.errors.contains("only root sees"), "\(refused)")
            #expect(refused.errors.contains("leave -o observe out"), "\(refused)")
            for (option, words) in [("observe=data", "takes directories"), ("observe=/data:", "takes directories")] {
                let wrong = try run([Mount.binary(), "mount", store, mount, "-o", option])
                #expect(wrong.status == 64 && wrong.errors.contains(words), "\(wrong)")
            }
            let gone = try run([Mount.binary(), "mount", store, mount, "-o", "observe=/nowhere/at/all"])
            #expect(gone.status == 2 && gone.errors.contains("no directory /nowhere/at/all"), "\(gone)")
        }
    }
}
