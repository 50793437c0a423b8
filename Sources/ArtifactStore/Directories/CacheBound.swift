internal import Synchronization

/// For how long what a store's directories said may be trusted: without end where this machine alone changes the store, because its kernel
/// then knows what there is.
///
/// One object a store, which its directories share.
final class CacheBound: Sendable {
    /// In nanoseconds; `.max` where the store is not shared.
    private let trusted = Atomic<UInt64>(.max)

    /// Of directories that are no store's.
    static let none = CacheBound()

    var isShared: Bool { nanoseconds != .max }

    /// In nanoseconds; `.max` where the store is not shared.
    var nanoseconds: UInt64 { trusted.load(ordering: .relaxed) }

    /// The store is shared from now on.
    ///
    /// Half of the time is the kernel's, for what it is told; what it is told may be as old as the other half.
    ///
    /// - Parameter seconds: for how long what another host has changed may be shown as it was, 0 to 3600.
    func share(seconds: Int) {
        trusted.store(UInt64(max(0, min(seconds, 3600))) * 500_000_000, ordering: .relaxed)
    }
}
