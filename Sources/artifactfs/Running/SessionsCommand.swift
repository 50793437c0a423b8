import ArgumentParser
import ArtifactRecords
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls
import SystemPackage

/// `artifactfs sessions`
struct SessionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sessions",
        abstract: "List the sessions of development: whose, live or ended, their runs, and how much lies in them.",
        usage: """
            artifactfs sessions [PLACE] [--sort COLUMN] [-n N]
                                       [--json | --csv | --tsv]
            """,
        discussion: """
            The newest come first. Those of a mount are what its user sees; 'artifactfs session' begins and ends them. Of what is not \
            this user's to read, nothing is counted.

            COLUMNS: session state user experiment runs files size. In a pipe each line is a session, with tabs between.

            EXAMPLES:
              artifactfs sessions /mnt/art
              artifactfs sessions --sort -size -n 10

            EXIT STATUS: 0; 1 there is none, 2 it cannot be looked up, 3 not a store.
            """)

    @Argument(
        help: "A mount, a path on it, or a store's directory; without it $ARTIFACTFS_STORE, else where one stands.",
        completion: .directory)
    var place: String?
    @Option(
        name: .long, parsing: .unconditional,
        help: "Sort by a column; -COLUMN for the greatest first.")
    var sort = "-session"
    @Option(name: [.long, .customShort("n")], parsing: .unconditional, help: "Only so many.")
    var limit: Int?
    @Flag(help: "How it is printed.")
    var form: FoundRunForm?

    private static let columns = ["session", "state", "user", "experiment", "runs", "files", "size"]
    private static let numbers: Set = ["runs", "files", "size"]

    func run() throws {
        try reporting {
            if let limit, limit < 0 { throw Failure(.usage, "-n \(limit): that is no number of sessions") }
            let (name, isDescending) = sort.hasPrefix("-") ? (String(sort.dropFirst()), true) : (sort, false)
            guard let column = Self.columns.firstIndex(of: name) else {
                throw Failure(
                    .usage, "--sort \(sort): there are the columns \(Self.columns.joined(separator: ", "))")
            }
            // Of very many only those are looked at that are shown, where that is known before.
            let isNewest = name == "session" && isDescending
            let found = try SessionRows(try StorePlace.find(place), most: isNewest ? limit : nil).rows
            let rows = Array(Self.sorted(found, column, isDescending).prefix(limit ?? .max))
            show(rows)
            if rows.isEmpty {
                if limit == 0 { return }
                if form == nil { Terminal.show("there are no sessions") }
                throw ExitCode(Status.failed.rawValue)
            }
        }
    }

    private static func sorted(_ rows: [[CatalogValue]], _ column: Int, _ isDescending: Bool) -> [[CatalogValue]] {
        rows.enumerated().sorted { one, other in
            let (a, b) = (one.element[column], other.element[column])
            if a == b { return one.offset < other.offset }
            let isLess: Bool
            switch (a, b) {
            case (.unknown, _): return false
            case (_, .unknown): return true
            case (.integer(let a), .integer(let b)): isLess = a < b
            default: isLess = a.text < b.text
            }
            return isLess != isDescending
        }.map(\.element)
    }

    private func show(_ rows: [[CatalogValue]]) {
        switch form {
        case .json?:
            for row in rows {
                var object = JSONObject()
                for (name, value) in zip(Self.columns, row) { object[name] = value.json }
                print(JSONValue.object(object))
            }
        case .csv?: print(TableText(heads: Self.columns, rows: rows.map { $0.map(\.text) }).csv, terminator: "")
        case .tsv?, nil:
            let isTable = form == nil && isatty(1) != 0
            guard isTable, !rows.isEmpty else {
                if form == .tsv { print(Self.columns.joined(separator: "\t")) }
                for row in rows { print(row.map { Terminal.printable($0.text) }.joined(separator: "\t")) }
                return
            }
            let cells = rows.map { row in
                zip(Self.columns, row).map { name, value in
                    Terminal.printable(value.shown(as: name == "size" ? Field(.size) : nil) ?? "?")
                }
            }
            let table = TextTable(heads: Self.columns, areNumbers: Self.columns.map { Self.numbers.contains($0) })
            for line in table.lines(cells, keepsEnds: Self.columns.map { _ in false }, width: Terminal.columns) {
                print(line)
            }
        }
    }
}

/// What is known of each session, in the columns' order; the newest first.
private struct SessionRows {
    let rows: [[CatalogValue]]

    /// - Parameter most: the newest of them; nil for all.
    init(_ place: StorePlace, most: Int?) throws {
        let names = try SessionUsage.names(place).sorted(by: >).prefix(most ?? .max)
        let states = try Self.states(Array(names), place)
        var usage: [String: (files: Int64, bytes: Int64)] = [:]
        for row in try SessionUsage(place, only: Set(names)).rows { usage[row.value.text] = (row.artifacts, row.bytes) }
        var runs: [String: (count: Int64, experiments: [String])] = [:]
        try place.asking { catalog in
            runs = [:]
            let query: Query = most == nil ? .all : .field(Field(.session), .oneOf(names.map { .text($0) }))
            try catalog.find(query, .runs, columns: [Field(.session), Field(.experiment)]) { row in
                runs[row[0].text, default: (0, [])].count += 1
                let name = row[1].text
                if !name.isEmpty, runs[row[0].text]?.experiments.contains(name) == false {
                    runs[row[0].text]?.experiments.append(name)
                }
                return true
            }
        }
        rows = names.map { name in
            let (state, run, size) = (states[name], runs[name], usage[name])
            let experiments = run?.experiments.joined(separator: ", ") ?? ""
            return [
                .text(name), state.map { .text($0.isLive ? "live" : "ended") } ?? .unknown,
                state?.user.map { .text(UserName.of($0)) } ?? .unknown,
                experiments.isEmpty ? .unknown : .text(experiments), .integer(run?.count ?? 0),
                size.map { .integer($0.files) } ?? .unknown, size.map { .integer($0.bytes) } ?? .unknown,
            ]
        }
    }

    private static func states(
        _ names: [String], _ place: StorePlace
    ) throws -> [String: (user: UInt32?, isLive: Bool)] {
        var states: [String: (user: UInt32?, isLive: Bool)] = [:]
        if let mount = place.mount {
            for entry in try MountSessions(mount.mountPoint).entries(Set(names.compactMap { SessionName($0) })) {
                states[entry.name.description] = (entry.user, entry.isLive)
            }
            return states
        }
        let store = place.store ?? ""
        guard let root = try? SystemCall.open(SystemCall.currentDirectory, store, O_RDONLY | O_DIRECTORY) else {
            throw Failure(.cannotAnswer, "\(store) cannot be looked into")
        }
        defer { SystemCall.close(root) }
        let directory = store + "/" + StoreLayout.directory(of: .mode(.development))
        for name in names {
            let owner = try? SystemCall.attributes(atPath: directory + "/" + name).st_uid
            states[name] = (owner, SessionMarker.mayGoOn(name, in: root))
        }
        return states
    }
}
