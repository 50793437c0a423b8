import CLinux
import Glibc

/// What may wait for a driver that does not answer: `stat`, `statfs`, `open`, `readlink` and `getxattr` of a path on its mount.
///
/// Such a call waits as long as the driver is stopped, and once the driver has taken the request not even SIGKILL ends the wait. A process
/// with a thread that waits so does not end either. So another process asks, and is left alone when it says nothing in time.
struct Patience: ~Copyable {
    /// How long a driver may take to answer, in milliseconds. A mount that is alive answers within one, and a busy machine within hundreds.
    static let usual: Int64 = 5_000

    private let process: pid_t
    private let output: Int32
    /// What was found out at once, where the system has no process to give.
    private let known: [UInt8]?

    /// Starts to find something out. Only while the program has one thread.
    init(_ body: () -> [UInt8]) {
        var ends: [Int32] = [-1, -1]
        fflush(nil)
        guard pipe(&ends) == 0 else {
            (process, output, known) = (-1, -1, body())
            return
        }
        let child = clinux_fork()
        if child == 0 {
            // Whoever waits for the end of this program's output must not wait for this process.
            let nothing = open("/dev/null", O_RDWR)
            for descriptor in 0...2 as ClosedRange<Int32> where nothing >= 0 { dup2(nothing, descriptor) }
            for descriptor in Paths.descriptors() where descriptor > 2 && descriptor != ends[1] { close(descriptor) }
            let answer = body()
            var sent = 0
            while sent < answer.count {
                let count = answer[sent...].withUnsafeBytes { write(ends[1], $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                sent += count
            }
            _exit(sent == answer.count ? 0 : 1)
        }
        close(ends[1])
        guard child > 0 else {
            close(ends[0])
            (process, output, known) = (-1, -1, body())
            return
        }
        _ = clinux_fcntl_int(ends[0], F_SETFD, FD_CLOEXEC)
        (process, output, known) = (child, ends[0], nil)
    }

    /// What was found out; nil when nothing came in time.
    ///
    /// - Parameters:
    ///   - deadline: as of `now`.
    ///   - isVain: asked once when the answer takes longer than usual: whether it will not come.
    consuming func answer(until deadline: Int64, unless isVain: () -> Bool = { false }) -> [UInt8]? {
        if let known { return known }
        defer { close(output) }
        var bytes: [UInt8] = []
        var isAsked = false
        let soon = Self.now() + 300
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            var poll = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            let next = isAsked ? deadline : min(soon, deadline)
            let ready = Glibc.poll(&poll, 1, Int32(clamping: max(0, next - Self.now())))
            if ready < 0, errno == EINTR { continue }
            if ready == 0, next < deadline {
                isAsked = true
                if !isVain() { continue }
            }
            guard ready > 0 else {
                // Not waited for: it may be past killing.
                kill(process, SIGKILL)
                waitpid(process, nil, WNOHANG)
                return nil
            }
            let count = read(output, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status == 0 ? bytes : nil
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
    static func code(within time: Int64 = usual, on mount: MountEntry? = nil, of call: () -> Int32) -> Int32? {
        let answer = find(within: time, on: mount) { call() == 0 ? [0] : [UInt8(truncatingIfNeeded: errno)] }
        return answer?.first.map { Int32($0) }
    }

    /// Milliseconds of a clock that only goes up.
    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
