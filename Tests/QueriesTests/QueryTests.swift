import Testing
import TestSupport

@testable import Queries

/// The grammar of queries (`artifactfs find --help`).
@Suite struct QueryTests {
    /// Saturday, 14 November 2026, 12:30:15 UTC.
    static let calendar = QueryCalendar.utc(now: 1_794_659_415)

    private func query(_ text: String, _ subject: QuerySubject = .artifacts) throws -> Query {
        try Query(text, of: subject, Self.calendar)
    }

    private static func text(_ field: FieldName, _ value: String) -> Query {
        .field(Field(field), .compare(.equal, .text(value)))
    }

    @Test func nothingIsEverything() throws {
        #expect(try query("") == .all && query("  \t") == .all)
    }

    /// `or` binds least, then `and`, then `not`; `and` may be left out.
    @Test func wordsBind() throws {
        let (a, b, c) = (Self.text(.type, "a"), Self.text(.user, "b"), Self.text(.key, "c"))
        #expect(try query("type = a and user=b or key=c") == .or([.and([a, b]), c]))
        #expect(try query("type=a user=b or key = c") == .or([.and([a, b]), c]))
        #expect(try query("type = a AND (user = b OR key = c)") == .and([a, .or([b, c])]))
        #expect(try query("not type=a user=b") == .and([.not(a), b]))
        #expect(try query("not not type=a") == a)
        #expect(try query("not (type=a or user=b)") == .not(.or([a, b])))
        #expect(try query("((type=a))") == a)
    }

    @Test func comparisons() throws {
        for (text, comparison) in [
            ("=", Query.Comparison.equal), ("==", .equal), ("!=", .notEqual), ("<", .less), ("<=", .notMore),
            (">", .more), (">=", .notLess),
        ] {
            #expect(try query("rows\(text)5") == .field(Field(.rows), .compare(comparison, .number(5))))
            #expect(try query("rows \(text) -5e2") == .field(Field(.rows), .compare(comparison, .number(-500))))
        }
        #expect(
            try query("type in (a, 'b c',d)") == .field(Field(.type), .oneOf([.text("a"), .text("b c"), .text("d")])))
        #expect(try query("key like chr*") == .field(Field(.key), .like("chr*")))
        #expect(try query(#"command ~ "train\\.py +(a|b)""#) == .field(Field(.command), .matches(#"train\.py +(a|b)"#)))
        #expect(try query("commit = ABCD12") == .field(Field(.commit), .compare(.equal, .hash("abcd12"))))
        #expect(try query("dirty = yes") == .field(Field(.dirty), .compare(.equal, .flag(true))))
        for (text, test) in [("is known", Query.Test.known), ("is unknown", .unknown), ("is not known", .unknown)] {
            #expect(try query("note \(text)") == .field(Field(.note), test))
        }
    }

    @Test func membersHaveNames() throws {
        #expect(
            try query("metric.val_accuracy > 0.9")
                == .field(Field(.metric, "val_accuracy"), .compare(.more, .number(0.9))))
        #expect(
            try query(#"param."learning rate" = 1e-3"#)
                == .field(Field(.param, "learning rate"), .compare(.equal, .either(0.001, "1e-3"))))
        #expect(try query("param.model = cnn") == .field(Field(.param, "model"), .compare(.equal, .text("cnn"))))
        #expect(try query("metric.train.loss < 1") == .field(Field(.metric, "train.loss"), .compare(.less, .number(1))))
        #expect(
            Field(.metric, "val accuracy").text == #"metric."val accuracy""# && Field(.param, "lr").text == "param.lr")
        for field in [Field(.metric, "val accuracy"), Field(.param, #"a"b\c"#), Field(.size)] {
            #expect(try query(field.text + " > 1").fields == [field])
        }
    }

    @Test func columns() throws {
        let list = try Field.list(#"run, -param.lr,min loss,max "val, acc",metric."a b",metric.a.b.c"#, of: .runs)
        #expect(
            list.map(\.field) == [
                Field(.run), Field(.param, "lr"), Field(.metric, "loss", .min), Field(.metric, "val, acc", .max),
                Field(.metric, "a b"), Field(.metric, "a.b.c"),
            ])
        #expect(list.map(\.isTurned) == [false, true, false, false, false, false])
        #expect(list.map(\.field.text).last == "metric.a.b.c" && list[4].field.text == #"metric."a b""#)
        for text in ["run(", "siz", "metric", "min"] {
            #expect(throws: QueryError.self) { try Field.list(text, of: .runs) }
        }
    }

    @Test func wordsAloneAreLookedFor() throws {
        #expect(try query("train.py") == .says("train.py"))
        #expect(try query(#"good "best model""#) == .and([.says("good"), .says("best model")]))
        #expect(
            try query("type not in (a, b)")
                == .and([.field(Field(.type), .known), .not(.field(Field(.type), .oneOf([.text("a"), .text("b")])))]))
        #expect(
            try query("not key not like x*")
                == .not(.and([.field(Field(.key), .known), .not(.field(Field(.key), .like("x*")))])))
        #expect(try query("type model") == .and([.says("type"), .says("model")]))
    }

    @Test(
        arguments: [
            ("200", 200), ("10kB", 10_000), ("1.5GB", 1_500_000_000), ("2GiB", 2_147_483_648), ("3 MB", 3_000_000),
            ("1 KiB", 1024), ("7b", 7), ("2T", 2e12),
        ] as [(String, Double)])
    func sizes(_ text: String, _ bytes: Double) throws {
        #expect(try query("size > \(text)") == .field(Field(.size), .compare(.more, .number(bytes))))
    }

    /// What a wrong query says: where, and what was expected.
    @Test(
        arguments: [
            ("typ = a", 0, "did you mean type?"), ("size > big", 7, "a size was expected"),
            ("type =", 6, "a value was expected"), ("type = a or", 11, "a test was expected"),
            ("(type = a", 9, "a ) was expected"), ("type = a)", 8, "has no ("), ("type = a, user = b", 8, "a comma"),
            ("= a", 0, "a field's name"), ("type = \"a", 7, "no other one"),
            ("sealed since never", 13, "a date was expected"),
            ("on 2026-02-30", 3, "a date was expected"), ("size ~ 3", 5, "is no text"),
            ("metric > 1", 0, "metric.NAME"),
            ("size.x > 1", 0, "has no parts"), ("rows = many", 7, "is a number"), ("commit = xyz", 9, "hexadecimal"),
            ("commit < abcd", 7, "= and != only"), ("type in a", 8, "a ( was expected"),
            ("type in (a b)", 11, "a comma or a )"),
            ("dirty = perhaps", 8, "yes or no"), ("type ! a", 5, "compares nothing"),
            ("\"type\" = a", 7, "without quotes"),
            ("type since today", 5, "goes with a time"), ("note is lost", 8, "'known' or 'unknown'"),
            ("seconds > 1", 0, "is no field of artifacts"),
            ("and type = a", 0, "a test was expected"), ("type = a && user = b", 9, "the word 'and'"),
            ("type = a || user = b", 9, "the word 'or'"), ("type = a or or user = b", 12, "a test was expected"),
        ] as [(String, Int, String)])
    func whatIsWrongIsSaid(_ text: String, _ place: Int, _ part: String) throws {
        do throws(QueryError) {
            _ = try Query(text, of: .artifacts, Self.calendar)
            Issue.record("\(text) is accepted")
        } catch {
            #expect(error.place == place && error.problem.contains(part), "\(text): \(error)")
        }
    }

    @Test func brackets() {
        let deep = String(repeating: "(", count: 5000) + "type = a" + String(repeating: ")", count: 5000)
        #expect(throws: QueryError.self) { try Query(deep, of: .artifacts, Self.calendar) }
        let long = Array(repeating: "type = a", count: 5000).joined(separator: " or ")
        #expect(throws: QueryError.self) { try Query(long, of: .artifacts, Self.calendar) }
    }

    /// Whatever stands there, it is understood or refused at a place that is in it.
    @Test func anyTokens() {
        var random = SplitMix64(seed: 17)
        let words = [
            "type", "size", "sealed", "and", "or", "not", "(", ")", ",", "=", "!=", "<", "~", "in", "like", "is",
            "known",
            "since", "on", "today", "1GB", "\"x\"", "'", "\"", "metric.", "metric.a", "param.\"", "\\", "é", "\u{0}",
            "9e999",
            "-", "99999999999999999999", "2026-13-01", "last", "month", "@", "commit", "abcdef", "!", "\n",
        ]
        for _ in 0..<20_000 {
            let count = Int.random(in: 0..<9, using: &random)
            let text = (0..<count).map { _ in words.randomElement(using: &random) ?? "" }.joined(
                separator: Bool.random(using: &random) ? " " : "")
            for subject in QuerySubject.allCases {
                do throws(QueryError) { _ = try Query(text, of: subject, Self.calendar) } catch {
                    #expect(error.place >= 0 && error.place <= text.unicodeScalars.count && error.length > 0, "\(text)")
                }
            }
        }
    }
}

/// What dates mean.
@Suite struct DateTests {
    private func range(_ text: String) throws -> Range<Int64>? { DateText.parse(text, QueryTests.calendar) }

    private func seconds(_ year: Int, _ month: Int, _ day: Int, _ hour: Int = 0, _ minute: Int = 0) -> Int64 {
        QueryTests.calendar.seconds(CivilTime(year, month, day, hour, minute))
    }

    private func days(_ from: (Int, Int, Int), _ to: (Int, Int, Int)) -> Range<Int64> {
        (seconds(from.0, from.1, from.2) * 1_000_000_000)..<(seconds(to.0, to.1, to.2) * 1_000_000_000)
    }

    @Test func theCalendar() {
        #expect(seconds(1970, 1, 1) == 0 && seconds(2026, 11, 14, 12, 30) == 1_794_659_400)
        #expect(
            seconds(2000, 3, 1) - seconds(2000, 2, 28) == 2 * 86_400
                && seconds(1900, 3, 1) - seconds(1900, 2, 28) == 86_400)
        #expect(seconds(2026, 13, 1) == seconds(2027, 1, 1) && seconds(2026, 0, 1) == seconds(2025, 12, 1))
        var random = SplitMix64(seed: 3)
        for _ in 0..<10_000 {
            let time = Int64.random(in: -62_000_000_000..<253_000_000_000, using: &random)
            #expect(QueryTests.calendar.seconds(QueryTests.calendar.civil(time)) == time)
        }
    }

    @Test func relativeDates() throws {
        let expected: [(String, Range<Int64>)] = [
            ("today", days((2026, 11, 14), (2026, 11, 15))), ("yesterday", days((2026, 11, 13), (2026, 11, 14))),
            ("this month", days((2026, 11, 1), (2026, 12, 1))), ("last month", days((2026, 10, 1), (2026, 11, 1))),
            ("last year", days((2025, 1, 1), (2026, 1, 1))), ("this week", days((2026, 11, 9), (2026, 11, 16))),
            ("last week", days((2026, 11, 2), (2026, 11, 9))), ("monday", days((2026, 11, 9), (2026, 11, 10))),
            ("saturday", days((2026, 11, 14), (2026, 11, 15))), ("last saturday", days((2026, 11, 7), (2026, 11, 8))),
            ("3 days ago", days((2026, 11, 11), (2026, 11, 12))), ("2 weeks ago", days((2026, 10, 31), (2026, 11, 1))),
            ("9 months ago", days((2026, 2, 14), (2026, 2, 15))), ("1 year ago", days((2025, 11, 14), (2025, 11, 15))),
            ("Last  Month", days((2026, 10, 1), (2026, 11, 1))),
        ]
        for (text, range) in expected { #expect(try self.range(text) == range, "\(text)") }
        #expect(try range("3 hours ago")?.lowerBound == (1_794_659_415 - 3 * 3600) * 1_000_000_000)
    }

    @Test func writtenDates() throws {
        #expect(try range("2026") == days((2026, 1, 1), (2027, 1, 1)))
        #expect(try range("2026-10") == days((2026, 10, 1), (2026, 11, 1)))
        #expect(try range("2026-12-31") == days((2026, 12, 31), (2027, 1, 1)))
        let minute = seconds(2026, 10, 1, 14, 30) * 1_000_000_000
        #expect(try range("2026-10-01 14:30") == minute..<(minute + 60_000_000_000))
        #expect(try range("2026-10-01T14:30:00Z") == minute..<(minute + 1_000_000_000))
        #expect(try range("2026-10-01T16:30+02:00")?.lowerBound == minute)
        #expect(try range("2026-10-01T09:00-0530")?.lowerBound == minute)
        #expect(try range("2026-10-01T14:30:00.25Z") == (minute + 250_000_000)..<(minute + 260_000_000))
        #expect(try range("2026-10-01T14:30:00.123456789Z")?.lowerBound == minute + 123_456_789)
        for text in [
            "", "0000", "2026-1", "2026-00", "2026-02-29", "2026-10-01T25:00", "2026-10-01T14", "2026-10-01 14:30 x",
            "next month", "-1 days ago", "9999999 days ago", "last blue moon", "2026-10-01T14:30:00.Z", "today today",
        ] { #expect(try range(text) == nil, "\(text)") }
    }
}
