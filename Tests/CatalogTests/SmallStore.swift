import ArtifactRecords
import Glibc
import Queries
import SystemCalls
import SystemPackage
import TestSupport

@testable import Catalog

/// A store's directory with ledgers that a test writes.
final class SmallStore {
    let directory: TemporaryDirectory
    private let root: FileDescriptor
    private let ledgers: FileDescriptor
    private var next: [String: (seq: Int, hash: String)] = [:]

    init() throws {
        directory = try TemporaryDirectory()
        let path = directory.path
        for name in ["/.artifactfs", "/.artifactfs/ledger", "/base_layer", "/base_layer/dev", "/meta_layer"] {
            try SystemCall.makeDirectory(SystemCall.currentDirectory, path + name, 0o700)
        }
        root = try SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY)
        ledgers = try SystemCall.open(SystemCall.currentDirectory, path + "/.artifactfs/ledger", O_RDONLY | O_DIRECTORY)
    }

    deinit {
        SystemCall.close(root)
        SystemCall.close(ledgers)
    }

    var source: CatalogSource {
        CatalogSource(path: directory.path, root: root, ledgers: LedgerReader(directory: ledgers))
    }

    var catalogPath: String { directory.path + "/.artifactfs/catalog/catalog.sqlite" }

    func open(anew: Bool = false) throws -> Catalog { try Catalog.open(source, anew: anew) }

    /// Appends events to a host's ledger, as a driver does.
    func append(_ events: [LedgerEvent], at time: String = "2026-02-15T14:30:22.000000000Z", host: String = "node")
        throws
    {
        var text: [UInt8] = []
        for event in events {
            let (seq, hash) = next[host] ?? (1, String(repeating: "0", count: 64))
            var object: JSONObject = [
                "seq": .integer(Int64(seq)), "prev": .string(hash), "time": .string(time), "event": .string(event.name),
            ]
            for (key, value) in event.members.sorted { object[key] = value }
            let line = Array(JSONValue.object(object).description.utf8)
            next[host] = (seq + 1, try SHA256.digest(line))
            text += line + [UInt8(ascii: "\n")]
        }
        let file = try SystemCall.open(
            ledgers, host + ".jsonl", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        defer { SystemCall.close(file) }
        try SystemCall.write(file, text)
    }

    /// Appends a line that is none.
    func appendText(_ text: String, host: String) throws {
        let (seq, _) = next[host] ?? (1, "")
        next[host] = (seq + 1, try SHA256.digest(text.utf8))
        let file = try SystemCall.open(ledgers, host + ".jsonl", O_WRONLY | O_APPEND)
        defer { SystemCall.close(file) }
        try SystemCall.write(file, Array((text + "\n").utf8))
    }

    /// The events of something that is sealed.
    static func sealing(
        _ record: ArtifactRecord, staged: String, directory: String = "base_layer", name: String = "x"
    ) -> SealIntent {
        SealIntent(
            mount: "m", staged: staged, directory: directory, name: name, inode: 1, size: record.artifact.size ?? 0,
            modified: "2026-02-15T14:30:22.000000000Z", sha256: record.artifact.sha256 ?? "", record: record.json)
    }

    /// A record of a path.
    static func record(_ path: String, _ change: (inout ArtifactRecord) -> Void = { _ in }) -> ArtifactRecord {
        var record = ArtifactRecord()
        record.artifact.path = path
        record.artifact.state = .sealed
        change(&record)
        return record
    }
}

extension Catalog {
    /// The paths that a query finds, sorted.
    func paths(_ query: String) throws -> [String] {
        try values(try Query(query, of: .artifacts, .utc(now: 1_794_659_415)), [Field(.path)]).map { $0[0].text }
            .sorted()
    }

    func values(_ query: Query, _ columns: [Field], _ subject: QuerySubject = .artifacts) throws -> [[CatalogValue]] {
        var rows: [[CatalogValue]] = []
        try find(query, subject, columns: columns) { row in
            rows.append(row)
            return true
        }
        return rows
    }
}
