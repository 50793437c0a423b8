extension Query {
    /// Reads a query.
    ///
    /// - Parameters:
    ///   - text: as people write it; empty for everything.
    ///   - subject: what is looked for.
    ///   - calendar: tells what dates mean.
    public init(_ text: String, of subject: QuerySubject, _ calendar: QueryCalendar) throws(QueryError) {
        var parser = QueryParser(try QueryToken.all(of: text), subject, calendar)
        self = try parser.query()
    }
}

extension Field {
    /// Reads what is shown of each: a field's name, or which value of a metric, as in `min loss`.
    public init(_ text: String, of subject: QuerySubject) throws(QueryError) {
        let words = try QueryToken.all(of: text).dropLast().map { token throws(QueryError) in
            switch token.kind {
            case .word(let word), .quoted(let word): word
            default:
                throw QueryError(
                    place: token.place, length: token.length,
                    problem: "'\(text)' is no field; a name with such characters stands in quotes: metric.\"a, b\"")
            }
        }
        if words.count > 1, let reading = MetricValue(rawValue: words[0].lowercased()) {
            let name = words.dropFirst().joined(separator: " ")
            self.init(.metric, name.hasPrefix("metric.") ? String(name.dropFirst("metric.".count)) : name, reading)
        } else {
            self = try QueryParser.field(words.joined(separator: " "), of: subject, at: 0)
        }
    }

    /// Reads several, with commas between; a name may have some in quotes.
    ///
    /// - Returns: each with whether a `-` stands before it.
    public static func list(
        _ text: String, of subject: QuerySubject
    ) throws(QueryError) -> [(field: Field, isTurned: Bool)] {
        var parts = [String.UnicodeScalarView()]
        var quote: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            if let open = quote {
                if scalar == open { quote = nil }
            } else if scalar == "\"" || scalar == "'" {
                quote = scalar
            } else if scalar == "," {
                parts.append(String.UnicodeScalarView())
                continue
            }
            parts[parts.count - 1].append(scalar)
        }
        var fields: [(field: Field, isTurned: Bool)] = []
        for part in parts {
            let part = String(part).split(whereSeparator: \.isWhitespace).joined(separator: " ")
            guard !part.isEmpty else { continue }
            let isTurned = part.hasPrefix("-")
            fields.append((try Field(isTurned ? String(part.dropFirst()) : part, of: subject), isTurned))
        }
        return fields
    }
}

/// Reads the tokens of a query: `or` binds least, then `and`, which may be left out, then `not`.
struct QueryParser {
    private let tokens: [QueryToken]
    private let subject: QuerySubject
    private let calendar: QueryCalendar
    private var next = 0
    private var depth = 0

    private static let mostDepth = 100
    /// More texts than that, or parts of one query, are not asked for at once.
    static let most = 10_000

    init(_ tokens: [QueryToken], _ subject: QuerySubject, _ calendar: QueryCalendar) {
        (self.tokens, self.subject, self.calendar) = (tokens, subject, calendar)
    }

    private var token: QueryToken { tokens[min(next, tokens.count - 1)] }

    private func error(_ problem: String, at token: QueryToken? = nil) -> QueryError {
        let token = token ?? self.token
        return QueryError(place: token.place, length: token.length, problem: problem)
    }

    /// The keyword that comes next, in lower case; nil when none does.
    private var keyword: String? {
        guard case .word(let word) = token.kind else { return nil }
        return word.lowercased()
    }

    /// The word after the next one, in lower case.
    private var following: String? {
        guard next + 1 < tokens.count, case .word(let word) = tokens[next + 1].kind else { return nil }
        return word.lowercased()
    }

    mutating func query() throws(QueryError) -> Query {
        if case .end = token.kind { return .all }
        guard tokens.count <= Self.most else {
            throw error("it has more than \(Self.most) words", at: tokens[Self.most])
        }
        let found = try either()
        switch token.kind {
        case .end: return found
        case .close: throw error("this ) has no (")
        case .comma: throw error("a comma separates the values of 'in (A, B)' only; 'or' is written as a word")
        case .comparison, .matches: throw error("a field's name comes before this, such as size or user")
        default: throw error("'and', 'or' or the end was expected")
        }
    }

    private mutating func either() throws(QueryError) -> Query {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.mostDepth else { throw error("more than \(Self.mostDepth) tests are within each other") }
        var all = [try both()]
        while keyword == "or" {
            next += 1
            all.append(try both())
        }
        return all.count == 1 ? all[0] : .or(all)
    }

    private mutating func both() throws(QueryError) -> Query {
        var all = [try turned()]
        while true {
            if keyword == "and" {
                next += 1
            } else {
                switch token.kind {
                case .word where keyword != "or", .quoted, .open: break
                default: return all.count == 1 ? all[0] : .and(all)
                }
            }
            all.append(try turned())
        }
    }

    private mutating func turned() throws(QueryError) -> Query {
        var isTurned = false
        while keyword == "not" {
            isTurned.toggle()
            next += 1
        }
        let found = try one()
        return isTurned ? .not(found) : found
    }

    private mutating func one() throws(QueryError) -> Query {
        let first = token
        switch first.kind {
        case .open:
            next += 1
            let inner = try either()
            guard case .close = token.kind else { throw error("a ) was expected", at: token) }
            next += 1
            return inner
        case .quoted(let text):
            next += 1
            try noComparison(after: text)
            return .says(text)
        case .word(let word):
            guard !["&", "&&", "|", "||"].contains(word) else {
                throw error("'\(word)' is written as the word '\(word.hasPrefix("&") ? "and" : "or")'")
            }
            next += 1
            return try test(of: word, first)
        case .end: throw error("a test was expected here, such as type = meta_models")
        case .close: throw error("a test was expected before this )")
        case .comma: throw error("a test was expected, not a comma")
        case .comparison, .matches: throw error("a field's name comes before this, such as size or user")
        }
    }

    private func noComparison(after text: String) throws(QueryError) {
        switch token.kind {
        case .comparison, .matches:
            throw error("a field's name without quotes comes before this, not \(QueryText.quoted(text))")
        default: return
        }
    }

    private mutating func test(of word: String, _ first: QueryToken) throws(QueryError) -> Query {
        // A date by itself is that of sealing, or of a run's beginning.
        let time = Field(subject == .runs ? .begun : .sealed)
        if let test = try dateTest(keyword: word.lowercased(), of: time) { return .field(time, test) }
        let hasField: Bool
        switch token.kind {
        case .comparison, .matches: hasField = true
        case .word:
            hasField =
                ["in", "like", "is", "since", "before", "after", "until", "on"].contains(keyword ?? "")
                || keyword == "not" && ["in", "like"].contains(following ?? "")
        default: hasField = false
        }
        guard hasField else {
            // What looks like a field and is compared with nothing is a text.
            guard word.lowercased() != "and", word.lowercased() != "or" else {
                throw error("a test was expected before '\(word)'", at: first)
            }
            return .says(word)
        }
        // `model in ...`: a word that is no field, and may be a text before one of these words, is told as a field that is not known.
        let field = try Self.field(word, of: subject, at: first.place)
        // `type not in (a, b)`: what is not known is no such thing either.
        if keyword == "not" {
            next += 1
            return .and([.field(field, .known), .not(try test(of: word, first))])
        }
        let sign = token
        next += 1
        switch sign.kind {
        case .comparison(let comparison):
            let value = try value(of: field)
            try check(comparison, field, sign)
            return .field(field, .compare(comparison, value))
        case .matches: return .field(field, .matches(try text("an expression", of: field, sign)))
        case .word(let word):
            switch word.lowercased() {
            case "like": return .field(field, .like(try text("a text with * in it", of: field, sign)))
            case "in": return .field(field, .oneOf(try values(of: field)))
            case "is":
                let isNot = keyword == "not"
                if isNot { next += 1 }
                switch keyword {
                case "known":
                    next += 1
                    return .field(field, isNot ? .unknown : .known)
                case "unknown":
                    next += 1
                    return .field(field, isNot ? .known : .unknown)
                default: throw error("'known' or 'unknown' was expected; a value comes after =")
                }
            default:
                next -= 1
                let keyword = word.lowercased()
                guard field.kind == .time else {
                    throw error("'\(keyword)' goes with a time, and \(field.text) is none", at: sign)
                }
                next += 1
                if let test = try dateTest(keyword: keyword, of: field, hasKeyword: true) { return .field(field, test) }
                throw error("a date was expected")
            }
        default: throw error("a comparison was expected", at: sign)
        }
    }

    /// `since DATE` and its kin; nil when no date's word is there, or nothing follows that could be a date.
    private mutating func dateTest(
        keyword: String, of field: Field, hasKeyword: Bool = false
    ) throws(QueryError) -> Query.Test? {
        let comparison: Query.Comparison
        switch keyword {
        case "since": comparison = .notLess
        case "before": comparison = .less
        case "after": comparison = .more
        case "until": comparison = .notMore
        case "on": comparison = .equal
        default: return nil
        }
        switch token.kind {
        case .word, .quoted: return .compare(comparison, try value(of: field))
        default: throw error("a date was expected after '\(keyword)', such as 2026-10-01 or \"last month\"")
        }
    }

    private func check(_ comparison: Query.Comparison, _ field: Field, _ sign: QueryToken) throws(QueryError) {
        switch (field.kind, comparison) {
        case (_, .equal), (_, .notEqual), (.number, _), (.size, _), (.time, _), (.any, _), (.text, _): return
        case (.hash, _), (.flag, _):
            throw error("\(field.text) is compared with = and != only", at: sign)
        }
    }

    static func field(_ text: String, of subject: QuerySubject, at place: Int) throws(QueryError) -> Field {
        let length = text.unicodeScalars.count
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let first = parts.first.map { $0.lowercased() } ?? ""
        if let name = FieldName(rawValue: first), subject.fields.contains(name) {
            let hasMembers = name == .metric || name == .param
            switch (hasMembers, parts.count) {
            case (true, 2) where !parts[1].isEmpty: return Field(name, String(parts[1]))
            case (true, _):
                throw QueryError(
                    place: place, length: length, problem: "a name belongs to it: \(first).NAME, or \(first).\"a name\""
                )
            case (false, 1): return Field(name)
            case (false, _):
                throw QueryError(
                    place: place, length: length, problem: "\(first) has no parts: only metric.NAME and param.NAME have"
                )
            }
        }
        let names = subject.fields.map { [.metric, .param].contains($0) ? $0.rawValue + ".NAME" : $0.rawValue }
        let near = names.filter { $0.utf8.first == first.utf8.first || $0.utf8.count > 3 }
            .map { (name: $0, distance: Spelling.distance($0, first)) }.min { $0.distance < $1.distance }
        let hint = near.flatMap { $0.distance <= 2 ? "did you mean \($0.name)?" : nil }
        throw QueryError(
            place: place, length: length,
            problem:
                "'\(text)' is no field of \(subject.rawValue); \(hint ?? "there are \(names.joined(separator: ", "))")")
    }

    // MARK: - Values

    private mutating func text(_ what: String, of field: Field, _ sign: QueryToken) throws(QueryError) -> String {
        switch field.kind {
        case .text, .hash, .any: break
        case .number, .size, .time, .flag:
            throw error("\(field.text) is no text; it is compared with = and its kin", at: sign)
        }
        switch token.kind {
        case .word(let text), .quoted(let text):
            next += 1
            return text
        default: throw error("\(what) was expected, in quotes when it has blanks or brackets")
        }
    }

    private mutating func values(of field: Field) throws(QueryError) -> [Query.Value] {
        guard case .open = token.kind else { throw error("a ( was expected: in (A, B)") }
        next += 1
        var values: [Query.Value] = []
        while true {
            values.append(try value(of: field))
            switch token.kind {
            case .comma: next += 1
            case .close:
                next += 1
                return values
            default: throw error("a comma or a ) was expected")
            }
        }
    }

    private mutating func value(of field: Field) throws(QueryError) -> Query.Value {
        let text: String
        switch token.kind {
        case .word(let word): text = word
        case .quoted(let quoted): text = quoted
        case .end: throw error("a value was expected after this")
        default: throw error("a value was expected, in quotes when it has other characters than a word's")
        }
        let place = token
        next += 1
        switch field.kind {
        case .text: return .text(text)
        case .any: return Self.number(text).map { .either($0, text) } ?? .text(text)
        case .hash:
            let digits = text.lowercased()
            guard (4...64).contains(digits.utf8.count), digits.utf8.allSatisfy({ "0123456789abcdef".utf8.contains($0) })
            else { throw error("4 to 64 hexadecimal digits of a hash were expected", at: place) }
            return .hash(digits)
        case .number:
            guard let number = Self.number(text) else {
                throw error("\(field.text) is a number, and '\(text)' is none", at: place)
            }
            return .number(number)
        case .flag:
            switch text.lowercased() {
            case "yes", "true", "1": return .flag(true)
            case "no", "false", "0": return .flag(false)
            default: throw error("\(field.text) is yes or no, not '\(text)'", at: place)
            }
        case .size:
            // 1 GB, with a blank.
            if case .word(let unit) = token.kind, Self.number(text) != nil, ByteCount.unit(unit) != nil,
                let size = ByteCount.parse(text + unit)
            {
                next += 1
                return .number(size)
            }
            guard let size = ByteCount.parse(text) else {
                throw error("a size was expected, such as 200, 10kB, 1.5GB or 2GiB, and not '\(text)'", at: place)
            }
            return .number(size)
        case .time:
            guard let time = DateText.parse(text, calendar) else {
                throw error(
                    """
                    a date was expected, such as 2026-10-01, "2026-10-01 14:30", today, "last month" or "3 days ago", and not '\(text)'
                    """, at: place)
            }
            return .time(time)
        }
    }

    /// A decimal number, as far as it has an end.
    static func number(_ text: String) -> Double? {
        guard text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }), let number = Double(text), number.isFinite
        else { return nil }
        return number
    }
}
