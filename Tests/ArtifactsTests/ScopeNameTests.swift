import Artifacts
import TestSupport
import Testing

@Suite struct ScopeNameTests {
    @Test(arguments: [
        "20260215_143022", "20240229_000000", "20000229_235959", "00010101_000000", "99991231_235959",
        "19700101_000000",
    ])
    func sessions(name: String) { #expect(SessionName(name)?.description == name) }

    @Test(arguments: [
        "", "2026021_143022", "20260215-143022", "20260215_1430220", "20260215_14302", "20250229_000000",
        "19000229_000000", "21000229_000000", "20260230_000000", "20260431_000000", "20260015_000000",
        "20261315_000000", "20260200_000000", "20260132_000000", "20260215_240000", "20260215_146000",
        "20260215_143060", "00000101_000000", "2026021a_143022", "+0260215_143022", "20260215_14 022",
        "２0260215_1430", "20260215_143022\n", "current", "20260215_143022/",
    ])
    func notSessions(name: String) { #expect(SessionName(name) == nil) }

    @Test func startsOfSessions() {
        let known: [(Int64, String)] = [
            (0, "19700101_000000"), (1, "19700101_000001"), (86_399, "19700101_235959"), (86_400, "19700102_000000"),
            (951_782_399, "20000228_235959"), (951_782_400, "20000229_000000"), (951_868_800, "20000301_000000"),
            (1_000_000_000, "20010909_014640"), (1_709_164_800, "20240229_000000"), (1_771_165_822, "20260215_143022"),
            (2_147_483_648, "20380119_031408"), (4_107_542_400, "21000301_000000"),
            (253_402_300_799, "99991231_235959"),
        ]
        for (seconds, name) in known { #expect(SessionName(secondsSince1970: seconds)?.description == name) }
        for seconds in [-1, 253_402_300_800, Int64.min, Int64.max] {
            #expect(SessionName(secondsSince1970: seconds) == nil)
        }
    }

    @Test func laterSessionsSortLaterAndReadBack() throws {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        let times = Set((0..<2000).map { _ in Int64.random(in: 0..<253_402_300_800, using: &generator) }).sorted()
        var previous: SessionName?
        for time in times {
            let name = try #require(SessionName(secondsSince1970: time), "seed \(seed): \(time)")
            #expect(SessionName(name.description) == name, "seed \(seed): \(time)")
            if let previous { #expect(previous < name, "seed \(seed): \(time)") }
            previous = name
        }
        // Each second of a leap day and its neighbours is the next name.
        var last = SessionName(secondsSince1970: 951_700_000)
        for time in Int64(951_700_001)...951_900_000 {
            let name = SessionName(secondsSince1970: time)
            guard let before = last, let name, before < name else {
                Issue.record("\(time) does not come after the second before it")
                return
            }
            last = name
        }
    }

    @Test func tests() {
        for name in ["test_prediction", "a", "9", "a.b-c_d", String(repeating: "a", count: 200)] {
            #expect(TestName(name)?.description == name)
        }
        for name in ["", ".", "..", ".a", "-a", "_a", "a b", "a/b", "é", "a\n", String(repeating: "a", count: 201)] {
            #expect(TestName(name) == nil, "\(name)")
        }
        let sorted = ["b", "a", "B"].compactMap { TestName($0) }.sorted()
        #expect(sorted.map(\.description) == ["B", "a", "b"])
    }

    @Test func scopesHaveModes() throws {
        #expect(Scope.production.mode == .production)
        #expect(Scope.session(try #require(SessionName("20260215_143022"))).mode == .development)
        #expect(Scope.test(try #require(TestName("t"))).mode == .test)
    }
}
