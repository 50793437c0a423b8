internal import ArtifactRecords

/// A piece of HTML. Texts that are put into it are escaped; only other pieces are not.
public struct Markup: Sendable, Hashable, ExpressibleByStringInterpolation {
    /// As a page has it.
    public private(set) var html: String

    /// A piece as it stands in the code.
    public init(stringLiteral value: String) { html = value }

    /// A piece with others and with texts in it.
    public init(stringInterpolation: StringInterpolation) { html = stringInterpolation.html }

    /// A drawing that was made from escaped texts.
    public init(drawing svg: String) { html = svg }

    /// Nothing.
    public static let none: Markup = ""

    static func += (one: inout Markup, other: Markup) { one.html += other.html }

    static func + (one: Markup, other: Markup) -> Markup {
        var all = one
        all += other
        return all
    }

    /// Puts texts and pieces into a piece.
    public struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var html = ""

        /// An empty one.
        public init(literalCapacity: Int, interpolationCount: Int) {
            html.reserveCapacity(literalCapacity + 16 * interpolationCount)
        }

        /// What stands in the code.
        public mutating func appendLiteral(_ literal: String) { html += literal }

        /// A text of one line, also within quotes: what would move a cursor is shown as an escape.
        public mutating func appendInterpolation(_ text: String) {
            html += ShownText.markup(ShownText.printable(text))
        }

        /// A text of several lines.
        public mutating func appendInterpolation(lines text: String) { html += ShownText.markup(text) }

        /// A number.
        public mutating func appendInterpolation(_ number: Int) { html += "\(number)" }

        /// A piece.
        public mutating func appendInterpolation(_ piece: Markup) { html += piece.html }

        /// Pieces, one after the other.
        public mutating func appendInterpolation(_ pieces: [Markup]) { for piece in pieces { html += piece.html } }
    }
}
