public import ArtifactRecords
public import SystemPackage

/// The records in the ledgers of a store, of all hosts: read once, and a second time for those that are wanted whole.
public struct LedgerRecords: RecordSource {
    /// Of every artifact that was sealed.
    public private(set) var index = RecordIndex()
    private let reader: LedgerReader

    /// Where the records are: a host, and the place in its ledger.
    private var places: [(host: String, span: LedgerReader.LineSpan)] = []

    /// Reads the ledgers.
    public init(_ reader: LedgerReader) throws(Errno) {
        self.reader = reader
        // An intent counts until a later line settles it, also one of another host that has taken over.
        var intents: [Intent: (host: String, span: LedgerReader.LineSpan)] = [:]
        var settled: Set<Intent> = []
        for host in try reader.hosts() {
            try reader.forEachLine(of: host) { bytes, span in
                guard let intent = Intent(bytes) else { return }
                switch intent.kind {
                case .begun: intents[intent] = (host, span)
                case .sealed:
                    add(bytes, of: host, span)
                    fallthrough
                case .ended: if intents.removeValue(forKey: intent) == nil { settled.insert(intent) }
                case .removed: noteRemoval(bytes)
                }
            }
        }
        for (intent, kept) in intents where !settled.contains(intent) {
            if let line = try reader.line(of: kept.host, at: kept.span) { add(line, of: kept.host, kept.span) }
        }
    }

    private mutating func noteRemoval(_ bytes: ArraySlice<UInt8>) {
        guard let line = LedgerLine(parsing: bytes) else { return }
        switch line.event {
        case .versionRemoved(let version):
            index.note(removalOf: version.path, version: version.version, at: line.time)
        case .versionKept(let version): index.note(removalOf: version.path, version: version.version, at: nil)
        default: break
        }
    }

    private mutating func add(_ bytes: ArraySlice<UInt8>, of host: String, _ span: LedgerReader.LineSpan) {
        guard let json = RecordScan.record(in: bytes), let time = Intent.time(of: bytes) else {
            // Of a record that an earlier version wrote what the line says beside it counts too.
            if let line = LedgerLine(parsing: bytes) { add(line, of: host, span) }
            return
        }
        add(ArtifactRecord(json), json, time: time, of: host, span)
    }

    private mutating func add(_ line: LedgerLine, of host: String, _ span: LedgerReader.LineSpan) {
        switch line.event {
        case .sealed(let intent, _), .sealIntent(let intent):
            if let record = line.record { add(record, intent.record, time: line.time, of: host, span) }
        default: break
        }
    }

    private mutating func add(
        _ record: ArtifactRecord, _ json: JSONObject, time: String, of host: String, _ span: LedgerReader.LineSpan
    ) {
        let place = RecordPlace.ledger(places.count)
        guard let summary = RecordSummary(record, json: json, time: time, place: place) else { return }
        places.append((host, span))
        index.add(summary)
    }

    /// The ledgers have all.
    public mutating func find(at path: String) -> Bool { true }

    /// They are read already.
    public mutating func findAll() {}

    /// The whole records.
    public mutating func whole(_ ids: [RecordNumber]) throws(Errno) -> [RecordNumber: ArtifactRecord] {
        var found: [RecordNumber: ArtifactRecord] = [:]
        for id in ids {
            guard case .ledger(let number) = index[id].place else { continue }
            found[id] = try reader.line(of: places[number].host, at: places[number].span)?.record
        }
        return found
    }
}

/// Which sealing a line is about, read from its beginning without the rest, which is long.
private struct Intent: Hashable {
    enum Kind { case begun, sealed, ended, removed }

    let kind: Kind
    /// Its mount and its name in staging.
    private let name: [UInt8]

    static func == (one: Intent, other: Intent) -> Bool { one.name == other.name }
    func hash(into hasher: inout Hasher) { hasher.combine(name) }

    /// - Returns: nil of a line that is about no sealing.
    init?(_ line: ArraySlice<UInt8>) {
        let found = line.prefix(700).withUnsafeBytes { head -> (Kind, [UInt8])? in
            guard let event = Self.text(after: Self.event, in: head), let kind = Self.kinds[Array(head[event])] else {
                return nil
            }
            let rest = UnsafeRawBufferPointer(rebasing: head[event.upperBound...])
            let mount = Self.text(after: Self.mount, in: rest).map { Array(rest[$0]) } ?? []
            return (kind, mount + [0] + (Self.text(after: Self.staged, in: rest).map { Array(rest[$0]) } ?? []))
        }
        guard let found else { return nil }
        (kind, name) = found
    }

    private static let kinds: [[UInt8]: Kind] = [
        Array("seal-intent".utf8): .begun, Array("sealed".utf8): .sealed, Array("quarantined".utf8): .ended,
        Array("version-removed".utf8): .removed, Array("version-kept".utf8): .removed,
        Array("restored".utf8): .ended, Array("seal-abandoned".utf8): .ended,
    ]
    private static let event = Array("\"event\":\"".utf8)
    private static let mount = Array("\"mount\":\"".utf8)
    private static let staged = Array("\"staged\":\"".utf8)
    private static let time = Array("\"time\":\"".utf8)

    /// When a line was written, which stands before what happened.
    static func time(of line: ArraySlice<UInt8>) -> String? {
        line.prefix(400).withUnsafeBytes { head in
            text(after: time, in: head).map { String(decoding: head[$0], as: UTF8.self) }
        }
    }

    /// Where what stands between a mark and the next quote is.
    private static func text(after mark: [UInt8], in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
        guard let first = mark.first, bytes.count > mark.count else { return nil }
        for place in 0..<bytes.count - mark.count where bytes[place] == first {
            guard bytes[place..<place + mark.count].elementsEqual(mark) else { continue }
            let start = place + mark.count
            return bytes[start...].firstIndex(of: UInt8(ascii: "\"")).map { start..<$0 }
        }
        return nil
    }
}
