internal import Synchronization
internal import SystemCalls

/// How many files each user has open. A RELEASE names no user, so a handle carries who opened it: the upper sixteen bits of what the
/// kernel keeps are this table's, the rest is the file system's number.
final class HandleOwners: Sendable {
    private struct State {
        /// By user, as long as they have something open.
        var slots: [UInt32: Int] = [:]
        /// By slot; slot 0 is nobody's.
        var owners: [(user: UInt32, count: Int)] = [(0, 0)]
        var unused: [Int] = []
    }

    private static let shift: UInt64 = 48
    private static let mostSlots = 1 << 16

    private let state = Lock(State())

    /// How many files a user has open.
    func count(of user: UInt32) -> Int {
        state.withLock { state in state.slots[user].map { state.owners[$0].count } ?? 0 }
    }

    /// Counts a handle as a user's.
    ///
    /// - Returns: it as the kernel is to keep it.
    func own(_ handle: HandleID, by user: UInt32) -> HandleID {
        guard handle.rawValue >> Self.shift == 0 else { return handle }
        let slot = state.withLock { state -> Int in
            if let slot = state.slots[user] {
                state.owners[slot].count += 1
                return slot
            }
            // More users than slots: they are not counted.
            guard !state.unused.isEmpty || state.owners.count < Self.mostSlots else { return 0 }
            let slot = state.unused.popLast() ?? state.owners.count
            if slot == state.owners.count { state.owners.append((user, 1)) } else { state.owners[slot] = (user, 1) }
            state.slots[user] = slot
            return slot
        }
        return HandleID(rawValue: handle.rawValue | UInt64(slot) << Self.shift)
    }

    /// Ends a handle's count.
    ///
    /// - Returns: the file system's number.
    func release(_ handle: HandleID) -> HandleID {
        let slot = Int(handle.rawValue >> Self.shift)
        if slot > 0 {
            state.withLock { state in
                guard slot < state.owners.count, state.owners[slot].count > 0 else { return }
                state.owners[slot].count -= 1
                guard state.owners[slot].count == 0 else { return }
                state.slots[state.owners[slot].user] = nil
                state.unused.append(slot)
            }
        }
        return Self.number(of: handle)
    }

    /// The file system's number of a handle that the kernel sent.
    static func number(of handle: HandleID) -> HandleID {
        HandleID(rawValue: handle.rawValue & (1 << shift - 1))
    }
}
