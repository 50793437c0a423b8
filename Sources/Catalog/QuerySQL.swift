internal import FoundationEssentials
internal import GRDB
internal import Queries

/// A query as SQLite is asked.
struct QuerySQL {
    private(set) var arguments: [DatabaseValue] = []
    private let subject: QuerySubject

    init(_ subject: QuerySubject) { self.subject = subject }

    /// The rows' table has the name `a` for artifacts, and `r` for runs.
    private var table: String { subject == .artifacts ? "a" : "r" }

    mutating func condition(_ query: Query) -> String {
        switch query {
        case .all: "1"
        case .and(let all): joined(all, "AND")
        case .or(let all): joined(all, "OR")
        case .not(let inner): Self.not(condition(inner))
        case .says(let text): says(text)
        case .field(let field, let test): condition(field, test)
        }
    }

    /// What is not known makes a test false, and not the whole.
    private static func not(_ condition: String) -> String { "NOT ifnull(\(condition), 0)" }

    /// In halves: SQLite's expressions are at most 1000 deep.
    private mutating func joined(_ all: [Query], _ word: String) -> String {
        Self.balanced(all.map { condition($0) }[...], word)
    }

    private static func balanced(_ parts: ArraySlice<String>, _ word: String) -> String {
        guard parts.count > 1 else { return parts.first ?? "1" }
        let middle = parts.startIndex + parts.count / 2
        return "(\(balanced(parts[..<middle], word)) \(word) \(balanced(parts[middle...], word)))"
    }

    private mutating func add(_ value: some DatabaseValueConvertible) -> String {
        arguments.append(value.databaseValue)
        return "?\(arguments.count)"
    }

    private mutating func says(_ text: String) -> String {
        let texts = "SELECT id FROM text WHERE value LIKE \(add("%" + Self.escaped(text) + "%")) ESCAPE '\\'"
        return "(\(table).command IN (\(texts)) OR \(table).note IN (\(texts)))"
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            if "%_\\".unicodeScalars.contains(character) { result += "\\" }
            result.unicodeScalars.append(character)
        }
        return result
    }

    /// `*` and `%` are any characters, `?` is one; a `_` is itself.
    private static func pattern(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "*", "%": result += "%"
            case "?": result += "_"
            case "_", "\\": result += "\\" + String(character)
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }

    /// How a run of the table `r` has ended.
    static let runState =
        "CASE WHEN r.ended IS NULL THEN 'unknown' WHEN r.signal IS NOT NULL OR r.status != 0 THEN 'failed' ELSE 'ended' END"

    /// What a column has, as a value that people read: of texts that have numbers the text.
    mutating func value(_ field: Field) -> String {
        switch field.name {
        case .path:
            return "(SELECT value FROM text WHERE id = \(table).directory) || '/' || \(table).name"
        case .name: return "\(table).name"
        case .metric:
            let reading =
                switch field.reading {
                case .last: "last"
                case .first: "first"
                case .min: "low"
                case .max: "high"
                }
            return metricValue(reading, field.member)
        case .param:
            return """
                (SELECT ifnull(p.number, (SELECT value FROM text WHERE id = p.text)) FROM parameter p \
                WHERE p.run = \(subject == .runs ? "r.id" : "a.run") AND p.name IN (\(names(field.member))) \
                ORDER BY p.name IS NOT (\(one(field.member))), p.rowid LIMIT 1)
                """
        case .input:
            return """
                (SELECT group_concat(t.value, ', ') FROM input i JOIN text t ON t.id = i.path \
                WHERE \(subject == .artifacts ? "i.artifact = a.id" : "i.artifact IN (SELECT id FROM artifact WHERE run = r.id)"))
                """
        case .made: return "(SELECT count(*) FROM artifact WHERE run = r.id AND quarantined IS NULL)"
        case .state where subject == .runs: return Self.runState
        default:
            let column = column(field)
            return isNumbered(field) ? "(SELECT value FROM text WHERE id = \(column))" : column
        }
    }

    private func column(_ field: Field) -> String {
        switch field.name {
        case .chromosome: "\(table).\"key\""
        case .run where subject == .runs: "r.id"
        default: "\(table).\"\(field.name.rawValue)\""
        }
    }

    /// Whether a column has the numbers of texts.
    private func isNumbered(_ field: Field) -> Bool {
        field.kind == .text && field.name != .name && field.name != .path
    }

    /// Whose metrics are whose: an artifact's own, its run's, its session's.
    private func metricOwners() -> [(column: String, value: String)] {
        subject == .artifacts
            ? [("artifact", "a.id"), ("session", "a.session"), ("run", "a.run")]
            : [("session", "r.session"), ("run", "r.id")]
    }

    /// The numbers of the names that somebody means: the whole name, or the end of it after a dot.
    private mutating func names(_ name: String) -> String {
        let whole = "SELECT id FROM text WHERE hash = \(add(CatalogTables.hash(name))) AND value = \(add(name))"
        let part = "SELECT id FROM measured"
        return """
            \(whole) UNION ALL SELECT id FROM text WHERE id IN (\(part)) AND value LIKE \(add("%." + Self.escaped(name))) ESCAPE '\\'
            """
    }

    // MARK: - Tests

    private mutating func condition(_ field: Field, _ test: Query.Test) -> String {
        switch field.name {
        case .metric: return metric(field, test)
        case .param: return parameter(field, test)
        case .input: return input(test)
        case .path: return path(test)
        case .name: return text("a.name", test)
        case .made: return number(value(field), test)
        case .state where subject == .runs: return text(value(field), test)
        default:
            let column = column(field)
            switch field.kind {
            case .text: return numbered(column, test)
            case .hash: return hash(column, test)
            case .number, .size, .flag, .any: return number(column, test)
            case .time: return time(column, test)
            }
        }
    }

    /// - Parameter body: the condition that a value is within.
    private func isKnown(_ column: String, _ test: Query.Test) -> String? {
        switch test {
        case .known: "\(column) IS NOT NULL"
        case .unknown: "\(column) IS NULL"
        default: nil
        }
    }

    /// A column with texts.
    private mutating func text(_ column: String, _ test: Query.Test) -> String {
        switch test {
        case .compare(let comparison, let value): "\(column) \(comparison.rawValue) \(add(Self.text(value)))"
        case .oneOf(let values): "\(column) IN (\(values.map { add(Self.text($0)) }.joined(separator: ",")))"
        case .like(let pattern): "\(column) LIKE \(add(Self.pattern(pattern))) ESCAPE '\\'"
        case .matches(let pattern): "\(column) REGEXP \(add(pattern))"
        case .known, .unknown: isKnown(column, test) ?? "0"
        }
    }

    private static func text(_ value: Query.Value) -> String {
        switch value {
        case .text(let text), .hash(let text), .either(_, let text): text
        case .number(let number): "\(number)"
        case .flag(let flag): "\(flag)"
        case .time(let range): "\(range.lowerBound)"
        }
    }

    /// A column with the numbers of texts.
    private mutating func numbered(_ column: String, _ test: Query.Test) -> String {
        switch test {
        case .compare(.equal, let value): "\(column) = (\(one(Self.text(value))))"
        case .compare(.notEqual, let value):
            "(\(column) IS NOT NULL AND \(column) NOT IN (\(one(Self.text(value)))))"
        case .oneOf(let values): "\(column) IN (\(several(values.map(Self.text))))"
        case .compare, .like, .matches: "\(column) IN (SELECT id FROM text WHERE \(text("value", test)))"
        case .known, .unknown: isKnown(column, test) ?? "0"
        }
    }

    /// The number of a text.
    private mutating func one(_ text: String) -> String {
        "SELECT id FROM text WHERE hash = \(add(CatalogTables.hash(text))) AND value = \(add(text))"
    }

    private mutating func several(_ texts: [String]) -> String {
        let hashes = texts.map { add(CatalogTables.hash($0)) }.joined(separator: ",")
        return
            "SELECT id FROM text WHERE hash IN (\(hashes)) AND value IN (\(texts.map { add($0) }.joined(separator: ",")))"
    }

    private mutating func number(_ column: String, _ test: Query.Test) -> String {
        func number(_ value: Query.Value) -> Double {
            switch value {
            case .number(let number), .either(let number, _): number
            case .flag(let flag): flag ? 1 : 0
            default: .nan
            }
        }
        switch test {
        case .compare(let comparison, let value): return "\(column) \(comparison.rawValue) \(add(number(value)))"
        case .oneOf(let values): return "\(column) IN (\(values.map { add(number($0)) }.joined(separator: ",")))"
        case .like, .matches: return "0"
        case .known, .unknown: return isKnown(column, test) ?? "0"
        }
    }

    private mutating func time(_ column: String, _ test: Query.Test) -> String {
        func range(_ value: Query.Value) -> Range<Int64> { if case .time(let range) = value { range } else { 0..<0 } }
        switch test {
        case .compare(let comparison, let value):
            let range = range(value)
            switch comparison {
            case .equal: return "(\(column) >= \(add(range.lowerBound)) AND \(column) < \(add(range.upperBound)))"
            case .notEqual: return "(\(column) < \(add(range.lowerBound)) OR \(column) >= \(add(range.upperBound)))"
            case .less: return "\(column) < \(add(range.lowerBound))"
            case .notMore: return "\(column) < \(add(range.upperBound))"
            case .more: return "\(column) >= \(add(range.upperBound))"
            case .notLess: return "\(column) >= \(add(range.lowerBound))"
            }
        case .oneOf(let values):
            return Self.balanced(values.map { time(column, .compare(.equal, $0)) }[...], "OR")
        case .like, .matches: return "0"
        case .known, .unknown: return isKnown(column, test) ?? "0"
        }
    }

    /// The beginning of a hash: what lies between it with zeros and it with `f`s after it.
    private mutating func hash(_ column: String, _ test: Query.Test) -> String {
        switch test {
        case .compare(.notEqual, let value): "(\(column) IS NOT NULL AND NOT \(begins(column, Self.text(value))))"
        case .compare(_, let value): begins(column, Self.text(value))
        case .oneOf(let values): Self.balanced(values.map { begins(column, Self.text($0)) }[...], "OR")
        case .like, .matches: text("lower(hex(\(column)))", test)
        case .known, .unknown: isKnown(column, test) ?? "0"
        }
    }

    private mutating func begins(_ column: String, _ digits: String) -> String {
        let isEven = digits.utf8.count.isMultiple(of: 2)
        let low = HexadecimalText.bytes(isEven ? digits : digits + "0") ?? Data()
        let high = HexadecimalText.bytes(isEven ? digits : digits + "f") ?? Data()
        let end = high + Data(repeating: 0xff, count: max(0, 33 - high.count))
        return "(\(column) >= \(add(low)) AND \(column) <= \(add(end)))"
    }

    private mutating func path(_ test: Query.Test) -> String {
        func equal(_ path: String) -> String {
            let (directory, name) = CatalogPath.parts(of: path)
            return "(a.directory = (\(one(directory))) AND a.name = \(add(name)))"
        }
        let whole = value(Field(.path))
        switch test {
        case .compare(.equal, let value): return equal(Self.text(value))
        case .oneOf(let values): return Self.balanced(values.map { equal(Self.text($0)) }[...], "OR")
        case .known, .unknown: return isKnown("a.directory", test) ?? "0"
        default: return text("(\(whole))", test)
        }
    }

    private mutating func input(_ test: Query.Test) -> String {
        let chosen: String
        switch test {
        case .compare(.equal, let value): chosen = inputs([Self.text(value)])
        case .oneOf(let values): chosen = inputs(values.map(Self.text))
        case .compare(.notEqual, let value):
            return "(\(input(.known)) AND NOT \(input(.compare(.equal, value))))"
        case .known where subject == .artifacts: return "EXISTS (SELECT 1 FROM input WHERE artifact = a.id)"
        case .known, .unknown: chosen = "1"
        default: chosen = "path IN (SELECT id FROM text WHERE \(text("value", test)))"
        }
        let artifacts = "SELECT artifact FROM input WHERE \(chosen)"
        let condition =
            subject == .artifacts
            ? "a.id IN (\(artifacts))"
            : "r.id IN (SELECT run FROM artifact WHERE run IS NOT NULL AND id IN (\(artifacts)))"
        return test == .unknown ? "NOT \(condition)" : condition
    }

    /// `PATH`, or `PATH@VERSION`.
    private mutating func inputs(_ texts: [String]) -> String {
        var parts: [String] = []
        for text in texts {
            var part = "path = (\(one(text)))"
            if let mark = text.utf8.lastIndex(of: UInt8(ascii: "@")),
                let version = Int64(text[text.utf8.index(after: mark)...]), version > 0
            {
                part = "(\(part) OR path = (\(one(String(text[..<mark])))) AND version = \(add(version)))"
            }
            parts.append(part)
        }
        return Self.balanced(parts[...], "OR")
    }

    private mutating func metric(_ field: Field, _ test: Query.Test) -> String {
        let names = names(field.member)
        let isKnown = test == .known || test == .unknown
        let value = isKnown ? "last IS NOT NULL" : number("last", test)
        let found = metricOwners().map { owner in
            """
            \(owner.value) IN (SELECT \(owner.column) FROM metric \
            WHERE \(owner.column) IS NOT NULL AND name IN (\(names)) AND \(value))
            """
        }
        // Those that may have it are found by an index; which value counts is then the one that is shown.
        let candidates = Self.balanced(found[...], "OR")
        let condition = isKnown ? candidates : "(\(candidates) AND \(number(metricValue("last", field.member), test)))"
        return test == .unknown ? Self.not(condition) : condition
    }

    /// A metric's value: the artifact's own, else its session's, else that of another file of its run; of a name's end the first that has it whole.
    private mutating func metricValue(_ reading: String, _ name: String) -> String {
        // SQLite's ORDER BY knows nothing of what is outside of it: an owner after the other.
        let (names, whole) = (names(name), one(name))
        let all = metricOwners().map { owner in
            """
            (SELECT \(reading) FROM metric m WHERE m.\(owner.column) = \(owner.value) AND m.name IN (\(names)) \
            ORDER BY m.name IS NOT (\(whole)), m.rowid LIMIT 1)
            """
        }
        return "coalesce(\(all.joined(separator: ", ")))"
    }

    private mutating func parameter(_ field: Field, _ test: Query.Test) -> String {
        let names = names(field.member)
        let value: String
        switch test {
        case .known, .unknown: value = "1"
        case .compare(let comparison, .either(let given, let text)):
            let asText = numbered("text", .compare(comparison, .text(text)))
            value = "(number \(comparison.rawValue) \(add(given)) OR \(asText))"
        case .oneOf(let values):
            value = Self.balanced(
                values.map { each in
                    guard case .either(let given, let text) = each else {
                        return numbered("text", .compare(.equal, each))
                    }
                    return "(number = \(add(given)) OR \(numbered("text", .compare(.equal, .text(text)))))"
                }[...], "OR")
        default: value = numbered("text", test)
        }
        let run = subject == .runs ? "r.id" : "a.run"
        let condition = "\(run) IN (SELECT run FROM parameter WHERE name IN (\(names)) AND \(value))"
        return test == .unknown ? Self.not(condition) : condition
    }
}

/// Paths of artifacts: a directory of the tree, and a name in it.
enum CatalogPath {
    static func parts(of path: String) -> (directory: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("", path) }
        return (String(path[..<slash]), String(path[path.utf8.index(after: slash)...]))
    }
}

/// Whole statements.
extension QuerySQL {
    /// How rows come in their order.
    enum Plan {
        /// The newest are looked at first, until there are enough: where many are found, and few are wanted.
        case walk
        /// All that are found are sorted.
        case sort
    }

    mutating func statement(
        _ query: Query, _ columns: [Field], _ order: [(field: Field, isDescending: Bool)], _ limit: Int?, _ plan: Plan
    ) -> String {
        let isWalk = plan == .walk && subject == .artifacts
        let index = (order.first?.field.name ?? .sealed).rawValue
        let from = subject == .artifacts ? isWalk ? "artifact a INDEXED BY artifact_\(index)" : "artifact a" : "run r"
        let values = columns.map { value($0) }.joined(separator: ", ")
        let condition = condition(query)
        // What is not known comes last.
        var keys = order.map { "\(value($0.field)) \($0.isDescending ? "DESC" : "ASC") NULLS LAST" }
        if subject == .runs {
            keys.append("r.begun DESC, r.id DESC")
        } else {
            // With a sign it is no column of an index, which SQLite would walk through, however few are found.
            keys.append("\(isWalk || query.isAll && order.isEmpty ? "" : "+")a.sealed DESC, a.id DESC")
        }
        let text = "SELECT \(values) FROM \(from) WHERE \(condition) ORDER BY \(keys.joined(separator: ", "))"
        return limit.map { "\(text) LIMIT \($0)" } ?? text
    }

    /// A metric of a run: its last value, and its steps.
    mutating func series(of name: String, run: String) -> String {
        let names = names(name)
        let (hash, text) = (add(CatalogTables.hash(run)), add(run))
        return """
            SELECT m.last, m.steps FROM run r JOIN metric m ON m.session = r.session OR m.run = r.id \
            WHERE r.id = (SELECT id FROM text WHERE hash = \(hash) AND value = \(text)) AND m.name IN (\(names)) \
            ORDER BY m.steps IS NULL LIMIT 1
            """
    }

    /// Artifacts by the values of a field.
    mutating func groups(_ query: Query, _ field: Field) -> String {
        // Numbers of texts are grouped, and looked up once for each group.
        let key = isNumbered(field) && ![.input, .param].contains(field.name) ? column(field) : value(field)
        let shown =
            isNumbered(field) && ![.input, .param].contains(field.name)
            ? "(SELECT value FROM text WHERE id = key)" : "key"
        return """
            SELECT \(shown), artifacts, bytes FROM (SELECT \(key) AS key, count(*) AS artifacts, ifnull(sum(a.size), 0) AS bytes \
            FROM artifact a WHERE \(condition(query)) GROUP BY 1) ORDER BY bytes DESC, artifacts DESC, 1
            """
    }

    mutating func count(_ query: Query) -> String {
        "SELECT count(*) FROM \(subject == .artifacts ? "artifact a" : "run r") WHERE \(condition(query))"
    }

    /// Whether artifacts can be walked through in an order.
    static func hasIndex(_ order: [(field: Field, isDescending: Bool)]) -> Bool {
        guard let first = order.first else { return true }
        return [.sealed, .size].contains(first.field.name) && first.isDescending
    }

    /// How many there are, up to a number.
    mutating func count(_ query: Query, upTo most: Int) -> String {
        "SELECT count(*) FROM (SELECT 1 FROM artifact a WHERE \(condition(query)) LIMIT \(most))"
    }
}

extension Query {
    /// Whether nearly everything is found: all, or what is sealed.
    fileprivate var isAll: Bool {
        switch self {
        case .all: true
        case .field(let field, .compare(.equal, _)): field.name == .state
        default: false
        }
    }
}
