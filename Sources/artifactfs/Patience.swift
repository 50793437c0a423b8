import Glibc
import SystemCalls
import SystemPackage

/// What may wait for a driver that does not answer: `stat`, `statfs`, `open`, `readlink` and `getxattr` of a path on its mount.
///
/// Such a call waits as long as the driver is stopped, and once the driver has taken the request not even SIGKILL ends the wait. A process
/// with a thread that waits so does not end either. So another process asks, and is left alone when it says nothing in time.
struct Patience: ~Copyable {
    /// How long a driver may take to answer, in milliseconds. A mount that is alive answers within one, and a busy machine within hundreds.
    static let usual: Int64 = 5_000

    private let process: pid_t
    private let output: FileDescriptor
    /// What was found out at once, where the system has no process to give.
    private let known: [UInt8]?

    /// Starts to find something out. Only while the program has one thread.
    init(_ body: () -> [UInt8]) {
        fflush(nil)
        guard let ends = try? SystemCall.makePipe() else {
            (process, output, known) = (-1, FileDescriptor(rawValue: -1), body())
            return
        }
        let child = (try? SystemCall.fork()) ?? -1
        if child == 0 {
            // Whoever waits for the end of this program's output must not wait for this process.
            if let nothing = try? SystemCall.open(SystemCall.currentDirectory, "/dev/null", O_RDWR) {
                for descriptor in 0...2 as ClosedRange<Int32> {
                    SystemCall.duplicate(nothing, to: FileDescriptor(rawValue: descriptor))
                }
            }
            for descriptor in Paths.descriptors() where descriptor > 2 && descriptor != ends.writing.rawValue {
                SystemCall.close(FileDescriptor(rawValue: descriptor))
            }
            let isSent = (try? SystemCall.write(ends.writing, body())) != nil
            _exit(isSent ? 0 : 1)
        }
        SystemCall.close(ends.writing)
        guard child > 0 else {
            SystemCall.close(ends.reading)
            (process, output, known) = (-1, FileDescriptor(rawValue: -1), body())
            return
        }
        (process, output, known) = (child, ends.reading, nil)
    }

    /// What was found out; nil when nothing came in time.
    ///
    /// - Parameters:
    ///   - deadline: as of `now`.
    ///   - isVain: asked once when the answer takes longer than usual: whether it will not come.
    consuming func answer(until deadline: Int64, unless isVain: () -> Bool = { false }) -> [UInt8]? {
        if let known { return known }
        defer { SystemCall.close(output) }
        var bytes: [UInt8] = []
        var isAsked = false
        let soon = Self.now() + 300
        while true {
            let next = isAsked ? deadline : min(soon, deadline)
            // A signal is none of its business: the time that is left is waited for.
            guard let ready = try? SystemCall.waitToRead(output, milliseconds: { next - Self.now() }) else { break }
            if !ready, next < deadline {
                isAsked = true
                if !isVain() { continue }
            }
            guard ready else {
                // Not waited for: it may be past killing.
                kill(process, SIGKILL)
                SystemCall.collect(process)
                return nil
            }
            guard let more = try? SystemCall.bytes(output, atMost: 65_536), !more.isEmpty else { break }
            bytes += more
        }
        return (try? SystemCall.wait(for: process)) == 0 ? bytes : nil
    }

    /// Finds something out; nil when that takes longer than a driver may take.
    ///
    /// - Parameter mount: which driver would have to answer; that it is stopped is said soon.
    static func find(within time: Int64 = usual, on mount: MountEntry? = nil, _ body: () -> [UInt8]) -> [UInt8]? {
        Patience(body).answer(
            until: now() + time,
            unless: { mount.flatMap { DriverProcess.serving($0) }.map { $0.state == .stopped } ?? false })
    }

    /// A system call's errno, 0 for success; nil when it does not come back.
    static func code(
        within time: Int64 = usual, on mount: MountEntry? = nil, of call: () throws(Errno) -> Void
    ) -> Int32? {
        let answer = find(within: time, on: mount) { [UInt8(truncatingIfNeeded: number(of: call))] }
        return answer?.first.map { Int32($0) }
    }

    /// A system call's errno, 0 for success.
    static func number(of call: () throws(Errno) -> Void) -> Int32 {
        do throws(Errno) {
            try call()
            return 0
        } catch { return error.rawValue }
    }

    /// Milliseconds of a clock that only goes up.
    static func now() -> Int64 { Int64(Clock.monotonic() / 1_000_000) }
}
