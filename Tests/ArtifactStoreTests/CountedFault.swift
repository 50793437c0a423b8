import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// The n-th call of a kind fails, and all are counted.
final class CountedFault: Sendable, CustomStringConvertible {
    let call: Faults.Call?
    /// The first is 1.
    let number: Int
    let error: Errno
    /// Whether it does its work all the same.
    let isDone: Bool
    private let made = Mutex<[Faults.Call: Int]>([:])

    /// - Parameter call: nil for none.
    init(_ call: Faults.Call?, _ number: Int = 0, _ error: Errno = .ioError, isDone: Bool = false) {
        (self.call, self.number, self.error, self.isDone) = (call, number, error, isDone)
    }

    var description: String {
        "the \(number). \(call?.rawValue ?? "call") \(isDone ? "is done and " : "")fails with \(error)"
    }

    /// How many calls of each kind were made.
    var counts: [Faults.Call: Int] { made.withLock { $0 } }

    func decide(_ call: Faults.Call) -> Faults.Fault? {
        let count = made.withLock { made in
            made[call, default: 0] += 1
            return made[call]
        }
        guard call == self.call, count == number else { return nil }
        return isDone ? .isDoneAndFails(error) : .fails(error)
    }

    /// Does something while the call fails.
    func during<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Faults.with({ call, _ in self.decide(call) }, body)
    }

    /// A store that was left in the middle is opened, each time with another call failing; the opening after that one has it right.
    ///
    /// - Parameters:
    ///   - stopped: makes such a store.
    ///   - check: opens it again and looks.
    static func failingEachCallOfAnOpening(
        of stopped: () throws -> TemporaryStore, check: (TemporaryStore, _ number: Int) throws -> Void
    ) throws {
        var number = 0
        while true {
            number += 1
            let place = try stopped()
            let count = Atomic<Int>(0)
            let fails = number
            Faults.with({ call, _ in
                guard call != .fileSystem else { return nil }
                return count.add(1, ordering: .relaxed).newValue == fails ? .fails(.ioError) : nil
            }) { (try? Store(at: place.path, readOnly: false, durability: .synced))?.close() }
            try check(place, number)
            if count.load(ordering: .relaxed) < number { break }
        }
        #expect(number > 20)
    }
}
