/// What a file is to the policy; every file is in one state at a time (SEMANTICS 2).
public enum FileState: String, CaseIterable, Hashable, Sendable {
    /// Staged, under a transient name.
    case transient
    /// Staged, under a valid production name, at least one handle open for writing.
    case writing
    /// Staged, valid name, no writable handle, no bytes.
    case empty
    /// Last writable handle closed; how its makers end is not known yet.
    case settling
    /// Last writable handle closed, by a run that is all or nothing and goes on.
    case held
    /// Known to be finished, being checked and published; readable.
    case sealing
    /// Published in production: immutable.
    case sealed
    /// A file of this mount's session, of a test, or of a free directory.
    case live
    /// A file of an ended session.
    case frozen

    /// Whether its bytes change never again, which lsattr(1) shows.
    public var isImmutable: Bool { self == .sealing || self == .sealed }

    /// What a change of mode may give: what is sealed stays without write bits, and what is to be an artifact is no program that runs as
    /// somebody else.
    public func permitted(mode: UInt32) -> UInt32 {
        switch self {
        case .transient, .writing, .empty, .settling, .held: mode & 0o1777
        case .sealing, .sealed: mode & 0o555
        case .live, .frozen: mode
        }
    }
}
