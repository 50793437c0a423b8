import ArtifactRecords
import ArtifactStore
import Artifacts
import Attestations
import Glibc
import Lineage
import SystemCalls
import SystemPackage

/// The records by which artifacts are signed, and their bytes.
struct AttestedRecords {
    /// An artifact that is what was sealed, and what is to be said of it.
    struct SignedStatements {
        let name: AttestedName
        let model: ModelStatement
        /// Nil where it is not known who made it.
        let provenance: JSONValue?
    }

    /// What an artifact is now.
    enum ReadArtifact {
        case whole(SignedStatements)
        case differs(String)
        case unknown(String)
    }

    private let chosen: ChosenArtifacts
    private let key: String
    private var records: any RecordSource

    /// Chooses artifacts and reads their records: those of the ledgers, which must be whole, else those that the mount shows.
    ///
    /// - Parameter key: the key's name.
    static func with<Result>(
        _ place: StorePlace, words: [String], key: String, _ body: (inout AttestedRecords) throws -> Result
    ) throws -> Result {
        guard let store = place.store, canRead(store) else {
            guard let mount = place.mount else { throw ShownArtifact.closed(place.store ?? place.path) }
            // What asks a mount comes before the catalog, which has threads.
            var shown = try MountRecords(mount)
            try shown.findAll()
            var records = AttestedRecords(
                chosen: try ChosenArtifacts(place, words: words), key: key, records: shown)
            return try body(&records)
        }
        let chosen = try ChosenArtifacts(place, words: words)
        do {
            return try ShownArtifact.openStore(store).withLedgers { reader in
                try checkLedgers(reader, store)
                var records = AttestedRecords(chosen: chosen, key: key, records: try LedgerRecords(reader))
                return try body(&records)
            }
        } catch let error as Errno {
            throw Failure(.cannotAnswer, "cannot read the ledger of \(store): \(error)")
        }
    }

    /// Whether this user reads the store's ledgers, where there are any.
    static func canRead(_ store: String) -> Bool {
        do throws(Errno) {
            try SystemCall.checkAccess(
                atPath: store + "/" + StoreLayout.privateDirectory + "/ledger", R_OK | X_OK)
            return true
        } catch { return error != .permissionDenied }
    }

    /// What is signed is what the ledgers say: so nothing in them may have been changed.
    private static func checkLedgers(_ reader: LedgerReader, _ store: String) throws {
        for host in try reader.hosts() {
            guard let problem = try reader.verify(host).first else { continue }
            throw Failure(
                .cannotAnswer,
                "the ledger of \(host) in \(store) is not as it was written (\(problem)), so its records prove nothing: "
                    + "'artifactfs audit \(Shell.quoted(store))' says more")
        }
    }

    /// All that were chosen.
    var all: [Proving.Sealed] { chosen.all }

    /// How many are there of which this user is shown no record.
    var withoutRecord: Int { chosen.withoutRecord }

    /// Where an artifact is, for people.
    func place(of one: Proving.Sealed) -> String { chosen.location(of: one).path }

    /// Reads an artifact, and says what it is.
    mutating func read(_ one: Proving.Sealed) throws -> ReadArtifact {
        _ = try records.find(at: one.path)
        guard let id = records.index.sealed(at: one.path).last, let record = try records.whole([id])[id] else {
            return .unknown("no record of it is shown to you")
        }
        let version = records.index.version(of: id)
        guard let sha256 = record.artifact.sha256,
            let name = AttestedName(path: one.path, version: version, sha256: sha256, key: key)
        else { return .unknown("its record has no hash") }
        let (path, isReal) = chosen.location(of: one)
        let (proof, contents) = SealedProof.reading(path, sha256: sha256, size: record.artifact.size, isReal: isReal)
        switch proof {
        case .whole: break
        case .differs(let why): return .differs(why)
        case .missing: return .differs("it was sealed, and nothing is there")
        case .unknown(let why): return .unknown(why)
        case .evicted(let mirror): return .unknown(Proving.words(ofEvictedTo: mirror))
        }
        var files: [ModelStatement.Resource] = []
        for file in contents.files {
            guard let text = String(validating: file.path, as: UTF8.self) else {
                let shown = String(decoding: file.path, as: UTF8.self)
                return .unknown("'\(shown)' in it has a name that is not UTF-8 text, which no signature can name")
            }
            files.append(.init(name: text.isEmpty ? ModelStatement.itself : text, sha256: file.sha256))
        }
        let last = one.path.utf8.split(separator: UInt8(ascii: "/")).last.flatMap { String($0) } ?? one.path
        return .whole(
            SignedStatements(
                name: name, model: ModelStatement(name: last, resources: files),
                provenance: ProvenanceStatement.json(
                    of: record, path: one.path, files: files, isDirectory: contents.isDirectory)))
    }
}
