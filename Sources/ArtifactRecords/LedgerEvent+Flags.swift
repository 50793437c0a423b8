extension LedgerEvent {
    /// Something sealed that is not immutable for a moment.
    public struct LiftedFlag: Sendable, Hashable {
        /// The mount, or what had the store open, by which that is done.
        public var mount: String
        /// The real path, relative to the store.
        public var file: String
        /// Of the file or directory.
        public var inode: UInt64
        /// What for, a word.
        public var reason: String

        /// Such a file.
        public init(mount: String, file: String, inode: UInt64, reason: String) {
            (self.mount, self.file, self.inode, self.reason) = (mount, file, inode, reason)
        }

        /// What a line says; nil where it lacks something.
        init?(_ line: JSONValue) {
            guard let mount = line["mount"]?.string, let file = line["file"]?.string,
                let inode = line["inode"]?.integer, let reason = line["reason"]?.string
            else { return nil }
            self.init(mount: mount, file: file, inode: UInt64(bitPattern: inode), reason: reason)
        }

        /// As members of a line.
        var members: JSONObject {
            [
                "mount": .string(mount), "file": .string(file), "inode": .integer(Int64(bitPattern: inode)),
                "reason": .string(reason),
            ]
        }
    }
}
