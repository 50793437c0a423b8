import Glibc
import SystemPackage
import TestSupport
import Testing

/// Production as it was: mounts, lists and tags.
extension MountedTests {
    @Suite struct AsOfTests {
        private func command(_ words: String..., directory: String? = nil) throws -> Outcome {
            try run([try Mount.binary()] + words, directory: directory)
        }

        @Test func productionAsItWas() throws {
            let mount = try Mount()
            let files = try TemporaryDirectory()
            let (then, early) = (files.path + "/then", files.path + "/early")
            #expect(mkdir(then, 0o755) == 0 && mkdir(early, 0o755) == 0)
            let made = try run(
                [
                    "bash", "-c",
                    """
                    for n in 1 2 3; do printf 'a\\tb\\n%d\\t2\\n' $n > production/base/splice_errors/chr$n.tsv; done
                    cd development/current/meta/meta_checkpoints; mkdir checkpoint-5; echo '{"a": 1}' > checkpoint-5/config.json
                    mv checkpoint-5 ../../../../production/meta/meta_checkpoints/
                    """,
                ], directory: mount.root)
            #expect(made.succeeded && mount.settle(), "\(made)")
            let tagged = try command("tag", "paper-v1", "--note", "as sent", "--store", mount.root)
            #expect(tagged.succeeded && tagged.output.hasPrefix("paper-v1 is 2"), "\(tagged)")
            let listed = try command("tag", "--list", "--store", mount.store)
            #expect(listed.output.contains("  paper-v1  ") && listed.output.hasSuffix("  as sent\n"), "\(listed)")

            try write("a\tb\n7\t7\n", to: files.path + "/new.tsv")
            let errors = mount.production("base/splice_errors")
            #expect(
                try command("supersede", "--reason", "r", "--with", files.path + "/new.tsv", errors + "/chr1.tsv")
                    .succeeded)
            #expect(
                try command(
                    "retract", "--reason", "r", errors + "/chr2.tsv",
                    mount.production("meta/meta_checkpoints/checkpoint-5")
                ).succeeded)
            try write("a\tb\n4\t4\n", to: errors + "/chr4.tsv")
            #expect(mount.isSealed(errors + "/chr4.tsv"))

            let mounted = try command("mount", "--as-of", "paper-v1", mount.store, then)
            #expect(mounted.succeeded && mounted.output.contains("read-only, as of paper-v1 ("), "\(mounted)")
            defer { _ = try? command("unmount", then) }
            let shown = then + "/production/base/splice_errors"
            #expect(try names(in: shown).sorted() == ["chr1.tsv", "chr2.tsv", "chr3.tsv"])
            for n in 1...3 { #expect(try contents("\(shown)/chr\(n).tsv") == "a\tb\n\(n)\t2\n") }
            let checkpoint = then + "/production/meta/meta_checkpoints/checkpoint-5/config.json"
            #expect(try contents(checkpoint) == "{\"a\": 1}\n")
            #expect(!exists(shown + "/chr4.tsv") && !exists(shown + "/.meta/chr1.tsv.versions"))
            #expect(try names(in: then + "/development") == [] && names(in: then + "/test") == [])
            #expect(throws: Errno.readOnlyFileSystem) { try write("x", to: shown + "/chr9.tsv") }
            // The records are those of then.
            let record = try contents(shown + "/.meta/chr1.tsv.json")
            #expect(!record.contains("\"version\":2"), "\(record)")
            let hash = try run(["sha256sum", shown + "/chr1.tsv"]).output.prefix(64)
            let attribute = try extendedAttribute("user.artifact.sha256", of: shown + "/chr1.tsv")
            #expect(record.contains(hash) && attribute == hash)
            let whole = try run(
                [
                    "bash", "-c",
                    "cp -r production \(files.path)/copy && find \(files.path)/copy -type f | wc -l; diff -r production \(files.path)/copy",
                ], directory: then)
            #expect(whole.succeeded && whole.output == "4\n", "\(whole)")

            // What leaves its name while it is shown stays as it was.
            #expect(try command("retract", "--reason", "r", errors + "/chr1.tsv", errors + "/chr3.tsv").succeeded)
            let stays = eventually(within: 15) { (try? contents(shown + "/chr3.tsv")) == "a\tb\n3\t2\n" }
            #expect(stays)
            #expect(try contents(shown + "/chr1.tsv") == "a\tb\n1\t2\n")

            // Before anything was sealed.
            #expect(try command("mount", "-o", "as_of=2020-01-01", mount.store, early).succeeded)
            defer { _ = try? command("unmount", early) }
            #expect(try names(in: early + "/production/base/splice_errors") == [])

            let before = try command("production", "--at", "paper-v1", mount.store)
            #expect(before.succeeded && before.output.split(separator: "\n").count == 4, "\(before)")
            let changed = try command("production", "--at", "paper-v1", "--diff", "now", mount.root)
            #expect(
                changed.status == 1
                    && changed.output == """
                        - production/base/splice_errors/chr1.tsv
                        - production/base/splice_errors/chr2.tsv
                        - production/base/splice_errors/chr3.tsv
                        + production/base/splice_errors/chr4.tsv
                        - production/meta/meta_checkpoints/checkpoint-5

                        """,
                "\(changed)")
            #expect(try command("production", "--at", "paper-v1", "--diff", "paper-v1", mount.store).succeeded)
            #expect(try command("production", "--at", "2020", mount.store).status == 1)
        }

        /// Where there is no catalog, who sits at a terminal is told that one is made; scripts are not.
        @Test func theCatalogIsMadeFirst() throws {
            let mount = try Mount()
            let files = try TemporaryDirectory()
            try write("a\n1\n", to: mount.production("base/splice_errors/chr1.tsv"))
            #expect(mount.isSealed(mount.production("base/splice_errors/chr1.tsv")))
            let mounting = [try Mount.binary(), "mount", "--as-of", "now", mount.store, files.path]
            // With a terminal of its own (pty(7)).
            let atTerminal =
                [
                    testPython, "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)",
                ] + mounting
            for (words, isTold) in [(mounting, false), (atTerminal, true), (atTerminal, false)] {
                if isTold || words == mounting {
                    #expect(try run(["rm", "-rf", mount.real(".artifactfs/catalog")]).succeeded)
                }
                let mounted = try run(words)
                // A terminal's lines are broken where it ends.
                let said = mounted.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                #expect(mounted.succeeded && said.contains("read-only, as of "), "\(mounted)")
                #expect(said.contains("making the catalog of \(mount.store) first") == isTold, "\(mounted)")
                #expect(mounted.errors == "", "\(mounted)")
                #expect(try contents(files.path + "/production/base/splice_errors/chr1.tsv") == "a\n1\n")
                #expect(try run([try Mount.binary(), "unmount", files.path]).succeeded)
            }
        }

        @Test func momentsAndTagsThatAreNone() throws {
            let mount = try Mount()
            let files = try TemporaryDirectory()
            try write("a\n1\n", to: mount.production("base/splice_errors/chr1.tsv"))
            #expect(mount.isSealed(mount.production("base/splice_errors/chr1.tsv")))
            for (words, status, text) in [
                (["production", "--at", "nowhere", mount.store], 64, "is no moment of"),
                (["production", "--at", "nohost:7", mount.store], 64, "is no moment of"),
                (["mount", "--as-of", "nowhere", mount.store, files.path], 64, "is no moment of"),
                (["tag", "a b", "--store", mount.store], 64, "is no name of a tag"),
                (["tag", "yesterday", "--store", mount.store], 64, "is a date"),
                (["tag", "later", "--at", "2199-01-01T00:00:00Z", "--store", mount.store], 1, "still to come"),
                (["tag", "--list", "--store", mount.store], 1, "has no tags"),
                (["tag", "--store", mount.store], 64, "Give a name"),
            ] as [([String], Int32, String)] {
                let outcome = try run([try Mount.binary()] + words)
                #expect(outcome.status == status && outcome.errors.contains(text), "\(words): \(outcome)")
            }
            // A directory of a command's name is none.
            let there = try run([try Mount.binary(), "production", "--at", "now"], directory: mount.root)
            #expect(there.succeeded && there.output == "production/base/splice_errors/chr1.tsv\n", "\(there)")
            #expect(try run([try Mount.binary(), "tag", "one", "--store", mount.store]).succeeded)
            let again = try run([try Mount.binary(), "tag", "one", "--store", mount.store])
            #expect(again.status == 1 && again.errors.contains("never moved"), "\(again)")
            let line = try run([try Mount.binary(), "production", "--at", "one", "--json", mount.store])
            #expect(line.output.contains("\"path\":\"production/base/splice_errors/chr1.tsv\""), "\(line)")
            #expect(try run([try Mount.binary(), "audit", mount.store]).succeeded)
        }
    }
}
