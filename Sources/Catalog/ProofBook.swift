internal import ArtifactRecords
internal import FoundationEssentials
internal import GRDB
internal import SystemCalls
internal import SystemPackage

/// When artifacts were last proved to be what was sealed. It stands beside the catalog (DISK FORMAT, "The catalog"): where it is lost, they are
/// proved again.
public final class ProofBook {
    private let queue: DatabaseQueue

    /// - Parameter store: its directory, every link in it resolved.
    /// - Throws: when it can be written nowhere.
    public init(of store: String) throws {
        var failure: (any Error)?
        for place in CatalogPlace.all(of: store) {
            do {
                try place.make()
                let path = place.directory + "/proofs.sqlite"
                var configuration = Configuration()
                configuration.busyMode = .timeout(10)
                let queue = try DatabaseQueue(path: path, configuration: configuration)
                try queue.write { database in
                    try database.execute(
                        sql: """
                            CREATE TABLE IF NOT EXISTS proof(path TEXT PRIMARY KEY, sha256 BLOB NOT NULL, time INTEGER NOT NULL) WITHOUT ROWID
                            """)
                }
                self.queue = queue
                return
            } catch { failure = error }
        }
        throw failure ?? Errno.noSuchFileOrDirectory
    }

    /// The same of a book that is there, which is only read.
    public static func time(of path: String, sha256: String, in store: String) -> Int64? {
        guard let hash = HexadecimalText.bytes(sha256) else { return nil }
        for place in CatalogPlace.all(of: store) {
            let file = place.directory + "/proofs.sqlite"
            var configuration = Configuration()
            configuration.readonly = true
            guard (try? SystemCall.attributes(atPath: file)) != nil,
                let queue = try? DatabaseQueue(path: file, configuration: configuration)
            else { continue }
            let time = try? queue.read { database in
                try Int64.fetchOne(
                    database, sql: "SELECT time FROM proof WHERE path = ? AND sha256 = ?", arguments: [path, hash])
            }
            if let time = time ?? nil { return time }
        }
        return nil
    }

    /// When what has this hash was proved at a path, in nanoseconds since 1970; nil when it never was.
    public func time(of path: String, sha256: String) -> Int64? {
        guard let hash = HexadecimalText.bytes(sha256) else { return nil }
        return try? queue.read { database in
            try Int64.fetchOne(
                database.cachedStatement(sql: "SELECT time FROM proof WHERE path = ? AND sha256 = ?"),
                arguments: [path, hash])
        }
    }

    /// Notes what was proved.
    ///
    /// - Parameter time: in nanoseconds since 1970.
    public func note(_ proved: [(path: String, sha256: String)], at time: Int64) throws {
        try queue.write { database in
            let statement = try database.cachedStatement(sql: "INSERT OR REPLACE INTO proof VALUES (?, ?, ?)")
            for one in proved {
                guard let hash = HexadecimalText.bytes(one.sha256) else { continue }
                try statement.execute(arguments: [one.path, hash, time])
            }
        }
    }
}
