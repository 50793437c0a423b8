public import ArtifactRecords
internal import Glibc
public import SystemPackage

/// What mirrors have, in the ledger.
extension Store {
    /// Notes what a mirror has of artifacts; all of it, or nothing.
    ///
    /// - Parameters:
    ///   - mirror: what the store calls it.
    ///   - url: where it is.
    ///   - user: who sent it.
    /// - Throws: `EROFS` of a store that was opened to read only, and what the system says.
    public func note(
        mirrored objects: [LedgerEvent.MirroredObjects.MirroredObject], in mirror: String, at url: String,
        by user: UInt32
    ) throws(Errno) {
        guard let writable else { throw .readOnlyFileSystem }
        let lines = LedgerEvent.MirroredObjects.lines(of: objects).map { part in
            LedgerEntry(
                .mirrored(
                    .init(
                        mount: writable.staging.mountID, mirror: mirror, url: url, objects: Array(part),
                        uid: Int64(user), pid: Int64(getpid()), command: "artifactfs")))
        }
        try writable.ledger.append(lines)
    }
}
