internal import SystemCalls

/// The repositories that were asked for last, for each user: bounded, and nothing of one user's is another's.
struct KnownRepositories: Sendable {
    /// A repository as one user sees it.
    struct RepositoryKey: Hashable, Sendable {
        let rights: UserRights
        let top: FileNumber
        let own: FileNumber
    }

    /// What was found, and by which files.
    struct Known: Sendable {
        let identity: RepositoryIdentity
        let read: [RepositoryReader.Read]
    }

    private static let most = 64
    private var known: [RepositoryKey: (found: Known, used: UInt64)] = [:]
    private var uses: UInt64 = 0

    subscript(key: RepositoryKey) -> Known? {
        mutating get {
            uses &+= 1
            known[key]?.used = uses
            return known[key]?.found
        }
        set {
            uses &+= 1
            known[key] = newValue.map { ($0, uses) }
            guard known.count > Self.most, let oldest = known.min(by: { $0.value.used < $1.value.used }) else { return }
            known[oldest.key] = nil
        }
    }
}
