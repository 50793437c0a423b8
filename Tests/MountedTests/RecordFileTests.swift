import Foundation
import Glibc
import TestSupport
import Testing

/// SEMANTICS 4: an artifact's record is beside it on the mount, for those who may read it.
extension MountedTests {
    @Suite struct RecordFileTests {
        private let directory = "production/base/analysis_sequences"

        private func seal(_ mount: Mount, _ path: String, mode: String = "0644", more: String = "") throws {
            let file = mount.path(path)
            let outcome = try shell(
                "printf 'a\\tb\\n1\\t2\\n' > \(file).tmp; \(more) chmod \(mode) \(file).tmp; mv \(file).tmp \(file)")
            #expect(outcome.succeeded && mount.isSealed(file), "\(outcome); log: \(mount.log)")
        }

        private func json(_ path: String, _ expression: String, user: User? = nil) throws -> String {
            let script = "import json, sys; r = json.load(open(sys.argv[1])); print(\(expression))"
            let outcome = try run(["/usr/bin/python3", "-c", script, path], user: user)
            #expect(outcome.succeeded, "\(outcome)")
            return String(outcome.output.dropLast())
        }

        @Test(arguments: MountVariant.both) func aRecordIsBesideItsArtifact(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let meta = mount.path(directory + "/.meta")
            #expect(!exists(meta + "/chr1.tsv.json"))
            try seal(mount, directory + "/chr1.tsv")
            let record = meta + "/chr1.tsv.json"
            #expect(try json(record, "r['artifact']['path']") == directory + "/chr1.tsv")
            #expect(try json(record, "r['artifact']['content']['rows']") == "1")
            // Found when named, never listed.
            #expect(try names(in: mount.path(directory)) == ["chr1.tsv"])
            #expect(try names(in: meta).isEmpty)
            #expect(try run(["find", mount.root, "-name", ".meta"]).output.isEmpty)
            #expect(try run(["cp", "-r", mount.path("production"), mount.session("scratch/copy")]).succeeded)
            #expect(try run(["find", mount.session("scratch/copy"), "-name", ".meta"]).output.isEmpty)
            // The same as the command prints, and as long as it says.
            let printed = try run([try Mount.binary(), "show", "--json", mount.path(directory + "/chr1.tsv")])
            #expect(try printed.output == contents(record), "\(printed)")
            #expect(try Int(attributes(record).st_size) == printed.output.utf8.count)
            #expect(try run(["tail", "-c", "10", record]).output == String(printed.output.suffix(10)))

            for script in [
                "echo x > \(record)", "rm \(record)", "mv \(record) \(mount.session("scratch/r"))",
                "chmod 0600 \(record)",
                "ln -s x \(meta)/x", "mkdir \(meta)/x", "echo x > \(meta)/x", "rmdir \(meta)", "mv \(meta) \(meta)2",
                "mkdir \(meta)",
            ] {
                #expect(try !shell(script).succeeded, "\(script)")
            }
            #expect(try contents(record) == printed.output)
            for name in ["chr2.tsv.json", "chr1.tsv", "chr1.json", ".json", "x"] { #expect(!exists(meta + "/" + name)) }
            #expect(!exists(mount.session("base/analysis_sequences/.meta")) && !exists(mount.path("production/.meta")))
            // With relaxed and synced durability, and after a new mount, it is found by what the file says.
            let place = try extendedAttribute(
                "user.artifact.ledger", of: mount.real("base_layer/analysis_sequences_chr1.tsv"))
            #expect(place.contains(".jsonl "), "\(place)")
            let listed = try run(["getfattr", "-m", "-", mount.path(directory + "/chr1.tsv")])
            #expect(!listed.output.contains("user.artifact"), "\(listed)")
        }

        @Test func attributesOfTheRecord() throws {
            let mount = try Mount()
            let file = mount.path(directory + "/chr1.tsv")
            try seal(mount, directory + "/chr1.tsv")
            let sum = try run(["sha256sum", file]).output.prefix(64)
            let asked = try run(["getfattr", "--only-values", "-n", "user.artifact.sha256", file])
            #expect(asked.output == sum, "\(asked)")
            let record = try extendedAttribute("user.artifact.record", of: file)
            #expect(try record + "\n" == contents(mount.path(directory + "/.meta/chr1.tsv.json")))
            // What is not known is no attribute.
            let outcome = try run(["getfattr", "-n", "user.artifact.run", file])
            #expect(!outcome.succeeded && outcome.errors.contains("No such attribute"), "\(outcome)")
            let commit = try run(["getfattr", "--only-values", "-n", "user.artifact.commit", file])
            #expect(
                commit.succeeded ? record.contains("\"commit\":\"\(commit.output)\"") : !record.contains("\"commit\""))
            #expect(try !run(["setfattr", "-n", "user.artifact.sha256", "-v", "x", file]).succeeded)
            let session = mount.session("base/analysis_sequences/chr1.tsv")
            try write(table, to: session)
            #expect(try !run(["getfattr", "-n", "user.artifact.record", session]).succeeded)
        }

        /// What the writer says stands in the record: before its close, and while it settles.
        @Test func whatTheWriterSays() throws {
            let mount = try Mount()
            try seal(mount, directory + "/chr1.tsv")
            let script = """
                import json, os, sys
                root, path = sys.argv[1:]
                with open(path, "w") as file:
                    file.write("a\\tb\\n1\\t2\\n")
                    os.setxattr(path, "user.artifact.config", json.dumps({"lr": 0.1}).encode())
                    os.setxattr(path, "user.artifact.inputs", (root + "/production/base/analysis_sequences/chr1.tsv").encode())
                os.setxattr(path, "user.artifact.note", b"second try")
                os.setxattr(path, "user.reviewed_by", b"ada")
                """
            let path = mount.path("production/base/splice_errors/chr1.tsv")
            let outcome = try python(script, [mount.root, path])
            #expect(outcome.succeeded && mount.isSealed(path), "\(outcome); log: \(mount.log)")
            let record = mount.path("production/base/splice_errors/.meta/chr1.tsv.json")
            #expect(try json(record, "r['attributes']['user.artifact.config']['lr']") == "0.1")
            #expect(try json(record, "r['attributes']['user.artifact.note']") == "second try")
            #expect(try json(record, "r['attributes']['user.reviewed_by']") == "ada")
            #expect(
                try json(record, "(r['inputs'][0]['path'], r['inputs'][0]['how'])")
                    == "('\(directory)/chr1.tsv', 'declared')")
            let sum = try run(["sha256sum", mount.path(directory + "/chr1.tsv")]).output.prefix(64)
            #expect(try json(record, "r['inputs'][0]['sha256']") == sum)
            let page = try run([try Mount.binary(), "show", path])
            #expect(page.output.contains("declared: somebody said so") && page.output.contains("second try"), "\(page)")
        }

        @Test func directoriesAndReadOnlyMounts() throws {
            let mount = try Mount()
            let target = mount.production("meta/meta_checkpoints/checkpoint-5")
            let made = mount.session("meta/meta_checkpoints/checkpoint-5")
            #expect(try shell("mkdir -p \(made)/sub && echo {} > \(made)/sub/config.json").succeeded)
            #expect(try run(["mv", made, target]).succeeded && mount.isSealed(target), "log: \(mount.log)")
            let record = mount.production("meta/meta_checkpoints/.meta/checkpoint-5.json")
            #expect(try json(record, "r['artifact']['kind']") == "directory")
            let text = try contents(record)
            #expect(try extendedAttribute("user.artifact.record", of: target) + "\n" == text)
            #expect(try !run(["getfattr", "-n", "user.artifact.record", target + "/sub/config.json"]).succeeded)
            let readOnly = try Mount(store: mount.store, MountVariant(readOnly: true))
            let other = readOnly.production("meta/meta_checkpoints/.meta/checkpoint-5.json")
            #expect(try contents(other) == text && Int(attributes(other).st_size) == text.utf8.count)
            let shown = try run([
                try Mount.binary(), "show", "--json", readOnly.production("meta/meta_checkpoints/checkpoint-5"),
            ])
            #expect(shown.output == text, "\(shown)")
        }

        /// A store of an earlier version, and file systems without attributes: what is near the ledger's end is found.
        @Test func withoutThePlaceInTheLedger() throws {
            let mount = try Mount()
            try seal(mount, directory + "/chr1.tsv")
            let real = mount.real("base_layer/analysis_sequences_chr1.tsv")
            #expect(try run(["setfattr", "-x", "user.artifact.ledger", real]).succeeded)
            let record = mount.path(directory + "/.meta/chr1.tsv.json")
            #expect(try json(record, "r['artifact']['state']") == "sealed")
            // What was put in its place is not what was sealed.
            #expect(try shell("rm -f \(real); printf 'a\\tb\\n' > \(real)").succeeded)
            #expect(eventually { !exists(record) })
        }

        /// Users see the records of what they may read, and of nothing else.
        @Test(.enabled(if: geteuid() == 0, "another user looks"), arguments: [false, true])
        func otherUsersRecords(readOnly: Bool) throws {
            let writing = try Mount(MountVariant(allowOther: true))
            try seal(writing, directory + "/chr1.tsv")
            try seal(writing, directory + "/chr2.tsv", mode: "0600")
            let mount =
                readOnly
                ? try Mount(store: writing.store, MountVariant(readOnly: true, allowOther: true)) : writing
            let meta = mount.path(directory + "/.meta")
            #expect(try json(meta + "/chr1.tsv.json", "r['artifact']['key']", user: .nobody) == "chr1")
            #expect(try json(meta + "/chr2.tsv.json", "r['artifact']['key']") == "chr2")
            let refused = try run(["cat", meta + "/chr2.tsv.json"], user: .nobody)
            #expect(!refused.succeeded && refused.output.isEmpty, "\(refused)")
            let attribute = try run(
                ["getfattr", "-n", "user.artifact.record", mount.path(directory + "/chr2.tsv")], user: .nobody)
            #expect(!attribute.succeeded && attribute.output.isEmpty, "\(attribute)")
            let shown = try run([try Mount.binary(), "show", mount.path(directory + "/chr1.tsv")], user: .nobody)
            #expect(shown.succeeded && shown.output.contains("key chr1"), "\(shown)")
            let hidden = try run([try Mount.binary(), "show", mount.path(directory + "/chr2.tsv")], user: .nobody)
            #expect(hidden.status == 2 && hidden.output.isEmpty, "\(hidden)")
            // An access list lets one in.
            let real = mount.real("base_layer/analysis_sequences_chr2.tsv")
            guard try run(["setfacl", "-m", "u:65534:r", real]).succeeded else { return }
            let key = eventually {
                (try? run(["cat", meta + "/chr2.tsv.json"], user: .nobody).output.contains("chr2")) ?? false
            }
            #expect(key, "log: \(mount.log)")
        }
    }
}
