/// One thing that happened, as text, before it has its place in the ledger.
public struct LedgerEntry: Sendable {
    /// What happened, such as `sealed`.
    public let event: String
    /// The rest of the line as JSON, without an object's braces. `seq`, `prev`, `time` and `event` are the ledger's own and come
    /// first.
    private let members: [UInt8]

    /// The text of an event.
    public init(_ event: LedgerEvent) {
        self.event = event.name
        var text: [UInt8] = []
        text.reserveCapacity(1024)
        JSONValue.write(event.members, to: &text)
        members = text
    }

    private init(event: String, members: [UInt8]) { (self.event, self.members) = (event, members) }

    /// The `sealed` line that says again what a `seal-intent` line said.
    package var sealed: LedgerEntry { LedgerEntry(event: LedgerEvent.Name.sealed.rawValue, members: members) }

    /// Appends the line, without its newline.
    func write(seq: Int64, after hash: String, at time: String, to text: inout [UInt8]) {
        text.append(UInt8(ascii: "{"))
        JSONValue.write(
            ["seq": .integer(seq), "prev": .string(hash), "time": .string(time), "event": .string(event)], to: &text)
        if !members.isEmpty { text.append(UInt8(ascii: ",")) }
        text.append(contentsOf: members)
        text.append(UInt8(ascii: "}"))
    }
}

/// A whole line of a ledger.
public struct LedgerLine: Sendable, Hashable {
    /// Its number in its host's ledger, from 1.
    public let seq: Int64
    /// The hash of the line before it; empty when it does not say.
    public let prev: String
    /// When it was written (RFC 3339); empty when it does not say.
    public let time: String
    /// What happened.
    public let event: LedgerEvent

    /// Reads a line; nil when it is not a whole one.
    public init?(parsing line: some Collection<UInt8>) {
        guard let value = JSONValue(parsing: line), let seq = Self.number(of: value) else { return nil }
        self.seq = seq
        prev = value["prev"]?.string ?? ""
        time = value["time"]?.string ?? ""
        event = LedgerEvent(value)
    }

    /// A line's number; nil when it is not a ledger line. A number that not every JSON reader keeps (RFC 8259, section 6) is none: what is
    /// counted on from one never comes to an end.
    static func number(of line: JSONValue) -> Int64? {
        line["seq"]?.integer.flatMap { (1..<(1 << 53)).contains($0) ? $0 : nil }
    }

    /// A line's members but the ledger's own.
    static func members(of line: JSONValue) -> JSONObject {
        guard case .object(let all) = line else { return [:] }
        var rest = JSONObject()
        for member in all.members where !["seq", "prev", "time", "event"].contains(member.key) {
            rest.add(member.key, member.value)
        }
        return rest
    }

    /// The record of an artifact that a `seal-intent` or `sealed` line tells of.
    public var record: ArtifactRecord? {
        switch event {
        case .sealIntent(let intent): return ArtifactRecord(intent.record, of: intent)
        case .sealed(let intent, _):
            var record = ArtifactRecord(intent.record, of: intent)
            record.times.sealed = record.times.sealed ?? TimeText.time(time)
            return record
        case .quarantined(let file, _), .restored(let file), .sealAbandoned(let file):
            return ArtifactRecord(file.record)
        default: return nil
        }
    }
}

extension ArtifactRecord {
    /// What a line of an earlier version says of an artifact outside of its record.
    fileprivate init(_ record: JSONObject, of intent: SealIntent) {
        self.init(record)
        artifact.size = artifact.size ?? intent.size
        artifact.sha256 = artifact.sha256 ?? intent.sha256
        artifact.state = artifact.state ?? .sealed
    }
}
