public import ArtifactRecords
internal import FoundationEssentials
internal import Glibc
internal import GRDB
public import Queries
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// An index over the ledgers and the sessions of a store, for who may read those: SQLite's, made anew at any time, and never the truth.
public final class Catalog {
    let queue: DatabaseQueue
    /// The file; nil when it is in memory only.
    public let path: String?
    /// Whether another process brings it up to date, and it may lack the newest.
    public private(set) var isBehind = false
    /// Whether a ledger was not the one that had been read before: lines that were known are gone, or are others.
    public private(set) var foundOther = false
    /// What became of what was there before, for people; nil when nothing did.
    public private(set) var remark: String?

    /// How far making it has come.
    public typealias HowFar = (_ done: Int64, _ all: Int64) -> Void

    private init(_ queue: DatabaseQueue, path: String?) { (self.queue, self.path) = (queue, path) }

    // MARK: - Opening

    /// Opens a store's catalog, with all that there is by now.
    ///
    /// - Parameters:
    ///   - store: what is read.
    ///   - anew: whether it is made from the beginning.
    ///   - progress: called now and then while much is read.
    public static func open(_ store: CatalogSource, anew: Bool = false, progress: HowFar = { _, _ in }) throws
        -> Catalog
    {
        var remark: String?
        for place in CatalogPlace.all(of: store.path) {
            do {
                return try open(place, store, anew, progress, &remark)
            } catch let error as DatabaseError where isOfPlace(error) {
                remark =
                    "the catalog cannot be written to \(place.directory) (\(error.message ?? "\(error.resultCode)"))"
            } catch let error as Errno where error != .permissionDenied {
                remark = "the catalog cannot be written to \(place.directory) (\(error))"
            }
        }
        // Nothing can be kept: it is made for this question.
        let catalog = Catalog(try DatabaseQueue(configuration: configuration()), path: nil)
        catalog.remark = remark
        try catalog.fill(store, progress, isNew: true)
        return catalog
    }

    /// A text's hash, the same on every machine (FNV-1a, 64 bits).
    public static func stableHash(of text: String) -> Int64 { CatalogTables.hash(text) }

    /// Whether this user keeps a catalog of a store already.
    public static func isKept(of store: String) -> Bool {
        CatalogPlace.all(of: store).contains { (try? SystemCall.attributes(atPath: $0.path)) != nil }
    }

    /// A run as somebody knows it who reads no ledger.
    public struct ToldRun {
        let line: LedgerEvent.RunLine
        let begun: String
        let hasEnded: Bool
        let metrics: JSONValue?

        /// A run.
        ///
        /// - Parameters:
        ///   - line: with all that is known of it.
        ///   - begun: as the ledger has times; empty when that is not known.
        ///   - metrics: what its session's `metadata.json` says.
        public init(_ line: LedgerEvent.RunLine, begun: String, hasEnded: Bool, metrics: JSONValue?) {
            (self.line, self.begun, self.hasEnded, self.metrics) = (line, begun, hasEnded, metrics)
        }
    }

    /// An artifact as somebody knows it who reads no ledger.
    public struct ToldArtifact {
        let record: ArtifactRecord
        let quarantined: String?
        let contents: [UInt8]?

        /// An artifact.
        ///
        /// - Parameters:
        ///   - quarantined: its name in quarantine; nil of what is sealed.
        ///   - contents: of a file of metrics.
        public init(_ record: ArtifactRecord, quarantined: String? = nil, contents: [UInt8]? = nil) {
            (self.record, self.quarantined, self.contents) = (record, quarantined, contents)
        }
    }

    /// Whether an artifact has metrics, which are read of the file.
    public static func hasMetrics(_ record: ArtifactRecord) -> Bool { CatalogWriter.isOfMetrics(record) }

    /// Of records that somebody has, in memory only.
    static func of(_ records: [ArtifactRecord]) throws -> Catalog { try of(records.map { ToldArtifact($0) }, runs: []) }

    /// Of artifacts and runs that somebody knows, in memory only.
    public static func of(_ artifacts: [ToldArtifact], runs: [ToldRun]) throws -> Catalog {
        let catalog = Catalog(try DatabaseQueue(configuration: configuration()), path: nil)
        try catalog.queue.write { database in
            try database.execute(sql: CatalogTables.create)
            let writer = try CatalogWriter(database, isFirst: true)
            for run in runs { try writer.add(run.line, begun: run.begun, hasEnded: run.hasEnded, metrics: run.metrics) }
            for artifact in artifacts {
                let added = try writer.add(artifact.record, nil, nil, quarantined: artifact.quarantined)
                let values = artifact.contents.flatMap { MeasuredValues(of: $0, artifact.record.artifact.format) }
                if let added, let values {
                    try writer.add(values, artifact: added.artifact, run: added.run, session: nil)
                }
            }
            try database.execute(sql: CatalogTables.index + CatalogTables.count)
        }
        return catalog
    }

    /// What another place may do for.
    private static func isOfPlace(_ error: DatabaseError) -> Bool {
        [.SQLITE_FULL, .SQLITE_IOERR, .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM].contains(
            error.resultCode)
    }

    /// What is no catalog, or none any more.
    private static func isBroken(_ error: DatabaseError) -> Bool {
        [.SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_ERROR, .SQLITE_MISMATCH, .SQLITE_CONSTRAINT].contains(
            error.resultCode)
    }

    private static func open(
        _ place: CatalogPlace, _ store: CatalogSource, _ anew: Bool, _ progress: HowFar, _ remark: inout String?
    ) throws -> Catalog {
        try place.make()
        let lock = try CatalogLock(place.lock)
        // It is not made anew beside another who makes it.
        guard lock.isHeld || !anew else { throw CatalogError.busy(place.directory) }
        if lock.isHeld {
            do {
                return try open(place, store, anew, progress)
            } catch let error as DatabaseError where [.SQLITE_BUSY, .SQLITE_LOCKED].contains(error.resultCode) {
                throw CatalogError.busy(place.directory)
            } catch let error as DatabaseError where isBroken(error) {
                remark = "the catalog was damaged (\(error.message ?? "\(error.resultCode)")): it was made anew"
                try remove(place)
                let catalog = try open(place, store, anew, progress)
                catalog.remark = remark
                return catalog
            }
        }
        // Somebody else brings it up to date for longer than people wait: it answers with what it has.
        let queue = try DatabaseQueue(path: place.path, configuration: configuration(readOnly: true))
        guard try queue.read({ try Self.version(of: $0) }) == CatalogTables.version else {
            throw CatalogError.busy(place.directory)
        }
        let catalog = Catalog(queue, path: place.path)
        catalog.isBehind = true
        return catalog
    }

    private static func remove(_ place: CatalogPlace) throws(Errno) {
        for suffix in ["-wal", "-shm", "-journal", ""] {
            if unlink(place.path + suffix) != 0, errno != ENOENT { throw Errno(rawValue: errno) }
        }
    }

    private static func version(of database: Database) throws -> Int {
        try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    }

    private static func configuration(readOnly: Bool = false) -> Configuration {
        var configuration = Configuration()
        configuration.readonly = readOnly
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { database in
            database.add(function: expression)
            try database.execute(
                sql: "PRAGMA cell_size_check = ON; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY")
        }
        return configuration
    }

    /// `A REGEXP B` of SQLite.
    private static let expression = DatabaseFunction("regexp", argumentCount: 2, pure: true) { values in
        guard let pattern = String.fromDatabaseValue(values[0]), let text = String.fromDatabaseValue(values[1]) else {
            return nil
        }
        return try PatternCache.shared.pattern(pattern).fits(text)
    }

    /// With the lock held.
    private static func open(_ place: CatalogPlace, _ store: CatalogSource, _ anew: Bool, _ progress: HowFar) throws
        -> Catalog
    {
        if try make(place) { return try open(new: place, store, progress) }
        let queue = try DatabaseQueue(path: place.path, configuration: configuration())
        guard try queue.read({ try Self.version(of: $0) }) == CatalogTables.version else {
            // Of another version, or its making was stopped.
            try queue.close()
            try remove(place)
            _ = try make(place)
            return try open(new: place, store, progress)
        }
        try queue.writeWithoutTransaction { database in
            // What a large statement changes is kept beside, until it is done: in memory that would be as large.
            try database.execute(sql: "PRAGMA synchronous = NORMAL" + (anew ? "; PRAGMA temp_store = FILE" : ""))
        }
        let catalog = Catalog(queue, path: place.path)
        try catalog.fill(store, progress, isNew: anew)
        return catalog
    }

    /// Nobody uses it before it has its number: whoever finds it without makes it anew.
    private static func open(new place: CatalogPlace, _ store: CatalogSource, _ progress: HowFar) throws -> Catalog {
        let filled = try DatabaseQueue(path: place.path, configuration: configuration())
        try filled.writeWithoutTransaction {
            try $0.execute(sql: "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE")
        }
        do { try Catalog(filled, path: place.path).fill(store, progress, isNew: true) } catch {
            // On a full disk it takes no room.
            try? filled.close()
            try? remove(place)
            throw error
        }
        try filled.close()
        let queue = try DatabaseQueue(path: place.path, configuration: configuration())
        try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
            try database.execute(sql: "PRAGMA user_version = \(CatalogTables.version)")
        }
        return Catalog(queue, path: place.path)
    }

    /// Makes the file; false when it is there.
    private static func make(_ place: CatalogPlace) throws(Errno) -> Bool {
        do throws(Errno) {
            let file = try SystemCall.open(
                SystemCall.currentDirectory, place.path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
            defer { SystemCall.close(file) }
            return true
        } catch {
            guard error == .fileExists else { throw error }
            return false
        }
    }

    // MARK: - Filling

    /// Takes up what is new, or all.
    private func fill(_ store: CatalogSource, _ progress: HowFar, isNew: Bool) throws {
        try queue.writeWithoutTransaction { database in
            try database.inTransaction(.immediate) {
                do {
                    try fill(database, store, progress, isNew: isNew)
                } catch LedgerReader.ReadingFailure.changed(let place) where !isNew {
                    // What was read is not what is there now.
                    remark = "the ledger \(place.file) is not the one that was read before: the catalog was made anew"
                    foundOther = true
                    try fill(database, store, progress, isNew: true)
                }
                return .commit
            }
        }
    }

    private func fill(
        _ database: Database, _ store: CatalogSource, _ progress: HowFar, isNew: Bool
    ) throws {
        let (reader, files) = (store.ledgers, StoreFiles(store.root))
        let hosts = try reader.hosts()
        let places = isNew ? [:] : try Self.places(database)
        // A ledger that is gone had what the catalog still has.
        if let gone = places.first(where: { !hosts.contains($0.key) }) {
            throw LedgerReader.ReadingFailure.changed(gone.value)
        }
        if isNew {
            try CatalogTables.drop(database)
            try database.execute(sql: CatalogTables.create)
        }
        let writer = try CatalogWriter(database, isFirst: isNew)
        let starts = hosts.map { places[$0] ?? LedgerCursor(beginningOf: $0) }
        let all = try starts.reduce(0) { $0 + (try reader.length(from: $1)) }
        var done: Int64 = 0
        for (host, start) in zip(hosts, starts) {
            let end = try Self.read(reader, host, from: start, into: writer, files) { length in
                done += length
                progress(done, all)
            }
            try Self.keep(end, of: host, database)
        }
        try writer.addUnsettled(reader, files)
        try writer.addSessions(files, all: isNew)
        if isNew {
            try database.execute(sql: CatalogTables.index + "; ANALYZE")
            try writer.takeNames()
            try writer.findReplaced()
            try database.execute(sql: CatalogTables.count)
        } else {
            try writer.takeNames()
        }
        if writer.broken > 0 {
            try database.execute(sql: "UPDATE trouble SET lines = lines + ?", arguments: [writer.broken])
        }
        let lines = try Int.fetchOne(database, sql: "SELECT lines FROM trouble") ?? 0
        if lines > 0 {
            remark =
                lines == 1
                ? "a line of the ledger is not as it was written: what it told is not found"
                : "\(lines) lines of the ledger are not as they were written: what they told is not found"
        }
    }

    private static func read(
        _ reader: LedgerReader, _ host: String, from start: LedgerCursor, into writer: CatalogWriter,
        _ files: StoreFiles, _ hasRead: (Int64) -> Void
    ) throws -> LedgerCursor {
        var failure: (any Error)?
        let parser = LineParser()
        var lines: [LineParser.RawLine] = []
        var length: Int64 = 0
        func write() {
            let parsed = parser.swap(lines)
            hasRead(length)
            (lines, length) = ([], 0)
            guard failure == nil else { return }
            do { for line in parsed { try writer.add(line, of: host, files) } } catch { failure = error }
        }
        let end = try reader.readLines(from: start) { bytes, place in
            guard failure == nil else { return }
            lines.append((Array(bytes), place))
            length += Int64(bytes.count) + 1
            if length > batch { write() }
        }
        // What is given, and what is read meanwhile.
        for _ in 0..<2 { write() }
        if let failure { throw failure }
        return end
    }

    /// So much is read while as much is written, in bytes.
    private static let batch: Int64 = 256 << 10

    private static func places(_ database: Database) throws -> [String: LedgerCursor] {
        var places: [String: LedgerCursor] = [:]
        for row in try Row.fetchAll(database, sql: "SELECT host, file, offset, seq, hash FROM ledger") {
            places[row["host"]] = LedgerCursor(
                file: row["file"], offset: row["offset"], seq: row["seq"], hash: row["hash"])
        }
        return places
    }

    private static func keep(_ place: LedgerCursor, of host: String, _ database: Database) throws {
        try database.execute(
            sql: "INSERT OR REPLACE INTO ledger(host, file, offset, seq, hash) VALUES (?, ?, ?, ?, ?)",
            arguments: [host, place.file, place.offset, place.seq, place.hash])
    }

    // MARK: - Asking

    /// What is found, a row each.
    ///
    /// - Parameters:
    ///   - columns: what is told of each.
    ///   - order: by which field, and whether the greatest come first; nil for the newest first.
    ///   - limit: at most so many; nil for all.
    ///   - wanted: about so many are wanted, and `body` ends it.
    ///   - body: called with the values of each row, in the order of the columns; false ends it.
    /// - Throws: ``PatternError`` when the query has an expression that is none.
    public func find(
        _ query: Query, _ subject: QuerySubject, columns: [Field], order: [(field: Field, isDescending: Bool)] = [],
        limit: Int? = nil, wanted: Int? = nil, _ body: ([CatalogValue]) throws -> Bool
    ) throws {
        try withFound(query, subject, columns: columns, order: order, limit: limit, wanted: wanted) { rows in
            while let row = try rows.next() {
                if try !body(row) { return }
            }
        }
    }

    /// The same, for who takes the rows one by one.
    ///
    /// - Parameter body: called with the rows. It may ask other catalogs meanwhile.
    public func withFound(
        _ query: Query, _ subject: QuerySubject, columns: [Field], order: [(field: Field, isDescending: Bool)] = [],
        limit: Int? = nil, wanted: Int? = nil, _ body: (FoundRows) throws -> Void
    ) throws {
        for pattern in query.patterns { _ = try PatternCache.shared.pattern(pattern) }
        try reading { database in
            var plan = QuerySQL.Plan.sort
            if subject == .artifacts, QuerySQL.hasIndex(order), let limit = limit ?? wanted, limit > 0, limit < Self.few
            {
                var sql = QuerySQL(subject)
                let most = Self.enough * limit
                let statement = sql.count(query, upTo: most)
                let count = try Int.fetchOne(database, sql: statement, arguments: StatementArguments(sql.arguments))
                if count == most { plan = .walk }
            }
            var sql = QuerySQL(subject)
            let statement = sql.statement(query, columns, order, limit, plan)
            let rows = try Row.fetchCursor(database, sql: statement, arguments: StatementArguments(sql.arguments))
            try body(FoundRows(rows, columns, database, path ?? "memory"))
        }
    }

    /// When not more are wanted, and so many times as many are there, they are looked for among the newest.
    private static let (few, enough) = (10_000, 20)

    /// Artifacts in groups of a field's values: how many, and how many bytes together, the most bytes first.
    public func groups(
        of query: Query, by field: Field
    ) throws -> [(value: CatalogValue, artifacts: Int64, bytes: Int64)] {
        for pattern in query.patterns { _ = try PatternCache.shared.pattern(pattern) }
        var sql = QuerySQL(.artifacts)
        let statement = sql.groups(query, field)
        let arguments = StatementArguments(sql.arguments)
        return try reading { database in
            try Row.fetchAll(database, sql: statement, arguments: arguments).map { row in
                (CatalogValue(row[0], field), row[1], row[2])
            }
        }
    }

    /// How much is sealed of each type, by the names of layers and types.
    public func inventory() throws -> [(layer: String, type: String, artifacts: Int64, bytes: Int64)] {
        try reading { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT (SELECT value FROM text WHERE id = layer), (SELECT value FROM text WHERE id = type), artifacts, bytes
                    FROM inventory WHERE artifacts > 0
                    """
            ).map { ($0[0] ?? "", $0[1] ?? "", $0[2], $0[3]) }
        }
    }

    /// The keys of a type's artifacts, sealed or not, each once.
    ///
    /// - Parameter most: no more are looked for.
    public func keys(ofType type: String, most: Int) throws -> [String] {
        try reading { database in
            // From a key to the next one: there are many artifacts of each.
            try String.fetchAll(
                database,
                sql: """
                    WITH RECURSIVE
                        named(id) AS (SELECT id FROM text WHERE hash = ?1 AND value = ?2),
                        found(key) AS (
                            SELECT min("key") FROM artifact WHERE type = (SELECT id FROM named) AND "key" IS NOT NULL
                            UNION ALL
                            SELECT (SELECT min("key") FROM artifact WHERE type = (SELECT id FROM named) AND "key" > found.key)
                            FROM found WHERE found.key IS NOT NULL LIMIT ?3)
                    SELECT value FROM found JOIN text ON text.id = found.key
                    """,
                arguments: [CatalogTables.hash(type), type, most])
        }
    }

    /// How many there are.
    public func count(_ query: Query, _ subject: QuerySubject) throws -> Int {
        var sql = QuerySQL(subject)
        let statement = sql.count(query)
        let arguments = StatementArguments(sql.arguments)
        return try reading { try Int.fetchOne($0, sql: statement, arguments: arguments) ?? 0 }
    }
}

/// The store that a catalog is of.
public struct CatalogSource: Sendable {
    /// Its directory, every link in it resolved.
    let path: String
    let ledgers: LedgerReader
    /// The same directory, open as long as this is used.
    let root: FileDescriptor

    /// A store.
    ///
    /// - Parameters:
    ///   - path: its directory, every link in it resolved.
    ///   - root: the same directory, open as long as this is used.
    public init(path: String, root: FileDescriptor, ledgers: LedgerReader) {
        (self.path, self.root, self.ledgers) = (path, root, ledgers)
    }
}

extension Catalog {
    /// Asks, and says what SQLite cannot answer.
    func reading<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do { return try queue.read(body) } catch let error as DatabaseError {
            throw CatalogError(error, in: path ?? "memory")
        }
    }
}

/// What a catalog cannot do.
public enum CatalogError: Error, Sendable {
    /// Another process is making it, in this directory.
    case busy(String)
    /// It is damaged: it is to be made anew.
    case damaged
    /// A question has more than SQLite takes; what, in its words.
    case tooMuch(String)
    /// The system refuses, in SQLite's words.
    case system(String)

    init(_ error: DatabaseError, in place: String) {
        self =
            switch error.resultCode {
            case .SQLITE_CORRUPT, .SQLITE_NOTADB: .damaged
            case .SQLITE_BUSY, .SQLITE_LOCKED: .busy(place)
            case .SQLITE_ERROR, .SQLITE_TOOBIG, .SQLITE_NOMEM, .SQLITE_RANGE:
                .tooMuch(error.message ?? "\(error.resultCode)")
            default: .system(error.message ?? "\(error.resultCode)")
            }
    }
}

/// Expressions that are compiled once.
private final class PatternCache: Sendable {
    static let shared = PatternCache()
    private let state = Lock<[String: PosixPattern]>([:])

    func pattern(_ text: String) throws -> PosixPattern {
        if let known = state.withLock({ $0[text] }) { return known }
        let made = try PosixPattern(text)
        state.withLock { state in
            if state.count >= 64 { state = [:] }
            state[text] = made
        }
        return made
    }
}

/// The `flock` of who brings a catalog up to date. Others wait for it a moment, and do without it then.
private final class CatalogLock {
    private let file: FileDescriptor
    let isHeld: Bool

    /// In steps of 20 ms.
    private static let patience = 250

    init(_ path: String) throws(Errno) {
        file = try SystemCall.open(SystemCall.currentDirectory, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
        isHeld = Self.take(file)
    }

    private static func take(_ file: FileDescriptor) -> Bool {
        for _ in 0..<patience {
            do throws(Errno) {
                try SystemCall.lock(file, waiting: false)
                return true
            } catch {
                guard error == .wouldBlock else { return false }
                usleep(20_000)
            }
        }
        return false
    }

    deinit { SystemCall.closeLock(file) }
}
