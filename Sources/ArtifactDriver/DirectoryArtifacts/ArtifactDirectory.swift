internal import Artifacts
internal import FuseKernel
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A directory that is one artifact: what all that is in it has in common. The files in it are free nodes; the policy judges them by the state
/// of the whole.
final class ArtifactDirectory: Sendable {
    /// Where the whole is.
    enum Stage: Sendable {
        /// At its real path, in a session, a test or production.
        case published(Scope)
        /// Staged, and being made in production.
        case making
        /// Staged, on its way into production: nothing in it changes any more.
        case sealing
        /// In quarantine: nothing in it changes, and it goes from there whole.
        case kept
    }

    private struct State {
        var stage: Stage
        /// Changes of what is in it that are under way, and handles that are open to write.
        var changes = 0
    }

    /// A leaf in the order of locks.
    private let state: Lock<State>

    init(_ stage: Stage) { state = Lock(State(stage: stage)) }

    /// Whose rules hold for it.
    var scope: Scope { if case .published(let scope) = stage { scope } else { .production } }

    var stage: Stage { state.withLock { $0.stage } }

    var isMaking: Bool { if case .making = stage { true } else { false } }
    var isKept: Bool { if case .kept = stage { true } else { false } }

    /// Whether something in it is being changed, or is open to write.
    var isChanging: Bool { state.withLock { $0.changes > 0 } }

    /// Begins a change of what is in it, or opens a file of it to write; ``endChange()`` ends that.
    ///
    /// - Throws: `EPERM` when it is being sealed or was kept back: the policy was asked in the moment before.
    func beginChange() throws(Errno) {
        let isAllowed = state.withLock { state in
            switch state.stage {
            case .sealing, .kept: return false
            case .published, .making: break
            }
            state.changes += 1
            return true
        }
        if !isAllowed { throw Errno.notPermitted }
    }

    /// - Returns: whether it is being made and this was the last change that was under way.
    @discardableResult
    func endChange() -> Bool {
        state.withLock { state in
            state.changes -= 1
            guard state.changes == 0, case .making = state.stage else { return false }
            return true
        }
    }

    /// Ends all changes, if none is under way: from here on the whole stays as it is.
    ///
    /// - Parameter isSure: whether it ends them though one is under way.
    /// - Returns: false while something in it is changed or open to write.
    func beginSealing(isSure: Bool = false) -> Bool {
        state.withLock { state in
            switch state.stage {
            case .sealing, .kept: return false
            case .published, .making: break
            }
            guard isSure || state.changes == 0 else { return false }
            state.stage = .sealing
            return true
        }
    }

    /// It is at a real path, sealed or as it was.
    func endSealing(in scope: Scope) { state.withLock { $0.stage = .published(scope) } }

    /// It was found in quarantine, or where it went from there.
    func wasFound(_ stage: Stage) {
        state.withLock { state in
            switch (state.stage, stage) {
            case (_, .kept), (.kept, _): state.stage = stage
            default: break
            }
        }
    }

    /// What was to be sealed is being made, as before.
    func makeOn() { state.withLock { $0.stage = .making } }
}

/// The directories that are artifacts and that the kernel knows, or that are staged.
final class ArtifactDirectories: Sendable {
    private struct Known {
        weak var directory: ArtifactDirectory?
    }

    private struct State {
        var known: [FileIdentity: Known] = [:]
        var staged: [StagedDirectory] = []
    }

    /// Before `StagedDirectory.state` in the order of locks.
    private let state = Lock(State())
    /// How many are staged: asked at every lookup, mostly none.
    private let count = Atomic<Int>(0)

    /// The one that a real directory is. Two nodes of one never disagree: a node may be forgotten while files in it are known.
    ///
    /// - Parameter isSure: whether it was looked at just now; false takes the word of who knows it already.
    func directory(
        _ identity: FileIdentity, _ stage: ArtifactDirectory.Stage, isSure: Bool = true
    ) -> ArtifactDirectory {
        state.withLock { state in
            if let known = state.known[identity]?.directory {
                if isSure { known.wasFound(stage) }
                return known
            }
            if state.known.count >= 64 { state.known = state.known.filter { $0.value.directory != nil } }
            let made = ArtifactDirectory(stage)
            state.known[identity] = Known(directory: made)
            return made
        }
    }

    /// What is staged under a name.
    func staged(_ name: String, in parent: InodeNumber) -> StagedDirectory? {
        guard count.load(ordering: .acquiring) > 0 else { return nil }
        return state.withLock { state in
            state.staged.first { staged in
                staged.state.withLock { $0.parent.id == parent && $0.name == name }
            }
        }
    }

    /// What is staged under the names of a directory.
    func staged(in parent: InodeNumber) -> [(name: String, staged: StagedDirectory)] {
        state.withLock { state in
            state.staged.compactMap { staged in
                staged.state.withLock { $0.parent.id == parent ? ($0.name, staged) : nil }
            }
        }
    }

    /// All that is staged.
    var staged: [StagedDirectory] { state.withLock { $0.staged } }

    /// Where an artifact is staged; nil when it is at its real path.
    func staged(_ artifact: ArtifactDirectory) -> StagedDirectory? {
        state.withLock { state in state.staged.first { $0.artifact === artifact } }
    }

    func add(_ staged: StagedDirectory) { change { $0.append(staged) } }

    func remove(_ staged: StagedDirectory) { change { $0.removeAll { $0 === staged } } }

    private func change(_ body: @Sendable (inout [StagedDirectory]) -> Void) {
        state.withLock { state in
            body(&state.staged)
            count.store(state.staged.count, ordering: .releasing)
        }
    }
}

extension Volume {
    /// The policy's state of what is in an ordinary tree.
    ///
    /// - Parameter artifact: the artifact that it is part of; nil in `logs/` and `scratch/`.
    func state(of artifact: ArtifactDirectory?, in scope: Scope) -> FileState {
        switch artifact?.stage {
        // Whoever makes the whole does with its parts what it likes.
        case .making?: .transient
        case .sealing?: .sealing
        case .kept?: .sealed
        case .published?, nil: OverwritePolicy.stateOfPublished(in: standing(of: scope))
        }
    }

    /// The policy's state of the whole.
    func state(ofWhole artifact: ArtifactDirectory, in scope: Scope) -> FileState {
        guard artifact.isMaking, let staged = artifactDirectories.staged(artifact) else {
            return state(of: artifact, in: scope)
        }
        return staged.state.withLock { $0.isTransient } ? .transient : .writing
    }

    /// Whether a node is the whole and not a part of it.
    func isTop(_ node: FreeNode, of artifact: ArtifactDirectory) -> Bool {
        artifactDirectories.staged(artifact).map { $0.node === node } ?? false
    }

    /// Runs a change of what is in an ordinary tree: of an artifact none while it is being sealed, and it is not sealed meanwhile.
    func changing<Result>(
        _ artifact: ArtifactDirectory?, _ caller: Caller, _ body: () throws(Errno) -> Result
    ) throws(Errno) -> Result {
        guard let artifact else { return try body() }
        try beginChange(of: artifact, caller)
        defer { endChange(of: artifact) }
        return try body()
    }

    /// Begins a change, or opens a file to write: of an artifact that is being made the caller is a maker from now on.
    func beginChange(of artifact: ArtifactDirectory, _ caller: Caller) throws(Errno) {
        if jobs?.hasAllOrNothing == true, artifact.isMaking, let staged = artifactDirectories.staged(artifact) {
            let (path, isTransient) = staged.state.withLock { ($0.path, $0.isTransient) }
            if !isTransient { try refuseDirectoryInRun(caller, path, Creation.directory.rawValue) }
        }
        try artifact.beginChange()
        if artifact.isMaking, let staged = artifactDirectories.staged(artifact) {
            note(makersOfDirectory(caller), of: staged)
        }
    }

    /// Ends a change: what is made by nobody any more may be whole.
    func endChange(of artifact: ArtifactDirectory) {
        guard artifact.endChange(), let staged = artifactDirectories.staged(artifact) else { return }
        _ = settle(staged)
    }
}
