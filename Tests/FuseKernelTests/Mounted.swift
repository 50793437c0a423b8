import CLinux
import FuseKernel
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

/// Whether tests that mount can run here at all; what they are skipped for otherwise.
let canMount = access("/dev/fuse", R_OK | W_OK) == 0

/// A mirror that is mounted for as long as this object lives.
final class Mounted: Sendable {
    let base: String
    let source: String
    let point: String
    let fileSystem: MirrorFileSystem
    let session: Session
    private let thread: Mutex<pthread_t?>
    private let ended: Flag

    /// - Parameter prepare: changes the options before they are used.
    init(
        passthrough: Bool, traits: OpenTraits = [], timeout: Double = 0,
        onStatistics: (@Sendable () -> Void)? = nil, onLong: (@Sendable (String) -> Void)? = nil,
        prepare: (inout MountOptions) -> Void = { _ in }
    ) throws {
        var template = Array("/tmp/fuse-kernel-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) } }
        base = String(cString: try #require(made))
        source = base + "/source"
        point = base + "/mount, \\point"
        try check(mkdir(source, 0o755))
        try check(mkdir(point, 0o755))
        fileSystem = try MirrorFileSystem(
            source: source, traits: traits, timeout: timeout, onStatistics: onStatistics, onLong: onLong)
        var options = MountOptions(mountPoint: point, fileSystemName: "a,b\\c")
        options.passthrough = passthrough
        prepare(&options)
        session = try Session(fileSystem: fileSystem, options: options)
        try session.mount()
        var thread = pthread_t()
        let ended = Flag()
        self.ended = ended
        let box = Unmanaged.passRetained(Served(session: session, ended: ended))
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let served = Unmanaged<Served>.fromOpaque(argument).takeRetainedValue()
                served.session.run()
                served.ended.set()
                return nil
            }, box.toOpaque())
        try #require(result == 0)
        self.thread = Mutex(thread)
    }

    /// Waits until the session has ended by itself, at most `seconds`.
    func waitForEnd(seconds: Double = 20) -> Bool {
        guard eventually(seconds: seconds, { ended.isUp }) else { return false }
        if let thread = thread.withLock({ $0.take() }) { pthread_join(thread, nil) }
        return true
    }

    deinit {
        session.stop()
        let ended = waitForEnd()
        session.unmount()
        // Never through a mount that is still there.
        if ended { _ = try? Shell.run("rm -rf --one-file-system \"$1\"", base) }
    }
}

/// Whether something has happened yet.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isUp: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

/// What the serving thread is given.
private final class Served: Sendable {
    let session: Session
    let ended: Flag

    init(session: Session, ended: Flag) {
        self.session = session
        self.ended = ended
    }
}

/// What a child process did.
struct Outcome {
    let status: Int32
    let output: String
}

enum Shell {
    /// Runs `/bin/sh -c`, with arguments; standard error is in the output.
    static func run(_ script: String, _ arguments: String...) throws -> Outcome {
        try spawn(["/bin/sh", "-c", script, "sh"] + arguments)
    }

    /// Runs a Python program.
    static func python(_ program: String, _ arguments: String...) throws -> Outcome {
        try spawn(["/usr/bin/python3", "-c", program] + arguments)
    }

    static func spawn(_ command: [String]) throws -> Outcome {
        let process = try start(command)
        return try finish(process)
    }

    static func start(_ command: [String]) throws -> (pid: pid_t, output: Int32) {
        var ends: [Int32] = [0, 0]
        try check(pipe(&ends))
        for end in ends { _ = clinux_fcntl_int(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        var pointers: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        pointers.append(nil)
        var pid = pid_t()
        let result = posix_spawn(&pid, command[0], &actions, nil, pointers, environ)
        close(ends[1])
        guard result == 0 else {
            close(ends[0])
            throw Errno(rawValue: result)
        }
        return (pid, ends[0])
    }

    static func finish(_ process: (pid: pid_t, output: Int32)) throws -> Outcome {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(process.output, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            bytes += buffer[0..<count]
        }
        close(process.output)
        var status: Int32 = 0
        while waitpid(process.pid, &status, 0) < 0, errno == EINTR {}
        return Outcome(
            status: status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f),
            output: String(decoding: bytes, as: UTF8.self))
    }
}

/// Polls until a condition holds; false when it did not within the time.
func eventually(seconds: Double = 10, _ condition: () -> Bool) -> Bool {
    var left = Int(seconds * 1000)
    while left > 0 {
        if condition() { return true }
        usleep(1000)
        left -= 1
    }
    return condition()
}
