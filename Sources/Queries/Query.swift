/// What somebody looks for.
///
/// What is not known of an artifact is neither equal nor unequal to anything, nor more or less than it: `is unknown` finds it. `not` turns an answer round, whatever it is of.
public indirect enum Query: Sendable, Hashable {
    /// Everything.
    case all
    case and([Query])
    case or([Query])
    case not(Query)
    /// A text that stands in the command or in the note, in upper or lower case.
    case says(String)
    case field(Field, Test)

    /// What a field's value is to be.
    public enum Test: Sendable, Hashable {
        case compare(Comparison, Value)
        /// Equal to one of them.
        case oneOf([Value])
        /// A text with `*` or `%` for any characters, and `?` for one, in upper or lower case.
        case like(String)
        /// An extended regular expression (POSIX) that fits a part of it.
        case matches(String)
        case known
        case unknown
    }

    /// How a value is compared.
    public enum Comparison: String, Sendable, CaseIterable {
        case equal = "="
        case notEqual = "!="
        case less = "<"
        case notMore = "<="
        case more = ">"
        case notLess = ">="
    }

    /// What a field is compared with.
    public enum Value: Sendable, Hashable {
        case text(String)
        /// The beginning of a hash, in lower-case hexadecimal digits.
        case hash(String)
        case number(Double)
        case flag(Bool)
        /// A time that a text means, in nanoseconds since 1970: from, and up to. What is equal to it is within.
        case time(Range<Int64>)
        /// A number that was written as a text, as parameters are.
        case either(Double, String)
    }
}

/// Why a query says nothing.
public struct QueryError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Where, in characters (Unicode scalars) from the query's beginning.
    public let place: Int
    /// How many of them.
    public let length: Int
    /// What is wrong, and what was expected.
    public let problem: String

    /// For people.
    public var description: String { "at character \(place + 1): \(problem)" }
}

/// How texts are written in queries.
public enum QueryText {
    static let operators = "=!<>~"

    static func isOfWord(_ scalar: Unicode.Scalar) -> Bool {
        !scalar.properties.isWhitespace && scalar.value >= 0x20 && !"\"'(),".unicodeScalars.contains(scalar)
            && !operators.unicodeScalars.contains(scalar)
    }

    /// A text as a query has it: in quotes, where it is more than a word.
    public static func quoted(_ text: String) -> String {
        if !text.isEmpty, text.unicodeScalars.allSatisfy({ isOfWord($0) && $0 != "\\" }) { return text }
        var result = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { result.unicodeScalars.append("\\") }
            result.unicodeScalars.append(scalar)
        }
        return result + "\""
    }
}

extension Query {
    /// The regular expressions that it has.
    public var patterns: [String] {
        switch self {
        case .all, .says: []
        case .and(let all), .or(let all): all.flatMap(\.patterns)
        case .not(let inner): inner.patterns
        case .field(_, .matches(let pattern)): [pattern]
        case .field: []
        }
    }

    /// The fields that it tests, in the order in which they stand there.
    public var fields: [Field] {
        switch self {
        case .all, .says: []
        case .and(let all), .or(let all): all.flatMap(\.fields)
        case .not(let inner): inner.fields
        case .field(let field, _): [field]
        }
    }
}
