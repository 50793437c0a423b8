import Glibc
import SystemPackage
import TestSupport
import Testing

extension MountedTests {
    /// `artifactfs doctor --shared`: what two hosts find out together, and what is said where they do not come together.
    @Suite struct SharedDoctorTests {
        private func probe(_ store: String, _ words: String...) throws -> Child {
            try Child([try Mount.binary(), "doctor", "--shared", store] + words)
        }

        private func store() throws -> (TemporaryDirectory, String) {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/eval"
            #expect(try run([try Mount.binary(), "init", store]).succeeded)
            return (directory, store)
        }

        /// Two processes of this machine: everything is tried, and nothing is claimed of two hosts.
        @Test func oneMachineTwice() throws {
            let (directory, store) = try store()
            defer { withExtendedLifetime(directory) {} }
            let first = try probe(store, "--json")
            let second = try probe(store)
            #expect(first.wait(seconds: 110) && second.wait(seconds: 110))
            #expect(first.status == 2 && second.status == 2, "\(first.errors) \(second.errors)")
            #expect(first.output.contains(#""one_machine":true"#) && first.output.contains(#""link":{"answer":"yes""#))
            #expect(second.output.contains("both were one\n    machine, whose answer says nothing of two"))
            for line in second.output.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
            #expect(access(store + "/.artifactfs/probe", F_OK) != 0)
            #expect(access(store + "/.artifactfs/shared.json", F_OK) != 0)
            #expect(try run([try Mount.binary(), "doctor", store]).succeeded, "nothing is left that doctor finds")
        }

        /// One of two is killed at work; the other one says so, and what both had is gone.
        @Test func oneIsKilled() throws {
            let (directory, store) = try store()
            defer { withExtendedLifetime(directory) {} }
            let first = try probe(store)
            let second = try probe(store)
            // They have met: there is what only the two use.
            let script = "while ! ls -d \"$0\"/room-* >/dev/null 2>&1; do :; done"
            #expect(try run(["bash", "-c", script, store + "/.artifactfs/probe"], timeout: 60).succeeded)
            kill(first.process, SIGKILL)
            #expect(first.wait(seconds: 60) && second.wait(seconds: 60))
            #expect(second.status == 2 && second.errors.contains(" has gone while "), "\(second.errors)")
            #expect(access(store + "/.artifactfs/probe", F_OK) != 0)
        }

        @Test func nobodyElseComes() throws {
            let (directory, store) = try store()
            defer { withExtendedLifetime(directory) {} }
            let alone = try run([try Mount.binary(), "doctor", "--shared", "--wait", "1", store])
            #expect(alone.status == 2 && alone.errors.contains("no other host came within 1 s"), "\(alone)")
            #expect(access(store + "/.artifactfs/probe", F_OK) != 0)
            // Ended by a signal, it leaves nothing.
            let waiting = try probe(store)
            let script = "while ! ls \"$0\"/host-* >/dev/null 2>&1; do :; done"
            #expect(try run(["bash", "-c", script, store + "/.artifactfs/probe"], timeout: 60).succeeded)
            kill(waiting.process, SIGTERM)
            #expect(waiting.wait(seconds: 30))
            #expect(waiting.status == 128 + SIGTERM, "\(waiting.errors)")
            #expect(access(store + "/.artifactfs/probe", F_OK) != 0)
        }

        @Test func whatCannotBeAskedIsSaid() throws {
            let (directory, store) = try store()
            func doctor(_ words: String..., user: User? = nil) throws -> Outcome {
                try run([try Mount.binary(), "doctor"] + words, user: user)
            }
            #expect(try doctor("--wait", "5", store).status == 64)
            #expect(try doctor("--shared", "--wait", "0", store).status == 64)
            let none = try doctor("--shared", directory.path)
            #expect(none.status == 3, "\(none)")
            try write("artifactfs store, format 9\n", to: store + "/.artifactfs/format")
            let newer = try doctor("--shared", store)
            #expect(newer.status == 3 && newer.errors.contains("knows formats"), "\(newer)")
        }

        /// On a file system that cannot be written; and a store that is another user's.
        @Test(.enabled(if: geteuid() == 0)) func whoMayNot() throws {
            let (directory, store) = try store()
            let script = """
                mount --make-rprivate /; mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$1" doctor --shared --wait 1 "$0"
                """
            let readOnly = try run(["unshare", "-m", "bash", "-c", script, store, try Mount.binary()])
            #expect(readOnly.status == 2 && readOnly.errors.contains("Read-only file system"), "\(readOnly)")
            withExtendedLifetime(directory) {}
            let person = try OrdinaryUser()
            #expect(try person.artifactfs("init", person.home + "/eval").succeeded)
            let own = try person.artifactfs("doctor", "--shared", "--wait", "1", person.home + "/eval")
            #expect(own.status == 2 && own.errors.contains("no other host came"), "\(own)")
            #expect(try run(["chown", "-R", "0:0", person.home + "/eval"]).succeeded)
            let other = try person.artifactfs("doctor", "--shared", "--wait", "1", person.home + "/eval")
            #expect(other.status == 2 && other.errors.contains("run it as the store's owner or as root"), "\(other)")
        }

        // MARK: - Through mounts that know nothing of each other

        /// Runs the probe on both at once.
        private func both(_ shown: PassingFileSystem) throws -> [Child] {
            let children = try shown.mountPoints.map { try probe($0 + "/eval", "--json") }
            for child in children { #expect(child.wait(seconds: 300), "\(child.errors)") }
            return children
        }

        private func answers(_ text: String) throws -> String {
            let script = """
                import json, sys
                report = json.load(sys.stdin)
                print(report["verdict"], report["one_machine"], *(f"{key}={fact['answer']}" for key, fact in report["facts"].items()))
                """
            return try python(script, input: text).output
        }

        /// Each has its own locks, and knows nothing else that is amiss: several may use it, and a mount says so.
        @Test(.enabled(if: geteuid() == 0)) func twoMountsOfOneDirectory() throws {
            let shown = try PassingFileSystem()
            #expect(try run([try Mount.binary(), "init", shown.directory + "/eval"]).succeeded)
            let (store, point) = (shown.mountPoints[0] + "/eval", shown.directory + "-mount")
            try check(mkdir(point, 0o755))
            func status() throws -> String {
                let mounted = try run([try Mount.binary(), "mount", store, point])
                #expect(mounted.succeeded && mounted.output.contains("; the store is on FUSE"), "\(mounted)")
                defer { _ = try? run([Mount.binary(), "unmount", point]) }
                return try run([try Mount.binary(), "status", point]).output
            }
            let before = try status()
            #expect(
                before.contains(
                    "several hosts the store is on FUSE, which several hosts may use, and was never probed"),
                "\(before)")
            let children = try both(shown)
            #expect(children.map(\.status) == [0, 0], "\(children.map(\.errors))")
            let found = try answers(children[0].output)
            #expect(found == (try answers(children[1].output)))
            #expect(
                found.hasPrefix("several-hosts False links=yes link=yes exclusive_create=yes rename_no_replace=yes"),
                "\(found)")
            for fact in [
                "flock=no", "open_file_locks=no", "contents=yes", "looked_for_name=yes", "attributes=yes", "owner=yes",
            ] {
                #expect(found.contains(" " + fact), "\(found)")
            }
            let after = try status()
            #expect(after.contains("several hosts may use this store (probed by "), "\(after)")
            try write("nonsense", to: shown.directory + "/eval/.artifactfs/shared.json")
            #expect(try status().contains("what a probe has found cannot be read"))
        }

        /// Neither links nor flags, and a memory of names that were missing: each is found, and what follows.
        @Test(.enabled(if: geteuid() == 0)) func withoutLinksAndFlags() throws {
            let shown = try PassingFileSystem(
                options: "negative_timeout=8,entry_timeout=8", manners: ["NO_LINKS", "NO_FLAGS"])
            #expect(try run([try Mount.binary(), "init", shown.directory + "/eval"]).succeeded)
            let children = try both(shown)
            #expect(children.map(\.status) == [1, 1], "\(children.map(\.errors))")
            let found = try answers(children[0].output)
            #expect(
                found.hasPrefix(
                    "unknown False links=no link=unknown exclusive_create=yes rename_no_replace=no rename_raced=unknown"
                ), "\(found)")
            for fact in ["looked_for_name=no", "listed_name=yes", "new_name=yes", "contents=yes"] {
                #expect(found.contains(" " + fact), "\(found)")
            }
        }
    }
}
