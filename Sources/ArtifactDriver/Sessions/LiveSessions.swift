internal import Artifacts
internal import Synchronization
internal import SystemCalls

/// The sessions that users began on a mount beside its own, which are live until they are ended or the mount is.
final class LiveSessions: Sendable {
    struct Begun: Sendable {
        let name: SessionName
        /// Who began it.
        let user: UInt32
    }

    /// In the order in which they were begun. A leaf in the order of locks.
    private let begun = Lock<[SessionName: (place: UInt64, user: UInt32)]>([:])
    private let places = Atomic<UInt64>(0)
    /// Whether there are any: what most mounts ask is whether there is nothing.
    private let count = Atomic<Int>(0)

    func isLive(_ name: SessionName) -> Bool {
        guard count.load(ordering: .acquiring) > 0 else { return false }
        return begun.withLock { $0[name] != nil }
    }

    /// Who began it; nil when it is not live, or the mount's own.
    func user(of name: SessionName) -> UInt32? { begun.withLock { $0[name]?.user } }

    /// All of them, the first first.
    var all: [Begun] {
        guard count.load(ordering: .acquiring) > 0 else { return [] }
        return begun.withLock { begun in
            begun.sorted { $0.value.place < $1.value.place }.map { Begun(name: $0.key, user: $0.value.user) }
        }
    }

    func begin(_ name: SessionName, of user: UInt32) {
        let place = places.add(1, ordering: .relaxed).newValue
        change { $0[name] = (place, user) }
    }

    /// - Returns: whether it was there.
    func end(_ name: SessionName) -> Bool { change { $0.removeValue(forKey: name) != nil } }

    private func change<Result: Sendable>(
        _ body: (inout sending [SessionName: (place: UInt64, user: UInt32)]) -> Result
    ) -> Result {
        begun.withLock { begun in
            let result = body(&begun)
            count.store(begun.count, ordering: .releasing)
            return result
        }
    }
}
