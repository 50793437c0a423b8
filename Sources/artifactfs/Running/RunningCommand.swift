import ArtifactRecords
import Glibc
import SystemCalls
import SystemPackage

/// A command that is run, its output passed through and its end kept.
struct RunningCommand {
    /// How it ended.
    struct Outcome {
        /// As a shell counts it.
        var status: Int32
        /// `status` or `signal`, and what it used.
        var facts: JSONObject
        /// The last of what it said, where that is kept.
        var tail: [UInt8] = []
    }

    /// How much of its output is kept, in bytes.
    private static let mostKept = 65_536

    private var tail: [UInt8] = []
    private var pipes: [Pipe] = []
    private let process: pid_t
    /// Whether anything that it started runs on, as was seen last.
    private var hasChildren = true

    /// An output that is passed through.
    private struct Pipe {
        let end: FileDescriptor
        let to: FileDescriptor
        var isOpen = true
    }

    private init(_ process: pid_t, _ pipes: [Pipe]) { (self.process, self.pipes) = (process, pipes) }

    /// Runs it to its end.
    ///
    /// - Parameters:
    ///   - patience: for how long it is waited for what it leaves running, in milliseconds.
    ///   - started: called when it runs.
    static func run(
        _ command: [String], environment: [String: String], patience: Int, started: () -> Void
    ) -> Outcome {
        guard let signals = try? SystemCall.makeSignalFile() else {
            return failed(126, command, Errno(rawValue: errno))
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var pipes: [Pipe] = []
        var others: [FileDescriptor] = []
        // A terminal stays one: programs look, and speak otherwise to what is none.
        for number: Int32 in [1, 2] where isatty(number) == 0 {
            guard let ends = try? SystemCall.makePipe() else { continue }
            posix_spawn_file_actions_adddup2(&actions, ends.writing.rawValue, number)
            pipes.append(Pipe(end: ends.reading, to: FileDescriptor(rawValue: number)))
            others.append(ends.writing)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        // Who reads from the command may have had enough: that is told to the command.
        signal(SIGPIPE, SIG_IGN)
        var usual = sigset_t()
        sigemptyset(&usual)
        sigaddset(&usual, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &usual)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        for (name, value) in environment { setenv(name, value, 1) }
        var process: pid_t = 0
        let arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        let error = posix_spawnp(&process, command[0], &actions, &attributes, arguments, environ)
        for argument in arguments { free(argument) }
        for other in others { SystemCall.close(other) }
        guard error == 0 else {
            for pipe in pipes { SystemCall.close(pipe.end) }
            return failed(error == ENOENT ? 127 : 126, command, Errno(rawValue: error))
        }
        started()
        var running = RunningCommand(process, pipes)
        return running.finish(signals, patience)
    }

    private static func failed(_ status: Int32, _ command: [String], _ error: Errno) -> Outcome {
        Terminal.complain("cannot run \(command.first ?? ""): \(error)")
        return Outcome(
            status: status, facts: ["status": .integer(Int64(status)), "error": .string("\(error)")])
    }

    private mutating func finish(_ signals: FileDescriptor, _ patience: Int) -> Outcome {
        var ending: (status: Int32, usage: rusage)?
        while ending == nil {
            pass(orWaitFor: signals)
            while let signal = SystemCall.nextSignal(signals) {
                if signal.number == SIGCHLD {
                    ending = reap() ?? ending
                } else if signal.isSent {
                    kill(process, signal.number)
                }
            }
        }
        let end = Clock.monotonic() &+ UInt64(clamping: patience) &* 1_000_000
        while patience > 0, hasChildren, Clock.monotonic() < end {
            pass(orWaitFor: signals, until: end)
            while SystemCall.nextSignal(signals) != nil { _ = reap() }
        }
        // What it has said is there by now; what it has left running may say more, which nobody waits for.
        while pass(orWaitFor: nil) {}
        for pipe in pipes where pipe.isOpen { SystemCall.close(pipe.end) }
        SystemCall.close(signals)
        return outcome(ending?.status ?? 0, ending?.usage ?? rusage())
    }

    /// Takes note of all that have ended; those that others left behind too.
    private mutating func reap() -> (status: Int32, usage: rusage)? {
        var found: (status: Int32, usage: rusage)?
        while true {
            var status: Int32 = 0
            var usage = rusage()
            let ended = wait4(-1, &status, WNOHANG, &usage)
            guard ended > 0 else {
                hasChildren = ended == 0
                return found
            }
            if ended == process { found = (status, usage) }
        }
    }

    /// Passes on what was said.
    ///
    /// - Parameters:
    ///   - signals: waited for too; nil when nothing is waited for.
    ///   - end: until when, on the monotonic clock; nil for ever.
    /// - Returns: whether something was said.
    @discardableResult
    private mutating func pass(orWaitFor signals: FileDescriptor?, until end: UInt64? = nil) -> Bool {
        var requests = pipes.map { pipe in
            pollfd(fd: pipe.isOpen ? pipe.end.rawValue : -1, events: Int16(POLLIN), revents: 0)
        }
        if let signals { requests.append(pollfd(fd: signals.rawValue, events: Int16(POLLIN), revents: 0)) }
        let now = Clock.monotonic()
        let left = end.map { $0 > now ? Int32(clamping: ($0 - now) / 1_000_000 + 1) : 0 }
        guard poll(&requests, nfds_t(requests.count), signals == nil ? 0 : left ?? -1) > 0 else { return false }
        var hasPassed = false
        for index in pipes.indices where requests[index].revents != 0 {
            guard let bytes = try? SystemCall.bytes(pipes[index].end, atMost: 65_536), !bytes.isEmpty,
                (try? SystemCall.write(pipes[index].to, bytes)) != nil
            else {
                SystemCall.close(pipes[index].end)
                pipes[index].isOpen = false
                continue
            }
            hasPassed = true
            tail += bytes
            if tail.count > Self.mostKept * 2 { tail.removeFirst(tail.count - Self.mostKept) }
        }
        return hasPassed
    }

    private func outcome(_ status: Int32, _ usage: rusage) -> Outcome {
        func seconds(_ time: timeval) -> JSONValue { .number(Double(time.tv_sec) + Double(time.tv_usec) / 1e6) }
        let signal = status & 0x7f
        var facts: JSONObject = [:]
        if signal == 0 {
            facts["status"] = .integer(Int64(status >> 8 & 0xff))
        } else {
            facts["signal"] = .integer(Int64(signal))
        }
        facts["user_seconds"] = seconds(usage.ru_utime)
        facts["system_seconds"] = seconds(usage.ru_stime)
        facts["most_memory"] = .integer(Int64(usage.ru_maxrss) &* 1024)
        return Outcome(
            status: signal == 0 ? status >> 8 & 0xff : 128 + signal, facts: facts,
            tail: Array(tail.suffix(Self.mostKept)))
    }
}
