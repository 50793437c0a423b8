import Glibc
import TestSupport
import Testing

/// No command waits for ever and without a word: for a driver that is stopped, that somebody keeps busy, that another namespace keeps or
/// hides.
extension MountedTests {
    @Suite struct WaitingTests {
        /// Longer than any wait may be, shorter than for ever.
        private func artifactfs(_ arguments: String...) throws -> Outcome {
            try run([try Mount.binary()] + arguments, timeout: 60)
        }

        private func expect(_ outcome: Outcome, _ status: Int32, _ words: String...) {
            #expect(outcome.status == status && !outcome.timedOut, "\(outcome)")
            #expect(outcome.errors.split(separator: "\n").count == 1, "one sentence: \(outcome)")
            for word in words { #expect(outcome.errors.contains(word), "'\(word)' in \(outcome)") }
        }

        @Test(arguments: [MountVariant(), MountVariant(readOnly: true)])
        func aStoppedDriverIsNamed(_ variant: MountVariant) throws {
            let (stopped, other) = (try Mount(variant), try Mount())
            let number = "\(stopped.driver.process)"
            stopped.driver.signal(SIGSTOP)
            defer { stopped.driver.signal(SIGCONT) }
            let list = try artifactfs("status")
            #expect(list.succeeded, "\(list)")
            let problem = "does not answer: its driver, process \(number), is stopped"
            #expect(list.output.contains("\(stopped.root)\t\(stopped.store)\t\(problem)"), "\(list)")
            #expect(list.output.contains("\(other.root)\t\(other.store)\tsession \(other.sessionName)"), "\(list)")
            let json = try artifactfs("status", "--json")
            #expect(json.output.contains("is stopped") && json.output.contains(other.sessionName), "\(json)")
            for command in [
                ["status", stopped.root], ["unmount", stopped.root], ["mount", stopped.store, stopped.root],
                ["explain", "read", stopped.root + "/production/base"],
                ["explain", "read", stopped.root + "/production/base/gene_manifest/gene_manifest.tsv"],
                ["status", stopped.root + "/production/base/splice_errors"],
                ["init", stopped.root + "/test/t/scratch/store"],
                [stopped.root + "/test/t/scratch/store", stopped.root],
            ] {
                let outcome = try run([try Mount.binary()] + command, timeout: 60)
                expect(outcome, 8, stopped.root, "process \(number), is stopped", "kill -CONT \(number)", "--lazy")
            }
            // Beside it the same store is mounted and unmounted.
            let directory = try TemporaryDirectory()
            #expect(mkdir(directory.path + "/m", 0o755) == 0)
            #expect(try artifactfs("mount", stopped.store, directory.path + "/m").succeeded)
            #expect(try artifactfs("unmount", directory.path + "/m").succeeded)

            stopped.driver.signal(SIGCONT)
            #expect(try artifactfs("unmount", stopped.root).succeeded)
        }

        /// A driver that is stopped while it holds the store's lock keeps others from opening the store.
        @Test func aStoppedDriverThatHoldsTheStoreIsNamed() throws {
            let directory = try TemporaryDirectory()
            let (store, mount) = (directory.path + "/s", directory.path + "/m")
            try Mount.initialize(store: store)
            #expect(mkdir(mount, 0o755) == 0)
            let script = """
                import fcntl, sys, time
                file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); time.sleep(600)
                """
            let holder = try Child([testPython, "-c", script, store + "/.artifactfs/lock"])
            #expect(eventually { !holder.output.isEmpty })
            holder.signal(SIGSTOP)
            let outcome = try artifactfs("mount", store, mount)
            expect(outcome, 8, "process \(holder.process), is stopped", store, "kill -CONT \(holder.process)")
            holder.kill()
            #expect(try artifactfs("mount", store, mount).succeeded)
            #expect(try artifactfs("unmount", mount).succeeded)
        }

        @Test(.enabled(if: geteuid() == 0, "it makes a mount namespace"))
        func anotherMountNamespaceIsNamed() throws {
            let mount = try Mount()
            let holder = try Child(
                ["unshare", "-m", "sh", "-c", Mount.leavesOtherMounts + "echo there; exec sleep 600"],
                environment: ["KEEP": mount.root])
            #expect(eventually { holder.output == "there\n" })
            let outcome = try artifactfs("unmount", mount.root)
            expect(outcome, 6, "unmounted here", "mount namespace of process \(holder.process)", mount.root, "nsenter")
            #expect(!mount.isMounted && mount.driver.isRunning)
            holder.kill()
            #expect(mount.driver.wait(seconds: 30), "it ends with the last mount; log: \(mount.log)")
        }

        @Test(.enabled(if: geteuid() == 0, "it makes a bind mount")) func aBindMountIsNamed() throws {
            let mount = try Mount()
            let directory = try TemporaryDirectory()
            #expect(try run(["mount", "--bind", mount.root, directory.path]).succeeded)
            defer { umount2(directory.path, Int32(MNT_DETACH)) }
            expect(try artifactfs("unmount", mount.root), 6, directory.path, "process \(mount.driver.process)")
            #expect(try artifactfs("unmount", directory.path).succeeded)
            #expect(mount.driver.wait(seconds: 30))
        }

        /// The number that such a driver gives itself is another process's here.
        @Test(.enabled(if: geteuid() == 0, "it makes a pid namespace"))
        func aDriverInAnotherPidNamespaceIsWaitedFor() throws {
            let directory = try TemporaryDirectory()
            let (store, mount) = (directory.path + "/s", directory.path + "/m")
            try Mount.initialize(store: store)
            #expect(mkdir(mount, 0o755) == 0)
            let driver = try Child([
                "unshare", "--pid", "--fork", "--kill-child", try Mount.binary(), "mount", "--foreground", store, mount,
            ])
            let file = mount + "/production/base/gene_manifest/gene_manifest.tsv"
            #expect(eventually { (try? write(table, to: file)) != nil })
            let outcome = try artifactfs("unmount", mount)
            #expect(outcome.succeeded && outcome.errors.isEmpty, "\(outcome)")
            #expect(exists(store + "/base_layer/gene_manifest.tsv"), "published when unmount returns")
            #expect(driver.wait(seconds: 30))
        }

        /// Programs that go on publishing are named, or have come to an end: nobody waits until they are through.
        @Test func publishingThatNeverEndsIsNotWaitedFor() throws {
            let mount = try Mount()
            let publisher = try shellChild(
                #"cd /; n=0; while printf 'a\tb\n1\t2\n' > "$0/chr$n.tsv"; do n=$((n + 1)); done 2>/dev/null"#,
                mount.production("base/analysis_sequences"))
            #expect(eventually { (mount.count("sealed_since_mount") ?? 0) > 10 })
            // Between two files nobody holds the mount.
            let outcome = try artifactfs("unmount", mount.root)
            #expect(!outcome.timedOut && [0, 6].contains(outcome.status), "\(outcome)")
            publisher.kill()
            #expect(try outcome.succeeded || artifactfs("unmount", mount.root).succeeded)
        }

        /// What unmounting does not publish is said, and where its bytes are; status counts what lies in the store.
        @Test func unmountSaysWhatWasKeptBack() throws {
            let first = try Mount()
            let broken = "a\tb\n1\n"
            _ = try? write(broken, to: first.production("base/analysis_sequences/chr1.tsv"))
            #expect(first.settle())
            #expect(
                try artifactfs("status", first.root).output.contains(
                    "quarantine    1 file, 6 bytes: 'artifactfs recover list \(first.root)'"))
            let said = try artifactfs("unmount", first.root)
            #expect(
                said.succeeded
                    && said.output.hasPrefix("not published: 1, kept in \(first.store)/.artifactfs/quarantine:"))
            #expect(said.output.contains("\n  production/base/analysis_sequences/chr1.tsv: "), "\(said)")
            let lines = said.output.split(separator: "\n")
            #expect(lines.last?.contains("'artifactfs recover list \(first.store)'") == true, "\(said)")
            let name = lines.dropLast().last?.trimmingPrefix { $0 == " " } ?? "?"
            #expect(try contents(first.store + "/.artifactfs/quarantine/" + name) == broken)

            // Another mount of the store has kept nothing back.
            let second = try Mount(store: first.store)
            let status = try artifactfs("status", second.root)
            #expect(status.output.contains("since mount   0 sealed, 0 quarantined\nquarantine    1 file"), "\(status)")
            #expect(
                try artifactfs("status", second.root, "--json").output.contains(#""quarantine":{"files":1,"bytes":6,"#))
            let nothing = try artifactfs("unmount", second.root)
            #expect(nothing.succeeded && nothing.output.isEmpty, "\(nothing)")
        }

        /// A second signal ends the driver at once; what was not published then is there for the next mount.
        @Test(arguments: [SIGTERM, SIGINT, SIGHUP]) func aSecondSignalEndsTheDriver(_ signal: Int32) throws {
            let mount = try Mount()
            let path = mount.production("base/analysis_sequences/chr1.tsv")
            let handle = try openFile(path, O_WRONLY | O_CREAT | O_EXCL)
            try writeAll(handle, table)
            // The store's lock keeps the driver from coming to its end.
            let script =
                "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); time.sleep(600)"
            let ledger = try names(in: mount.store + "/.artifactfs/ledger").first ?? "?"
            let holder = try Child([testPython, "-c", script, mount.store + "/.artifactfs/ledger/" + ledger])
            #expect(eventually { !holder.output.isEmpty })
            try closeFile(handle)
            #expect(eventually { mount.count("publishing") == 1 })
            mount.driver.signal(signal)
            #expect(eventually { !mount.isMounted }, "the first unmounts")
            #expect(mount.driver.isRunning, "and waits for what is being published")
            mount.driver.signal(signal)
            #expect(mount.driver.wait(seconds: 30))
            #expect(mount.driver.status == 128 + signal)
            holder.kill()
            let next = try Mount(store: mount.store)
            #expect(try next.unmount() == 0)
            let quarantined = try names(in: mount.store + "/.artifactfs/quarantine").contains {
                $0.hasSuffix("chr1.tsv")
            }
            #expect(quarantined || exists(mount.store + "/base_layer/analysis_sequences_chr1.tsv"), "nothing is lost")
        }

        /// Where the system has no thread to give, the first one takes the signals.
        @Test(.enabled(if: Child.finds("cc"), "it builds a library that refuses threads"))
        func withoutThreadsASignalUnmounts() throws {
            let directory = try TemporaryDirectory()
            let (store, mount, library) = (directory.path + "/s", directory.path + "/m", directory.path + "/none.so")
            try write(
                "#include <errno.h>\nint pthread_create(void) { return EAGAIN; }\n", to: directory.path + "/none.c")
            #expect(try run(["cc", "-shared", "-fPIC", "-o", library, directory.path + "/none.c"]).succeeded)
            try Mount.initialize(store: store)
            #expect(mkdir(mount, 0o755) == 0)
            let driver = try Child(
                [try Mount.binary(), "mount", "--foreground", "--durability", "relaxed", store, mount],
                environment: ["LD_PRELOAD": library])
            defer { _ = umount2(mount, Int32(MNT_DETACH)) }
            let file = mount + "/production/base/gene_manifest/gene_manifest.tsv"
            #expect(eventually { (try? write(table, to: file)) != nil }, "it serves; \(driver.errors)")
            driver.signal(SIGTERM)
            #expect(driver.wait(seconds: 30) && driver.status == 0, "\(driver.errors)")
            #expect(exists(store + "/base_layer/gene_manifest.tsv"), "it publishes, at its end at the latest")
            #expect(try names(in: mount).isEmpty, "unmounted")
        }

        private func shellChild(_ script: String, _ argument: String) throws -> Child {
            try Child(["bash", "-c", script, argument])
        }
    }
}
