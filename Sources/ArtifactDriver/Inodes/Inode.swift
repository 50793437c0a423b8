internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Synchronization
internal import SystemCalls

/// What an inode of the mount is. One word: there may be millions.
enum Inode: Sendable {
    /// A directory that the modes or the schema make.
    case tree(TreeDirectory)
    /// A file in a typed directory, in `plots/`, or a session's `metadata.json`.
    case artifact(ArtifactFile)
    /// Anything in `logs/` and `scratch/`.
    case free(FreeNode)
    /// An entry that is made when it is read.
    case made(MadeEntry)
    /// A file or a directory that was kept back, or is a former version.
    case kept(KeptFile)
}

extension TreeDirectory: Hashable {
    static func == (one: TreeDirectory, other: TreeDirectory) -> Bool { one === other }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// A directory of the virtual tree, with the real directory it shows, which may not exist yet.
final class TreeDirectory: Sendable {
    let id: InodeNumber
    let location: TreeLocation
    let place: Place
    /// The scope that the directory is in; nil above scopes.
    let scope: Scope?
    /// From the mount point, without a leading `/`; empty for the mount point.
    let path: String
    let real: RealDirectory
    /// `st_ino`: the same at every mount.
    let stableNumber: UInt64
    /// When the kernel was last told what each name here is, on the monotonic clock; 0 for never.
    let lastDetails = Atomic<UInt64>(0)
    /// What are the newest files, and when that was so.
    struct Newest: Sendable {
        let state: ListingState
        let names: NewestNames
    }
    let newest = Lock<Newest?>(nil)
    /// How many inodes are named in it. Changed under the namespace's lock.
    private let nameCount = Atomic<Int>(0)

    init(id: InodeNumber, location: TreeLocation, path: String, real: RealDirectory) {
        self.id = id
        self.location = location
        self.place = location.place
        self.scope = location.scope
        self.path = path
        self.real = real
        stableNumber = StableNumber.of(path)
    }

    /// Whether it comes and goes with a session or test: then it is known only as long as somebody needs it. The others are few.
    var isTransient: Bool {
        switch scope {
        case .session, .test: true
        case .production, nil: false
        }
    }

    /// How many inodes are named in it.
    var names: Int { nameCount.load(ordering: .relaxed) }
    func countName(_ change: Int) { nameCount.add(change, ordering: .relaxed) }

    /// Whether files here are published, not written in place.
    var isProduction: Bool { if case .production? = scope { true } else { false } }

    /// The name on the mount of a real file, if the directory shows it.
    func name(ofReal name: String) -> String? {
        switch place {
        case .typed(let type): type.virtualName(forReal: name)
        case .plots, .scopeRoot:
            if case .artifact(name) = OverwritePolicy.classify(name, in: place) { name } else { nil }
        default: nil
        }
    }

    /// The name on the mount of a real directory that is an artifact, if the directory shows it.
    func name(ofRealDirectory real: String) -> String? {
        guard case .typed(let type) = place else { return nil }
        return type.virtualName(forReal: real, ofDirectory: true)
            ?? (isProduction ? nil : type.transientDirectoryName(forReal: real))
    }

    /// The name on the mount of a real symbolic link, if the directory takes one of that name. One with a temporary name is at its real path
    /// too: it has no bytes that could be half.
    func name(ofRealLink name: String) -> String? {
        if let shown = self.name(ofReal: name) { return shown }
        return OverwritePolicy.classify(name, in: place) == .transient ? name : nil
    }

    /// Whether it takes symbolic links to what is beside them: a typed directory of a session or test does.
    var takesLinks: Bool { if case .typed = place { !isProduction } else { false } }

    /// A name's path from the mount point.
    func path(of name: String) -> String { path.isEmpty ? name : path + "/" + name }
}

/// An entry that no real file stands behind.
indirect enum MadeEntry: Hashable, Sendable {
    /// `.artifactfs/`
    case hiddenDirectory
    case hiddenFile(HiddenFile, for: Viewer)
    /// `.artifactfs/quarantine/`
    case quarantine
    /// Why a file in it is there; its owner's, as the file is.
    case keptReason(of: String, owner: UInt32)
    /// `.meta/` in a directory of production.
    case records(TreeDirectory)
    /// The record of an artifact, in it.
    case record(RecordFile)
    /// The former versions of an artifact, in it.
    case versions(TreeDirectory, of: String)
    /// What is known of one of them.
    case versionRecord(VersionRecord)
    /// `development/current`: the mount's session, while that is everybody's, or the one that is given: who asks has it, or on a read-only
    /// mount it is the newest.
    case currentSession(String?)
    /// `latest`, `latest.pkl` and so on in a directory of checkpoints.
    case latestCheckpoint(InodeNumber, name: String, target: String)
    /// A symbolic link in a typed directory of a session or test, to a file beside it.
    case siblingLink(InodeNumber, name: String, target: String)

    /// What it is remembered by, under its directory. The kernel keeps what a link says, so a link with another target is another
    /// inode; `/` is in no name that a program asks for.
    func key(_ name: String) -> String {
        switch self {
        case .hiddenDirectory, .quarantine, .records, .versions, .hiddenFile(_, for: .everybody), .currentSession(nil):
            name
        case .record(let file): name + "/" + file.line
        case .versionRecord(let file): name + "/" + file.key
        case .keptReason(_, let owner): name + "/" + String(owner)
        case .hiddenFile(_, for: .user(let user)): name + "/" + String(user)
        case .currentSession(let session?): name + "/" + session
        case .latestCheckpoint(_, _, let target), .siblingLink(_, _, let target): name + "/" + target
        }
    }
}

/// Who a hidden file is made for. Each user sees what was refused to them; root, and who runs the driver, what was refused to anybody.
/// Files for different viewers are different inodes, so that what the kernel keeps of one is never another's.
enum Viewer: Hashable, Sendable {
    /// Who may know of everybody.
    case everybody
    case user(UInt32)

    /// The one user.
    var user: UInt32? { if case .user(let user) = self { user } else { nil } }
}

/// Files in `.artifactfs/` on the mount.
enum HiddenFile: String, CaseIterable, Sendable {
    case status = "status.json"
    case denials = "denials.jsonl"
    case schema = "schema.yaml"
    case runs = "runs.jsonl"
    case versions = "versions.jsonl"
    case promotions = "promotions.jsonl"
}

/// Inode numbers for what has no real inode. The top bit keeps them apart from real ones.
enum StableNumber {
    /// FNV-1a of a path.
    static func of(_ path: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in path.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return hash | (1 << 63)
    }
}
