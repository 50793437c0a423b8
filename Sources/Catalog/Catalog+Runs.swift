public import ArtifactRecords
internal import FoundationEssentials
internal import GRDB
internal import Queries

/// All that a catalog knows of runs, to be compared.
extension Catalog {
    /// The runs that a name means: the one of that id, or all whose ids begin so, the newest first.
    public func runs(named name: String) throws -> [String] {
        try reading { database in
            let isWhole = try Bool.fetchOne(
                database.cachedStatement(
                    sql:
                        "SELECT EXISTS(SELECT 1 FROM text t JOIN run r ON r.id = t.id WHERE t.hash = ? AND t.value = ?)"
                ),
                arguments: [CatalogTables.hash(name), name])
            if isWhole == true { return [name] }
            let pattern = String(name.flatMap { "%_\\".contains($0) ? ["\\", $0] : [$0] }) + "%"
            return try String.fetchAll(
                database,
                sql: """
                    SELECT value FROM run r JOIN text t ON t.id = r.id WHERE value LIKE ? ESCAPE '\\' ORDER BY begun DESC
                    """,
                arguments: [pattern])
        }
    }

    /// What is known of runs, in the order in which they are named.
    public func facts(of runs: [String]) throws -> [RunFacts] {
        try reading { database in
            var all: [Int64: RunFacts] = [:]
            var order: [Int64] = []
            for name in runs {
                let id = try Int64.fetchOne(
                    database, sql: "SELECT id FROM text WHERE hash = ? AND value = ?",
                    arguments: [CatalogTables.hash(name), name])
                guard let id, all[id] == nil else { continue }
                all[id] = RunFacts(name)
                order.append(id)
            }
            let list = order.map { "\($0)" }.joined(separator: ",")
            try Self.addRuns(database, list, &all)
            try Self.addParameters(database, list, &all)
            try Self.addMetrics(database, list, &all)
            try Self.addInputs(database, list, &all)
            try Self.addArtifacts(database, list, &all)
            return order.compactMap { all[$0] }
        }
    }

    static func text(_ column: String) -> String { "(SELECT value FROM text WHERE id = \(column))" }

    private static func addRuns(_ database: Database, _ runs: String, _ all: inout [Int64: RunFacts]) throws {
        let state = QuerySQL.runState
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT r.id, \(text("r.experiment")), \(text("r.user")), \(text("r.host")), \(text("r.command")), \(state), \
                r.status, r.signal, r."commit", r.dirty, r.begun, r.seconds, \(text("r.session")) FROM run r WHERE r.id IN (\(runs))
                """)
        let columns: [(section: RunFacts.Section, name: String, kind: Field)] = [
            (.run, "experiment", Field(.experiment)), (.run, "user", Field(.user)), (.run, "host", Field(.host)),
            (.run, "command", Field(.command)), (.run, "state", Field(.state)), (.run, "status", Field(.status)),
            (.run, "signal", Field(.status)), (.code, "commit", Field(.commit)), (.code, "dirty", Field(.dirty)),
            (.time, "begun", Field(.begun)), (.time, "seconds", Field(.seconds)), (.time, "session", Field(.session)),
        ]
        while let row = try rows.next() {
            let id: Int64 = row[0]
            for (place, column) in columns.enumerated() {
                all[id]?.add(column.section, column.name, CatalogValue(row[place + 1], column.kind))
            }
        }
    }

    private static func addParameters(_ database: Database, _ runs: String, _ all: inout [Int64: RunFacts]) throws {
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT run, \(text("name")), ifnull(number, \(text("text"))) FROM parameter WHERE run IN (\(runs))
                """)
        while let row = try rows.next() {
            let id: Int64 = row[0]
            all[id]?.add(.parameter, row[1], CatalogValue(row[2], Field(.param, "x")))
        }
    }

    /// The last value of each; what the session says counts more than a file of the run.
    private static func addMetrics(_ database: Database, _ runs: String, _ all: inout [Int64: RunFacts]) throws {
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT r.id, \(text("m.name")), m.last, 0 AS rank FROM run r JOIN metric m ON m.session = r.session WHERE r.id IN (\(runs))
                UNION ALL
                SELECT m.run, \(text("m.name")), m.last, 1 AS rank FROM metric m WHERE m.run IN (\(runs)) ORDER BY rank
                """)
        while let row = try rows.next() {
            let id: Int64 = row[0]
            // A metric whose last value is no number is told as such: it has been measured.
            let value: DatabaseValue = row[2]
            all[id]?.add(.metric, row[1], value.isNull ? .text("NaN") : CatalogValue(value, Field(.metric, "x")))
        }
    }

    private static func addInputs(_ database: Database, _ runs: String, _ all: inout [Int64: RunFacts]) throws {
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT DISTINCT a.run, \(text("i.path")), i.version, i.sha256 FROM artifact a JOIN input i ON i.artifact = a.id \
                WHERE a.run IN (\(runs))
                """)
        while let row = try rows.next() {
            let (id, path, version, hash): (Int64, String, Int64?, Data?) = (row[0], row[1], row[2], row[3])
            let words = [
                version.map { "version \($0)" }, hash.map { String(MessageDigest.hexadecimal($0).prefix(12)) },
            ]
            let known = words.compactMap { $0 }.joined(separator: ", ")
            all[id]?.add(.input, path, .text(known.isEmpty ? "read" : known))
        }
    }

    private static func addArtifacts(_ database: Database, _ runs: String, _ all: inout [Int64: RunFacts]) throws {
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT run, \(text("directory")) || '/' || name, "rows", size, sha256, \(text("state")) FROM artifact \
                WHERE run IN (\(runs)) ORDER BY id
                """)
        while let row = try rows.next() {
            let (id, path, count, size): (Int64, String, Int64?, Int64?) = (row[0], row[1], row[2], row[3])
            let (hash, state): (Data?, String?) = (row[4], row[5])
            let words = [
                count.map { "\($0) rows" }, size.map { "\($0) bytes" },
                hash.map { String(MessageDigest.hexadecimal($0).prefix(12)) },
                state == ArtifactRecord.State.sealed.rawValue ? nil : "kept back",
            ]
            all[id]?.add(.artifact, path, .text(words.compactMap { $0 }.joined(separator: ", ")))
        }
    }

    /// A metric of runs over its steps: of each run that has it, in the order in which they are named.
    ///
    /// - Parameter name: the whole name, or the end of it after a dot.
    public func series(of name: String, runs: [String]) throws -> [(run: String, points: [(x: Double, y: Double)])] {
        try reading { database in
            var found: [(run: String, points: [(x: Double, y: Double)])] = []
            for run in runs {
                var sql = QuerySQL(.runs)
                let statement = sql.series(of: name, run: run)
                let row = try Row.fetchOne(database, sql: statement, arguments: StatementArguments(sql.arguments))
                guard let row else { continue }
                let (last, steps): (Double?, Data?) = (row[0], row[1])
                let points = steps.map(Self.points) ?? last.map { [(x: 0, y: $0)] } ?? []
                if !points.isEmpty { found.append((run, points)) }
            }
            return found
        }
    }

    /// As ``CatalogWriter`` packs them.
    private static func points(_ data: Data) -> [(x: Double, y: Double)] {
        data.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count - 15, by: 16).map { place in
                let (x, y) = (
                    bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self),
                    bytes.loadUnaligned(fromByteOffset: place + 8, as: UInt64.self)
                )
                return (Double(bitPattern: UInt64(littleEndian: x)), Double(bitPattern: UInt64(littleEndian: y)))
            }
        }
    }

    /// The names of metrics and parameters that most of some runs have, those of the most first.
    public func commonNames(of runs: [String], most: Int) throws -> (parameters: [String], metrics: [String]) {
        try reading { database in
            let ids = try Self.numbers(of: runs, database)
            let list = ids.map { "\($0)" }.joined(separator: ",")
            func names(_ sql: String) throws -> [String] {
                try String.fetchAll(
                    database,
                    sql:
                        "SELECT \(Self.text("name")) FROM (\(sql)) GROUP BY name ORDER BY count(*) DESC, name LIMIT \(2 * most)"
                )
            }
            let metrics = try names(
                """
                SELECT r.id, m.name FROM run r JOIN metric m ON m.session = r.session WHERE r.id IN (\(list)) AND m.last IS NOT NULL
                UNION SELECT run, name FROM metric WHERE run IN (\(list)) AND last IS NOT NULL
                """)
            return (
                try Array(names("SELECT DISTINCT run, name FROM parameter WHERE run IN (\(list))").prefix(most)),
                Array(metrics.filter { !MeasuredValues.countsSteps($0) }.prefix(most))
            )
        }
    }

    /// Whether a metric counts the steps, and measures nothing.
    public static func countsSteps(_ metric: String) -> Bool { MeasuredValues.countsSteps(metric) }

    static func numbers(of names: [String], _ database: Database) throws -> [Int64] {
        let statement = try database.cachedStatement(sql: "SELECT id FROM text WHERE hash = ? AND value = ?")
        return try names.compactMap { name in
            try Int64.fetchOne(statement, arguments: [CatalogTables.hash(name), name])
        }
    }

    /// Where the records are of what was sealed at a path, the newest first.
    public func records(at path: String) throws -> [LinePlace] {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return [] }
        let (directory, name) = (String(path[..<slash]), String(path[path.utf8.index(after: slash)...]))
        return try reading { database in
            guard let id = try Self.numbers(of: [directory], database).first else { return [] }
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT \(Self.text("ledger")), file, offset, length FROM artifact
                    WHERE directory = ? AND name = ? AND quarantined IS NULL AND ledger IS NOT NULL ORDER BY sealed DESC, id DESC
                    """, arguments: [id, name])
            return rows.compactMap(LinePlace.init)
        }
    }

    /// Where the record is of the first artifact of each run that made any, by the runs' names.
    public func firstRecords(of runs: [String]) throws -> [String: LinePlace] {
        try reading { database in
            var found: [String: LinePlace] = [:]
            for name in runs {
                let row = try Row.fetchOne(
                    database.cachedStatement(
                        sql: """
                            SELECT \(Self.text("ledger")), file, offset, length FROM artifact WHERE run = \
                            (SELECT id FROM text WHERE hash = ? AND value = ?) AND ledger IS NOT NULL ORDER BY id LIMIT 1
                            """), arguments: [CatalogTables.hash(name), name])
                if let place = row.flatMap(LinePlace.init) { found[name] = place }
            }
            return found
        }
    }
}

/// Where a line of a ledger is.
public struct LinePlace: Sendable, Hashable {
    let host: String
    let file: Int
    let offset: Int64
    let length: Int

    /// - Parameter row: host, file, offset and length.
    fileprivate init?(_ row: Row) {
        guard let host: String = row[0], let file: Int = row[1], let offset: Int64 = row[2], let length: Int = row[3]
        else { return nil }
        (self.host, self.file, self.offset, self.length) = (host, file, offset, length)
    }

    /// The record that is there; nil when the line is another one by now.
    public func record(in ledgers: LedgerReader) -> ArtifactRecord? {
        let span = LedgerReader.LineSpan(number: file, offset: offset, count: length)
        return (try? ledgers.line(of: host, at: span))?.record
    }
}

/// What is known of a run, name by name.
public struct RunFacts: Sendable {
    /// Its id.
    public let run: String
    /// What is known; what is not known is not there.
    public private(set) var values: [Key: CatalogValue] = [:]

    /// What something is of.
    public enum Section: Int, Sendable, CaseIterable {
        case run, code, parameter, metric, input, artifact, environment
        /// What differs between any two runs, and says nothing.
        case time
    }

    /// The name of something that is known.
    public struct Key: Sendable, Hashable, Comparable {
        public let section: Section
        public let name: String

        public init(_ section: Section, _ name: String) { (self.section, self.name) = (section, name) }

        /// As people call it.
        public var label: String {
            switch section {
            case .run, .code, .time: name
            case .parameter: "param." + name
            case .metric: "metric." + name
            case .input: "input " + name
            case .artifact: "made " + name
            case .environment: "env " + name
            }
        }

        public static func < (one: Key, other: Key) -> Bool {
            (one.section.rawValue, one.name) < (other.section.rawValue, other.name)
        }
    }

    /// Nothing is known of it yet.
    public init(_ run: String) { self.run = run }

    /// Adds what is not known yet.
    public mutating func add(_ section: Section, _ name: String, _ value: CatalogValue) {
        let key = Key(section, name)
        if value != .unknown, values[key] == nil { values[key] = value }
    }
}
