import Glibc
import SystemCalls
import SystemPackage

/// The process that serves a mount, as this program sees it: never by asking the mount, and not by the number that the driver gives
/// itself, which is another process's here when the driver is in another pid namespace.
struct DriverProcess {
    let process: Int32
    /// `/proc/PROCESS`, which stays this process's when its number is given to another.
    private let directory: FileDescriptor

    /// Looks for the driver of a mount.
    ///
    /// - Parameter ownNumber: the driver's process as the driver knows it, where it has said so.
    /// - Returns: nil when it has ended, or runs where this program may not look: in another pid namespace, or under `hidepid`.
    static func serving(_ mount: MountEntry, ownNumber: Int64? = nil) -> DriverProcess? {
        let found = Patience.find { Array((search(mount, ownNumber).map(String.init) ?? "").utf8) }
        guard let found, let process = Int32(String(decoding: found, as: UTF8.self)) else { return nil }
        return DriverProcess(process)
    }

    /// - Returns: nil when there is none of that number.
    init?(_ process: Int32) {
        let path = "/proc/\(process)"
        guard let directory = try? SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY) else {
            return nil
        }
        (self.process, self.directory) = (process, directory)
    }

    private enum Connection: Equatable { case this, another, unknown }

    /// By the kernel's word for which connection a process has open. Where it has none, by the number that the driver has in its own
    /// namespace, or by its arguments.
    private static func search(_ mount: MountEntry, _ ownNumber: Int64?) -> Int32? {
        let own = [getpid(), getppid()]
        var candidates: [Int32] = []
        for process in Paths.names("/proc").compactMap({ Int32($0) }).sorted()
        where !own.contains(process) && Holder.command(of: process) == "artifactfs" {
            switch connection(of: process, mount) {
            case .this: return process
            case .another: break
            case .unknown: candidates.append(process)
            }
        }
        return candidates.first { process in
            let base = "/proc/\(process)/"
            if let ownNumber {
                let status = String(decoding: Paths.contents(base + "status") ?? [], as: UTF8.self)
                let numbers = status.split(separator: "\n").first { $0.hasPrefix("NSpid:") }?.split(separator: "\t")
                return numbers?.last.map { $0 == String(ownNumber) } ?? false
            }
            let arguments = (Paths.contents(base + "cmdline") ?? []).split(separator: 0)
            return arguments.contains { $0.elementsEqual("--foreground".utf8) }
                && arguments.contains { $0.elementsEqual(mount.wholeMountPoint.utf8) }
        }
    }

    /// Of which mount a process has the kernel's device open: `fuse_dev_show_fdinfo` in fs/fuse/dev.c, on newer kernels, for who may look.
    private static func connection(of process: Int32, _ mount: MountEntry) -> Connection {
        let base = "/proc/\(process)/"
        let descriptors = Paths.names(base + "fd")
        if descriptors.isEmpty { return .unknown }
        var result = Connection.another
        for descriptor in descriptors where Paths.link(base + "fd/" + descriptor) == "/dev/fuse" {
            result = .unknown
            let text = Paths.contents(base + "fdinfo/" + descriptor) ?? []
            for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
                let fields = line.split { $0 == "\t" || $0 == " " }
                guard fields.first == "fuse_connection:", let minor = fields.last else { continue }
                return mount.device.hasSuffix(":\(minor)") ? .this : .another
            }
        }
        return result
    }

    enum State { case running, stopped, ended }

    /// What it does now (proc_pid_stat(5)).
    var state: State {
        guard let stat = try? SystemCall.open(directory, "stat", O_RDONLY) else {
            return .ended
        }
        defer { SystemCall.close(stat) }
        // The program's name, in parentheses, may have any in it.
        guard let text = try? SystemCall.bytes(stat, atMost: 512), let end = text.lastIndex(of: UInt8(ascii: ")")),
            end + 2 < text.count
        else { return .ended }
        switch text[end + 2] {
        case UInt8(ascii: "Z"), UInt8(ascii: "X"): return .ended
        case UInt8(ascii: "T"), UInt8(ascii: "t"): return .stopped
        default: return .running
        }
    }

    /// Why a mount does not answer, and what to do: a clause for people, to follow on "does not answer".
    static func obstacle(to mount: MountEntry) -> String {
        let path = mount.wholeMountPoint
        let detach =
            "detach it with 'artifactfs unmount --lazy \(path)': what was being written stays staged for the next mount"
        guard let driver = serving(mount) else { return "this program cannot see its driver; \(detach)" }
        if driver.state == .stopped {
            return "its driver, process \(driver.process), is stopped; "
                + "let it go on with 'kill -CONT \(driver.process)', or \(detach)"
        }
        return "its driver, process \(driver.process), runs but is busy or stuck; try again, or \(detach)"
    }
}
