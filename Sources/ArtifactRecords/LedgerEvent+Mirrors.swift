extension LedgerEvent {
    /// What a mirror has of artifacts, noted when it was sent, before a snapshot names it.
    public struct MirroredObjects: Sendable, Hashable {
        /// A file that is an artifact, or one of an artifact that is a directory.
        public struct MirroredObject: Sendable, Hashable {
            /// The artifact's path on the mount.
            public var path: String
            /// The artifact's version, from 1, where that is known.
            public var version: Int64?
            /// SHA-256 of the object's bytes, which both sides have compared.
            public var sha256: String
            /// The object's key, from the mirror's prefix.
            public var key: String
            /// Which of the object's versions it is, where the bucket keeps them.
            public var objectVersion: String?

            /// Such a file.
            public init(path: String, version: Int64?, sha256: String, key: String, objectVersion: String?) {
                (self.path, self.version, self.sha256) = (path, version, sha256)
                (self.key, self.objectVersion) = (key, objectVersion)
            }

            /// How long it is in a line, about, in bytes.
            var length: Int {
                path.utf8.count + sha256.utf8.count + key.utf8.count + (objectVersion?.utf8.count ?? 0) + 100
            }

            fileprivate var json: JSONValue {
                var all: JSONObject = ["path": .string(path)]
                all.add("version", version.map { .integer($0) })
                all.add("sha256", .string(sha256))
                all.add("key", .string(key))
                all.add("object_version", objectVersion.map { .string($0) })
                return .object(all)
            }

            fileprivate init?(_ json: JSONValue) {
                guard let path = json["path"]?.string, let sha256 = json["sha256"]?.string,
                    let key = json["key"]?.string
                else { return nil }
                self.init(
                    path: path, version: json["version"]?.integer, sha256: sha256, key: key,
                    objectVersion: json["object_version"]?.string)
            }
        }

        /// What had the store open by which it was noted.
        public var mount: String
        /// What the store calls the mirror.
        public var mirror: String
        /// Where the mirror is, with its prefix.
        public var url: String
        /// What it has.
        public var objects: [MirroredObject]
        /// Who sent it.
        public var uid: Int64
        /// The process.
        public var pid: Int64
        /// Its program.
        public var command: String

        /// Such objects.
        public init(
            mount: String, mirror: String, url: String, objects: [MirroredObject], uid: Int64, pid: Int64,
            command: String
        ) {
            (self.mount, self.mirror, self.url, self.objects) = (mount, mirror, url, objects)
            (self.uid, self.pid, self.command) = (uid, pid, command)
        }

        /// Those of one artifact, in any of its versions.
        public func objects(of path: String) -> [MirroredObject] {
            objects.filter { $0.path.utf8.elementsEqual(path.utf8) }
        }

        /// How long a line may become, about, in bytes.
        private static let longest = 32 << 10

        /// Parts of many, each short enough for a line.
        public static func lines(of objects: [MirroredObject]) -> [ArraySlice<MirroredObject>] {
            var parts: [ArraySlice<MirroredObject>] = []
            var (begin, length) = (objects.startIndex, 0)
            for (place, object) in objects.enumerated() {
                if length > 0, length + object.length > longest {
                    parts.append(objects[begin..<place])
                    (begin, length) = (place, 0)
                }
                length += object.length
            }
            if begin < objects.endIndex { parts.append(objects[begin...]) }
            return parts
        }

        var members: JSONObject {
            [
                "mount": .string(mount), "mirror": .string(mirror), "url": .string(url),
                "objects": .array(objects.map(\.json)), "uid": .integer(uid), "pid": .integer(pid),
                "command": .string(command),
            ]
        }

        init?(_ line: JSONValue) {
            guard let mount = line["mount"]?.string, let mirror = line["mirror"]?.string,
                let url = line["url"]?.string, case .array(let list)? = line["objects"],
                let uid = line["uid"]?.integer, let pid = line["pid"]?.integer, let command = line["command"]?.string
            else { return nil }
            let objects = list.compactMap { MirroredObject($0) }
            guard objects.count == list.count else { return nil }
            self.init(
                mount: mount, mirror: mirror, url: url, objects: objects, uid: uid, pid: pid, command: command)
        }
    }
}
