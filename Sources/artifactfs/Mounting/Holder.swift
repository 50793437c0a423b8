import ArgumentParser
import Glibc
import SystemCalls
import SystemPackage

/// A process that has something of a mount open.
struct Holder {
    let process: Int32
    let command: String
    let path: String

    /// What of a mount a process has open: directories, descriptors, mappings. May block for ever, see `HolderSearch`.
    static func path(heldBy process: Int32, on mountPoint: String) -> String? {
        func isOn(_ target: String) -> Bool { target == mountPoint || target.hasPrefix(mountPoint + "/") }
        let base = "/proc/\(process)/"
        if let held = ["cwd", "root", "exe"].lazy.compactMap({ Paths.link(base + $0) }).first(where: isOn) {
            return held
        }
        if let held = Paths.names(base + "fd").lazy.compactMap({ Paths.link(base + "fd/" + $0) }).first(where: isOn) {
            return held
        }
        guard let maps = Paths.contents(base + "maps") else { return nil }
        return String(decoding: maps, as: UTF8.self).split(separator: "\n").lazy
            .compactMap { line in line.firstIndex(of: "/").map { String(line[$0...]) } }.first(where: isOn)
    }

    /// The name of a process's program. Reading it waits for nobody.
    static func command(of process: Int32) -> String {
        Paths.contents("/proc/\(process)/comm").map { String(decoding: $0.dropLast(), as: UTF8.self) } ?? "?"
    }
}

/// Another place that a mount is still mounted at: the driver serves until it is gone from there too.
struct OtherMounts {
    /// Nil when it is in this program's own mount namespace.
    private let process: (number: Int32, command: String)?
    private let path: String

    /// Looks at what other mount namespaces have (mount_namespaces(7)), and at bind mounts.
    static func holding(_ mount: MountEntry) -> OtherMounts? {
        // A device's number is another mount's as soon as the last one of this is gone.
        let isSame: @Sendable (MountEntry) -> Bool = { [device = mount.device, source = mount.source] in
            $0.device == device && $0.source == source && $0.isArtifacts
        }
        if let own = MountEntry.all().first(where: isSame) {
            return OtherMounts(process: nil, path: own.mountPoint)
        }
        let found = Patience.find { () -> [UInt8] in
            var seen: Set<String> = []
            for process in Paths.names("/proc").compactMap({ Int32($0) }).sorted() {
                // Most processes are in one of few namespaces.
                if let space = Paths.link("/proc/\(process)/ns/mnt"), !seen.insert(space).inserted { continue }
                if let other = MountEntry.all(of: String(process)).first(where: isSame) {
                    return Array("\(process) \(other.mountPoint)".utf8)
                }
            }
            return []
        }
        let parts = String(decoding: found ?? [], as: UTF8.self).split(separator: " ", maxSplits: 1)
        guard parts.count == 2, let process = Int32(parts[0]) else { return nil }
        return OtherMounts(process: (process, Holder.command(of: process)), path: String(parts[1]))
    }

    /// - Parameter driver: such as "its driver, process 7,".
    func failure(_ unmounted: String, _ driver: String) -> Failure {
        guard let process else {
            return Failure(
                .busy,
                "\(unmounted) is unmounted, but the same mount is still at \(path), so \(driver) goes on; "
                    + "unmount that too: 'artifactfs unmount \(path)'")
        }
        return Failure(
            .busy,
            "\(unmounted) is unmounted here, but the mount namespace of process \(process.number) (\(process.command)) still has it "
                + "at \(path), so \(driver) goes on; end that process, or unmount it there: "
                + "'nsenter --mount=/proc/\(process.number)/ns/mnt umount \(path)'")
    }
}

/// Who holds a mount, as far as that can be found out in a bounded time.
///
/// Looking at a process that hangs in `execve` waits as long as it hangs, for ever when a FUSE mount does (`exec_update_lock`), and
/// then not even SIGKILL ends the one who looks. So a process of our own looks, says at whom it looks next, and is left alone when
/// it says no more; another goes on behind that process.
struct HolderSearch {
    private(set) var holders: [Holder] = []
    /// Processes that could not be looked at, with their programs.
    private(set) var unseen: [(process: Int32, command: String)] = []
    /// Whether time was left to look at all others.
    private(set) var isComplete = false

    /// How long one process may take, and all together, in milliseconds.
    private static let patience: Int64 = 2_000
    private static let limit: Int64 = 12_000

    /// Looks through `/proc`.
    init(on mountPoint: String) {
        let end = Patience.now() + Self.limit
        var last: Int32 = 0
        while Patience.now() < end {
            switch look(on: mountPoint, after: last, until: end) {
            case .finished:
                isComplete = true
                return
            case .stuck(let process, let command):
                unseen.append((process, command))
                last = process
            case .failed: return
            }
        }
    }

    private enum Ending {
        case finished
        case stuck(Int32, String)
        case failed
    }

    /// Starts the process that looks, and listens to it.
    private mutating func look(on mountPoint: String, after last: Int32, until end: Int64) -> Ending {
        guard let (searcher, output) = Self.start([HoldersCommand.name, "--after", String(last), "--", mountPoint])
        else { return .failed }
        defer {
            SystemCall.close(output)
            // Never waited for: it may be past killing.
            kill(searcher, SIGKILL)
            SystemCall.collect(searcher)
        }
        var current: (process: Int32, command: String)?
        var rest: [UInt8] = []
        while true {
            let last = min(Patience.now() + Self.patience, end)
            let isTime = last > Patience.now()
            let ready = isTime ? try? SystemCall.waitToRead(output, milliseconds: { last - Patience.now() }) : false
            guard ready == true else { return current.map { .stuck($0.process, $0.command) } ?? .failed }
            guard let more = try? SystemCall.bytes(output, atMost: 4096), !more.isEmpty else { return .failed }
            rest += more
            while let stop = rest.firstIndex(of: 0) {
                let record = String(decoding: rest[..<stop], as: UTF8.self)
                rest.removeSubrange(...stop)
                guard let (kind, process, text) = Self.parse(record) else { return .finished }
                if kind == "?" {
                    current = (process, text)
                } else {
                    holders.append(Holder(process: process, command: current?.command ?? "?", path: text))
                }
            }
        }
    }

    /// `? PROCESS PROGRAM` is looked at now, `+ PROCESS PATH` holds the mount; the end is an empty record.
    private static func parse(_ record: String) -> (kind: Substring, process: Int32, text: String)? {
        let parts = record.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let process = Int32(parts[1]) else { return nil }
        return (parts[0], process, String(parts[2]))
    }

    /// Starts this binary again.
    ///
    /// - Returns: the process, and where it writes to.
    private static func start(_ arguments: [String]) -> (process: pid_t, output: FileDescriptor)? {
        guard let ends = try? SystemCall.makePipe() else { return nil }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends.writing.rawValue, 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var argv: [UnsafeMutablePointer<CChar>?] = (["artifactfs"] + arguments).map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        var process = pid_t()
        let result = posix_spawn(&process, "/proc/self/exe", &actions, nil, argv, environ)
        SystemCall.close(ends.writing)
        guard result == 0 else {
            SystemCall.close(ends.reading)
            return nil
        }
        return (process, ends.reading)
    }
}

/// The process that looks, for `unmount` only.
struct HoldersCommand: ParsableCommand {
    static let name = "holders"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)

    @Option var after: Int32
    @Argument var mountpoint: String

    func run() throws {
        let own = [getpid(), getppid()]
        for process in Paths.names("/proc").compactMap({ Int32($0) }).sorted()
        where process > after && !own.contains(process) {
            say("? \(process) \(Holder.command(of: process))")
            if let path = Holder.path(heldBy: process, on: mountpoint) { say("+ \(process) \(path)") }
        }
        say("")
    }

    private func say(_ record: String) {
        try? SystemCall.write(FileDescriptor(rawValue: 1), Array(record.utf8) + [0])
    }
}
