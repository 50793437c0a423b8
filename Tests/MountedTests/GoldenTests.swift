import Glibc
import TestSupport
import Testing

/// Stores of every disk format that was ever released (`Tests/Golden`): they mount, every artifact is what its record says, what was killed
/// is settled, and work goes on in them.
extension MountedTests {
    @Suite struct GoldenTests {
        /// From where this file was when it was built.
        private static let directory =
            #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
            + "/Golden"

        static let stores = ["format-1"]

        private func unpack(_ name: String) throws -> TemporaryDirectory {
            let directory = try TemporaryDirectory()
            let unpacked = try run([
                "tar", "--xattrs", "--xattrs-include=user.*", "-xzf", Self.directory + "/" + name + ".tar.gz", "-C",
                directory.path,
            ])
            #expect(unpacked.succeeded, "\(unpacked)")
            return directory
        }

        @Test func everyFormatIsTested() throws {
            let found = try names(in: Self.directory).filter { $0.hasSuffix(".tar.gz") }
            #expect(found.sorted() == Self.stores.map { $0 + ".tar.gz" })
        }

        /// Compares each `sealed` line with the file on the mount and with the one at the real path.
        private static let reader = """
            import hashlib, json, os, sys
            store, mount = sys.argv[1:]
            before, number, sealed = "0" * 64, 0, 0
            for line in open(store + "/.artifactfs/ledger/golden.jsonl", "rb"):
                entry = json.loads(line)
                assert entry["prev"] == before and entry["seq"] == number + 1, entry
                number, before = entry["seq"], hashlib.sha256(line.rstrip(b"\\n")).hexdigest()
                if entry["event"] != "sealed": continue
                sealed += 1
                for path in (store + "/" + entry["directory"] + "/" + entry["name"], mount + "/" + entry["record"]["path"]):
                    data = open(path, "rb").read()
                    assert hashlib.sha256(data).hexdigest() == entry["sha256"] and len(data) == entry["size"], path
                    assert os.getxattr(path, "user.artifact.state") == b"sealed" if path.startswith(mount) else True
                assert os.stat(store + "/" + entry["directory"] + "/" + entry["name"]).st_mode & 0o222 == 0
            print(sealed)
            """

        @Test(arguments: stores) func aStoreOfEachFormatGoesOn(_ name: String) throws {
            let directory = try unpack(name)
            let store = directory.path + "/store"
            let mount = try Mount(store: store)
            let read = try python(Self.reader, [store, mount.root])
            #expect(read.output == "6\n", "\(read)")

            let note = mount.production("meta/meta_checkpoints/epoch_001.pkl")
            #expect(try extendedAttribute("user.artifact.note", of: note) == "the first epoch")
            // Records without parts are shown as those of today.
            let chr1 = mount.production("base/analysis_sequences/chr1.tsv")
            let shown = try run([try Mount.binary(), "show", chr1])
            #expect(
                shown.succeeded && shown.output.contains("artifact    production/base/analysis_sequences/chr1.tsv\n")
                    && shown.output.contains("inputs      not known\n"), "\(shown)")
            let record = try contents(mount.production("base/analysis_sequences/.meta/chr1.tsv.json"))
            #expect(
                record.hasPrefix(#"{"artifact":{"path":"production/base/analysis_sequences/chr1.tsv""#), "\(record)")
            let overwritten = try shell("echo x > '\(mount.production("base/analysis_sequences/chr1.tsv"))'")
            #expect(overwritten.errors.contains("File exists"), "\(overwritten)")

            // With the first version the store is of the format that knows of them, and nothing else changes.
            #expect(try contents(store + "/.artifactfs/format") == "artifactfs store, format 1\n")
            let former = try contents(chr1)
            let retracted = try run([try Mount.binary(), "retract", "--reason", "a test", chr1])
            #expect(retracted.succeeded && !exists(chr1), "\(retracted)")
            #expect(try contents(store + "/.artifactfs/format") == "artifactfs store, format 2\n")
            let versions = mount.production("base/analysis_sequences/.meta/chr1.tsv.versions")
            #expect(try contents(versions + "/1") == former)
            let back = try run(["cp", versions + "/1", chr1])
            #expect(back.succeeded && mount.isSealed(chr1), "\(back)")

            // What the killed driver left: kept, told, and its name is free.
            let kept = try names(in: store + "/.artifactfs/quarantine").filter { $0.hasSuffix(".reason.json") }
            #expect(kept.count == 3 && kept.contains { $0.contains("chr7.tsv") }, "\(kept)")
            let again = mount.production("base/analysis_sequences/chr7.tsv")
            try write("gene_id\tstart\nENSG7\t701\n", to: again)
            #expect(mount.isSealed(again))

            // Sessions and tests, frozen and live.
            let session = mount.root + "/development/20261126_175119"
            #expect(try contents(session + "/base/splice_errors/chr3.tsv") == "a\tb\n5\t6\n")
            #expect(try contents(session + "/logs/deep/run.log") == "log\n")
            #expect(try shell("echo x > '\(session)/scratch/n.txt'").errors.contains("Operation not permitted"))
            try write("a\tb\n7\t9\n", to: mount.root + "/test/t1/base/splice_errors/chr9.tsv")
            #expect(try contents(store + "/base_layer/tests/t1/splice_errors_chr9.tsv") == "a\tb\n7\t9\n")
        }

        @Test(arguments: stores) func anEndedSessionIsResumed(_ name: String) throws {
            let directory = try unpack(name)
            let mount = try Mount(
                store: directory.path + "/store", MountVariant(session: "20261126_175119", durability: .synced))
            try write("more\n", to: mount.root + "/development/current/scratch/n.txt")
            #expect(try contents(mount.root + "/development/20261126_175119/scratch/n.txt") == "more\n")
        }

        @Test(arguments: stores) func aStoreOfEachFormatIsReadByOthers(_ name: String) throws {
            let directory = try unpack(name)
            let store = directory.path + "/store"
            let mount = try Mount(store: store, MountVariant(readOnly: true))
            #expect(try python(Self.reader, [store, mount.root]).output == "6\n")
        }
    }
}
