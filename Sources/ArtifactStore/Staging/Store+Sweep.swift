internal import ArtifactRecords
internal import Artifacts
public import Glibc
internal import SystemCalls
internal import SystemPackage

/// What a mount that lives for long does for the store's order: the same as opening the store would.
extension Store {
    /// Settles what other mounts left that were killed since the store was opened, and removes their old temporary files. Does nothing
    /// while another mount is at it.
    ///
    /// - Parameter keepingSeconds: for how long temporary files are kept; the schema's time when nil.
    public func recoverAgain(keepingSeconds: Int? = nil) -> RecoveryReport {
        guard let writable else { return RecoveryReport() }
        do throws(Errno) {
            let lock = try leases.lockForOpening(writable.ownDirectory, of: host, waiting: false)
            defer { SystemCall.closeLock(lock) }
            var recovery = Recovery(
                root: root, stagings: writable.stagings, quarantine: writable.quarantine,
                ledgers: try writable.ownDirectory.directory(StoreFormat.ledger),
                own: writable.ownDirectory,
                reserved: writable.reserved,
                ledger: writable.ledger, schema: schema, checks: checks, host: host,
                transientSeconds: keepingSeconds ?? schema.transientSeconds, durability: durability,
                hardening: hardening, leases: leases)
            return try recovery.run()
        } catch .wouldBlock {
            var report = RecoveryReport()
            report.wasBusy = true
            return report
        } catch {
            var report = RecoveryReport()
            report.problems.append("what other mounts left cannot be looked at: \(error)")
            return report
        }
    }

    /// Whether a staged temporary file has not changed for as long as temporary files are kept.
    public func isOld(_ staged: RealFile, keepingSeconds: Int? = nil) -> Bool {
        guard let attributes = try? staged.attributes() else { return false }
        return Recovery.isOld(attributes, keepingSeconds: keepingSeconds ?? schema.transientSeconds)
    }

    /// Notes for the ledger that an artifact that nothing was written to is gone.
    ///
    /// - Parameters:
    ///   - path: on the mount.
    ///   - reason: a sentence for people.
    public func recordEmpty(
        _ staged: RealFile, path: String, user: UInt32, process: Int32, program: String, reason: String
    ) {
        guard let writable else { return }
        writable.ledger.appendLater([
            Recovery.emptiness(
                mount: writable.staging.mountID, staged: staged.name, path: path, user: user, process: process,
                program: program.isEmpty ? nil : program, detail: reason)
        ])
    }

    /// Notes for the ledger what the owner of a sealed artifact set.
    ///
    /// - Parameters:
    ///   - path: on the mount.
    ///   - mode: the permission bits; nil when they stay.
    ///   - modified: nil when it stays.
    public func recordAttributes(
        path: String, mode: UInt32?, modified: timespec?, user: UInt32, process: Int32, program: String
    ) {
        guard let writable else { return }
        let digits = mode.map { String($0 & 0o777, radix: 8) }
        writable.ledger.appendLater([
            LedgerEntry(
                .attributesSet(
                    .init(
                        mount: writable.staging.mountID, path: path, mode: digits.map { "0" + $0 },
                        modified: modified.map(TimeText.rfc3339), uid: Int64(user), pid: Int64(process),
                        command: program)))
        ])
    }

    /// Writes to the ledger that this mount removed an old temporary file.
    ///
    /// - Parameters:
    ///   - path: on the mount.
    ///   - size: in bytes.
    public func recordRemoval(of staged: RealFile, path: String, size: Int64) {
        guard let writable else { return }
        try? writable.ledger.append([
            Recovery.removal(mount: writable.staging.mountID, staged: staged.name, path: path, size: size)
        ])
    }
}
