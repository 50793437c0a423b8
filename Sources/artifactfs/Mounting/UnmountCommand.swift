import ArgumentParser
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs unmount`
struct UnmountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmount",
        abstract: "Unmount, when everything written is published.",
        discussion: """
            Unmounts, waits until the driver has published what was written, and says what was not published and why. When programs \
            still use the mount it says which. A dead mount ("Transport endpoint is not connected") is cleaned up. No wait is \
            longer than --timeout: then it says who is waited for.
            """)

    @Argument(help: "Where the store is mounted.", completion: .directory)
    var mountpoint: String
    @Flag(name: .long, help: "Detach the mount now, even when programs use it; it goes when they close their files.")
    var lazy = false
    @Option(name: .long, help: "For how many seconds to wait for what is being published.")
    var timeout = 120

    func validate() throws {
        guard (0...86_400).contains(timeout) else { throw ValidationError("--timeout is 0 to 86400 seconds.") }
    }

    func run() throws {
        try reporting {
            let path = try Paths.resolvedDirectory(of: mountpoint)
            guard let mount = try MountEntry.at(path) ?? MountEntry.at(Paths.resolved(path) ?? path) else {
                if let store = MountEntry.holding(path), let whole = store.whole, store.mountPoint == path {
                    throw Failure(
                        .cannotAnswer,
                        "\(path) is one of the stores that the mount at \(whole) shows, and goes with it: 'artifactfs unmount \(whole)'"
                    )
                }
                throw Failure(.cannotAnswer, "\(path) is not a mount point; 'artifactfs status' lists the mounts")
            }
            guard mount.isArtifacts else {
                throw Failure(.cannotAnswer, "\(path) is a mount of \(mount.type), not of artifactfs; use umount")
            }
            // Without a question to the driver, which may hang.
            if lazy { return try detach(mount, isLazy: true) }
            switch mount.health {
            case .alive: break
            case .dead:
                try detach(mount, isLazy: true)
                return Terminal.show("cleaned up the dead mount at \(mount.mountPoint)")
            case .silent: throw mount.silence
            }
            let status = awaitPublishing(mount)
            let driver = DriverProcess.serving(mount, ownNumber: status?.integer("pid"))
            let session = status.flatMap(SessionLock.init)
            try detach(mount, isLazy: false)
            try awaitEnd(of: driver, session, mount)
            guard let status else { return }
            for own in status.ofStores { tellWhatWasKeptBack(own) }
        }
    }

    /// Waits a moment for the publishing under way, so that less is left when the mount goes. The driver itself waits for the rest
    /// before it ends: however much programs go on to publish, this is over soon.
    private func awaitPublishing(_ mount: MountEntry) -> MountStatus? {
        let end = Patience.now() + min(2_000, Int64(timeout) * 1000)
        var last: MountStatus?
        while case .answered(let status)? = MountStatus.ask([mount]).first {
            last = status
            guard (status.integer("publishing") ?? 0) > 0, Patience.now() < end else { break }
            usleep(50_000)
        }
        return last
    }

    private func detach(_ mount: MountEntry, isLazy: Bool) throws {
        let path = mount.mountPoint
        if geteuid() == 0 {
            // A file's last pages may have to be written, by a driver that stopped meanwhile.
            let code = Patience.code(within: 30_000) { () throws(Errno) in
                try Self.tryForAMoment { () throws(Errno) in try SystemCall.unmount(path, detaching: isLazy) }
            }
            guard let code else { throw mount.silence }
            guard code != 0 else { return }
            throw code == EBUSY ? busy(mount, HolderSearch(on: path)) : failure(mount, code)
        } else {
            let status = Program.run(["fusermount3", "-u"] + (isLazy ? ["-z"] : []) + ["--", path], within: 30_000)
            guard let status else { throw mount.silence }
            guard status != 0 else { return }
            guard MountEntry.at(path) != nil else { throw failure(mount, ENOENT) }
            let search = HolderSearch(on: path)
            // fusermount3 says why for people only. Its own user may unmount, so the mount is in use.
            throw search.holders.isEmpty && mount.user != geteuid() ? failure(mount, EPERM) : busy(mount, search)
        }
    }

    /// Whoever looks at a file of the mount keeps it in use for that moment: `ls`, or another driver that sees what a process has open.
    private static func tryForAMoment(_ body: () throws(Errno) -> Void) throws(Errno) {
        for _ in 0..<20 {
            do throws(Errno) { return try body() } catch { guard error == .resourceBusy else { throw error } }
            usleep(10_000)
        }
        try body()
    }

    /// Waits until the driver has ended, or says who keeps it.
    private func awaitEnd(of driver: DriverProcess?, _ session: SessionLock?, _ mount: MountEntry) throws {
        let path = mount.mountPoint
        let start = Patience.now()
        let end = start + Int64(timeout) * 1000
        let who = driver.map { "its driver, process \($0.process)," } ?? "its driver"
        guard driver != nil || session != nil else {
            return Terminal.show(
                "unmounted \(path); this program cannot see its driver, which may run in another pid namespace and may still be "
                    + "publishing what was written")
        }
        func hasEnded() -> Bool { driver.map { $0.state == .ended } ?? session.map { !$0.isHeld } ?? true }
        var pause: UInt32 = 1_000
        var hasLooked = false
        var hasSaid = false
        while !hasEnded() {
            let now = Patience.now()
            if driver?.state == .stopped, now - start > 500 {
                throw Failure(
                    .silent,
                    "\(path) is unmounted, but \(who) is stopped before it has published everything; "
                        + "let it go on with 'kill -CONT \(driver?.process ?? 0)'")
            }
            // What a job in a container has is gone with it, in a moment perhaps.
            if !hasLooked, now - start > 3_000 || now >= end {
                hasLooked = true
                if let other = OtherMounts.holding(mount) { throw other.failure(path, who) }
            }
            if now >= end {
                guard driver != nil else {
                    throw Failure(
                        .silent,
                        "\(path) is unmounted, but after \(timeout) s its driver, which this program cannot see, still has the store: "
                            + "it runs in another pid namespace, and publishes, or the mount is still somewhere else")
                }
                throw Failure(
                    .silent,
                    "\(path) is unmounted, but after \(timeout) s \(who) is still publishing what was written; it goes on "
                        + "and ends by itself. Two signals (kill) end it at once: "
                        + "the rest then stays staged for the next mount")
            }
            if !hasSaid, now - start > 5_000 {
                hasSaid = true
                Terminal.complain("\(path) is unmounted; waiting until \(who) has published what was written")
            }
            usleep(pause)
            pause = min(pause * 2, 50_000)
        }
    }

    /// What of this mount was not published.
    private func tellWhatWasKeptBack(_ status: MountStatus) {
        guard !status.boolean("read_only"), let store = status.string("store"), let id = KeptBack.MountID(status)
        else { return }
        let before = status.integer("quarantined_since_mount") ?? 0
        guard let kept = KeptBack.read(store, of: id) else {
            if before > 0 {
                Terminal.show(
                    "not published: \(before), in the quarantine of \(store), where its next mount shows users their own"
                )
            }
            return
        }
        if !kept.ofMount.isEmpty {
            Terminal.show("not published: \(kept.ofMount.count), kept in \(kept.directory):")
            for file in kept.ofMount.prefix(10) {
                Terminal.show("  \(file.path): \(file.reason)")
                Terminal.show("      \(file.name)", indent: 6)
            }
            if kept.ofMount.count > 10 { Terminal.show("  and \(kept.ofMount.count - 10) more") }
            Terminal.show(
                "  'artifactfs recover list \(Shell.quoted(store))' lists what was kept back, and how to go on",
                indent: 2)
        }
        if !kept.empty.isEmpty {
            Terminal.show("not published: \(kept.empty.count), because an empty file is no result:")
            for file in kept.empty.prefix(10) { Terminal.show("  \(file.path): \(file.reason)") }
            if kept.empty.count > 10 { Terminal.show("  and \(kept.empty.count - 10) more") }
        }
        if kept.finished > 0 {
            let lacksRoom = (status.integer("waiting_for_room") ?? 0) > 0 || !hasRoom(store)
            Terminal.show(
                "not published yet: \(kept.finished), whole, and left staged\(lacksRoom ? " for want of room" : ""); the next mount of "
                    + "\(store) publishes \(kept.finished == 1 ? "it" : "them")\(lacksRoom ? " when there is room" : "")"
            )
        }
        if kept.staged > 0 {
            Terminal.show(
                "left staged: \(kept.staged); the next mount of \(store) publishes them or puts them in quarantine")
        }
    }

    /// Whether a store's disk has a little room.
    private func hasRoom(_ store: String) -> Bool {
        Patience.code { () throws(Errno) in
            guard let room = try? SystemCall.statistics(atPath: store) else { return }
            if DiskRoom(room, for: geteuid()).isNone { throw Errno.noSpace }
        } == 0
    }

    private func failure(_ mount: MountEntry, _ code: Int32) -> Failure {
        Failure(.failed, "cannot unmount \(mount.mountPoint): \(String(cString: strerror(code)))")
    }

    private func busy(_ mount: MountEntry, _ search: HolderSearch) -> Failure {
        var words = search.holders.map { "process \($0.process) (\($0.command)) has \($0.path)" }
        words += search.unseen.map {
            "process \($0.process) (\($0.command)) hangs and could not be looked at"
        }
        if words.isEmpty { words = ["no process that this user may look at; try as root"] }
        if !search.isComplete { words.append("not all processes were looked at") }
        return Failure(
            .busy,
            "\(mount.mountPoint) is busy: \(words.joined(separator: "; ")). "
                + "End them, or detach with 'artifactfs unmount --lazy \(mount.mountPoint)'"
        )
    }
}

/// The lock that a mount holds for as long as its driver lives, on its session's name in the store: seen from every pid namespace.
struct SessionLock {
    private let path: String

    /// - Returns: nil where this program cannot look at it.
    init?(_ status: MountStatus) {
        guard !status.boolean("read_only"), let store = status.string("store"), let session = status.string("session")
        else { return nil }
        path = store + "/.artifactfs/sessions/" + session
        let path = path
        let isReadable =
            Patience.code { () throws(Errno) in try SystemCall.checkAccess(atPath: path, R_OK) } == 0
        guard isReadable, isHeld else { return nil }
    }

    /// Whether a driver still lives.
    var isHeld: Bool {
        let path = path
        return Patience.code { () throws(Errno) in
            guard let lock = try? SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY) else { return }
            try SystemCall.lock(lock, waiting: false, isShared: true)
        } == EWOULDBLOCK
    }
}

/// Other programs.
enum Program {
    /// Runs a program and waits; its output is this program's.
    ///
    /// - Parameter time: in milliseconds.
    /// - Returns: its exit status, or 127 when it cannot be started; nil when it took longer, and was told to end.
    static func run(_ command: [String], within time: Int64) -> Int32? {
        var argv: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        var process = pid_t()
        guard posix_spawnp(&process, command[0], nil, nil, argv, environ) == 0 else { return 127 }
        if let ending = try? SystemCall.openProcess(process) {
            defer { SystemCall.close(ending) }
            let end = Patience.now() + time
            guard (try? SystemCall.waitToRead(ending, milliseconds: { end - Patience.now() })) == true else {
                kill(process, SIGKILL)
                return nil
            }
        }
        let status = (try? SystemCall.wait(for: process)) ?? 0
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }
}
