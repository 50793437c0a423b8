internal import Glibc
internal import SystemCalls

/// A line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)), and what of it is to be looked at.
struct ObservedMount: Hashable {
    let mountPoint: String
    let isReadOnly: Bool
    let type: String
    let source: String
    /// Who mounted it, of a FUSE mount.
    let user: UInt32?

    /// A line; nil for what is none.
    init?(_ line: Substring) {
        let fields: [String] = line.split(separator: " ").map { String($0) }
        guard fields.count >= 10, let dash = fields.firstIndex(of: "-"), dash >= 6, dash + 2 < fields.count else {
            return nil
        }
        mountPoint = Self.decoded(fields[4])
        isReadOnly = fields[5].split(separator: ",").contains("ro")
        (type, source) = (fields[dash + 1], Self.decoded(fields[dash + 2]))
        user =
            fields.dropFirst(dash + 3).joined(separator: ",").split(separator: ",").lazy
            .compactMap { $0.hasPrefix("user_id=") ? UInt32($0.dropFirst("user_id=".count)) : nil }.first
    }

    /// Every mount that this process sees, the newest last.
    static func all() -> [ObservedMount] {
        guard let file = try? SystemCall.open(SystemCall.currentDirectory, "/proc/self/mountinfo", O_RDONLY) else {
            return []
        }
        defer { SystemCall.close(file) }
        var text: [UInt8] = []
        while text.count < 16 << 20, let more = try? SystemCall.bytes(file, atMost: 1 << 16), !more.isEmpty {
            text += more
        }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { (line: Substring) in
            ObservedMount(line)
        }
    }

    /// What is no place for files.
    private static let ofKernel: Set<String> = [
        "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
        "fusectl",
        "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs",
    ]

    var isArtifacts: Bool { type == "fuse.artifactfs" || type == "fuse.artifactfs-root" || type == "artifactfs" }

    /// Whether it may be looked at. What some user's program answers for may never answer, and what this driver answers for asks it by itself.
    var isObserved: Bool {
        if Self.ofKernel.contains(type) { return false }
        guard type.hasPrefix("fuse") || isArtifacts else { return true }
        return user == 0 && (isReadOnly || !isArtifacts)
    }

    /// Whether a path is its mount point or below it.
    func holds(_ path: String) -> Bool {
        mountPoint == "/" || path == mountPoint || path.utf8.starts(with: (mountPoint + "/").utf8)
    }

    /// Blanks, tabs, newlines and backslashes stand as octal escapes.
    private static func decoded(_ field: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension ObservedPlaces {
    /// The paths whose file systems are to be looked at, and the read-only mounts of artifacts.
    ///
    /// - Parameters:
    ///   - mounts: all there are, the newest last.
    ///   - store: the store's directory.
    func watched(among mounts: [ObservedMount], store: String) -> (paths: [String], readOnly: [ObservedMount]) {
        func isObserved(_ path: String) -> Bool {
            let holding = mounts.enumerated().filter { $0.element.holds(path) }.max {
                ($0.element.mountPoint.utf8.count, $0.offset) < ($1.element.mountPoint.utf8.count, $1.offset)
            }
            return holding?.element.isObserved ?? true
        }
        var paths = (directories.isEmpty ? [store, "/home"] : directories).filter(isObserved)
        // What is mounted below.
        for directory in directories {
            for mount in mounts where mount.isObserved && !mount.isArtifacts {
                if mount.mountPoint.utf8.starts(with: (directory == "/" ? directory : directory + "/").utf8) {
                    paths.append(mount.mountPoint)
                }
            }
        }
        return (paths, mounts.filter { $0.isArtifacts && $0.isObserved })
    }
}
