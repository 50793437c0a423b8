internal import SystemPackage

/// Extended attributes that the driver gives, and those that artifacts keep.
public enum ArtifactAttribute {
    /// What begins so is the driver's.
    public static let prefix = "user.artifact."
    /// A file's state (``FileState``).
    public static let state = "user.artifact.state"
    /// What who asks is to a file that is being made (``Asker``).
    public static let asker = "user.artifact.asker"
    /// Why what was kept back is to be published although it may be cut (``KeptBytes``); of an entry of quarantine.
    public static let despite = "user.artifact.despite"
    /// Of a sealed artifact: its SHA-256.
    public static let sha256 = "user.artifact.sha256"
    /// The id of the run that it is of.
    public static let run = "user.artifact.run"
    /// The commit of the code that made it.
    public static let commit = "user.artifact.commit"
    /// The command line of its writer.
    public static let command = "user.artifact.command"
    /// Its whole record, as JSON.
    public static let record = "user.artifact.record"
    /// By which who asks says that artifacts are to be superseded or retracted; of ``StoreLayout/versionsFile``.
    public static let versions = "user.artifact.versions"
    /// By which who asks says that files are to be promoted together; of ``StoreLayout/promotionsFile``.
    public static let promotions = "user.artifact.promotions"
    /// The directory of the store that a directory shows, on a mount of several.
    public static let store = "user.artifact.store"
    /// Of an evicted artifact: the mirror that has its bytes. Nothing else has it.
    public static let evicted = "user.artifact.evicted"
    /// Those that a record answers.
    public static let ofRecord: Set<String> = [sha256, run, commit, command, record]
    /// What an artifact was made from, as its writer says: paths on the mount, a JSON array or one a line.
    public static let inputs = "user.artifact.inputs"
    /// What an artifact was made with.
    public static let config = "user.artifact.config"
    /// What its writer has to say.
    public static let note = "user.artifact.note"
    /// The experiment that it is of.
    public static let experiment = "user.artifact.experiment_id"
    /// What a writer may set, for the record.
    public static let settable: Set<String> = [config, note, experiment, inputs]
    /// Of these, what stands in the record as JSON where it is JSON.
    public static let parsed: Set<String> = [config, note]

    /// Whether an artifact's real file may have an attribute of this name.
    public static func isKept(_ name: String) -> Bool { name.hasPrefix("user.") || isAccessList(name) }

    /// Whether it is an access list.
    public static func isAccessList(_ name: String) -> Bool {
        name == AccessList.accessAttribute || name == AccessList.defaultAttribute
    }
}

/// What a process that asks is to a file that is being made. As text in ``ArtifactAttribute/asker``.
public struct Asker: Hashable, Sendable {
    /// It is the user who began the file.
    public var isSameUser: Bool
    /// It belongs to the job that makes the file.
    public var isSameJob: Bool
    /// The file is on its way to quarantine.
    public var isKeptBack: Bool

    /// An asker.
    public init(isSameUser: Bool, isSameJob: Bool, isKeptBack: Bool = false) {
        self.isSameUser = isSameUser
        self.isSameJob = isSameJob
        self.isKeptBack = isKeptBack
    }

    /// Reads the attribute's value.
    public init?(text: String) {
        let words = text.split(separator: " ")
        guard (2...3).contains(words.count), let user = Self.isSame(words[0], "user"),
            let job = Self.isSame(words[1], "job"), words.count == 2 || words[2] == Self.keptBack
        else { return nil }
        (isSameUser, isSameJob, isKeptBack) = (user, job, words.count == 3)
    }

    private static func isSame(_ word: Substring, _ what: String) -> Bool? {
        word == "same-\(what)" ? true : word == "other-\(what)" ? false : nil
    }

    /// The attribute's value: `same-user` or `other-user`, then `same-job` or `other-job`, then `kept-back` of a file that is on its way
    /// to quarantine.
    public var text: String {
        (isSameUser ? "same-user" : "other-user") + (isSameJob ? " same-job" : " other-job")
            + (isKeptBack ? " " + Self.keptBack : "")
    }

    private static let keptBack = "kept-back"
}

extension OverwritePolicy {
    /// Judges setting or removing an extended attribute of an artifact, by its name alone.
    public static func judge(attribute name: String) -> Verdict {
        if name.hasPrefix(ArtifactAttribute.prefix), !ArtifactAttribute.settable.contains(name) {
            return .refused(Refusal(.notPermitted, .reservedAttribute))
        }
        guard name.hasPrefix("user.") || name == AccessList.accessAttribute else {
            return .refused(Refusal(.notSupported, .foreignAttribute))
        }
        return .allowed
    }
}
