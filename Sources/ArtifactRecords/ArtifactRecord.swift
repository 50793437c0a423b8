public import ArtifactFormats
public import Artifacts
public import Glibc

/// What is known of an artifact: what it is, when, by whom, with which code and from what it was made.
///
/// What is not known is nil, or empty where there is a list: it is never guessed. The same object stands in the ledger and beside a file in
/// quarantine; ``json`` is its text.
public struct ArtifactRecord: Sendable, Hashable {
    /// The artifact itself.
    public var artifact = Artifact()
    /// When it was made.
    public var times = Times()
    /// Who wrote it.
    public var writer: Writer?
    /// What the writer belongs to.
    public var job: WriterJob?
    /// The code that made it.
    public var code: [Code] = []
    /// The artifacts that it was made from.
    public var inputs: [Input] = []
    /// How many more there are than are told; 0 when all are.
    public var inputsLeftOut: Int64 = 0
    /// What it was made from that is not in the store, where that is watched.
    public var outside: [OutsideInput] = []
    /// Whether files outside of the store were looked at; nil where that was not written.
    public var outsideSeen: OutsideSight?
    /// The directories below which they were looked at; empty where none was named.
    public var outsideBelow: [String] = []
    /// How many more of ``outside`` there are than are told; 0 when all are.
    public var outsideLeftOut: Int64 = 0
    /// The run that it is of.
    public var run: ExperimentRun?
    /// Where it comes from, when it was promoted.
    public var origin: PromotionOrigin?
    /// What it was kept back for before, when it was published from quarantine.
    public var recovered: RecoveredFrom?
    /// Who took it up where it was, of what no mount had published: then nobody knows who made it.
    public var adopted: Adopted?
    /// What its writer said of it with extended attributes, by their names.
    public var attributes: JSONObject = [:]
    /// What a newer version wrote that this one does not know; it is kept and written again.
    public var unknown: JSONObject = [:]

    /// A record in which nothing is known.
    public init() {}

    /// Whether somebody looked at what was read outside of the store.
    public var seesOutside: Bool { outsideSeen == .yes || outsideSeen == .partly }

    /// The artifact itself.
    public struct Artifact: Sendable, Hashable {
        /// The path on the mount, relative to it.
        public var path: String?
        /// The type's name; nil for what is not in a typed directory.
        public var type: String?
        /// The layer.
        public var layer: Layer?
        /// Production, a session, or a test.
        public var mode: Mode?
        /// The session's name.
        public var session: String?
        /// The test's name.
        public var test: String?
        /// A plain file, or a directory, whose SHA-256 is that of its manifest; nil where it was not written: then it is a file.
        public var kind: TypeDefinition.Kind?
        /// What stands for it besides its type, such as `chr1`; nil for a whole file.
        public var key: String?
        /// The file name extension with its dot.
        public var format: String?
        /// In bytes.
        public var size: Int64?
        /// SHA-256 of its bytes, in lower-case hexadecimal digits.
        public var sha256: String?
        /// From 1.
        public var version: Int64?
        /// What became of it.
        public var state: State?
        /// What the check of its contents learned.
        public var content = FormatFacts()

        /// Nothing known.
        public init() {}
    }

    /// What became of an artifact.
    public enum State: String, Sendable, Hashable {
        /// It is at its place, and never changes.
        case sealed
        /// It was not published; its bytes are kept.
        case quarantined
    }

    /// Points in time.
    public struct Times: Sendable, Hashable {
        /// When its first writer opened it.
        public var opened: timespec?
        /// When its last writer closed it.
        public var closed: timespec?
        /// When it got its place.
        public var sealed: timespec?

        /// Nothing known.
        public init() {}

        public static func == (one: Times, other: Times) -> Bool { one.text == other.text }

        public func hash(into hasher: inout Hasher) { hasher.combine(text) }

        private var text: [String?] { [opened, closed, sealed].map { $0.map(TimeText.rfc3339) } }
    }

    /// Who wrote.
    public struct Writer: Sendable, Hashable {
        /// The user's name.
        public var user: String?
        /// The user's number.
        public var uid: UInt32?
        /// The group's number.
        public var gid: UInt32?
        /// The machine.
        public var host: String?
        /// The process's number.
        public var pid: Int32?
        /// The path of its program.
        public var program: String?
        /// Its command line, without secrets.
        public var argv: [String]?
        /// Whether it had more arguments than are told.
        public var argvIsCut = false
        /// Its working directory.
        public var cwd: String?
        /// Its pid namespace, where that is not the driver's, as `/proc/PID/ns/pid` names it.
        public var namespace: String?
        /// When it was started.
        public var started: timespec?
        /// How it ended.
        public var exit: Exit?
        /// Members of its environment, by name: those that the schema chooses.
        public var environment: JSONObject = [:]

        /// Nothing known.
        public init() {}

        public static func == (one: Writer, other: Writer) -> Bool { one.json == other.json }

        public func hash(into hasher: inout Hasher) { hasher.combine(json) }
    }

    /// How a process ended.
    public enum Exit: Sendable, Hashable {
        /// With an exit status.
        case status(Int32)
        /// By a signal.
        case signal(Int32)
        /// It was looked for and could not be seen.
        case unknown
    }

    /// What a writer belongs to.
    public struct WriterJob: Sendable, Hashable {
        /// Names it.
        public var id: String?
        /// `shell`, `make`, `snakemake`, `slurm`, ...
        public var kind: String?
        /// The writer's ancestors, up to the job's leader.
        public var processes: [Process] = []

        /// Nothing known.
        public init() {}
    }

    /// A process of a job.
    public struct Process: Sendable, Hashable {
        /// Its number.
        public var pid: Int32?
        /// The path of its program.
        public var program: String?
        /// Its command line.
        public var argv: [String]?
        /// Its working directory.
        public var cwd: String?

        /// Nothing known.
        public init() {}
    }

    /// The state of the code that made it, of which the commit is known: the script's, else that of the directory. Where the program itself comes
    /// from is another thing.
    public var ownCode: Code? {
        let all = code.filter { $0.commit != nil }
        return ["script", "cwd"].lazy.compactMap { role in all.first { $0.role == role } }.first
    }

    /// A state of code that was under version control.
    public struct Code: Sendable, Hashable {
        /// The repository's root.
        public var path: String?
        /// The commit.
        public var commit: String?
        /// The branch; nil when none was checked out.
        public var branch: String?
        /// The remote, without credentials.
        public var remote: String?
        /// Whether files that are tracked differ from the commit.
        public var dirty: Bool?
        /// How it was found: `cwd`, `script` or `program`.
        public var role: String?
        /// The script.
        public var script: String?
        /// SHA-256 of the script.
        public var sha256: String?

        /// Nothing known.
        public init() {}
    }

    /// An artifact that another was made from.
    public struct Input: Sendable, Hashable {
        /// The path on the mount, relative to it.
        public var path: String?
        /// From 1.
        public var version: Int64?
        /// SHA-256 of what was read.
        public var sha256: String?
        /// How it is known.
        public var how: How?
        /// When it was opened, as text.
        public var at: String?

        /// Nothing known.
        public init() {}
    }

    /// How an edge from an input is known; all but ``job`` are certain.
    public enum How: String, Sendable, Hashable, CaseIterable {
        /// The writing process had opened it.
        case process
        /// A process that forked the writer without exec had, or the writer inherited it open.
        case ancestor
        /// A process that is joined to the writer by pipes had.
        case pipe
        /// Somebody said so.
        case declared
        /// Another process of the same job had, earlier.
        case job
    }

    /// Whether files outside of the store were looked at.
    public enum OutsideSight: String, Sendable, Hashable {
        /// Nobody looked: what was read there is not known.
        case no
        /// They were.
        case yes
        /// They were, and some may have been missed.
        case partly
    }

    /// A file outside the store that an artifact was made from.
    public struct OutsideInput: Sendable, Hashable {
        /// Its path.
        public var path: String?
        /// In bytes.
        public var size: Int64?
        /// When it was changed last, as text.
        public var modified: String?
        /// SHA-256 of its bytes, where it was asked for.
        public var sha256: String?
        /// How it is known.
        public var how: How?
        /// When it was opened, as text.
        public var at: String?

        /// Nothing known.
        public init() {}
    }

    /// A run of an experiment.
    public struct ExperimentRun: Sendable, Hashable {
        /// The run's id.
        public var id: String?
        /// The experiment's name.
        public var experiment: String?

        /// Nothing known.
        public init() {}
    }

    /// How an artifact came out of quarantine.
    public struct RecoveredFrom: Sendable, Hashable {
        /// Its name in quarantine.
        public var id: String?
        /// The rule that it was kept back by.
        public var rule: String?
        /// Why it was kept back, as it was said then.
        public var reason: String?
        /// Why it was published all the same.
        public var despite: String?
        /// Who published it.
        public var uid: UInt32?

        /// Nothing known.
        public init() {}
    }

    /// How a file came to have a record that was there before.
    public struct Adopted: Sendable, Hashable {
        /// Who took it up.
        public var uid: UInt32?
        /// When the file had been changed last, as text.
        public var modified: String?

        /// Nothing known.
        public init() {}

        /// Taken up by a user.
        ///
        /// - Parameter modified: when the file had been changed last.
        public init(uid: UInt32, modified: timespec) {
            (self.uid, self.modified) = (uid, TimeText.rfc3339(modified))
        }
    }

    /// Where a promoted artifact comes from.
    public struct PromotionOrigin: Sendable, Hashable {
        /// The path on the mount, relative to it.
        public var path: String?
        /// The session's name.
        public var session: String?
        /// The test's name.
        public var test: String?
        /// SHA-256 of its bytes there.
        public var sha256: String?
        /// The check that it passed.
        public var check: String?
        /// Who promoted it, where the record's writer is who had made it.
        public var promoter: Writer?

        /// Nothing known.
        public init() {}

        /// A path on a mount, which names the session or the test.
        public init(path: String) {
            self.path = path
            let parts = path.split(separator: "/", maxSplits: 2)
            guard parts.count == 3 else { return }
            if parts[0] == Mode.development.rawValue { session = String(parts[1]) }
            if parts[0] == Mode.test.rawValue { test = String(parts[1]) }
        }
    }
}
