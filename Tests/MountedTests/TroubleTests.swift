import Glibc
import SystemPackage
import TestSupport
import Testing

/// What goes wrong with the disk, through the mount.
extension MountedTests {
    @Suite(.enabled(if: geteuid() == 0, "needs root")) struct TroubleTests {
        /// A tmpfs that is soon full.
        private final class SmallDisk {
            let directory: TemporaryDirectory
            var path: String { directory.path + "/disk" }

            init() throws {
                directory = try TemporaryDirectory()
                let outcome = try shell("mkdir disk && mount -t tmpfs -o size=4m none disk", in: directory.path)
                guard outcome.succeeded else { throw Mount.Failure(description: "\(outcome)") }
            }

            deinit { _ = try? shell("umount -l '\(path)'", in: "/") }
        }

        @Test(arguments: MountVariant.both) func aFullDisk(_ variant: MountVariant) throws {
            let disk = try SmallDisk()
            defer { withExtendedLifetime(disk) {} }
            let store = disk.path + "/store"
            try Mount.initialize(store: store)
            let mount = try Mount(store: store, variant)
            func status() throws -> String {
                let outcome = try run([try Mount.binary(), "status", mount.root])
                #expect(outcome.succeeded, "\(outcome)")
                return outcome.output
            }
            #expect(try status().contains("errors        none"))
            // What rules refuse, and what is not there, is no error.
            #expect(try shell("cat nothing; rmdir production; mkdir production/x", in: mount.root).status == 1)
            #expect(try status().contains("errors        none"))

            let filled = try shell(
                """
                exec 3> production/base/gene_manifest/gene_manifest.tsv; printf 'a\\n' >&3
                head -c 16M /dev/zero > development/current/scratch/large; exec 3>&-
                """,
                in: mount.root)
            #expect(filled.errors.contains("No space left on device"), "\(filled)")
            let shown = try status()
            #expect(shown.contains("ENOSPC") && shown.contains(", the last at 20"), "\(shown)")
            let json = try run([try Mount.binary(), "status", "--json", mount.root])
            #expect(
                json.output.contains(#""errors":{"total":"#) && json.output.contains(#""errno":"ENOSPC""#), "\(json)")
            #expect(mount.log.contains("a request failed") && mount.log.contains("ENOSPC"), "\(mount.log)")
            #expect(mount.log.components(of: "a request failed") <= 4, "one line a kind: \(mount.log)")
        }

        /// Forty programs wait for a disk that does not answer, and the mount goes on. The disk is another mount, whose driver is stopped.
        @Test func aDiskThatDoesNotAnswer() throws {
            let disk = try Mount()
            let mount = try Mount()
            try write("", to: mount.session("scratch/first"))
            let real = mount.real("base_layer/dev/\(mount.sessionName)/scratch")
            try #require(exists(real))
            #expect(
                try shell(
                    "mkdir '\(disk.session("scratch/disk"))' '\(real)/slow' && mount --bind '\(disk.session("scratch/disk"))' '\(real)/slow'"
                ).succeeded)
            defer { _ = try? shell("umount -l '\(real)/slow'", in: "/") }
            let files = try TemporaryDirectory()
            let callers = try Child([
                testPython, "-c",
                """
                import os, sys, threading, time
                slow, go = sys.argv[1:]
                files = [os.open(f'{slow}/{number}', os.O_RDWR | os.O_CREAT) for number in range(40)]
                for f in files: os.write(f, b'x')
                print('open', flush=True)
                while not os.path.exists(go): time.sleep(0.001)
                failed = []
                def do(number):
                    try: (os.fsync if number % 2 else os.fdatasync)(files[number])
                    except OSError as error: failed.append(error)
                threads = [threading.Thread(target=do, args=(number,)) for number in range(40)]
                for thread in threads: thread.start()
                print('asked', flush=True)
                for thread in threads: thread.join()
                print('done', failed, flush=True)
                """, mount.session("scratch/slow"), files.path + "/go",
            ])
            #expect(eventually(within: 30) { callers.output.contains("open") }, "\(callers.errors)")
            kill(disk.driver.process, SIGSTOP)
            defer { kill(disk.driver.process, SIGCONT) }
            try write("", to: files.path + "/go")
            #expect(eventually(within: 30) { callers.output.contains("asked") })
            for number in 0..<10 {
                let others = try run(
                    [
                        "bash", "-c",
                        """
                        cd "$1" && ls -l production/base production/meta development test > /dev/null && mkdir test/t\(number) &&
                        echo x > test/t\(number)/scratch/new && stat test/t\(number)/scratch/new > /dev/null &&
                        printf 'a\\tb\\n1\\t2\\n' > production/base/analysis_sequences/chr\(number).tsv
                        """, "bash", mount.root,
                    ], timeout: 20)
                try #require(others.succeeded, "\(others)")
            }
            #expect(callers.isRunning && !callers.output.contains("done"))
            kill(disk.driver.process, SIGCONT)
            #expect(callers.wait(seconds: 30))
            #expect(callers.output.contains("done []"), "\(callers.output) \(callers.errors)")
        }
    }
}

extension String {
    /// How often a text is in it.
    fileprivate func components(of text: String) -> Int { self.ranges(of: text).count }
}
