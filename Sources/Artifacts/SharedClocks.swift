/// What two hosts have seen of their clocks and of a file system's times, in nanoseconds. A clock of a host is never taken for another's.
public struct SharedClocks: Sendable, Hashable {
    /// How far the second host's clock is before the first one's.
    public let difference: Int64
    /// By how much that may be wrong: half of how long the shortest answer took.
    public let uncertainty: Int64
    /// How far the time of a file that the first host has just written is before its own clock.
    public let first: Int64
    /// The same of the second host.
    public let second: Int64

    public init(difference: Int64, uncertainty: Int64, first: Int64, second: Int64) {
        self.difference = difference
        self.uncertainty = uncertainty
        self.first = first
        self.second = second
    }

    /// Clocks that are apart by so much, and times that are not a host's own by so much, are told from what a clock's ticks and a write's way
    /// make: 250 ms.
    public static let notable: Int64 = 250_000_000
    /// Clocks that are further apart are not said to agree: 1 s.
    public static let mostDifference: Int64 = 1_000_000_000

    /// Whether the times of files are of one clock, the server's.
    public var serverTimes: SharedFact {
        let apart = difference.magnitude
        // Seen from each host, one clock is before or behind by what the hosts' own are apart.
        let (told, overflows) = first.subtractingReportingOverflow(second)
        let (rest, overflowsToo) = told.subtractingReportingOverflow(difference)
        guard !overflows, !overflowsToo else { return .unknown }
        let slack = max(
            Self.notable.magnitude, uncertainty.magnitude.addingReportingOverflow(uncertainty.magnitude).partialValue)
        if apart > slack.addingReportingOverflow(slack).partialValue {
            if rest.magnitude <= slack { return SharedFact(.yes, "the file server's") }
            if first.magnitude <= slack, second.magnitude <= slack { return SharedFact(.no, "each host's own") }
            return .unknown
        }
        // The hosts agree: whether a third clock makes the times shows when that is apart from theirs.
        if first.magnitude > slack, second.magnitude > slack, rest.magnitude <= slack {
            return SharedFact(.yes, "the file server's")
        }
        return SharedFact(.unknown, "the clocks agree too well to tell")
    }

    /// Whether both hosts' clocks agree.
    public var agreement: SharedFact {
        let apart = difference.magnitude
        let text = "\(Self.seconds(difference)) apart"
        if uncertainty.magnitude > Self.mostDifference.magnitude { return SharedFact(.unknown, text) }
        return SharedFact(apart <= Self.mostDifference.magnitude ? .yes : .no, text)
    }

    /// Seconds with three digits after the point, without a sign.
    public static func seconds(_ nanoseconds: Int64) -> String {
        let thousandths = nanoseconds.magnitude / 1_000_000
        let rest = String(thousandths % 1000)
        return "\(thousandths / 1000).\(String(repeating: "0", count: 3 - rest.utf8.count))\(rest) s"
    }
}
