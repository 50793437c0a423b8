import ArtifactStore
import Glibc
import SystemCalls
import SystemPackage

/// Going to the background: the binary starts itself again in the foreground of a session of its own and waits until it says that it
/// is ready. Threads would not survive a fork.
enum Background {
    static let variable = "ARTIFACTFS_READY_FD"

    /// Starts the same command in the background.
    ///
    /// - Parameter store: its path, for what is said when that takes long.
    /// - Returns: what the driver says when the mount can be used.
    static func start(_ store: String) throws -> String {
        let (readEnd, writeEnd): (FileDescriptor, FileDescriptor)
        do throws(Errno) {
            (readEnd, writeEnd) = try SystemCall.makePipe()
            try SystemCall.keepOpenOnExecution(writeEnd)
        } catch {
            throw Failure(.failed, "cannot make a pipe: \(error)")
        }
        defer { SystemCall.close(readEnd) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(0x80))  // POSIX_SPAWN_SETSID, glibc's spawn.h

        let arguments = MountHelperForm.asSubcommand(Array(CommandLine.arguments.dropFirst()))
        setenv(variable, String(writeEnd.rawValue), 1)
        var argv: [UnsafeMutablePointer<CChar>?] = (["artifactfs"] + inForeground(arguments)).map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        var process = pid_t()
        let result = posix_spawn(&process, "/proc/self/exe", &actions, &attributes, argv, environ)
        SystemCall.close(writeEnd)
        unsetenv(variable)
        guard result == 0 else {
            throw Failure(.failed, "cannot start the driver: \(String(cString: strerror(result)))")
        }
        return try answer(from: readEnd, process, store)
    }

    /// The same command in the foreground. The flag comes right after the subcommand: at the end it would be a path after `--`.
    static func inForeground(_ arguments: [String]) -> [String] {
        Array(arguments.prefix(1)) + ["--foreground"] + arguments.dropFirst()
    }

    /// The first byte says how it went: `0`, or the exit status as a digit; the rest is for people.
    private static func answer(from readEnd: FileDescriptor, _ process: pid_t, _ store: String) throws -> String {
        var bytes: [UInt8] = []
        var next = Patience.now() + Patience.usual
        var hasSaid = false
        while true {
            let ready = (try? SystemCall.waitToRead(readEnd, milliseconds: { next - Patience.now() })) ?? true
            guard ready else {
                next = Patience.now() + Patience.usual
                let holder = StoreLock.holder(of: store, besides: process)
                if let holder, holder.state == .stopped {
                    kill(process, SIGKILL)
                    _ = try? SystemCall.wait(for: process)
                    throw Failure(
                        .silent,
                        "another mount's driver, process \(holder.process), is stopped while it holds a lock of the store "
                            + "\(store); let it go on with 'kill -CONT \(holder.process)', "
                            + "or end it with 'kill -9 \(holder.process)'")
                }
                if !hasSaid {
                    let who = holder.map { "process \($0.process) has it at the moment, and" } ?? "first"
                    Terminal.complain(
                        "still opening the store \(store): \(who) what a driver that was killed left is looked through, "
                            + "which takes as long as reading it")
                }
                hasSaid = true
                continue
            }
            guard let more = try? SystemCall.bytes(readEnd, atMost: 4096), !more.isEmpty else { break }
            bytes += more
        }
        let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
        guard let first = bytes.first else {
            throw Failure(.failed, "the driver ended before the mount was ready; try --foreground to see why")
        }
        guard first != UInt8(ascii: "0") else { return text }
        throw Failure(Status(rawValue: Int32(first) - 48) ?? .failed, text)
    }
}

/// The locks in a store that drivers hold for moments: its own and the ledger's.
enum StoreLock {
    /// Who holds one (proc_locks(5)), a stopped process before others; nil when nobody does, or when this program may not look.
    static func holder(of store: String, besides own: Int32) -> DriverProcess? {
        let directory = store + "/.artifactfs/"
        let files = [directory + "lock"] + Paths.names(directory + "ledger").map { directory + "ledger/" + $0 }
        let inodes = Set(
            files.compactMap { file -> String? in
                (try? SystemCall.attributes(SystemCall.currentDirectory, file)).map { String($0.st_ino) }
            })
        let locks = String(decoding: Paths.contents("/proc/locks") ?? [], as: UTF8.self)
        let holders = locks.split(separator: "\n").compactMap { line -> DriverProcess? in
            let fields = line.split(separator: " ")
            guard fields.count > 5, fields[1] == "FLOCK", let process = Int32(fields[4]), process > 0, process != own,
                let inode = fields[5].split(separator: ":").last, inodes.contains(String(inode))
            else { return nil }
            return DriverProcess(process)
        }
        return holders.first { $0.state == .stopped } ?? holders.first
    }
}

/// The driver's side of the pipe.
final class Readiness {
    private var descriptor: FileDescriptor?

    init() {
        guard let text = getenv(Background.variable), let number = Int32(String(cString: text)) else { return }
        unsetenv(Background.variable)
        let descriptor = FileDescriptor(rawValue: number)
        self.descriptor = descriptor
        SystemCall.closeOnExecution(descriptor)
        chdir("/")
    }

    /// Whether somebody waits for the answer.
    var isBackground: Bool { descriptor != nil }

    /// The mount can be used.
    func ready(_ text: String) {
        ServiceManager.ready()
        if !send("0", text) {
            Terminal.show(text)
            fflush(nil)
        }
    }

    /// The mount cannot be made.
    func fail(_ error: any Error) {
        let failure = error as? Failure ?? (error as? StoreError).map { Failure($0) } ?? Failure(.failed, "\(error)")
        _ = send(String(failure.status.rawValue), failure.text)
    }

    private func send(_ status: String, _ text: String) -> Bool {
        guard let descriptor else {
            return false
        }
        try? SystemCall.write(descriptor, Array((status + text).utf8))
        SystemCall.close(descriptor)
        self.descriptor = nil
        return true
    }
}
