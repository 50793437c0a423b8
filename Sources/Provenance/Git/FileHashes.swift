internal import ArtifactRecords
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// SHA-256 of scripts: read again when they changed, for each user, and bounded.
final class FileHashes: Sendable {
    private struct Key: Hashable {
        let rights: UserRights
        let file: FileStamp
    }

    /// The longest file that is read, in bytes.
    static let limit: Int64 = 16 << 20
    private static let most = 1024

    /// A leaf in the order of locks; nothing is read under it.
    private let known = Lock<[Key: String]>([:])

    /// - Returns: nil for a file that is too long.
    func sha256(of file: HeldFile, for rights: UserRights) throws(Errno) -> String? {
        try file.reading { open, attributes throws(Errno) -> String? in
            let key = Key(rights: rights, file: FileStamp(attributes))
            if let found = known.withLock({ $0[key] }) { return found }
            // Before it is read: what changes meanwhile has another time.
            let isFresh = key.file.isFresh
            let size = key.file.size
            guard size >= 0, size <= Self.limit else { return nil }
            let bytes = try SystemCall.bytes(open, at: 0, count: Int(size) + 1)
            guard bytes.count == size else { return nil }
            let hash = try SHA256.digest(bytes)
            guard !isFresh else { return hash }
            known.withLock { known in
                if known.count >= Self.most { known = [:] }
                known[key] = hash
            }
            return hash
        }
    }
}
