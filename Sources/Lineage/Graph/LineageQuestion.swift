/// What is asked of a lineage.
public struct LineageQuestion: Sendable {
    /// From what it was made.
    public var isUp = true
    /// What was made from it.
    public var isDown = false
    /// How many steps; nil for all.
    public var depth: Int?
    /// Whether edges count that are a guess.
    public var showsPossible = false
    /// Whether every version of the path is asked for.
    public var allVersions = false
    /// Which version; nil for the last.
    public var version: Int64?

    /// All that it was made from, as far as it is certain.
    public init() {}
}
