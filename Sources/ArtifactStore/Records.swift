public import ArtifactFormats
public import Artifacts
public import Glibc
public import SystemPackage

/// What the driver knows of an artifact when its last writer closes it. The store adds what it learns: size, hash, rows
/// and columns, where the file is.
public struct RecordDraft: Sendable {
    /// Who wrote.
    public struct Writer: Sendable, Hashable {
        /// The user.
        public var uid: UInt32
        /// The group.
        public var gid: UInt32
        /// The process, 0 when it is not known.
        public var pid: Int32
        /// The command line, when it is known.
        public var command: String?

        /// A writer.
        public init(uid: UInt32, gid: UInt32, pid: Int32, command: String? = nil) {
            self.uid = uid
            self.gid = gid
            self.pid = pid
            self.command = command
        }
    }

    /// The path on the mount, relative to it.
    public var virtualPath: String
    /// The type's name; nil for what is not in a typed directory.
    public var type: String?
    /// The layer.
    public var layer: Layer?
    /// Production, the session, or the test.
    public var scope: Scope?
    /// What stands for the artifact besides its type, such as `chr1`; nil for a whole file.
    public var key: String?
    /// The file name extension with its dot.
    public var format: String?
    /// When the first writer opened it.
    public var opened: timespec?
    /// When the last writer closed it.
    public var closed: timespec?
    /// Who wrote it.
    public var writer: Writer?
    /// For a promotion, the path on the mount that it comes from.
    public var origin: String?
    /// More for the record, by name; the seam for provenance. What the store or this type records itself wins.
    public var fields: JSONObject

    /// A draft.
    public init(
        virtualPath: String, type: String? = nil, layer: Layer? = nil, scope: Scope? = nil, key: String? = nil,
        format: String? = nil, opened: timespec? = nil, closed: timespec? = nil, writer: Writer? = nil,
        origin: String? = nil, fields: JSONObject = [:]
    ) {
        self.virtualPath = virtualPath
        self.type = type
        self.layer = layer
        self.scope = scope
        self.key = key
        self.format = format
        self.opened = opened
        self.closed = closed
        self.writer = writer
        self.origin = origin
        self.fields = fields
    }

    /// As members of a record, with what the content's check found and where.
    func members(facts: FormatFacts = FormatFacts(), host: String? = nil) -> JSONObject {
        var members = JSONObject()
        members.reserve(20)
        members.add("path", .string(virtualPath))
        members.add("type", type.map { .string($0) })
        members.add("layer", layer.map { .string($0.rawValue) })
        members.add("mode", scope.map { .string($0.mode.rawValue) })
        switch scope {
        case .session(let name): members.add("session", .string(name.description))
        case .test(let name): members.add("test", .string(name.description))
        case .production, nil: break
        }
        members.add("key", key.map { .string($0) })
        members.add("format", format.map { .string($0) })
        members.add("rows", facts.rows.map { .integer($0) })
        members.add("columns", facts.columns.map { .array($0.map(\.json)) })
        members.add("content", facts.details.isEmpty ? nil : .object(facts.json))
        members.add("opened", opened.map { .string(TimeText.rfc3339($0)) })
        members.add("closed", closed.map { .string(TimeText.rfc3339($0)) })
        members.add("uid", writer.map { .integer(Int64($0.uid)) })
        members.add("gid", writer.map { .integer(Int64($0.gid)) })
        members.add("pid", writer.map { .integer(Int64($0.pid)) })
        members.add("command", writer?.command.map { .string($0) })
        members.add("host", host.map { .string($0) })
        members.add("origin", origin.map { .string($0) })
        members.addMissing(fields)
        return members
    }
}

/// One file to publish.
public struct PublishRequest: Sendable {
    /// The file, in the store's staging; nobody writes to it any more.
    public var staged: RealFile
    /// Where it goes; made when it does not exist.
    public var target: RealDirectory
    /// Its name there.
    public var name: String
    /// The staged file, open for reading until it is published; nil when it is to be opened.
    public var descriptor: FileDescriptor?
    /// Whether it is published only when no descriptor that is open for writing and no shared writable mapping of it is left, in any process;
    /// ``PublishOutcome/stillOpen`` otherwise. ``descriptor`` is open for reading only then. Where leases are not known it is taken on trust.
    public var requiresNoWriters = false
    /// The check it must pass; nil when its type's checks are off. An empty file never passes.
    public var check: FormatCheck?
    /// What a check found before; it counts when the bytes are still the same.
    public var checked: CheckedContents?
    /// What is known of it.
    public var record: RecordDraft
    /// For a promotion by rename: where the file was. It is put back there when it cannot be published, without
    /// replacing.
    public var origin: RealFile?
    /// Whether the file itself is to say when it was sealed.
    public var notesTime = false
    /// Whether it stays staged, to be tried again, when the store has no room for it or fails (``PublishOutcome/waiting(reason:rule:)``).
    public var canWait = false
    /// Calls what it is given at once, while nobody else changes the file's attributes: the writer may, for a while after
    /// closing.
    public var attributesLock: @Sendable (() -> Void) -> Void

    /// A request.
    public init(
        staged: RealFile, target: RealDirectory, name: String, descriptor: FileDescriptor? = nil,
        check: FormatCheck?, record: RecordDraft, origin: RealFile? = nil,
        attributesLock: @escaping @Sendable (() -> Void) -> Void = { $0() }
    ) {
        self.staged = staged
        self.target = target
        self.name = name
        self.descriptor = descriptor
        self.check = check
        self.record = record
        self.origin = origin
        self.attributesLock = attributesLock
    }
}

/// What became of a file that was to be published.
public enum PublishOutcome: Sendable {
    /// It is at its real name, whole, read-only, with its record. `lostModes`: others than its owner could write to it before.
    case sealed(sha256: String, size: Int64, lostModes: Bool)
    /// It is not published; its bytes are kept. The reason says why, and where they are; the rule is the one that it was judged by.
    case quarantined(reason: String, rule: Rule)
    /// It is not published; a promoted file is back where it was.
    case restored(reason: String, rule: Rule)
    /// The store has no room for it, or fails: it stays staged and can be tried again. The reason says what could not be done.
    case waiting(reason: String, rule: Rule)
    /// Somebody can still write to it (``PublishRequest/requiresNoWriters``). Nothing was done: it can be tried again.
    case stillOpen
}

extension FormatFacts {
    /// The details, in the order of their names' spelling.
    fileprivate var json: JSONObject {
        var object = JSONObject()
        for (name, value) in details.sorted(by: { $0.key < $1.key }) { object.add(name, .string(value)) }
        return object
    }
}

extension FormatFacts.Column {
    fileprivate var json: JSONValue {
        var object: JSONObject = ["name": .string(name)]
        object.add("type", type.map { .string($0) })
        return .object(object)
    }
}
