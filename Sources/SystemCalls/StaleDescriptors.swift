internal import CLinux
internal import Glibc
internal import Synchronization
package import SystemPackage

/// Who can open again what a descriptor is open on.
package protocol DescriptorRenewal: AnyObject, Sendable {
    /// Puts a newly opened file in the place of the one that the descriptor is open on (``SystemCall/replace(_:with:)``).
    ///
    /// - Returns: false when it cannot be opened, or is not to be used in the other's place.
    func renew() -> Bool
}

/// Descriptors that are kept open and that a file server may forget: `ESTALE`, when the file was removed elsewhere. A call on one is made
/// once more after its file was opened anew by its path, whatever the call is (``SystemCall``). Nobody else pays for it.
package enum StaleDescriptors {
    private static let count = Atomic<Int>(0)
    /// A leaf in the order of locks.
    private static let renewals = Lock<[Int32: any DescriptorRenewal]>([:])

    /// From now on a descriptor can be renewed, until ``remove(_:)``, which comes before it is closed.
    package static func add(_ descriptor: FileDescriptor, _ renewal: any DescriptorRenewal) {
        let old = renewals.withLock { $0.updateValue(renewal, forKey: descriptor.rawValue) }
        if old == nil { count.add(1, ordering: .relaxed) }
    }

    /// A descriptor is to be closed.
    package static func remove(_ descriptor: FileDescriptor) {
        guard count.load(ordering: .relaxed) > 0 else { return }
        let old = renewals.withLock { $0.removeValue(forKey: descriptor.rawValue) }
        if old != nil { count.subtract(1, ordering: .relaxed) }
    }

    /// Opens what a descriptor is open on anew.
    @inline(never)
    static func renew(_ descriptor: FileDescriptor) -> Bool {
        guard count.load(ordering: .relaxed) > 0 else { return false }
        let renewal = renewals.withLock { $0[descriptor.rawValue] }
        return renewal?.renew() ?? false
    }
}

extension SystemCall {
    /// Makes a descriptor lead to another open file; calls under way go on with the old one (dup3(2), close-on-exec).
    package static func replace(_ descriptor: FileDescriptor, with other: FileDescriptor) throws(Errno) {
        try retry(.descriptor) { clinux_dup3(other.rawValue, descriptor.rawValue) }
    }
}
