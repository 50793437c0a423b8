import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// One line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
struct MountEntry {
    /// `major:minor`
    let device: String
    let mountPoint: String
    let options: [String]
    let type: String
    let source: String
    /// Who mounted it, of a FUSE mount.
    let user: UInt32?
    /// The mount's own mount point, where this is one of the stores that a mount of several shows.
    var whole: String?

    /// Every mount that this process sees, the newest last.
    static func all(of process: String = "self") -> [MountEntry] {
        let text = Paths.contents("/proc/\(process)/mountinfo").map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ").map(String.init)
            guard fields.count >= 10, let dash = fields.firstIndex(of: "-"), dash + 2 < fields.count else { return nil }
            return MountEntry(
                device: fields[2], mountPoint: decoded(fields[4]),
                options: fields[5].split(separator: ",").map(String.init), type: fields[dash + 1],
                source: decoded(fields[dash + 2]),
                user: fields.dropFirst(dash + 3).joined(separator: ",").split(separator: ",").lazy
                    .compactMap { $0.hasPrefix("user_id=") ? UInt32($0.dropFirst("user_id=".count)) : nil }.first)
        }
    }

    /// The mounts of artifactfs.
    static func artifacts() -> [MountEntry] { all().filter(\.isArtifacts) }

    /// How a mount's driver does.
    enum Health { case alive, dead, silent }

    /// Whether the driver answers. `statfs` always asks it, where `stat` may be answered from the kernel's memory.
    var health: Health {
        let path = mountPoint
        let code = Patience.code(on: self) { () throws(Errno) in _ = try SystemCall.statistics(atPath: path) }
        return switch code {
        case nil: .silent
        case ENOTCONN: .dead
        default: .alive
        }
    }

    /// Why a path does not answer.
    static func silence(on path: String) -> Failure {
        // Another file system of a network or of a driver may be as silent.
        guard let mount = holding(path), mount.isArtifacts else {
            return Failure(.silent, "\(path) does not answer: it leads through a mount that hangs")
        }
        return mount.silence
    }

    /// That this mount does not answer, why, and what to do.
    var silence: Failure {
        Failure(.silent, "the mount at \(mountPoint) does not answer: \(DriverProcess.obstacle(to: self))")
    }

    var isArtifacts: Bool { type == "fuse.artifactfs" || type == Self.rootType || type == "artifactfs" }

    /// Of a mount of several stores.
    private static let rootType = "fuse." + rootSubtype
    static let rootSubtype = "artifactfs-root"

    /// Whether it shows the stores below a directory, and this is not one of them.
    var isRoot: Bool { type == Self.rootType && whole == nil }

    /// The mount's own mount point.
    var wholeMountPoint: String { whole ?? mountPoint }

    /// Who mounted it, by name where there is one.
    var owner: String {
        guard let user else { return "another user" }
        guard let entry = getpwuid(user), let name = entry.pointee.pw_name else { return "user \(user)" }
        return String(cString: name)
    }

    /// The mount whose root is `path`, the topmost.
    static func at(_ path: String) -> MountEntry? { all().last { $0.mountPoint == path } }

    /// The mount that a path is on, by the longest mount point; of one of several stores the store that the path is in.
    static func holding(_ path: String) -> MountEntry? {
        guard let mount = on(path) else { return nil }
        return mount.isRoot ? mount.store(holding: path) ?? mount : mount
    }

    /// One of the stores that this mount shows: its driver says of a directory whether it is one.
    private func store(holding path: String) -> MountEntry? {
        let rest = Paths.rest(of: path, in: mountPoint)
        guard !rest.isEmpty else { return nil }
        let answer = Patience.find(on: self) {
            var place = mountPoint
            for name in rest.split(separator: "/").prefix(RootNames.levels) {
                place += "/" + name
                do throws(Errno) {
                    let store = try SystemCall.extendedAttribute(ArtifactAttribute.store, ofPath: place)
                    return Array(place.utf8) + [0] + store
                } catch {
                    guard error == .noData else { return [] }
                }
            }
            return []
        }
        let parts = (answer ?? []).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        guard parts.count == 2 else { return nil }
        return showing(parts[1], at: Paths.rest(of: parts[0], in: mountPoint))
    }

    /// A store that this mount shows, by its path from the mount point.
    func showing(_ directory: String, at shown: String) -> MountEntry {
        var store = MountEntry(
            device: device, mountPoint: mountPoint + "/" + shown, options: options, type: type, source: directory,
            user: user)
        store.whole = mountPoint
        return store
    }

    /// The mount that a path is on, whatever it shows.
    static func on(_ path: String) -> MountEntry? {
        all().enumerated()
            .filter {
                $0.element.mountPoint == "/" || path == $0.element.mountPoint
                    || path.hasPrefix($0.element.mountPoint + "/")
            }
            .max { ($0.element.mountPoint.utf8.count, $0.offset) < ($1.element.mountPoint.utf8.count, $1.offset) }?
            .element
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
