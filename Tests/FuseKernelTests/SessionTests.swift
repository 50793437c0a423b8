import FuseKernel
import Glibc
import Synchronization
import SystemPackage
import Testing

extension FuseKernelTests {
    /// How a mount begins and ends, and how its threads behave.
    @Suite struct SessionTests {
        private func isMounted(_ mounted: Mounted) throws -> Bool {
            try Shell.run("grep -q \"$1\" /proc/self/mounts", mounted.base).status == 0
        }

        @Test func stopWhileIdle() throws {
            let mounted = try Mounted(passthrough: true)
            #expect(try Shell.run("ls \"$1\"", mounted.point).status == 0)
            #expect(try isMounted(mounted))
            mounted.session.stop()
            #expect(mounted.waitForEnd())
            #expect(mounted.fileSystem.starts == 1)
            #expect(mounted.fileSystem.stops == 1)
            #expect(try !isMounted(mounted))
        }

        @Test func stopBeforeAnyRequest() throws {
            let mounted = try Mounted(passthrough: true)
            mounted.session.stop()
            #expect(mounted.waitForEnd())
            #expect(mounted.fileSystem.stops == 1)
            #expect(try !isMounted(mounted))
        }

        /// A loop of requests from several processes; none of them may hang when the mount goes.
        private static let load = """
            cd "$1" || exit 1
            while :; do echo x > f$$ && cat f$$ > /dev/null && rm f$$ && ls > /dev/null || exit 0; done
            """

        private func underLoad(_ mounted: Mounted, _ end: () throws -> Void) throws {
            let processes = try (0..<4).map { _ in
                try Shell.start(["/bin/sh", "-c", Self.load, "sh", mounted.point])
            }
            #expect(eventually { mounted.fileSystem.calls("open") > 20 })
            try end()
            #expect(mounted.waitForEnd())
            for process in processes { #expect(try Shell.finish(process).status <= 1) }
            #expect(mounted.fileSystem.stops == 1)
            #expect(try !isMounted(mounted))
        }

        @Test(arguments: [true, false])
        func stopUnderLoad(passthrough: Bool) throws {
            let mounted = try Mounted(passthrough: passthrough)
            try underLoad(mounted) { mounted.session.stop() }
        }

        @Test func unmountedFromOutsideUnderLoad() throws {
            let mounted = try Mounted(passthrough: true)
            try underLoad(mounted) {
                let outcome = try Shell.run("umount -l \"$1\"", mounted.point)
                #expect(outcome.status == 0, "\(outcome.output)")
                // A lazy unmount lasts until the loops have left the directory.
                #expect(try !isMounted(mounted))
                mounted.session.stop()
            }
        }

        @Test func unmountedFromOutsideWhileIdle() throws {
            let mounted = try Mounted(passthrough: true)
            #expect(try Shell.run("ls \"$1\" && umount \"$1\"", mounted.point).status == 0)
            #expect(mounted.waitForEnd())
            #expect(mounted.fileSystem.stops == 1)
        }

        /// Handlers that do not return hold up their own callers and nobody else, though they give no warning, as long as one
        /// thread is left: all but one are held, one after the other, and in between a program is served.
        @Test func slowHandlersHoldUpNobodyElse() throws {
            let held = Atomic<Int>(0)
            let mayGo = Flag()
            let workers = 6
            let mounted = try Mounted(
                passthrough: true,
                onStatistics: {
                    held.add(1, ordering: .sequentiallyConsistent)
                    _ = eventually(seconds: 100) { mayGo.isUp }
                },
                prepare: { $0.workers = workers })
            var callers: [(pid: pid_t, output: Int32)] = []
            defer {
                mayGo.set()
                for caller in callers { #expect((try? Shell.finish(caller).status) == 0) }
            }
            // Quick requests one at a time: there is no reason for a second thread to look for more.
            let script =
                "cd \"$1\" && for i in 1 2 3 4 5 6 7 8; do ls -l > /dev/null && echo $i > f && cat f || exit 1; done"
            for number in 0..<workers {
                let quick = try Shell.spawn([
                    "/usr/bin/timeout", "-s", "KILL", "10", "/bin/sh", "-c", script, "sh", mounted.point,
                ])
                try #require(quick.status == 0, "with \(number) of \(workers) threads held: \(quick)")
                guard number < workers - 1 else { break }
                callers.append(try Shell.start(["/usr/bin/stat", "-f", mounted.point]))
                try #require(
                    eventually(seconds: 10) { held.load(ordering: .sequentiallyConsistent) > number },
                    "caller \(number)")
            }
            // Or more: whoever looks at all mounts of the machine, as df(1) does, is held too.
            #expect(held.load(ordering: .sequentiallyConsistent) >= workers - 1)
        }

        /// More programs at once than threads, each with its own files: all get their own bytes.
        @Test(arguments: [true, false])
        func manyProgramsAtOnce(passthrough: Bool) throws {
            let mounted = try Mounted(passthrough: passthrough)
            let script = """
                cd "$1" || exit 1
                i=0
                while [ $i -lt 25 ]; do
                    echo "$2-$i" > "$2.$i" || exit 2
                    [ "$(cat "$2.$i")" = "$2-$i" ] || exit 3
                    mv "$2.$i" "$2.done" || exit 4
                    i=$((i + 1))
                done
                """
            let processes = try (0..<24).map {
                try Shell.start(["/bin/sh", "-c", script, "sh", mounted.point, "p\($0)"])
            }
            for process in processes {
                let outcome = try Shell.finish(process)
                #expect(outcome.status == 0, "\(outcome.output)")
            }
            #expect(eventually { mounted.fileSystem.openHandles == 0 })
        }

        @Test func mountingWhereNothingIs() throws {
            let fileSystem = try MirrorFileSystem(source: "/tmp")
            let session = try Session(
                fileSystem: fileSystem,
                options: MountOptions(mountPoint: "/tmp/fuse-kernel-no-such-directory", fileSystemName: "x"))
            do {
                try session.mount()
                Issue.record("mounted on a directory that is not there")
                session.unmount()
            } catch {
                #expect(error.description.contains("/tmp/fuse-kernel-no-such-directory"), "\(error)")
                #expect(error.errno == .noSuchFileOrDirectory, "\(error)")
            }
        }

        @Test func unknownOptions() throws {
            var options = MountOptions(mountPoint: "/tmp", fileSystemName: "x")
            options.extra = ["no_such_option=1"]
            let fileSystem = try MirrorFileSystem(source: "/tmp")
            do {
                let session = try Session(fileSystem: fileSystem, options: options)
                try session.mount()
                Issue.record("took an option that does not exist")
                session.unmount()
            } catch {
                #expect(error.description.contains("no_such_option"), "\(error)")
            }
        }
    }
}
