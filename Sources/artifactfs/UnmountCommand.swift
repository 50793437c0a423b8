import ArgumentParser
import CLinux
import Glibc

/// `artifactfs unmount`
struct UnmountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmount",
        abstract: "Unmount, when everything written is published.",
        discussion: """
            Waits for what is being published, unmounts, and returns when the driver has ended. When programs still use the mount it \
            says which. A dead mount ("Transport endpoint is not connected") is cleaned up.
            """)

    @Argument(help: "Where the store is mounted.", completion: .directory)
    var mountpoint: String
    @Flag(name: .long, help: "Detach the mount now, even when programs use it; it goes when they close their files.")
    var lazy = false

    func run() throws {
        try reporting {
            let path = try Paths.resolvedDirectory(of: mountpoint)
            guard let mount = MountEntry.at(path) ?? MountEntry.at(Paths.resolved(path) ?? path) else {
                throw Failure(.cannotAnswer, "\(path) is not a mount point; 'artifactfs status' lists the mounts")
            }
            guard mount.isArtifacts else {
                throw Failure(.cannotAnswer, "\(path) is a mount of \(mount.type), not of artifactfs; use umount")
            }
            // Without a question to the driver, which may hang.
            if lazy { return try detach(mount, isLazy: true) }
            if MountEntry.isDead(mount.mountPoint) {
                try detach(mount, isLazy: true)
                print("cleaned up the dead mount at \(Terminal.printable(mount.mountPoint))")
                return
            }
            let status = MountStatus.read(mount.mountPoint)
            awaitPublishing(mount.mountPoint)
            try detach(mount, isLazy: false)
            if let process = status?.integer("pid").flatMap(Int32.init(exactly:)) { awaitEnd(of: process) }
        }
    }

    /// Waits for the publishing under way; the driver itself waits for the rest before it ends.
    private func awaitPublishing(_ path: String) {
        while let pending = MountStatus.read(path)?.integer("publishing"), pending > 0 { usleep(50_000) }
    }

    private func detach(_ mount: MountEntry, isLazy: Bool) throws {
        let path = mount.mountPoint
        if geteuid() == 0 {
            guard umount2(path, isLazy ? Int32(MNT_DETACH) : 0) != 0 else { return }
            let code = errno
            throw code == EBUSY ? busy(mount, HolderSearch(on: path)) : failure(mount, code)
        } else {
            let status = Program.run(["fusermount3", "-u"] + (isLazy ? ["-z"] : []) + ["--", path])
            guard status != 0 else { return }
            guard MountEntry.at(path) != nil else { throw failure(mount, ENOENT) }
            let search = HolderSearch(on: path)
            // fusermount3 says why for people only. Its own user may unmount, so the mount is in use.
            throw search.holders.isEmpty && mount.user != geteuid() ? failure(mount, EPERM) : busy(mount, search)
        }
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

    /// Waits until a process has ended. The driver is not our child, so its directory in `/proc` tells.
    private func awaitEnd(of process: Int32) {
        guard process > 0 else { return }
        let descriptor = clinux_pidfd_open(process)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while Glibc.poll(&poll, 1, -1) < 0, errno == EINTR {}
    }
}

/// Other programs.
enum Program {
    /// Runs a program and waits; its output is this program's.
    ///
    /// - Returns: its exit status, or 127 when it cannot be started.
    static func run(_ command: [String]) -> Int32 {
        var argv: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        var process = pid_t()
        guard posix_spawnp(&process, command[0], nil, nil, argv, environ) == 0 else { return 127 }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }
}
