internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What `/proc` says of how processes belong together: parents, children, sessions, pipes, owners.
extension ProcFile {
    /// What `/proc/<pid>/status` says: reading it waits for nothing, as `stat` may (`WriterEnding.of`).
    package struct Relations {
        var parent: Int32
        var session: Int32
    }

    /// The parent and the session; nil when the process is gone.
    package static func facts(of process: Int32) -> Relations? {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer -> Relations? in
            guard let text = read(process, "status", into: buffer), let parent = number("\nPPid:\t", in: text) else {
                return nil
            }
            return Relations(parent: parent, session: number("\nNSsid:\t", in: text) ?? 0)
        }
    }

    /// The number after a key.
    private static func number(_ key: String, in text: UnsafeRawBufferPointer) -> Int32? {
        let key = Array(key.utf8)
        guard text.count > key.count else { return nil }
        for start in 0..<(text.count - key.count) where text[start] == key[0] {
            guard text[start..<(start + key.count)].elementsEqual(key) else { continue }
            let digits = text[(start + key.count)...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            return Int32(String(decoding: digits, as: UTF8.self))
        }
        return nil
    }

    /// The parent; nil when the process is gone or has none that is seen.
    package static func parent(of process: Int32) -> Int32? {
        facts(of: process).flatMap { $0.parent > 0 ? $0.parent : nil }
    }

    /// What `/proc/<pid>/stat` says that `status` does not.
    package struct Descent: Sendable {
        /// Who made it, or took it over.
        package var parent: Int32
        /// Its session (setsid(2)).
        package var session: Int32
        /// Whether it has become a program of its own since it was made (`PF_FORKNOEXEC` of include/linux/sched.h is gone then).
        package var isProgram: Bool
        /// When it was made, in ticks since the machine's start.
        package var start: UInt64
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

    /// Reads a stat line (proc_pid_stat(5)).
    package static func origin(inStat line: UnsafeRawBufferPointer) -> Descent? {
        // The command may hold anything, parentheses too: fields count from the last one, and the next is the third.
        guard let end = line.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = line[(end + 1)...].split(separator: UInt8(ascii: " "), maxSplits: 21)
        func number<Number: FixedWidthInteger>(_ field: Int) -> Number? {
            fields.count > field - 3 ? Number(String(decoding: fields[field - 3], as: UTF8.self)) : nil
        }
        guard let parent: Int32 = number(4), let session: Int32 = number(6), let flags: UInt64 = number(9),
            let start: UInt64 = number(22)
        else { return nil }
        return Descent(parent: parent, session: session, isProgram: flags & 0x40 == 0, start: start)
    }

    /// Where a link of `/proc/<pid>` leads, as text; nil when that is not shown.
    static func link(_ process: Int32, _ name: String) -> String? {
        guard process > 0, let target = try? SystemCall.linkTarget(atPath: "/proc/\(process)/\(name)") else {
            return nil
        }
        return ShownText.text(target)
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
        for task in numbers(in: "/proc/\(process)/task") where children.count < mostSeen {
            let path = "/proc/\(process)/task/\(task)/children"
            guard let file = try? SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY) else { continue }
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

    /// The names in a directory of `/proc` that are numbers.
    private static func numbers(in path: String) -> [Int32] {
        guard let directory = try? SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY) else {
            return []
        }
        defer { SystemCall.close(directory) }
        var numbers: [Int32] = []
        try? SystemCall.forEachName(in: directory) { name, _, _ throws(Errno) in
            if numbers.count < mostSeen, let number = Int32(String(cString: name)) { numbers.append(number) }
        }
        return numbers
    }

    /// The pipe that a process has as a descriptor, by its inode number; nil when it is none, or not shown.
    package static func pipeNumber(ofProcess process: Int32, descriptor: Int32) -> UInt64? {
        guard process > 0, let target = try? SystemCall.linkTarget(atPath: "/proc/\(process)/fd/\(descriptor)") else {
            return nil
        }
        let text = String(decoding: target, as: UTF8.self)
        guard text.hasPrefix("pipe:["), text.hasSuffix("]") else { return nil }
        return UInt64(text.dropFirst(6).dropLast())
    }

    /// The pipes that a process can read from and write to, by their inode numbers.
    package static func pipes(ofProcess process: Int32) -> (read: [UInt64], written: [UInt64]) {
        let place = "/proc/\(process)/fd"
        var (read, written): ([UInt64], [UInt64]) = ([], [])
        for descriptor in numbers(in: place).prefix(mostDescriptors) {
            guard let pipe = pipeNumber(ofProcess: process, descriptor: descriptor),
                // The link's own mode says how it was opened (proc_pid_fd(5)).
                let link = try? SystemCall.look(SystemCall.currentDirectory, "\(place)/\(descriptor)")
            else { continue }
            if link.attributes.st_mode & S_IRUSR != 0 { read.append(pipe) }
            if link.attributes.st_mode & S_IWUSR != 0 { written.append(pipe) }
        }
        return (read, written)
    }

    /// Whose a thread is: the owner of its directory in `/proc`; nil when it is gone.
    package static func owner(ofThread thread: Int32) -> UInt32? {
        guard thread > 0 else { return nil }
        return (try? SystemCall.attributes(atPath: "/proc/\(thread)"))?.st_uid
    }
}
