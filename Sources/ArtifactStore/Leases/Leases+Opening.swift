internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What opening a store asks of leases.
extension Leases {
    /// Takes the lock under which a store is opened and recovered. In a store of several hosts it is one a host: two hosts never settle the same
    /// (``Heirs``), and one that is dead is not waited for.
    ///
    /// - Parameters:
    ///   - own: `.artifactfs`.
    ///   - host: this one.
    /// - Returns: a descriptor, which the caller closes as a lock's.
    /// - Throws: `EWOULDBLOCK` when another mount has it and `waiting` is false.
    func lockForOpening(_ own: Directory, of host: String, waiting: Bool) throws(Errno) -> FileDescriptor {
        let name = StoreFormat.lockName + (isShared ? "-" + host : "")
        let lock = try SystemCall.open(own.descriptor, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
        do throws(Errno) {
            guard isShared, waiting else {
                try SystemCall.lock(lock, waiting: waiting)
                return lock
            }
            // What this host held before it was started again a server may hold for it still.
            for _ in 0..<200 {
                do throws(Errno) {
                    try SystemCall.lock(lock, waiting: false)
                    return lock
                } catch { guard error == .wouldBlock else { throw error } }
                usleep(50_000)
            }
            return lock
        } catch {
            SystemCall.closeLock(lock)
            throw error
        }
    }

    /// The name of this client's ledger: that of its host, or one of its own where another client that lives writes to that already. One file is
    /// written by those only who see each other's flocks.
    ///
    /// - Parameter reserved: `.artifactfs/reserved`; nil where there is none.
    func ledgerName(of host: String, _ staging: Staging, _ reserved: Directory?) throws(Errno) -> String {
        guard isShared, let client, let reserved else { return host }
        let ownName =
            host + "-" + ((try? SHA256.digest(client.description.utf8).prefix(8)).map { String($0) } ?? "other")
        for name in [host, ownName] {
            let start = "\(StoreLayout.privateDirectory)/\(StoreFormat.ledger)/\(name)/"
            let claim = try staging.take(start + staging.mountID.suffix(24))
            // Who comes first sees nobody, and who comes later sees it; two that come together both take names of their own.
            let isUsed = try isUsedElsewhere(EscapedName.unique(start), in: reserved)
            if name == ownName || !isUsed { return name }
            if let claim { staging.release(claim) }
        }
        return ownName
    }

    private func isUsedElsewhere(_ start: String, in reserved: Directory) throws(Errno) -> Bool {
        for entry in try reserved.entries() where entry.name.hasPrefix(start) {
            guard let token = try? reserved.file(entry.name).open(O_RDONLY | O_NONBLOCK) else { continue }
            defer { SystemCall.close(token) }
            guard let description = MountDescription(token), description.client != client else { continue }
            if mayLive(description, isReserved: true) { return true }
        }
        return false
    }
}
