public import ArtifactRecords

/// What finding an artifact's neighbours needs of its record: where there are 100,000 records, only this of each is in memory.
public struct RecordSummary: Sendable {
    /// The path on the mount, relative to it.
    public let path: String
    /// From 1; nil where the record does not say.
    public let version: Int64?
    /// SHA-256 of its bytes; nil where the record does not say.
    public let sha256: String?
    /// When it got its place, as text; empty where the record does not say.
    public let time: String
    /// When its first writer opened it, as text; ``time`` where the record does not say.
    public let begun: String
    /// The path that it was promoted from.
    public let origin: String?
    /// What it was made from.
    public let inputs: [ArtifactRecord.Input]
    /// What it was made from that is not in the store.
    public let outside: [ArtifactRecord.OutsideInput]
    /// Whether somebody looked what it was made from: a record with an empty list of inputs says that there was nothing.
    public let knowsInputs: Bool
    /// Where the whole record is.
    public let place: RecordPlace

    /// - Parameters:
    ///   - record: the record.
    ///   - json: the same as it was written; nil where it was not.
    ///   - time: when it was written, as text, where the record does not say when it was sealed.
    /// - Returns: nil for a record without a path.
    public init?(_ record: ArtifactRecord, json: JSONObject? = nil, time: String = "", place: RecordPlace) {
        guard let path = record.artifact.path else { return nil }
        self.path = path
        (version, sha256) = (record.artifact.version, record.artifact.sha256)
        self.time = Self.text("sealed", json) ?? record.times.sealed.map(TimeText.rfc3339) ?? time
        begun = Self.text("opened", json) ?? record.times.opened.map(TimeText.rfc3339) ?? self.time
        origin = record.origin?.path
        (inputs, outside) = (record.inputs, record.outside)
        knowsInputs = !inputs.isEmpty || !outside.isEmpty || json?["inputs"] != nil
        self.place = place
    }

    /// A time with all its digits as it is written, which is as it would be written again.
    private static func text(_ name: String, _ json: JSONObject?) -> String? {
        let text = json?["times"]?[name]?.string
        return text?.utf8.count == 30 ? text : nil
    }
}

/// Where a whole record is found again.
public enum RecordPlace: Hashable, Sendable {
    /// In a ledger, by a number that who read the ledgers knows.
    case ledger(Int)
    /// Among those that somebody keeps.
    case kept(Int)
}
