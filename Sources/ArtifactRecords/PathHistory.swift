internal import Artifacts
public import SystemPackage

/// What the ledgers of a store say of one path on its mount, of all hosts in the order of time.
public struct PathHistory: Sendable {
    /// A line of a ledger that is about the path.
    public struct Entry: Sendable {
        /// Whose ledger.
        public let host: String
        /// What it says.
        public let line: LedgerLine
        /// The whole line.
        public let json: JSONValue
    }

    /// What was not published, and is in quarantine as far as the ledgers know.
    public struct Kept: Sendable {
        /// Its name in quarantine.
        public let id: String
        /// When it was put there, as text.
        public let time: String
        /// Why, a sentence for people.
        public let reason: String
        /// What is known of it.
        public let record: ArtifactRecord
    }

    /// From the mount point.
    public let path: String
    /// All lines, but an intent that a later line settles.
    public private(set) var entries: [Entry] = []
    /// The record of what was sealed there last; nil when nothing was.
    public private(set) var sealed: ArtifactRecord?
    /// Where that is in the store: its directory, and its name there.
    public private(set) var place: (directory: String, name: String)?
    /// That it left its name since then, and when (RFC 3339); nil while it has it.
    public private(set) var unsealed: (artifact: UnsealedArtifact, time: String)?
    /// What was kept back since then.
    public private(set) var kept: Kept?
    /// Former versions that left the name, by their numbers.
    public private(set) var former: [Int64: UnsealedArtifact] = [:]
    /// Of these, those that were removed to make room.
    public private(set) var removed: [Int64: VersionRemoval] = [:]

    /// Reads the ledgers.
    ///
    /// - Parameter path: on the mount, relative to it. Names are bytes: another spelling is another path.
    public init(of path: String, in reader: LedgerReader) throws(Errno) {
        self.path = path
        var needle = Array("\":".utf8)
        JSONValue.write(path, to: &needle)
        let session = Self.session(of: path).map { Array("\"session\":\"\($0)\"".utf8) }
        var ledgers: [[Entry]] = []
        for host in try reader.hosts() {
            var found: [Entry] = []
            try reader.forEachLine(of: host) { bytes in
                guard LedgerReader.contains(bytes, needle) || session.map({ LedgerReader.contains(bytes, $0) }) == true,
                    let line = LedgerLine(parsing: bytes), line.event.isAbout(path),
                    let json = JSONValue(parsing: bytes)
                else { return }
                found.append(Entry(host: host, line: line, json: json))
            }
            ledgers.append(found)
        }
        entries = Self.withoutSettled(Self.merged(ledgers))
        for entry in entries { learn(entry) }
    }

    /// The session that a path is in; nil of all others.
    private static func session(of path: String) -> SessionName? {
        let parts = path.split(separator: "/").prefix(2).map(String.init)
        return parts.first == Mode.development.rawValue ? parts.last.flatMap { SessionName($0) } : nil
    }

    /// By time, and each host's in its own order, whatever its clock did.
    private static func merged(_ ledgers: [[Entry]]) -> [Entry] {
        var rest = ledgers.map { $0[...] }
        var all: [Entry] = []
        while let next = rest.indices.filter({ !rest[$0].isEmpty })
            .min(by: { (rest[$0].first?.line.time ?? "") < (rest[$1].first?.line.time ?? "") }),
            let entry = rest[next].popFirst()
        {
            all.append(entry)
        }
        return all
    }

    /// Takes out the intents that a later line settles.
    private static func withoutSettled(_ all: [Entry]) -> [Entry] {
        var settled: Set<[String]> = []
        var left: [Entry] = []
        for entry in all.reversed() {
            if let intent = entry.line.event.settles {
                let isKnown = !settled.insert(intent).inserted
                if isKnown {
                    switch entry.line.event {
                    case .sealIntent, .unsealIntent: continue
                    default: break
                    }
                }
            }
            left.append(entry)
        }
        return left.reversed()
    }

    private mutating func learn(_ entry: Entry) {
        switch entry.line.event {
        case .sealIntent(let intent), .sealed(let intent, _):
            guard let record = entry.line.record, isSame(record.artifact.path) else { return }
            (sealed, place, kept, unsealed) = (record, (intent.directory, intent.name), nil, nil)
        case .quarantined(let file, let id):
            guard let record = entry.line.record, isSame(record.artifact.path) else { return }
            kept = Kept(id: id, time: entry.line.time, reason: file.reason, record: record)
        case .discarded(let left), .takenOut(let left): if kept?.id == left.quarantined { kept = nil }
        case .unsealed(let artifact) where isSame(artifact.path):
            unsealed = (artifact, entry.line.time)
            former[artifact.version] = artifact
        case .versionRemoved(let version) where isSame(version.path):
            removed[version.version] = VersionRemoval(
                time: entry.line.time, reason: version.reason, uid: version.uid)
        case .versionKept(let version) where isSame(version.path): removed[version.version] = nil
        default: break
        }
    }

    private func isSame(_ other: String?) -> Bool { other.map { $0.utf8.elementsEqual(path.utf8) } ?? false }
}

extension LedgerEvent {
    /// Whether it is about a path on the mount: what happened there, or to what came from there.
    func isAbout(_ path: String) -> Bool {
        func isIt(_ other: String?) -> Bool { other.map { $0.utf8.elementsEqual(path.utf8) } ?? false }
        func isIn(_ record: JSONObject) -> Bool {
            let record = ArtifactRecord(record)
            return isIt(record.artifact.path) || isIt(record.origin?.path)
        }
        return switch self {
        case .sealIntent(let intent), .sealed(let intent, _): isIn(intent.record)
        case .promotionIntent(let intent): isIt(intent.path) || isIt(intent.from)
        case .quarantined(let file, _), .restored(let file), .sealAbandoned(let file): isIn(file.record)
        case .discarded(let left), .takenOut(let left): isIt(left.path) || isIt(left.to)
        case .removedEmpty(let file), .removedTransient(let file): isIt(file.path)
        case .unsealIntent(let artifact), .unsealed(let artifact), .unsealAbandoned(let artifact): isIt(artifact.path)
        case .versionRemoved(let version), .versionKept(let version): isIt(version.path)
        case .evicted(let artifact), .recalled(let artifact): isIt(artifact.path)
        case .attributesSet(let change): isIt(change.path)
        case .attested(let artifact): isIt(artifact.path)
        case .mirrored(let mirrored): !mirrored.objects(of: path).isEmpty
        case .denied(let operation): isIt(operation.path)
        case .sessionRemoved(let session): session.holds(path)
        case .other(_, let members): isIt(members["path"]?.string) || isIn(members["record"]?.object ?? [:])
        case .sessionBegun, .sessionResumed, .runBegun, .runEnded, .runSealing, .tagged, .denialsCounted, .sessionKept,
            .flagLifted, .flagRestored, .ledgerRepaired, .ledgerContinues:
            false
        }
    }

    /// The intent that it is or settles: its mount, and the file's name in staging.
    fileprivate var settles: [String]? {
        switch self {
        case .sealIntent(let intent), .sealed(let intent, _): [intent.mount, intent.staged]
        case .promotionIntent(let intent): [intent.mount, intent.staged]
        case .quarantined(let file, _), .restored(let file), .sealAbandoned(let file): [file.mount, file.staged]
        case .unsealIntent(let artifact), .unsealed(let artifact), .unsealAbandoned(let artifact):
            [artifact.mount, artifact.together, artifact.path]
        default: nil
        }
    }
}
