/// What a `seal-intent` line says: everything that is needed to settle it after a crash.
public struct SealIntent: Sendable, Hashable {
    /// The mount that publishes.
    public let mount: String
    /// The file's name in the mount's staging directory.
    public let staged: String
    /// Where it goes, relative to the store.
    public let directory: String
    public let name: String
    public let inode: UInt64
    public let size: Int64
    /// The modification time as text.
    public let modified: String
    public let sha256: String
    public let record: JSONObject
    /// The run that publishes it with others, all or none: it counts with the run's `run-sealing` line only.
    public var together: String?
    /// Whether it is to be immutable when it has its name.
    public var isImmutable = false

    /// The hidden name of a copy in the target directory, where one is needed; no other intent has it.
    package var copyName: String {
        if let kept, let hash = try? SHA256.digest(kept.utf8) { return ".artifactfs-copy-\(mount)-\(hash.prefix(16))" }
        let number = staged.split(separator: "-", maxSplits: 2).dropFirst().first ?? "0"
        return ".artifactfs-copy-\(mount)-\(number)"
    }

    /// The file's name in quarantine, when it is published from there; it is ``staged`` then.
    package var kept: String? {
        record["recovered_from"]?["id"]?.string.flatMap { $0 == staged ? $0 : nil }
    }

    /// An intent.
    public init(
        mount: String, staged: String, directory: String, name: String, inode: UInt64, size: Int64, modified: String,
        sha256: String, record: JSONObject
    ) {
        self.mount = mount
        self.staged = staged
        self.directory = directory
        self.name = name
        self.inode = inode
        self.size = size
        self.modified = modified
        self.sha256 = sha256
        self.record = record
    }

    /// From a ledger line; nil when it is not a whole intent.
    init?(_ line: JSONValue) {
        guard let mount = line["mount"]?.string, let staged = line["staged"]?.string,
            let directory = line["directory"]?.string, let name = line["name"]?.string,
            let inode = line["inode"]?.integer, let size = line["size"]?.integer,
            let modified = line["modified"]?.string, let sha256 = line["sha256"]?.string,
            case .object(let record) = line["record"], !name.contains("/"), !staged.contains("/")
        else { return nil }
        self.init(
            mount: mount, staged: staged, directory: directory, name: name, inode: UInt64(bitPattern: inode),
            size: size,
            modified: modified, sha256: sha256, record: record)
        together = line["together"]?.string
        isImmutable = line["immutable"] == .bool(true)
    }

    /// As members of a line.
    func members(_ more: JSONObject = [:]) -> JSONObject {
        var members: JSONObject = [
            "mount": .string(mount), "staged": .string(staged), "directory": .string(directory), "name": .string(name),
            "inode": .integer(Int64(bitPattern: inode)), "size": .integer(size), "modified": .string(modified),
            "sha256": .string(sha256),
        ]
        members.add("together", together.map { .string($0) })
        members.add("immutable", isImmutable ? .bool(true) : nil)
        members.add(more)
        members.add("record", .object(record))
        return members
    }
}
