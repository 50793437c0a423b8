/// The name of a moment of a store (`artifactfs tag`).
public struct TagName: Hashable, Sendable, CustomStringConvertible {
    /// The name.
    public let description: String

    /// A letter or digit, then letters, digits, `.`, `_` and `-`, 100 bytes at most; nil for anything else.
    public init?(_ text: String) {
        guard NameRules.isPlain(text[...]), text.utf8.count <= 100 else { return nil }
        description = text
    }

    /// The longest note, in bytes.
    public static let longestNote = 1024
}
