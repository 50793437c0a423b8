/// Which sessions of development are kept when room is made, and why. What any rule keeps is kept; without a rule all are, so that nobody removes
/// all by leaving something out.
///
/// Only sessions are known here.
public struct Retention: Sendable, Hashable {
    /// So many sessions are kept, those that began last; nil where nobody says so.
    public var last: Int?
    /// Those are kept that were changed within so many seconds; nil where nobody says so.
    public var within: Int64?
    /// Those are kept that went on at one of these moments, in seconds since 1970: the moments of tags.
    public var moments: [Int64]
    /// Those that are named are to go, and no others; nil where none is named. Then neither of the rules is given.
    public var named: Set<SessionName>?

    /// Rules.
    public init(last: Int? = nil, within: Int64? = nil, moments: [Int64] = [], named: Set<SessionName>? = nil) {
        (self.last, self.within, self.moments, self.named) = (last, within, moments, named)
    }

    /// What keeps a session whatever the rules say.
    public enum Hold: Hashable, Sendable {
        /// A mount has it.
        case live
        /// A sealed artifact was made from a file in it, whose bytes are nowhere else in production: both by their paths on the mount.
        case needed(by: String, input: String)
        /// It cannot be removed by who asks; why, which completes "because".
        case obstacle(String)
    }

    /// Why a session is kept.
    public enum KeepReason: Hashable, Sendable {
        /// No rule says that any session is to go.
        case noRule
        /// Others are named.
        case notNamed
        /// It is one of those that began last.
        case last
        /// It was changed lately.
        case within
        /// It went on at the moment of a tag.
        case tag
        /// Whatever the rules say.
        case held(Hold)
    }

    /// What becomes of a session.
    public enum Retained: Hashable, Sendable {
        case keep(KeepReason)
        case remove
    }

    /// Which sessions are kept for what their names say, before anything is looked at in them. Of all others ``judge(_:changed:hold:at:)`` decides.
    ///
    /// - Parameters:
    ///   - sessions: all that there are, each once.
    ///   - now: in seconds since 1970.
    public func keptByName(_ sessions: some Collection<SessionName>, at now: Int64) -> [SessionName: KeepReason] {
        var kept: [SessionName: KeepReason] = [:]
        if let named {
            for session in sessions where !named.contains(session) { kept[session] = .notNamed }
            return kept
        }
        guard last != nil || within != nil || !moments.isEmpty else {
            for session in sessions { kept[session] = .noRule }
            return kept
        }
        if let within, let earliest = Self.earliest(within, now) {
            // What began lately was not changed before.
            for session in sessions where session >= earliest { kept[session] = .within }
        } else if within != nil {
            for session in sessions { kept[session] = .within }
        }
        if let last {
            for session in sessions.sorted(by: >).prefix(max(0, last)) { kept[session] = .last }
        }
        return kept
    }

    /// What becomes of a session that is not kept for its name.
    ///
    /// - Parameters:
    ///   - session: its name, which is when it began.
    ///   - changed: when something in it was changed last, in seconds since 1970.
    ///   - hold: what keeps it whatever the rules say.
    ///   - now: in seconds since 1970.
    public func judge(_ session: SessionName, changed: Int64, hold: Hold?, at now: Int64) -> Retained {
        if let hold { return .keep(.held(hold)) }
        if named != nil { return .remove }
        guard last != nil || within != nil || !moments.isEmpty else { return .keep(.noRule) }
        let isOfTag = moments.contains { moment in
            changed >= moment && SessionName(secondsSince1970: moment).map { session <= $0 } ?? true
        }
        if isOfTag { return .keep(.tag) }
        if let within, !Self.isOlder(changed, than: within, at: now) { return .keep(.within) }
        return .remove
    }

    /// Whether something is older than a span: what is from the future is not.
    ///
    /// - Parameters:
    ///   - time: in seconds since 1970.
    ///   - span: in seconds.
    public static func isOlder(_ time: Int64, than span: Int64, at now: Int64) -> Bool {
        let (age, overflows) = now.subtractingReportingOverflow(time)
        return overflows ? now > time : age > span
    }

    /// The first session that began within a span; nil where all did.
    private static func earliest(_ span: Int64, _ now: Int64) -> SessionName? {
        let (second, overflows) = now.subtractingReportingOverflow(span)
        return overflows ? nil : SessionName(secondsSince1970: second)
    }
}
