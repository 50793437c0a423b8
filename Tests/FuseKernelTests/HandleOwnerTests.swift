import Testing

@testable import FuseKernel

/// A handle carries whose it is, and gives its number back.
@Suite struct HandleOwnerTests {
    @Test func countsByUser() {
        let owners = HandleOwners()
        var kept: [(handle: HandleID, number: UInt64, user: UInt32)] = []
        for number in 0..<3000 {
            let (raw, user) = (
                UInt64(number % 3 == 0 ? 0 : number) << UInt64(number % 30), UInt32(number % 7) * 1_000_000
            )
            let handle = owners.own(HandleID(rawValue: raw), by: user)
            #expect(HandleOwners.number(of: handle).rawValue == raw)
            kept.append((handle, raw, user))
        }
        #expect((0..<7).map { owners.count(of: $0 * 1_000_000) }.reduce(0, +) == 3000)
        #expect(owners.count(of: 1_000_000) == 429 && owners.count(of: 5) == 0)
        for (handle, number, user) in kept.shuffled() {
            let before = owners.count(of: user)
            #expect(owners.release(handle).rawValue == number)
            #expect(owners.count(of: user) == before - 1)
        }
        #expect((0..<7).allSatisfy { owners.count(of: $0 * 1_000_000) == 0 })
    }

    /// More users than there are slots; slots are used again; numbers that leave no room are as they are.
    @Test func beyondTheSlots() {
        let owners = HandleOwners()
        let kept = (0..<70_000).map { owners.own(HandleID(rawValue: 1), by: UInt32($0)) }
        #expect(owners.count(of: 0) == 1 && owners.count(of: 65_534) == 1 && owners.count(of: 69_999) == 0)
        for handle in kept { #expect(owners.release(handle).rawValue == 1) }
        let again = owners.own(HandleID(rawValue: 2), by: 69_999)
        #expect(owners.count(of: 69_999) == 1 && owners.release(again).rawValue == 2)
        // Never counted, never released twice.
        #expect(owners.release(again).rawValue == 2 && owners.count(of: 69_999) == 0)
        #expect(owners.own(HandleID(rawValue: .max), by: 1).rawValue == .max && owners.count(of: 1) == 0)
        #expect(owners.release(HandleID(rawValue: 0)).rawValue == 0)
    }
}
