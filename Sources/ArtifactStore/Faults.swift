internal import Synchronization
package import SystemPackage

/// What a test makes of system calls: any call of ``SystemCall`` may fail, or do its work and report a failure all the same, as a server's
/// lost reply does. It holds for the calls of the test's own thread or task; nothing else pays for it but a load of a number.
package final class Faults: Sendable {
    /// The calls that can be made to fail.
    package enum Call: Sendable, Hashable {
        case open, read, write, sync, rename, renameWithoutReplacing, link, unlink, lease
        /// Whether the file system is a local one: a fault says that it is not.
        case fileSystem
    }

    /// What becomes of a call.
    package enum Fault: Sendable {
        case fails(Errno)
        /// It is done, and says that it is not.
        case isDoneAndFails(Errno)
    }

    /// How many tests use faults at the moment.
    private static let users = Atomic<Int>(0)
    @TaskLocal private static var current: Faults?

    private let decide: @Sendable (Call, String) -> Fault?

    private init(_ decide: @escaping @Sendable (Call, String) -> Fault?) { self.decide = decide }

    /// Runs a test's code with faults.
    ///
    /// - Parameter decide: says what becomes of a call on a file of a name; nil for what the system makes of it. A call on a descriptor has an
    ///   empty name, one with two names the new one.
    package static func with<Result>(
        _ decide: @escaping @Sendable (Call, String) -> Fault?, _ body: () throws -> Result
    ) rethrows -> Result {
        users.add(1, ordering: .relaxed)
        defer { users.subtract(1, ordering: .relaxed) }
        return try $current.withValue(Faults(decide)) { try body() }
    }

    /// What becomes of a call.
    @inline(__always) static func fault(in call: Call, _ name: String = "") -> Fault? {
        guard users.load(ordering: .relaxed) > 0 else { return nil }
        return current?.decide(call, name)
    }
}
