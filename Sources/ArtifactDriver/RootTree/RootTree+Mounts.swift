internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What is mounted below the root: a disk of its own may have stores, a mount of a store is none, and what a user's program answers for may
/// never answer.
extension RootTree {
    /// The number of the mount that a descriptor is on (proc_pid_fdinfo(5)). Nothing is asked of what is mounted.
    static func mount(of descriptor: FileDescriptor) -> UInt64? {
        let text = contents("/proc/self/fdinfo/\(descriptor.rawValue)")
        let line = text.split(separator: "\n").first { $0.hasPrefix("mnt_id:") }
        return line.flatMap { UInt64($0.dropFirst("mnt_id:".count).filter(\.isNumber)) }
    }

    /// Whether a directory is on another mount than the root, which is artifactfs's or a user's own.
    func isSomebodys(_ directory: FileDescriptor) -> Bool {
        guard let mount = Self.mount(of: directory), mount != topMount else { return false }
        let line = Self.contents("/proc/self/mountinfo").split(separator: "\n").first { $0.hasPrefix("\(mount) ") }
        // Mounted and gone meanwhile.
        guard let line else { return true }
        return Self.isSomebodys(line)
    }

    /// By a line of mountinfo (proc_pid_mountinfo(5)).
    static func isSomebodys(_ line: Substring) -> Bool {
        let fields = line.split(separator: " ")
        guard let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count else { return true }
        let options = fields.dropFirst(dash + 3).joined(separator: ",").split(separator: ",")
        let user = options.first { $0.hasPrefix("user_id=") }.flatMap { UInt32($0.dropFirst("user_id=".count)) }
        return RootNames.isSomebodys(type: fields[dash + 1], user: user)
    }

    private static func contents(_ path: String) -> String {
        guard let file = try? SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY) else { return "" }
        defer { SystemCall.close(file) }
        var bytes: [UInt8] = []
        while bytes.count < 16 << 20, let more = try? SystemCall.bytes(file, atMost: 1 << 16), !more.isEmpty {
            bytes += more
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
