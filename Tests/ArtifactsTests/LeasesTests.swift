import Testing
import TestSupport

@testable import Artifacts

/// Leases: what a holder and an observer know of one (Semantics, "Several hosts").
@Suite struct LeasesTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func times() {
        for seconds in [3, 10, 30, 3600] {
            let times = LeaseTimes(seconds: seconds)
            #expect(times.renewal < times.holding && times.holding + times.renewal < times.patience + times.settling)
            #expect(times.holding < times.patience)
        }
        #expect(LeaseTimes(seconds: .min).seconds == 3 && LeaseTimes(seconds: .max).seconds == 3600)
    }

    @Test func aHolderThatComesBack() {
        let times = LeaseTimes(seconds: 30)
        let second = Self.second
        var lease = HeldLease(times: times, made: 100 * second)
        #expect(lease.state(at: 119 * second) == .held && lease.state(at: 120 * second) == .lapsed)
        lease.renewed(began: 105 * second, ended: 106 * second, hasHeir: false)
        #expect(lease.state(at: 124 * second) == .held && lease.state(at: 125 * second) == .lapsed)
        // A renewal that took too long counts for nothing yet: an heir may be there that is not seen.
        lease.renewed(began: 110 * second, ended: 126 * second, hasHeir: false)
        #expect(lease.state(at: 126 * second) == .lapsed)
        lease.renewed(began: 128 * second, ended: 128 * second, hasHeir: false)
        #expect(lease.state(at: 128 * second) == .lapsed)
        lease.renewed(began: 131 * second, ended: 131 * second, hasHeir: false)
        #expect(lease.state(at: 131 * second) == .held && lease.state(at: 151 * second) == .lapsed)
        lease.renewed(began: 140 * second, ended: 140 * second, hasHeir: true)
        #expect(lease.state(at: 140 * second) == .lost)
        lease.renewed(began: 141 * second, ended: 141 * second, hasHeir: false)
        #expect(lease.state(at: 141 * second) == .lost)
    }

    @Test func anObserverThatWasAwayHasSeenNothing() {
        let (times, second) = (LeaseTimes(seconds: 30), Self.second)
        var watched = WatchedLease([1], at: 0)
        for time in stride(from: 5, through: 25, by: 5) {
            #expect(watched.look([1], at: UInt64(time) * second, times) == .mayLive)
        }
        #expect(watched.look([1], at: 100 * second, times) == .mayLive)
        for time in stride(from: 105, through: 125, by: 5) {
            #expect(watched.look([1], at: UInt64(time) * second, times) == .mayLive)
        }
        #expect(watched.look([1], at: 130 * second, times) == .isDead)
        watched.claim(at: 130 * second)
        #expect(watched.look([1], at: 134 * second, times) == .mayLive)
        #expect(watched.look([1], at: 135 * second, times) == .isOurs)
        var other = watched
        #expect(other.look([2], at: 136 * second, times) == .hasReturned)
        #expect(other.look([2], at: 137 * second, times) == .mayLive)
    }

    /// Of a holder and an observer on a server that both see late, cut off and asleep as it comes, never two have what is the holder's.
    @Test func neverTwo() {
        let times = LeaseTimes(seconds: 6)
        var random = SplitMix64(seed: Seed.fromEnvironment())
        var (inherited, returned, lost) = (0, 0, 0)
        for _ in 0..<4000 {
            let story = Story(times: times, &random)
            #expect(!story.hasTwo, "\(story)")
            inherited += story.isInherited ? 1 : 0
            returned += story.hasReturned ? 1 : 0
            lost += story.isLost ? 1 : 0
        }
        // That all of it was seen.
        #expect(inherited > 100 && returned > 100 && lost > 100, "\(inherited) \(returned) \(lost)")
    }

    /// What happens in ten lease times, in steps of a tenth of a second.
    private struct Story {
        private(set) var hasTwo = false
        private(set) var isInherited = false
        private(set) var hasReturned = false
        private(set) var isLost = false

        init(times: LeaseTimes, _ random: inout some RandomNumberGenerator) {
            let step: UInt64 = 100_000_000
            // What the server has, at each moment: the token, and whether there is an heir.
            var server: [(token: UInt8, hasHeir: Bool)] = [(0, false)]
            // What is seen is as it was up to so many steps ago: less than it takes to settle.
            let mostLate = Int(times.settling / step) - 1
            func seen(_ random: inout some RandomNumberGenerator) -> (token: UInt8, hasHeir: Bool) {
                server[max(0, server.count - 1 - Int.random(in: 0...mostLate, using: &random))]
            }
            var holder = HeldLease(times: times, made: 0)
            var watched = WatchedLease([0], at: 0)
            var isClaimed = false
            // A renewal on its way: when it began, when it lands, when its end is known.
            var renewal: (began: UInt64, lands: Int, ends: Int, hasLanded: Bool)?
            var (holderSleeps, observerSleeps) = (0, 0)
            for moment in 1..<(Int(times.patience / step) * 10) {
                let now = UInt64(moment) * step
                server.append(server[server.count - 1])
                if holderSleeps == 0, renewal == nil {
                    // Sometimes the network is away.
                    let isCut = Int.random(in: 0..<40, using: &random) == 0
                    let lands =
                        moment
                        + (isCut ? Int.random(in: 0..<150, using: &random) : Int.random(in: 0...3, using: &random))
                    renewal = (now, lands, lands + Int.random(in: 0...(isCut ? 40 : 2), using: &random), false)
                }
                if let current = renewal, !current.hasLanded, moment >= current.lands {
                    server[server.count - 1].token &+= 1
                    renewal?.hasLanded = true
                }
                if holderSleeps > 0 {
                    holderSleeps -= 1
                } else if let current = renewal, moment >= current.ends {
                    let before = holder.state(at: now)
                    holder.renewed(began: current.began, ended: now, hasHeir: seen(&random).hasHeir)
                    if before == .lapsed, holder.state(at: now) == .held { hasReturned = true }
                    if holder.state(at: now) == .lost { isLost = true }
                    renewal = nil
                    holderSleeps = Int(times.renewal / step)
                    if Int.random(in: 0..<30, using: &random) == 0 {
                        holderSleeps += Int.random(in: 0..<150, using: &random)
                    }
                }
                if observerSleeps > 0 {
                    observerSleeps -= 1
                } else if !isInherited {
                    switch watched.look([seen(&random).token], at: now, times) {
                    case .mayLive: break
                    case .isDead:
                        server[server.count - 1].hasHeir = true
                        isClaimed = true
                        watched.claim(at: now)
                    case .isOurs: isInherited = true
                    case .hasReturned:
                        server[server.count - 1].hasHeir = false
                        isClaimed = false
                    }
                    observerSleeps = Int(times.renewal / step)
                    if Int.random(in: 0..<60, using: &random) == 0 {
                        observerSleeps += Int.random(in: 0..<200, using: &random)
                    }
                }
                if isInherited, holder.state(at: now) == .held { hasTwo = true }
                _ = isClaimed
            }
        }
    }
}
