import Glibc
import SystemPackage
import TestSupport
import Testing

extension MountedTests {
    /// `artifactfs verify` and `audit`: whether what was sealed is what was sealed.
    @Suite struct VerifyTests {
        private func production(_ mount: Mount) throws {
            let made = try run(
                [
                    "bash", "-c",
                    """
                    for n in 1 2 3 4 5 6; do printf 'a\\tb\\n%d\\t2\\n' $n > production/base/splice_errors/chr$n.tsv; done
                    mkdir production/meta/meta_checkpoints/checkpoint-5
                    echo '{"a": 1}' > production/meta/meta_checkpoints/checkpoint-5/config.json
                    """,
                ], directory: mount.root)
            #expect(made.succeeded && mount.settle(), "\(made)")
        }

        private func verify(_ place: String, _ words: String...) throws -> Outcome {
            try run([try Mount.binary(), "verify", "--store", place] + words)
        }

        private func states(_ outcome: Outcome) -> [String: String] {
            var states: [String: String] = [:]
            for line in outcome.output.split(separator: "\n") {
                let parts = line.split(separator: "\"").map(String.init)
                guard let path = parts.firstIndex(of: "path"), let state = parts.firstIndex(of: "state") else {
                    continue
                }
                states[String(parts[path + 2].split(separator: "/").last ?? "")] = parts[state + 2]
            }
            return states
        }

        @Test func whatWasSealedIsProved() throws {
            let mount = try Mount()
            try production(mount)
            for place in [mount.root, mount.store] {
                let all = try verify(place)
                #expect(all.succeeded && all.output.hasPrefix("7 artifacts are what was sealed ("), "\(all)")
                #expect(states(try verify(place, "--json")).values.allSatisfy { $0 == "whole" })
            }
            let one = try verify(mount.root, "production/base/splice_errors/chr3.tsv")
            #expect(one.succeeded && one.output.hasPrefix("1 artifact is what was sealed ("), "\(one)")
            let real = try run(
                [try Mount.binary(), "verify", "base_layer/splice_errors_chr3.tsv"], directory: mount.store)
            #expect(real.succeeded && real.output.hasPrefix("1 artifact"), "\(real)")
            // Same length, same times, same mode: the bytes tell.
            let damaged = try run(
                [
                    "bash", "-c",
                    """
                    cd base_layer; f=splice_errors_chr2.tsv; touch -r $f ../../t; chmod 644 $f; printf 'a\\tb\\n9\\t2\\n' > $f; chmod 444 $f
                    touch -r ../../t $f; chmod u+w splice_errors_chr4.tsv; rm -f splice_errors_chr5.tsv
                    """,
                ], directory: mount.store)
            #expect(damaged.succeeded, "\(damaged)")
            let found = try verify(mount.store)
            #expect(found.status == 1 && found.output.contains("4 artifacts are what was sealed"), "\(found)")
            #expect(found.output.contains("; 3 are not\n"), "\(found)")
            for text in [
                "chr2.tsv: DIFFERS: its SHA-256 is ", "chr4.tsv: DIFFERS: it can be written to: its mode is 644",
                "chr5.tsv: IS GONE",
            ] { #expect(found.output.contains("splice_errors/" + text), "\(text) of \(found)") }
            let json = states(try verify(mount.store, "--json"))
            #expect(json["chr2.tsv"] == "differs" && json["chr5.tsv"] == "missing" && json["checkpoint-5"] == "whole")
            // A file in a directory that is an artifact.
            let inner = mount.real("meta_layer/checkpoints/checkpoint-5/config.json")
            let changed = try run(["bash", "-c", "chmod u+w $0; echo 1 >> $0; chmod u-w $0", inner])
            #expect(changed.succeeded, "\(changed)")
            #expect(try verify(mount.store, "type = meta_checkpoints").status == 1)
            let audit = try run([try Mount.binary(), "audit", mount.store])
            #expect(
                audit.status == 1 && audit.errors.contains("chr5.tsv: it was sealed, and nothing is there"), "\(audit)")
            #expect(!audit.errors.contains("chr2.tsv"), "the bytes are not read")
        }

        /// Directories that are artifacts: what is in them may not be written to, and is all there, and nothing else.
        @Test func directoriesAreProved() throws {
            for (damage, isSeenByAudit) in [
                ("chmod u+w config.json", true), ("chmod 777 .", true), ("chmod u+w . && rm config.json", true),
                ("chmod u+w . && ln -s config.json link", true),
                ("chmod u+w . && mkdir more && chmod 555 . more", false),
            ] {
                let mount = try Mount()
                try production(mount)
                let done = try run(
                    ["bash", "-c", damage], directory: mount.real("meta_layer/checkpoints/checkpoint-5"))
                #expect(done.succeeded, "\(done)")
                let proved = try verify(mount.store, "type = meta_checkpoints")
                #expect(proved.status == 1 && proved.output.contains("checkpoint-5: DIFFERS: "), "\(damage): \(proved)")
                let audit = try run([try Mount.binary(), "audit", mount.store])
                #expect((audit.status == 1) == isSeenByAudit, "\(damage): \(audit)")
            }
        }

        /// Paths are told from queries, whatever they have in them; a directory is all that is in it.
        @Test func pathsAndQueries() throws {
            let directory = try TemporaryDirectory()
            let mount = try Mount()
            try production(mount)
            let odd = directory.path + "/k=1 ~x"
            #expect(mkdir(odd, 0o755) == 0)
            let mounted = try run([try Mount.binary(), "mount", "--read-only", mount.store, odd])
            #expect(mounted.succeeded, "\(mounted)")
            defer { _ = try? run([(try? Mount.binary()) ?? "", "unmount", odd]) }
            let errors = "production/base/splice_errors"
            for (words, place, count) in [
                (["\(odd)/\(errors)/chr1.tsv"], "/", 1), (["\(odd)/\(errors)"], "/", 6), ([odd], "/", 7),
                ([mount.store], "/", 7),
                (["chr1.tsv", "chr2.tsv", "./chr1.tsv"], mount.production("base/splice_errors"), 2),
                (["splice_errors_chr1.tsv"], mount.store + "/base_layer", 1), (["production"], mount.root, 7),
                (["\(errors)/chr1.tsv", errors], mount.root, 6), (["type = splice_errors"], mount.root, 6),
            ] as [([String], String, Int)] {
                let proved = try run([try Mount.binary(), "verify"] + words, directory: place)
                #expect(proved.succeeded && proved.output.hasPrefix("\(count) artifact"), "\(words): \(proved)")
            }
            let both = try run([try Mount.binary(), "verify", "production", "type = x"], directory: mount.root)
            #expect(both.status == 64, "\(both)")
        }

        @Test func inParts() throws {
            let mount = try Mount()
            try production(mount)
            var seen: [String] = []
            for part in 1...3 { seen += states(try verify(mount.store, "--json", "--slice", "\(part)/3")).keys }
            #expect(seen.sorted() == states(try verify(mount.store, "--json")).keys.sorted(), "each in one part")
            // What was proved is remembered, and not proved again before its time.
            let again = try verify(mount.store, "--older-than", "1d")
            #expect(again.succeeded && again.output.hasPrefix("0 artifacts are what was sealed"), "\(again)")
            let json = try verify(mount.store, "--json", "--older-than", "0s", "production/base/splice_errors/chr1.tsv")
            #expect(json.output.contains("\"proved_before\":\"20"), "\(json)")
            let page = try run(
                [try Mount.binary(), "show", "production/base/splice_errors/chr1.tsv"], directory: mount.root)
            #expect(page.output.contains("\nproved      20"), "\(page)")
            let none = try verify(mount.store, "--max-duration", "0s")
            #expect(none.succeeded && none.output.contains("7 were not looked at: the time was over"), "\(none)")
            for (words, status) in [
                (["--slice", "4/3"], 64), (["--slice", "0/3"], 64), (["--slice", "x"], 64),
                (["--older-than", "soon"], 64),
                (["--max-duration", "99999999999w"], 64), (["production/base/splice_errors/chr9.tsv"], 2),
                (["type = gene_manifest"], 2), (["typ = x"], 64),
            ] as [([String], Int32)] {
                let wrong = try run([try Mount.binary(), "verify", "--store", mount.store] + words)
                #expect(wrong.status == status && !wrong.errors.isEmpty, "\(words): \(wrong)")
            }
        }

        @Test func ledgersAreAudited() throws {
            let mount = try Mount()
            try production(mount)
            func audit(_ words: String...) throws -> Outcome {
                try run([try Mount.binary(), "audit", mount.store] + words)
            }
            let whole = try audit()
            #expect(whole.succeeded && whole.output.contains(" is whole: "), "\(whole)")
            #expect(whole.output.contains("7 sealed artifacts: all there"), "\(whole)")
            let head = try audit("--head")
            let noted = String(head.output.dropLast())
            #expect(head.succeeded && noted.split(separator: ":").count == 3, "\(head)")
            #expect(try audit("--noted", noted).succeeded)
            try write("a\tb\n1\t2\n", to: mount.production("base/splice_errors/chr7.tsv"))
            #expect(mount.settle())
            #expect(try audit("--noted", noted).succeeded, "it goes on after what was noted")
            _ = try mount.unmount()
            // A chain that was made anew is whole, and not the one that was noted.
            let parts = noted.split(separator: ":")
            let other = "\(parts[0]):\(parts[1]):" + String(repeating: "0", count: 64)
            let changed = try audit("--noted", other)
            #expect(changed.status == 1 && changed.errors.contains("not the one that was noted"), "\(changed)")
            #expect(try audit("--noted", "\(parts[0]):999999:\(parts[2])").errors.contains("was noted before"))
            #expect(try audit("--noted", "gone:1:\(parts[2])").errors.contains("is gone"))
            #expect(try audit("--noted", "x").status == 64)
            // Each head counts, whichever comes first.
            #expect(
                try audit("--noted", "\(other) \(noted)").status == 1
                    && audit("--noted", "\(noted) \(other)").status == 1)
            #expect(try audit("--head", "--json").status == 64)
            // What the catalog says is not what the ledgers say.
            let told = try run([
                testPython, "-c",
                "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(\"DELETE FROM artifact WHERE name = 'chr6.tsv'\"); c.commit()",
                mount.store + "/.artifactfs/catalog/catalog.sqlite",
            ])
            #expect(told.succeeded, "\(told)")
            unlink(mount.real("base_layer/splice_errors_chr6.tsv"))
            #expect(try audit().errors.contains("chr6.tsv: it was sealed, and nothing is there"))
            // A line that is none is not one that a crash has cut off.
            let garbage = try run(["bash", "-c", "echo GARBAGE >> \(mount.store)/.artifactfs/ledger/*.jsonl"])
            #expect(try garbage.succeeded && audit().errors.contains("is not a ledger line"))
            let cut = try run([
                "bash", "-c", "f=$(echo \(mount.store)/.artifactfs/ledger/*.jsonl); sed -i '$d' $f; truncate -s -9 $f",
            ])
            #expect(cut.succeeded)
            let fragment = try audit()
            #expect(fragment.output.contains(" is whole: "), "as a crash leaves it: \(fragment)")
            #expect(fragment.status == 1 && fragment.errors.contains("not the one that was read before"), "\(fragment)")
            #expect(try audit("--noted", String(audit("--head").output.dropLast())).output.contains(" is whole: "))
            // One byte of one line.
            let ledger = try #require(
                try names(in: mount.store + "/.artifactfs/ledger").first { $0.hasSuffix(".jsonl") })
            let edited = try run([
                "sed", "-i", "0,/chr3/s/chr3/chr8/", mount.store + "/.artifactfs/ledger/" + ledger,
            ])
            #expect(edited.succeeded)
            let found = try audit()
            #expect(
                found.status == 1 && found.errors.contains("'prev' is not the hash of the line before it"), "\(found)")
            #expect(found.output.contains("IS NOT AS IT WAS WRITTEN"), "\(found)")
        }

        /// Files are checked before they are written, as production would check them.
        @Test func beforeTheyAreWritten() throws {
            let directory = try TemporaryDirectory()
            let good = "a\tb\n1\t2\n"
            for (name, text) in [
                ("chr1.tsv", good), ("analysis_sequences_chr2.tsv", good), ("cut.tsv", "a\tb\n1\t2\n3\n"),
                ("empty.tsv", ""),
                ("m.json", "{\"a\": 1}"), ("n.json", "{\"a\": "), ("x.unknown", "x"),
            ] { try write(text, to: directory.path + "/" + name) }
            func validate(_ words: String...) throws -> Outcome {
                try run([try Mount.binary(), "validate"] + words, directory: directory.path)
            }
            let some = try validate("chr1.tsv", "analysis_sequences_chr2.tsv", "m.json")
            #expect(some.succeeded, "\(some)")
            #expect(some.output.hasPrefix("chr1.tsv: would be taken (.tsv): 1 row, 2 columns\n"), "\(some)")
            #expect(some.output.contains("chr2.tsv: would be taken as analysis_sequences (.tsv): 1 row"), "\(some)")
            let cut = try validate("chr1.tsv", "cut.tsv", "--as", "splice_errors")
            #expect(
                cut.status == 1
                    && cut.output.contains("cut.tsv: would be REFUSED as splice_errors (.tsv): line 3 has only 1"),
                "\(cut)")
            for (name, part) in [
                ("empty.tsv", "it is empty"), ("n.json", "would be REFUSED"),
                ("x.unknown", "no type has its extension"),
            ] {
                let refused = try validate(name)
                #expect(refused.status == 1 && refused.output.contains(part), "\(refused)")
            }
            #expect(try validate("gone.tsv").status == 2 && validate("m.json", "--as", "none").status == 64)
            let wrong = try validate("m.json", "--as", "analysis_sequences")
            #expect(wrong.status == 1 && wrong.output.contains("takes files with the extensions"), "\(wrong)")
            let json = try validate("cut.tsv", "--json")
            #expect(json.output.contains("\"state\":\"refused\"") && json.output.contains("line 3"), "\(json)")
            // What is said before is what the mount does.
            let mount = try Mount()
            for name in ["chr1.tsv", "cut.tsv"] {
                let target = mount.production("base/splice_errors/\(name == "cut.tsv" ? "chr2" : "chr1").tsv")
                let copied = try run(["cp", directory.path + "/" + name, target])
                #expect(copied.succeeded == (name == "chr1.tsv"), "\(copied)")
            }
        }

        /// Others prove what they may read, through the mount.
        @Test func byAnotherUser() throws {
            try #require(geteuid() == 0)
            let mount = try Mount(MountVariant(allowOther: true))
            try production(mount)
            #expect(chmod(mount.real("base_layer/splice_errors_chr2.tsv"), 0o400) == 0)
            let proved = try run([try Mount.binary(), "verify", "--store", mount.root, "--json"], user: .nobody)
            #expect(states(proved)["chr1.tsv"] == "whole" && states(proved)["chr2.tsv"] == nil, "\(proved)")
            // What is there and no record tells of, is not passed over in silence.
            let seen = try run([try Mount.binary(), "verify", "--store", mount.root], user: .nobody)
            #expect(seen.status == 2 && seen.output.contains("no record is shown to you"), "\(seen)")
            let closed = try run([try Mount.binary(), "audit", mount.root], user: .nobody)
            #expect(closed.status == 2 && closed.errors.contains("its owner's and root's"), "\(closed)")
        }
    }
}
