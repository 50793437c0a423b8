/// What looking at a path of a mount tells. `explain` looks by system calls, and a test at a driver that it holds in its hand.
public protocol TreeSight {
    /// What has a path, itself and not what a link leads to.
    ///
    /// - Parameter path: from the mount point, without a `/` at its end; the mount point is the empty path.
    func kind(of path: String) -> SeenKind
    /// The names in a directory, `.` and `..` aside.
    func names(in path: String) -> [String]
    /// An extended attribute of a file; nil when it has none of that name.
    func attribute(_ name: String, of path: String) -> String?
}

/// What has a path.
public enum SeenKind: Hashable, Sendable {
    case nothing
    /// Nothing: what should be a directory on the way is none.
    case belowFile
    case plainFile
    case directory
    case symbolicLink
    /// A fifo, a socket or a device.
    case other
}

/// What has to be known of a mount to answer for it.
public struct MountFacts: Sendable {
    /// The store's.
    public let schema: ArtifactSchema
    /// Whether it was made with `--read-only`.
    public let isReadOnly: Bool
    /// The sessions whose files may change by it.
    public let liveSessions: Set<SessionName>
    /// Whether its lease is held, or it needs none.
    public let isLeaseHeld: Bool

    /// Facts.
    public init(
        schema: ArtifactSchema, isReadOnly: Bool, liveSessions: Set<SessionName>, isLeaseHeld: Bool = true
    ) {
        self.schema = schema
        self.isReadOnly = isReadOnly
        self.liveSessions = liveSessions
        self.isLeaseHeld = isLeaseHeld
    }
}

/// Why the mount does what it does with a path: the facts that can be seen from outside, brought to the rules that the driver asks with its
/// own.
public struct Explanation: Sendable {
    /// What is at the path.
    public let subject: Subject
    /// The directory that it is in.
    public let place: Place
    private var standing: Standing
    private var facts: Facts
    private let mount: MountFacts
    private let name: String
    /// Whether it is in a directory that is being made.
    private var isInUnfinished = false

    /// Looks at a path.
    ///
    /// - Parameters:
    ///   - path: from the mount point, which is the empty path.
    ///   - sight: who looks.
    public init(_ path: String, on mount: MountFacts, by sight: some TreeSight) {
        self.mount = mount
        let (location, rest) = mount.schema.locate(path)
        standing = .of(location.scope, isReadOnly: mount.isReadOnly) { mount.liveSessions.contains($0) }
        let (parent, name) = Self.split(path)
        self.name = name
        let own = StoreLayout.privateDirectory
        let isRecord = rest.first == StoreLayout.recordsDirectory && location.hasRecords
        let isHidden = path == own || path.hasPrefix(own + "/") || isRecord
        let kind = sight.kind(of: path)
        let whole = path.split(separator: "/").dropLast(max(0, rest.count - 1)).joined(separator: "/")
        // What is in a directory that is an artifact is as in an ordinary tree.
        let isInArtifact = !isHidden && rest.count > 1 && Self.takesDirectory(rest[0], location)
        let isTyped = if case .typed = location.place { !isInArtifact } else { false }
        facts = Facts(
            isInOrdinaryTree: location.place == .ordinaryTree || isInArtifact,
            isInTypedDirectory: isTyped && kind == .plainFile)

        if isInArtifact, Self.state(of: whole, sight) == .writing {
            isInUnfinished = true
            facts = Self.facts(facts, Self.asker(of: whole, sight))
        }

        if kind == .nothing || kind == .belowFile {
            guard kind == .nothing, sight.kind(of: parent) == .directory else {
                (subject, place) = (.nowhere(parentIsFile: kind == .belowFile), .fixed)
                return
            }
            // A session or a test that is not there.
            let scopes: Place = location.scope?.mode == .development ? .sessions : .tests
            place = isHidden ? .hidden : rest.isEmpty ? scopes : isInArtifact ? .ordinaryTree : location.place
            // What is not there has not ended: where it would be made counts.
            if rest.isEmpty { standing = .production }
            subject =
                Self.isInKept(path) ? .nothingInKept : .nothing(OverwritePolicy.classify(name, in: place))
            // While a directory is being made in production, things are made in it.
            if isInArtifact, Self.state(of: parent, sight).map({ $0 == .transient || $0 == .writing }) == true {
                standing = .live
            }
            return
        }
        place = isHidden ? .hidden : isInArtifact ? .ordinaryTree : location.place
        let isSiblingLink = kind == .symbolicLink && isTyped && standing != .production
        if isHidden, Self.isInKept(path) {
            subject = .inKept(isDirectory: kind == .directory)
        } else if isHidden, Self.isKept(path, sight) {
            subject = .kept(isDirectory: kind == .directory)
        } else if isHidden || kind == .symbolicLink && place != .ordinaryTree && !isSiblingLink {
            subject = .made(isDirectory: kind == .directory)
        } else if rest.isEmpty {
            subject = .directory(location, isEmpty: Self.isEmpty(path, location, mount.schema, sight))
        } else if kind == .directory {
            let state = Self.state(of: path, sight) ?? OverwritePolicy.stateOfPublished(in: standing)
            subject = .ordinaryDirectory(isEmpty: sight.names(in: path).isEmpty, state)
        } else {
            let isPlain = kind == .plainFile && place != .ordinaryTree
            let state = isPlain || isInArtifact ? Self.state(of: path, sight) : nil
            subject = .file(state ?? OverwritePolicy.stateOfPublished(in: standing))
            if isPlain { facts = Self.facts(facts, Self.asker(of: path, sight)) }
        }
    }

    private static func asker(of path: String, _ sight: some TreeSight) -> Asker? {
        sight.attribute(ArtifactAttribute.asker, of: path).flatMap(Asker.init)
    }

    private static func facts(_ facts: Facts, _ asker: Asker?) -> Facts {
        guard let asker else { return facts }
        var facts = facts
        facts.isSameUser = asker.isSameUser
        facts.isSameJob = asker.isSameJob
        facts.isKeptBack = asker.isKeptBack
        return facts
    }

    /// Whether a path is below a directory in quarantine.
    private static func isInKept(_ path: String) -> Bool {
        let directory = StoreLayout.quarantineDirectory + "/"
        return path.hasPrefix(directory) && path.utf8.dropFirst(directory.utf8.count).contains(UInt8(ascii: "/"))
    }

    /// Whether a path is that of something in quarantine, and not of a reason beside it.
    private static func isKept(_ path: String, _ sight: some TreeSight) -> Bool {
        let (suffix, directory) = (StoreLayout.reasonSuffix, StoreLayout.quarantineDirectory)
        return path.hasPrefix(directory + "/")
            && (!path.hasSuffix(suffix) || sight.kind(of: path + suffix) == .plainFile)
    }

    /// Whether an action is allowed.
    public func verdict(_ action: Action) -> Verdict {
        if isInUnfinished, case .file = subject, let operation = action.operation {
            var facts = facts
            if mount.schema.publishing == .close { facts.isSameJob = true }
            return OverwritePolicy.judgeInUnfinished(operation, facts: facts)
        }
        var facts = facts
        if case .file(let state) = subject, let operation = action.operation,
            !OverwritePolicy.asksWho(
                operation, on: state, isKeptBack: facts.isKeptBack, publishing: mount.schema.publishing)
        {
            // Nobody is asked: it is everybody's.
            facts.isSameJob = true
        }
        var subject = subject
        if case .nothing = subject, action == .creation(.directory) {
            subject = .nothing(OverwritePolicy.classify(name, in: place, as: .directory))
        }
        let usual = OverwritePolicy.judge(action, on: subject, in: place, standing: standing, facts: facts)
        if mount.isReadOnly { return OverwritePolicy.judgeReadOnly(action, on: subject, usually: usual) }
        return OverwritePolicy.judge(
            usual, reads: action == .operation(.openToRead), isLeaseHeld: mount.isLeaseHeld)
    }

    /// What the mount says of a file or directory that is an artifact or part of one.
    private static func state(of path: String, _ sight: some TreeSight) -> FileState? {
        sight.attribute(ArtifactAttribute.state, of: path).flatMap(FileState.init)
    }

    private static func takesDirectory(_ name: String, _ location: TreeLocation) -> Bool {
        if case .typed(_, _, let type) = location { type.takesDirectory(name) } else { false }
    }

    private static func split(_ path: String) -> (parent: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("", path) }
        return (String(path[..<slash]), String(path[path.utf8.index(after: slash)...]))
    }

    /// Whether nothing is in a directory of a session or test, its own directories aside.
    private static func isEmpty(
        _ path: String, _ location: TreeLocation, _ schema: ArtifactSchema, _ sight: some TreeSight
    ) -> Bool {
        // Only those can go away.
        guard let scope = location.scope, scope != .production else { return false }
        let children = schema.fixedChildren(of: location)
        let own = Set(children.map(\.name))
        return sight.names(in: path).allSatisfy { own.contains($0) }
            && children.allSatisfy { isEmpty(path + "/" + $0.name, $0.location, schema, sight) }
    }

    /// What it is, for people.
    public var words: String {
        switch subject {
        case .nowhere: "nothing there"
        case .nothing(.artifact): place == .sessions || place == .tests ? "a new directory" : "a new name"
        case .nothing(.transient): "a temporary name\(pattern), never published as such"
        case .nothing(.invalid): "no name of this directory"
        case .directory, .ordinaryDirectory: "a directory"
        case .kept: "bytes that were kept back"
        case .inKept: "part of a directory that was kept back"
        case .nothingInKept: "nothing, in a directory that was kept back"
        case .made: "an entry that the driver makes"
        case .file(.transient): "\(FileState.transient)\(pattern)"
        case .file(let state): state.rawValue
        }
    }

    /// By which of the schema's patterns a name is temporary; empty where it is one that is followed by random letters.
    private var pattern: String {
        let names = if case .typed = place { mount.schema.transientNames } else { TransientNames.builtIn }
        return names.pattern(of: name).map { ": \($0)" } ?? ""
    }
}

extension Action {
    /// What it is to a file that is there already, where it is an operation on one.
    var operation: Operation? {
        switch self {
        case .operation(let operation): operation
        // `open` with O_CREAT and O_TRUNC, as the shell's `>`.
        case .creation(.file): .openTruncating
        case .creation, .removeDirectory: nil
        }
    }
}
