import ArgumentParser
import ArtifactRecords
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls
import SystemPackage

/// `artifactfs find`
struct FindCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "find",
        abstract: "Find artifacts by what is known of them.",
        usage: """
            artifactfs find [QUERY...] [--store PLACE] [--columns A,B] [--sort A,-B]
                                   [-n N] [--json | --csv | --tsv | --paths0]
            """,
        discussion: """
            A query is made of tests with 'and', 'or', 'not' and brackets; 'and' may be left out. A test is FIELD = VALUE, with \
            = != < <= > >=, 'in (A, B)', 'like "chr*"' (* or % for any characters, ? for one), '~ REGEX' (POSIX, extended), 'is \
            known' or 'is unknown'. Any other word is looked for in commands and notes. Values with blanks or brackets stand in quotes.

            FIELDS: path name type layer mode key chromosome format version session test run experiment user host program command \
            commit dirty size rows columns sealed opened state sha256 note input metric.NAME param.NAME

            Sizes have units (10kB, 1.5GB, 2GiB). Dates are 2026-10-01, "2026-10-01 14:30", today, "last month", "3 days ago", \
            in local time, and go with 'since', 'before', 'after', 'until' and 'on' too; without a field it is when the artifact was \
            sealed. A hash is known by its first 4 digits or more. What is not known is neither equal nor unequal to anything.

            metric.NAME is the last value of a metric: of the artifact itself (types whose names end with metrics), else of its \
            session, else of another file of its run. Of a file the first 1,000 names are known, and 100,000 steps, when it has 16 MiB \
            or less. NAME may be the end of a name, after a dot.

            State is sealed, quarantined (kept back) or replaced (its file was removed, and the name given again). Without a test of \
            'state' only sealed artifacts are found.

            In a pipe each line is an artifact, with tabs between its columns.

            EXAMPLES:
              artifactfs find 'type = meta_models sealed since "last month"'
              artifactfs find 'metric.auc > 0.9 user = alice' --sort=-metric.auc
              artifactfs find 'size > 1GB' --columns path,size,run --csv
              artifactfs find 'input = production/base/splice_sites/splice_sites.tsv'
              artifactfs find 'type = error_analysis' --paths0 | xargs -0 wc -l

            EXIT STATUS: 0 something was found, 1 nothing was, 2 it cannot be looked up, 3 not a store, 6 busy, 64 the query is wrong.
            """)

    @Argument(help: "The query; several arguments are one. Without it everything is found.")
    var query: [String] = []
    @OptionGroup var store: StoreArguments
    @Option(name: .long, help: "What is shown of each: fields with commas between.")
    var columns: String?
    @Option(
        name: .long, parsing: .unconditional,
        help: "Sort by a field, or several; -FIELD for the greatest first. (default: -sealed)")
    var sort: String?
    @Option(name: [.long, .customShort("n")], parsing: .unconditional, help: "Show only so many.")
    var limit: Int?
    @Flag(help: "How it is printed.")
    var form: FoundForm?

    func run() throws {
        try reporting {
            if let limit, limit < 0 { throw Failure(.usage, "--limit \(limit): that is no number of artifacts") }
            let asked = try AskedQuery(query.joined(separator: " "), .artifacts, columns: columns, sort: sort)
            let place = try store.place()
            let schema = try place.schema()
            let output = FoundOutput(asked, form) { place.location(of: $0, schema) }
            var gone = 0
            try place.asking { catalog in
                // Of what was removed at its real path the ledgers do not tell.
                let seen = ShownFiles(place, schema)
                let columns = output.columns + [Field(.path), Field(.state)]
                guard limit != 0 else { return }
                try output.begin()
                try catalog.find(
                    asked.query, .artifacts, columns: columns, order: asked.order, wanted: limit
                ) { row in
                    let (path, state) = (row[row.count - 2].text, row[row.count - 1].text)
                    let isSealed = state == ArtifactRecord.State.sealed.rawValue
                    if isSealed, !seen.isThere(path) {
                        gone += 1
                        return true
                    }
                    // What was kept back is not where it was to be.
                    if form == .paths0, !isSealed { return true }
                    return try output.add(Array(row.dropLast(2))) && limit.map { output.count < $0 } ?? true
                }
            }
            try output.end()
            if gone > 0 {
                Terminal.complain(
                    gone == 1
                        ? "1 artifact is not told: it was sealed, and its file is not there any more"
                        : "\(gone) artifacts are not told: they were sealed, and their files are not there any more")
            }
            if output.count == 0 { throw ExitCode(Status.failed.rawValue) }
        }
    }
}

/// How what was found is printed.
enum FoundForm: String, EnumerableFlag {
    case json, csv, tsv, paths0

    static func help(for value: FoundForm) -> ArgumentHelp? {
        switch value {
        case .json: "Print JSON, an object a line; what is not known has no member."
        case .csv: "Print CSV (RFC 4180) with a head."
        case .tsv: "Print a head and lines with tabs."
        case .paths0: "Print where those are that are sealed, each with a zero byte after it, for xargs -0."
        }
    }
}

/// What somebody asks of a catalog.
struct AskedQuery {
    let subject: QuerySubject
    let query: Query
    let columns: [Field]
    let order: [(field: Field, isDescending: Bool)]

    init(_ text: String, _ subject: QuerySubject, columns: String?, sort: String?) throws {
        self.subject = subject
        let asked: Query
        do throws(QueryError) {
            asked = try Query(text, of: subject, QueryCalendar.local())
        } catch {
            throw Failure(.usage, "the query is wrong \(error)", excerpt: (text, error.place, error.length))
        }
        let hasState = asked.fields.contains { $0.name == .state }
        let isSealed = Query.field(Field(.state), .compare(.equal, .text(ArtifactRecord.State.sealed.rawValue)))
        query = subject == .runs || hasState ? asked : asked == .all ? isSealed : .and([isSealed, asked])
        self.columns =
            try columns.map { try Self.list($0, subject, "--columns").map(\.field) } ?? Self.usual(subject, asked)
        order = try sort.map { try Self.list($0, subject, "--sort").map { ($0.field, $0.isTurned) } } ?? []
    }

    /// What is shown when nobody says what, with what was asked for by name.
    private static func usual(_ subject: QuerySubject, _ query: Query) -> [Field] {
        var fields: [Field] =
            switch subject {
            case .artifacts: [Field(.path), Field(.size), Field(.rows), Field(.sealed), Field(.user)]
            case .runs:
                [
                    Field(.run), Field(.experiment), Field(.begun), Field(.seconds), Field(.state), Field(.user),
                    Field(.made),
                ]
            }
        for field in query.fields where [.metric, .param, .state].contains(field.name) && !fields.contains(field) {
            fields.append(field)
        }
        return fields
    }

    private static func list(
        _ text: String, _ subject: QuerySubject, _ option: String
    ) throws -> [(field: Field, isTurned: Bool)] {
        let list: [(field: Field, isTurned: Bool)]
        do throws(QueryError) { list = try Field.list(text, of: subject) } catch {
            throw Failure(.usage, "\(option): \(error.problem)")
        }
        guard !list.isEmpty else { throw Failure(.usage, "\(option) names no field") }
        return list
    }
}

/// Prints what is found.
final class FoundOutput {
    /// What is asked for.
    let columns: [Field]
    private(set) var count = 0
    private let form: FoundForm?
    private let location: (String) -> String
    /// Those of a table for a terminal, until its widths are known.
    private var rows: [[String]] = []
    private let isTable: Bool
    private var bytes: [UInt8] = []
    /// Whether nobody reads any more.
    private var isOver = false
    private var failure: Errno?

    /// So many rows are looked at for a table's widths.
    private static let most = 10_000

    init(_ asked: AskedQuery, _ form: FoundForm?, location: @escaping (String) -> String) {
        (self.form, self.location) = (form, location)
        columns = form == .paths0 ? [Field(.path)] : asked.columns
        isTable = form == nil && isatty(1) != 0
        if form == .csv { line(columns.map { TableText.csv($0.text) }.joined(separator: ",")) }
        if form == .tsv { line(columns.map(\.text).joined(separator: "\t")) }
    }

    private func line(_ text: String) { write(Array(text.utf8) + [UInt8(ascii: "\n")]) }

    private func write(_ more: [UInt8]) {
        bytes += more
        if bytes.count >= 1 << 16 { flush() }
    }

    private func flush() {
        guard !bytes.isEmpty, !isOver else { return bytes = [] }
        do throws(Errno) { try SystemCall.write(FileDescriptor(rawValue: 1), bytes) } catch {
            isOver = true
            if error != .brokenPipe { failure = error }
        }
        bytes = []
    }

    /// Called before a question is asked: what was printed for one that failed is not printed twice.
    func begin() throws {
        guard count == 0 else {
            throw Failure(.failed, "the catalog is damaged, and a part of what was found is printed already: ask again")
        }
    }

    /// - Returns: false when no more is wanted.
    func add(_ values: [CatalogValue]) throws -> Bool {
        count += 1
        switch form {
        case .json:
            var object = JSONObject()
            for (field, value) in zip(columns, values) { object[field.text] = value.json }
            line(JSONValue.object(object).description)
        case .csv: line(values.map { TableText.csv($0.text) }.joined(separator: ","))
        case .tsv: line(values.map { Terminal.printable($0.text) }.joined(separator: "\t"))
        case .paths0: write(Array(location(values.first?.text ?? "").utf8) + [0])
        case nil where isTable:
            rows.append(zip(columns, values).map { Self.shown($1, $0) })
            if rows.count == Self.most { table(withHead: count == Self.most) }
        case nil: line(values.map { Terminal.printable($0.text) }.joined(separator: "\t"))
        }
        return !isOver
    }

    /// - Throws: when what was found could not be written.
    func end() throws {
        if isTable, !rows.isEmpty { table(withHead: count <= Self.most) }
        flush()
        if let failure { throw Failure(.failed, "cannot write what was found: \(failure)") }
    }

    private func table(withHead: Bool) {
        let table = TextTable(
            heads: columns.map(\.text), areNumbers: columns.map { [.number, .size].contains($0.kind) })
        let lines = table.lines(rows, keepsEnds: columns.map { $0.name == .path }, width: Terminal.columns)
        for text in withHead ? lines[...] : lines.dropFirst() { line(text) }
        rows = []
    }

    /// For people.
    private static func shown(_ value: CatalogValue, _ field: Field) -> String {
        switch (value, field.name) {
        case (.unknown, _): "?"
        case (.integer(let size), .size): KeptBack.size(size)
        case (.time(let time), _): LocalTime.text(time)
        case (.text(let hash), .commit), (.text(let hash), .sha256): String(hash.prefix(12))
        default: Terminal.printable(value.text)
        }
    }
}

/// Whether the files of artifacts are there.
struct ShownFiles {
    private let place: StorePlace
    private let schema: ArtifactSchema

    init(_ place: StorePlace, _ schema: ArtifactSchema) { (self.place, self.schema) = (place, schema) }

    /// Where it cannot be looked at, it is taken to be there. No mount is asked: what its user cannot see is not told anyway.
    func isThere(_ path: String) -> Bool {
        guard let store = place.store else { return true }
        let real = ShownArtifact.realPath(of: path, in: store, schema)
        do throws(Errno) {
            _ = try SystemCall.attributes(SystemCall.currentDirectory, real)
            return true
        } catch { return error != .noSuchFileOrDirectory && error != .notDirectory }
    }
}

/// Times for people.
enum LocalTime {
    /// To the minute, in local time.
    static func text(_ nanoseconds: Int64) -> String {
        var (clock, found) = (time_t(nanoseconds / 1_000_000_000), tm())
        localtime_r(&clock, &found)
        func two(_ number: Int32) -> String { (number < 10 ? "0" : "") + "\(number)" }
        return
            "\(found.tm_year + 1900)-\(two(found.tm_mon + 1))-\(two(found.tm_mday)) \(two(found.tm_hour)):\(two(found.tm_min))"
    }
}
