internal import Glibc
internal import Synchronization
package import SystemPackage

/// What a test makes of system calls: any call of ``SystemCall`` may fail, or do its work and report a failure all the same, as a server's
/// lost reply does. It holds for the calls of the test's own thread or task; nothing else pays for it but a load of a number.
package final class Faults: Sendable {
    /// The calls that can be made to fail.
    package enum Call: String, Sendable, Hashable, CaseIterable {
        case open, makeDirectory, makeNode, rename, renameWithoutReplacing, link, unlink, readLink
        case attributes, setMode, setOwner, setTimes, checkAccess, statistics
        case getAttribute, setAttribute, listAttributes, removeAttribute
        case readDirectory
        case read, write, seek, truncate, allocate, copyRange, sync
        case lock, lease
        case inodeFlags, setInodeFlags
        case process, descriptor, device
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
    /// - Parameter decide: says what becomes of a call on a file of a name; nil for what the system makes of it. A call on a descriptor has
    ///   the path that the descriptor leads to, one with two names the new one, one on neither an empty name.
    package static func with<Result>(
        _ decide: @escaping @Sendable (Call, String) -> Fault?, _ body: () throws -> Result
    ) rethrows -> Result {
        users.add(1, ordering: .relaxed)
        defer { users.subtract(1, ordering: .relaxed) }
        return try $current.withValue(Faults(decide)) { try body() }
    }

    /// Whether a test uses faults: all that a call pays.
    @inline(__always) static var areUsed: Bool { users.load(ordering: .relaxed) > 0 }

    /// What becomes of a call.
    static func fault(in call: Call, _ name: @autoclosure () -> String) -> Fault? {
        current.flatMap { $0.decide(call, name()) }
    }

    /// The path that a descriptor leads to, as proc_pid_fd(5) shows it.
    static func path(of descriptor: FileDescriptor) -> String {
        guard descriptor.rawValue >= 0 else { return "" }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/fd/\(descriptor.rawValue)", &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
    }
}
