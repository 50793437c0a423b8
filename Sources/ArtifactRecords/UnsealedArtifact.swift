public import Artifacts

/// A sealed artifact that leaves its name, as lines of a ledger tell of it.
public struct UnsealedArtifact: Sendable, Hashable {
    /// The mount by which that is done.
    public var mount: String
    /// What all have that leave their names together.
    public var together: String
    /// How many these are: their intents count when all are there.
    public var count: Int64
    /// How it leaves.
    public var unsealing: Unsealing
    /// The path on the mount.
    public var path: String
    /// Where it is until then, relative to the store.
    public var directory: String
    /// Its real name there.
    public var name: String
    /// From 1; the version's name.
    public var version: Int64
    /// Of the file or directory.
    public var inode: UInt64
    /// In bytes.
    public var size: Int64
    /// As its record has it.
    public var sha256: String
    /// What takes its name in the same step: the name in the mount's staging directory.
    public var successor: String?
    /// Why, as who asked said it.
    public var reason: String
    /// Who asked.
    public var uid: Int64
    /// The process, 0 when it is not known.
    public var pid: Int64
    /// Its program.
    public var command: String

    /// Such an artifact.
    public init(
        mount: String, together: String, count: Int64, unsealing: Unsealing, path: String, directory: String,
        name: String, version: Int64, inode: UInt64, size: Int64, sha256: String, successor: String? = nil,
        reason: String, uid: Int64, pid: Int64, command: String
    ) {
        (self.mount, self.together, self.count, self.unsealing) = (mount, together, count, unsealing)
        (self.path, self.directory, self.name, self.version) = (path, directory, name, version)
        (self.inode, self.size, self.sha256, self.successor) = (inode, size, sha256, successor)
        (self.reason, self.uid, self.pid, self.command) = (reason, uid, pid, command)
    }

    /// As members of a line.
    public var members: JSONObject {
        var all: JSONObject = [
            "mount": .string(mount), "together": .string(together), "count": .integer(count),
            "as": .string(unsealing.rawValue), "path": .string(path), "directory": .string(directory),
            "name": .string(name), "version": .integer(version), "inode": .integer(Int64(bitPattern: inode)),
            "size": .integer(size), "sha256": .string(sha256),
        ]
        all.add("successor", successor.map { .string($0) })
        all.add("reason", .string(reason))
        all.add("uid", .integer(uid))
        all.add("pid", .integer(pid))
        all.add("command", .string(command))
        return all
    }

    /// What a line says; nil where it lacks something.
    public init?(_ line: JSONValue) {
        guard let mount = line["mount"]?.string, let together = line["together"]?.string,
            let count = line["count"]?.integer, let unsealing = line["as"]?.string.flatMap(Unsealing.init),
            let path = line["path"]?.string, let directory = line["directory"]?.string,
            let name = line["name"]?.string, let version = line["version"]?.integer, version > 0,
            let inode = line["inode"]?.integer, let size = line["size"]?.integer,
            let sha256 = line["sha256"]?.string, let reason = line["reason"]?.string,
            let uid = line["uid"]?.integer, let pid = line["pid"]?.integer, let command = line["command"]?.string,
            !name.isEmpty, !name.utf8.contains(UInt8(ascii: "/"))
        else { return nil }
        let successor = line["successor"]?.string
        guard successor.map({ !$0.isEmpty && !$0.utf8.contains(UInt8(ascii: "/")) }) ?? true else { return nil }
        self.init(
            mount: mount, together: together, count: count, unsealing: unsealing, path: path, directory: directory,
            name: name, version: version, inode: UInt64(bitPattern: inode), size: size, sha256: sha256,
            successor: successor, reason: reason, uid: uid, pid: pid, command: command)
    }
}
