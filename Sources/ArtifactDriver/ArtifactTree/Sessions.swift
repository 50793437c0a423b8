internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The sessions that are live on a mount beside its current one: those that other users began, the last of each, and those that were left
/// while somebody had a file of theirs open to write.
final class LiveSessions: Sendable {
    private struct State {
        var ofUsers: [UInt32: SessionName] = [:]
        var left: Set<SessionName> = []
    }

    /// A leaf in the order of locks.
    private let state = Lock(State())
    /// Whether there are any: what most mounts ask is whether there is nothing.
    private let count = Atomic<Int>(0)

    func isLive(_ name: SessionName) -> Bool {
        guard count.load(ordering: .acquiring) > 0 else { return false }
        return state.withLock { $0.left.contains(name) || $0.ofUsers.values.contains(name) }
    }

    /// Sessions that end when nobody writes to them any more.
    var left: Set<SessionName> {
        guard count.load(ordering: .acquiring) > 0 else { return [] }
        return state.withLock { $0.left }
    }

    /// All of them.
    var all: Set<SessionName> {
        guard count.load(ordering: .acquiring) > 0 else { return [] }
        return state.withLock { $0.left.union($0.ofUsers.values) }
    }

    /// A user began one.
    ///
    /// - Returns: the user's one before.
    func begin(_ name: SessionName, of user: UInt32) -> SessionName? {
        change { state in
            defer { state.ofUsers[user] = name }
            return state.ofUsers[user]
        }
    }

    func leave(_ name: SessionName) { change { _ = $0.left.insert(name) } }

    /// - Returns: whether it was there.
    func end(_ name: SessionName) -> Bool { change { $0.left.remove(name) != nil } }

    private func change<Result>(_ body: (inout State) -> Result) -> Result {
        state.withLock { state in
            defer { count.store(state.ofUsers.count + state.left.count, ordering: .releasing) }
            return body(&state)
        }
    }
}

extension Volume {
    /// `mkdir development/<name>`: another session. Whose mount it is moves everybody's `current` with it; another user's begins beside it, so
    /// that nobody ends another's session.
    func beginSession(_ name: SessionName, for caller: Caller) {
        guard caller.user != ownUser else { return moveSession(to: name) }
        if let before = sessions.begin(name, of: caller.user) { leave(before) }
    }

    /// Ends a session, now or when nobody has a file of it open to write: a program that began in it goes on.
    func leave(_ name: SessionName) {
        sessions.leave(name)
        endLeftSessions()
    }

    /// Ends the sessions that were left and that nobody writes to any more. Called with each release of a writer.
    func endLeftSessions() {
        for name in sessions.left where !hasWriters(.session(name)) && sessions.end(name) { store.endSession(name) }
    }

    private func hasWriters(_ scope: Scope) -> Bool {
        namespace.all.contains { inode in
            switch inode {
            case .free(let node): node.scope == scope && node.open.withLock { $0.writers > 0 }
            case .artifact(let file):
                namespace.place(of: file.id)?.parent.scope == scope && file.state.withLock { $0.open.writers > 0 }
            case .tree, .made, .kept: false
            }
        }
    }
}
