import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

/// Refused operations outlive the mount, in the ledger.
@Suite struct DenialTests {
    private func denial(_ rule: Rule = .productionImmutable, path: String = "production/base/a.tsv") -> Denial {
        Denial(
            refusal: Refusal(.fileExists, rule), operation: "open-truncating", path: path, user: 1000, process: 4711,
            program: "python3", detail: "line 2")
    }

    @Test func aDenialIsALine() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        #expect(store.record(denial()))
        #expect(try place.events("denied").isEmpty, "nobody waits for it")
        store.settle()
        let line = try #require(try place.events("denied").first)
        #expect(line["rule"]?.string == "production-immutable" && line["errno"]?.string == "EEXIST")
        #expect(line["path"]?.string == "production/base/a.tsv" && line["detail"]?.string == "line 2")
        #expect(line["uid"] == .integer(1000) && line["pid"] == .integer(4711))
        #expect(try !place.open(readOnly: true).record(denial()))
        store.record(denial(path: String(repeating: "é", count: 100_000)))
        store.close()
        #expect(try place.events("denied").last?["path"]?.string?.utf8.count ?? 0 < 1100)
        try place.verifyLedger()
    }

    /// A program that tries for ever fills no disk, and every try counts.
    @Test func manyAreCounted() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        runThreads(8) { thread in
            for _ in 0..<500 { store.record(denial(thread % 2 == 0 ? .noLinks : .invalidName)) }
        }
        store.close()
        let lines = try place.events("denied").count
        #expect(lines >= 100 && lines < 300, "\(lines)")
        var counts: [String: Int64] = [:]
        for event in try place.events("denials-counted") {
            for rule in ["no-links", "invalid-name"] {
                counts[rule, default: 0] += event["by_rule"]?[rule]?.integer ?? 0
            }
        }
        for event in try place.events("denied") { counts[event["rule"]?.string ?? "", default: 0] += 1 }
        #expect(counts == ["no-links": 2000, "invalid-name": 2000])
    }

    @Test func afterASecondThereIsOneMore() {
        var budget = DenialBudget()
        let start: UInt64 = 5_000_000_000
        let kind = denial(.noLinks).kind
        let spent = (0..<150).filter { _ in budget.spend(kind, now: start, hasRoom: true) }.count
        #expect(spent == 100 && budget.counts == [.noLinks: 50])
        func spends(_ now: UInt64, hasRoom: Bool = true) -> Bool {
            budget.spend(kind, now: now, hasRoom: hasRoom)
        }
        #expect(!spends(start + DenialBudget.interval - 1))
        #expect(spends(start + DenialBudget.interval))
        #expect(!spends(start + DenialBudget.interval))
        #expect(!spends(0), "a clock that goes back")
        #expect(spends(.max))
        #expect(!spends(.max, hasRoom: false))
        let entries = [budget.takeCounts(mount: "m"), budget.takeCounts(mount: "m")]
        #expect(entries[0] != nil && entries[1] == nil)
    }

    /// Whoever is refused for the first time has a line, however much is refused to others.
    @Test func theFirstOfEachKind() {
        var budget = DenialBudget()
        func spends(_ user: UInt32, _ path: String, _ rule: Rule = .noLinks, hasRoom: Bool = true) -> Bool {
            var denial = denial(rule, path: path)
            denial.user = user
            return budget.spend(denial.kind, now: 0, hasRoom: hasRoom)
        }
        while spends(1, "production/base/x") {}
        #expect(!spends(2, "production/base/x", hasRoom: false))
        #expect(spends(2, "production/base/x") && !spends(2, "production/base/y"))
        #expect(spends(2, "production/meta/y") && spends(2, "production/meta/z", .invalidName))
        #expect(spends(2, "z") && !spends(2, "y"))
        let many = (0..<5000).filter { spends(3, "test/t/scratch/\($0)/x") }.count
        #expect(many > 900 && many < 1000, "who asks in many places fills no disk")
    }

    /// While nothing can be written the lines wait, and more than that is counted.
    @Test func withoutRoom() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        Faults.with({ call, _ in call == .write ? .fails(.noSpace) : nil }) {
            for _ in 0..<50 {
                store.record(denial())
                store.settle()
            }
        }
        #expect(try place.events("denied").isEmpty)
        store.close()
        #expect(try place.events("denied").count == 50)
        try place.verifyLedger()
    }
}
