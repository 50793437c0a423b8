extension LedgerEvent {
    /// A former version that is removed to make room.
    public struct RemovedVersion: Sendable, Hashable {
        /// What has the store open by which that is done.
        public var mount: String
        /// The path on the mount that it had.
        public var path: String
        /// Where that was, relative to the store.
        public var directory: String
        /// The real name there.
        public var name: String
        /// From 1.
        public var version: Int64
        /// Of its file or directory: nothing else of that name is removed.
        public var inode: UInt64
        /// In bytes.
        public var size: Int64
        /// As its record has it.
        public var sha256: String
        /// Why, for people.
        public var reason: String
        /// Who does it.
        public var uid: Int64
        /// The process, 0 when it is not known.
        public var pid: Int64
        /// Its program.
        public var command: String

        /// Such a version.
        public init(
            mount: String, path: String, directory: String, name: String, version: Int64, inode: UInt64, size: Int64,
            sha256: String, reason: String, uid: Int64, pid: Int64, command: String
        ) {
            (self.mount, self.path, self.directory, self.name) = (mount, path, directory, name)
            (self.version, self.inode, self.size, self.sha256) = (version, inode, size, sha256)
            (self.reason, self.uid, self.pid, self.command) = (reason, uid, pid, command)
        }

        var members: JSONObject {
            [
                "mount": .string(mount), "path": .string(path), "directory": .string(directory),
                "name": .string(name), "version": .integer(version), "inode": .integer(Int64(bitPattern: inode)),
                "size": .integer(size), "sha256": .string(sha256), "reason": .string(reason), "uid": .integer(uid),
                "pid": .integer(pid), "command": .string(command),
            ]
        }

        init?(_ line: JSONValue) {
            guard let mount = line["mount"]?.string, let path = line["path"]?.string,
                let directory = line["directory"]?.string, let name = line["name"]?.string,
                let version = line["version"]?.integer, version > 0, let inode = line["inode"]?.integer,
                let size = line["size"]?.integer, let sha256 = line["sha256"]?.string,
                let reason = line["reason"]?.string, let uid = line["uid"]?.integer, let pid = line["pid"]?.integer,
                let command = line["command"]?.string, !name.isEmpty, !name.utf8.contains(UInt8(ascii: "/"))
            else { return nil }
            self.init(
                mount: mount, path: path, directory: directory, name: name, version: version,
                inode: UInt64(bitPattern: inode), size: size, sha256: sha256, reason: reason, uid: uid, pid: pid,
                command: command)
        }
    }
}

/// That a former version was removed to make room, as the file says it that is left of it.
public struct VersionRemoval: Sendable, Hashable {
    /// When (RFC 3339).
    public var time: String
    /// Why, for people.
    public var reason: String
    /// Who did it.
    public var uid: Int64

    /// A removal.
    public init(time: String, reason: String, uid: Int64) { (self.time, self.reason, self.uid) = (time, reason, uid) }

    /// As JSON.
    public var json: JSONValue {
        .object(["time": .string(time), "reason": .string(reason), "uid": .integer(uid)])
    }

    /// What a file says; nil where it says none.
    public init?(_ value: JSONValue?) {
        guard let time = value?["time"]?.string, let reason = value?["reason"]?.string,
            let uid = value?["uid"]?.integer
        else { return nil }
        self.init(time: time, reason: reason, uid: uid)
    }

    /// The same in words.
    public static func words(time: String) -> String { "its bytes were removed by gc on \(time.prefix(10))" }
}
