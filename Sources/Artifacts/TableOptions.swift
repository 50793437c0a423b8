/// What the schema says of a type's tables (`.tsv`).
public struct TableOptions: Hashable, Sendable {
    /// Whether quotes around a field mean something.
    public enum Quotes: String, CaseIterable, Hashable, Sendable {
        /// They are like any other character.
        case none
        /// A field in them may hold tabs, newlines and doubled quotes.
        case csv
    }

    /// Lines that begin with this character are no rows.
    public var comment: UInt8?
    /// Whether the first row names the columns.
    public var hasHeader: Bool
    /// Whether quotes mean something.
    public var quotes: Quotes

    /// Makes options; what is not given is as in plain tables.
    public init(comment: UInt8? = nil, hasHeader: Bool = true, quotes: Quotes = .none) {
        self.comment = comment
        self.hasHeader = hasHeader
        self.quotes = quotes
    }

    /// The characters that may begin a comment.
    public static let comments: [UInt8] = Array("#%;@".utf8)
}
