import CLinux
import FuseKernel
import Glibc
import Synchronization
import SystemPackage
import Testing

extension FuseKernelTests {
    /// Requests that take long on a user's account: a disk that does not answer holds up who waits for it, and nobody else.
    @Suite struct LongRequestTests {
        /// Many programs in one: each thread opens its file, says so, waits for the word, and does what takes long.
        private static let callers = """
            import os, sys, threading, time
            what, count, point, isPreparing = sys.argv[1], int(sys.argv[2]), sys.argv[3], len(sys.argv) > 4
            os.chdir(point)
            failed = []
            def do(number):
                try:
                    f = os.open(f'held{number}', os.O_RDWR | os.O_CREAT, 0o644)
                    if isPreparing: os.write(f, b'x')
                    os.makedirs(f'in{number}', exist_ok=True)
                    directory = os.open(f'in{number}', os.O_RDONLY)
                    begun.wait()
                    if what == 'fsync': os.fsync(f)
                    elif what == 'fallocate': os.posix_fallocate(f, 0, 10)
                    elif what == 'copyRange': assert os.copy_file_range(f, f, 1, 0, 1) == 1
                    elif what == 'read': os.lseek(f, 0, 0); assert os.read(f, 1) == b'x'
                    elif what == 'write': assert os.write(f, b'xy') == 2
                    elif what == 'flush': os.close(f)
                    elif what == 'fsyncdir': os.fsync(directory)
                except BaseException as error: failed.append(error); begun.abort()
            begun = threading.Barrier(count)
            threads = [threading.Thread(target=do, args=(number,)) for number in range(count)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            # The end of a process closes what is left; that takes long as well.
            print(failed)
            sys.exit(1 if failed else 0)
            """

        private final class Gate: Sendable {
            let held = Atomic<Int>(0)
            let isClosed = Flag()
            let isOpen = Flag()

            func wait() {
                guard isClosed.isUp else { return }
                held.add(1, ordering: .sequentiallyConsistent)
                _ = eventually(seconds: 100) { isOpen.isUp }
            }
        }

        /// Forty at a time, with six threads for requests.
        @Test(arguments: ["fsync", "fallocate", "copyRange", "flush", "fsyncdir", "read", "write"])
        func nobodyElseWaits(what: String) throws {
            let gate = Gate()
            let isTransfer = what == "read" || what == "write"
            let mounted = try Mounted(
                passthrough: !isTransfer, onLong: { if $0 == what { gate.wait() } }, prepare: { $0.workers = 6 })
            // One copy by itself: of a newer request that libfuse does not know the first answer decides, and when it comes to many at once
            // the kernel asks for the older one no more.
            for (what, count) in [("copyRange", "1"), ("nothing", "40")] {
                let prepared = try Shell.python(Self.callers, what, count, mounted.point, "prepare")
                #expect(prepared.status == 0, "\(prepared)")
            }
            gate.isClosed.set()
            let callers = try Shell.start(["/usr/bin/python3", "-c", Self.callers, what, "40", mounted.point])
            defer { gate.isOpen.set() }
            // Half of the threads there are for it; of a transfer half of the usual ones as well.
            let most = what == "flush" ? 2 : isTransfer ? 3 + 8 : 8
            #expect(eventually { gate.held.load(ordering: .sequentiallyConsistent) == most }, "one user has half")
            let script = """
                cd "$1" && for i in 1 2 3 4 5 6 7 8; do
                    mkdir d$i && echo $i > d$i/new && ls -l . d$i > /dev/null && stat d$i/new > /dev/null || exit 1
                done
                """
            if what != "flush", !isTransfer {
                let quick = try Shell.spawn([
                    "/usr/bin/timeout", "-s", "KILL", "20", "/bin/sh", "-c", script, "sh", mounted.point,
                ])
                #expect(quick.status == 0, "\(quick)")
            } else {
                // Whoever writes is held up as well; who only looks is not.
                let quick = try Shell.spawn([
                    "/usr/bin/timeout", "-s", "KILL", "20", "/bin/sh", "-c",
                    "cd \"$1\" && for i in 1 2 3 4 5 6 7 8; do mkdir d$i && stat d$i held$i && rmdir d$i || exit 1; done",
                    "sh", mounted.point,
                ])
                #expect(quick.status == 0, "\(quick)")
            }
            #expect(gate.held.load(ordering: .sequentiallyConsistent) == most, "the others wait their turn")
            gate.isOpen.set()
            let outcome = try Shell.finish(callers)
            #expect(outcome.status == 0, "\(outcome.output)")
            #expect(gate.held.load(ordering: .sequentiallyConsistent) >= 40)
        }

        /// A program that is killed while it waits goes when its request is answered, and the mount stays as it was.
        @Test func interruptedCallers() throws {
            let gate = Gate()
            let mounted = try Mounted(passthrough: true, onLong: { if $0 == "fsync" { gate.wait() } })
            gate.isClosed.set()
            let callers = try Shell.start(["/usr/bin/python3", "-c", Self.callers, "fsync", "20", mounted.point])
            defer { gate.isOpen.set() }
            #expect(eventually { gate.held.load(ordering: .sequentiallyConsistent) == 8 })
            kill(callers.pid, SIGKILL)
            #expect(try Shell.run("ls \"$1\"", mounted.point).status == 0)
            gate.isOpen.set()
            #expect(try Shell.finish(callers).status == 128 + SIGKILL)
            #expect(eventually { mounted.fileSystem.openHandles == 0 }, "every file is closed")
            #expect(try Shell.run("ls \"$1\"", mounted.point).status == 0)
        }

        /// The mount ends while many wait: what is under way is done first, and everybody gets an answer.
        @Test func theEndOfTheMount() throws {
            let gate = Gate()
            let mounted = try Mounted(passthrough: true, onLong: { if $0 == "fsync" { gate.wait() } })
            gate.isClosed.set()
            let callers = try Shell.start(["/usr/bin/python3", "-c", Self.callers, "fsync", "40", mounted.point])
            defer { gate.isOpen.set() }
            #expect(eventually { gate.held.load(ordering: .sequentiallyConsistent) == 8 })
            mounted.session.stop()
            #expect(mounted.fileSystem.stops == 0)
            gate.isOpen.set()
            #expect(mounted.waitForEnd())
            let outcome = try Shell.finish(callers)
            #expect(outcome.status <= 1, "\(outcome)")
            #expect(mounted.fileSystem.stops == 1)
        }
    }

    /// What fails without a rule is counted, by errno and by what was asked for; ordinary answers are not.
    @Suite struct FailureTests {
        @Test func troublesAreCounted() throws {
            let mounted = try Mounted(passthrough: true)
            // 4096 is no errno: the program gets EIO.
            for number in [EIO, ENOSPC, ENOSPC, ENOSPC, EROFS, 4096, ENOENT, EACCES, EEXIST, ESTALE, EINVAL] {
                #expect(try Shell.run("stat \"$1/throws-$2\"", mounted.point, "\(number)").status == 1)
            }
            let summary = try #require(mounted.fileSystem.connection?.failureSummary)
            #expect(
                summary.counts.map { "\($0.errno) \($0.operation) \($0.count)" } == [
                    "ENOSPC lookup 3", "EIO lookup 2", "EROFS lookup 1",
                ])
            #expect(summary.last != nil)
        }
    }
}
