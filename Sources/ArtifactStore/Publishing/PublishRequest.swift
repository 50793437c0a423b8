public import ArtifactFormats
public import ArtifactRecords
public import Artifacts
public import SystemPackage

/// One file to publish.
public struct PublishRequest: Sendable {
    /// The file, in the store's staging or in quarantine; nobody writes to it any more.
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
    public var record: ArtifactRecord
    /// Of a directory its type, by which what is in it is checked; nil of a file.
    public var directoryType: TypeDefinition?
    /// Of a directory what was seen of it (``DirectoryLook/digest``): only that is published.
    var looked: String?
    /// What its writers had read, for the record's inputs.
    public var used: [UsedFile] = []
    /// Paths that its run says it reads, besides those that its writer names.
    public var inputs: [String] = []
    /// For a promotion by rename: where the file was. It is put back there when it cannot be published, without
    /// replacing.
    public var origin: RealFile?
    /// Which version of its name it is; nil for what is known of former ones.
    var version: Int64?
    /// Whether the file is in quarantine, and stays there when it cannot be published; its record says so (``ArtifactRecord/recovered``).
    public var isKept = false
    /// Whether it is a copy of what is still where it was: it is removed when it cannot be published.
    var isCopy = false
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
        check: FormatCheck?, record: ArtifactRecord, origin: RealFile? = nil,
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
    /// It is not published; a promoted file is back where it was, and one of quarantine is there still.
    case restored(reason: String, rule: Rule)
    /// The store has no room for it, or fails: it stays staged and can be tried again. The reason says what could not be done.
    case waiting(reason: String, rule: Rule)
    /// Somebody can still write to it (``PublishRequest/requiresNoWriters``). Nothing was done: it can be tried again.
    case stillOpen
}
