import ArtifactFormats
import ArtifactRecords
import Artifacts
import Glibc
import Queries
import TestSupport
import Testing

@testable import Catalog

/// What SQLite answers is what the query means, over random records and random queries.
@Suite struct QueryAnswerTests {
    private static let texts = ["a", "b", "A", "chr1", "chr10", "x_y", "x%y", "é", "", "O'Brien", "a\"b"]
    private static let hashes = ["abcd", "abcdef12", "abce0000ff", "0123456789abcdef"]

    private static func record(_ number: Int, _ random: inout SplitMix64) -> ArtifactRecord {
        func maybe<Value>(_ random: inout SplitMix64, _ value: (inout SplitMix64) -> Value) -> Value? {
            Int.random(in: 0..<4, using: &random) == 0 ? nil : value(&random)
        }
        func text(_ random: inout SplitMix64) -> String? {
            let chosen = texts.randomElement(using: &random) ?? ""
            return Int.random(in: 0..<4, using: &random) == 0 || chosen.isEmpty ? nil : chosen
        }
        var record = SmallStore.record("production/\(number % 3)/\(number)")
        record.artifact.type = text(&random)
        record.artifact.key = text(&random)
        record.artifact.size = maybe(&random) { Int64.random(in: 0..<5, using: &$0) }
        record.artifact.content.rows = maybe(&random) { Int64.random(in: 0..<5, using: &$0) }
        record.times.sealed = maybe(&random) { timespec(tv_sec: Int.random(in: 0..<5, using: &$0), tv_nsec: 0) }
        record.artifact.sha256 = maybe(&random) { hashes.randomElement(using: &$0) ?? "" }
        if let note = text(&random) { record.attributes["user.artifact.note"] = .string(note) }
        if let user = text(&random) {
            record.writer = .init()
            record.writer?.user = user
        }
        if Bool.random(using: &random) {
            var input = ArtifactRecord.Input()
            input.path = texts.randomElement(using: &random).flatMap { $0.isEmpty ? "p" : $0 }
            input.version = maybe(&random) { Int64.random(in: 1..<3, using: &$0) }
            record.inputs = [input]
        }
        return record
    }

    private static func query(_ depth: Int, _ random: inout SplitMix64) -> Query {
        if depth > 0, Bool.random(using: &random) {
            let count = Int.random(in: 2..<4, using: &random)
            let parts = (0..<count).map { _ in query(depth - 1, &random) }
            switch Int.random(in: 0..<3, using: &random) {
            case 0: return .and(parts)
            case 1: return .or(parts)
            default: return .not(parts[0])
            }
        }
        let names: [FieldName] = [.type, .key, .size, .rows, .sealed, .sha256, .note, .user, .input, .name, .path]
        let field = Field(names.randomElement(using: &random) ?? .type)
        if Int.random(in: 0..<8, using: &random) == 0 { return .says(texts.randomElement(using: &random) ?? "a") }
        if Int.random(in: 0..<6, using: &random) == 0 {
            return .field(field, Bool.random(using: &random) ? .known : .unknown)
        }
        func value(_ random: inout SplitMix64) -> Query.Value {
            switch field.kind {
            case .number, .size: return .number(Double(Int.random(in: 0..<5, using: &random)))
            case .time:
                let begin = Int64.random(in: 0..<5, using: &random) * 1_000_000_000
                return .time(begin..<(begin + Int64.random(in: 1..<3, using: &random) * 1_000_000_000))
            case .hash:
                return .hash(
                    String((hashes.randomElement(using: &random) ?? "").prefix(Int.random(in: 4..<8, using: &random))))
            default:
                if field.name == .path { return .text("production/1/\(Int.random(in: 0..<60, using: &random))") }
                let text = texts.randomElement(using: &random) ?? ""
                return .text(field.name == .input && Bool.random(using: &random) ? text + "@1" : text)
            }
        }
        let isOrdered = ![.hash, .flag].contains(field.kind) && field.name != .input
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return .field(field, .oneOf([value(&random), value(&random)]))
        case 1 where field.kind == .text:
            return .field(field, .like(["*a*", "chr?", "x_y", "%", "CHR*"].randomElement(using: &random) ?? ""))
        case 2 where field.kind == .text:
            return .field(field, .matches(["^chr", "[0-9]+$", "a|b", "."].randomElement(using: &random) ?? ""))
        default:
            let all: [Query.Comparison] = isOrdered ? Query.Comparison.allCases : [.equal, .notEqual]
            return .field(field, .compare(all.randomElement(using: &random) ?? .equal, value(&random)))
        }
    }

    @Test func answersAreWhatIsMeant() throws {
        var random = SplitMix64(seed: Seed.fromEnvironment())
        let records = (0..<60).map { Self.record($0, &random) }
        let catalog = try Catalog.of(records)
        for _ in 0..<1500 {
            let query = Self.query(3, &random)
            let expected = records.filter { Meaning.holds(query, $0) }.compactMap(\.artifact.path).sorted()
            let found = try catalog.values(query, [Field(.path)]).map { $0[0].text }.sorted()
            #expect(found == expected, "\(query)")
            #expect(try catalog.count(query, .artifacts) == expected.count)
        }
    }
}

/// What a query means, said once more and simply.
private enum Meaning {
    static func holds(_ query: Query, _ record: ArtifactRecord) -> Bool {
        switch query {
        case .all: true
        case .and(let all): all.allSatisfy { holds($0, record) }
        case .or(let all): all.contains { holds($0, record) }
        case .not(let inner): !holds(inner, record)
        case .says(let text):
            text.isEmpty ? note(record) != nil : (note(record)?.lowercased().contains(text.lowercased()) ?? false)
        case .field(let field, let test): holds(field, test, record)
        }
    }

    private static func note(_ record: ArtifactRecord) -> String? { record.attributes["user.artifact.note"]?.string }

    private static func text(_ field: Field, _ record: ArtifactRecord) -> String? {
        switch field.name {
        case .type: record.artifact.type
        case .key: record.artifact.key
        case .note: note(record)
        case .user: record.writer?.user
        case .path: record.artifact.path
        case .name: record.artifact.path.map { String($0.split(separator: "/").last ?? "") }
        case .sha256: record.artifact.sha256
        default: nil
        }
    }

    private static func holds(_ field: Field, _ test: Query.Test, _ record: ArtifactRecord) -> Bool {
        switch field.name {
        case .size: return number(record.artifact.size.map(Double.init), test)
        case .rows: return number(record.artifact.content.rows.map(Double.init), test)
        case .sealed:
            guard let time = record.times.sealed.map({ Int64($0.tv_sec) * 1_000_000_000 }) else {
                return test == .unknown
            }
            switch test {
            case .known: return true
            case .compare(let comparison, .time(let range)):
                switch comparison {
                case .equal: return range.contains(time)
                case .notEqual: return !range.contains(time)
                case .less: return time < range.lowerBound
                case .notMore: return time < range.upperBound
                case .more: return time >= range.upperBound
                case .notLess: return time >= range.lowerBound
                }
            case .oneOf(let values):
                return values.contains { if case .time(let range) = $0 { range.contains(time) } else { false } }
            default: return false
            }
        case .input:
            guard let input = record.inputs.first, let path = input.path else { return test == .unknown }
            func isIt(_ text: String) -> Bool {
                path == text || text.hasSuffix("@1") && path == text.dropLast(2) && input.version == 1
            }
            switch test {
            case .known: return true
            case .compare(.equal, .text(let text)): return isIt(text)
            case .compare(.notEqual, .text(let text)): return !isIt(text)
            case .oneOf(let values):
                return values.contains { if case .text(let text) = $0 { isIt(text) } else { false } }
            default: return self.text(path, test)
            }
        default: return text(text(field, record), test)
        }
    }

    private static func number(_ number: Double?, _ test: Query.Test) -> Bool {
        guard let number else { return test == .unknown }
        switch test {
        case .known: return true
        case .compare(let comparison, .number(let value)): return compare(number, comparison, value)
        case .oneOf(let values): return values.contains(.number(number))
        default: return false
        }
    }

    private static func text(_ text: String?, _ test: Query.Test) -> Bool {
        guard let text else { return test == .unknown }
        switch test {
        case .known: return true
        case .compare(.equal, .hash(let digits)): return text.hasPrefix(digits)
        case .compare(.notEqual, .hash(let digits)): return !text.hasPrefix(digits)
        case .compare(let comparison, .text(let value)): return compare(Array(text.utf8), comparison, Array(value.utf8))
        case .oneOf(let values):
            return values.contains {
                switch $0 {
                case .text(let value): value == text
                case .hash(let digits): text.hasPrefix(digits)
                default: false
                }
            }
        case .like(let pattern): return like(Array(pattern.lowercased())[...], Array(text.lowercased())[...])
        case .matches(let pattern):
            switch pattern {
            case "^chr": return text.hasPrefix("chr")
            case "[0-9]+$": return text.last?.isASCII == true && text.last?.isNumber == true
            case "a|b": return text.contains { $0 == "a" || $0 == "b" }
            default: return !text.isEmpty
            }
        default: return false
        }
    }

    private static func like(_ pattern: ArraySlice<Character>, _ text: ArraySlice<Character>) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        if first == "*" || first == "%" {
            return like(pattern.dropFirst(), text) || !text.isEmpty && like(pattern, text.dropFirst())
        }
        guard let next = text.first, first == "?" || first == next else { return false }
        return like(pattern.dropFirst(), text.dropFirst())
    }

    private static func compare(_ one: Double, _ comparison: Query.Comparison, _ other: Double) -> Bool {
        switch comparison {
        case .equal: one == other
        case .notEqual: one != other
        case .less: one < other
        case .notMore: one <= other
        case .more: one > other
        case .notLess: one >= other
        }
    }

    private static func compare(_ one: [UInt8], _ comparison: Query.Comparison, _ other: [UInt8]) -> Bool {
        switch comparison {
        case .equal: one == other
        case .notEqual: one != other
        case .less: one.lexicographicallyPrecedes(other)
        case .notMore: !other.lexicographicallyPrecedes(one)
        case .more: other.lexicographicallyPrecedes(one)
        case .notLess: !one.lexicographicallyPrecedes(other)
        }
    }
}
