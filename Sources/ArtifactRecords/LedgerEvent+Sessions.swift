internal import Artifacts

extension LedgerEvent {
    /// A session that is removed with all that is in it.
    public struct RemovedSession: Sendable, Hashable {
        /// The mount by which that is done.
        public var mount: String
        /// Its name.
        public var session: String
        /// Its real directories, relative to the store, with their inodes: nothing else that has their names is removed.
        public var directories: [String: UInt64]
        /// How many plain files it has.
        public var files: Int64
        /// In bytes.
        public var bytes: Int64
        /// Why, for people.
        public var reason: String
        /// Who does it.
        public var uid: Int64
        /// The process, 0 when it is not known.
        public var pid: Int64
        /// Its program.
        public var command: String
        /// The text of its `metadata.json`, which is not found anywhere else then.
        public var metadata: String?
        /// How long that is, in bytes, when it is too long to be kept.
        public var metadataLeftOut: Int64?

        /// Such a session.
        public init(
            mount: String, session: String, directories: [String: UInt64], files: Int64, bytes: Int64, reason: String,
            uid: Int64, pid: Int64, command: String
        ) {
            (self.mount, self.session, self.directories) = (mount, session, directories)
            (self.files, self.bytes, self.reason) = (files, bytes, reason)
            (self.uid, self.pid, self.command) = (uid, pid, command)
        }

        /// Whether a path on the mount is that of the session, or in it.
        func holds(_ path: String) -> Bool {
            guard let name = SessionName(session) else { return false }
            let own = StoreLayout.shownDirectory(of: .session(name))
            return path.utf8.elementsEqual(own.utf8) || path.utf8.starts(with: (own + "/").utf8)
        }

        var members: JSONObject {
            var inodes = JSONObject()
            for (path, inode) in directories.sorted(by: { $0.key < $1.key }) {
                inodes.add(path, .integer(Int64(bitPattern: inode)))
            }
            var all: JSONObject = [
                "mount": .string(mount), "session": .string(session), "directories": .object(inodes),
                "files": .integer(files), "bytes": .integer(bytes), "reason": .string(reason), "uid": .integer(uid),
                "pid": .integer(pid), "command": .string(command),
            ]
            all.add("metadata", metadata.map { .string($0) })
            all.add("metadata_left_out", metadataLeftOut.map { .integer($0) })
            return all
        }

        init?(_ line: JSONValue) {
            guard let mount = line["mount"]?.string, let session = line["session"]?.string,
                case .object(let inodes)? = line["directories"], let files = line["files"]?.integer,
                let bytes = line["bytes"]?.integer, let reason = line["reason"]?.string,
                let uid = line["uid"]?.integer, let pid = line["pid"]?.integer, let command = line["command"]?.string
            else { return nil }
            var directories: [String: UInt64] = [:]
            for (path, inode) in inodes.sorted {
                guard let number = inode.integer else { return nil }
                directories[path] = UInt64(bitPattern: number)
            }
            self.init(
                mount: mount, session: session, directories: directories, files: files, bytes: bytes, reason: reason,
                uid: uid, pid: pid, command: command)
            metadata = line["metadata"]?.string
            metadataLeftOut = line["metadata_left_out"]?.integer
        }
    }
}
