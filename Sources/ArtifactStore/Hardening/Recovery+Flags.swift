internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// The immutable flags of what one who was killed was sealing or had taken the flag from. Only what the ledger names is looked at.
extension Recovery {
    /// Makes an artifact immutable that has its name, when its intent says so.
    mutating func harden(_ artifact: RealFile, _ intent: SealIntent) throws(Errno) {
        guard intent.isImmutable else { return }
        try putBackFlag(on: artifact, intent.directory + "/" + intent.name, isWanted: true)
    }

    /// Gives flags back that were taken for a moment.
    mutating func putBackFlags(_ history: MountHistory) throws(Errno) {
        for lift in history.lifted {
            let parts = lift.file.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            let name = parts.last ?? ""
            guard parts.count > 1, !name.isEmpty, name != ".", name != "..",
                let directory = try? RealDirectory.open(parts.dropLast().joined(separator: "/"), beneath: root),
                let found = try? directory.file(name).attributes(), UInt64(found.st_ino) == lift.inode
            else { continue }
            try putBackFlag(on: directory.file(name), lift.file, isWanted: true)
            // Whoever comes now finds it as it is to be.
            try ledger.append([LedgerEntry(.flagRestored(lift))])
        }
    }

    /// - Parameters:
    ///   - file: its real path, for people.
    ///   - isWanted: whether it is to have it, whatever it says itself.
    /// - Throws: what may be over the next time. Who has not the right leaves it without, and says so: it is sealed all the same.
    mutating func putBackFlag(on artifact: RealFile, _ file: String, isWanted: Bool = false) throws(Errno) {
        do throws(Errno) { try ImmutableFlag.putBack(on: artifact, isWanted: isWanted) } catch {
            guard error == .notPermitted || error == .permissionDenied || ImmutableFlag.isUnknown(error) else {
                throw error
            }
            problem(
                "\(file) is to be immutable and is not: \(error); 'artifactfs verify --harden' as root makes it so")
        }
    }

    /// Removes another name of something sealed.
    func removeName(_ other: RealFile, of artifact: RealFile, _ mount: String) throws(Errno) {
        try hardening.lifting(
            artifact, for: .recovery, noted: LiftNote(ledger: ledger, mount: mount, root: root), otherwise: { $0 }
        ) { () throws(Errno) in try other.unlink() }
    }
}
