extension LedgerEvent {
    /// A moment that got a name.
    public struct TagLine: Sendable, Hashable {
        /// The mount by which that was done.
        public var mount: String
        /// The name.
        public var tag: String
        /// The moment (RFC 3339).
        public var moment: String
        /// What who did it has to say.
        public var note: String?
        /// Who did it.
        public var uid: Int64
        /// The process, 0 when it is not known.
        public var pid: Int64
        /// Its program.
        public var command: String

        /// Such a moment.
        public init(
            mount: String, tag: String, moment: String, note: String?, uid: Int64, pid: Int64, command: String
        ) {
            (self.mount, self.tag, self.moment, self.note) = (mount, tag, moment, note)
            (self.uid, self.pid, self.command) = (uid, pid, command)
        }

        var members: JSONObject {
            var all: JSONObject = ["mount": .string(mount), "tag": .string(tag), "moment": .string(moment)]
            all.add("note", note.map { .string($0) })
            all.add("uid", .integer(uid))
            all.add("pid", .integer(pid))
            all.add("command", .string(command))
            return all
        }

        init?(_ line: JSONValue) {
            guard let mount = line["mount"]?.string, let tag = line["tag"]?.string,
                let moment = line["moment"]?.string, let uid = line["uid"]?.integer, let pid = line["pid"]?.integer,
                let command = line["command"]?.string
            else { return nil }
            self.init(
                mount: mount, tag: tag, moment: moment, note: line["note"]?.string, uid: uid, pid: pid,
                command: command)
        }
    }
}
