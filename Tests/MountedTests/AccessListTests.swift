import Glibc
import SystemPackage
import TestSupport
import Testing

/// POSIX access control lists: the mount answers each user as the real path does.
extension MountedTests {
    @Suite(.enabled(if: geteuid() == 0, "only root makes files of several users")) struct AccessListTests {
        private static let users = [User.alice, .bob, .carol]
        private static let attempts = ["open(p[0]).read()", "os.close(os.open(p[0], os.O_WRONLY))"]
        private static let lists = [
            // Named users in and out, named groups, masks that take away, nobody.
            "u::rw-,u:61002:r--,g::---,m::r--,o::---", "u::rw-,u:61002:---,g::---,m::rwx,o::r--",
            "u::rw-,u:61002:rw-,g::---,m::r--,o::---", "u::rw-,g::---,g:61200:rw-,m::rw-,o::---",
            "u::rw-,g::rw-,g:61200:---,m::rw-,o::rw-", "u::rw-,u:61003:rw-,g::rwx,m::---,o::---",
        ]

        private func shell(_ command: String, _ arguments: String..., user: User? = nil) throws {
            let outcome = try run(["bash", "-c", "set -e; " + command] + arguments, user: user)
            #expect(outcome.succeeded, "\(command): \(outcome)")
        }

        /// Files of a session, of scratch and of production, read-only too.
        @Test(arguments: MountVariant.bothForAll) func filesWithLists(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let session = mount.real("base_layer/dev/\(mount.sessionName)")
            for (number, list) in Self.lists.enumerated() {
                let name = "chr\(number).tsv"
                try stage.write(mount.session("base/splice_errors/" + name), as: .alice)
                try stage.write(mount.session("scratch/" + name), as: .alice)
                let sealed = try stage.publish(name, as: .alice)
                let pairs = [
                    (mount.session("base/splice_errors/" + name), session + "/splice_errors_" + name),
                    (mount.session("scratch/" + name), session + "/scratch/" + name),
                    (sealed, mount.real("base_layer/analysis_sequences_" + name)),
                ]
                // By the mount where it may be set there, at the real path where not.
                for (shown, _) in pairs.dropLast() { try shell(#"setfacl --set "$1" "$0""#, shown, list, user: .alice) }
                try shell(#"setfacl --set "$1" "$0"; chmod a-w "$0""#, pairs[2].1, list)
                let readOnly = try Mount(store: mount.store, variant.with { $0.readOnly = true })
                let again = try Mount(store: mount.store, variant)
                for user in Self.users {
                    for (shown, real) in pairs {
                        #expect(
                            try answer(Self.attempts[0], shown, as: user) == answer(Self.attempts[0], real, as: user),
                            "\(list), user \(user.user), \(shown)")
                    }
                    for (shown, real) in pairs.dropLast() {
                        #expect(
                            try answer(Self.attempts[1], shown, as: user) == answer(Self.attempts[1], real, as: user),
                            "\(list), user \(user.user), \(shown)")
                    }
                    for other in [readOnly, again] {
                        let path = other.production("base/analysis_sequences/" + name)
                        #expect(
                            try answer(Self.attempts[0], path, as: user)
                                == answer(Self.attempts[0], pairs[2].1, as: user), "\(list), user \(user.user)")
                    }
                }
                #expect(try readOnly.unmount() == 0)
                #expect(try again.unmount() == 0)
            }
        }

        /// What a directory's default list gives reaches sessions, scratch and what is published; the umask does not count then.
        @Test(arguments: MountVariant.bothForAll) func defaultLists(_ variant: MountVariant) throws {
            let plain = try TemporaryDirectory()
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let lists = "u::rwx,u:61002:rwx,g::r-x,m::rwx,o::---,d:u::rwx,d:u:61002:rw-,d:g::r-x,d:m::rwx,d:o::---"
            try setMode(plain.path, 0o777)
            try stage.write(mount.session("scratch/first"), as: .alice)
            try stage.write(mount.session("base/splice_errors/chr9.tsv"), as: .alice)
            let session = mount.real("base_layer/dev/\(mount.sessionName)")
            for directory in [plain.path, mount.real("base_layer"), session, session + "/scratch"] {
                try shell(#"chown 61001:61101 "$0"; setfacl -m "$1" "$0""#, directory, lists)
            }
            // What the kernel has known of the directories until now, it knows for a second.
            let later = try Mount(store: mount.store, variant.with { $0.session = nil })
            _ = later
            for (mask, mode) in [("077", "666"), ("022", "640"), ("000", "600")] {
                let create = #"""
                    umask "$1"
                    python3 -c 'import os, sys; f = os.open(sys.argv[1], os.O_CREAT | os.O_EXCL | os.O_WRONLY, int(sys.argv[2], 8)); os.write(f, b"a\tb\n1\t2\n"); os.close(f)' "$0" "$2"
                    """#
                func list(_ path: String) throws -> String {
                    let outcome = try run(["getfacl", "-cEn", path])
                    #expect(outcome.succeeded, "\(outcome)")
                    return outcome.output
                }
                let name = "chr\(mask)\(mode).tsv"
                try shell(create, plain.path + "/" + name, mask, mode, user: .alice)
                let expected = try list(plain.path + "/" + name)
                #expect(expected.contains("user:61002:rw-"), "\(expected)")
                for path in ["base/splice_errors/" + name, "scratch/" + name] {
                    try shell(create, mount.session(path), mask, mode, user: .alice)
                    #expect(try list(mount.session(path)) == expected, "\(path)")
                }
                let path = mount.production("base/analysis_sequences/" + name)
                try shell(create, path, mask, mode, user: .alice)
                #expect(mount.isSealed(path), "\(mount.log)")
                try shell(#"chmod a-w "$0""#, plain.path + "/" + name)
                #expect(
                    try list(mount.real("base_layer/analysis_sequences_" + name)) == list(plain.path + "/" + name))
                try shell(#"mkdir -m 700 "$0""#, mount.session("scratch/d" + mask), user: .alice)
                try shell(#"mkdir -m 700 "$0""#, plain.path + "/d" + mask, user: .alice)
                #expect(try list(mount.session("scratch/d" + mask)) == list(plain.path + "/d" + mask))
            }
        }

        /// A list on a directory of a session or a test decides who comes in.
        @Test(arguments: MountVariant.bothForAll) func directoriesWithLists(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            try shell(
                #"mkdir -m 700 "$0"; printf x > "$0/scratch/f"; chmod 755 "$0/scratch"; setfacl -m u:61002:r-x "$0""#,
                mount.test("t"),
                user: .alice)
            #expect(try answer("open(p[0]).read()", mount.test("t/scratch/f"), as: .bob) == "ok")
            #expect(try answer("open(p[0]).read()", mount.test("t/scratch/f"), as: .carol) == "EACCES")
            for layer in ["base_layer", "meta_layer"] {
                #expect(try answer("os.listdir(p[0])", mount.real(layer + "/tests/t"), as: .bob) == "ok", "\(layer)")
                #expect(
                    try answer("os.listdir(p[0])", mount.real(layer + "/tests/t"), as: .carol) == "EACCES", "\(layer)")
            }
        }

        /// `mkdir -m 700` of a test or a session is private in every layer, and stays its owner's to open.
        @Test(arguments: MountVariant.bothForAll) func privateInEveryLayer(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            try shell(
                #"mkdir -m 700 "$0"; printf '{"a": 1}' > "$0/meta/meta_metrics/m.json""#, mount.test("t"), user: .alice)
            for (path, real) in [("t", "base_layer/tests/t"), ("t/meta", "meta_layer/tests/t")] {
                #expect(try ownership(mount.test(path)) == "61001:61101 700")
                #expect(try ownership(mount.real(real)) == "61001:61101 700")
            }
            #expect(
                try answer("open(p[0]).read()", mount.real("meta_layer/tests/t/metrics/m.json"), as: .bob) == "EACCES")
            #expect(try answer("os.chmod(p[0], 0o755)", mount.test("t"), as: .bob) == "EPERM")
            for path in ["t", "t/meta/meta_metrics"] {
                #expect(try answer("os.chmod(p[0], 0o755)", mount.test(path), as: .alice) == "ok", "\(path)")
            }
            #expect(try answer("open(p[0]).read()", mount.real("meta_layer/tests/t/metrics/m.json"), as: .bob) == "ok")
            try shell(#"mkdir -m 2775 "$0""#, mount.test("u"), user: .alice)
            #expect(try ownership(mount.test("u")) == "61001:61101 2775")
            try shell(#"rm -r "$0""#, mount.test("t"), user: .alice)
            #expect(!exists(mount.real("base_layer/tests/t")) && !exists(mount.real("meta_layer/tests/t")))
        }

        /// A directory that was moved away gets nothing more; what is made goes where the path leads.
        @Test(arguments: MountVariant.bothForAll) func aDirectoryThatMoved(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let shown = mount.production("meta/meta_metrics/")
            try write("{\"a\": 1}", to: shown + "one.json")
            #expect(mount.isSealed(shown + "one.json"))
            try check(rename(mount.real("meta_layer/metrics"), mount.real("meta_layer/old")))
            try write("{\"a\": 2}", to: shown + "two.json")
            #expect(mount.isSealed(shown + "two.json"), "\(mount.log)")
            #expect(exists(mount.real("meta_layer/metrics/two.json")))
            #expect(!exists(mount.real("meta_layer/old/two.json")))
            let session = mount.session("meta/meta_metrics/")
            try write("{\"a\": 1}", to: session + "one.json")
            let real = mount.real("meta_layer/dev/\(mount.sessionName)/metrics")
            try check(rename(real, real + ".old"))
            try write("{\"a\": 2}", to: session + "two.json")
            #expect(exists(real + "/two.json") && !exists(real + ".old/two.json"))
        }
    }
}
