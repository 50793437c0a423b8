import Glibc
import SystemPackage
import TestSupport
import Testing

/// A store of several hosts: what one of them makes, the mounts of the others show within the schema's time, also who has looked for it in vain.
extension MountedTests {
    @Suite struct SharedStoreTests {
        /// A writing mount, and another beside it, of a store that others may change.
        private func mounts(
            _ other: MountVariant, cache: Int = 1
        ) throws -> (mount: Mount, other: Mount, directory: TemporaryDirectory) {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/model_eval"
            try Mount.initialize(store: store)
            let schema = store + "/.artifactfs/schema.yaml"
            let text = try contents(schema).replacing("hosts: auto", with: "hosts: several")
                .replacing("cache: 5", with: "cache: \(cache)")
            try write(text, to: schema)
            return (try Mount(store: store), try Mount(store: store, other), directory)
        }

        private static let variants = [
            MountVariant(), MountVariant(passthrough: false), MountVariant(readOnly: true),
            MountVariant(readOnly: true, options: "passthrough"),
        ]

        /// Names by every way of asking: none of them is remembered for longer than the schema says.
        private struct Seen: Equatable {
            var listed: Bool
            var found: Bool
            var opened: Bool

            static let all = Seen(listed: true, found: true, opened: true)
            static let none = Seen(listed: false, found: false, opened: false)

            init(listed: Bool, found: Bool, opened: Bool) {
                (self.listed, self.found, self.opened) = (listed, found, opened)
            }

            init(_ name: String, in directory: String) {
                listed = (try? names(in: directory).contains(name)) ?? false
                found = (try? attributes(directory + "/" + name)) != nil
                opened = (try? contents(directory + "/" + name)) != nil
            }
        }

        @Test(arguments: variants) func whatAnotherMountPublishesIsSeen(_ variant: MountVariant) throws {
            let (mount, other, directory) = try mounts(variant)
            defer { withExtendedLifetime(directory) {} }
            let (path, shown) = (
                mount.production("base/analysis_sequences"), other.production("base/analysis_sequences")
            )
            // In vain, and with the listing kept.
            for _ in 0..<3 { #expect(Seen("chr1.tsv", in: shown) == .none) }
            try publish(mount, "chr1.tsv")
            #expect(eventually { Seen("chr1.tsv", in: shown) == .all }, "published; log: \(other.log)")
            #expect(try contents(shown + "/chr1.tsv") == table)
            // It has its record, too.
            #expect(eventually { (try? contents(shown + "/.meta/chr1.tsv.json")) != nil })

            let outcome = try run(
                [Mount.binary(), "retract", path + "/chr1.tsv", "--reason", "it was wrong"])
            #expect(outcome.succeeded, "\(outcome)")
            #expect(eventually { Seen("chr1.tsv", in: shown) == .none }, "retracted; log: \(other.log)")
            try publish(mount, "chr1.tsv", "a\tb\n3\t4\n")
            #expect(eventually { (try? contents(shown + "/chr1.tsv")) == "a\tb\n3\t4\n" }, "published anew")
        }

        private func publish(_ mount: Mount, _ name: String, _ text: String = table) throws {
            let path = mount.production("base/analysis_sequences/" + name)
            let outcome = try run(["bash", "-c", #"printf %s "$1" > "$0""#, path, text])
            #expect(outcome.succeeded && mount.isSealed(path), "\(outcome); log: \(mount.log)")
        }

        /// As another host's would be, of which no mount here hears anything: in directories that were not there, too.
        @Test(arguments: variants) func whatIsMadeBehindTheirBacksIsSeen(_ variant: MountVariant) throws {
            let (_, other, directory) = try mounts(variant)
            defer { withExtendedLifetime(directory) {} }
            let shown = other.production("meta/meta_predictions")
            let real = other.real("meta_layer/predictions")
            for _ in 0..<3 { #expect(Seen("chr1.tsv", in: shown) == .none) }
            try check(mkdir(real, 0o755))
            try write(table, to: real + "/meta_predictions_chr1.tsv")
            #expect(eventually { Seen("chr1.tsv", in: shown) == .all })
            // Another directory in its place.
            try check(rename(real, directory.path + "/away"))
            try check(mkdir(real, 0o755))
            try write(table, to: real + "/meta_predictions_chr2.tsv")
            #expect(eventually { Seen("chr2.tsv", in: shown) == .all && Seen("chr1.tsv", in: shown) == .none })
            // Another file in the place of one that was seen.
            try write("a\tb\n5\t6\n", to: directory.path + "/other.tsv")
            try check(rename(directory.path + "/other.tsv", real + "/meta_predictions_chr2.tsv"))
            #expect(eventually { (try? contents(shown + "/chr2.tsv")) == "a\tb\n5\t6\n" })
            try remove(real + "/meta_predictions_chr2.tsv")
            #expect(eventually { Seen("chr2.tsv", in: shown) == .none })
            // A session, and what is in it.
            let session = "20200101_000000"
            #expect(Seen(session, in: other.path("development")).found == false)
            let scratch = other.real("base_layer/dev/\(session)/scratch")
            #expect(try run(["mkdir", "-p", scratch]).succeeded)
            #expect(eventually { (try? names(in: other.path("development")).contains(session)) == true })
            let free = other.path("development/\(session)/scratch")
            #expect(Seen("x", in: free) == .none)
            try write("x", to: scratch + "/x")
            #expect(eventually { Seen("x", in: free) == .all })
            try remove(scratch + "/x")
            #expect(eventually { Seen("x", in: free) == .none })
        }

        /// However long what was seen may be shown, who writes asks: a name that was made elsewhere is taken, and one that is gone is free.
        @Test func whoWritesAsksTheStore() throws {
            let (mount, other, directory) = try mounts(MountVariant(), cache: 3600)
            defer { withExtendedLifetime(directory) {} }
            let path = other.production("base/analysis_sequences/chr1.tsv")
            #expect((try? attributes(path)) == nil)
            try write(table, to: other.real("base_layer/analysis_sequences_chr1.tsv"))
            #expect(
                answer { () throws(Errno) in try openAndClose(path, O_WRONLY | O_CREAT | O_EXCL) } == .fileExists)
            #expect(try contents(path) == table)
            try remove(other.real("base_layer/analysis_sequences_chr1.tsv"))
            try publish(mount, "chr2.tsv")
            #expect(
                answer { () throws(Errno) in
                    try openAndClose(
                        other.production("base/analysis_sequences/chr2.tsv"), O_WRONLY | O_CREAT | O_EXCL)
                } == .fileExists)
        }
    }
}
