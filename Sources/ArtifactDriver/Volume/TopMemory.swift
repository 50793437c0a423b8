internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What was seen last of a shared store's own directory: who asks for the mount's state, or for the room that there is, hears it also while the store
/// does not answer, and no thread waits for that.
final class TopMemory: Sendable {
    private let store: Store
    private let attributes = Lock<stat?>(nil)
    private let statistics = Lock<FileSystemStatistics?>(nil)

    init(of store: Store) { self.store = store }

    /// The attributes: as they are, or while the lease is not held as they were.
    func attributes(_ look: () throws(Errno) -> stat) throws(Errno) -> stat { try recall(attributes, look) }

    /// The same of the file system's room.
    func statistics(_ look: () throws(Errno) -> FileSystemStatistics) throws(Errno) -> FileSystemStatistics {
        try recall(statistics, look)
    }

    private func recall<Value: Sendable>(
        _ known: borrowing Lock<Value?>, _ look: () throws(Errno) -> Value
    ) throws(Errno) -> Value {
        guard store.isShared else { return try look() }
        if !store.leases.areHeld, let value = known.withLock({ $0 }) { return value }
        let value = try look()
        known.withLock { $0 = value }
        return value
    }
}
