internal import ArtifactRecords

/// A line of a ledger, as far as a catalog takes it up. Any thread reads it, without a database.
struct ParsedLine: Sendable {
    /// What a catalog does with it.
    enum Matter: Sendable {
        case nothing
        /// It is no line, or not a whole one.
        case broken
        /// It says that the one before it was cut off.
        case repaired
        case intent(IntentName)
        case settled(IntentName)
        /// All of it, its record where it has one, and the intent that it settles.
        case told(LedgerLine, ArtifactRecord?, settles: IntentName?)
    }

    let matter: Matter
    let place: LedgerReader.LineSpan

    init(_ bytes: ArraySlice<UInt8>, at place: LedgerReader.LineSpan) {
        (matter, self.place) = (Self.matter(of: bytes), place)
    }

    private static func matter(of bytes: ArraySlice<UInt8>) -> Matter {
        guard let event = LineHead.event(of: bytes) else {
            // What a newer version wrote is a line all the same.
            return LedgerLine(parsing: bytes) == nil ? .broken : .nothing
        }
        var settled: IntentName?
        switch event {
        case .sealIntent: return LineHead.intent(of: bytes).map { .intent($0) } ?? .nothing
        case .restored, .sealAbandoned: return LineHead.intent(of: bytes).map { .settled($0) } ?? .nothing
        case .sealed, .quarantined: settled = LineHead.intent(of: bytes)
        case .discarded, .takenOut, .superseded, .retracted, .runBegun, .runEnded, .sessionBegun, .sessionResumed,
            .sessionRemoved, .sessionKept, .versionRemoved, .versionKept:
            break
        case .ledgerRepaired: return .repaired
        default: return .nothing
        }
        guard let line = LedgerLine(parsing: bytes) else { return .broken }
        return .told(line, line.record, settles: settled)
    }
}
