/// Where bytes are that are to be sealed. On which host a program has them open no other host sees, so of a store that several hosts use copies of some
/// are sealed and not the files themselves (Semantics, "Several hosts on one store").
public enum BytesOrigin: Hashable, Sendable {
    /// A session, which one host has at a time.
    case session(isAlwaysOurs: Bool)
    /// A test, which all hosts write to.
    case test
    /// Quarantine: what a dead mount left is there too, and its host may only have been cut off.
    case quarantine
    /// Staging of a mount that lives, where only its own users write.
    case staging

    /// Whether a program of another host may have it open, as far as is known.
    ///
    /// - Parameter others: whether there are other hosts.
    public func isInReach(ofOthers others: Bool) -> Bool {
        switch self {
        case .session(let isAlwaysOurs): others && !isAlwaysOurs
        case .test, .quarantine: others
        case .staging: false
        }
    }
}
