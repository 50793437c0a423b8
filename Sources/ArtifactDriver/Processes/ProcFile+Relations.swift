internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What `/proc` says of how processes belong together: parents, children, sessions, pipes, owners.
extension ProcFile {
    /// What `/proc/<pid>/status` says: reading it waits for nothing, as `stat` may (`WriterEnding.of`).
    struct Relations {
        var parent: Int32
        var session: Int32
    }

    /// The parent and the session; nil when the process is gone.
    static func facts(of process: Int32) -> Relations? {
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
    static func parent(of process: Int32) -> Int32? {
        facts(of: process).flatMap { $0.parent > 0 ? $0.parent : nil }
    }

    /// The processes that a process has made and that are there, zombies too; empty when that is not shown.
    static func children(of process: Int32) -> [Int32] {
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
    static func pipeNumber(ofProcess process: Int32, descriptor: Int32) -> UInt64? {
        guard process > 0, let target = try? SystemCall.linkTarget(atPath: "/proc/\(process)/fd/\(descriptor)") else {
            return nil
        }
        let text = String(decoding: target, as: UTF8.self)
        guard text.hasPrefix("pipe:["), text.hasSuffix("]") else { return nil }
        return UInt64(text.dropFirst(6).dropLast())
    }

    /// The pipes that a process can write to, by their inode numbers.
    static func pipesWritten(byProcess process: Int32) -> [UInt64] {
        let place = "/proc/\(process)/fd"
        return numbers(in: place).prefix(mostDescriptors).compactMap { descriptor in
            guard let pipe = pipeNumber(ofProcess: process, descriptor: descriptor),
                // The link's own mode says how it was opened (proc_pid_fd(5)).
                let link = try? SystemCall.look(SystemCall.currentDirectory, "\(place)/\(descriptor)"),
                link.attributes.st_mode & S_IWUSR != 0
            else { return nil }
            return pipe
        }
    }

    /// Whose a thread is: the owner of its directory in `/proc`; nil when it is gone.
    static func owner(ofThread thread: Int32) -> UInt32? {
        guard thread > 0 else { return nil }
        return (try? SystemCall.attributes(atPath: "/proc/\(thread)"))?.st_uid
    }
}
