package import Artifacts
package import SystemCalls

/// What is asked about the processes of who uses the mount. The kernel answers (`LinuxProcesses`); a test plays it.
///
/// Processes are named by the thread id that came with a request: 0, which is no process, from another pid namespace. What cannot be seen is
/// nil or `unknown`, never "running".
package protocol ProcessObserver: Sendable {
    /// Whether it is seen at once how every user's processes end.
    var seesAllEndings: Bool { get }

    /// How a thread that closes a file is doing at this moment, and what it runs.
    func look(at thread: Int32) -> ProcessSight

    /// The name of the program that a thread runs; empty when it is gone.
    func program(ofThread thread: Int32) -> String

    /// Whether two threads belong to one process; nil when that cannot be seen.
    func isSameProcess(_ one: Int32, _ other: Int32) -> Bool?

    /// How many bytes a thread's process has written so far, to whatever it was; nil when that cannot be seen.
    func bytesWritten(byThread thread: Int32) -> UInt64?

    /// The further groups of a thread; nil when they cannot be seen.
    func groups(ofThread thread: Int32) -> [UInt32]?

    /// A thread's process, to be followed to its end; nil when it is gone already, or in another pid namespace.
    func watch(_ thread: Int32) -> (any WatchedProcess)?

    /// The processes whose output a process reads through pipes, directly or over others, as far as they are in its pipeline: children of
    /// its parent, and theirs.
    func upstream(of process: any WatchedProcess) -> Upstream

    /// The leader of a process's group: a script for what it runs, and each command itself at an interactive shell (setpgid(2)); nil when it
    /// is that process, has ended, or cannot be seen.
    func leader(of process: any WatchedProcess) -> (any WatchedProcess)?

    /// The process that made this one, while this one has not become a program of its own yet (execve(2)): the shell that opens a file for
    /// a command that it is about to run. Nil when it has, and when the two are in different process groups.
    func shell(of process: any WatchedProcess) -> (any WatchedProcess)?

    /// Sees what a process is that opens something to write, and of which job, so that it is known when the process is gone
    /// (``WatchedProcess/facts``).
    ///
    /// What `/proc` says may have to wait for the process; that is waited for a moment only.
    func observeOpening(_ process: any WatchedProcess)

    /// The same of a process that closes what it has written: it may have become another program since it was observed, and be no more in a moment.
    ///
    /// - Parameters:
    ///   - name: what it is called by now.
    ///   - mayBeLater: whether more closes of the same may follow.
    func observeClosing(_ process: any WatchedProcess, as name: String, mayBeLater: Bool)

    /// A thread opens a file to read, and waits for our answer.
    ///
    /// - Parameter file: called when it is new to its process.
    /// - Returns: a number, when it is to be told that the handle is closed (``closed(_:)``).
    func opens(_ identity: FileIdentity, by thread: Int32, _ file: () -> ReadFile?) -> UInt64?

    /// The last descriptor of a file that was opened to read is closed.
    func closed(_ number: UInt64)

    /// Whether it helps to tell of each close of what was opened to read (``closes(_:by:)``).
    var hearsPrograms: Bool { get }

    /// A thread closes a descriptor of it, which it may have been given by another process, and waits for our answer.
    func closes(_ number: UInt64, by thread: Int32)

    /// Waits for a moment until it is known who had what was closed by now.
    func awaitCloses()

    /// A thread of a process opens a file of production to write, and waits for our answer.
    func opensToWrite(_ thread: Int32, _ process: any WatchedProcess)

    /// A thread opens a file of a session or a test to write, and waits for our answer.
    func opensToMake(_ thread: Int32) -> FileMaking

    /// It has been opened.
    ///
    /// - Parameter anew: whether nothing that was in the file is left.
    func isBeingMade(_ file: FileIdentity, _ making: FileMaking, anew: Bool)

    /// A thread closes such a file that it or a process that it comes from has written to, and waits for our answer.
    ///
    /// - Parameter memory: what it may remember (``closes(_:called:)``).
    func closesMade(_ file: FileIdentity, by thread: Int32, _ memory: ProcessMemory)

    /// Nobody has such a file open to write any more, and it is as its last writer has left it.
    ///
    /// - Parameters:
    ///   - version: how it is now.
    ///   - time: when it was changed last, in nanoseconds since the machine's start.
    func isMade(_ file: FileIdentity, _ version: ReadFile.BytesState, time: UInt64)

    /// Who made such a file as it is now, who made it first being the first, and when it was changed last; nil when that is not known.
    func makers(of file: FileIdentity, _ version: ReadFile.BytesState) -> (makers: [FileMaker], time: UInt64)?

    /// A thread closes a file to which it has written, and waits for our answer.
    ///
    /// - Parameter name: what it is called by now.
    /// - Returns: what it may remember, for what it was made from (``ProcessMemory/edges(of:)``); nil when that is not seen.
    func closes(_ thread: Int32, called name: String) -> ProcessMemory?

    /// How files outside of the store are looked at; nil when they are not.
    var outside: OutsideLook? { get }

    /// Waits, for a moment only, until what was opened outside of the mount so far is known.
    func catchUp()

    /// Files outside of the store are not looked at any more.
    func stopObserving()

    /// Whether two threads are of one job: the same process, one an ancestor of the other, or the same session (setsid(2)); nil when
    /// that cannot be seen.
    func isSameJob(_ one: Int32, _ other: any WatchedProcess) -> Bool?

    /// A thread's process, and when that was made; nil when it is gone or in another pid namespace.
    func birth(ofThread thread: Int32) -> ProcessBirth?

    /// What has this number or a higher one is made from now on; nil when that cannot be told.
    func nextBirth() -> UInt64?

    /// How a process belongs to others; nil when it is gone, or not shown.
    func kin(of process: Int32) -> ProcessKin?

    /// The processes that a process has made, or taken over; empty when they are not shown.
    func children(of process: Int32) -> [Int32]
}

/// Somebody who writes to a file of a session or a test.
package struct FileMaking: Sendable {
    /// The process; nil when it is not seen.
    package let watch: (any WatchedProcess)?
    /// What it may remember.
    let memory: ProcessMemory?
    /// Whether it may yet become the program that writes: then its closes tell.
    package let mayBecomeAnother: Bool

    /// Nobody who is seen.
    package init() { (watch, memory, mayBecomeAnother) = (nil, nil, false) }

    init(_ process: LinuxProcess?, _ memory: ProcessMemory) {
        (watch, self.memory, mayBecomeAnother) = (process, memory, memory.isOfProgram != true)
    }
}

/// A process, and when it was made: no other ever has both.
package struct ProcessBirth: Hashable, Sendable {
    package var process: Int32
    /// A number that goes up with each process that is made.
    package var number: UInt64

    /// A process.
    package init(process: Int32, number: UInt64) { (self.process, self.number) = (process, number) }
}

/// How a process belongs to others.
package struct ProcessKin: Sendable {
    /// Who made it, or took it over; 0 when that is none that is seen.
    package var parent: Int32
    /// Its session (setsid(2)).
    package var session: Int32
    /// Its effective user id.
    package var user: UInt32
    /// Whether it is a shell with job control at a prompt: the leader of its process group that lets nothing stop it (SIGTSTP, SIGTTIN,
    /// SIGTTOU ignored). Each command typed there is a job by itself.
    package var isAtPrompt: Bool

    /// A process's kin.
    package init(parent: Int32, session: Int32, user: UInt32, isAtPrompt: Bool = false) {
        (self.parent, self.session, self.user, self.isAtPrompt) = (parent, session, user, isAtPrompt)
    }
}

/// Who writes to a process through pipes.
package struct Upstream: Sendable {
    package var processes: [any WatchedProcess] = []
    /// It reads a pipe that nobody who is seen writes to: who did has ended, and how is not known.
    package var isUnknown = false

    /// Nobody, unless it is said otherwise.
    package init(processes: [any WatchedProcess] = [], isUnknown: Bool = false) {
        (self.processes, self.isUnknown) = (processes, isUnknown)
    }
}

/// What was seen of a thread that closes a file.
package struct ProcessSight: Sendable {
    package var ending = WriterEnding.unknown
    /// The program it runs, as `/proc/<pid>/comm` has it; empty when it is gone.
    package var program = ""

    /// What was seen; nothing, unless it is said otherwise.
    package init(ending: WriterEnding = .unknown, program: String = "") {
        (self.ending, self.program) = (ending, program)
    }
}

/// A process that is followed to its end, whatever takes its number then.
package protocol WatchedProcess: AnyObject, Sendable {
    /// Its number, in the driver's pid namespace.
    var process: Int32 { get }
    /// Its session (setsid(2)); 0 when it is not known.
    var session: Int32 { get }
    /// What it ran when it was last looked at.
    var program: String { get }
    /// Looks at what it runs by now.
    func lookAgain()
    /// What it runs by now was seen.
    func isCalled(_ program: String)
    /// Whether it was observed as what it is.
    ///
    /// - Parameter name: what it is called by now, if that is known: another program has another name, or nearly always.
    func isSeen(as name: String?) -> Bool
    /// What it is, once it was observed; nil when that could not be seen.
    var facts: WriterFacts? { get }
    /// Waits until all of that is known which somebody is looking for, or for so many milliseconds.
    func awaitFacts(atMost milliseconds: Int32)
    /// How it is doing, or how it ended.
    var ending: WriterEnding { get }
    /// Becomes readable when it ends (pidfd_open(2)); -1 when nothing does, and it has to be asked.
    var descriptor: Int32 { get }
}
