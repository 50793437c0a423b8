import Glibc
import TestSupport
import Testing

extension MountedTests {
    @Suite struct IdleTests {
        /// How often the driver's threads have gone to sleep, in all: each time somebody had woken them, or a clock had.
        private func wakes(_ mount: Mount) throws -> Int {
            let tasks = "/proc/\(mount.driver.process)/task"
            return try names(in: tasks).reduce(0) { sum, thread in
                let status = (try? contents("\(tasks)/\(thread)/status")) ?? ""
                let line = status.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches:") }
                return sum + (line?.split(separator: "\t").last.flatMap { Int($0) } ?? 0)
            }
        }

        /// One quiet second of many shows that nothing ticks: after the last request a while of watching is allowed, and somebody on the
        /// machine may look at all mounts (df), or mount something, as the tests beside this one do.
        private func sleeps(_ mount: Mount) throws {
            #expect(try wakes(mount) > 8, "the numbers count")
            var quietest = Int.max
            for _ in 0..<60 where quietest > 0 {
                usleep(200_000)
                let before = try wakes(mount)
                usleep(1_000_000)
                // Less than before: a thread has ended.
                quietest = min(quietest, abs(try wakes(mount) - before))
            }
            #expect(quietest == 0, "the driver's threads woke \(quietest) times in an idle second")
        }

        /// An idle mount costs no processor time: nobody polls, nothing ticks.
        @Test(arguments: MountVariant.both) func anIdleMountSleeps(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let outcome = try shell(
                "for i in $(seq 8); do printf 'a\\n1\\n' > production/base/splice_errors/chr$i.tsv; ls -R > /dev/null; done",
                in: mount.root)
            #expect(outcome.succeeded && mount.settle(), "\(outcome)")
            try sleeps(mount)
        }

        /// Also one that is told what is opened on a file system, as long as nothing is.
        @Test(.enabled(if: geteuid() == 0, "only root observes")) func anIdleObservingMountSleeps() throws {
            let directory = try TemporaryDirectory()
            let outcome = try shell(
                "mkdir d && mount -t tmpfs -o size=1m none d && echo a > d/ref.fa", in: directory.path)
            #expect(outcome.succeeded, "\(outcome)")
            defer { umount2(directory.path + "/d", Int32(MNT_DETACH)) }
            let mount = try Mount(MountVariant(options: "observe=\(directory.path)/d"))
            for number in 1...8 {
                let file = mount.production("base/splice_errors/chr\(number).tsv")
                #expect(try shell("cat \(directory.path)/d/ref.fa > \(file)").succeeded)
            }
            #expect(mount.settle())
            try sleeps(mount)
        }

        /// Also one that watches for what others change.
        @Test func anIdleReadOnlyMountSleeps() throws {
            let writing = try Mount()
            try write("a\n1\n", to: writing.production("base/splice_errors/chr1.tsv"))
            #expect(writing.settle())
            let mount = try Mount(store: writing.store, MountVariant(readOnly: true))
            for number in 2...9 {
                #expect(try shell("cat production/base/splice_errors/*; ls -R", in: mount.root).succeeded)
                try write("a\n1\n", to: writing.production("base/splice_errors/chr\(number).tsv"))
                #expect(writing.settle())
            }
            #expect(
                eventually { (try? shell("ls production/base/splice_errors | wc -l", in: mount.root).output) == "9\n" })
            try sleeps(mount)
        }
    }
}
