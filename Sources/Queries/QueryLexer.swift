/// The words of a query.
struct QueryToken: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case word(String)
        case quoted(String)
        case comparison(Query.Comparison)
        case matches
        case open
        case close
        case comma
        case end
    }

    let kind: Kind
    /// In characters.
    let place: Int
    let length: Int

    static func all(of text: String) throws(QueryError) -> [QueryToken] {
        let scalars = Array(text.unicodeScalars)
        var tokens: [QueryToken] = []
        var next = 0
        while next < scalars.count {
            let start = next
            let scalar = scalars[next]
            let kind: Kind
            switch scalar {
            case "(": (kind, next) = (.open, next + 1)
            case ")": (kind, next) = (.close, next + 1)
            case ",": (kind, next) = (.comma, next + 1)
            case "~": (kind, next) = (.matches, next + 1)
            case "\"", "'": kind = try quoted(scalars, &next)
            case "=", "!", "<", ">": kind = try comparison(scalars, &next)
            case _ where !QueryText.isOfWord(scalar):
                next += 1
                continue
            default:
                var word = String.UnicodeScalarView()
                while next < scalars.count, QueryText.isOfWord(scalars[next]) {
                    word.append(scalars[next])
                    next += 1
                    // metric."val accuracy"
                    if word.last == ".", next < scalars.count, scalars[next] == "\"" || scalars[next] == "'" {
                        guard case .quoted(let member) = try quoted(scalars, &next) else { break }
                        word.append(contentsOf: member.unicodeScalars)
                        break
                    }
                }
                kind = .word(String(word))
            }
            tokens.append(QueryToken(kind: kind, place: start, length: next - start))
        }
        return tokens + [QueryToken(kind: .end, place: scalars.count, length: 1)]
    }

    private static func comparison(_ scalars: [Unicode.Scalar], _ next: inout Int) throws(QueryError) -> Kind {
        let start = next
        var text = String(Character(scalars[next]))
        next += 1
        if next < scalars.count, scalars[next] == "=" {
            text += "="
            next += 1
        }
        if text == "==" { return .comparison(.equal) }
        guard let found = Query.Comparison(rawValue: text) else {
            throw QueryError(
                place: start, length: next - start,
                problem: "'\(text)' compares nothing; '!=' is 'not equal', and 'not' turns a test round")
        }
        return .comparison(found)
    }

    private static func quoted(_ scalars: [Unicode.Scalar], _ next: inout Int) throws(QueryError) -> Kind {
        let (start, mark) = (next, scalars[next])
        var text = String.UnicodeScalarView()
        next += 1
        while next < scalars.count, scalars[next] != mark {
            if scalars[next] == "\\", next + 1 < scalars.count { next += 1 }
            text.append(scalars[next])
            next += 1
        }
        guard next < scalars.count else {
            throw QueryError(
                place: start, length: scalars.count - start, problem: "this \(mark) has no other one that ends the text"
            )
        }
        next += 1
        return .quoted(String(text))
    }
}
