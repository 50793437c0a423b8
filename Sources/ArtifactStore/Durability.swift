/// What a program may count on when a name has appeared.
public enum Durability: String, Sendable, CaseIterable {
    /// File, ledger line and directory are on disk before the name counts.
    case synced
    /// No waiting for the disk. After a crash of the driver everything holds as with ``synced``; after a crash of the
    /// machine the last seconds may be lost. What is not whole then is put into quarantine by the next mount.
    case relaxed
}
