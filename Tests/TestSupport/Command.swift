internal import Glibc

/// How a program ended and what it said.
public struct Outcome: Sendable, CustomStringConvertible {
    /// The exit code, or 128 and the number of the signal that ended it, as shells count.
    public var status: Int32
    public var output: String
    public var errors: String
    /// It was killed because its time was over.
    public var timedOut: Bool

    public var succeeded: Bool { status == 0 }

    public var description: String {
        "status \(status)\(timedOut ? " (timed out)" : ""), output: \(output), errors: \(errors)"
    }
}

/// A user and a group to run a program as.
public struct User: Sendable, Hashable {
    public var user: UInt32
    public var group: UInt32
    /// Further groups.
    public var groups: [UInt32]

    public init(user: UInt32, group: UInt32, groups: [UInt32] = []) {
        self.user = user
        self.group = group
        self.groups = groups
    }

    /// `nobody` and its group, on Debian.
    public static let nobody = User(user: 65534, group: 65534)
}

/// Runs a program and waits for its end.
///
/// - Parameters:
///   - command: the program, found in `PATH`, and its arguments.
///   - environment: variables to add to or replace in the test's own.
///   - directory: its working directory.
///   - input: its standard input; empty when not given.
///   - user: runs it as another user. Needs root and `setpriv`.
///   - timeout: seconds after which it is killed, with every process it started in its group.
/// - Throws: the error of `posix_spawn`, such as `ENOENT` for a program that does not exist.
public func run(
    _ command: [String], environment: [String: String] = [:], directory: String? = nil, input: String? = nil,
    user: User? = nil, timeout: Double = 120
) throws -> Outcome {
    let child = try Child(command, environment: environment, directory: directory, input: input, user: user)
    let ended = child.wait(seconds: timeout)
    if !ended { child.kill() }
    return Outcome(
        status: child.status ?? -1, output: child.output, errors: child.errors, timedOut: !ended)
}

/// Runs a script of bash.
public func shell(
    _ script: String, in directory: String? = nil, environment: [String: String] = [:], input: String? = nil,
    user: User? = nil, timeout: Double = 120
) throws -> Outcome {
    try run(
        ["bash", "-c", script], environment: environment, directory: directory, input: input, user: user,
        timeout: timeout)
}

/// The Python that tests use: `$ARTIFACTFS_TEST_PYTHON`, else `python3`.
public var testPython: String { environmentValue("ARTIFACTFS_TEST_PYTHON") ?? "python3" }

/// Runs a script of Python with arguments, which the script finds in `sys.argv[1:]`.
public func python(
    _ script: String, _ arguments: [String] = [], in directory: String? = nil, environment: [String: String] = [:],
    input: String? = nil, user: User? = nil, timeout: Double = 120
) throws -> Outcome {
    try run(
        [testPython, "-c", script] + arguments, environment: environment, directory: directory, input: input,
        user: user, timeout: timeout)
}

/// Asks until the answer is yes or the time is over.
///
/// - Returns: the last answer.
public func eventually(within seconds: Double = 10, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = monotonicSeconds() + seconds
    var pause: UInt32 = 1000
    while true {
        if try condition() { return true }
        if monotonicSeconds() > deadline { return false }
        usleep(pause)
        pause = min(pause * 2, 50_000)
    }
}

/// Seconds of the clock that only goes forward.
public func monotonicSeconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}
