/// Which former versions a store keeps, as its schema says it for all types or for one. What any rule keeps is kept; without a rule all are.
public enum VersionRetention: Hashable, Sendable {
    /// All: nothing of them is ever removed.
    case all
    /// So many of a name, those that left it last, and those that left it within so many seconds; one of the two is there.
    case some(last: Int?, within: Int64?)

    /// A rule that says something: nil of one that would keep nothing, or more than there can be.
    public init?(last: Int?, within: Int64?) {
        guard last != nil || within != nil, last.map({ (1...1_000_000).contains($0) }) ?? true,
            within.map({ $0 > 0 }) ?? true
        else { return nil }
        self = .some(last: last, within: within)
    }

    /// What keeps a former version whatever the schema lets go.
    public enum VersionHold: Hashable, Sendable {
        /// It had its name at the moment of a tag, whose name this is.
        case tag(String)
        /// Something that is there, or is kept, was made from it: its path on the mount.
        case needed(by: String)
        /// A signature of it is kept.
        case signed
        /// It cannot be removed by who asks, or it is not known what it is; why, which completes "because".
        case obstacle(String)
    }

    /// Why a former version is kept.
    public enum VersionKeepReason: Hashable, Sendable {
        /// The schema lets none of its type go.
        case noRule
        /// It is one of those that left their name last.
        case last
        /// It left its name lately.
        case within
        /// Whatever the schema says.
        case held(VersionHold)
    }

    /// Whether the schema's rule keeps a former version, before anything is looked for that holds it.
    ///
    /// - Parameters:
    ///   - rank: how many later former versions of the name are there.
    ///   - left: when it left its name, in seconds since 1970; nil where that is not known, which is not long ago.
    ///   - now: in seconds since 1970.
    /// - Returns: nil when the rule lets it go.
    public func keeps(rank: Int, left: Int64?, at now: Int64) -> VersionKeepReason? {
        guard case .some(let last, let within) = self else { return .noRule }
        if let last, rank < last { return .last }
        if let within, !(left.map { Retention.isOlder($0, than: within, at: now) } ?? false) { return .within }
        return nil
    }

    /// Whether what had a name from one moment to another had it at a third, in nanoseconds since 1970: from the moment in which it was sealed, and not
    /// any more in that in which it left. What is not known is so.
    public static func had(_ moment: Int64, sealed: Int64?, left: Int64?) -> Bool {
        (sealed.map { $0 <= moment } ?? true) && (left.map { moment < $0 } ?? true)
    }
}

extension ArtifactSchema {
    /// Which former versions of a type are kept.
    public func retention(of type: TypeDefinition) -> VersionRetention { type.keepVersions ?? keepVersions }
}
