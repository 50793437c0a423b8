internal import CLinux
package import Glibc
package import SystemPackage

/// Processes and threads: how they end, and what `/proc` says of them.
extension SystemCall {
    /// pidfd_open(2): readable when the process has ended, whatever takes its number then.
    package static func openProcess(_ process: Int32) throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try retry(.process) { clinux_pidfd_open(process) })
    }

    /// The number that the kernel has given a process, which no other ever has: what is made later has a higher one (the inode of its pidfd,
    /// pidfs, kernel 6.9).
    ///
    /// - Throws: when it is gone, when it is another thread than a process's first, or when the kernel has no such numbers.
    package static func birth(ofProcess process: Int32) throws(Errno) -> UInt64 {
        guard process > 0 else { throw .noSuchProcess }
        var birth: UInt64 = 0
        try retry(.process) { clinux_process_birth(process, 0, &birth) }
        return birth
    }

    /// The same of a thread.
    package static func birth(ofThread thread: Int32) throws(Errno) -> UInt64 {
        guard thread > 0 else { throw .noSuchProcess }
        var birth: UInt64 = 0
        try retry(.process) { clinux_process_birth(thread, 1, &birth) }
        return birth
    }

    /// gettid(2): the thread that calls.
    package static var thread: Int32 { clinux_thread() }

    /// getpgid(2): the number of a process's group, which is that of its leader.
    package static func group(ofProcess process: Int32) throws(Errno) -> Int32 {
        guard process > 0 else { throw .noSuchProcess }
        return try retry(.process) { getpgid(process) }
    }

    /// The exit code of a process that has ended and was waited for, as wait(2) tells it (`PIDFD_GET_INFO`, kernel 6.15); nil when the
    /// kernel does not say.
    package static func exitCode(_ process: FileDescriptor) -> Int32? {
        var code: Int32 = 0
        return clinux_pidfd_exit_code(process.rawValue, &code) == 0 ? code : nil
    }

    /// waitpid(2): waits until a child has ended.
    ///
    /// - Returns: its status as wait(2) tells it.
    @discardableResult
    package static func wait(for process: Int32) throws(Errno) -> Int32 {
        var status: Int32 = 0
        try retry(.process) { waitpid(process, &status, 0) }
        return status
    }

    /// Starts a program, posix_spawn(3). It reads nothing, and takes every signal, whatever the thread that starts it takes.
    ///
    /// - Parameters:
    ///   - words: its name, and its arguments.
    ///   - output: what is its standard output.
    package static func start(
        _ program: String, _ words: [String], output: FileDescriptor
    ) throws(Errno) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output.rawValue, 1)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(0x08))  // POSIX_SPAWN_SETSIGMASK, glibc's spawn.h
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process = pid_t()
        let code = posix_spawn(&process, program, &actions, &attributes, &arguments, environ)
        guard code == 0 else { throw Errno(rawValue: code) }
        return process
    }

    /// Takes note of a child that has ended; one that has not is not waited for.
    package static func collect(_ process: Int32) { _ = waitpid(process, nil, WNOHANG) }

    /// Opens `/proc/<process>/<name>`, a thread's too; nil when it is not there. The path takes no memory.
    package static func openProcFile(_ process: Int32, _ name: StaticString) -> FileDescriptor? {
        withProcPath(process, "/") { path in
            path.append(name)
        } _: { path throws(Errno) in
            try open(currentDirectory, path, O_RDONLY)
        }
    }

    /// The same of a thread: `/proc/<process>/task/<task>/<name>`.
    package static func openProcFile(_ process: Int32, task: Int32, _ name: StaticString) -> FileDescriptor? {
        guard task > 0 else { return nil }
        return withProcPath(process, "/task/") { path in
            path.append(task)
            path.append("/")
            path.append(name)
        } _: { path throws(Errno) in
            try open(currentDirectory, path, O_RDONLY)
        }
    }

    /// Opens `/proc/<process>/fdinfo/<descriptor>`; nil when it is not there.
    package static func openDescriptorInfo(ofProcess process: Int32, descriptor: Int32) -> FileDescriptor? {
        withProcPath(process, "/fdinfo/", descriptor) { path throws(Errno) in
            try open(currentDirectory, path, O_RDONLY)
        }
    }

    /// What a descriptor of a process is, as proc_pid_fd(5) shows it; nil when it is not shown.
    package static func target(ofProcess process: Int32, descriptor: Int32) -> [UInt8]? {
        withProcPath(process, "/fd/", descriptor) { path throws(Errno) in try linkTarget(atPath: path) }
    }

    /// Which file a descriptor of a process is, and of which kind; nil when it is not shown. A file system that is a process, or a server's, is not
    /// asked (statx(2), `AT_STATX_DONT_SYNC`).
    package static func kind(
        ofProcess process: Int32, descriptor: Int32
    ) -> (mode: UInt32, device: UInt64, number: UInt64)? {
        withProcPath(process, "/fd/", descriptor) { path throws(Errno) in
            var found: (mode: UInt32, device: UInt64, number: UInt64) = (0, 0, 0)
            try retry(.attributes, path) { clinux_kind_of(path, &found.mode, &found.device, &found.number) }
            return found
        }
    }

    /// The mode of that link, which says how the descriptor was opened; nil when it is not shown.
    package static func mode(ofProcess process: Int32, descriptor: Int32) -> UInt32? {
        withProcPath(process, "/fd/", descriptor) { path throws(Errno) in
            var found = stat()
            try retry(.attributes, path) { lstat(path, &found) }
            return found.st_mode
        }
    }

    private static func withProcPath<Result>(
        _ process: Int32, _ place: StaticString, _ descriptor: Int32,
        _ body: (UnsafePointer<CChar>) throws(Errno) -> Result
    ) -> Result? {
        guard descriptor >= 0 else { return nil }
        return withProcPath(process, place, { path in path.append(descriptor) }, body)
    }

    /// Runs with a path below `/proc/<process>`, which takes no memory; nil when it fails.
    private static func withProcPath<Result>(
        _ process: Int32, _ place: StaticString, _ end: (inout ShortPath) -> Void,
        _ body: (UnsafePointer<CChar>) throws(Errno) -> Result
    ) -> Result? {
        // `/proc//stat` is another file.
        guard process > 0 else { return nil }
        do throws(Errno) {
            return try withShortPath(
                { path in
                    path.append("/proc/")
                    path.append(process)
                    path.append(place)
                    end(&path)
                }, body)
        } catch { return nil }
    }

    /// Whether a process has one thread, as far as that is shown: a directory has a link for each directory in it and two of its own.
    package static func hasOneThread(_ process: Int32) -> Bool {
        withProcPath(process, "/task") { _ in
        } _: { path throws(Errno) in
            var found = stat()
            try retry(.attributes, path) { lstat(path, &found) }
            return found.st_nlink == 3
        } ?? false
    }

    /// Whether the number of a system call is that of read(2) or readv(2), as proc_pid_syscall(5) has it.
    package static func isRead(_ call: Int) -> Bool { clinux_is_read(call) != 0 }

    /// The names in the directory `/proc/<process>/<name>` that are numbers, in its order; empty when it is not shown.
    package static func numbers(ofProcess process: Int32, _ name: StaticString, most: Int) -> [Int32] {
        guard let directory = openProcFile(process, name) else { return [] }
        defer { close(directory) }
        var numbers: [Int32] = []
        withUnsafeTemporaryAllocation(byteCount: 2048, alignment: 8) { buffer in
            while numbers.count < most {
                let count = clinux_getdents(directory.rawValue, buffer.baseAddress, buffer.count)
                guard count > 0 else { return }
                // struct linux_dirent64 (getdents(2)): inode number, offset, length of the entry, type, name.
                var entry = 0
                while entry + 19 < count {
                    let length = Int(buffer.loadUnaligned(fromByteOffset: entry + 16, as: UInt16.self))
                    guard length > 19, entry + length <= count else { return }
                    let digits = buffer[(entry + 19)..<(entry + length)].prefix { $0 != 0 }
                    if numbers.count < most, let number = Int32(decimal: digits) { numbers.append(number) }
                    entry += length
                }
            }
        }
        return numbers
    }

    /// The name of a user (getpwuid_r(3)); nil when there is none. May ask a service on the network.
    package static func userName(_ user: UInt32) -> String? { account(user) { $0.pw_name } }

    /// The home directory of a user, likewise.
    package static func homeDirectory(_ user: UInt32) -> String? { account(user) { $0.pw_dir } }

    /// The number of a user by its name (getpwnam_r(3)); nil when there is none. May ask a service on the network.
    package static func user(named name: String) -> UInt32? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16384) { buffer in
            var entry = passwd()
            var found: UnsafeMutablePointer<passwd>?
            guard let start = buffer.baseAddress,
                getpwnam_r(name, &entry, start, buffer.count, &found) == 0, found != nil
            else { return nil }
            return entry.pw_uid
        }
    }

    /// The number of a group by its name (getgrnam_r(3)), likewise. A group of very many members has none here.
    package static func group(named name: String) -> UInt32? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1 << 18) { buffer in
            var entry = Glibc.group()
            var found: UnsafeMutablePointer<Glibc.group>?
            guard let start = buffer.baseAddress,
                getgrnam_r(name, &entry, start, buffer.count, &found) == 0, found != nil
            else { return nil }
            return entry.gr_gid
        }
    }

    private static func account(_ user: UInt32, _ text: (passwd) -> UnsafeMutablePointer<CChar>?) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16384) { buffer in
            var entry = passwd()
            var found: UnsafeMutablePointer<passwd>?
            guard let start = buffer.baseAddress,
                getpwuid_r(user, &entry, start, buffer.count, &found) == 0, found != nil, let text = text(entry)
            else { return nil }
            return String(cString: text)
        }
    }

    /// Whether CAP_SYS_PTRACE is in effect: how other users' processes end is seen.
    package static var mayTrace: Bool { clinux_may_trace() != 0 }

    /// What children of this process leave behind becomes its child (`PR_SET_CHILD_SUBREAPER`).
    package static func adoptOrphans() { clinux_adopt_orphans() }

    /// A file that tells of the signals that a program passes on to its command, and of SIGCHLD, which are blocked from now on
    /// (signalfd(2)).
    package static func makeSignalFile() throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try retry(.process) { clinux_signal_file() })
    }

    /// The next signal that has come; nil when there is none.
    ///
    /// - Returns: its number, and whether a process sent it: a terminal sends its own to all that are in its foreground.
    package static func nextSignal(_ file: FileDescriptor) -> (number: Int32, isSent: Bool)? {
        var isSent: Int32 = 0
        let number = clinux_next_signal(file.rawValue, &isSent)
        return number > 0 ? (number, isSent != 0) : nil
    }

    /// fork(2). For processes with one thread only: others would not survive, whatever they held.
    ///
    /// - Returns: 0 in the child.
    package static func fork() throws(Errno) -> Int32 { try retry(.process) { clinux_fork() } }

    /// Names the process as pgrep(1) and top(1) show it (`PR_SET_NAME`); call it from the first thread.
    package static func setProcessName(_ name: UnsafePointer<CChar>) { clinux_set_process_name(name) }

    /// Names a thread (pthread_setname_np(3)): at most 15 bytes.
    package static func setName(of thread: pthread_t, _ name: UnsafePointer<CChar>) { clinux_name_thread(thread, name) }

    /// Waits for a semaphore (sem_wait(3)).
    package static func wait(for semaphore: UnsafeMutablePointer<sem_t>) {
        _ = try? retry(.process) { sem_wait(semaphore) }
    }

    /// Waits for a semaphore for so many milliseconds on the monotonic clock (sem_clockwait(3)), or more when a signal interrupts; whether
    /// there was a post.
    package static func wait(for semaphore: UnsafeMutablePointer<sem_t>, milliseconds: Int32) -> Bool {
        do throws(Errno) {
            try retry(.process) { clinux_sem_wait(semaphore, milliseconds) }
            return true
        } catch { return false }
    }

    /// Gives up what a process does not need to read files that it is given: root's ids, new privileges, memory beyond a bound, and
    /// descriptors from 3 on. Ignores the signals that ask a service to end: it ends with its socket.
    package static func confine(memory: Int) { clinux_confine(memory) }

    /// Gives memory that is free and that the C library keeps for what may come back to the system (malloc_trim(3)).
    package static func giveMemoryBack() { clinux_give_memory_back() }
}

/// Processes of this machine that end with a failure status or by a signal: taskstats (Documentation/accounting/taskstats.rst).
extension SystemCall {
    /// One reading.
    package enum FailedProcess {
        /// None is left.
        case none
        /// Some were lost, because they were not read in time.
        case lost
        /// `code` as wait(2) tells it, `program` as `/proc/PID/comm` had it.
        case found(process: Int32, parent: Int32, code: UInt32, program: String)
    }

    /// A socket on which the kernel keeps them from now on, until they are read.
    ///
    /// - Throws: `EPERM` without CAP_NET_ADMIN, in another than the first pid or user namespace, or where there are no taskstats.
    package static func openFailedProcesses() throws(Errno) -> FileDescriptor {
        let socket = clinux_failures_open()
        guard socket >= 0 else { throw .notPermitted }
        return FileDescriptor(rawValue: socket)
    }

    /// Reads the next one, without waiting.
    package static func nextFailedProcess(_ socket: FileDescriptor) -> FailedProcess {
        var failure = clinux_failure()
        switch clinux_failures_next(socket.rawValue, &failure) {
        case 0: return .none
        case 1:
            let program = withUnsafeBytes(of: failure.program) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            return .found(process: failure.process, parent: failure.parent, code: failure.code, program: program)
        default: return .lost
        }
    }
}

/// What processes of this machine do: the process connector (Documentation/driver-api/connector.rst, linux/cn_proc.h).
extension SystemCall {
    /// One thing that a process did; times are in nanoseconds on the clock of `Clock.monotonic`.
    package enum ProcessEvent: Sendable, Hashable {
        /// `parent` made it.
        case made(process: Int32, by: Int32, time: UInt64)
        /// It has run another program.
        case ran(process: Int32, time: UInt64)
        /// It has ended.
        case ended(process: Int32, time: UInt64)
        /// Some were lost, because they were not read in time.
        case lost
    }

    /// A socket on which the kernel tells of processes from now on.
    ///
    /// - Throws: `EPERM` without CAP_NET_ADMIN, in another than the first pid or user namespace, or where there is no process connector.
    package static func openProcessEvents() throws(Errno) -> FileDescriptor {
        let socket = clinux_process_events_open()
        guard socket >= 0 else { throw .notPermitted }
        return FileDescriptor(rawValue: socket)
    }

    /// The next one, without waiting; nil when there is none.
    package static func nextProcessEvent(_ socket: FileDescriptor) -> ProcessEvent? {
        var event = clinux_process_event()
        guard clinux_process_events_next(socket.rawValue, &event) == 1 else { return nil }
        switch event.what {
        case 1: return .made(process: event.process, by: event.parent, time: event.time)
        case 2: return .ran(process: event.process, time: event.time)
        case 3: return .ended(process: event.process, time: event.time)
        default: return .lost
        }
    }
}

extension Int32 {
    /// A number in decimal digits and nothing else.
    fileprivate init?(decimal digits: some Collection<UInt8>) {
        guard !digits.isEmpty else { return nil }
        var value: Int32 = 0
        for digit in digits {
            guard digit &- UInt8(ascii: "0") < 10 else { return nil }
            let (tens, isTooMuch) = value.multipliedReportingOverflow(by: 10)
            let (sum, isOver) = tens.addingReportingOverflow(Int32(digit &- UInt8(ascii: "0")))
            guard !isTooMuch, !isOver else { return nil }
            value = sum
        }
        self = value
    }
}
