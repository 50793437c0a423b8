internal import Glibc
internal import SystemCalls

/// A point in time, fine enough to tell what a process did before it made another one from what it did afterwards.
struct Moment: Sendable, Hashable {
    /// In nanoseconds since the machine's start (`CLOCK_BOOTTIME`), which is how the beginnings of processes are told.
    let time: UInt64
    /// The number of the process that was made last, on the whole machine; 0 when that is not shown.
    let lastProcess: Int32

    /// Whether it was before a process was made; nil when that cannot be told.
    ///
    /// - Parameters:
    ///   - start: when that was, in ticks since the machine's start.
    ///   - process: its number. Numbers are given one after the other, from the beginning again after the last.
    func isBefore(start: UInt64, of process: Int32) -> Bool? {
        let tick = time / Self.tick
        if tick != start { return tick < start }
        guard lastProcess > 0 else { return nil }
        let distance = Int(process) - Int(lastProcess)
        // Within one tick few are made, of thousands of numbers.
        if abs(distance) < Self.manyProcesses { return distance > 0 }
        return distance < 0
    }

    /// Whether what began in a tick may be what began at a time.
    static func isSame(_ start: UInt64, _ time: UInt64) -> Bool {
        let began = time / tick
        return began &- min(began, start) <= 1 && start &- min(began, start) <= 1
    }

    /// The same, or a time before it.
    func no(later time: UInt64) -> Moment { time < self.time ? Moment(time: time, lastProcess: lastProcess) : self }

    /// When a tick began, as ``time`` has it.
    static func time(ofTick number: UInt64) -> UInt64 { number &* tick }

    /// In nanoseconds.
    private static let tick = UInt64(1_000_000_000 / max(1, sysconf(Int32(_SC_CLK_TCK))))
    private static let manyProcesses = 16_384
}

/// Tells moments. One read of a file that stays open.
final class MomentSource: Sendable {
    /// `ns_last_pid` (kernel/pid_namespace.c, with `CONFIG_CHECKPOINT_RESTORE`): of the driver's pid namespace, in which requests name processes.
    private let lastProcess = try? SystemCall.open(
        SystemCall.currentDirectory, "/proc/sys/kernel/ns_last_pid", O_RDONLY)

    deinit { if let lastProcess { SystemCall.close(lastProcess) } }

    var now: Moment {
        var last: Int32 = 0
        if let lastProcess {
            withUnsafeTemporaryAllocation(byteCount: 16, alignment: 1) { buffer in
                guard let count = try? SystemCall.read(lastProcess, at: 0, into: buffer) else { return }
                for byte in buffer[..<count] {
                    guard byte &- UInt8(ascii: "0") < 10 else { break }
                    last = last &* 10 &+ Int32(byte &- UInt8(ascii: "0"))
                }
            }
        }
        return Moment(time: Clock.sinceBoot(), lastProcess: last)
    }
}
