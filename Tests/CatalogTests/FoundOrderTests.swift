import ArtifactRecords
import Glibc
import Queries
import TestSupport
import Testing

@testable import Catalog

/// What several catalogs find is put together in the order in which one would find it.
@Suite struct FoundOrderTests {
    private static let texts = ["a", "B", "ab", "é", "zz", "chr10", "chr2", "\u{10FFFF}", "\u{E000}"]

    private static func record(_ number: Int, _ random: inout SplitMix64) -> ArtifactRecord {
        func maybe<Value>(_ random: inout SplitMix64, _ value: (inout SplitMix64) -> Value?) -> Value? {
            Int.random(in: 0..<4, using: &random) == 0 ? nil : value(&random)
        }
        var record = SmallStore.record("production/base/\(number)")
        record.artifact.type = maybe(&random) { texts.randomElement(using: &$0) }
        record.artifact.key = maybe(&random) { texts.randomElement(using: &$0) }
        record.artifact.size = maybe(&random) {
            [0, 1, 2, 1 << 53, (1 << 53) + 1, 1 << 54].randomElement(using: &$0)
        }
        record.times.sealed = maybe(&random) { timespec(tv_sec: Int.random(in: 0..<3, using: &$0), tv_nsec: 0) }
        return record
    }

    /// SQLite's own order of many rows is one that the comparison has nothing against.
    @Test(arguments: 0..<24) func isSQLitesOrder(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        let store = try SmallStore()
        for number in 0..<60 {
            let record = Self.record(number, &random)
            try store.append([.sealed(SmallStore.sealing(record, staged: "a-\(number)"), isRecovered: false)])
        }
        let names: [FieldName] = [.type, .key, .size]
        let order = (0..<Int.random(in: 1...2, using: &random)).map { _ in
            (field: Field(names.randomElement(using: &random) ?? .type), isDescending: Bool.random(using: &random))
        }
        let found = FoundOrder(order)
        #expect(found.fields.count == order.count + 1)
        var rows: [[CatalogValue]] = []
        let catalog = try store.open()
        try catalog.find(try Query("", of: .artifacts, .utc(now: 0)), .artifacts, columns: found.fields, order: order) {
            rows.append($0)
            return true
        }
        #expect(rows.count == 60)
        for (place, row) in rows.enumerated() {
            #expect(!found.isBefore(row, row))
            for later in rows[place...] { #expect(!found.isBefore(later, row), "\(order): \(row) and \(later)") }
        }
        // Sorted by it from any order, they are the same rows in the same places.
        let sorted = rows.shuffled(using: &random).sorted { found.isBefore($0, $1) }
        #expect(sorted == rows, "\(order)")
    }

    /// Whatever is compared: of two at most one is before the other, and what is before a second that is before a third is before that.
    @Test(arguments: [false, true]) func isAnOrder(isDescending: Bool) {
        let values: [CatalogValue] = [
            .unknown, .text(""), .text("a"), .text("b"), .integer(.min), .integer(1), .integer(.max), .number(1),
            .number(1.5), .number(-.infinity), .flag(true), .flag(false), .time(1), .time(2),
        ]
        let order = FoundOrder([(field: Field(.size), isDescending: isDescending)])
        func isBefore(_ one: CatalogValue, _ other: CatalogValue) -> Bool {
            order.isBefore([one, .time(0)], [other, .time(0)])
        }
        for one in values {
            #expect(!isBefore(one, one))
            // What is not known comes last, whichever way it goes.
            #expect(!isBefore(.unknown, one) && isBefore(one, .unknown) == (one != .unknown))
            for other in values {
                #expect(!(isBefore(one, other) && isBefore(other, one)), "\(one), \(other)")
                for third in values where isBefore(one, other) && isBefore(other, third) {
                    #expect(isBefore(one, third), "\(one), \(other), \(third)")
                }
            }
        }
        #expect(isBefore(.integer(1), .text("")) != isDescending, "numbers before texts")
        // Equal in all that is asked for: what was sealed last comes first.
        #expect(order.isBefore([.integer(1), .time(2)], [.integer(1), .time(1)]))
        #expect(!order.isBefore([.integer(1), .time(1)], [.integer(1), .time(2)]))
    }
}
