internal import SystemPackage

/// What a program does by one path: a row of SEMANTICS 2, the making of something, or the removal of a directory.
public enum Action: Hashable, Sendable, CaseIterable {
    case operation(Operation)
    case creation(Creation)
    case removeDirectory

    /// By its name in `explain` and in `denials.jsonl`.
    public init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    /// Its name.
    public var name: String {
        switch self {
        case .operation(let operation): operation.rawValue
        case .creation(let creation): creation.rawValue
        case .removeDirectory: "rmdir"
        }
    }

    /// Those on files, then those that make something, then `rmdir`.
    public static let allCases: [Action] =
        Operation.allCases.map { .operation($0) } + Creation.allCases.map { .creation($0) } + [.removeDirectory]

    /// Whether a symbolic link's target is meant (path_resolution(7)).
    public var followsLinks: Bool {
        switch self {
        case .operation(.renameFrom), .operation(.renameOnto), .operation(.exchange), .operation(.unlink),
            .operation(.link), .removeDirectory, .creation(.directory), .creation(.symbolicLink),
            .creation(.specialFile):
            false
        case .operation, .creation(.file): true
        }
    }
}

/// What a path of the mount leads to.
public enum Subject: Hashable, Sendable {
    /// Nothing: the directory it would be in is not there, or is no directory.
    case nowhere(parentIsFile: Bool)
    /// Nothing yet, in a directory that is there.
    case nothing(NameClass)
    /// A directory of the tree.
    case directory(TreeLocation, isEmpty: Bool)
    /// An entry that the driver makes: `.artifactfs` and what is in it, `current`, `latest`.
    case made(isDirectory: Bool)
    /// A file or a directory of quarantine.
    case kept(isDirectory: Bool)
    /// What is in a directory of quarantine.
    case inKept(isDirectory: Bool)
    /// Nothing, in a directory of quarantine.
    case nothingInKept
    /// A file, or anything else but a directory in `logs/` and `scratch/`.
    case file(FileState)
    /// A directory below `logs/` or `scratch/`, or one that is an artifact or is in it, with the state that it is judged by.
    case ordinaryDirectory(isEmpty: Bool, FileState)
}

extension OverwritePolicy {
    /// Judges an action on what a path leads to: the policy, and what the kernel says by itself before it asks anybody.
    ///
    /// - Parameters:
    ///   - place: the directory that the path is in.
    ///   - standing: of the scope that the path is in.
    public static func judge(
        _ action: Action, on subject: Subject, in place: Place, standing: Standing, facts: Facts = Facts()
    ) -> Verdict {
        switch subject {
        case .nowhere(let parentIsFile): posix(parentIsFile ? .notDirectory : .noSuchFileOrDirectory)
        case .nothing(let name): judgeMaking(action, named: name, in: place, standing: standing)
        case .directory(let location, let isEmpty):
            judge(action, onTree: location, standing: standing, isEmpty: isEmpty)
        case .made(let isDirectory): judge(action, onMade: isDirectory)
        case .kept(let isDirectory): judgeKept(action, isDirectory: isDirectory)
        case .inKept(let isDirectory): judgeInKept(action, isDirectory: isDirectory)
        case .nothingInKept: judgeMakingInKept(action)
        case .file(let state): judge(action, onFile: state, facts)
        case .ordinaryDirectory(let isEmpty, let state): judge(action, onOrdinaryDirectory: isEmpty, state)
        }
    }

    /// Judges an operation on a file of a directory that is being made in production under its artifact's name: its maker's user writes it, its
    /// job reads it, and does with its parts what it likes.
    ///
    /// - Parameter facts: of who asks, to the whole directory.
    public static func judgeInUnfinished(_ operation: Operation, facts: Facts) -> Verdict {
        switch operation {
        case .openToRead: judge(.openToRead, on: .writing, facts: facts)
        case .openToWrite, .openTruncating: judge(.openToWrite, on: .writing, facts: facts)
        default: judge(operation, on: .transient, facts: facts)
        }
    }

    /// What any file system would say.
    private static func posix(_ errno: Errno) -> Verdict { .refused(Refusal(errno, .posix)) }
    private static func refuse(_ errno: Errno, _ rule: Rule) -> Verdict { .refused(Refusal(errno, rule)) }

    /// Opening a name to write to it makes the file, as the shell's `>` does, and so does a rename onto it.
    private static func judgeMaking(
        _ action: Action, named name: NameClass, in place: Place, standing: Standing
    ) -> Verdict {
        switch action {
        case .creation(let creation): judge(creation, named: name, in: place, standing: standing)
        case .operation(.openTruncating), .operation(.openToWrite), .operation(.renameOnto):
            judge(.file, named: name, in: place, standing: standing)
        case .operation, .removeDirectory: posix(.noSuchFileOrDirectory)
        }
    }

    /// Judges an action on a directory of the tree that is there.
    public static func judge(
        _ action: Action, onTree location: TreeLocation, standing: Standing, isEmpty: Bool
    ) -> Verdict {
        switch action {
        case .removeDirectory: judgeRemoval(of: location, standing: standing, isEmpty: isEmpty)
        // Nobody renames or exchanges a mount point.
        case .operation(.renameFrom), .operation(.exchange):
            location == .root ? posix(.resourceBusy) : refuse(.notPermitted, .fixedDirectory)
        case .operation(.setAttributes): judgeChange(.setAttributes, ofDirectoryIn: location.place, standing: standing)
        case .operation(.setOwner): judgeChange(.setOwner, ofDirectoryIn: location.place, standing: standing)
        case .operation(.setExtendedAttribute): refuse(.notSupported, .foreignAttribute)
        default: onDirectory(action)
        }
    }

    /// Judges the removal of a directory of the tree: tests go; the typed directories of a session or test never stand in the way of
    /// `rm -r`.
    public static func judgeRemoval(of location: TreeLocation, standing: Standing, isEmpty: Bool) -> Verdict {
        if location == .root { return posix(.resourceBusy) }
        guard let scope = location.scope, scope != .production else { return refuse(.notPermitted, .fixedDirectory) }
        if standing == .frozen { return refuse(.notPermitted, .frozenSession) }
        if !isEmpty { return posix(.directoryNotEmpty) }
        if case .scope(.session) = location { return refuse(.resourceBusy, .directoryInUse) }
        return .allowed
    }

    /// Judges the end of a session.
    ///
    /// - Parameters:
    ///   - isMounts: whether the mount began with it.
    ///   - isLive: whether a user began it on this mount, and nobody has ended it.
    ///   - isOwners: whether who asks has begun it, is root, or runs the mount.
    ///   - isInUse: whether somebody has a file of it open to write.
    public static func judgeEnd(ofMounts isMounts: Bool, isLive: Bool, isOwners: Bool, isInUse: Bool) -> Verdict {
        if isMounts { return refuse(.resourceBusy, .mountSession) }
        // It has ended before, or is another mount's.
        if !isLive { return .allowed }
        if !isOwners { return refuse(.notPermitted, .anothersSession) }
        return isInUse ? refuse(.resourceBusy, .sessionInUse) : .allowed
    }

    /// Judges an action on an entry that the driver makes.
    public static func judge(_ action: Action, onMade isDirectory: Bool) -> Verdict {
        switch action {
        case .operation(.openToRead): return .allowed
        case .operation(.setAttributes), .operation(.setOwner), .operation(.renameFrom), .operation(.exchange):
            return refuse(.notPermitted, .hiddenEntry)
        case .operation(.setExtendedAttribute): return refuse(.notSupported, .foreignAttribute)
        case .operation(.link): return isDirectory ? posix(.notPermitted) : refuse(.notPermitted, .noLinks)
        case .removeDirectory: return isDirectory ? refuse(.notPermitted, .hiddenEntry) : posix(.notDirectory)
        case .creation(.directory), .creation(.symbolicLink), .creation(.specialFile): return posix(.fileExists)
        case .operation, .creation(.file):
            return isDirectory ? posix(.isDirectory) : refuse(.notPermitted, .hiddenEntry)
        }
    }

    private static func judge(_ action: Action, onFile state: FileState, _ facts: Facts) -> Verdict {
        if let operation = action.operation { return judge(operation, on: state, facts: facts) }
        return posix(action == .removeDirectory ? .notDirectory : .fileExists)
    }

    private static func judge(
        _ action: Action, onOrdinaryDirectory isEmpty: Bool, _ state: FileState
    ) -> Verdict {
        switch action {
        case .operation(.renameFrom), .operation(.exchange), .operation(.setAttributes), .operation(.setOwner),
            .operation(.setExtendedAttribute):
            action.operation.map {
                judge($0, on: state, facts: Facts(isInOrdinaryTree: true))
            } ?? .allowed
        case .removeDirectory:
            judge(.unlink, on: state) != .allowed
                ? judge(.unlink, on: state) : isEmpty ? .allowed : posix(.directoryNotEmpty)
        default: onDirectory(action)
        }
    }

    /// What the kernel says of any directory.
    static func onDirectory(_ action: Action) -> Verdict {
        switch action {
        case .operation(.openToRead): .allowed
        case .operation(.link): posix(.notPermitted)
        case .creation(.directory), .creation(.symbolicLink), .creation(.specialFile): posix(.fileExists)
        case .operation, .creation(.file), .removeDirectory: posix(.isDirectory)
        }
    }

    /// Judges any action on a mount that was made with `--read-only`: every change is refused by the kernel, which looks first whether there
    /// is what it would be a change of.
    ///
    /// - Parameter usual: what another mount would say.
    public static func judgeReadOnly(_ action: Action, on subject: Subject, usually usual: Verdict) -> Verdict {
        if action == .operation(.openToRead) { return usual }
        let isNowhere = if case .nowhere = subject { true } else { false }
        let isRoot = if case .directory(.root, _) = subject { true } else { false }
        let comesFirst =
            switch action {
            // Asked of the directory that the name is in, before the name is looked for.
            case .operation(.renameFrom), .operation(.renameOnto), .operation(.exchange), .operation(.unlink),
                .removeDirectory:
                isNowhere || isRoot
            case .operation(.link): isNowhere || usual.refusal?.errno == .noSuchFileOrDirectory
            case .operation, .creation: true
            }
        if comesFirst, let refusal = usual.refusal, refusal.rule == .posix { return usual }
        return refuse(.readOnlyFileSystem, .readOnlyMount)
    }
}
