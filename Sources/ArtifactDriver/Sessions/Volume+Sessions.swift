internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Sessions begin and end (SEMANTICS 2.4).
extension Volume {
    /// `mkdir development/<name>`: from now on what the caller starts has it as `current`, and the caller with those that it was made by.
    func beginSession(_ name: SessionName, for caller: Caller) {
        sessions.begin(name, of: caller.user)
        guard let jobs else { return }
        tellThatCurrentDiffers()
        jobs.begin(name, for: caller)
        endForgotten(sparing: name)
    }

    /// The kernel keeps what `current` is for everybody, until it differs for the first time. What it kept then it is not asked about by name
    /// before a minute is over, but for what the link says; that is refused as stale, upon which it looks the name up again (path_lookupat of
    /// fs/namei.c, `LOOKUP_REVAL`).
    func tellThatCurrentDiffers() {
        guard let jobs, !jobs.differs else { return }
        jobs.willDiffer()
        // It waits for a READLINK that is under way, which another thread must answer.
        guard let development = namespace.find("development", in: root.id, remembering: false),
            case .tree(let directory) = development,
            let current = namespace.number(of: MadeNames.current, in: directory.id)
        else { return }
        connection?.willBlock()
        connection?.invalidate(current, andData: true)
    }

    /// What `current` is for who asks; on a read-only mount the newest.
    func session(for caller: Caller?) -> SessionName? {
        guard let jobs else { return (try? store.sessions())?.max() }
        return caller.map { jobs.session(for: $0) } ?? currentSession
    }

    /// The same for what a user starts now.
    func session(of user: UInt32) -> SessionName? {
        jobs.map { $0.session(of: user) } ?? (try? store.sessions())?.max()
    }

    /// Ends a session: its files are frozen.
    ///
    /// - Throws: `EPERM`, `EBUSY` when somebody has a file of it open to write.
    func endSession(_ name: SessionName, _ path: String, for caller: Caller) throws(Errno) {
        func judge(isInUse: Bool) -> Verdict {
            let isOwners = caller.user == 0 || caller.user == ownUser || sessions.user(of: name) == caller.user
            return OverwritePolicy.judgeEnd(
                ofMounts: name == currentSession, isLive: sessions.isLive(name), isOwners: isOwners, isInUse: isInUse)
        }
        let operation = Operation.setExtendedAttribute.rawValue
        try enforce(judge(isInUse: false), operation, path, caller)
        let user = sessions.user(of: name)
        // Nobody opens anything of it to write any more.
        guard let user, sessions.end(name) else { return }
        guard !hasWriters(.session(name)) else {
            sessions.begin(name, of: user)
            return try enforce(judge(isInUse: true), operation, path, caller)
        }
        jobs?.end(name)
        store.endSession(name)
    }

    /// Each takes a descriptor. Where there would be too many, the first ends that nobody has as `current` and that nobody writes to, of the
    /// user who has the most.
    func endForgotten(sparing begun: SessionName) {
        let all = sessions.all
        guard all.count > store.descriptors.mostSessions else { return }
        var counts: [UInt32: Int] = [:]
        for session in all { counts[session.user, default: 0] += 1 }
        guard let most = counts.max(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key else { return }
        let inUse = Set((jobs?.ofUsers.values.map { $0 } ?? []) + (jobs?.runs.map(\.session) ?? []))
        for session in all where session.user == most && session.name != begun && !inUse.contains(session.name) {
            guard !hasWriters(.session(session.name)) else { continue }
            if sessions.end(session.name) { store.endSession(session.name) }
            return
        }
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
