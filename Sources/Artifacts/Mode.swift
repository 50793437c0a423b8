/// How an artifact may change: the first directory of the tree.
public enum Mode: String, CaseIterable, Hashable, Sendable {
    /// Write-once: what is published never changes.
    case production
    /// One directory a session, named for its start; the mount's own session may be overwritten, ended ones are frozen.
    case development
    /// One directory a test, made by `mkdir` and removed by `rm -r`.
    case test
}

/// One place that artifacts are kept apart by: production, one session, or one test.
public enum Scope: Hashable, Sendable {
    case production
    case session(SessionName)
    case test(TestName)

    /// The mode that the scope belongs to.
    public var mode: Mode {
        switch self {
        case .production: .production
        case .session: .development
        case .test: .test
        }
    }
}

/// Whether the files of a scope may change on this mount.
public enum Standing: String, Hashable, Sendable {
    /// Write-once.
    case production
    /// The mount's own session, or a test: everything may be overwritten.
    case live
    /// An ended session, or another mount's: read only.
    case frozen

    /// What a scope's files allow.
    ///
    /// - Parameters:
    ///   - isReadOnly: whether the mount is.
    ///   - isLive: whether a session is the mount's own, or one of those that live beside it.
    @inlinable
    public static func of(_ scope: Scope?, isReadOnly: Bool, isLive: (SessionName) -> Bool) -> Standing {
        switch scope {
        case .session(let name): isLive(name) ? .live : .frozen
        case .test: isReadOnly ? .frozen : .live
        case .production, nil: .production
        }
    }
}
