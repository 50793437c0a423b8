internal import Glibc
internal import Synchronization
internal import SystemPackage

/// A program that runs while the test goes on. Its end is always waited for: at the latest when the reference goes,
/// which kills it and every process in its group.
public final class Child: Sendable {
    /// Its process id, which is its process group's as well.
    public let process: Int32
    private let files: TemporaryDirectory
    private let ending = Mutex<Int32?>(nil)

    /// Starts a program. For the parameters see ``run(_:environment:directory:input:user:timeout:)``.
    public init(
        _ command: [String], environment: [String: String] = [:], directory: String? = nil, input: String? = nil,
        user: User? = nil
    ) throws {
        files = try TemporaryDirectory(mode: 0o700)
        var command = command
        // Glibc's overlay has no posix_spawn_file_actions_addchdir_np, and posix_spawn knows no users.
        if let directory { command = ["env", "--chdir=\(directory)"] + command }
        if let user {
            let groups = user.groups.map(String.init).joined(separator: ",")
            command =
                [
                    "setpriv", "--reuid=\(user.user)", "--regid=\(user.group)",
                    groups.isEmpty ? "--clear-groups" : "--groups=\(groups)", "--",
                ] + command
        }
        if let input { try write(input, to: files.path + "/input") }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input == nil ? "/dev/null" : files.path + "/input", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, files.path + "/output", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, files.path + "/errors", O_WRONLY | O_CREAT | O_APPEND, 0o600)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var noSignals = sigset_t()
        sigemptyset(&noSignals)
        var usualSignals = sigset_t()
        sigemptyset(&usualSignals)
        sigaddset(&usualSignals, SIGPIPE)
        posix_spawnattr_setsigmask(&attributes, &noSignals)
        posix_spawnattr_setsigdefault(&attributes, &usualSignals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var process: pid_t = 0
        let error = withCStrings(command) { arguments in
            withCStrings(mergedEnvironment(environment)) { variables in
                posix_spawnp(&process, command.first ?? "", &actions, &attributes, arguments, variables)
            }
        }
        guard error == 0 else { throw Errno(rawValue: error) }
        self.process = process
    }

    deinit { kill() }

    /// Whether there is a program of a name in `PATH`.
    public static func finds(_ program: String) -> Bool {
        (environmentValue("PATH") ?? "").split(separator: ":").contains { access($0 + "/" + program, X_OK) == 0 }
    }

    /// Its exit code, or 128 and its signal's number; nothing while it runs.
    public var status: Int32? {
        ending.withLock { ending in
            if let ending { return ending }
            var raw: Int32 = 0
            let found = retryingInterrupts { waitpid(process, &raw, WNOHANG) }
            // Nobody else waits for it: an error means that it is gone and cannot be asked.
            if found < 0 { ending = -1 }
            if found == process { ending = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : 128 + (raw & 0x7F) }
            return ending
        }
    }

    public var isRunning: Bool { status == nil }

    /// What it has said on its standard output so far.
    public var output: String { (try? contents(files.path + "/output")) ?? "" }

    /// What it has said on its standard error so far.
    public var errors: String { (try? contents(files.path + "/errors")) ?? "" }

    /// Waits for its end.
    ///
    /// - Returns: whether it ended in that time.
    public func wait(seconds: Double) -> Bool { eventually(within: seconds) { !isRunning } }

    /// Sends it a signal, unless it has ended.
    public func signal(_ number: Int32) {
        if isRunning { Glibc.kill(process, number) }
    }

    /// Kills it and every process in its group, and waits for its end.
    public func kill() {
        if isRunning {
            Glibc.kill(-process, SIGKILL)
            Glibc.kill(process, SIGKILL)
        }
        _ = wait(seconds: 30)
    }
}

/// Calls again while a signal interrupts.
func retryingInterrupts<Result: SignedInteger>(_ body: () -> Result) -> Result {
    while true {
        let result = body()
        if result != -1 || errno != EINTR { return result }
    }
}

private func mergedEnvironment(_ added: [String: String]) -> [String] {
    var merged: [String] = []
    var next = environ
    while let entry = next.pointee {
        let text = String(cString: entry)
        let name = text.prefix { $0 != "=" }
        if added[String(name)] == nil { merged.append(text) }
        next += 1
    }
    for (name, value) in added { merged.append("\(name)=\(value)") }
    return merged
}

private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var copies: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
    copies.append(nil)
    defer { for copy in copies { free(copy) } }
    return copies.withUnsafeBufferPointer { buffer in
        // The buffer has at least the ending nil, so it has an address.
        guard let address = buffer.baseAddress else { preconditionFailure("an array with an element has an address") }
        return body(address)
    }
}
