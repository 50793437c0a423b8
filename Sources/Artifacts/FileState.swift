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
    /// Known to be finished, being checked and published; readable.
    case sealing
    /// Published in production: immutable.
    case sealed
    /// A file of this mount's session, of a test, or of a free directory.
    case live
    /// A file of an ended session.
    case frozen
}
