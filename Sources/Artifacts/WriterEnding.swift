/// How a process that wrote a file is doing, or how it ended.
public enum WriterEnding: Sendable, Hashable {
    /// It lives.
    case running
    /// Whether it lives, or how it ended, cannot be seen. Never taken for a good end.
    case unknown
    /// It exited with status 0.
    case succeeded
    /// It exited with a failure status.
    case failed(status: Int32)
    /// A signal ended it.
    case killed(signal: Int32)

    /// As wait(2) tells it.
    public init(exitCode code: UInt64) {
        let signal = Int32(code & 0x7f)
        let status = Int32((code >> 8) & 0xff)
        self = signal != 0 ? .killed(signal: signal) : status == 0 ? .succeeded : .failed(status: status)
    }
}

/// What one process has to do with a file, and how it is doing.
public struct WriterFact: Sendable, Hashable {
    /// What it has to do with the file.
    public enum Role: Sendable, Hashable {
        /// It opened the file to write, or gave it its name.
        case writer
        /// What it writes goes to a writer through pipes.
        case upstream
        /// It made the process that opened the file, which was no program of its own yet: a shell that opens `> file` for a command.
        case shell
    }

    /// What it has to do with the file.
    public var role: Role
    /// How it is doing.
    public var ending: WriterEnding
    /// Its program, as `/proc/PID/comm` has it (15 bytes at most); empty when it is not known.
    public var program: String
    /// Its process id, 0 when it is not known.
    public var process: Int32
    /// Whether it ended with the file open, so that its last bytes may be missing.
    public var heldOpen: Bool

    /// A fact.
    public init(
        role: Role = .writer, ending: WriterEnding, program: String = "", process: Int32 = 0, heldOpen: Bool = false
    ) {
        self.role = role
        self.ending = ending
        self.program = program
        self.process = process
        self.heldOpen = heldOpen
    }
}

/// Exit statuses that mean no failure, by program.
public struct BenignExits: Sendable, Hashable {
    /// Statuses by program name.
    public var byProgram: [String: Set<Int32>]

    /// A table.
    public init(byProgram: [String: Set<Int32>]) { self.byProgram = byProgram }

    /// What a shell says of a program that SIGPIPE ended: its reader had enough.
    static let pipe: Int32 = 128 + 13

    /// A search that finds nothing, and a comparison that finds differences, end with 1.
    public static let builtIn = BenignExits(
        byProgram: Dictionary(
            uniqueKeysWithValues: [
                "ack", "ag", "bzgrep", "cmp", "colordiff", "diff", "diff3", "egrep", "fgrep", "grep", "pcre2grep",
                "pcregrep", "rg", "sdiff", "xzgrep", "zcmp", "zdiff", "zegrep", "zfgrep", "zgrep", "zstdgrep",
            ].map { ($0, [1]) }))

    /// Whether a program's status means no failure.
    public func contains(_ status: Int32, of program: String) -> Bool {
        status == Self.pipe || byProgram[program]?.contains(status) ?? false
    }
}

/// What becomes of a file that its writers have closed (SEMANTICS 2.2).
public enum Settlement: Sendable, Hashable {
    /// It is not known yet.
    case waits
    /// It is published. `unknown`: how some writer ended could not be seen.
    case publishes(endingIsUnknown: Bool)
    /// It is kept in quarantine; the reason is a sentence's end.
    case keepsBack(reason: String)

    /// Judges a file by those who had to do with it.
    ///
    /// - Parameters:
    ///   - facts: of everyone who opened it to write, named it, or wrote to one of these through pipes.
    ///   - isOver: whether it has waited for as long as it may.
    public static func judge(_ facts: [WriterFact], _ benign: BenignExits, isOver: Bool) -> Settlement {
        for fact in facts where !passesOn(fact, of: facts, benign) {
            if let reason = reason(fact, benign) { return .keepsBack(reason: reason) }
        }
        let isUnknown = facts.isEmpty || facts.contains { $0.ending == .unknown }
        let isRunning = facts.contains { $0.ending == .running }
        if !isUnknown && !isRunning { return .publishes(endingIsUnknown: false) }
        return isOver ? .publishes(endingIsUnknown: isUnknown) : .waits
    }

    /// Whether a shell ends with the status of a command of its own that means no failure of that: of grep, that nothing was found.
    private static func passesOn(_ fact: WriterFact, of facts: [WriterFact], _ benign: BenignExits) -> Bool {
        guard fact.role == .shell, case .failed(let status) = fact.ending else { return false }
        return facts.contains {
            $0.role == .writer && $0.ending == .failed(status: status) && benign.contains(status, of: $0.program)
        }
    }

    /// Why nothing is published that a process had to do with; nil when it gives no reason.
    public static func reason(_ fact: WriterFact, _ benign: BenignExits) -> String? {
        let what: String
        switch fact.ending {
        case .running, .unknown, .succeeded: return nil
        case .failed(let status):
            if benign.contains(status, of: fact.program) { return nil }
            what = "ended with status \(status)"
        case .killed(let signal):
            // A reader that has read enough ends who writes to it: nothing is missing then.
            if fact.role == .upstream, signal == sigpipe { return nil }
            what = "was killed by signal \(signal)"
        }
        let process =
            fact.process > 0
            ? (fact.program.isEmpty ? "process \(fact.process)" : "\(fact.program), process \(fact.process)")
            : fact.program
        let who = process.isEmpty ? "" : " (\(process))"
        switch fact.role {
        case .writer: return "the writer\(who) \(what)" + (fact.heldOpen ? " while it held the file open" : "")
        case .upstream: return "a program whose output was written to it through a pipe\(who) \(what)"
        case .shell: return "the shell that opened it for the writer\(who) \(what)"
        }
    }

    static let sigpipe: Int32 = 13
}
