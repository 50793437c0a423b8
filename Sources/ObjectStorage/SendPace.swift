internal import Glibc
internal import Synchronization
internal import SystemCalls

/// How fast all who send may send together. Each who wants to send has a turn, and the next one's begins when it would be done.
public final class SendPace: Sendable {
    /// The most that is sent in a second, in bytes; at least 1.
    public let limit: Int64
    /// When the next turn begins, on the monotonic clock, in nanoseconds.
    private let next = Lock<UInt64>(0)

    /// - Parameter limit: the most that is sent in a second, in bytes.
    public init(limit: Int64) { self.limit = max(1, limit) }

    /// How much is sent in one turn at most, in bytes: a twentieth of a second.
    public var most: Int { Int(clamping: max(1, limit / 20)) }

    /// Takes a turn.
    ///
    /// - Parameters:
    ///   - count: how many bytes are to be sent.
    ///   - now: the monotonic clock, in nanoseconds.
    /// - Returns: how long it is waited before they are, in nanoseconds.
    public func turn(_ count: Int, now: UInt64) -> UInt64 {
        let (seconds, rest) = Int64(clamping: max(0, count)).quotientAndRemainder(dividingBy: limit)
        let length = UInt64(clamping: seconds) &* 1_000_000_000
        // Of what is less than a second, without more digits than there is room for.
        let share = UInt64(Double(rest) / Double(limit) * 1_000_000_000)
        return next.withLock { next in
            let begin = max(now, next)
            next = begin &+ length &+ share
            return begin - now
        }
    }

    /// Waits for a turn.
    func wait(_ count: Int) {
        let time = turn(count, now: Clock.monotonic())
        if time > 0 { usleep(UInt32(clamping: time / 1000)) }
    }
}
