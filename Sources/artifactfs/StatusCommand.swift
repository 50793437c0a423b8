import ArgumentParser
import ArtifactStore
import Glibc

/// `artifactfs status`
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "List the mounts, or show one.",
        discussion: """
            Without a mount point it lists every artifactfs mount on this machine. With one it shows the session, what is being \
            written and published, and what was refused and why.
            """)

    @Argument(help: "Where a store is mounted.", completion: .directory)
    var mountpoint: String?
    @Flag(name: .long, help: "Print JSON: an object for one mount, an array for all.")
    var json = false

    func run() throws {
        try reporting {
            guard let mountpoint else { return list() }
            let path = try Paths.resolvedDirectory(of: mountpoint)
            guard let mount = MountEntry.holding(path) ?? MountEntry.at(path), mount.isArtifacts else {
                throw Failure(
                    .cannotAnswer, "\(path) is not on a mount of artifactfs; 'artifactfs status' lists the mounts")
            }
            guard let status = MountStatus.read(mount.mountPoint) else {
                throw Failure(
                    .mountPoint,
                    "the mount at \(mount.mountPoint) does not answer: its driver is gone, or the mount is another user's; "
                        + "clean a dead mount up with 'artifactfs unmount \(mount.mountPoint)'")
            }
            if json { print(status.value.description) } else { status.show() }
        }
    }

    private func list() {
        let mounts = MountEntry.artifacts()
        if json {
            print(JSONValue.array(mounts.compactMap { MountStatus.read($0.mountPoint)?.value }).description)
            return
        }
        if mounts.isEmpty { print("nothing is mounted; mount a store with 'artifactfs mount STORE MOUNTPOINT'") }
        for mount in mounts {
            let status = MountStatus.read(mount.mountPoint)
            let state =
                status.map { $0.boolean("read_only") ? "read-only" : "session \($0.string("session") ?? "none")" }
                ?? "dead, or not this user's to see"
            print("\(Terminal.printable(mount.mountPoint))\t\(Terminal.printable(mount.source))\t\(state)")
        }
    }
}

/// A mount's `status.json`.
struct MountStatus {
    let value: JSONValue

    static func read(_ mountPoint: String) -> MountStatus? {
        Paths.contents(mountPoint + "/.artifactfs/status.json").flatMap { JSONValue(parsing: $0) }.map {
            MountStatus(value: $0)
        }
    }

    func integer(_ key: String) -> Int64? { value[key]?.integer }
    func string(_ key: String) -> String? { value[key]?.string }
    func boolean(_ key: String) -> Bool { value[key] == .bool(true) }

    /// For people.
    func show() {
        func line(_ name: String, _ text: String) {
            print(name + String(repeating: " ", count: max(1, 14 - name.utf8.count)) + Terminal.printable(text))
        }
        func number(_ key: String) -> String { String(integer(key) ?? 0) }
        line("store", string("store") ?? "?")
        line("mounted at", string("mount_point") ?? "?")
        line("mode", boolean("read_only") ? "read-only" : "read and write, durability \(string("durability") ?? "?")")
        line("session", string("session") ?? "none")
        let passthrough = value["passthrough"]
        line(
            "passthrough",
            passthrough?["on"] == .bool(true) ? "on" : "off: " + (passthrough?["obstacle"]?.string ?? "unknown"))
        line("writing", "\(number("writing")) artifacts, \(number("empty")) empty, \(number("transient")) temporary")
        line("publishing", number("publishing"))
        line("since mount", "\(number("sealed_since_mount")) sealed, \(number("quarantined_since_mount")) quarantined")
        line("open files", number("open_files"))
        line(
            "driver", "process \(number("pid")), version \(string("version") ?? "?"), up \(number("uptime_seconds")) s")
        let denials = value["denials"]
        line("refused", String(denials?["total"]?.integer ?? 0))
        if case .object(let rules)? = denials?["by_rule"] {
            for (rule, count) in rules.sorted {
                line("", "\(rule): \(count.integer ?? 0)")
            }
        }
        if (denials?["total"]?.integer ?? 0) > 0 {
            line("", "reasons in \(string("mount_point") ?? "")/.artifactfs/denials.jsonl")
        }
    }
}
