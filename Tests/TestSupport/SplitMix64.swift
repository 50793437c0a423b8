/// A small generator that gives the same numbers for the same seed (Steele, Lea and Flood, 2014).
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// The seed of a run's random tests.
public enum Seed {
    private static let value: UInt64 = {
        let given = environmentValue("ARTIFACTFS_SEED").flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: .min ... .max)
        print("ARTIFACTFS_SEED=\(seed) repeats this run's random tests")
        return seed
    }()

    /// `$ARTIFACTFS_SEED`, else a random one. It is printed once, so that a failing run can be repeated.
    public static func fromEnvironment() -> UInt64 { value }
}
