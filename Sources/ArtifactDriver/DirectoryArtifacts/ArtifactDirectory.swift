internal import Artifacts
internal import FuseKernel
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A directory that is one artifact: what all that is in it has in common. The files in it are free nodes; the policy judges them by the state
/// of the whole.
final class ArtifactDirectory: Sendable {
    /// Where the whole is.
    enum Phase: Sendable {
        /// At its real path, in a session, a test or production.
        case published(Scope)
        /// Staged, on its way into production: nothing in it changes any more.
        case sealing
    }

    private struct State {
        var phase: Phase
        /// Changes of what is in it that are under way, and handles that are open to write.
        var changes = 0
    }

    /// A leaf in the order of locks.
    private let state: Lock<State>

    init(scope: Scope) { state = Lock(State(phase: .published(scope))) }

    /// Whose rules hold for it.
    var scope: Scope { if case .published(let scope) = phase { scope } else { .production } }

    var phase: Phase { state.withLock { $0.phase } }

    /// Begins a change of what is in it, or opens a file of it to write; ``endChange()`` ends that.
    ///
    /// - Throws: `EPERM` when it is being sealed: the policy was asked in the moment before.
    func beginChange() throws(Errno) {
        let isAllowed = state.withLock { state in
            guard case .published = state.phase else { return false }
            state.changes += 1
            return true
        }
        if !isAllowed { throw Errno.notPermitted }
    }

    func endChange() { state.withLock { $0.changes -= 1 } }

    /// Ends all changes, if none is under way: from here on the whole stays as it is.
    ///
    /// - Returns: false while something in it is changed or open to write.
    func beginSealing() -> Bool {
        state.withLock { state in
            guard state.changes == 0, case .published = state.phase else { return false }
            state.phase = .sealing
            return true
        }
    }

    /// It is at a real path, sealed or as it was.
    func endSealing(in scope: Scope) { state.withLock { $0.phase = .published(scope) } }
}

/// The directories that are artifacts and that the kernel knows, or that are being sealed.
final class ArtifactDirectories: Sendable {
    private struct Known {
        weak var directory: ArtifactDirectory?
    }

    /// One that is being sealed, found by its name on the mount until it has its real path.
    struct Staged: Sendable {
        let directory: ArtifactDirectory
        let node: FreeNode
        let parent: InodeNumber
        let name: String
    }

    private struct State {
        var known: [FileIdentity: Known] = [:]
        var staged: [Staged] = []
    }

    /// A leaf in the order of locks.
    private let state = Lock(State())

    /// The one that a real directory is. Two nodes of one never disagree: a node may be forgotten while files in it are known.
    func directory(_ identity: FileIdentity, in scope: Scope) -> ArtifactDirectory {
        state.withLock { state in
            if let known = state.known[identity]?.directory { return known }
            if state.known.count >= 64 { state.known = state.known.filter { $0.value.directory != nil } }
            let made = ArtifactDirectory(scope: scope)
            state.known[identity] = Known(directory: made)
            return made
        }
    }

    /// What is being sealed under a name.
    func staged(_ name: String, in parent: InodeNumber) -> Staged? {
        state.withLock { state in state.staged.first { $0.parent == parent && $0.name == name } }
    }

    /// What is being sealed under the names of a directory.
    func staged(in parent: InodeNumber) -> [Staged] {
        state.withLock { state in state.staged.filter { $0.parent == parent } }
    }

    func add(_ staged: Staged) { state.withLock { $0.staged.append(staged) } }

    func remove(_ staged: Staged) {
        state.withLock { state in state.staged.removeAll { $0.directory === staged.directory } }
    }
}

extension Volume {
    /// The policy's state of what is in an ordinary tree.
    ///
    /// - Parameter artifact: the artifact that it is part of; nil in `logs/` and `scratch/`.
    func state(of artifact: ArtifactDirectory?, in scope: Scope) -> FileState {
        if let artifact, case .sealing = artifact.phase { return .sealing }
        return OverwritePolicy.stateOfPublished(in: standing(of: scope))
    }

    /// Runs a change of what is in an ordinary tree: of an artifact none while it is being sealed, and it is not sealed meanwhile.
    func changing<Result>(
        _ artifact: ArtifactDirectory?, _ body: () throws(Errno) -> Result
    ) throws(Errno) -> Result {
        guard let artifact else { return try body() }
        try artifact.beginChange()
        defer { artifact.endChange() }
        return try body()
    }
}
