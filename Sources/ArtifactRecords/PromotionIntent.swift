internal import Artifacts

/// What a `promotion-intent` line says: a file of a session or a test that is about to come into staging, with others that are to be
/// published together. It is settled by a later line with the same `mount` and `staged`: `sealed`, `quarantined` or `restored`.
public struct PromotionIntent: Sendable, Hashable {
    /// The mount that promotes.
    public var mount: String
    /// The file's name in the mount's staging directory.
    public var staged: String
    /// The path on the mount that it is to have.
    public var path: String
    /// The path on the mount that it has.
    public var from: String
    /// Where it is, relative to the store.
    public var directory: String
    /// Its name there.
    public var name: String
    /// Its number, by which it is known in staging; of what is copied that of the file that is copied.
    public var inode: UInt64
    /// Its permissions, which it has again when it is put back.
    public var mode: UInt32
    /// Whether it stays where it is and a copy of it is published.
    public var isCopy: Bool
    /// Of a directory, the permissions of what is in it; nil of a file, and of what is copied.
    public var modes: DirectoryModes?
    /// Whether it is a directory.
    public var isDirectory: Bool

    /// An intent.
    public init(
        mount: String, staged: String, path: String, from: String, directory: String, name: String, inode: UInt64,
        mode: UInt32, isCopy: Bool, isDirectory: Bool = false, modes: DirectoryModes? = nil
    ) {
        (self.mount, self.staged, self.path, self.from) = (mount, staged, path, from)
        (self.directory, self.name, self.inode) = (directory, name, inode)
        (self.mode, self.isCopy) = (mode, isCopy)
        (self.isDirectory, self.modes) = (isDirectory, modes)
    }

    /// From a ledger line; nil when it is not a whole intent.
    init?(_ line: JSONValue) {
        guard let mount = line["mount"]?.string, let staged = line["staged"]?.string, let path = line["path"]?.string,
            let from = line["from"]?.string, let directory = line["directory"]?.string,
            let name = line["name"]?.string, let inode = line["inode"]?.integer,
            let mode = line["mode"]?.string.flatMap({ UInt32($0, radix: 8) }), mode <= 0o7777,
            !name.contains("/"), !staged.contains("/")
        else { return nil }
        self.init(
            mount: mount, staged: staged, path: path, from: from, directory: directory, name: name,
            inode: UInt64(bitPattern: inode), mode: mode, isCopy: line["copy"] == .bool(true),
            isDirectory: line["kind"] == .string(Self.directoryKind), modes: DirectoryModes(line["modes"]))
    }

    /// As members of a line.
    var members: JSONObject {
        var all: JSONObject = [
            "mount": .string(mount), "staged": .string(staged), "path": .string(path), "from": .string(from),
            "directory": .string(directory), "name": .string(name), "inode": .integer(Int64(bitPattern: inode)),
            "mode": .string(String(mode, radix: 8)),
        ]
        if isCopy { all.add("copy", .bool(true)) }
        if isDirectory { all.add("kind", .string(Self.directoryKind)) }
        if let modes { all.add("modes", modes.json) }
        return all
    }

    /// As a record says it of an artifact.
    private static let directoryKind = "directory"

    /// What is known of what it was to be, for who reads that it is not.
    package var record: JSONObject {
        var record = ArtifactRecord(path: path)
        record.origin = .init(path: from)
        if isDirectory { record.artifact.kind = .directory }
        return record.json
    }
}
