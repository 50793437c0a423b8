import Glibc
import SystemPackage
import TestSupport
import Testing

/// While requests come one after the other, idle processors are kept awake; and not longer.
extension MountedTests {
    @Suite(.enabled(if: Wakeful.isPossible, "needs root and /dev/cpu_dma_latency, to keep processors awake"))
    struct WakefulTests {
        @Test func processorsAreAwakeForTheTimeOfABurst() throws {
            let mount = try Mount()
            #expect(Wakeful.asks(mount.driver))
            let missing = mount.production("base/analysis_sequences/missing.tsv")
            var least = Int32.max
            for _ in 0..<200 {
                for _ in 0..<50 { _ = answer { () throws(Errno) in _ = try attributes(missing) } }
                least = min(least, try Wakeful.latency())
                if least <= 5 { break }
            }
            #expect(least <= 5, "never asked for: idle processors may take \(least) µs to wake")
            // Other tests' mounts have bursts too.
            #expect(try eventually(within: 20) { try Wakeful.latency() > 1_000_000 }, "asked for without an end")
        }

        @Test func withPowersaveTheyAreLeftAlone() throws {
            let mount = try Mount(MountVariant(options: "powersave"))
            #expect(!Wakeful.asks(mount.driver))
        }

        @Test func noRequestOutlivesItsDriver() throws {
            let mount = try Mount()
            #expect(Wakeful.asks(mount.driver))
            let missing = mount.production("base/analysis_sequences/missing.tsv")
            for _ in 0..<500 { _ = answer { () throws(Errno) in _ = try attributes(missing) } }
            mount.kill()
            #expect(try eventually(within: 20) { try Wakeful.latency() > 1_000_000 }, "it stays asked for")
        }
    }
}

/// What the kernel says of processors' sleep.
private enum Wakeful {
    static let device = "/dev/cpu_dma_latency"

    static var isPossible: Bool {
        let driver = (try? contents("/sys/devices/system/cpu/cpuidle/current_driver")) ?? ""
        guard access(device, W_OK) == 0, getuid() == 0, sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 else { return false }
        return sysconf(Int32(_SC_NPROCESSORS_ONLN)) <= 16 || !(driver.isEmpty || driver.hasPrefix("haltpoll"))
    }

    /// How long idle processors may take to wake, in microseconds, as all who asked agree: what a read gives (pm_qos_interface.rst).
    static func latency() throws -> Int32 {
        let file = try openFile(device, O_RDONLY)
        defer { try? closeFile(file) }
        var value: Int32 = -1
        guard read(file, &value, 4) == 4 else { throw Errno(rawValue: errno) }
        return value
    }

    static func asks(_ driver: Child) -> Bool {
        let descriptors = (try? run(["ls", "-l", "/proc/\(driver.process)/fd"]).output) ?? ""
        return descriptors.contains(device)
    }
}
