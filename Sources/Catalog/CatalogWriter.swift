internal import ArtifactFormats
internal import ArtifactRecords
internal import Artifacts
internal import FoundationEssentials
internal import Glibc
internal import GRDB
internal import SystemCalls

/// Writes what ledgers and sessions tell into a catalog, within one transaction.
final class CatalogWriter {
    private let database: Database
    private let insertText: RowStatement
    private let findText: RowStatement
    private let insertArtifact: RowStatement
    private let insertInput: RowStatement
    private let insertMetric: RowStatement
    private let insertParameter: RowStatement
    private let findSession: RowStatement
    /// The numbers of texts that came of late.
    private var texts: [String: Int64] = [:]
    private var userNames: [Int64: String] = [:]
    /// The names of metrics and parameters that were seen.
    private var measured: Set<Int64> = []
    /// What is about to get its name, or has it: until another line settles it.
    private var intents: [IntentName: (host: String, place: LedgerReader.LineSpan)] = [:]
    /// How many lines were no lines, or not whole ones.
    private(set) var broken = 0
    /// Whether the table is filled for the first time: then what was replaced is found at the end.
    private let isFirst: Bool
    /// Whether artifacts may be there of which only the intent was known.
    private let hadUnsettled: Bool

    /// Texts that are remembered: some 100 bytes each.
    private static let mostTexts = 20_000
    /// In bytes: a command or a note that is longer is cut in the catalog.
    private static let longestText = 4096
    /// So many inputs of an artifact are known to the catalog; the record has all.
    private static let mostInputs = 10_000

    init(_ database: Database, isFirst: Bool) throws {
        (self.database, self.isFirst) = (database, isFirst)
        insertText = try RowStatement(database, "INSERT INTO text(hash, value) VALUES (?, ?)")
        findText = try RowStatement(database, "SELECT id FROM text WHERE hash = ? AND value = ?")
        let columns = Self.columns.map { "\"\($0)\"" }.joined(separator: ",")
        let marks = Self.columns.map { _ in "?" }.joined(separator: ",")
        insertArtifact = try RowStatement(database, "INSERT INTO artifact(\(columns)) VALUES (\(marks))")
        insertInput = try RowStatement(database, "INSERT INTO input VALUES (?, ?, ?, ?, ?)")
        insertMetric = try RowStatement(database, "INSERT INTO metric VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        insertParameter = try RowStatement(database, "INSERT INTO parameter VALUES (?, ?, ?, ?)")
        findSession = try RowStatement(database, "SELECT session FROM run WHERE id = ?")
        hadUnsettled =
            try Bool.fetchOne(
                database, sql: "SELECT EXISTS(SELECT 1 FROM artifact WHERE intent IS NOT NULL)") ?? false
    }

    private static let columns = [
        "directory", "name", "type", "layer", "mode", "key", "format", "version", "session", "test", "run",
        "experiment", "user", "host", "program", "command", "commit", "dirty", "size", "rows", "columns", "sealed",
        "opened", "state", "sha256", "note", "quarantined", "intent", "ledger", "file", "offset", "length",
    ]

    /// Runs a statement, which is compiled once.
    private func execute(_ sql: String, _ arguments: StatementArguments) throws {
        try database.cachedStatement(sql: sql).execute(arguments: arguments)
    }

    // MARK: - Texts

    /// A text's number; nil of none.
    func number(of text: String?) throws -> Int64? {
        guard var text, !text.isEmpty else { return nil }
        if text.utf8.count > Self.longestText {
            text = String(decoding: text.utf8.prefix(Self.longestText), as: UTF8.self)
        }
        // A text ends for SQLite's functions where a zero byte is.
        if Self.hasZero(&text) { text = String(text.unicodeScalars.map { $0 == "\0" ? "\u{fffd}" : Character($0) }) }
        if let known = texts[text] { return known }
        let hash = CatalogTables.hash(text)
        func bind(_ row: inout RowBinding) {
            row.add(hash)
            row.add(text)
        }
        let found = try findText.run(bind)
        if found == nil { try insertText.run(bind) }
        let number = found ?? database.lastInsertedRowID
        if texts.count >= Self.mostTexts { texts = [:] }
        texts[text] = number
        return number
    }

    private static func hasZero(_ text: inout String) -> Bool {
        text.withUTF8 { bytes in bytes.baseAddress.map { memchr($0, 0, bytes.count) != nil } ?? false }
    }

    /// The number of the name of a metric or a parameter: there are few, which are looked through by their ends.
    private func number(ofMeasured name: String) throws -> Int64? {
        guard let number = try number(of: name) else { return nil }
        if measured.insert(number).inserted { try execute("INSERT OR IGNORE INTO measured VALUES (?)", [number]) }
        return number
    }

    // MARK: - What lines tell

    /// Takes up a line of a host's ledger.
    func add(_ parsed: ParsedLine, of host: String, _ files: StoreFiles) throws {
        switch parsed.matter {
        case .nothing: break
        case .broken: broken += 1
        // It says itself that the one before it was cut off.
        case .repaired: broken = max(0, broken - 1)
        case .intent(let name): intents[name] = (host, parsed.place)
        case .settled(let name): try settle(name)
        case .told(let line, let record, let settled):
            if let settled { try settle(settled) }
            try add(line, record, of: host, at: parsed.place, files)
        }
    }

    private func settle(_ name: IntentName) throws {
        intents[name] = nil
        guard hadUnsettled else { return }
        try forget(
            try Int64.fetchAll(
                database, sql: "SELECT id FROM artifact WHERE intent = ?", arguments: [name.text]))
    }

    /// Adds what has only its intent by now: its `sealed` line comes later, or its driver was killed and it has its name all the same.
    /// What a run makes that is all or nothing counts with its `sealed` line.
    func addUnsettled(_ reader: LedgerReader, _ files: StoreFiles) throws {
        for (name, found) in intents.sorted(by: { $0.key.text < $1.key.text }) {
            guard let line = try reader.line(of: found.host, at: found.place),
                case .sealIntent(let intent) = line.event,
                intent.together == nil
            else { continue }
            try settle(name)
            try add(line, line.record, of: found.host, at: found.place, files, intent: name)
        }
    }

    /// - Parameter record: the line's.
    private func add(
        _ line: LedgerLine, _ record: ArtifactRecord?, of host: String, at place: LedgerReader.LineSpan,
        _ files: StoreFiles, intent name: IntentName? = nil
    ) throws {
        switch line.event {
        case .sealed(let intent, _), .sealIntent(let intent):
            guard let record else { return }
            if let id = record.recovered?.id { try forget(quarantined: id) }
            let added = try add(record, host, place, intent: name)
            guard let added, Self.isOfMetrics(record) else { return }
            if let values = files.measured(intent.directory, intent.name, record.artifact.format) {
                try add(values, artifact: added.artifact, run: added.run, session: nil)
            }
        case .quarantined(_, let name):
            guard let record else { return }
            _ = try add(record, host, place, quarantined: name)
        case .discarded(let left), .takenOut(let left): try forget(quarantined: left.quarantined)
        case .unsealed(let artifact):
            let (directory, name) = CatalogPath.parts(of: artifact.path)
            try execute(
                "INSERT INTO leaving VALUES (?, ?, ?, ?, ?, ?)",
                [
                    try number(of: directory), name, HexadecimalText.bytes(artifact.sha256),
                    try number(of: artifact.unsealing.rawValue), Self.time(line.time), artifact.version,
                ])
        case .versionRemoved(let version):
            let (directory, name) = CatalogPath.parts(of: version.path)
            try execute(
                "INSERT INTO removing VALUES (?, ?, ?, ?)",
                [try number(of: directory), name, version.version, Self.time(line.time)])
        case .versionKept(let version):
            let (directory, name) = CatalogPath.parts(of: version.path)
            let place: StatementArguments = [try number(of: directory), name, version.version]
            try execute("DELETE FROM removing WHERE directory IS ? AND name = ? AND version = ?", place)
            try execute(
                "UPDATE artifact SET removed = NULL WHERE directory IS ? AND name = ? AND version IS ?", place)
        case .runBegun(let run): try begin(run, at: line.time, host)
        case .runEnded(let run): try end(run, at: line.time)
        case .sessionBegun(let session, _), .sessionResumed(let session, _):
            try execute(
                """
                INSERT INTO session(id, begun) VALUES (?, ?)
                ON CONFLICT(id) DO UPDATE SET begun = ifnull(begun, excluded.begun), ended = 0
                """, [try number(of: session), Self.time(line.time)])
        case .sessionRemoved(let session): try remove(session)
        // Its file is looked at again.
        case .sessionKept(let session, _, _):
            try execute("UPDATE session SET ended = 0 WHERE id = ?", [try number(of: session)])
        default: break
        }
    }

    static func isOfMetrics(_ record: ArtifactRecord) -> Bool {
        record.artifact.type.map { $0.hasSuffix("metrics") } ?? false
            && [".json", ".jsonl"].contains(record.artifact.format)
    }

    /// What was at a path and is another file by now: its real file was removed, and the name was given again.
    static let replaced = "replaced"

    /// Of those with one path that count as sealed only the newest is: lines of several hosts come in any order, and their clocks may be apart, so
    /// that a name's versions come first.
    private func replace(_ directory: Int64?, _ name: String, by artifact: Int64) throws {
        let sealed = try number(of: ArtifactRecord.State.sealed.rawValue)
        let newest = try Int64.fetchOne(
            database.cachedStatement(
                sql:
                    "SELECT id FROM artifact WHERE directory = ? AND name = ? AND state = ? ORDER BY ifnull(version, 1) DESC, sealed DESC, id DESC LIMIT 1"
            ),
            arguments: [directory, name, sealed])
        try execute(
            "UPDATE artifact SET state = ? WHERE directory = ? AND name = ? AND state = ? AND id != ?",
            [try number(of: Self.replaced), directory, name, sealed, newest ?? artifact])
    }

    /// Finds all that was replaced, once the paths have an index.
    func findReplaced() throws {
        try execute(
            """
            UPDATE artifact SET state = ?1 WHERE state = ?2 AND EXISTS (SELECT 1 FROM artifact b WHERE b.directory = artifact.directory
            AND b.name = artifact.name AND b.state = ?2 AND (ifnull(b.version, 1), b.sealed, b.id) > (ifnull(artifact.version, 1), artifact.sealed, artifact.id))
            """, [try number(of: Self.replaced), try number(of: ArtifactRecord.State.sealed.rawValue)])
    }

    /// Takes their names from those that were superseded or retracted, once all lines are read that there are, of whichever host, and the paths have
    /// an index. What is not known yet is waited for.
    func takeNames() throws {
        let rows = try Row.fetchAll(
            database,
            sql: "SELECT rowid, directory, name, sha256, state, \"left\", version FROM leaving ORDER BY \"left\", rowid"
        )
        let (sealed, replaced) = (
            try number(of: ArtifactRecord.State.sealed.rawValue), try number(of: Self.replaced)
        )
        for row in rows {
            let (directory, name, sha256, left): (Int64?, String, Data?, Int64?) = (row[1], row[2], row[3], row[5])
            let (id, state, version): (Int64, Int64, Int64?) = (row[0], row[4], row[6])
            // A successor may have the same bytes, and is sealed before what it succeeds has left. Clocks of hosts may differ: what was sealed
            // before counts first.
            let found = try Int64.fetchOne(
                database,
                sql: """
                    SELECT id FROM artifact WHERE directory IS ? AND name = ? AND sha256 IS ? AND quarantined IS NULL
                    AND state IN (?, ?) ORDER BY ifnull(version, 1) = ? DESC, sealed <= ? DESC, sealed DESC, id DESC LIMIT 1
                    """, arguments: [directory, name, sha256, sealed, replaced, version, left])
            guard let found else { continue }
            try execute(
                "UPDATE artifact SET state = ?, \"left\" = ?, version = ifnull(version, ?) WHERE id = ?",
                [state, left, version, found])
            try execute("DELETE FROM leaving WHERE rowid = ?", [id])
        }
        try noteRemoved()
    }

    /// Says of former versions that were removed to make room that they are not there.
    private func noteRemoved() throws {
        let rows = try Row.fetchAll(database, sql: "SELECT rowid, directory, name, version, removed FROM removing")
        for row in rows {
            let (id, directory, name): (Int64, Int64?, String) = (row[0], row[1], row[2])
            let (version, removed): (Int64, Int64?) = (row[3], row[4])
            // What says no version is the first.
            try execute(
                """
                UPDATE artifact SET removed = ? WHERE directory IS ? AND name = ? AND ifnull(version, 1) = ?
                AND quarantined IS NULL AND "left" IS NOT NULL
                """, [removed ?? 0, directory, name, version])
            if database.changesCount > 0 { try execute("DELETE FROM removing WHERE rowid = ?", [id]) }
        }
    }

    private func forget(quarantined name: String) throws {
        try forget(
            try Int64.fetchAll(
                database, sql: "SELECT id FROM artifact WHERE quarantined = ?", arguments: [name]))
    }

    private func forget(_ artifacts: [Int64]) throws {
        for artifact in artifacts {
            try execute("DELETE FROM metric WHERE artifact = ?", [artifact])
            try execute("DELETE FROM input WHERE artifact = ?", [artifact])
            try execute("DELETE FROM artifact WHERE id = ?", [artifact])
        }
    }

    /// Adds an artifact; nil where its path is not known.
    @discardableResult
    func add(
        _ record: ArtifactRecord, _ ledger: String?, _ place: LedgerReader.LineSpan?, quarantined: String? = nil,
        intent: IntentName? = nil
    ) throws -> (artifact: Int64, run: Int64?)? {
        let artifact = record.artifact
        guard let path = artifact.path else { return nil }
        let (directory, name) = CatalogPath.parts(of: path)
        let writer = record.writer
        let code = record.ownCode
        let run = try number(of: record.run?.id)
        var session = try number(of: artifact.session ?? record.origin?.session)
        if session == nil, let run {
            session = try findSession.run { $0.add(run) }
        }
        let command = record.commandLine
        let experiment = record.run?.experiment ?? record.attributes[ArtifactAttribute.experiment]?.string
        let state: ArtifactRecord.State = quarantined == nil ? .sealed : .quarantined
        let columns = artifact.content.columns.map { Int64($0.count) }
        let texts = try [
            directory, artifact.type, artifact.layer?.rawValue, artifact.mode?.rawValue, artifact.key, artifact.format,
            artifact.test ?? record.origin?.test, experiment, writer?.user ?? writer?.uid.map { "\($0)" }, writer?.host,
            writer?.program, command, state.rawValue, Self.note(record), ledger,
        ].map { try number(of: $0) }
        // In the order of ``columns``.
        try insertArtifact.run { row in
            row.add(texts[0])
            row.add(name)
            for place in 1...5 { row.add(texts[place]) }
            row.add(artifact.version)
            row.add(session)
            row.add(texts[6])
            row.add(run)
            for place in 7...11 { row.add(texts[place]) }
            row.add(code?.commit.flatMap(HexadecimalText.bytes))
            row.add(code?.dirty.map { Int64($0 ? 1 : 0) })
            row.add(artifact.size)
            row.add(artifact.content.rows)
            row.add(columns ?? artifact.content.details["columns"].flatMap { Int64($0) })
            row.add(record.times.sealed.flatMap(Clock.nanoseconds))
            row.add(record.times.opened.flatMap(Clock.nanoseconds))
            row.add(texts[12])
            row.add(artifact.sha256.flatMap(HexadecimalText.bytes))
            row.add(texts[13])
            row.add(quarantined)
            row.add(intent?.text)
            row.add(texts[14])
            row.add(place.map { Int64($0.number) })
            row.add(place?.offset)
            row.add(place.map { Int64($0.count) })
        }
        let added = database.lastInsertedRowID
        if !isFirst, quarantined == nil { try replace(try number(of: directory), name, by: added) }
        for input in record.inputs.prefix(Self.mostInputs) {
            guard let path = try number(of: input.path) else { continue }
            let how = try number(of: input.how?.rawValue)
            try insertInput.run { row in
                row.add(added)
                row.add(path)
                row.add(input.version)
                row.add(how)
                row.add(input.sha256.flatMap(HexadecimalText.bytes))
            }
        }
        if let run, let commit = code?.commit.flatMap(HexadecimalText.bytes) {
            try execute(
                "UPDATE run SET \"commit\" = ?, dirty = ? WHERE id = ? AND \"commit\" IS NULL",
                [commit, code?.dirty, run])
        }
        return (added, run)
    }

    private static func note(_ record: ArtifactRecord) -> String? {
        record.attributes[ArtifactAttribute.note].map { $0.string ?? $0.description }
    }

    // MARK: - Runs

    /// The directory service is asked once for each user.
    private func userName(_ user: Int64) -> String {
        if let known = userNames[user] { return known }
        let name = UserNames.name(user)
        userNames[user] = name
        return name
    }

    /// Adds a run of which no ledger was read.
    func add(_ run: LedgerEvent.RunLine, begun: String, hasEnded: Bool, metrics: JSONValue?) throws {
        try begin(run, at: begun, nil)
        // When it ended is not known, only that it has.
        if hasEnded { try end(run, at: begun) }
        if let metrics { try add(MeasuredValues(metrics), artifact: nil, run: try number(of: run.run), session: nil) }
    }

    private func begin(_ run: LedgerEvent.RunLine, at time: String, _ host: String?) throws {
        guard let id = try number(of: run.run) else { return }
        let words: [String]? =
            if case .array(let all)? = run.facts["command"] { all.map { $0.string ?? $0.description } } else { nil }
        try execute(
            """
            INSERT INTO run(id, experiment, user, host, session, command, begun) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT(id) DO UPDATE SET experiment = excluded.experiment, user = excluded.user,
            host = excluded.host, session = excluded.session, command = excluded.command, begun = excluded.begun
            """,
            [
                id, try number(of: run.facts["experiment"]?.string), try number(of: userName(run.uid)),
                try number(of: host), try number(of: run.session),
                try number(of: words?.map(ShellWord.quoted).joined(separator: " ")), Self.time(time),
            ])
        try execute("DELETE FROM parameter WHERE run = ?", [id])
        // What was said one by one counts more than the file.
        var known: Set<String> = []
        for facts in [run.facts["parameters"], run.facts["config"]].compactMap({ $0 }) {
            let values = MeasuredValues(facts)
            for name in values.names where known.insert(name).inserted {
                guard let number = try number(ofMeasured: name) else { continue }
                let text = try self.number(
                    of: values.text(name) ?? values.number(name).map { CatalogValue.number($0).text })
                try insertParameter.run { row in
                    row.add(id)
                    row.add(number)
                    row.add(values.number(name))
                    row.add(text)
                }
            }
        }
    }

    private func end(_ run: LedgerEvent.RunLine, at time: String) throws {
        guard let id = try number(of: run.run) else { return }
        let seconds: Double? =
            switch run.facts["seconds"] {
            case .number(let number)?: number
            case .integer(let number)?: Double(number)
            default: nil
            }
        try execute(
            """
            INSERT INTO run(id, session, seconds, status, signal, ended) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT(id) DO UPDATE SET seconds = excluded.seconds, status = excluded.status,
            signal = excluded.signal, ended = excluded.ended
            """,
            [
                id, try number(of: run.session), seconds, run.facts["status"]?.integer, run.facts["signal"]?.integer,
                Self.time(time),
            ])
    }

    // MARK: - Metrics

    func add(_ values: MeasuredValues, artifact: Int64?, run: Int64?, session: Int64?) throws {
        for name in values.names {
            guard let series = values.series[name], let number = try number(ofMeasured: name) else { continue }
            // What is no number is neither the least nor the greatest.
            let finite = series.values.filter { !$0.isNaN }
            let steps = series.values.count > 1 ? Self.packed(series) : nil
            try insertMetric.run { row in
                row.add(artifact)
                row.add(run)
                row.add(session)
                row.add(number)
                row.add(finite.first)
                row.add(series.values.last.flatMap { $0.isNaN ? nil : $0 })
                row.add(finite.min())
                row.add(finite.max())
                row.add(steps)
            }
        }
    }

    /// Steps and values as pairs of doubles, the least significant byte first.
    private static func packed(_ series: MeasuredValues.Series) -> Data {
        var data = Data(capacity: series.values.count * 16)
        for (step, value) in zip(series.steps, series.values) {
            withUnsafeBytes(of: step.bitPattern.littleEndian) { data.append(contentsOf: $0) }
            withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) }
        }
        return data
    }

    /// Takes up what sessions say of themselves, in `metadata.json`: of those that go on, or were not looked at since they ended.
    ///
    /// - Parameter all: whether those are looked for too of which no ledger tells.
    func addSessions(_ files: StoreFiles, all: Bool) throws {
        if all {
            for name in files.sessions() {
                try execute("INSERT OR IGNORE INTO session(id) VALUES (?)", [try number(of: name)])
            }
        }
        let open = try Row.fetchAll(
            database, sql: "SELECT session.id, value, metadata FROM session JOIN text USING (id) WHERE ended = 0")
        for row in open {
            let (id, name, known): (Int64, String, Int64?) = (row[0], row[1], row[2])
            // In this order: what has ended by then is not changed any more.
            let mayGoOn = files.mayGoOn(name)
            let modified = files.modified(name)
            guard !mayGoOn || modified != known else { continue }
            try execute("UPDATE session SET metadata = ?, ended = ? WHERE id = ?", [modified, !mayGoOn, id])
            guard modified != known else { continue }
            try execute("DELETE FROM metric WHERE session = ?", [id])
            if let metrics = files.metadata(of: name)?["metrics"] {
                try add(MeasuredValues(metrics), artifact: nil, run: nil, session: id)
            }
        }
    }

    /// What a session says of itself is in its line when it is gone.
    private func remove(_ session: LedgerEvent.RemovedSession) throws {
        let id = try number(of: session.session)
        try execute(
            """
            INSERT INTO session(id, ended) VALUES (?, 1) ON CONFLICT(id) DO UPDATE SET metadata = NULL, ended = 1
            """, [id])
        try execute("DELETE FROM metric WHERE session = ?", [id])
        let metadata = session.metadata.flatMap { JSONValue(parsingWithNaN: Array($0.utf8)) }
        if let metrics = metadata?["metrics"] { try add(MeasuredValues(metrics), artifact: nil, run: nil, session: id) }
    }

    // MARK: - Times

    static func time(_ text: String) -> Int64? { TimeText.time(text).flatMap(Clock.nanoseconds) }
}

extension MeasuredValues {
    /// The last one of a number.
    func number(_ name: String) -> Double? { series[name]?.values.last }

    func text(_ name: String) -> String? { texts[name] }
}
