extension LedgerEvent {
    /// An artifact whose bytes are in a mirror only, or are here again.
    public struct EvictedArtifact: Sendable, Hashable {
        /// What has the store open by which that is done.
        public var mount: String
        /// The path on the mount.
        public var path: String
        /// Where it is, relative to the store.
        public var directory: String
        /// The real name there.
        public var name: String
        /// What the mirror is called.
        public var mirror: String
        /// The object's key there.
        public var key: String
        /// Which version of the object it is, where the bucket has versions.
        public var objectVersion: String?
        /// Of the file that had the bytes, or has them again.
        public var inode: UInt64
        /// In bytes.
        public var size: Int64
        /// As its record has it.
        public var sha256: String
        /// Who does it.
        public var uid: Int64
        /// The process, 0 when it is not known.
        public var pid: Int64
        /// Its program.
        public var command: String

        /// Such an artifact.
        public init(
            mount: String, path: String, directory: String, name: String, mirror: String, key: String,
            objectVersion: String?, inode: UInt64, size: Int64, sha256: String, uid: Int64, pid: Int64, command: String
        ) {
            (self.mount, self.path, self.directory, self.name) = (mount, path, directory, name)
            (self.mirror, self.key, self.objectVersion) = (mirror, key, objectVersion)
            (self.inode, self.size, self.sha256) = (inode, size, sha256)
            (self.uid, self.pid, self.command) = (uid, pid, command)
        }

        /// As members of a line.
        public var members: JSONObject {
            var members: JSONObject = [
                "mount": .string(mount), "path": .string(path), "directory": .string(directory),
                "name": .string(name), "mirror": .string(mirror), "key": .string(key),
            ]
            members.add("object_version", objectVersion.map { .string($0) })
            members.add("inode", .integer(Int64(bitPattern: inode)))
            members.add("size", .integer(size))
            members.add("sha256", .string(sha256))
            members.add("uid", .integer(uid))
            members.add("pid", .integer(pid))
            members.add("command", .string(command))
            return members
        }

        /// What a line says; nil where it lacks something.
        public init?(_ line: JSONValue) {
            guard let mount = line["mount"]?.string, let path = line["path"]?.string,
                let directory = line["directory"]?.string, let name = line["name"]?.string,
                let mirror = line["mirror"]?.string, let key = line["key"]?.string,
                let inode = line["inode"]?.integer, let size = line["size"]?.integer, size >= 0,
                let sha256 = line["sha256"]?.string, let uid = line["uid"]?.integer, let pid = line["pid"]?.integer,
                let command = line["command"]?.string, !name.isEmpty, !name.utf8.contains(UInt8(ascii: "/"))
            else { return nil }
            self.init(
                mount: mount, path: path, directory: directory, name: name, mirror: mirror, key: key,
                objectVersion: line["object_version"]?.string, inode: UInt64(bitPattern: inode), size: size,
                sha256: sha256, uid: uid, pid: pid, command: command)
        }
    }
}
