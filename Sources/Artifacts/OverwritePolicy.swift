import SystemPackage

/// The overwrite policy: one pure function from (operation, state, facts) to a verdict (SEMANTICS 2).
///
/// The driver asks it before it acts, `ArtifactKit` asks it without a mount, and `artifactfs explain` asks it to tell people.
public enum OverwritePolicy {
    /// Judges an operation on a file that exists.
    public static func judge(_ operation: Operation, on state: FileState, facts: Facts = Facts()) -> Verdict {
        switch operation {
        case .openToRead: openToRead(state, facts)
        case .openTruncating: openTruncating(state, facts)
        case .openToWrite: openToWrite(state, facts)
        case .writeOnHandle: writeOnHandle(state)
        case .truncate: truncate(state, facts)
        case .renameFrom: renameFrom(state, facts)
        case .renameOnto: renameOnto(state, facts)
        case .exchange: exchange(state, facts)
        case .unlink: unlink(state, facts)
        case .link: link(state, facts)
        case .setAttributes: setAttributes(state)
        case .setOwner, .setExtendedAttribute: setOwnerOrExtended(state, facts)
        }
    }

    private static func refuse(_ errno: Errno, _ rule: Rule) -> Verdict { .refused(Refusal(errno, rule)) }

    private static func openToRead(_ state: FileState, _ facts: Facts) -> Verdict {
        switch state {
        case .transient, .empty, .sealed, .live, .frozen: .allowed
        case .sealing: !facts.isKeptBack || facts.isSameJob ? .allowed : refuse(.resourceBusy, .notWholeYet)
        case .writing: facts.isSameJob ? .allowed : refuse(.resourceBusy, .notWholeYet)
        // Whoever can wait is answered when it is settled.
        case .settling: facts.isSameJob ? .allowed : refuse(.resourceBusy, .notWholeYet)
        case .held: facts.isSameJob ? .allowed : refuse(.resourceBusy, .heldByRun)
        }
    }

    private static func openTruncating(_ state: FileState, _ facts: Facts) -> Verdict {
        switch state {
        case .transient, .empty, .live: .allowed
        case .writing: refuse(.fileExists, .beingWritten)
        case .settling: refuse(.fileExists, .productionImmutable)
        case .held: facts.isSameJob ? .allowed : refuse(.fileExists, .heldByRun)
        case .sealing, .sealed: refuse(.fileExists, .productionImmutable)
        case .frozen: refuse(.notPermitted, .frozenSession)
        }
    }

    private static func openToWrite(_ state: FileState, _ facts: Facts) -> Verdict {
        switch state {
        case .transient, .empty, .live: .allowed
        case .writing: facts.isSameUser ? .allowed : refuse(.notPermitted, .writtenByAnother)
        case .settling: facts.isSameJob ? .allowed : refuse(.notPermitted, .productionImmutable)
        case .held: facts.isSameJob ? .allowed : refuse(.notPermitted, .heldByRun)
        case .sealing, .sealed: refuse(.notPermitted, .productionImmutable)
        case .frozen: refuse(.notPermitted, .frozenSession)
        }
    }

    private static func writeOnHandle(_ state: FileState) -> Verdict {
        switch state {
        case .transient, .writing, .empty, .live: .allowed
        case .settling: refuse(.notPermitted, .productionImmutable)
        case .held: refuse(.notPermitted, .heldByRun)
        case .sealing, .sealed: refuse(.notPermitted, .productionImmutable)
        case .frozen: refuse(.notPermitted, .frozenSession)
        }
    }

    private static func truncate(_ state: FileState, _ facts: Facts) -> Verdict {
        switch state {
        case .transient, .empty, .live: .allowed
        case .writing: refuse(.notPermitted, .beingWritten)
        case .settling: refuse(.notPermitted, .productionImmutable)
        case .held: facts.isSameJob ? .allowed : refuse(.notPermitted, .heldByRun)
        case .sealing, .sealed: refuse(.notPermitted, .productionImmutable)
        case .frozen: refuse(.notPermitted, .frozenSession)
        }
    }

    private static func renameFrom(_ state: FileState, _ facts: Facts) -> Verdict {
        switch state {
        case .transient, .empty, .live: .allowed
        case .writing: refuse(.resourceBusy, .beingWritten)
        case .settling: facts.isSameJob ? .allowed : refuse(.notPermitted, .productionImmutable)
        case .held: facts.isSameJob ? .allowed : refuse(.notPermitted, .heldByRun)
        case .sealing, .sealed: refuse(.notPermitted, .productionImmutable)
        case .frozen: refuse(.notPermitted, .frozenSession)
        }
    }

    private static func renameOnto(_ state: FileState, _ facts: Facts) -> Verdict {
        switch state {
        case .transient, .empty, .live: .allowed
        case .writing: refuse(.fileExists, .beingWritten)
        case .settling: refuse(.fileExists, .productionImmutable)
        case .held: facts.isSameJob ? .allowed : refuse(.fileExists, .heldByRun)
        case .sealing, .sealed: refuse(.fileExists, .productionImmutable)
        case .frozen: refuse(.notPermitted, .frozenSession)
        }
    }

    private static func exchange(_ state: FileState, _ facts: Facts) -> Verdict {
        switch state {
        case .transient, .writing, .empty: refuse(.invalidArgument, .noExchange)
        case .settling: refuse(.notPermitted, .productionImmutable)
        case .held: refuse(.notPermitted, .heldByRun)
        case .sealing, .sealed: refuse(.notPermitted, .productionImmutable)
        case .live: facts.isInOrdinaryTree ? .allowed : refuse(.invalidArgument, .noExchange)
        case .frozen: refuse(.notPermitted, .frozenSession)
        }
    }

    private static func unlink(_ state: FileState, _ facts: Facts) -> Verdict {
        switch state {
        case .transient, .writing, .empty, .live: .allowed
        case .settling: refuse(.notPermitted, .productionImmutable)
        case .held: facts.isSameJob ? .allowed : refuse(.notPermitted, .heldByRun)
        case .sealing, .sealed: refuse(.notPermitted, .productionImmutable)
        case .frozen: refuse(.notPermitted, .frozenSession)
        }
    }

    private static func link(_ state: FileState, _ facts: Facts) -> Verdict {
        switch state {
        case .transient, .writing, .empty: refuse(.notPermitted, .noLinks)
        case .settling: refuse(.notPermitted, .noLinks)
        case .held: refuse(.notPermitted, .noLinks)
        case .sealing, .sealed: refuse(.notPermitted, .noLinks)
        case .live: facts.isInOrdinaryTree || facts.isInTypedDirectory ? .allowed : refuse(.notPermitted, .noLinks)
        case .frozen: refuse(.notPermitted, .frozenSession)
        }
    }

    /// That only the owner does it is the file system's own rule.
    private static func setAttributes(_ state: FileState) -> Verdict {
        state == .frozen ? refuse(.notPermitted, .frozenSession) : .allowed
    }

    private static func setOwnerOrExtended(_ state: FileState, _ facts: Facts) -> Verdict {
        switch state {
        case .transient, .writing, .empty, .live: .allowed
        case .settling: facts.isSameJob ? .allowed : refuse(.notPermitted, .sealedAttributes)
        case .held: facts.isSameJob ? .allowed : refuse(.notPermitted, .heldByRun)
        case .sealing, .sealed: facts.isSettling ? .allowed : refuse(.notPermitted, .sealedAttributes)
        case .frozen: refuse(.notPermitted, .frozenSession)
        }
    }
}

/// What a directory takes; the other half of the policy.
public enum Place: Hashable, Sendable {
    /// The mount point and the layers of sessions and tests: directories that the tree makes.
    case fixed
    /// `production/` and its layers, where the schema's directories are and nothing can be made.
    case production
    /// `development/`: takes sessions by name.
    case sessions
    /// `test/`: takes tests by name.
    case tests
    /// A session's or test's root.
    case scopeRoot
    /// A typed directory.
    case typed(TypeDefinition)
    /// `plots/`.
    case plots
    /// `logs/`, `scratch/` and everything below them.
    case ordinaryTree
    /// `.artifactfs/` on the mount.
    case hidden
}

extension TreeLocation {
    /// What the directory takes.
    public var place: Place {
        switch self {
        case .root: .fixed
        case .mode(.production), .scope(.production), .layer(.production, _): .production
        case .mode(.development): .sessions
        case .mode(.test): .tests
        case .scope, .layer: self.isScopeRoot ? .scopeRoot : .fixed
        case .typed(_, _, let type): .typed(type)
        case .free(_, let name): name.isOrdinaryTree ? .ordinaryTree : .plots
        }
    }

    private var isScopeRoot: Bool { if case .scope = self { true } else { false } }
}

extension OverwritePolicy {
    /// What a name means in a place.
    ///
    /// - Parameter creation: what is to have the name, or has it.
    public static func classify(_ name: String, in place: Place, as creation: Creation = .file) -> NameClass {
        // In `logs/` and `scratch/` the file system underneath has its own limits.
        if place != .ordinaryTree {
            if name.utf8.count > NameRules.longestName { return .invalid(.tooLong) }
            if NameRules.isOwn(name) { return .invalid(.notInSchema) }
        }
        return classifyShort(name, in: place, creation)
    }

    private static func classifyShort(_ name: String, in place: Place, _ creation: Creation) -> NameClass {
        switch place {
        case .typed(let type): type.classify(name, ofDirectory: creation == .directory)
        case .plots: UntypedDirectory.classifyPlot(name)
        case .scopeRoot: classifyInScopeRoot(name)
        case .ordinaryTree: .artifact(realName: name)
        case .sessions: SessionName(name) == nil ? .invalid(.notASession) : .artifact(realName: name)
        case .tests: TestName(name) == nil ? .invalid(.notATest) : .artifact(realName: name)
        case .fixed, .production, .hidden: .invalid(.notInSchema)
        }
    }

    private static func classifyInScopeRoot(_ name: String) -> NameClass {
        guard NameRules.isEntry(name) else { return .invalid(.notInSessionRoot) }
        if name == StoreLayout.metadataName { return .artifact(realName: name) }
        if TransientNames.builtIn.contains(name)
            || NameRules.withoutRandomSuffix(name).map({ $0 == StoreLayout.metadataName }) == true
        {
            return .transient
        }
        return .invalid(.notInSessionRoot)
    }

    /// Judges making something under a name that does not exist yet.
    public static func judge(
        _ creation: Creation, named name: NameClass, in place: Place, standing: Standing
    ) -> Verdict {
        if standing == .frozen { return refuse(.notPermitted, .frozenSession) }
        switch place {
        case .ordinaryTree:
            return standing == .production ? refuse(.notPermitted, .productionImmutable) : .allowed
        case .hidden: return refuse(.notPermitted, .hiddenEntry)
        case .sessions, .tests:
            switch creation {
            case .directory: return judgeScope(name)
            case .file: return judgeName(name, isPlaceForFiles: false)
            case .symbolicLink, .specialFile: return refuse(.notPermitted, .noSpecialFiles)
            }
        case .fixed, .production:
            switch creation {
            case .file: return judgeName(name, isPlaceForFiles: false)
            case .directory: return refuse(.invalidArgument, .unknownDirectory)
            case .symbolicLink, .specialFile: return refuse(.notPermitted, .noSpecialFiles)
            }
        case .typed where creation == .symbolicLink && standing == .live:
            return judgeName(name, isPlaceForFiles: true)
        case .typed, .plots, .scopeRoot:
            switch creation {
            case .symbolicLink, .specialFile: return refuse(.notPermitted, .noSpecialFiles)
            case .directory: return judgeArtifactDirectory(name, in: place)
            case .file: return judgeName(name, isPlaceForFiles: true)
            }
        }
    }

    /// Judges what a symbolic link says that a typed directory of a session or test takes: what ``judge(_:named:in:standing:)`` says of its name
    /// is the other half.
    ///
    /// - Parameter target: what the link's text means as a name of its own directory.
    public static func judgeLink(to target: NameClass) -> Verdict {
        if case .artifact = target { return .allowed }
        return refuse(.notPermitted, .siblingLinks)
    }

    /// Judges giving a symbolic link of a typed directory another name.
    ///
    /// - Parameter isSameDirectory: whether the new name is in the directory of the old one, where what it says means the same.
    public static func judgeRenameOfLink(in standing: Standing, isSameDirectory: Bool) -> Verdict {
        if standing == .frozen { return refuse(.notPermitted, .frozenSession) }
        return isSameDirectory ? .allowed : refuse(.notPermitted, .siblingLinks)
    }

    private static func judgeName(_ name: NameClass, isPlaceForFiles: Bool) -> Verdict {
        switch name {
        case .artifact, .transient: isPlaceForFiles ? .allowed : refuse(.invalidArgument, .invalidName)
        case .invalid(.tooLong): refuse(.fileNameTooLong, .nameTooLong)
        case .invalid: refuse(.invalidArgument, .invalidName)
        }
    }

    private static func judgeArtifactDirectory(_ name: NameClass, in place: Place) -> Verdict {
        guard case .typed(let type) = place else { return refuse(.invalidArgument, .unknownDirectory) }
        switch name {
        // A program's own: `TypeDefinition.takesDirectory`.
        case .transient, .invalid(.tooLong): break
        case .artifact, .invalid:
            guard type.kind.hasDirectories else { return refuse(.invalidArgument, .unknownDirectory) }
        }
        return judgeName(name, isPlaceForFiles: true)
    }

    private static func judgeScope(_ name: NameClass) -> Verdict {
        switch name {
        case .artifact: .allowed
        case .transient: refuse(.invalidArgument, .invalidName)
        case .invalid(.tooLong): refuse(.fileNameTooLong, .nameTooLong)
        case .invalid: refuse(.invalidArgument, .invalidName)
        }
    }

    /// Whether a directory of the tree keeps the mode, owner and times that it is given: those of a session and of a test do, which are their
    /// owner's. What others are given is accepted and is not kept: programs that copy trees set them on each directory.
    public static func keepsAttributes(ofDirectoryIn place: Place, standing: Standing) -> Bool {
        judgeChange(.setExtendedAttribute, ofDirectoryIn: place, standing: standing) == .allowed
    }

    /// Judges chmod, chown, utimens and (as extended attributes) access lists of a directory of the tree.
    public static func judgeChange(
        _ operation: Operation, ofDirectoryIn place: Place, standing: Standing
    ) -> Verdict {
        if operation != .setExtendedAttribute, standing != .frozen, place != .hidden { return .allowed }
        return switch place {
        case .scopeRoot, .typed, .plots, .ordinaryTree:
            standing == .live ? .allowed : refuse(.notPermitted, standing == .frozen ? .frozenSession : .fixedDirectory)
        case .fixed, .production, .sessions, .tests:
            refuse(.notPermitted, standing == .frozen ? .frozenSession : .fixedDirectory)
        case .hidden: refuse(.notPermitted, .hiddenEntry)
        }
    }

    /// The state of a file that is not staged, by where it is.
    public static func stateOfPublished(in standing: Standing) -> FileState {
        switch standing {
        case .production: .sealed
        case .live: .live
        case .frozen: .frozen
        }
    }

    /// The state of a staged file.
    ///
    /// - Parameters:
    ///   - isTransientName: whether its name on the mount is transient.
    ///   - writers: handles that are open for writing.
    ///   - isSealing: whether its last writer closed it and it is being published.
    public static func stateOfStaged(isTransientName: Bool, writers: Int, isSealing: Bool) -> FileState {
        if isTransientName { return .transient }
        if isSealing { return .sealing }
        return writers > 0 ? .writing : .empty
    }
}
