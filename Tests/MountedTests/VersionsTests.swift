import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 2.8: what is sealed leaves its name and stays whole.
extension MountedTests {
    @Suite struct VersionsTests {
        private static let chr1 = "base/analysis_sequences/chr1.tsv"

        private func command(_ words: String..., directory: String? = nil, user: User? = nil) throws -> Outcome {
            try run([try Mount.binary()] + words, directory: directory, user: user)
        }

        private func publish(_ mount: Mount, _ text: String = "a\tb\n1\t2\n", _ path: String = chr1) throws -> String {
            let path = mount.production(path)
            try write(text, to: path)
            #expect(mount.isSealed(path))
            return path
        }

        @Test(arguments: MountVariant.both) func aSuccessorHasTheName(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let files = try TemporaryDirectory()
            let path = try publish(mount)
            try write("a\tb\n3\t4\n", to: files.path + "/new.tsv")
            // Who has it open reads on what it was, and the kernel keeps nothing of it for others.
            let reader = try FileDescriptor.open(path, .readOnly)
            defer { try? reader.close() }
            #expect(try contents(path) == "a\tb\n1\t2\n")
            let done = try command(
                "supersede", "--reason", "wrong genome", "--with", files.path + "/new.tsv", path)
            #expect(done.succeeded && done.output.contains("superseded production/" + Self.chr1), "\(done)")
            #expect(try contents(path) == "a\tb\n3\t4\n")
            var buffer = [UInt8](repeating: 0, count: 100)
            let count = try buffer.withUnsafeMutableBytes { try reader.read(fromAbsoluteOffset: 0, into: $0) }
            #expect(String(decoding: buffer[..<count], as: UTF8.self) == "a\tb\n1\t2\n")
            #expect(mount.isSealed(path))
            #expect(throws: Errno.fileExists) { try write("x", to: path) }

            // The former one is a file that nobody changes.
            let former = mount.production("base/analysis_sequences/.meta/chr1.tsv.versions")
            #expect(try names(in: former).sorted() == ["1", "1.json"])
            #expect(try contents(former + "/1") == "a\tb\n1\t2\n")
            #expect(try contents(former + "/1.json").contains("\"reason\":\"wrong genome\""))
            let changes = try run(
                [
                    "bash", "-c",
                    """
                    for c in 'echo x > 1' 'echo x >> 1' 'rm 1' 'mv 1 2' 'mv 1 ../../chr2.tsv' 'ln 1 3' 'touch -d yesterday 1' 'chmod 600 1' \\
                        'rm 1.json' 'echo x > 1.json' 'touch 4' 'mkdir 5' 'setfattr -n user.artifact.despite -v x 1' 'rmdir ../chr1.tsv.versions'; do
                        if (eval "$c") 2>/dev/null; then echo "done: $c"; fi
                    done
                    cd ../..; ls -a; grep -r 1 . | wc -l; cp -r . "$0/copy"; ls -a "$0/copy"
                    """, files.path,
                ], directory: former)
            #expect(changes.output == ".\n..\nchr1.tsv\n0\n.\n..\nchr1.tsv\n", "\(changes)")
            #expect(try contents(former + "/1") == "a\tb\n1\t2\n")

            let versions = try command("versions", path)
            let lines = versions.output.split(separator: "\n").map(String.init)
            #expect(versions.succeeded && lines.count == 4, "\(versions)")
            #expect(lines[0].hasPrefix("2  sealed  ") && lines[1].hasPrefix("1  superseded  "), "\(versions)")
            #expect(lines[2].hasSuffix(": wrong genome") && lines[3].hasSuffix("/chr1.tsv.versions/"), "\(versions)")
            for place in [[path], ["--store", mount.store, "production/" + Self.chr1]] {
                let json = try run([try Mount.binary(), "versions", "--json"] + place)
                #expect(json.succeeded && json.output.split(separator: "\n").count == 2, "\(json)")
                #expect(json.output.contains("\"state\":\"superseded\""), "\(json)")
            }
            let shown = try command("show", path)
            #expect(shown.output.contains("sealed, version 2") && shown.output.contains(files.path + "/new.tsv"))
            // What it was can come back, and is known to be that.
            let back = try command("supersede", "--reason", "it was right", "--with", former + "/1", path)
            #expect(back.succeeded, "\(back)")
            #expect(try contents(path) == "a\tb\n1\t2\n")
            let record = try contents(mount.production("base/analysis_sequences/.meta/chr1.tsv.json"))
            #expect(record.contains("{\"path\":\"production/\(Self.chr1)\",\"version\":1,"), "\(record)")
            let history = try command("history", path)
            #expect(history.output.contains("superseded     version 1, by ") && history.succeeded, "\(history)")
            let found = try command(
                "find", "--store", mount.store, "state = superseded", "--columns", "path,version", "--sort", "version")
            #expect(found.output == "production/\(Self.chr1)\t1\nproduction/\(Self.chr1)\t2\n", "\(found)")
            #expect(try contents(mount.path(".artifactfs/versions.jsonl")).split(separator: "\n").count == 2)
            #expect(try names(in: mount.session("scratch")) == [])
            #expect(try command("verify", mount.root).succeeded && command("audit", mount.store).succeeded)
        }

        /// A new version from a session keeps the session's file.
        @Test func aSuccessorFromASession() throws {
            let mount = try Mount()
            let path = try publish(mount)
            let new = mount.session("base/analysis_sequences/chr1.tsv")
            try write("a\tb\n5\t6\n", to: new)
            let done = try command(
                "supersede", "--reason", "r", "--with", mount.path("development/current/" + Self.chr1), path)
            #expect(done.succeeded, "\(done)")
            #expect(try contents(path) == "a\tb\n5\t6\n" && contents(new) == "a\tb\n5\t6\n")
            let lineage = try command("lineage", path)
            #expect(lineage.output.contains("development/\(mount.sessionName)/" + Self.chr1), "\(lineage)")
        }

        @Test func whatIsRetractedFreesItsName() throws {
            let mount = try Mount()
            let path = try publish(mount)
            let other = try publish(mount, "a\n1\n", "base/splice_errors/chr2.tsv")
            let done = try command("retract", "--reason", "no", path, other)
            #expect(done.succeeded && !exists(path) && !exists(other), "\(done)")
            #expect(try names(in: mount.production("base/analysis_sequences")) == [])
            let shown = try command("show", path)
            #expect(shown.succeeded && shown.output.contains("retracted at "), "\(shown)")
            let again = try command("retract", "--reason", "no", path)
            #expect(again.status == 2 && again.errors.contains("version 1 was retracted already"), "\(again)")
            // The name is anybody's.
            _ = try publish(mount, "a\tb\n9\t9\n")
            #expect(try command("versions", path).output.hasPrefix("2  sealed  "))
            #expect(try command("audit", mount.store).succeeded)
        }

        @Test func allThatARunPublished() throws {
            let mount = try Mount()
            let kept = try publish(mount, "a\n1\n", "base/gene_manifest/gene_manifest.tsv")
            let script = "for n in 1 2 3; do printf 'a\\n%d\\n' $n > production/base/splice_errors/chr$n.tsv; done"
            let made = try run(
                [try Mount.binary(), "run", "--experiment", "e", "--", "bash", "-c", script], directory: mount.root)
            #expect(made.succeeded && mount.settle(), "\(made)")
            let listed = try command("runs", mount.root, "--json")
            let id = listed.output.split(separator: "\"").drop { $0 != "run" }.dropFirst(2).first.map(String.init) ?? ""
            let dry = try command("retract", "--reason", "wrong", "--run", id, "--dry-run", mount.root)
            #expect(dry.output.split(separator: "\n").count == 3 && dry.succeeded, "\(dry) \(listed)")
            #expect(try names(in: mount.production("base/splice_errors")).count == 3)
            let done = try command("retract", "--reason", "wrong", "--run", id, mount.root)
            #expect(done.succeeded && done.output.split(separator: "\n").count == 3, "\(done)")
            #expect(try names(in: mount.production("base/splice_errors")) == [] && exists(kept))
            let again = try command("retract", "--reason", "wrong", "--run", id, mount.root)
            #expect(again.status == 2 && again.errors.contains("nothing that is there still"), "\(again)")
        }

        /// What was is proved as what is.
        @Test func versionsAreProved() throws {
            let mount = try Mount()
            let path = try publish(mount)
            let made = try run(
                ["bash", "-c", "awk 1 production/\(Self.chr1) > production/base/splice_errors/chr1.tsv"],
                directory: mount.root)
            #expect(made.succeeded && mount.isSealed(mount.production("base/splice_errors/chr1.tsv")), "\(made)")
            #expect(try command("stale", "--store", mount.root).output == "nothing is stale\n")
            #expect(try command("supersede", "--reason", "r", path).succeeded)
            _ = try publish(mount, "a\tb\n9\t9\n")
            let stale = try command("stale", "--store", mount.root)
            let lines = stale.output.split(separator: "\n").map(String.init)
            #expect(stale.status == 1 && lines.first == "production/base/splice_errors/chr1.tsv", "\(stale)")
            #expect(
                lines.count == 3 && lines[1].hasPrefix("    was made from production/\(Self.chr1)@1, superseded at 2"))
            #expect(lines[2] == "    by awk 1 production/\(Self.chr1)", "\(stale)")
            #expect(try command("stale", path).output == "nothing is stale\n")

            let proved = try command("verify", mount.store)
            #expect(proved.succeeded && proved.output.hasPrefix("3 artifacts are"), "\(proved)")
            let audit = try command("audit", mount.store)
            #expect(
                audit.succeeded && audit.output.contains("2 sealed artifacts and 1 former version: all there"),
                "\(audit)")
            let version = mount.real(".artifactfs/versions/base_layer%2Fanalysis_sequences_chr1.tsv/1")
            #expect(chmod(version, 0o644) == 0)
            try write("a\tb\n1\t3\n", to: version)
            let damaged = try command("verify", mount.store)
            #expect(damaged.status == 1 && damaged.output.contains("chr1.tsv@1: DIFFERS: its SHA-256"), "\(damaged)")
            #expect(unlink(version) == 0)
            // Nothing here has removed it, and that is said as such.
            for place in [[path], ["--store", mount.store, "production/" + Self.chr1]] {
                let versions = try run([try Mount.binary(), "versions"] + place)
                #expect(versions.status == 1 && versions.output.contains(": r; its file is MISSING"), "\(versions)")
            }
            let json = try command("versions", "--json", path)
            #expect(json.status == 1 && json.output.contains("\"missing\":true"), "\(json)")
            let doctor = try command("doctor", mount.store)
            #expect(
                doctor.status == 1 && doctor.output.contains("1 former version has no file any more")
                    && doctor.output.contains("production/\(Self.chr1)@1"), "\(doctor)")
            for word in ["verify", "audit"] {
                let gone = try command(word, mount.store)
                #expect(gone.status == 1 && (gone.output + gone.errors).contains("chr1.tsv@1: "), "\(gone)")
            }
        }

        /// Who supersedes is ended while the new file is brought to the mount: nothing of it stays there, and nothing has changed.
        @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGKILL]) func endedWhileItCopies(signal: Int32) throws {
            let mount = try Mount()
            let path = try publish(mount)
            let files = try TemporaryDirectory()
            #expect(try shell("head -c 300M /dev/zero > new.tsv", in: files.path).succeeded)
            let scratch = mount.session("scratch")
            let child = try Child([
                try Mount.binary(), "supersede", "--reason", "r", "--with", files.path + "/new.tsv", path,
            ])
            #expect(eventually { (try? names(in: scratch))?.isEmpty == false || !child.isRunning })
            #expect(try names(in: scratch).first?.hasPrefix(".supersede-") == true)
            child.signal(signal)
            #expect(child.wait(seconds: 20))
            #expect(eventually { (try? names(in: scratch)) == [] })
            #expect(try contents(path) == "a\tb\n1\t2\n")
        }

        /// The holes of a file stay holes on its way into production, with a mount and without.
        @Test func aSparseSuccessor() throws {
            let mount = try Mount()
            let files = try TemporaryDirectory()
            let name = "meta/meta_checkpoints/weights.npy"
            let script = """
                import sys
                for name, count in (("small", 8), ("large", 256 << 20)):
                    head = "{'descr': '|u1', 'fortran_order': False, 'shape': (%d,), }" % count
                    with open(sys.argv[1] + "/" + name, "wb") as file:
                        file.write(b"\\x93NUMPY\\x01\\x00\\x76\\x00" + head.ljust(117).encode() + b"\\n")
                        file.truncate(128 + count)
                """
            #expect(try run([testPython, "-c", script, files.path]).succeeded)
            #expect(try run(["cp", files.path + "/small", mount.production(name)]).succeeded)
            #expect(mount.isSealed(mount.production(name)))
            for artifact in [[mount.production(name)], ["--store", mount.store, "production/" + name]] {
                let done = try run(
                    [try Mount.binary(), "supersede", "--reason", "r", "--with", files.path + "/large"] + artifact)
                #expect(done.succeeded, "\(done)")
                var real = stat()
                #expect(stat(mount.real("meta_layer/checkpoints/weights.npy"), &real) == 0)
                #expect(real.st_size == 128 + 256 << 20 && real.st_blocks < 1000, "\(real.st_blocks)")
            }
            #expect(try run([try Mount.binary(), "verify", mount.store]).succeeded)
        }

        /// Read-only mounts notice at once, others within the ten seconds that their kernels remember names.
        @Test func otherMountsNotice() throws {
            let mount = try Mount()
            let path = try publish(mount)
            let reading = try Mount(store: mount.store, MountVariant().with { $0.readOnly = true })
            let other = try Mount(store: mount.store)
            for place in [reading, other] { #expect(try contents(place.production(Self.chr1)) == "a\tb\n1\t2\n") }
            let open = try [reading, other].map { try FileDescriptor.open($0.production(Self.chr1), .readOnly) }
            defer { for file in open { try? file.close() } }
            let files = try TemporaryDirectory()
            try write("a\tb\n3\t4\n", to: files.path + "/new.tsv")
            #expect(try command("supersede", "--reason", "r", "--with", files.path + "/new.tsv", path).succeeded)
            for place in [reading, other] {
                let seen = eventually(within: 15) { (try? contents(place.production(Self.chr1))) == "a\tb\n3\t4\n" }
                #expect(seen)
                let former = place.production("base/analysis_sequences/.meta/chr1.tsv.versions/1")
                #expect(try contents(former) == "a\tb\n1\t2\n")
                #expect(try contents(former + ".json").contains("superseded"))
            }
            for file in open {
                var buffer = [UInt8](repeating: 0, count: 100)
                let count = try buffer.withUnsafeMutableBytes { try file.read(fromAbsoluteOffset: 0, into: $0) }
                #expect(String(decoding: buffer[..<count], as: UTF8.self) == "a\tb\n1\t2\n", "who has it open reads on")
            }
            let refused = try command("retract", "--reason", "r", reading.production(Self.chr1))
            #expect(refused.status == 1 && refused.errors.contains("is read-only; use one that is not"), "\(refused)")
        }

        /// Without a mount the store's owner does it on the store itself.
        @Test func withoutAMount() throws {
            let mount = try Mount()
            _ = try publish(mount)
            #expect(try mount.unmount() == 0)
            let files = try TemporaryDirectory()
            try write("a\tb\n3\t4\n", to: files.path + "/new.tsv")
            let real = mount.real("base_layer/analysis_sequences_chr1.tsv")
            let done = try command("supersede", "--reason", "r", "--with", files.path + "/new.tsv", real)
            #expect(done.succeeded, "\(done)")
            #expect(try contents(real) == "a\tb\n3\t4\n")
            let versions = try command("versions", real)
            #expect(versions.output.hasPrefix("2  sealed  ") && versions.succeeded, "\(versions)")
            #expect(try command("retract", "--reason", "r", real).succeeded && !exists(real))
            for (words, status, text) in [
                (["retract", "--reason", "r", real], 2, "version 2 was retracted already"),
                (["supersede", "--reason", "r", "--with", files.path + "/none", real], 2, "none is not there"),
                (["supersede", "--reason", " ", real], 64, "needs a text"),
                (["supersede", "--with", files.path, real], 64, "--reason"),
                (
                    ["retract", "--reason", "r", files.path + "/new.tsv"], 2,
                    "neither on a mount of artifactfs nor in a store"
                ),
                (["retract", "--reason", "r", "--run", "none", mount.store], 2, "nothing that is there still"),
                (["versions", mount.real("base_layer/analysis_sequences_chr9.tsv")], 1, "nothing that had its name"),
            ] as [([String], Int32, String)] {
                let refused = try run([try Mount.binary()] + words)
                #expect(refused.status == status && refused.errors.contains(text), "\(words): \(refused)")
            }
        }

        /// What a check refuses takes no name; nor does what is no plain file.
        @Test func whatIsNoArtifactIsRefused() throws {
            let mount = try Mount()
            let path = try publish(mount)
            let files = try TemporaryDirectory()
            try write("a\tb\n3\n", to: files.path + "/bad.tsv")
            #expect(mkfifo(files.path + "/fifo", 0o600) == 0)
            for (file, text) in [
                ("/bad.tsv", "has only 1 column"), ("/fifo", "it is no plain file"), ("", "Is a directory"),
            ] {
                let refused = try command("supersede", "--reason", "r", "--with", files.path + file, path)
                #expect(refused.status == 1 && refused.errors.contains(text), "\(refused)")
                #expect(refused.errors.contains("nothing has changed"), "\(refused)")
            }
            #expect(try contents(path) == "a\tb\n1\t2\n")
            #expect(try names(in: mount.session("scratch")) == [])
            // A part of a directory leaves with the whole.
            let made = try run(
                [
                    "bash", "-c",
                    "mkdir c-1; echo '{}' > c-1/a.json; mv c-1 ../../../../production/meta/meta_checkpoints/",
                ],
                directory: mount.session("meta/meta_checkpoints"))
            #expect(made.succeeded && mount.settle(), "\(made)")
            for part in ["a.json", "none"] {
                let whole = mount.production("meta/meta_checkpoints/c-1")
                let refused = try command("retract", "--reason", "r", whole + "/" + part)
                #expect(refused.status == 1 && refused.errors.contains("leaves its name as a whole"), "\(refused)")
                #expect(exists(whole + "/a.json"))
            }
            let session = mount.session(Self.chr1)
            try write("a\n", to: session)
            let refused = try command("retract", "--reason", "r", session)
            #expect(refused.status == 1 && refused.errors.contains("no sealed artifact"), "\(refused)")
            #expect(mount.quarantined() == [])
        }
    }

    /// Whose an artifact is decides, on root's mount.
    @Suite(.enabled(if: geteuid() == 0, "only root makes files of several users")) struct VersionRightsTests {
        /// Who could not read what is superseded reads its successor neither, and who could does.
        @Test func accessListsGoOn() throws {
            let stage = try SharedStage(MountVariant.bothForAll[0])
            let path = try stage.publish("chr3.tsv", as: .alice, umask: "077")
            let real = stage.mount.real("base_layer/analysis_sequences_chr3.tsv")
            #expect(try run(["setfacl", "-m", "u:\(User.bob.user):r", real]).succeeded)
            let before = try run(["getfacl", "-c", "-n", real]).output
            let files = try TemporaryDirectory()
            try write("a\tb\n5\t5\n", to: files.path + "/new.tsv")
            #expect(chmod(files.path, 0o755) == 0 && chmod(files.path + "/new.tsv", 0o644) == 0)
            let done = try run(
                [try Mount.binary(), "supersede", "--reason", "r", "--with", files.path + "/new.tsv", path],
                user: .alice)
            #expect(done.succeeded, "\(done)")
            #expect(try run(["getfacl", "-c", "-n", real]).output == before)
        }

        @Test func itsOwnerDoesIt() throws {
            let stage = try SharedStage(MountVariant.bothForAll[0])
            let mount = stage.mount
            let path = try stage.publish("chr1.tsv", as: .alice, umask: "077")
            let refused = try run(
                [try Mount.binary(), "retract", "--reason", "mine now", path], user: .bob)
            #expect(refused.status != 0 && exists(path), "\(refused)")
            let open = try stage.publish("chr2.tsv", as: .alice, umask: "022")
            let another = try run([try Mount.binary(), "retract", "--reason", "mine now", open], user: .bob)
            #expect(another.status == 1 && another.errors.contains("another's to supersede"), "\(another)")
            #expect(try contents(mount.path(".artifactfs/versions.jsonl")) == "")
            for artifact in [path, open] {
                let done = try run([try Mount.binary(), "supersede", "--reason", "r", artifact], user: .alice)
                #expect(done.succeeded && !exists(artifact), "\(done)")
            }
            // Who could read it reads the version and what is known of it, and nobody else.
            let former = mount.production("base/analysis_sequences/.meta/")
            for (name, user, isReadable) in [
                ("chr1.tsv", User.alice, true), ("chr1.tsv", .bob, false), ("chr2.tsv", .bob, true),
            ] {
                for file in ["1", "1.json"] {
                    let read = try run(["cat", "\(former)\(name).versions/\(file)"], user: user)
                    #expect(read.succeeded == isReadable, "\(name)/\(file): \(read)")
                }
            }
            let listed = try run([try Mount.binary(), "versions", open], user: .bob)
            #expect(listed.succeeded && listed.output.hasPrefix("1  superseded  "), "\(listed)")
            let seen = try run(["cat", mount.path(".artifactfs/versions.jsonl")], user: .bob)
            #expect(seen.succeeded && seen.output == "", "what others do is not bob's to see: \(seen)")
        }
    }
}
