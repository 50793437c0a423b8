internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What `/proc` says of how processes belong together: parents, children, sessions, pipes, owners.
extension ProcFile {
    /// What `/proc/<pid>/status` says.
    package struct Relations: Sendable {
        /// The process (thread group).
        var process: Int32
        /// What it is called, as `comm` has it; nil when that has to be read there.
        var name: String?
        var parent: Int32
        var session: Int32
        /// The rights with which it reads files; nil when there are more groups than were read.
        var rights: UserRights?
    }

    /// How a process, or one of its threads, belongs to others; nil when it is gone.
    package static func facts(of thread: Int32) -> Relations? {
        withStatus(of: thread) { status in
            guard let process = status.process, let parent = status.parent else { return nil }
            return Relations(
                process: process, name: status.name, parent: parent, session: status.session, rights: status.rights)
        }
    }

    /// How a process belongs to others, from the same file; nil when it is gone.
    package static func kin(of process: Int32) -> ProcessKin? {
        withStatus(of: process) { kin(of: process, inStatus: $0.text) }
    }

    /// Reads a status file (proc_pid_status(5)).
    package static func kin(of process: Int32, inStatus text: UnsafeRawBufferPointer) -> ProcessKin? {
        let status = StatusText(text: text)
        guard let parent = status.parent, let users: [UInt32] = status.numbers("Uid:"), users.count == 4 else {
            return nil
        }
        let stops: UInt64 = [SIGTSTP, SIGTTIN, SIGTTOU].reduce(0) { $0 | 1 << UInt64($1 - 1) }
        return ProcessKin(
            parent: parent, session: status.session, user: users[1],
            isAtPrompt: status.number("NSpgid:") == process && (status.ignoredSignals ?? 0) & stops == stops)
    }

    /// The parent; nil when the process is gone or has none that is seen.
    package static func parent(of process: Int32) -> Int32? {
        withStatus(of: process, atMost: 512, \.parent).flatMap { $0 > 0 ? $0 : nil }
    }

    /// What `/proc/<pid>/stat` says that `status` does not.
    package struct Descent: Sendable, Hashable {
        /// Who made it, or took it over.
        package var parent: Int32
        /// Its session (setsid(2)).
        package var session: Int32
        /// Its process group (setpgid(2)).
        package var group: Int32
        /// Whether it has become a program of its own since it was made (`PF_FORKNOEXEC` of include/linux/sched.h is gone then).
        package var isProgram: Bool
        /// When it was made, in ticks since the machine's start.
        package var start: UInt64
        /// Names its memory; nil when that is not shown, and of a process that has given it up.
        package var memory: MemoryID?
    }

    /// What was seen so long ago, in nanoseconds, was seen within the same request.
    static let moment: UInt64 = 1_000_000

    /// What `stat` said of a process at one time.
    package struct Sight: Sendable {
        package let origin: Descent
        /// As `comm` has it.
        package let name: String
        /// On the monotonic clock.
        private let time = Clock.monotonic()

        init(_ origin: Descent, _ name: String) { (self.origin, self.name) = (origin, name) }

        /// Whether that was a moment ago.
        var isNew: Bool { Clock.monotonic() &- time < ProcFile.moment }
    }

    /// Tells the memory of a program from that of another: where the kernel put its stack and its heap, which it draws by lot for each program that
    /// is run, and which a process has from the one that made it as long as it has not run another (`randomize_stack_top`, `arch_randomize_brk`).
    package struct MemoryID: Sendable, Hashable {
        private let stack: UInt64
        private let heap: UInt64

        init?(stack: UInt64, heap: UInt64) {
            guard stack > 1, heap > 0 else { return nil }
            (self.stack, self.heap) = (stack, heap)
        }
    }

    /// Where a process comes from; nil when it is gone.
    ///
    /// By a worker of the mount only of a process one of whose threads waits for our answer, to a request that is no close: nobody runs
    /// another program in it meanwhile, for which reading `stat` would wait (`WriterEnding.of`). Of its parent that is not known.
    package static func origin(of process: Int32) -> Descent? {
        withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) { buffer -> Descent? in
            read(process, "stat", into: buffer).flatMap(origin(inStat:))
        }
    }

    /// The same with its name, as `comm` has it.
    package static func sight(of process: Int32) -> Sight? {
        withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) { buffer -> Sight? in
            guard let line = read(process, "stat", into: buffer), let origin = origin(inStat: line),
                let begin = line.firstIndex(of: UInt8(ascii: "(")), let end = line.lastIndex(of: UInt8(ascii: ")")),
                begin < end
            else { return nil }
            return Sight(origin, String(decoding: line[(begin + 1)..<end], as: UTF8.self))
        }
    }

    /// What a process waits for.
    enum Wait {
        /// Something else: another process, a clock.
        case none
        /// Nothing: a thread of it goes on, and may wait for anything in a moment.
        case runs
        /// What comes through a pipe, in a thread.
        case onPipe(thread: Int32)
        /// One of several things.
        case several
    }

    /// What one of a process's threads waits for, as far as that can be read (proc_pid_wchan(5): the name of a function of the kernel, such as
    /// `anon_pipe_read`, `pipe_read`, `do_poll`, `do_select`, `ep_poll`). Waits for nothing.
    static func wait(of process: Int32) -> Wait {
        var found = Wait.none
        for task in SystemCall.numbers(ofProcess: process, "task", most: mostTasks) {
            withUnsafeTemporaryAllocation(byteCount: 128, alignment: 1) { buffer in
                guard let text = read(task, "wchan", into: buffer) else { return }
                if SystemCall.contains(text, "pipe_read") { found = .onPipe(thread: task) }
                switch found {
                case .none, .runs:
                    if SystemCall.contains(text, "poll") || SystemCall.contains(text, "select") {
                        found = .several
                    } else if text.elementsEqual("0".utf8) {
                        found = .runs
                    }
                case .several, .onPipe: break
                }
            }
            if case .onPipe = found { return found }
        }
        return found
    }

    private static let mostTasks = 32

    /// The descriptor that a thread reads from at this moment; nil when it does not, or that is not shown (proc_pid_syscall(5)). May wait for the process.
    static func descriptorRead(by thread: Int32) -> Int32? {
        withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer -> Int32? in
            guard let text = read(thread, "syscall", into: buffer) else { return nil }
            let words = text.split(separator: UInt8(ascii: " "), maxSplits: 2)
            guard words.count > 2, let call = Int(String(decoding: words[0], as: UTF8.self)),
                SystemCall.isRead(call),
                let descriptor = UInt64(String(decoding: words[1].dropFirst(2), as: UTF8.self), radix: 16)
            else { return nil }
            return Int32(exactly: descriptor)
        }
    }

    /// Whether a process has not ended.
    static func isAlive(_ process: Int32) -> Bool {
        withStatus(of: process, atMost: 512, \.state).map { $0 != UInt8(ascii: "Z") && $0 != UInt8(ascii: "X") }
            ?? false
    }

    /// Whether a thread waits for something: no processor, but a lock, a file, another process.
    static func isAsleep(_ thread: Int32) -> Bool {
        withStatus(of: thread, atMost: 512, \.state).map { $0 == UInt8(ascii: "S") || $0 == UInt8(ascii: "D") } ?? false
    }

    /// A descriptor of a process.
    struct OpenDescriptor {
        let number: Int32
        /// What it is, as proc_pid_fd(5) shows it.
        let target: [UInt8]
        /// Names a pipe: its inode number, or what ``fifo(_:_:)`` makes of a named one.
        let pipe: UInt64?
        /// False of a standard stream that is neither a pipe nor such a file.
        let (isRead, isWritten): (Bool, Bool)
        /// Whether another program would not have it, where that was asked; known of none below 3, which hardly ever is.
        let isClosedOnExec: Bool
    }

    /// The flag `O_CLOEXEC` of a descriptor (proc_pid_fdinfo(5)); of one that is gone meanwhile too, as it is when another program is run.
    private static func isClosedOnExec(_ process: Int32, _ descriptor: Int32) -> Bool {
        guard let file = SystemCall.openDescriptorInfo(ofProcess: process, descriptor: descriptor) else { return true }
        defer { SystemCall.close(file) }
        return withUnsafeTemporaryAllocation(byteCount: 128, alignment: 1) { buffer -> Bool in
            guard let count = try? SystemCall.read(file, into: buffer) else { return true }
            let text = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])
            return (StatusText(text: text).octal("flags:\t") ?? 0) & UInt64(O_CLOEXEC) != 0
        }
    }

    /// The descriptors of a process that are pipes, files below a directory, or standard streams; empty when that is not shown. Waits for nothing.
    ///
    /// - Parameters:
    ///   - place: the directory's path, with a slash at the end; nil when files do not count.
    ///   - seesFlags: whether it is asked which of them another program would not have.
    static func descriptors(of process: Int32, below place: [UInt8]?, seesFlags: Bool) -> [OpenDescriptor] {
        SystemCall.numbers(ofProcess: process, "fd", most: mostDescriptors).compactMap { number in
            // Each question is a system call, and most descriptors are neither.
            guard let target = SystemCall.target(ofProcess: process, descriptor: number) else { return nil }
            let isFile = place.map { target.starts(with: $0) } ?? false
            let pipe = pipeNumber(target) ?? (isFile ? nil : fifo(process, number, target))
            guard pipe != nil || isFile else {
                guard number <= STDERR_FILENO else { return nil }
                return OpenDescriptor(
                    number: number, target: target, pipe: nil, isRead: false, isWritten: false, isClosedOnExec: false)
            }
            // The link's own mode says how it was opened.
            guard let mode = SystemCall.mode(ofProcess: process, descriptor: number) else { return nil }
            return OpenDescriptor(
                number: number, target: target, pipe: pipe, isRead: mode & S_IRUSR != 0, isWritten: mode & S_IWUSR != 0,
                isClosedOnExec: seesFlags && number > STDERR_FILENO && isClosedOnExec(process, number))
        }
    }

    /// Names the named pipe that a descriptor is; nil when it is none. What is shown by a path can be one, and is asked for what it is, devices
    /// aside; who shows it is not.
    private static func fifo(_ process: Int32, _ descriptor: Int32, _ target: [UInt8]) -> UInt64? {
        guard target.first == UInt8(ascii: "/"), !target.starts(with: "/dev/".utf8),
            let found = SystemCall.kind(ofProcess: process, descriptor: descriptor),
            found.mode & S_IFMT == S_IFIFO
        else { return nil }
        var hasher = Hasher()
        hasher.combine(found.device)
        hasher.combine(found.number)
        return UInt64(UInt(bitPattern: hasher.finalize())) | fifoMark
    }

    /// The numbers of pipes are less: of 32 bits (`get_next_ino`, fs/inode.c).
    static let fifoMark: UInt64 = 1 << 63

    /// Whether a pipe has a name: then it outlives who has it open.
    static func isFifo(_ pipe: UInt64) -> Bool { pipe & fifoMark != 0 }

    /// Whether a process has any descriptor, as far as that is shown. Waits for nothing.
    static func hasDescriptors(_ process: Int32) -> Bool {
        !SystemCall.numbers(ofProcess: process, "fd", most: 1).isEmpty
    }

    /// Reads a stat line (proc_pid_stat(5)).
    package static func origin(inStat line: UnsafeRawBufferPointer) -> Descent? {
        // The command may hold anything, parentheses too: fields count from the last one, and the next is the third.
        guard let name = line.lastIndex(of: UInt8(ascii: ")")), var next = line.baseAddress else { return nil }
        let end = next + line.count
        next += name + 1
        /// The fields are asked for in their order.
        var field = 2
        func number<Number: FixedWidthInteger>(_ wanted: Int) -> Number? {
            while field < wanted {
                guard next < end, let space = memchr(next, 32, end - next) else { return nil }
                next = UnsafeRawPointer(space) + 1
                field += 1
            }
            guard next < end else { return nil }
            let length = memchr(next, 32, end - next).map { UnsafeRawPointer($0) - next } ?? end - next
            return ProcFile.number(UnsafeRawBufferPointer(start: next, count: length)).flatMap(Number.init(exactly:))
        }
        guard let parent: Int32 = number(4), let group: Int32 = number(5), let session: Int32 = number(6),
            let flags: UInt64 = number(9),
            let start: UInt64 = number(22)
        else { return nil }
        let memory = number(28).flatMap { stack in number(47).flatMap { MemoryID(stack: stack, heap: $0) } }
        return Descent(
            parent: parent, session: session, group: group, isProgram: flags & 0x40 == 0, start: start, memory: memory)
    }

    /// Where a link of `/proc/<pid>` leads, as text; nil when that is not shown.
    static func link(_ process: Int32, _ name: String) -> String? {
        guard process > 0, let target = try? SystemCall.linkTarget(atPath: "/proc/\(process)/\(name)") else {
            return nil
        }
        return NameText.text(target)
    }

    /// A file of `/proc/<pid>`, or its beginning; nil when it is not shown.
    static func whole(_ process: Int32, _ name: StaticString, atMost most: Int) -> [UInt8]? {
        guard let file = SystemCall.openProcFile(process, name) else { return nil }
        defer { SystemCall.close(file) }
        var bytes: [UInt8] = []
        while bytes.count < most {
            guard let next = try? SystemCall.bytes(file, atMost: min(most - bytes.count, 1 << 16)) else { return nil }
            if next.isEmpty { break }
            bytes.append(contentsOf: next)
        }
        return bytes
    }

    /// The processes that a process has made and that are there, zombies too; empty when that is not shown.
    package static func children(of process: Int32) -> [Int32] {
        var children: [Int32] = []
        // Most have one thread.
        let tasks =
            SystemCall.hasOneThread(process)
            ? [process] : SystemCall.numbers(ofProcess: process, "task", most: mostSeen)
        for task in tasks where children.count < mostSeen {
            guard let file = SystemCall.openProcFile(process, task: task, "children") else { continue }
            defer { SystemCall.close(file) }
            guard let text = try? SystemCall.bytes(file, atMost: 16384) else { continue }
            for word in text.split(separator: UInt8(ascii: " ")) {
                if let child = Int32(String(decoding: word, as: UTF8.self)) { children.append(child) }
            }
        }
        return children
    }

    /// Of one process more is not looked at.
    private static let mostSeen = 4096
    /// A program of a pipeline has a few; what has thousands is a service.
    private static let mostDescriptors = 256

    /// The pipe that a process has as a descriptor, by its inode number; nil when it is none, or not shown.
    package static func pipeNumber(ofProcess process: Int32, descriptor: Int32) -> UInt64? {
        SystemCall.target(ofProcess: process, descriptor: descriptor).flatMap(pipeNumber)
    }

    /// The number in `pipe:[7]`.
    private static func pipeNumber(_ target: [UInt8]) -> UInt64? {
        guard target.starts(with: "pipe:[".utf8), target.last == UInt8(ascii: "]") else { return nil }
        return UInt64(String(decoding: target.dropFirst(6).dropLast(), as: UTF8.self))
    }

    /// Whose a thread is: the owner of its directory in `/proc`; nil when it is gone.
    package static func owner(ofThread thread: Int32) -> UInt32? {
        guard thread > 0 else { return nil }
        return (try? SystemCall.attributes(atPath: "/proc/\(thread)"))?.st_uid
    }
}
