public import ArtifactRecords
public import SystemPackage

/// The records in the ledgers of a store, of all hosts: read once, and a second time for those that are wanted whole.
public struct LedgerRecords: RecordSource {
    /// Of every artifact that was sealed.
    public private(set) var index = RecordIndex()
    private let reader: LedgerReader

    /// Reads the ledgers.
    public init(_ reader: LedgerReader) throws(Errno) {
        self.reader = reader
        // An intent counts until a later line settles it, also one of another host that has taken over.
        var intents: [Intent: (host: String, line: [UInt8])] = [:]
        var settled: Set<Intent> = []
        for host in try reader.hosts() {
            try reader.forEachLine(of: host) { bytes in
                guard let intent = Intent(bytes) else { return }
                switch intent.kind {
                case .begun: intents[intent] = (host, Array(bytes))
                case .sealed:
                    if let line = LedgerLine(parsing: bytes) { add(line, of: host, bytes) }
                    fallthrough
                case .ended: if intents.removeValue(forKey: intent) == nil { settled.insert(intent) }
                }
            }
        }
        for (intent, kept) in intents where !settled.contains(intent) {
            guard let line = LedgerLine(parsing: kept.line) else { continue }
            add(line, of: kept.host, kept.line[...])
        }
    }

    private mutating func add(_ line: LedgerLine, of host: String, _ bytes: ArraySlice<UInt8>) {
        let json: JSONObject
        switch line.event {
        case .sealed(let intent, _), .sealIntent(let intent): json = intent.record
        default: return
        }
        guard let record = line.record else { return }
        let place = RecordPlace.ledger(host: host, seq: line.seq)
        if let summary = RecordSummary(record, json: json, time: line.time, place: place) { index.add(summary) }
    }

    /// The ledgers have all.
    public mutating func find(at path: String) -> Bool { true }

    /// They are read already.
    public mutating func findAll() {}

    /// The whole records.
    public mutating func whole(_ ids: [RecordNumber]) throws(Errno) -> [RecordNumber: ArtifactRecord] {
        var wanted: [String: [Int64: RecordNumber]] = [:]
        for id in ids {
            if case .ledger(let host, let seq) = index[id].place { wanted[host, default: [:]][seq] = id }
        }
        var found: [RecordNumber: ArtifactRecord] = [:]
        for (host, lines) in wanted {
            try reader.forEachLine(of: host) { bytes in
                guard let seq = Intent.seq(of: bytes), let id = lines[seq], let line = LedgerLine(parsing: bytes),
                    let record = line.record
                else { return }
                found[id] = record
            }
        }
        return found
    }
}

/// Which sealing a line is about, read from its beginning without the rest, which is long.
private struct Intent: Hashable {
    enum Kind { case begun, sealed, ended }

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
        Array("restored".utf8): .ended, Array("seal-abandoned".utf8): .ended,
    ]
    private static let event = Array("\"event\":\"".utf8)
    private static let mount = Array("\"mount\":\"".utf8)
    private static let staged = Array("\"staged\":\"".utf8)
    private static let seq = Array("{\"seq\":".utf8)

    /// A line's number, which comes first.
    static func seq(of line: ArraySlice<UInt8>) -> Int64? {
        guard line.starts(with: seq) else { return nil }
        let digits = line.dropFirst(seq.count).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return Int64(String(decoding: digits, as: UTF8.self))
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
