public import ArtifactRecords
internal import Artifacts
package import SystemCalls
public import SystemPackage

/// What the ledgers tell of artifacts.
extension Store {
    /// All that the ledgers say of a path.
    ///
    /// - Parameter path: on the mount, relative to it.
    public func history(of path: String) throws(Errno) -> PathHistory {
        let ledgers = try root.directory(StoreLayout.privateDirectory).directory(StoreFormat.ledger)
        return try withExtendedLifetime(ledgers) { () throws(Errno) in
            try PathHistory(of: path, in: LedgerReader(directory: ledgers.descriptor))
        }
    }

    /// Reads the ledgers, which are there as long as that takes.
    public func withLedgers<Result>(_ body: (LedgerReader) throws -> Result) throws -> Result {
        let ledgers = try root.directory(StoreLayout.privateDirectory).directory(StoreFormat.ledger)
        return try withExtendedLifetime(ledgers) { try body(LedgerReader(directory: ledgers.descriptor)) }
    }

    /// A semaphore that is posted each time when this process has added so many bytes to its ledger; nil of a store that is only read.
    package func ledgerGrowth(every bytes: Int64) -> PosixSemaphore? { writable?.ledger.growth(every: bytes) }
}
