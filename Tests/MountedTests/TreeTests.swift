import CLinux
import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 1 on the real mount: what is there, under which name, and what is found only when it is named.
extension MountedTests {
    @Suite struct TreeTests {
        @Test(arguments: MountVariant.both) func everyTypedDirectoryIsThere(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            #expect(try names(in: mount.root) == ["development", "production", "test"])
            #expect(
                try names(in: mount.production("base")) == [
                    "analysis_sequences", "gene_manifest", "nucleotide_scores", "splice_errors", "training_data",
                    "validation_data",
                ])
            #expect(
                try names(in: mount.production("meta")) == [
                    "experiment_metadata", "experiment_plots", "meta_checkpoints", "meta_metrics", "meta_predictions",
                    "training_data", "validation_data",
                ])
            #expect(try names(in: mount.production("base/analysis_sequences")).isEmpty)
        }

        @Test(arguments: MountVariant.both) func namesLeadToTheirRealFiles(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let pairs = [
                ("base/analysis_sequences/chr1.tsv", "base_layer/analysis_sequences_chr1.tsv", table),
                ("base/gene_manifest/gene_manifest.tsv", "base_layer/gene_manifest.tsv", table),
                ("meta/meta_predictions/meta_predictions.tsv", "meta_layer/predictions/meta_predictions.tsv", table),
                ("meta/meta_metrics/training_metrics.json", "meta_layer/metrics/training_metrics.json", "{}\n"),
            ]
            for (name, real, text) in pairs {
                try write(text, to: mount.production(name))
                #expect(eventually { (try? contents(mount.real(real))) == text }, "\(name) is \(real)")
                #expect(try contents(mount.production(name)) == text)
            }
            // A real file that no type claims is not shown, and one that appears beside the mount is.
            try write("stray", to: mount.real("base_layer/stray.txt"))
            try write(table, to: mount.real("base_layer/splice_errors_chrX.tsv"))
            #expect(eventually { exists(mount.production("base/splice_errors/chrX.tsv")) })
            #expect(!tree(mount.path("production")).contains { $0.contains("stray") })
        }

        @Test(arguments: MountVariant.both) func namesThatNoTypeHasAreRefused(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let names = [
                "base/analysis_sequences/1.tsv", "base/analysis_sequences/chr1.csv", "base/analysis_sequences/chr.tsv",
                "base/analysis_sequences/chr1", "base/gene_manifest/chr1.tsv", "meta/meta_checkpoints/-x.pt",
                "base/analysis_sequences/chr1\n.tsv",
            ]
            let before = mount.realFiles()
            for name in names {
                #expect(
                    answer { () throws(Errno) in try openAndClose(mount.production(name), O_WRONLY | O_CREAT) }
                        == .invalidArgument, "\(name)")
            }
            #expect(
                answer { () throws(Errno) in
                    try openAndClose(
                        mount.production("meta/meta_checkpoints/\(String(repeating: "n", count: 256)).pt"),
                        O_WRONLY | O_CREAT)
                } == .fileNameTooLong)
            let typed = mount.production("base/analysis_sequences/")
            #expect(answer { () throws(Errno) in try check(mkdir(typed + "directory", 0o755)) } == .invalidArgument)
            #expect(answer { () throws(Errno) in try check(symlink("chr1.tsv", typed + "chr2.tsv")) } == .notPermitted)
            #expect(answer { () throws(Errno) in try check(mkfifo(typed + "chr2.tsv", 0o644)) } == .notPermitted)
            #expect(mount.realFiles() == before, "a refusal makes nothing")
            #expect((mount.count("total") ?? 0) >= names.count, "refusals are counted")
            #expect(mount.denials().count >= names.count, "and kept with their reasons")
        }

        @Test(arguments: MountVariant.both) func hiddenEntriesAreFoundOnlyByName(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            #expect(exists(mount.path(".artifactfs/status.json")))
            #expect(exists(mount.path(".artifactfs/denials.jsonl")))
            let outcome = try shell("ls -RA . && find . && grep -rs pid . | cat", in: mount.root)
            #expect(outcome.succeeded && !outcome.output.contains(".artifactfs"), "\(outcome)")
            #expect(!outcome.output.contains("status.json"))
            #expect(
                answer { () throws(Errno) in try openAndClose(mount.path(".artifactfs/status.json"), O_WRONLY) } != nil)
            #expect(answer { () throws(Errno) in try remove(mount.path(".artifactfs/status.json")) } != nil)
        }

        /// A number stays: while the file is written, when it is published, when it is asked again, and on the next mount.
        @Test(arguments: MountVariant.both) func inodeNumbersAreStable(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/model_eval"
            try Mount.initialize(store: store)
            let paths = ["production", "production/base/analysis_sequences", "test"]
            var first: [ino_t] = []
            do {
                let mount = try Mount(store: store, variant)
                let path = mount.production("base/analysis_sequences/chr1.tsv")
                let handle = try openFile(path, O_WRONLY | O_CREAT)
                let written = try attributes(path).st_ino
                try writeAll(handle, table)
                try closeFile(handle)
                #expect(mount.isSealed(path))
                #expect(try attributes(path).st_ino == written, "publishing keeps the number")
                first = try paths.map { path throws(Errno) in try attributes(mount.path(path)).st_ino }
                #expect(Set(first).count == first.count)
                let again = try paths.map { path throws(Errno) in try attributes(mount.path(path)).st_ino }
                #expect(again == first)
                #expect(try mount.unmount() == 0)
            }
            let mount = try Mount(store: store, variant)
            let second = try paths.map { path throws(Errno) in try attributes(mount.path(path)).st_ino }
            #expect(second == first, "the next mount has the same numbers")
        }

        /// The kernel is told what a listing's names are, and not again at once: what comes, goes and changes meanwhile is seen all the same.
        @Test(arguments: MountVariant.both) func listingsOneAfterTheOther(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            for (directory, real) in [
                (mount.production("base/splice_errors"), "base_layer/splice_errors_"),
                (
                    mount.session("base/splice_errors"),
                    "base_layer/dev/\(mount.sessionName)/splice_errors_"
                ),
            ] {
                func sizes() throws -> [String: Int] {
                    var sizes: [String: Int] = [:]
                    for name in try names(in: directory) {
                        sizes[name] = Int(try attributes(directory + "/" + name).st_size)
                    }
                    return sizes
                }
                var expected: [String: Int] = [:]
                for number in 0..<300 {
                    let text = "a\tb\n" + String(repeating: "1\t2\n", count: number % 7 + 1)
                    try write(text, to: directory + "/chr\(number).tsv")
                    expected["chr\(number).tsv"] = text.utf8.count
                }
                for _ in 0..<3 { #expect(try sizes() == expected) }
                // By another mount or a person, and by this mount.
                try write(table, to: mount.real(real + "chr916.tsv"))
                expected["chr916.tsv"] = table.utf8.count
                try write("a\tb\n", to: directory + "/chr917.tsv")
                expected["chr917.tsv"] = 4
                #expect(try sizes() == expected)
                if directory.contains("development") {
                    try remove(directory + "/chr7.tsv")
                    expected["chr7.tsv"] = nil
                    try write("longer than it was before\n", to: directory + "/chr8.tsv")
                    expected["chr8.tsv"] = 26
                    #expect(try sizes() == expected)
                }
            }
        }

        /// A directory that `rmdir` took is there again, also while somebody is in the former one: the kernel holds it for dead, and would
        /// find it by its number.
        @Test(arguments: MountVariant.both) func removedDirectoriesComeAgain(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let script = """
                import errno, os, sys
                held = []
                cases = [("plots", "x.png"), ("logs", "x"), ("scratch", "x"), ("base/splice_errors", "chr1.tsv"), ("base", "splice_errors/chr2.tsv")]
                scope = sys.argv[1]
                if "/test/" in scope: cases.append((".", "base/splice_errors/chr3.tsv"))
                for path, name in cases:
                    path = os.path.normpath(scope + "/" + path)
                    held.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
                    os.rmdir(path)
                    if path == scope: os.mkdir(scope)
                    with open(path + "/" + name, "w") as file: file.write("a\\tb\\n1\\t2\\n")
                    assert os.path.basename(name) in os.listdir(os.path.dirname(path + "/" + name))
                    os.unlink(path + "/" + name)
                    try: print("found in the former one:", os.listdir(held[-1]))
                    except OSError as error: assert error.errno in (errno.ENOENT, errno.EIO), error
                """
            #expect(mkdir(mount.path("test/t"), 0o755) == 0)
            for scope in ["development/" + mount.sessionName, "test/t"] {
                let outcome = try python(script, [mount.path(scope)])
                #expect(outcome.succeeded && outcome.output.isEmpty, "\(scope): \(outcome)")
            }
        }

        @Test func attributesThatAreNobodysAreNotSupported() throws {
            let mount = try Mount()
            let path = mount.production("base/splice_errors/chr1.tsv")
            try write(table, to: path)
            for name in ["security.selinux", "security.capability", "trusted.x"] {
                #expect(
                    answer { () throws(Errno) in _ = try extendedAttribute(name, of: path) } == .notSupported, "\(name)"
                )
            }
            #expect(
                answer { () throws(Errno) in _ = try extendedAttribute("system.posix_acl_access", of: path) } == .noData
            )
            #expect(answer { () throws(Errno) in _ = try extendedAttribute("user.x", of: path) } == .noData)
        }

        @Test(arguments: MountVariant.both) func latestIsTheNewestCheckpoint(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let directory = mount.production("meta/meta_checkpoints/")
            #expect(!exists(directory + "latest"), "without a checkpoint there is none")
            for name in ["epoch_001.pkl", "epoch_002.pkl"] {
                // A pickle of protocol 0.
                try write("S'weights of \(name)'\n.", to: directory + name)
                #expect(mount.isSealed(directory + name))
                #expect(try linkTarget(directory + "latest") == name)
                #expect(try contents(directory + "latest") == "S'weights of \(name)'\n.")
                #expect(try linkTarget(directory + "latest.pkl") == name)
                #expect(!exists(directory + "latest.ckpt"))
                usleep(20_000)  // So that the files' times differ on a file system that counts in ticks.
            }
            #expect(answer { () throws(Errno) in try remove(directory + "latest") } == .notPermitted)
        }

        /// The order of sealing counts, and no time that a writer copied or that a backup changed; the next mount knows it too.
        @Test(arguments: [MountVariant.Durability.relaxed, .synced])
        func latestIsTheLastThatWasSealed(_ durability: MountVariant.Durability) throws {
            let directory = try TemporaryDirectory()
            let (store, old) = (directory.path + "/store", directory.path + "/old.pkl")
            try Mount.initialize(store: store)
            try write("S'old'\n.", to: old)
            #expect(try run(["touch", "-d", "2001-01-01", old]).succeeded)
            let variant = MountVariant(durability: durability)
            do {
                let mount = try Mount(store: store, variant)
                let place = mount.production("meta/meta_checkpoints/")
                try write("S'one'\n.", to: place + "one.pkl")
                #expect(mount.isSealed(place + "one.pkl"))
                #expect(try run(["cp", "-p", old, place + "two.pkl"]).succeeded && mount.isSealed(place + "two.pkl"))
                #expect(try linkTarget(place + "latest") == "two.pkl")
                #expect(try attributes(place + "two.pkl").st_mtim.tv_sec < 1_000_000_000, "with its own time")
                let listed = try run(["getfattr", "-m", "-", place + "two.pkl"])
                #expect(!listed.output.contains("sealed_at"), "no copy carries it along: \(listed)")
                // A promotion is a sealing, however old the file.
                let draft = mount.session("meta/meta_checkpoints/three.pkl")
                try write("S'three'\n.", to: draft)
                #expect(try run(["touch", "-d", "2002-02-02", draft]).succeeded)
                try move(draft, place + "three.pkl")
                #expect(mount.isSealed(place + "three.pkl") && (try? linkTarget(place + "latest")) == "three.pkl")
                #expect(try mount.unmount() == 0)
            }
            // As a backup with hard links does.
            #expect(try run(["ln", store + "/meta_layer/checkpoints/one.pkl", directory.path + "/backup"]).succeeded)
            let mount = try Mount(store: store, variant)
            #expect(try linkTarget(mount.production("meta/meta_checkpoints/latest")) == "three.pkl")
        }

        /// `latest.pkl` is the newest of its format, by the order of sealing; it is not listed, and a real file of the name wins.
        @Test(arguments: MountVariant.both) func latestOfAFormat(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let place = mount.production("meta/meta_checkpoints/")
            let source = mount.session("scratch/old")
            try write("S'x'\n.", to: source)
            #expect(try run(["touch", "-d", "2001-01-01", source]).succeeded)
            try write("S'x'\n.", to: place + "epoch=0-step=10.pkl")
            #expect(mount.isSealed(place + "epoch=0-step=10.pkl"))
            try write("S'x'\n.", to: place + "a.ckpt")
            #expect(mount.isSealed(place + "a.ckpt"))
            #expect(try linkTarget(place + "latest") == "a.ckpt" && linkTarget(place + "latest.ckpt") == "a.ckpt")
            #expect(try linkTarget(place + "latest.pkl") == "epoch=0-step=10.pkl")
            #expect(
                try run(["cp", "-p", source, place + "epoch=1.pkl"]).succeeded && mount.isSealed(place + "epoch=1.pkl"))
            #expect(
                try linkTarget(place + "latest.pkl") == "epoch=1.pkl" && linkTarget(place + "latest") == "epoch=1.pkl")
            #expect(try names(in: place).filter { $0.hasPrefix("latest") } == ["latest"], "for who takes *.pkl")
            // A name as any other where no link has it.
            #expect(answer { () throws(Errno) in try write("S'y'\n.", to: place + "latest.pkl") } == .fileExists)
            #expect(answer { () throws(Errno) in try move(source, place + "latest.pkl") } != nil)
            #expect(answer { () throws(Errno) in try remove(place + "latest.pkl") } == .notPermitted)
            try write("S'real'\n.", to: place + "latest.pt")
            #expect(try contents(place + "latest.pt") == "S'real'\n." && mount.isSealed(place + "latest.pt"))
            try write("S'x'\n.", to: place + "b.pt")
            #expect(mount.isSealed(place + "b.pt"))
            #expect(
                answer { () throws(Errno) in _ = try linkTarget(place + "latest.pt") } == .invalidArgument, "a file")
            #expect(try contents(place + "latest.pt") == "S'real'\n.")
            try write("S'real'\n.", to: mount.session("meta/meta_checkpoints/latest.pkl"))
            #expect(exists(mount.session("meta/meta_checkpoints/latest.pkl")))
        }

        /// A whiteout is a device in the old place (renameat2(2)): typed directories take none, and do not say that they did.
        @Test(arguments: MountVariant.both) func whiteouts(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = mount.session("base/analysis_sequences/chr1.tsv")
            try write(table, to: path)
            let moved = clinux_renameat2(AT_FDCWD, path, AT_FDCWD, mount.session("base/analysis_sequences/chr2.tsv"), 4)
            #expect(moved != 0 && errno == EINVAL)
            #expect(try contents(path) == table && !exists(mount.session("base/analysis_sequences/chr2.tsv")))
        }
    }
}
