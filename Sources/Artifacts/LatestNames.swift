/// What a name says of which files it is the link to the newest (SEMANTICS 1.1).
public enum LatestName: Hashable, Sendable {
    /// `latest`: of all.
    case ofAll
    /// `latest.pkl`: of those of one format.
    case ofFormat(String)
}

extension TypeDefinition {
    /// Of which files of a directory of production a name is the link to the newest; nil when it is no such name, or the type has none.
    public func latest(_ name: String) -> LatestName? {
        guard hasLatest, NameRules.begins(name, with: Self.latestName) else { return nil }
        if name.utf8.count == Self.latestName.utf8.count { return .ofAll }
        guard let (stem, format) = split(name), NameRules.isSame(stem, Self.latestName) else { return nil }
        return .ofFormat(format)
    }

    /// The link to the newest of all.
    public static var latestName: String { "latest" }
}
