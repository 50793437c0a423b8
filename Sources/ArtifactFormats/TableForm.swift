/// What a table looks like, when it is not only tabs, newlines and a header.
public struct TableForm: Hashable, Sendable {
    /// The character that begins a line which is no row.
    public enum Comment: UInt8, Hashable, Sendable, CaseIterable {
        /// `#`
        case hash = 0x23
        /// `%`
        case percent = 0x25
        /// `;`
        case semicolon = 0x3B
        /// `@`
        case at = 0x40
    }

    /// Lines that begin with it are passed over; nil when every line is a row.
    public var comment: Comment?
    /// The first row names the columns.
    public var hasHeader: Bool
    /// A field in `"` may hold tabs, newlines and doubled quotes, as Python's csv, pandas and polars read it.
    public var hasQuotes: Bool
    /// It is compressed with gzip or bgzip.
    public var isCompressed: Bool

    /// Makes a form; what is not given is as in plain TSV.
    public init(comment: Comment? = nil, hasHeader: Bool = true, hasQuotes: Bool = false, isCompressed: Bool = false) {
        self.comment = comment
        self.hasHeader = hasHeader
        self.hasQuotes = hasQuotes
        self.isCompressed = isCompressed
    }

    /// Every form.
    static let all: [TableForm] = {
        let comments = [nil] + Comment.allCases.map { Optional($0) }
        var forms: [TableForm] = []
        for isCompressed in [false, true] {
            for hasQuotes in [false, true] {
                for hasHeader in [true, false] {
                    for comment in comments {
                        forms.append(
                            TableForm(
                                comment: comment, hasHeader: hasHeader, hasQuotes: hasQuotes, isCompressed: isCompressed
                            ))
                    }
                }
            }
        }
        return forms
    }()

    /// Rows are lines, and each byte but tab and newline is like any other.
    var isPlain: Bool { comment == nil && hasHeader && !hasQuotes }
}
