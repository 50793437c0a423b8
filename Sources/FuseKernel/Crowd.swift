internal import Synchronization

/// How many threads that requests need are reading and writing files, which a slow disk makes them do for long.
///
/// It is not known beforehand which read or write will take long, and to hand each to another thread would cost more than most of them take.
/// So as long as few threads are at it at a time, they do it; when half of all are, a disk is slow or the work is much, and the others keep
/// free for who wants something else: what comes then goes to threads of which no user has all (`FairThreads`). The bytes to write are copied
/// for that, up to a bound; beyond it they are written at once.
final class Crowd: Sendable {
    /// How many threads may do it.
    private let most: Int
    private let count = Atomic<Int>(0)
    private let copied = Atomic<Int>(0)
    /// In bytes.
    private static let mostCopied = 64 << 20

    init(most: Int) { self.most = max(1, most) }

    /// One thread more.
    ///
    /// - Returns: false when there are enough; then it does not count.
    func enter() -> Bool {
        if count.add(1, ordering: .relaxed).oldValue < most { return true }
        leave()
        return false
    }

    /// One thread fewer.
    func leave() { count.subtract(1, ordering: .relaxed) }

    /// Bytes that were copied for another thread, as long as it needs them.
    final class Copy: Sendable {
        let bytes: [UInt8]
        private let crowd: Crowd

        fileprivate init(_ bytes: UnsafeRawBufferPointer, _ crowd: Crowd) {
            self.bytes = Array(bytes)
            self.crowd = crowd
        }

        deinit { crowd.copied.subtract(bytes.count, ordering: .relaxed) }
    }

    /// Nil when too many bytes are copied already.
    func copy(_ bytes: UnsafeRawBufferPointer) -> Copy? {
        let before = copied.add(bytes.count, ordering: .relaxed).oldValue
        guard before <= Self.mostCopied - bytes.count else {
            copied.subtract(bytes.count, ordering: .relaxed)
            return nil
        }
        return Copy(bytes, self)
    }
}
