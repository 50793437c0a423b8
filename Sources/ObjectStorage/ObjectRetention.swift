/// How long a bucket with Object Lock keeps what is sent, counted from when it is sent.
public struct ObjectRetention: Sendable, Hashable {
    /// Who may end it before its time.
    public enum RetentionMode: String, Sendable, Hashable, CaseIterable {
        /// Who has a right of its own for that.
        case governance
        /// Nobody.
        case compliance
    }

    /// Who may end it.
    public let mode: RetentionMode
    /// How long it is, from 1 to 36500.
    public let days: Int64

    /// - Returns: nil of a time that is none.
    public init?(mode: RetentionMode, days: Int64) {
        guard (1...Self.longest).contains(days) else { return nil }
        (self.mode, self.days) = (mode, days)
    }

    /// What servers take at most, in days.
    public static let longest: Int64 = 36_500

    /// For people.
    public var words: String { "\(days) \(days == 1 ? "day" : "days") (\(mode.rawValue))" }
}

/// What a bucket does with what is overwritten or deleted, as the server says it.
public struct BucketProtection: Sendable, Hashable {
    /// Whether former versions of objects are kept.
    public enum Versioning: String, Sendable, Hashable {
        case enabled, suspended, none
    }

    /// Whether versions can be kept for a time.
    public enum ObjectLock: Sendable, Hashable {
        case none
        /// They can be; of what says nothing else they are for the second.
        case enabled(ObjectRetention?)
    }

    /// Nil where the server does not say.
    public let versioning: Versioning?
    /// Nil where the server does not say.
    public let lock: ObjectLock?
    /// Why it does not, for people.
    public let unknown: String?

    /// - Parameters:
    ///   - versioning: nil where it is not known.
    ///   - lock: nil where it is not known.
    ///   - unknown: why it is not, for people.
    public init(versioning: Versioning?, lock: ObjectLock?, unknown: String?) {
        (self.versioning, self.lock, self.unknown) = (versioning, lock, unknown)
    }
}
