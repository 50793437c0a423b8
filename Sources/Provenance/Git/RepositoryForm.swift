internal import ArtifactRecords

/// How a repository is kept, by `core.repositoryFormatVersion` and the `extensions` (git-config(1)).
struct RepositoryForm: Sendable, Equatable {
    /// SHA-1 or SHA-256.
    var objects = ObjectFormat.sha1
    /// Whether refs are files; else they are in another way (reftable), which is not read here.
    var hasRefFiles = true

    /// What git takes for a form that it knows; a newer one may mean anything.
    private static let known: Set<String> = [
        "noop", "noop-v1", "preciousobjects", "partialclone", "worktreeconfig", "objectformat", "compatobjectformat",
        "refstorage", "relativeworktrees",
    ]
    /// Those that are nothing in version 0.
    private static let ofVersion1: Set<String> = [
        "noop-v1", "objectformat", "compatobjectformat", "refstorage", "relativeworktrees",
    ]

    /// Nil when git would not touch the repository, or a newer one only.
    init?(_ config: GitConfig) {
        let version = config.value("core", "repositoryformatversion")
        let extensions = Set(config.variables.filter { $0.section == "extensions" && $0.subsection == nil }.map(\.name))
        switch version {
        case nil, [UInt8(ascii: "0")]:
            guard extensions.isDisjoint(with: Self.ofVersion1) else { return nil }
        case [UInt8(ascii: "1")]:
            guard extensions.isSubset(of: Self.known) else { return nil }
            switch config.value("extensions", "objectformat") {
            case nil, Array("sha1".utf8): break
            case Array("sha256".utf8): objects = .sha256
            default: return nil
            }
            let storage = config.value("extensions", "refstorage")
            hasRefFiles = storage == nil || storage == Array("files".utf8)
        default: return nil
        }
    }
}
