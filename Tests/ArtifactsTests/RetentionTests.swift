import Artifacts
import TestSupport
import Testing

/// Which sessions stay when room is made: what any rule keeps, what is held, and all where no rule is given.
@Suite struct RetentionTests {
    /// In seconds: 2026-03-01 12:00:00.
    private static let now: Int64 = 1_772_366_400
    private static let day: Int64 = 86_400

    private static func name(_ ago: Int64) throws -> SessionName {
        try #require(SessionName(secondsSince1970: now - ago))
    }

    private struct Facts: Hashable {
        let name: SessionName
        /// When it was changed, in seconds since 1970.
        let changed: Int64
        let hold: Retention.Hold?
    }

    /// Both steps, as the command takes them.
    private static func kept(_ rules: Retention, _ sessions: [Facts]) -> [SessionName: Retention.KeepReason] {
        var kept = rules.keptByName(sessions.map(\.name), at: now)
        for session in sessions where kept[session.name] == nil {
            if case .keep(let reason) = rules.judge(session.name, changed: session.changed, hold: session.hold, at: now)
            {
                kept[session.name] = reason
            }
        }
        return kept
    }

    private static let holds: [Retention.Hold?] = [
        nil, .live, .needed(by: "production/a", input: "development/b"), .obstacle("it is another's"),
    ]

    /// Every combination of rules, of where a session stands among three, of when it was changed and what holds it.
    @Test func everyCombination() throws {
        let begun: [Int64] = [10 * Self.day, 5 * Self.day, 0]
        for last in [nil, 1, 2, 3, 7] as [Int?] {
            for within in [nil, 1, Self.day, 6 * Self.day, 400 * Self.day] as [Int64?] {
                for hold in Self.holds {
                    for changed in [0, 2 * Self.day, 8 * Self.day] {
                        let sessions = try begun.map { ago in
                            Facts(name: try Self.name(ago), changed: Self.now - min(ago, changed), hold: hold)
                        }
                        let kept = Self.kept(Retention(last: last, within: within), sessions)
                        for (place, session) in sessions.enumerated() {
                            let isLast = last.map { place >= sessions.count - $0 } ?? false
                            let isWithin = within.map { Self.now - session.changed <= $0 } ?? false
                            let stays = isLast || isWithin || hold != nil || last == nil && within == nil
                            #expect(
                                (kept[session.name] != nil) == stays,
                                "\(last as Int?), \(within as Int64?), \(hold as Retention.Hold?), \(session)")
                        }
                    }
                }
            }
        }
    }

    @Test func withoutARuleNothingGoes() throws {
        let sessions = try (1...50).map { Facts(name: try Self.name($0 * 100 * Self.day), changed: 0, hold: nil) }
        #expect(Self.kept(Retention(), sessions).values.allSatisfy { $0 == .noRule })
        #expect(Self.kept(Retention(), sessions).count == 50)
        #expect(
            Retention().judge(try #require(SessionName("20260215_143022")), changed: 0, hold: nil, at: Self.now)
                == .keep(.noRule))
    }

    /// Those that went on at the moment of a tag stay: begun by then, and changed then or later.
    @Test func tagsKeepWhatWentOn() throws {
        let moment = Self.now - 3 * Self.day
        let sessions = try [(5, 4), (5, 3), (4, 1), (3, 3), (2, 1)].map { begun, changed in
            Facts(name: try Self.name(begun * Self.day), changed: Self.now - changed * Self.day, hold: nil)
        }
        for (place, session) in sessions.enumerated() {
            let kept = Self.kept(Retention(moments: [moment]), [session])
            #expect((kept[session.name] == .tag) == [false, true, true, true, false][place], "\(place): \(kept)")
        }
        #expect(Self.kept(Retention(moments: [.max]), sessions).isEmpty)
    }

    /// What is named goes, and nothing else; what is held stays all the same.
    @Test func namedOnesGo() throws {
        let names = try (0..<4).map { try Self.name($0 * Self.day) }
        let rules = Retention(named: [names[1], names[2]])
        let sessions = names.map { Facts(name: $0, changed: Self.now, hold: $0 == names[2] ? .live : nil) }
        #expect(
            Self.kept(rules, sessions)
                == [names[0]: .notNamed, names[2]: .held(.live), names[3]: .notNamed])
    }

    /// Of a session that is kept for its name nothing has to be looked at: looking would say the same.
    @Test func theNameSaysNothingThatLookingDoesNot() throws {
        var random = SplitMix64(seed: 7)
        for _ in 0..<2000 {
            let sessions = try Set(
                (0..<Int.random(in: 0...12, using: &random)).map { _ in
                    try Self.name(Int64.random(in: 0...40, using: &random) * Self.day)
                }
            ).map { name in
                Facts(
                    name: name, changed: Self.now - Int64.random(in: -1...40, using: &random) * Self.day,
                    hold: Self.holds.randomElement(using: &random) ?? nil)
            }
            let rules = Retention(
                last: Bool.random(using: &random) ? Int.random(in: 1...5, using: &random) : nil,
                within: Bool.random(using: &random) ? Int64.random(in: 1...30, using: &random) * Self.day : nil)
            let kept = Self.kept(rules, sessions)
            // Held ones stay.
            for session in sessions where session.hold != nil { #expect(kept[session.name] != nil) }
            // A rule more keeps no less, and a longer or larger one neither.
            for more in [
                Retention(last: (rules.last ?? 0) + 1, within: rules.within),
                Retention(last: rules.last, within: (rules.within ?? 0) + Self.day),
            ] where rules != Retention() {
                #expect(Set(kept.keys).isSubset(of: Self.kept(more, sessions).keys), "\(rules), \(more)")
            }
            // The youngest that is removed began before each of the last N.
            if let last = rules.last {
                let newest = sessions.map(\.name).sorted(by: >).prefix(last)
                #expect(newest.allSatisfy { kept[$0] != nil })
                #expect(kept.count >= min(last, sessions.count))
            }
            #expect(kept == Self.kept(rules, sessions.shuffled(using: &random)), "their order says nothing")
        }
    }

    @Test func numbersFromElsewhere() throws {
        #expect(!Retention.isOlder(.max, than: 1, at: 0) && !Retention.isOlder(.max, than: 1, at: .min))
        #expect(Retention.isOlder(.min, than: .max, at: .max) && !Retention.isOlder(5, than: 0, at: 5))
        #expect(!Retention.isOlder(0, than: 5, at: 5) && Retention.isOlder(0, than: 5, at: 6))
        let name = try Self.name(0)
        for within in [Int64.max, Self.now + 1] {
            #expect(Retention(within: within).keptByName([name], at: Self.now) == [name: .within])
        }
        #expect(Retention(within: 1).keptByName([name], at: .min).count == 1)
        #expect(Retention(last: -1).keptByName([name], at: Self.now).isEmpty)
        // From the future, by a clock that was wrong.
        let later = try #require(SessionName("99991231_235959"))
        #expect(Retention(within: 1).keptByName([later], at: Self.now) == [later: .within])
    }
}
