internal import Glibc
internal import Synchronization
internal import SystemCalls
package import SystemPackage

/// Something that keeps a descriptor open only to be quick, and can find its file again without it.
package protocol DescriptorHolder: AnyObject, Sendable {
    /// Closes the descriptor.
    ///
    /// - Returns: false when it is needed, or was used since the last time of asking.
    func giveUpDescriptor() -> Bool
}

/// Bounds the descriptors that are kept only to be quick: a tree may have more directories and files than a process may open.
///
/// The holders stand in a circle, and a hand goes round it when there are too many: who was not used since it last came by gives its
/// descriptor up (the clock algorithm, Corbató 1968). The lock is a leaf, and no holder is asked while it is held.
package final class DescriptorBudget: Sendable {
    /// More than this gains nothing: to open one again takes a few microseconds.
    private static let most = 16_384
    /// For the driver's own, and for requests under way.
    private static let spare = 64
    /// Directories that are in use at every moment; fewer would be opened and closed all the time.
    private static let fewest = 16

    /// How many descriptors the process may have.
    private let processLimit: Int
    private let handles = Atomic(0)

    private struct Circle {
        var holders: [Holder] = []
        var unused: [Int] = []
        var hand = 0
        var count: Int { holders.count - unused.count }
    }

    private struct Holder {
        weak var object: (any DescriptorHolder)?
    }

    private let circle = Lock(Circle())

    /// A budget in a process that may have `processLimit` descriptors.
    package init(processLimit: Int) {
        // "Unlimited" is the largest number there is, which nothing can be added to.
        self.processLimit = min(processLimit, 1 << 30)
    }

    /// The number of descriptors kept.
    package var count: Int { circle.withLock { $0.count } }

    /// How many may be kept; those that are needed at the moment are kept beyond it.
    private var limit: Int { min(max(processLimit - Self.spare - openFiles, Self.fewest), Self.most) }

    /// The open files of programs, whose descriptors come first.
    package var openFiles: Int { handles.load(ordering: .relaxed) }

    /// Descriptors that users' files never take: for the ledger, staging, `/proc` and what a request needs for a moment.
    private static let reserved = 32

    /// So many files of one user may wait to be published; then who makes more waits too.
    package var mostWaiting: Int { min(4096, processLimit / 8) }

    /// So many sessions may be live at the same time, each of which holds a file.
    package var mostSessions: Int { max(4, min(4096, processLimit / 8)) }

    /// Whether a user may have another file open. Nobody has more than three times what is left for all others, so that there is always
    /// something left, and the driver's own come first.
    ///
    /// - Parameters:
    ///   - own: the user's files that are open or wait to be published.
    ///   - waiting: how many of all users wait to be published.
    /// - Throws: `EMFILE`.
    package func admit(own: Int, waiting: Int) throws(Errno) {
        let used = openFiles + waiting
        let free = max(0, processLimit - Self.spare - used)
        guard own / 3 <= free else { throw .tooManyOpenFiles }
        // Far from the limit: nothing to be asked of the system.
        guard used + count > processLimit / 4 else { return }
        // Each of the holders twice: who was used since the last time of asking is asked again.
        for _ in 0...(count / 32 + 1) {
            if let lowest = try? SystemCall.makeEvent() {
                SystemCall.close(lowest)
                if Int(lowest.rawValue) < processLimit - Self.reserved { return }
            }
            // What is kept only to be quick goes first.
            makeRoom(limit: max(Self.fewest, count - 64))
        }
        throw .tooManyOpenFiles
    }

    /// A program opened a file.
    package func fileOpened() {
        let count = handles.add(1, ordering: .relaxed).newValue
        if processLimit - Self.spare - count < Self.most { makeRoom() }
    }

    /// A program closed a file.
    package func fileClosed() { handles.subtract(1, ordering: .relaxed) }

    /// Counts a holder's descriptor; others may lose theirs.
    ///
    /// - Returns: its place, for ``remove(_:)`` when it closes the descriptor by itself.
    package func add(_ holder: any DescriptorHolder) -> Int {
        let place = circle.withLock { circle -> Int in
            if let place = circle.unused.popLast() {
                circle.holders[place].object = holder
                return place
            }
            circle.holders.append(Holder(object: holder))
            return circle.holders.count - 1
        }
        makeRoom(sparing: holder)
        return place
    }

    /// The descriptor of a place is closed.
    package func remove(_ place: Int) {
        circle.withLock { circle in
            circle.holders[place].object = nil
            circle.unused.append(place)
        }
    }

    /// Has holders give descriptors up until no more than the limit are kept, or a good part of them was asked in vain.
    private func makeRoom(limit: Int? = nil, sparing spared: (any DescriptorHolder)? = nil) {
        let limit = limit ?? self.limit
        for _ in 0..<64 {
            guard let (place, holder) = next(above: limit) else { return }
            guard holder !== spared, holder.giveUpDescriptor() else { continue }
            remove(place)
        }
    }

    /// The holder that the hand points to, when more than `target` descriptors are kept.
    private func next(above target: Int) -> (Int, any DescriptorHolder)? {
        circle.withLock { circle in
            guard circle.count > target else { return nil }
            for _ in circle.holders.indices {
                let place = circle.hand
                circle.hand = (place + 1) % circle.holders.count
                // One that is being destroyed has no object any more, and is removed in a moment.
                if let holder = circle.holders[place].object { return (place, holder) }
            }
            return nil
        }
    }
}
