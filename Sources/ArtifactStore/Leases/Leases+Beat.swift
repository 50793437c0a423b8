internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

extension Leases {
    /// Renews this mount's lease, and looks at the others.
    ///
    /// - Returns: the staging directories that are this mount's to settle since now.
    func beat() -> [String] {
        renew()
        return watch()
    }

    /// Looks at the others, and does what is to be done now and then. It may hang where another host's client has something that is asked of it (CephFS).
    ///
    /// - Returns: the staging directories that are this mount's to settle since now.
    func watch() -> [String] {
        // Who may be dead to others inherits nothing.
        guard let owner, areHeld else { return [] }
        keepHouse()
        return watch(owner)
    }

    /// Renews this mount's lease.
    func renew() {
        guard let owner else { return }
        let began = Clock.sinceBoot()
        var hasHeir: Bool
        do throws(Errno) { hasHeir = try !write(owner) } catch {
            // Where it should be there is none: an heir has removed it.
            guard error == .noSuchFileOrDirectory || error == .staleNFSFileHandle else { return }
            hasHeir = true
        }
        let ended = Clock.sinceBoot()
        held.withLock { held in
            held?.renewed(began: began, ended: ended, hasHeir: hasHeir)
            if let held { note(held, at: ended) }
        }
    }

    /// - Returns: false when another mount has taken this one for dead.
    private func write(_ owner: Tenant) throws(Errno) -> Bool {
        let text = owner.description.text(renewal: renewals.wrappingAdd(1, ordering: .relaxed).newValue)
        // By its name, as the others look at it.
        let staging = try stagings.directory(owner.description.mount)
        let token = try staging.file(Staging.lockName).open(O_WRONLY | O_NONBLOCK)
        defer { SystemCall.close(token) }
        let ours = try SystemCall.attributes(owner.staging.descriptor)
        let there = try SystemCall.attributes(staging.descriptor)
        guard (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino) else { return false }
        try SystemCall.write(token, text)
        try SystemCall.sync(token)
        return try !Heirs.isThere(in: staging)
    }

    private func watch(_ owner: Tenant) -> [String] {
        guard let entries = try? stagings.entries() else { return [] }
        var ours: [String] = []
        var names: Set<String> = []
        for entry in entries where entry.isDirectory && entry.name != owner.description.mount {
            names.insert(entry.name)
            if isInherited(entry.name) { continue }
            do throws(Errno) { if try watch(entry.name, for: owner) { ours.append(entry.name) } } catch { continue }
        }
        watched.withLock { watched in watched = watched.filter { names.contains($0.key) } }
        inherited.withLock { $0.formIntersection(names) }
        return ours
    }

    /// - Returns: whether it is this mount's to settle since now.
    private func watch(_ name: String, for owner: Tenant) throws(Errno) -> Bool {
        let staging = try stagings.directory(name)
        let (description, seen) = try look(at: staging)
        // Without a lease nobody can tell.
        if let description, description.lease == nil { return false }
        let times = LeaseTimes(seconds: max(times.seconds, description?.lease ?? 0))
        let now = Clock.sinceBoot()
        let finding = watched.withLock { watched in
            watched[name, default: WatchedLease(seen, at: now)].look(seen, at: now, times)
        }
        switch finding {
        case .mayLive: return false
        case .hasReturned:
            try Heirs.withdraw(staging, for: owner)
            return false
        case .isDead:
            guard try Heirs.claim(staging, for: owner, isGone: { self.isGone($0) }) else { return false }
            watched.withLock { $0[name]?.claim(at: Clock.sinceBoot()) }
            return false
        case .isOurs:
            guard areHeld else { return false }
            inherited.withLock { _ = $0.insert(name) }
            watched.withLock { $0[name] = nil }
            return true
        }
    }

    /// What a token says, and all that changes with a renewal.
    private func look(at staging: Directory) throws(Errno) -> (MountDescription?, [UInt8]) {
        let token: FileDescriptor
        do throws(Errno) { token = try staging.file(Staging.lockName).open(O_RDONLY | O_NONBLOCK) } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
            return (nil, [])
        }
        defer { SystemCall.close(token) }
        let bytes = try SystemCall.bytes(token, at: 0, count: MountDescription.most)
        let modified = try SystemCall.attributes(token).st_mtim
        return (MountDescription(bytes), bytes + Array("\(modified.tv_sec).\(modified.tv_nsec)".utf8))
    }
}
