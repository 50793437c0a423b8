/// Who belongs to the job that makes a file (SEMANTICS 2.2): the same process, an ancestor or a descendant of it, or the same session
/// (setsid(2)).
public enum Job {
    /// Whether who asks belongs to it.
    ///
    /// - Parameters:
    ///   - seen: of each of its writers, whether who asks is of one job with it; nil where that cannot be seen. What comes after the
    ///     first that is, is not asked for.
    ///   - isSameUser: whether who asks is the user who began the file: where nobody is seen, that counts.
    public static func includes(_ seen: some Sequence<Bool?>, isSameUser: Bool) -> Bool {
        var isAnySeen = false
        for isSame in seen {
            if isSame == true { return true }
            if isSame != nil { isAnySeen = true }
        }
        return !isAnySeen && isSameUser
    }
}

extension OverwritePolicy {
    /// Whether it matters to an operation on a file who asks: while it is being made it is its job's. With `publish: close` nobody is asked,
    /// and everybody reads what is being written.
    ///
    /// - Parameter isKeptBack: whether the file is on its way to quarantine.
    public static func asksWho(
        _ operation: Operation, on state: FileState, isKeptBack: Bool = false, publishing: PublishingRule
    ) -> Bool {
        if state == .held { return true }
        guard publishing == .exit else { return false }
        return switch state {
        case .settling, .held: true
        case .writing: operation == .openToRead
        case .sealing: isKeptBack && operation == .openToRead
        case .transient, .empty, .sealed, .live, .frozen: false
        }
    }
}
