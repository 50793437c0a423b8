internal import ArtifactFormats
internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// The processes in which a driver lets checks run that could trap. A process is started with the first file that needs one, answers
/// for one file at a time, and is kept for the next.
///
/// A process that dies with a file is started anew for one more try, since it may have been ended from outside; when that dies as
/// well, the file is refused.
public final class CheckProcesses: Sendable {
    private struct State {
        /// Program and arguments; empty as long as checks run where they are asked for.
        var command: [String] = []
        var idle: [CheckProcess] = []
    }

    /// So many are kept without work.
    private static let most = 2
    /// A leaf in the order of locks; nothing is waited for under it.
    private let state = Mutex(State())

    init() {}

    deinit { end() }

    /// From now on checks run in processes.
    ///
    /// - Parameter command: a program and its arguments; it calls ``CheckService/serve(socket:)`` with its standard input.
    public func start(by command: [String]) { state.withLock { $0.command = command } }

    /// Ends the processes that have no work.
    public func end() {
        let idle = state.withLock { state in
            defer { state.idle = [] }
            return state.idle
        }
        for process in idle { _ = process.end() }
    }

    /// What a check says of a file, from a process of its own.
    ///
    /// - Returns: nil for a check that needs none, and where there is none to be had.
    func answer(of check: FormatCheck, _ file: FileDescriptor) -> CheckAnswer? {
        guard check.isIntricate, let place = FormatCheck.allCases.firstIndex(of: check) else { return nil }
        var ending: String?
        for attempt in 0..<2 {
            // One that waited for work may have been ended from outside meanwhile.
            guard let process = take(fresh: attempt > 0) else { break }
            if let answer = process.answer(UInt8(truncatingIfNeeded: place), file) {
                giveBack(process)
                return answer
            }
            ending = process.end()
        }
        return ending.map {
            .refused("its check ends the process that it runs in (\($0)): its content is damaged in an uncommon way")
        }
    }

    private func take(fresh: Bool) -> CheckProcess? {
        let (known, command) = state.withLock { (fresh ? nil : $0.idle.popLast(), $0.command) }
        return known ?? CheckProcess(command)
    }

    private func giveBack(_ process: CheckProcess) {
        let isKept = state.withLock { state in
            guard state.idle.count < Self.most else { return false }
            state.idle.append(process)
            return true
        }
        if !isKept { _ = process.end() }
    }
}

/// One such process. Used by one thread at a time.
private struct CheckProcess: Sendable {
    private let process: pid_t
    private let socket: Int32

    /// An answer has columns and their types, of which a record takes 1 MiB.
    private static let longestAnswer: UInt64 = 64 << 20

    /// Nil where none can be started.
    init?(_ command: [String]) {
        guard let program = command.first else { return nil }
        var ends: [Int32] = [-1, -1]
        guard clinux_socketpair(&ends) == 0 else { return nil }
        defer { Glibc.close(ends[1]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 0)
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
            Glibc.close(ends[0])
            return nil
        }
        self.process = process
        socket = ends[0]
    }

    /// Nil when the process died, or says what no check says.
    func answer(_ check: UInt8, _ file: FileDescriptor) -> CheckAnswer? {
        var check = check
        while clinux_send_descriptor(socket, file.rawValue, &check, 1) != 1 {
            guard errno == EINTR else { return nil }
        }
        guard let head = receive(8) else { return nil }
        let length = head.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= Self.longestAnswer, let text = receive(Int(length)) else { return nil }
        return JSONValue(parsing: text).flatMap { CheckAnswer($0) }
    }

    private func receive(_ count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: min(count, 65_536))
        while bytes.count < count {
            let got = Glibc.read(socket, &buffer, min(buffer.count, count - bytes.count))
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { return nil }
            bytes += buffer[..<got]
        }
        return bytes
    }

    /// Ends the process, unless it has ended already.
    ///
    /// - Returns: how it ended.
    func end() -> String {
        Glibc.close(socket)
        var status: Int32 = 0
        // One that is ending keeps its status; one that does not end with its socket is not waited for.
        kill(process, SIGKILL)
        while waitpid(process, &status, 0) != process {
            guard errno == EINTR else { return "unknown how" }
        }
        if status & 0x7f == SIGKILL { return "without an answer" }
        return status & 0x7f == 0 ? "status \((status >> 8) & 0xff)" : "signal \(status & 0x7f)"
    }
}
