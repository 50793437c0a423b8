/// For how long a mount holds what it has taken, in a store that several hosts use (Semantics, "Several hosts").
///
/// No clock is compared with another host's: a holder counts from the beginning of its last renewal, an observer from when it saw the last change.
public struct LeaseTimes: Hashable, Sendable {
    /// What may be asked for, in seconds.
    public static let range = 3...3600
    /// What is meant where nothing is said.
    public static let usual = 30

    /// After how many seconds without a renewal others take a mount for dead.
    public let seconds: Int

    /// - Parameter seconds: brought into ``range``.
    public init(seconds: Int = usual) {
        self.seconds = min(max(seconds, Self.range.lowerBound), Self.range.upperBound)
    }

    /// How often it is renewed, in nanoseconds.
    public var renewal: UInt64 { span / 6 }
    /// How long it holds from the beginning of a renewal, in nanoseconds. What was begun then has the rest of the time to come to an end.
    public var holding: UInt64 { span / 3 * 2 }
    /// How long others must have seen no change of it, in nanoseconds.
    public var patience: UInt64 { span }
    /// How long one waits, in nanoseconds, until what one has written is seen by all who look, whatever they remember of what was there before.
    public var settling: UInt64 { max(1_000_000_000, span / 6) }

    private var span: UInt64 { UInt64(seconds) * 1_000_000_000 }
}

/// What a mount knows of its own lease.
public struct HeldLease: Hashable, Sendable {
    /// Whether the mount may publish, and write.
    public enum State: String, Hashable, Sendable {
        /// It may.
        case held
        /// It could not be renewed in time: others may take the mount for dead. It may be held again.
        case lapsed
        /// Another mount has what this one had taken. It is never held again.
        case lost
    }

    private let times: LeaseTimes
    /// Until when it holds, if it does; by the clock of `renewed`.
    public private(set) var end: UInt64
    /// It was renewed again after it had lapsed, and an heir may be there that is not seen yet.
    private struct Return: Hashable, Sendable {
        let since: UInt64
        let end: UInt64
    }

    private var returning: Return?
    private var isLost = false

    /// A lease that was made at a time, in nanoseconds since the machine's start.
    public init(times: LeaseTimes, made: UInt64) {
        self.times = times
        end = made &+ times.holding
    }

    /// Its state at a time.
    public func state(at time: UInt64) -> State {
        if isLost { return .lost }
        return returning == nil && time < end ? .held : .lapsed
    }

    /// It was renewed.
    ///
    /// - Parameters:
    ///   - began: when that was begun, in nanoseconds.
    ///   - ended: when it was known to be done, and it was looked whether there is an heir.
    ///   - hasHeir: whether another mount has taken this one for dead.
    public mutating func renewed(began: UInt64, ended: UInt64, hasHeir: Bool) {
        guard !isLost else { return }
        guard !hasHeir else { return isLost = true }
        let next = began &+ times.holding
        if let before = returning {
            // An heir that had looked before the first of these renewals has been there since, for all to see.
            if ended >= before.end {
                returning = Return(since: ended, end: next)
            } else if began &- before.since >= times.settling, began >= before.since {
                (returning, end) = (nil, next)
            } else {
                returning = Return(since: before.since, end: next)
            }
        } else if ended >= end {
            returning = Return(since: ended, end: next)
        } else {
            end = next
        }
    }
}

/// What a mount sees of another one's lease.
public struct WatchedLease: Sendable {
    /// What to do.
    public enum Judgement: String, Hashable, Sendable {
        /// It lives, or may live.
        case mayLive
        /// It was not renewed for so long that it is dead: who wants what it had makes itself its heir.
        case isDead
        /// This mount is its heir: what it had is this mount's to settle.
        case isOurs
        /// It has been renewed since: this mount is its heir no more.
        case hasReturned
    }

    /// What its token was when it was looked at last: anything that changes with each renewal.
    private var token: [UInt8]
    /// Since when it is that.
    private var since: UInt64
    private var looked: UInt64
    /// When this mount made itself its heir.
    private var claimed: UInt64?

    /// It is seen for the first time, at a time in nanoseconds.
    public init(_ token: [UInt8], at time: UInt64) {
        (self.token, since, looked) = (token, time, time)
    }

    /// It is looked at again.
    ///
    /// - Parameter times: the longer of this mount's and of what the token says.
    public mutating func look(_ token: [UInt8], at time: UInt64, _ times: LeaseTimes) -> Judgement {
        defer { looked = max(looked, time) }
        if token != self.token {
            (self.token, since) = (token, time)
            guard claimed != nil else { return .mayLive }
            claimed = nil
            return .hasReturned
        }
        // Who was itself cut off meanwhile, or asleep, has seen nothing.
        if claimed == nil, time < looked || time &- looked > times.holding { since = time }
        if let claimed { return time >= claimed && time &- claimed >= times.settling ? .isOurs : .mayLive }
        return time >= since && time &- since >= times.patience ? .isDead : .mayLive
    }

    /// This mount has made itself its heir.
    public mutating func claim(at time: UInt64) { claimed = time }
}

extension OverwritePolicy {
    /// What becomes of a verdict on a mount that has a lease: while that is not held other hosts may take the mount for dead, and nothing changes by it.
    ///
    /// - Parameter reads: whether it is about opening a file to read.
    public static func judge(_ verdict: Verdict, reads: Bool, isLeaseHeld: Bool) -> Verdict {
        guard case .allowed = verdict, !isLeaseHeld, !reads else { return verdict }
        return .refused(.ofPublishing(.cutOff))
    }
}
