internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A process of this program that does something for a driver by a socket that is its standard input, and ends with it. Used by one thread at a time.
struct HelperProcess: Sendable {
    private let process: pid_t
    private let socket: FileDescriptor

    /// Nil where none can be started.
    init?(_ command: [String]) {
        guard let program = command.first else { return nil }
        guard let (own, other) = try? SystemCall.makeSockets() else { return nil }
        defer { SystemCall.close(other) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, other.rawValue, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        // The driver's threads take no signals; of those, a process that checks takes all but the ones that ask a service to end.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var blocked = sigset_t()
        sigemptyset(&blocked)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&blocked, signal) }
        posix_spawnattr_setsigmask(&attributes, &blocked)
        posix_spawnattr_setflags(&attributes, Int16(0x08))  // POSIX_SPAWN_SETSIGMASK, glibc's spawn.h
        var argv: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        var process = pid_t()
        guard posix_spawn(&process, program, &actions, &attributes, argv, environ) == 0 else {
            SystemCall.close(own)
            return nil
        }
        self.process = process
        socket = own
    }

    /// Milliseconds that only go up.
    static func now() -> Int64 { Int64(clamping: Clock.monotonic() / 1_000_000) }

    func send(_ byte: UInt8, with file: FileDescriptor) throws(Errno) {
        try SystemCall.send(byte, with: file, to: socket)
    }

    /// Sends a text after its length in eight bytes.
    func send(_ text: [UInt8]) throws(Errno) { try SystemCall.send(Self.length(text.count) + text, to: socket) }

    static func length(_ count: Int) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } }

    /// What comes after its length in eight bytes; nil when the process died, or says nothing until the deadline.
    func text(longest: UInt64, until deadline: Int64? = nil) -> [UInt8]? {
        guard let head = receive(8, until: deadline) else { return nil }
        let length = head.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= longest else { return nil }
        return receive(Int(length), until: deadline)
    }

    private func receive(_ count: Int, until deadline: Int64?) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: min(count, 65_536))
        while bytes.count < count {
            guard isReadable(until: deadline) else { return nil }
            let most = min(buffer.count, count - bytes.count)
            let got = buffer.withUnsafeMutableBytes { buffer in
                (try? SystemCall.read(socket, into: .init(rebasing: buffer[..<most]))) ?? 0
            }
            guard got > 0 else { return nil }
            bytes += buffer[..<got]
        }
        return bytes
    }

    /// Waits until there is something to read, or the end of it.
    private func isReadable(until deadline: Int64?) -> Bool {
        guard let deadline else { return true }
        return (try? SystemCall.waitToRead(socket) { deadline - Self.now() }) ?? false
    }

    /// Ends the process from another thread: who uses it sees its end.
    func kill() { Glibc.kill(process, SIGKILL) }

    /// Ends the process, unless it has ended already.
    ///
    /// - Returns: how it ended.
    func end() -> String {
        SystemCall.close(socket)
        // One that is ending keeps its status; one that does not end with its socket is not waited for.
        Glibc.kill(process, SIGKILL)
        guard let status = try? SystemCall.wait(for: process) else { return "unknown how" }
        if status & 0x7f == SIGKILL { return "without an answer" }
        return status & 0x7f == 0 ? "status \((status >> 8) & 0xff)" : "signal \(status & 0x7f)"
    }
}
