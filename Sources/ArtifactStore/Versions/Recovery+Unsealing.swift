internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What one who was killed while artifacts left their names had not done yet.
extension Recovery {
    /// Finishes what was announced whole, and says of the rest that nothing was done. It comes before the mount's other intents: in staging, under
    /// the name of a successor, there may be the artifact that it has replaced.
    ///
    /// - Parameter staging: the mount's staging directory.
    mutating func finishUnsealing(_ history: MountHistory, in staging: Directory) throws(Errno) {
        for (_, artifacts) in history.unsealing.sorted(by: { $0.key < $1.key }) {
            let isWhole = artifacts.first.map { $0.count == Int64(artifacts.count) } ?? false
            for artifact in artifacts where !history.unsealed.contains(artifact) {
                guard isWhole else {
                    try ledger.append([LedgerEntry(.unsealAbandoned(artifact))])
                    continue
                }
                let (hasLeft, version) = try finish(artifact, in: staging)
                try putBackFlag(on: version, "version \(artifact.version) of \(artifact.path)")
                try ledger.append([LedgerEntry(hasLeft ? .unsealed(artifact) : .unsealAbandoned(artifact))])
                if hasLeft { report.unsealed.append(artifact.path) }
            }
        }
    }

    /// - Returns: whether it is a version now, and where that is.
    private func finish(
        _ artifact: UnsealedArtifact, in staging: Directory
    ) throws(Errno) -> (Bool, RealFile) {
        let shelf = VersionShelf(
            directory: try own.directory(StoreFormat.versionsDirectory, orMakeWith: 0o700))
        let place = try shelf.directory(for: artifact.directory + "/" + artifact.name)
        let version = place.file(String(artifact.version))
        var names: [RealFile] = []
        if let real = try RealDirectory.open(artifact.directory, beneath: root) {
            names.append(real.file(artifact.name))
        }
        if let successor = artifact.successor { names.append(staging.file(successor)) }
        // What cannot be looked at now is not missing: it waits for the next time.
        func isIt(_ file: RealFile) throws(Errno) -> Bool {
            do throws(Errno) { return UInt64(try file.attributes().st_ino) == artifact.inode } catch {
                guard error == .noSuchFileOrDirectory else { throw error }
                return false
            }
        }
        for file in names where try isIt(file) {
            // Who is killed here finds it by the same intent again.
            try hardening.lifting(file, for: .unsealing, otherwise: { $0 }) { () throws(Errno) in
                // It has both names where it was moved by a link.
                if try isIt(version) { try file.unlink() } else { try file.moveWholeToOwnName(version) }
            }
            try SystemCall.sync(file.directory.descriptor)
        }
        try SystemCall.sync(place.descriptor)
        return (try isIt(version), version)
    }
}
