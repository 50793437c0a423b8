internal import Glibc
internal import Synchronization
internal import SystemCalls

/// What all have in common that ask one bucket: where it is, who asks, and how fast.
public final class BucketAccess: Sendable {
    /// Where it is.
    public let place: BucketPlace
    let region: String
    let pace: SendPace?
    let retention: ObjectRetention?
    private let chain: CredentialChain
    /// Held while they are found: the others need them as well.
    private let known = Lock<Credentials?>(nil)
    /// How far the server's clock is from this one's, in seconds.
    private let skew = Lock(0)

    /// - Parameters:
    ///   - limit: the most that all send together in a second, in bytes; nil without a limit.
    ///   - retention: how long the server is to keep what is sent; nil where the bucket alone says that.
    public init(
        _ place: BucketPlace, region: String? = nil, chain: CredentialChain, limit: Int64? = nil,
        retention: ObjectRetention? = nil
    ) {
        (self.place, self.chain, self.retention) = (place, chain, retention)
        self.region = region ?? chain.region
        pace = limit.map { SendPace(limit: $0) }
    }

    func credentials() throws(CredentialFault) -> Credentials {
        try known.withLock { known throws(CredentialFault) in
            if let known { return known }
            let found = try chain.credentials(for: place.dialect)
            known = found
            return found
        }
    }

    /// Credentials that are good no more.
    func forget(_ credentials: Credentials) {
        known.withLock { known in if known == credentials { known = nil } }
    }

    /// The server's time, as far as it is known.
    func time() -> timespec {
        var now = Clock.now()
        now.tv_sec = now.tv_sec &+ skew.withLock { $0 }
        return now
    }

    /// Goes by the server's clock from now on.
    ///
    /// - Parameters:
    ///   - time: the server's, in seconds since 1970.
    ///   - asked: what it was told to be.
    /// - Returns: false when it was told what it says itself.
    func learn(time: Int, asked: Int) -> Bool {
        guard (time &- asked).magnitude > Self.slack else { return false }
        skew.withLock { $0 = time &- Clock.now().tv_sec }
        return true
    }

    /// What clocks may differ by, in seconds, and still be one.
    private static let slack = 60
}
