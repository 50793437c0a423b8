import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 2.9: files of sessions and tests are promoted together.
extension MountedTests {
    @Suite struct PromoteTests {
        private static let directory = "base/analysis_sequences/"

        private func promote(_ mount: Mount, _ words: String..., user: User? = nil) throws -> Outcome {
            try run([try Mount.binary(), "promote"] + words, directory: mount.root, user: user)
        }

        private func fill(_ mount: Mount, _ names: [String] = ["chr1", "chr2", "chr3"]) throws {
            for (index, name) in names.enumerated() {
                try write("a\tb\n1\t\(index)\n", to: mount.session(Self.directory + name + ".tsv"))
            }
        }

        @Test(arguments: MountVariant.both) func aSessionIsPromotedWhole(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try fill(mount)
            try write("{\"auc\": 1}\n", to: mount.session("meta/meta_metrics/training.json"))
            try write("{}\n", to: mount.session("metadata.json"))
            // Links say another artifact's name, and temporary files are none.
            #expect(symlink("chr1.tsv", mount.session(Self.directory + "chr9.tsv")) == 0)
            try write("x", to: mount.session(Self.directory + "chr4.tsv.tmp"))
            // The kernel knows that there is nothing yet.
            #expect(!exists(mount.production(Self.directory + "chr1.tsv")))
            #expect(try contents(mount.session(Self.directory + "chr1.tsv")) == "a\tb\n1\t0\n")
            let inode = try fileNumber(mount.real("base_layer/dev/\(mount.sessionName)/analysis_sequences_chr1.tsv"))

            let dry = try promote(mount, "current", "--dry-run")
            #expect(dry.succeeded && dry.output.split(separator: "\n").count == 8, "\(dry)")
            #expect(dry.output.split(separator: "\n").prefix(7).allSatisfy { $0.unicodeScalars.count <= 80 }, "\(dry)")
            #expect(try names(in: mount.production(Self.directory)) == [])
            #expect(mount.denials() == [])

            let done = try promote(mount, "current")
            #expect(done.succeeded && done.output.split(separator: "\n").count == 5, "\(done)")
            #expect(done.errors.contains("left out") && done.errors.contains("chr9.tsv"), "\(done)")
            for (index, name) in ["chr1", "chr2", "chr3"].enumerated() {
                #expect(try contents(mount.production(Self.directory + name + ".tsv")) == "a\tb\n1\t\(index)\n")
                #expect(mount.isSealed(mount.production(Self.directory + name + ".tsv")))
                #expect(!exists(mount.session(Self.directory + name + ".tsv")))
            }
            #expect(try fileNumber(mount.real("base_layer/analysis_sequences_chr1.tsv")) == inode, "no byte is copied")
            #expect(exists(mount.session("metadata.json")))
            #expect(try contents(mount.production("meta/experiment_metadata/\(mount.sessionName).json")) == "{}\n")
            #expect(try names(in: mount.session(Self.directory)).sorted() == ["chr4.tsv.tmp", "chr9.tsv"])
            let shown = try run([try Mount.binary(), "show", "--json", mount.production(Self.directory + "chr1.tsv")])
            #expect(shown.output.contains("development/\(mount.sessionName)/\(Self.directory)chr1.tsv"), "\(shown)")
            #expect(throws: Errno.fileExists) { try write("x", to: mount.production(Self.directory + "chr1.tsv")) }
            // The names in the session are free.
            try write("a\n2\n", to: mount.session(Self.directory + "chr1.tsv"))
            let again = try promote(mount, "current")
            #expect(again.status == 1 && again.errors.contains("overwrite not allowed"), "\(again)")
            #expect(try contents(mount.session(Self.directory + "chr1.tsv")) == "a\n2\n")
            #expect(try run([try Mount.binary(), "audit", mount.store]).succeeded)
        }

        /// What became of it is settled at the next mount, and not claimed before.
        @Test func whatADriverDidThatEndedIsNotKnown() throws {
            let mount = try Mount()
            try fill(mount)
            let lost = try promote(mount, "current", "--check", "kill -9 \(mount.driver.process); :")
            #expect(lost.status == 8 && lost.errors.contains("NOT known"), "\(lost)")
            #expect(!lost.errors.contains("nothing has changed"), "\(lost)")
            mount.kill()
            let again = try Mount(store: mount.store)
            #expect(try names(in: again.production(Self.directory)) == [])
        }

        @Test func allRefusalsAreTold() throws {
            let mount = try Mount()
            try fill(mount)
            try write("a\tb\n1\n", to: mount.session(Self.directory + "chr2.tsv"))
            try write("a\n1\n", to: mount.production(Self.directory + "chr3.tsv"))
            #expect(mount.isSealed(mount.production(Self.directory + "chr3.tsv")))
            try write("a\n1\n", to: mount.session(Self.directory + "chr4.tsv"))
            let writing = try FileDescriptor.open(mount.session(Self.directory + "chr4.tsv"), .writeOnly)
            #expect(mkdir(mount.session("meta/meta_checkpoints/epoch"), 0o755) == 0)
            let refused = try promote(mount, mount.sessionName)
            #expect(refused.status == 1 && refused.output == "", "\(refused)")
            for (name, text) in [
                ("chr2.tsv", "content check failed"), ("chr3.tsv", "overwrite not allowed"),
                ("chr4.tsv", "open to write"), ("epoch", "no file in it"), ("nothing was promoted", "4 of 5"),
            ] {
                #expect(
                    refused.errors.split(separator: "\n").contains { $0.contains(name) && $0.contains(text) },
                    "\(name): \(refused)")
            }
            #expect(!refused.errors.contains("quarantine") && refused.errors.contains("left its session"), "\(refused)")
            #expect(mount.denials().count == 4, "\(mount.denials())")
            #expect(try names(in: mount.production(Self.directory)) == ["chr3.tsv"])
            #expect(try names(in: mount.session(Self.directory)).count == 4)
            // Who writes goes on, and when it has closed nothing is in the way.
            try writing.writeAll(Array("a\n7\n".utf8))
            try writing.close()
            let path = "development/current/\(Self.directory)chr4.tsv"
            let done = try promote(mount, path, "development/current/\(Self.directory)chr1.tsv")
            #expect(done.succeeded, "\(done)")
            #expect(try contents(mount.production(Self.directory + "chr4.tsv")) == "a\n7\n")
            for (words, status) in [
                (["20200101_000000"], 2), (["nothing"], 2), (["test/none"], 2), ([path], 2), ([], 64),
                (["--check", "", "current"], 64), (["/etc/passwd"], 3),
            ] as [([String], Int32)] {
                let refused = try run([try Mount.binary(), "promote"] + words, directory: mount.root)
                #expect(refused.status == status && refused.output == "", "\(words): \(refused)")
            }
        }

        /// A directory goes with the rest: without a copy, with the node that programs stand in, and with nothing in it open to write.
        @Test(arguments: MountVariant.both) func directoriesGoToo(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try fill(mount, ["chr1"])
            let whole = mount.session("meta/meta_checkpoints/epoch")
            #expect(mkdir(whole, 0o755) == 0 && mkdir(whole + "/sub", 0o700) == 0)
            try write("{}", to: whole + "/a.json")
            try write("x", to: whole + "/sub/x")
            let real = mount.real("meta_layer/dev/\(mount.sessionName)/checkpoints/epoch/a.json")
            let inode = try fileNumber(real)
            let writing = try FileDescriptor.open(whole + "/sub/x", .writeOnly)
            let refused = try promote(mount, "current")
            #expect(refused.status == 1 && refused.errors.contains("open to write"), "\(refused)")
            #expect(exists(mount.session(Self.directory + "chr1.tsv")))
            try writing.close()
            let dry = try promote(mount, "current", "--dry-run")
            #expect(dry.succeeded && dry.output.contains("epoch"), "\(dry)")
            // Somebody stands in it, and reads on.
            let standing = try FileDescriptor.open(whole, .readOnly, options: .closeOnExec)
            defer { try? standing.close() }
            let changing = try promote(mount, "current", "--check", "echo >> \(whole)/sub/x; : ")
            #expect(changing.status == 1 && changing.errors.contains("something changed"), "\(changing)")
            let kept = try promote(mount, "--keep", whole)
            #expect(kept.succeeded && kept.output.contains("meta_checkpoints/epoch"), "\(kept)")
            let production = mount.production("meta/meta_checkpoints/epoch")
            #expect(try contents(production + "/a.json") == "{}" && contents(whole + "/a.json") == "{}")
            try write("{\"a\": 1}", to: whole + "/a.json")
            #expect(try contents(production + "/a.json") == "{}")
            #expect(try run(["mv", whole, whole + "-2"]).succeeded)
            let done = try promote(mount, "current")
            #expect(done.succeeded, "\(done)")
            let second = production + "-2"
            #expect(try contents(second + "/a.json") == "{\"a\": 1}" && contents(second + "/sub/x") == "x\n")
            #expect(try fileNumber(mount.real("meta_layer/checkpoints/epoch-2/a.json")) == inode, "no byte is copied")
            #expect(mount.isSealed(second))
            #expect(throws: Errno.self) { try write("y", to: second + "/new") }
            #expect(throws: Errno.self) { try write("y", to: second + "/a.json") }
            #expect(!exists(whole + "-2") && exists(mount.production(Self.directory + "chr1.tsv")))
            let inside = openat(standing.rawValue, "a.json", O_RDONLY)
            #expect(inside >= 0, "who stands in it finds what is in it: \(errno)")
            if inside >= 0 { _ = close(inside) }
            // The name in the session is free.
            #expect(mkdir(whole + "-2", 0o755) == 0)
            #expect(try run([try Mount.binary(), "audit", mount.store]).succeeded)
        }

        /// A user's own check is run on all of them before anything moves, and counts only for what it has seen.
        @Test func aCheckOfOnesOwn() throws {
            let mount = try Mount()
            try fill(mount)
            let files = try TemporaryDirectory()
            let failing = try promote(mount, "current", "--check", "grep -q nothing")
            #expect(failing.status == 1 && failing.errors.contains("nothing was promoted"), "\(failing)")
            let chr2 = mount.session(Self.directory + "chr2.tsv")
            let changing = try promote(mount, "current", "--check", "echo 1 2 >> \(chr2); : ")
            #expect(changing.status == 1 && changing.errors.contains("something changed"), "\(changing)")
            #expect(try names(in: mount.production(Self.directory)) == [])
            try write("a\tb\n1\t1\n", to: chr2)
            let done = try promote(mount, "current", "--check", "cat > \(files.path)/seen")
            #expect(done.succeeded, "\(done)")
            #expect(try contents(files.path + "/seen") == "a\tb\n1\t0\na\tb\n1\t1\na\tb\n1\t2\n")
            let shown = try run([try Mount.binary(), "show", "--json", mount.production(Self.directory + "chr1.tsv")])
            #expect(shown.output.contains("\"check\":\"cat > "), "\(shown)")
        }

        /// Copies are promoted, and a test's files; what a hard link's other name could change too.
        @Test func whatIsKeptStays() throws {
            let mount = try Mount()
            try fill(mount, ["chr1"])
            let path = mount.session(Self.directory + "chr1.tsv")
            #expect(chmod(path, 0o640) == 0)
            #expect(link(path, mount.session(Self.directory + "chr2.tsv")) == 0)
            let refused = try promote(mount, path)
            #expect(refused.status == 1 && refused.errors.contains("--keep"), "\(refused)")
            let done = try promote(mount, "--keep", path)
            #expect(done.succeeded, "\(done)")
            let production = mount.production(Self.directory + "chr1.tsv")
            #expect(try contents(production) == contents(path))
            // The session's is as it was, and a change of it is none of the other.
            try write("a\n9\n", to: path)
            #expect(try contents(production) == "a\tb\n1\t0\n")
            #expect(mkdir(mount.test("t"), 0o755) == 0)
            try write("a\n5\n", to: mount.test("t/" + Self.directory + "chr5.tsv"))
            let ofTest = try promote(mount, "test/t")
            #expect(ofTest.succeeded && exists(mount.production(Self.directory + "chr5.tsv")), "\(ofTest)")
        }

        /// Of a session that has ended, on another mount and without one.
        @Test(arguments: [true, false]) func endedSessions(isMounted: Bool) throws {
            let store: String
            let session: String
            let files = try TemporaryDirectory()
            store = files.path + "/store"
            try Mount.initialize(store: store)
            do {
                let mount = try Mount(store: store)
                session = mount.sessionName
                try fill(mount)
                let ended = try mount.unmount()
                #expect(ended == 0, "\(ended): \(mount.log)")
            }
            if isMounted {
                let mount = try Mount(store: store)
                #expect(throws: Errno.notPermitted) {
                    try write("x", to: mount.path("development/\(session)/\(Self.directory)chr1.tsv"))
                }
                #expect(try promote(mount, session).succeeded)
                #expect(try names(in: mount.production(Self.directory)) == ["chr1.tsv", "chr2.tsv", "chr3.tsv"])
                #expect(try names(in: mount.path("development/\(session)/\(Self.directory)")) == [])
            } else {
                let binary = try Mount.binary()
                let dry = try run([binary, "promote", session, "--store", store, "--dry-run"])
                #expect(dry.succeeded && dry.output.contains("promotable"), "\(dry)")
                let checked = try run([
                    binary, "promote", session, "--store", store, "--check", "test 3 -eq \"$#\" && ls",
                ])
                #expect(checked.succeeded, "\(checked)")
                #expect(exists(store + "/base_layer/analysis_sequences_chr3.tsv"))
                let again = try run([binary, "promote", session, "--store", store])
                #expect(again.status == 2 && again.errors.contains("nothing to promote"), "\(again)")
                #expect(try run([binary, "audit", store]).succeeded)
            }
        }

        /// What a run made in its session is promoted by the run's id.
        @Test func aRunIsPromoted() throws {
            let mount = try Mount()
            let script = "printf 'a\\n1\\n' > development/current/base/splice_errors/chr1.tsv"
            let made = try run(
                [try Mount.binary(), "run", "--experiment", "e", "--", "bash", "-c", script], directory: mount.root)
            #expect(made.succeeded, "\(made)")
            let listed = try run([try Mount.binary(), "runs", "--json", mount.root])
            let id = listed.output.split(separator: "\"").drop { $0 != "run" }.dropFirst(2).first.map(String.init) ?? ""
            let done = try promote(mount, id)
            #expect(done.succeeded && exists(mount.production("base/splice_errors/chr1.tsv")), "\(done) \(listed)")
            // Who wrote it in the session has made it.
            let shown = try run([try Mount.binary(), "show", mount.production("base/splice_errors/chr1.tsv")])
            #expect(shown.output.contains("bash -c"), "\(shown)")
            // In a run that is all or nothing the run decides.
            try fill(mount, ["chr2"])
            let path = mount.session(Self.directory + "chr2.tsv")
            let inRun = try run(
                [try Mount.binary(), "run", "--all-or-nothing", "--", try Mount.binary(), "promote", path],
                directory: mount.root)
            #expect(inRun.status == 1 && inRun.errors.contains("'mv' promotes"), "\(inRun)")
            #expect(exists(path))
        }

        /// A program that has closed a file by the time it ends is not in the way of who comes next.
        @Test func whoHasJustClosedIsNotInTheWay() throws {
            let mount = try Mount()
            let binary = try Mount.binary()
            for number in 1...20 {
                let name = "chr\(number)"
                let done = try run(
                    [
                        "bash", "-c",
                        "printf 'a\\n1\\n' > \"$1\" && exec \"$0\" promote \"$1\"", binary,
                        mount.session("base/splice_errors/\(name).tsv"),
                    ], directory: mount.root)
                #expect(done.succeeded, "\(done)")
            }
        }
    }

    /// Whose the files are decides, on root's mount.
    @Suite(.enabled(if: geteuid() == 0, "only root makes files of several users")) struct PromoteRightsTests {
        @Test func whoMayDoesIt() throws {
            let stage = try SharedStage(MountVariant.bothForAll[0])
            let mount = stage.mount
            let binary = try Mount.binary()
            let made = try run(
                [
                    "bash", "-c",
                    """
                    umask 077; "$0" session new "$1" >/dev/null && cd "$1/development/current/base/analysis_sequences" &&
                        printf 'a\\n1\\n' > chr1.tsv && printf 'a\\n1\\n' > chr2.tsv && chmod 644 chr2.tsv && readlink "$1/development/current"
                    """, binary, mount.root,
                ], user: .alice)
            #expect(made.succeeded, "\(made)")
            let session = made.output.split(separator: "\n").last.map(String.init) ?? ""
            let paths = ["chr1", "chr2"].map {
                mount.path("development/\(session)/base/analysis_sequences/\($0).tsv")
            }
            #expect(paths.allSatisfy(exists), "\(made)")
            for words in [[paths[0]], paths, [mount.path("development/\(session)")], ["--keep", paths[0]]] {
                let refused = try run([binary, "promote"] + words, user: .bob)
                #expect(refused.status != 0 && refused.output == "", "\(words): \(refused)")
            }
            #expect(paths.allSatisfy(exists))
            #expect(!exists(mount.production("base/analysis_sequences/chr1.tsv")))
            let done = try run([binary, "promote"] + paths, user: .alice)
            #expect(done.succeeded, "\(done)")
            for name in ["chr1", "chr2"] {
                let owner = try run(["stat", "-c", "%u", mount.real("base_layer/analysis_sequences_\(name).tsv")])
                #expect(owner.output == "\(User.alice.user)\n")
            }
            let seen = try run(["cat", mount.path(".artifactfs/promotions.jsonl")], user: .bob)
            #expect(!seen.output.contains("\"promoted\""), "what others do is not bob's to see: \(seen)")
        }
    }
}

private func fileNumber(_ path: String) throws -> UInt64 {
    var found = stat()
    guard lstat(path, &found) == 0 else { throw Errno(rawValue: errno) }
    return UInt64(found.st_ino)
}
