internal import ArtifactRecords

/// A place in a host's ledger from which on it has to be read.
struct LedgerPlace {
    /// The file's name.
    let file: String
    /// In bytes; perhaps within a line that is nobody's who asks.
    let offset: Int64

    /// Where a ledger stands; nil when that cannot be told.
    init?(endOf ledger: Ledger) {
        guard let place = try? ledger.position() else { return nil }
        (file, offset) = place
    }

    /// A place that what a ledger is appended is not before; nil when none is known. Nobody is waited for.
    init?(before ledger: Ledger) {
        guard let place = ledger.placeBefore() else { return nil }
        (file, offset) = place
    }

    /// Reads ``json``.
    init?(_ json: JSONValue) {
        guard let file = json["file"]?.string, LedgerFiles.understand(file) != nil,
            let offset = json["offset"]?.integer, offset >= 0
        else { return nil }
        (self.file, self.offset) = (file, offset)
    }

    /// For a file that is kept.
    var json: JSONObject { ["file": .string(file), "offset": .integer(offset)] }

    /// Whether it comes first in the same host's ledger.
    func isBefore(_ other: LedgerPlace) -> Bool {
        let (mine, others) = (
            LedgerFiles.understand(file)?.number ?? 0, LedgerFiles.understand(other.file)?.number ?? 0
        )
        return (mine, offset) < (others, other.offset)
    }
}
