import Foundation
import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 3.1: what was kept back is listed, seen, published, fetched and discarded, with real programs and on real mounts.
extension MountedTests {
    @Suite struct RecoverTests {
        private func recover(_ arguments: String..., user: User? = nil) throws -> Outcome {
            try run([try Mount.binary(), "recover"] + arguments, user: user, timeout: 60)
        }

        /// The names in quarantine, as a user of the mount sees them.
        private func kept(_ mount: Mount, user: User? = nil) throws -> [String] {
            try run(["ls", mount.path(".artifactfs/quarantine")], user: user).output.split(separator: "\n").map(
                String.init
            )
            .filter { !$0.hasSuffix(".reason.json") }
        }

        /// Lets a program fail that has written, and waits until its bytes are put away.
        ///
        /// - Returns: the name in quarantine.
        @discardableResult
        private func fail(
            _ mount: Mount, _ path: String, _ text: String = #"a\tb\n1\t2\n"#, user: User? = nil
        ) throws -> String {
            let before = Set(try kept(mount, user: user))
            _ = try run(
                ["bash", "-c", #"exec 3> "$0"; printf "$1" >&3; kill -9 $$"#, mount.path(path), text], user: user)
            var new: Set<String> = []
            let isThere = try eventually {
                new = Set(try kept(mount, user: user)).subtracting(before)
                return new.count == 1 && !exists(mount.path(path))
            }
            #expect(isThere, "\(path) is kept back; log: \(mount.log)")
            return try #require(new.first)
        }

        private func value(_ text: String, _ keys: String...) throws -> String {
            let script = """
                import json, sys
                found = json.loads(sys.argv[1])
                for key in sys.argv[2:]: found = found.get(key)
                print(found)
                """
            return String(try run(["/usr/bin/python3", "-c", script, text] + keys).output.dropLast())
        }

        /// A program fails, its bytes are found, and are published with the reason, which the ledger keeps.
        @Test(arguments: MountVariant.both) func theWholeRound(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = "production/base/splice_errors/chr1.tsv"
            #expect(try recover("list", mount.root).output == "nothing was kept back\n")
            let script = #"printf 'a\tb\n1\t2\n' > "$0"; echo done; exit 3"#
            #expect(try run(["bash", "-c", script, mount.path(path)]).status == 3)
            #expect(try eventually { try kept(mount).count == 1 }, "log: \(mount.log)")
            let id = try #require(try kept(mount).first)

            let waited = try run([try Mount.binary(), "wait", mount.path(path)])
            #expect(waited.status == 1 && waited.errors.contains("artifactfs recover list \(mount.root)"), "\(waited)")
            let status = try run([try Mount.binary(), "status", mount.root])
            #expect(status.output.contains("artifactfs recover list \(mount.root)"), "\(status)")
            let explained = try run([try Mount.binary(), "explain", "create", mount.path(path)])
            #expect(
                explained.succeeded && explained.output.contains("artifactfs recover show \(mount.root) \(path)"),
                "\(explained)")

            let list = try recover("list", mount.root)
            #expect(list.succeeded && list.output.contains(path) && list.output.contains("maker-failed: "), "\(list)")
            #expect(list.output.contains("status 3") && list.output.contains("root"), "\(list)")
            let json = try recover("list", mount.root, "--json").output
            #expect(try value(json, "id") == id && value(json, "path") == path, "\(json)")
            #expect(try value(json, "rule") == "maker-failed" && value(json, "needs_reason") == "True", "\(json)")
            #expect(try value(json, "record", "artifact", "type") == "splice_errors")

            let shown = try recover("show", mount.root, String(id.prefix(20)))
            for words in [
                id, path, "status 3", "8 bytes",
                "publish   artifactfs recover publish \(mount.root) \(id.prefix(20)) --despite REASON",
            ] {
                #expect(shown.output.contains(words), "\(words) in \(shown)")
            }
            #expect(
                shown.output.split(separator: "\n").contains("bytes     \(mount.root)/.artifactfs/quarantine/\(id)"))
            // By the path of the artifact, and by that alone.
            #expect(try recover("show", mount.root, path).output == shown.output)
            #expect(try recover("show", mount.path(path)).output == shown.output)
            let inside = mount.production("base")
            let near = try run(
                [try Mount.binary(), "recover", "show", ".", "splice_errors/chr1.tsv"], directory: inside)
            #expect(near.output == shown.output, "\(near)")
            #expect(try recover("list", inside).output == list.output)
            #expect(try recover("list", mount.production("meta")).output == "nothing was kept back\n")

            let refused = try recover("publish", mount.root, path)
            #expect(
                refused.status == 1 && refused.errors.contains("--despite") && refused.errors.contains("status 3"),
                "\(refused)")
            #expect(try kept(mount) == [id] && !exists(mount.path(path)))

            let copy = mount.store + "/../copy.tsv"
            #expect(try recover("restore", mount.root, id, copy).succeeded)
            #expect(try contents(copy) == table)
            let again = try recover("restore", mount.root, id, copy)
            #expect(again.status == 1 && again.errors.contains("nothing is replaced"), "\(again)")
            #expect(
                try recover("restore", mount.root, id, mount.path("production/base/splice_errors/chr2.tsv")).status == 1
            )

            let published = try recover(
                "publish", mount.root, path, "--despite", "only the last line of the script failed")
            #expect(published.succeeded && published.output == "published \(path)\n", "\(published)")
            #expect(try mount.isSealed(mount.path(path)) && contents(mount.path(path)) == table)
            #expect(try kept(mount) == [])
            #expect(try names(in: mount.real(".artifactfs/quarantine")) == [])
            let ledger = try shell(
                "grep -h '\"event\":\"sealed\"' \(mount.real(".artifactfs/ledger"))/*.jsonl | tail -n 1"
            ).output
            #expect(try value(ledger, "record", "recovered_from", "id") == id)
            #expect(
                try value(ledger, "record", "recovered_from", "despite") == "only the last line of the script failed")
            #expect(try value(ledger, "record", "recovered_from", "rule") == "maker-failed")
            try mount.unmount()
        }

        /// With the tools that everybody has.
        @Test(arguments: MountVariant.both) func byHand(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let production = "production/base/splice_errors/"
            let id = try fail(mount, production + "chr1.tsv")
            let file = mount.path(".artifactfs/quarantine/" + id)
            #expect(try contents(file) == table)
            #expect(try run(["cat", file]).output == table && run(["wc", "-c", file]).output.hasPrefix("8 "))
            #expect(try value(try contents(file + ".reason.json"), "rule") == "maker-failed")
            #expect(try run(["grep", "-c", "killed by signal 9", file + ".reason.json"]).output == "1\n")
            // Hidden: nothing that walks the tree meets it.
            #expect(try run(["find", mount.root, "-name", id]).output.isEmpty)
            #expect(try names(in: mount.path(".artifactfs")).contains("quarantine"))

            for (what, expected) in [
                ("open(p[0], 'w')", "EPERM"), ("open(p[0], 'a')", "EPERM"), ("os.truncate(p[0], 1)", "EPERM"),
                ("os.chmod(p[0], 0o600)", "EPERM"), ("os.link(p[0], p[0] + 'x')", "EPERM"),
                ("os.setxattr(p[0], 'user.note', b'x')", "EPERM"), ("open(p[0] + 'x', 'x')", "EPERM"),
                ("os.mkdir(p[0] + 'x')", "EPERM"), ("os.rename(p[0], p[0] + 'x')", "EPERM"),
                ("os.unlink(p[0] + '.reason.json')", "EPERM"), ("os.rename(p[0] + '.reason.json', p[1])", "EPERM"),
                ("open(p[0] + '.reason.json', 'w')", "EPERM"), ("os.rmdir(os.path.dirname(p[0]))", "EPERM"),
                ("os.setxattr(p[0], 'user.artifact.despite', b' ')", "EINVAL"),
                ("os.rename(p[0], p[1])", "EPERM"),
            ] {
                #expect(try answer(what, file, mount.path(production + "chr1.tsv")) == expected, "\(what)")
            }
            #expect(try kept(mount) == [id] && contents(file) == table)

            // Its name may be any of its directory's that is free.
            #expect(try answer("os.setxattr(p[0], 'user.artifact.despite', b'it is whole')", file) == "ok")
            #expect(try extendedAttribute("user.artifact.despite", of: file) == "it is whole")
            try write(table, to: mount.path(production + "chr7.tsv"))
            #expect(mount.isSealed(mount.path(production + "chr7.tsv")))
            #expect(try answer("os.rename(p[0], p[1])", file, mount.path(production + "chr7.tsv")) == "EEXIST")
            #expect(try answer("os.rename(p[0], p[1])", file, mount.path(production + "x.csv")) == "EINVAL")
            #expect(try answer("os.rename(p[0], p[1])", file, mount.path(production + "tmp1")) == "EINVAL")
            #expect(try run(["mv", file, mount.path(production + "chr2.tsv")]).succeeded)
            #expect(mount.isSealed(mount.path(production + "chr2.tsv")), "log: \(mount.log)")
            #expect(try contents(mount.path(production + "chr2.tsv")) == table)
            #expect(try names(in: mount.path(production)).sorted() == ["chr2.tsv", "chr7.tsv"])

            // Into a session, where nothing is replaced either, and to be rid of.
            let second = mount.path(".artifactfs/quarantine/" + (try fail(mount, production + "chr3.tsv")))
            try write("mine", to: mount.session("base/splice_errors/chr4.tsv"))
            #expect(
                try answer("os.rename(p[0], p[1])", second, mount.session("base/splice_errors/chr4.tsv")) == "EEXIST")
            #expect(try run(["mv", second, mount.session("base/splice_errors/chr3.tsv")]).succeeded)
            #expect(try contents(mount.session("base/splice_errors/chr3.tsv")) == table)
            #expect(try contents(mount.session("base/splice_errors/chr4.tsv")) == "mine")
            try write("x", to: mount.session("base/splice_errors/chr3.tsv"))
            let third = mount.path(".artifactfs/quarantine/" + (try fail(mount, production + "chr5.tsv")))
            #expect(try run(["rm", third]).succeeded)
            #expect(try !exists(third) && names(in: mount.real(".artifactfs/quarantine")) == [])
            #expect(
                try shell("grep -c '\"event\":\"discarded\"' \(mount.real(".artifactfs/ledger"))/*.jsonl").output
                    == "1\n")
            try mount.unmount()
        }

        /// Lets a script fail that makes a directory in production, and waits until it is put away.
        private func failDirectory(_ mount: Mount, _ name: String, user: User? = nil) throws -> String {
            let before = Set(try kept(mount, user: user))
            let path = mount.production("meta/meta_checkpoints/" + name)
            let script = #"""
                mkdir "$0" "$0/sub"; echo '{}' > "$0/a.json"; echo z > "$0/sub/x y"; ln -s x "$0/sub/l"; rm "$0/sub/l"
                chmod 640 "$0/a.json"; touch -d @1000000000 "$0/sub/x y"; touch -d @1000000001 "$0/sub"; exit 3
                """#
            _ = try run(["setsid", "--wait", "bash", "-c", script, path], user: user)
            var new: Set<String> = []
            let isThere = try eventually {
                new = Set(try kept(mount, user: user)).subtracting(before)
                return new.count == 1 && !exists(path)
            }
            #expect(isThere, "\(path) is kept back; log: \(mount.log)")
            return try #require(new.first)
        }

        /// What a tree has: kinds, modes, sizes, times and bytes.
        private func tree(_ path: String, user: User? = nil) throws -> String {
            let script = #"cd "$0" && find . -mindepth 1 -printf '%P %y %m %T@\n' | sort && cat a.json 'sub/x y'"#
            return try run(["bash", "-c", script, path], user: user).output
        }

        private static let wholeTree =
            "sub d 755 1000000001.0000000000\nsub/x y f 644 1000000000.0000000000\n{}\nz\n"

        /// A directory whose maker failed: listed, seen, copied, published with the reason, whole.
        @Test(arguments: MountVariant.both) func aDirectory(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = "production/meta/meta_checkpoints/c1"
            let id = try failDirectory(mount, "c1")
            let list = try recover("list", mount.root)
            #expect(list.output.contains("5 bytes in 2 files") && list.output.contains("maker-failed: "), "\(list)")
            let json = try recover("list", mount.root, "--json").output
            #expect(try value(json, "kind") == "directory" && value(json, "size") == "5", "\(json)")
            let shown = try recover("show", mount.root, path)
            #expect(
                shown.output.contains("restore \(mount.root) \(id.prefix(20)) DIRECTORY")
                    && shown.output.contains("5 bytes in 2 files"), "\(shown)")
            let status = try run([try Mount.binary(), "status", mount.root])
            #expect(status.output.contains("5 bytes"), "\(status)")

            let there = mount.path(".artifactfs/quarantine/" + id)
            let before = try tree(there)
            #expect(before.hasSuffix(Self.wholeTree) && before.contains("a.json f 640"), "\(before)")
            let copy = mount.store + "/../copy"
            let restored = try recover("restore", mount.root, id, copy)
            #expect(restored.succeeded && restored.output.hasPrefix("copied to /"), "\(restored)")
            #expect(try tree(copy) == before)
            let again = try recover("restore", mount.root, id, copy)
            // It is a directory: the copy goes into it, once.
            #expect(again.succeeded && exists(copy + "/c1/a.json"), "\(again)")
            let third = try recover("restore", mount.root, id, copy)
            #expect(third.status == 1 && third.errors.contains("nothing is replaced"), "\(third)")
            #expect(try names(in: copy) == ["a.json", "c1", "sub"])
            let scratch = mount.session("scratch/here")
            #expect(try recover("restore", mount.root, id, scratch).succeeded)
            #expect(try tree(scratch) == before)
            #expect(try recover("restore", mount.root, id, mount.production("meta/meta_checkpoints/c2")).status == 1)

            let refused = try recover("publish", mount.root, path)
            #expect(refused.status == 1 && refused.errors.contains("--despite"), "\(refused)")
            #expect(
                try recover("publish", mount.root, id, "--as", "production/base/splice_errors/chr1.tsv").status == 1)
            let published = try recover("publish", mount.root, path, "--despite", "only its last line failed")
            #expect(published.succeeded && published.output == "published \(path)\n", "\(published)")
            #expect(try extendedAttribute("user.artifact.state", of: mount.path(path)) == "sealed")
            #expect(try tree(mount.path(path)).hasSuffix("{}\nz\n"))
            #expect(try names(in: mount.real(".artifactfs/quarantine")) == [])
            for what in ["open(p[0] + '/a.json', 'w')", "os.mkdir(p[0] + '/d')", "os.rename(p[0], p[0] + 'x')"] {
                #expect(try ["EEXIST", "EPERM"].contains(answer(what, mount.path(path))), "\(what)")
            }
            let ledger = try shell(
                "grep -h '\"event\":\"sealed\"' \(mount.real(".artifactfs/ledger"))/*.jsonl | tail -n 1"
            ).output
            #expect(try value(ledger, "record", "recovered_from", "id") == id)
            #expect(try value(ledger, "record", "artifact", "kind") == "directory")
            try mount.unmount()
        }

        /// With the tools that everybody has: what is in it is read and does not change; mv takes it out, and rmdir discards it whole.
        @Test(arguments: MountVariant.both) func aDirectoryByHand(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let checkpoints = mount.production("meta/meta_checkpoints")
            let id = try failDirectory(mount, "c1")
            let there = mount.path(".artifactfs/quarantine/" + id)
            let before = try tree(there)
            #expect(try names(in: there) == ["a.json", "sub"] && contents(there + "/sub/x y") == "z\n")
            for (what, expected) in [
                ("open(p[0] + '/a.json', 'w')", "EPERM"), ("open(p[0] + '/a.json', 'a')", "EPERM"),
                ("open(p[0] + '/new', 'w')", "EPERM"), ("os.mkdir(p[0] + '/new')", "EPERM"),
                ("os.symlink('x', p[0] + '/sub/new')", "EPERM"), ("os.mkfifo(p[0] + '/new')", "EPERM"),
                ("os.unlink(p[0] + '/a.json')", "EPERM"), ("os.rmdir(p[0] + '/sub')", "EPERM"),
                ("os.rename(p[0] + '/a.json', p[0] + '/b.json')", "EPERM"), ("os.chmod(p[0] + '/sub', 0o700)", "EPERM"),
                ("os.link(p[0] + '/a.json', p[0] + '/b.json')", "EPERM"), ("os.truncate(p[0] + '/a.json', 0)", "EPERM"),
                ("os.utime(p[0] + '/sub/x y')", "EPERM"), ("os.setxattr(p[0] + '/sub', 'user.a', b'x')", "EPERM"),
                ("os.chmod(p[0], 0o700)", "EPERM"), ("os.rename(p[0], p[0] + 'x')", "EPERM"),
                ("os.rename(p[0], p[1])", "EPERM"),
            ] {
                #expect(try answer(what, there, checkpoints + "/c1") == expected, "\(what)")
            }
            let refused = try shell("LC_ALL=C rm -r '\(there)'")
            #expect(!refused.succeeded && refused.errors.contains("Operation not permitted"), "\(refused)")
            let told = try run([try Mount.binary(), "explain", "remove", there + "/a.json"])
            #expect(told.output.contains("rule:    kept-back") && told.output.contains("rmdir"), "\(told)")
            #expect(try tree(there) == before)

            #expect(try answer("os.setxattr(p[0], 'user.artifact.despite', b'it is whole')", there) == "ok")
            #expect(try answer("os.rename(p[0], p[1])", there, checkpoints + "/c 2") == "EINVAL")
            #expect(try answer("os.rename(p[0], p[1])", there, checkpoints + "/tmp-c") == "EINVAL")
            #expect(try run(["mv", there, checkpoints + "/c2"]).succeeded, "log: \(mount.log)")
            #expect(try extendedAttribute("user.artifact.state", of: checkpoints + "/c2") == "sealed")
            #expect(try contents(checkpoints + "/c2/sub/x y") == "z\n" && names(in: checkpoints) == ["c2"])

            // Into a session, where it is the session's, and nothing is replaced.
            let second = mount.path(".artifactfs/quarantine/" + (try failDirectory(mount, "c3")))
            #expect(try contents(second + "/a.json") == "{}\n")
            let session = mount.session("meta/meta_checkpoints")
            try check(mkdir(session + "/c3", 0o755))
            #expect(try answer("os.rename(p[0], p[1])", second, session + "/c3") == "EEXIST")
            #expect(try answer("os.rename(p[0], p[1])", second, checkpoints + "/c2") == "EEXIST")
            #expect(try run(["mv", second, session + "/c4"]).succeeded, "log: \(mount.log)")
            #expect(
                try shell("cd '\(session)/c4' && echo more >> a.json && mkdir d && mv a.json d && ls").output
                    == "d\nsub\n")

            let third = mount.path(".artifactfs/quarantine/" + (try failDirectory(mount, "c5")))
            #expect(try answer("os.unlink(p[0])", third) == "EISDIR")
            #expect(try run(["rmdir", third]).succeeded, "log: \(mount.log)")
            #expect(try !exists(third) && names(in: mount.real(".artifactfs/quarantine")) == [])
            let fourth = try failDirectory(mount, "c6")
            #expect(try recover("discard", mount.root, fourth).output == "discarded \(fourth)\n")
            #expect(try names(in: mount.real(".artifactfs/quarantine")) == [])
            let discarded = try shell("grep -h '\"event\":\"discarded\"' \(mount.real(".artifactfs/ledger"))/*.jsonl")
            #expect(discarded.output.split(separator: "\n").count == 2 && discarded.output.contains("\"size\":5"))
            try mount.unmount()
            #expect(try names(in: mount.real(".artifactfs/staging")) == [])
        }

        /// In the store itself, without a mount; and on a read-only one, which shows it and copies.
        @Test func aDirectoryWithoutAMount() throws {
            let mount = try Mount()
            let (first, second) = (try failDirectory(mount, "c1"), try failDirectory(mount, "c2"))
            let reading = try Mount(store: mount.store, MountVariant(readOnly: true))
            let there = reading.path(".artifactfs/quarantine/" + first)
            for _ in 0..<2 { #expect(try tree(there).hasSuffix(Self.wholeTree)) }
            let top = mount.store + "/.."
            #expect(try recover("restore", reading.root, first, top + "/from-mount").succeeded)
            #expect(try answer("os.rmdir(p[0])", there) == "EROFS")
            try reading.unmount()
            try mount.unmount()

            #expect(try recover("list", mount.store).output.contains("2 kept back"))
            #expect(try recover("restore", mount.store, first, top + "/from-store").succeeded)
            #expect(try tree(top + "/from-store") == tree(top + "/from-mount"))
            #expect(try recover("publish", mount.store, first).errors.contains("--despite"))
            let wrong = try recover(
                "publish", mount.store, first, "--as", "production/base/splice_errors/chr1.tsv", "--despite", "whole")
            #expect(wrong.status == 1 && wrong.errors.contains("stays in quarantine"), "\(wrong)")
            #expect(try recover("publish", mount.store, first, "--despite", "whole").succeeded)
            #expect(try contents(mount.real("meta_layer/checkpoints/c1/sub/x y")) == "z\n")
            #expect(try recover("discard", mount.store, second).succeeded)
            #expect(try recover("list", mount.store).output == "nothing was kept back\n")
            #expect(try names(in: mount.real(".artifactfs/staging")) == [])
        }

        /// What a check refuses is published by no word, and what it finds is said.
        @Test func aCheckIsNotTalkedOver() throws {
            let mount = try Mount()
            let path = "production/base/splice_errors/chr1.tsv"
            let id = try fail(mount, path, #"a\tb\n1\n"#)
            let refused = try recover("publish", mount.root, id, "--despite", "I insist")
            #expect(refused.status == 1 && refused.errors.contains("line 2"), "\(refused)")
            #expect(refused.errors.contains("stays in quarantine"))
            #expect(try kept(mount) == [id] && !exists(mount.path(path)))
            #expect(try contents(mount.path(".artifactfs/quarantine/" + id)) == "a\tb\n1\n")
            // The name is free, and another takes it.
            try write(table, to: mount.path(path))
            #expect(mount.isSealed(mount.path(path)))
            let taken = try recover("publish", mount.root, id, "--despite", "still")
            #expect(taken.status == 1 && taken.errors.contains("production artifacts are immutable"), "\(taken)")
            #expect(try recover("discard", mount.root, path).succeeded)
            #expect(try kept(mount) == [])
        }

        /// Bad input: a sentence, the status, and nothing done.
        @Test func badInput() throws {
            let mount = try Mount()
            let first = try fail(mount, "production/base/splice_errors/chr1.tsv")
            let second = try fail(mount, "production/base/splice_errors/chr1.tsv")
            for (arguments, status, words) in [
                (["show", mount.root, "1999"], 2, "nothing that was kept back is called 1999"),
                (["show", mount.root], 2, "which of them"), (["discard", mount.root, "2"], 2, "may be any of 2"),
                (["list", "/tmp"], 3, "neither on a mount"), (["list", "/nothing/there"], 2, "is not there"),
                (["publish", mount.root, first, "--despite", " "], 64, "needs a reason"),
                (
                    ["publish", mount.root, first, "--as", "production/base/x", "--despite", "w"], 1,
                    "not an artifact name"
                ),
            ] as [([String], Int32, String)] {
                let outcome = try run([try Mount.binary(), "recover"] + arguments)
                #expect(outcome.status == status && outcome.errors.contains(words), "\(arguments): \(outcome)")
            }
            // Of a path the newest.
            let newest = try recover("show", mount.root, "production/base/splice_errors/chr1.tsv")
            #expect(
                newest.succeeded && newest.output.contains(second) && newest.errors.contains("2 times"), "\(newest)")
            #expect(try kept(mount).sorted() == [first, second].sorted())
            let unmounted = try run([try Mount.binary(), "unmount", mount.root])
            #expect(unmounted.output.contains("artifactfs recover list \(mount.store)"), "\(unmounted)")
            // In the store itself, without a mount.
            #expect(try recover("list", mount.store).output.contains("2 kept back"))
            #expect(try recover("publish", mount.store, first).errors.contains("--despite"))
            #expect(try recover("publish", mount.store, first, "--despite", "whole").succeeded)
            #expect(try contents(mount.real("base_layer/splice_errors_chr1.tsv")) == table)
            #expect(try recover("discard", mount.store, second).succeeded)
            #expect(try recover("list", mount.store).output == "nothing was kept back\n")
        }

        /// A file whose reason is missing, empty or cut is there, as unknown; names with control characters move no cursor.
        @Test func whatIsUnknownIsShown() throws {
            let mount = try Mount()
            let id = try fail(mount, "production/base/splice_errors/chr1.tsv")
            let reason = mount.real(".artifactfs/quarantine/\(id).reason.json")
            for text in ["", "{\"reason\": \"\\u001b[2J"] {
                try write(text, to: reason)
                let list = try recover("list", mount.root)
                #expect(
                    list.output.contains("unknown: why is not known") && list.output.contains("splice_errors"),
                    "\(list)")
            }
            try write(#"{"reason":"\u001b[2Jx\ny","rule":"failed-check","record":{}}"#, to: reason)
            let list = try recover("list", mount.root)
            #expect(list.output.contains(#"failed-check: \x1b[2Jx\ny"#), "\(list)")
            unlink(reason)
            #expect(try recover("publish", mount.root, id).errors.contains("--despite"))
            #expect(try recover("publish", mount.root, id, "--despite", "whole").succeeded)
        }

        /// A read-only mount shows and copies; what changes something is the kernel's to refuse.
        @Test(arguments: [true, false]) func onAReadOnlyMount(allowOther: Bool) throws {
            let writing = try Mount()
            let id = try fail(writing, "production/base/splice_errors/chr1.tsv")
            let mount = try Mount(store: writing.store, MountVariant(readOnly: true, allowOther: allowOther))
            let file = mount.path(".artifactfs/quarantine/" + id)
            for _ in 0..<2 {
                #expect(try contents(file) == table && run(["cat", file]).output == table)
                #expect(try value(try contents(file + ".reason.json"), "rule") == "maker-failed")
            }
            #expect(try recover("list", mount.root).output.contains("chr1.tsv"))
            #expect(try recover("restore", mount.root, id, mount.store + "/../copy").succeeded)
            let refused = try recover("publish", mount.root, id, "--despite", "whole")
            #expect(refused.status == 1 && refused.errors.contains("read-only"), "\(refused)")
            #expect(try answer("os.unlink(p[0])", file) == "EROFS")
            try mount.unmount()
            try writing.unmount()
        }

        /// Without root: everything by one user, on a mount and in a store of their own.
        @Test func anOrdinaryUser() throws {
            let person = try OrdinaryUser()
            let (store, mount) = (person.home + "/eval", person.home + "/m")
            #expect(try person.artifactfs("init", store).succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            #expect(try person.artifactfs("mount", store, mount).succeeded)
            let path = "production/base/splice_errors/chr1.tsv"
            _ = try person.shell(
                #"(exec 3> m/\#(path); printf 'a\tb\n1\t2\n' >&3; kill -9 $BASHPID); artifactfs wait m"#)
            #expect(try eventually { try person.artifactfs("recover", "list", mount).output.contains(path) })
            #expect(try person.artifactfs("recover", "publish", mount, path).status == 1)
            let published = try person.artifactfs("recover", "publish", mount, path, "--despite", "whole")
            #expect(published.succeeded, "\(published)")
            #expect(try person.shell("cat m/\(path)").output == table)
            #expect(try person.artifactfs("unmount", mount).succeeded)
            #expect(try person.artifactfs("recover", "list", store).output == "nothing was kept back\n")
        }

        /// The same of directories, whose permissions bind an ordinary user.
        @Test func anOrdinaryUsersDirectories() throws {
            let person = try OrdinaryUser()
            let (store, mount) = (person.home + "/eval", person.home + "/m")
            #expect(try person.artifactfs("init", store).succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            #expect(try person.artifactfs("mount", store, mount).succeeded)
            let made = try person.shell(
                #"""
                cd m/production/meta/meta_checkpoints; Q=../../../.artifactfs/quarantine
                for c in c1 c2 c3; do
                    setsid --wait bash -c "mkdir $c $c/sub; echo '{}' > $c/sub/a.json; chmod 555 $c/sub $c; false"
                    for i in $(seq 500); do [ -e $c ] || break; sleep 0.02; done
                done
                ls $Q | grep -vc reason
                """#)
            #expect(made.output == "3\n", "\(made)")
            let checkpoints = "production/meta/meta_checkpoints/"
            let published = try person.artifactfs("recover", "publish", mount, checkpoints + "c1", "--despite", "whole")
            #expect(published.succeeded, "\(published)")
            let there = try person.shell(
                "stat -c '%a %n' m/\(checkpoints)c1 m/\(checkpoints)c1/sub; cat m/\(checkpoints)c1/sub/a.json")
            #expect(there.output == "555 m/\(checkpoints)c1\n555 m/\(checkpoints)c1/sub\n{}\n", "\(there)")
            let restored = try person.artifactfs("recover", "restore", mount, checkpoints + "c2", person.home + "/copy")
            #expect(restored.succeeded, "\(restored)")
            #expect(
                try person.shell("cat copy/sub/a.json; stat -c %a copy/sub; chmod -R u+w copy").output == "{}\n555\n")
            let discarded = try person.artifactfs("recover", "discard", mount, checkpoints + "c2")
            #expect(discarded.succeeded, "\(discarded)")
            #expect(try person.artifactfs("unmount", mount).succeeded)
            #expect(try person.artifactfs("recover", "list", store).output.contains("1 kept back"))
            #expect(try person.artifactfs("recover", "discard", store, checkpoints + "c3").succeeded)
            #expect(
                try person.shell("ls eval/.artifactfs/quarantine eval/.artifactfs/staging | grep -v :").output == "\n")
        }
    }

    /// Several users on one mount: each sees and changes their own, and root all.
    @Suite(.enabled(if: geteuid() == 0, "only root acts as several users")) struct RecoverUsersTests {
        private func recover(_ arguments: String..., user: User? = nil) throws -> Outcome {
            try run([try Mount.binary(), "recover"] + arguments, user: user, timeout: 60)
        }

        private func fail(_ mount: Mount, _ name: String, user: User) throws -> String {
            let path = mount.production("base/splice_errors/" + name)
            _ = try run(
                ["bash", "-c", #"umask 077; exec 3> "$0"; printf 'a\tb\n1\t2\n' >&3; kill -9 $$"#, path], user: user)
            var id: String?
            let isThere = try eventually {
                id = try names(in: mount.path(".artifactfs/quarantine")).first { $0.hasSuffix(name) }
                return id != nil && !exists(path)
            }
            #expect(isThere, "log: \(mount.log)")
            return try #require(id)
        }

        @Test(arguments: MountVariant.bothForAll) func nobodyElseSeesIt(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let (alices, bobs) = (try fail(mount, "chr1.tsv", user: .alice), try fail(mount, "chr2.tsv", user: .bob))
            let directory = mount.path(".artifactfs/quarantine")
            let file = directory + "/" + alices
            for _ in 0..<2 {
                for (user, own, other) in [(User.alice, alices, bobs), (.bob, bobs, alices)] {
                    let listed = try run(["ls", directory], user: user)
                    #expect(listed.output == "\(own)\n\(own).reason.json\n", "\(listed)")
                    #expect(try run(["cat", directory + "/" + own], user: user).output == table)
                    #expect(
                        try run(["cat", directory + "/" + own + ".reason.json"], user: user).output.contains(
                            "maker-failed"))
                    for name in [other, other + ".reason.json"] {
                        for operation in [
                            "os.stat(p[0])", "open(p[0])", "os.unlink(p[0])", "os.rename(p[0], p[1])",
                            "os.setxattr(p[0], 'user.artifact.despite', b'x')",
                        ] {
                            let target = mount.production("base/splice_errors/chr9.tsv")
                            #expect(
                                try answer(operation, directory + "/" + name, target, as: user) == "ENOENT",
                                "\(operation)")
                        }
                    }
                    let list = try recover("list", mount.root, user: user)
                    #expect(list.output.contains("1 kept back"), "\(list)")
                    #expect(try recover("show", mount.root, other, user: user).status == 2)
                    let status = try run([try Mount.binary(), "status", mount.root], user: user)
                    #expect(status.output.contains("1 file") && status.output.contains("recover list"), "\(status)")
                }
                #expect(try recover("list", mount.root).output.contains("2 kept back"))
            }
            // The store itself is its owner's.
            let denied = try recover("list", mount.store, user: .alice)
            #expect(denied.status == 1 && denied.errors.contains("name a mount"), "\(denied)")

            let published = try recover("publish", mount.root, alices, "--despite", "it is whole", user: .alice)
            #expect(published.succeeded, "\(published)")
            let real = mount.real("base_layer/splice_errors_chr1.tsv")
            #expect(try contents(real) == table && ownership(real) == "61001:61101 400")
            #expect(try run(["rm", directory + "/" + bobs], user: .bob).succeeded)
            #expect(try names(in: directory) == [] && !exists(file))
            let lines = try shell("grep -h '\"event\":\"discarded\"' \(mount.real(".artifactfs/ledger"))/*.jsonl")
                .output
            #expect(lines.contains("\"uid\":61002") && lines.contains("\"command\":\"rm\""), "\(lines)")
        }

        /// What is in a directory is its owner's as well, though its modes would let everybody read it.
        @Test(arguments: MountVariant.bothForAll) func nobodyElseSeesADirectory(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let path = mount.production("meta/meta_checkpoints/c1")
            // No JSON: it is renamed into place, and its check refuses it.
            let script = #"mkdir "$0.tmp" "$0.tmp/sub"; echo '{' > "$0.tmp/sub/a.json"; mv "$0.tmp" "$0""#
            _ = try run(["bash", "-c", script, path], user: .alice)
            let directory = mount.path(".artifactfs/quarantine")
            var id: String?
            let isThere = try eventually {
                id = try names(in: directory).first { !$0.hasSuffix(".reason.json") }
                return id != nil && !exists(path)
            }
            #expect(isThere, "log: \(mount.log)")
            let there = directory + "/" + (try #require(id))
            for _ in 0..<2 {
                #expect(try run(["cat", there + "/sub/a.json"], user: .alice).output == "{\n")
                #expect(try run(["cat", there + "/sub/a.json"]).output == "{\n")
                for what in [
                    "os.listdir(p[0])", "open(p[0] + '/sub/a.json')", "os.rmdir(p[0])", "os.rename(p[0], p[1])",
                ] {
                    let target = mount.production("meta/meta_checkpoints/c9")
                    #expect(try answer(what, there, target, as: .bob) == "ENOENT", "\(what)")
                }
            }
            try setMode(stage.directory.path, 0o777)
            let copied = try recover("restore", mount.root, path, stage.directory.path + "/copy", user: .bob)
            #expect(copied.status == 2, "\(copied)")
            let refused = try recover("publish", mount.root, path, "--despite", "whole", user: .alice)
            #expect(refused.status == 1 && refused.errors.contains("'sub/a.json' in it"), "\(refused)")
            #expect(try recover("restore", mount.root, path, stage.directory.path + "/copy", user: .alice).succeeded)
            #expect(try ownership(stage.directory.path + "/copy/sub").hasPrefix("61001:"))
            #expect(try recover("discard", mount.root, path, user: .alice).succeeded)
            #expect(try names(in: directory) == [])
        }

        /// Who may not make a file in a directory publishes nothing there.
        @Test func onlyWhereTheUserMayWrite() throws {
            let stage = try SharedStage(MountVariant(allowOther: true))
            let mount = stage.mount
            let id = try fail(mount, "chr1.tsv", user: .alice)
            try setMode(mount.real("base_layer"), 0o755)
            let refused = try recover("publish", mount.root, id, "--despite", "whole", user: .alice)
            #expect(refused.status == 1 && refused.errors.contains("stays in quarantine"), "\(refused)")
            #expect(!exists(mount.real("base_layer/splice_errors_chr1.tsv")))
            // Root may, and it stays alice's.
            #expect(try recover("publish", mount.root, id, "--despite", "whole").succeeded)
            #expect(try ownership(mount.real("base_layer/splice_errors_chr1.tsv")) == "61001:61101 400")
        }
    }
}
