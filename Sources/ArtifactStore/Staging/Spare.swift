internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What a mount needs to begin, made while there is room: a full disk can be mounted then, to make room on it.
///
/// `.artifactfs/spare` has a staging directory with its lock file, a session's marker and a ledger. Renaming them takes no room.
struct Spare {
    private static let staging = "staging"
    private static let session = "session"
    private static let ledger = "ledger"

    private let directory: Directory

    /// Nil when there is none, and no room to make it.
    init?(in own: Directory) {
        guard let directory = try? own.directory(StoreFormat.spare, orMakeWith: 0o700) else { return nil }
        self.directory = directory
    }

    /// Makes again what was used, as far as there is room.
    func refill() {
        for name in [Self.session, Self.ledger] {
            if let made = try? directory.file(name).open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600) {
                SystemCall.close(made)
            }
        }
        guard let staging = try? directory.directory(Self.staging, orMakeWith: 0o700),
            let lock = try? staging.file(Staging.lockName).open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        else { return }
        // Room for what the mount will say of itself.
        try? SystemCall.write(lock, [UInt8](repeating: UInt8(ascii: " "), count: MountDescription.longest))
        SystemCall.close(lock)
    }

    /// Gives the spare staging directory a name.
    func takeStaging(as name: String, in stagings: Directory) throws(Errno) {
        try SystemCall.rename(
            directory.descriptor, Self.staging, stagings.descriptor, name, 0)
    }

    /// Gives the spare marker of a session a name.
    ///
    /// - Throws: `EEXIST` when the session is taken.
    func takeSession(as file: RealFile) throws(Errno) {
        try directory.file(Self.session).rename(to: file, flags: SystemCall.noReplace)
    }

    /// Gives the spare ledger a name.
    func takeLedger(as file: RealFile) throws(Errno) {
        try directory.file(Self.ledger).rename(to: file, flags: SystemCall.noReplace)
    }
}
