public import ArtifactFormats
internal import ArtifactRecords
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// The processes in which a driver lets checks run that could trap. A process is started with the first file that needs one, answers
/// for one file at a time, and is kept for the next.
///
/// A process that dies with a file is started anew for one more try, since it may have been ended from outside; when that dies as
/// well, the file is refused. A quick check, for which somebody waits, has a deadline: then its process is ended, and nothing is known.
public final class CheckProcesses: Sendable {
    private struct State {
        /// Program and arguments; empty as long as checks run where they are asked for.
        var command: [String] = []
        var idle: [CheckProcess] = []
    }

    /// So many are kept without work.
    private static let most = 2
    /// A leaf in the order of locks; nothing is waited for under it.
    private let state = Lock(State())

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

    /// What a check says of a whole file, from a process of its own.
    ///
    /// - Returns: nil for a check that needs none, and where there is none to be had.
    func answer(of check: FormatCheck, _ file: FileDescriptor) -> CheckAnswer? {
        guard check.isIntricate, let place = CheckService.place(of: check) else { return nil }
        switch ask(place, file, until: nil) {
        case nil, .late?: return nil
        case .died(let ending)?: return .refused(Self.reason(ending))
        case .answered(let answer)?: return answer
        }
    }

    /// What a quick check says of a file, from a process of its own; for who waits for it, and so bounded.
    ///
    /// - Parameter time: in milliseconds; after that the process is ended.
    /// - Returns: nil for a check that needs none, and where there is none to be had.
    public func quickAnswer(
        of check: FormatCheck, _ file: FileDescriptor, within time: Int64 = CheckProcesses.longestQuickCheck
    ) -> QuickAnswer? {
        guard check.isIntricate, let place = CheckService.place(of: check) else { return nil }
        switch ask(place | CheckService.quick, file, until: CheckProcess.now() + time) {
        case nil: return nil
        case .died(let ending)?: return .refused(Self.reason(ending))
        case .late?: return .unknown
        case .answered(.refused(let reason))?: return .refused(reason)
        case .answered(.unreadable(let errno))?: return .unreadable(errno)
        case .answered(.passed)?: return .fits
        }
    }

    /// What a whole check says of a file, for who waits for it: from a process of its own where it needs one and one is to be had.
    ///
    /// - Parameter time: in milliseconds; after that the process is ended.
    public func contents(
        of check: FormatCheck, _ file: FileDescriptor, within time: Int64 = CheckProcesses.longestCheckAtClose
    ) -> ContentsAnswer {
        guard check.isIntricate, let place = CheckService.place(of: check) else {
            return ContentsAnswer(CheckAnswer(of: check, file), of: check)
        }
        switch ask(place, file, until: CheckProcess.now() + time) {
        case nil: return ContentsAnswer(CheckAnswer(of: check, file), of: check)
        case .died(let ending)?: return .refused(Self.reason(ending))
        case .late?: return .unknown
        case .answered(let answer)?: return ContentsAnswer(answer, of: check)
        }
    }

    /// In milliseconds: at a close that takes so long, publishing is left to judge.
    public static let longestCheckAtClose: Int64 = 60_000

    /// A few hundred KiB are read: what takes longer than this many milliseconds is stuck, or the machine is.
    public static let longestQuickCheck: Int64 = 5_000

    private static func reason(_ ending: String) -> String {
        "its check ends the process that it runs in (\(ending)): its content is damaged in an uncommon way"
    }

    private enum Outcome {
        case answered(CheckAnswer)
        /// Twice, and how.
        case died(String)
        /// There was no answer in time.
        case late
    }

    /// - Parameter deadline: on `CheckProcess.now()`.
    private func ask(_ request: UInt8, _ file: FileDescriptor, until deadline: Int64?) -> Outcome? {
        var ending: String?
        for attempt in 0..<2 {
            // One that waited for work may have been ended from outside meanwhile.
            guard let process = take(fresh: attempt > 0) else { break }
            if let answer = process.answer(request, file, until: deadline) {
                giveBack(process)
                return .answered(answer)
            }
            let isLate = deadline.map { CheckProcess.now() >= $0 } ?? false
            ending = process.end()
            if isLate { return .late }
        }
        return ending.map { .died($0) }
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
    private let socket: FileDescriptor

    /// An answer has columns and their types, of which a record takes 1 MiB.
    private static let longestAnswer: UInt64 = 64 << 20

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

    /// Nil when the process died, says what no check says, or nothing until the deadline.
    func answer(_ request: UInt8, _ file: FileDescriptor, until deadline: Int64?) -> CheckAnswer? {
        do throws(Errno) { try SystemCall.send(request, with: file, to: socket) } catch { return nil }
        guard let head = receive(8, until: deadline) else { return nil }
        let length = head.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= Self.longestAnswer, let text = receive(Int(length), until: deadline) else { return nil }
        return JSONValue(parsing: text).flatMap { CheckAnswer($0) }
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

    /// Ends the process, unless it has ended already.
    ///
    /// - Returns: how it ended.
    func end() -> String {
        SystemCall.close(socket)
        // One that is ending keeps its status; one that does not end with its socket is not waited for.
        kill(process, SIGKILL)
        guard let status = try? SystemCall.wait(for: process) else { return "unknown how" }
        if status & 0x7f == SIGKILL { return "without an answer" }
        return status & 0x7f == 0 ? "status \((status >> 8) & 0xff)" : "signal \(status & 0x7f)"
    }
}
