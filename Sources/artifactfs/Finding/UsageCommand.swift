import ArgumentParser
import ArtifactRecords
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls
import SystemPackage

/// `artifactfs du`
struct UsageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "du",
        abstract: "Show how many artifacts there are and how large they are, by type, user, state or anything else.",
        usage: """
            artifactfs du [QUERY...] [--by FIELD]
                          [--store PLACE | --root DATA] [--json | --csv | --tsv]
            """,
        discussion: """
            Counts the artifacts of production that a query finds (the grammar of 'artifactfs find'), in groups of a field: type, \
            user, state, run, experiment, key and all others. By session it counts what lies in the sessions' own directories, as far \
            as this user may read them.

            On a mount of several stores, above them, and with --root it counts all stores together, those that cannot be asked aside, which are \
            told; a session and a path begin with their store's path.

            In a pipe each line is a value, a number of files and a number of bytes, with tabs between.

            EXAMPLES:
              artifactfs du
              artifactfs du --by user 'type = meta_checkpoints'
              artifactfs du --by session
              artifactfs du --root /data --by user

            EXIT STATUS: 0; 1 nothing is there, 2 it cannot be looked up, or not in all stores, 3 not a store, 64 the query is wrong.
            """)

    @Argument(help: "A query; without it all of production.")
    var query: [String] = []
    @Option(name: .long, help: "By which field.")
    var by = "type"
    @OptionGroup var stores: AskedStores
    @Flag(help: "How it is printed.")
    var form: FoundRunForm?

    func run() throws {
        try reporting {
            let field: Field
            do throws(QueryError) { field = try Field(by, of: .artifacts) } catch {
                throw Failure(.usage, "--by: \(error.problem)")
            }
            if field.name == .session {
                guard query.isEmpty else {
                    throw Failure(.usage, "--by session goes without a query: it counts all that lies in sessions")
                }
            }
            var asked: Query?
            if field.name != .session {
                // By its state what was kept back is there too.
                let text = query.joined(separator: " ")
                asked = try AskedQuery(
                    text.isEmpty && field.name == .state ? "state is known" : text, .artifacts, columns: nil, sort: nil
                ).query
            }
            let (places, problems) = try stores.places()
            let usage = try StoresUsage(places, asked, by: field)
            show(usage.rows, field)
            // A sum of which something is missing is none.
            if problems > 0 || usage.unanswered > 0 { throw ExitCode(Status.cannotAnswer.rawValue) }
            if usage.rows.isEmpty { throw ExitCode(Status.failed.rawValue) }
        }
    }

    private func show(_ rows: [(value: CatalogValue, artifacts: Int64, bytes: Int64)], _ field: Field) {
        let heads = [field.text, field.name == .session ? "files" : "artifacts", "bytes"]
        if form == .json {
            for row in rows {
                var object = JSONObject()
                object[heads[0]] = row.value.json
                object[heads[1]] = .integer(row.artifacts)
                object["bytes"] = .integer(row.bytes)
                print(JSONValue.object(object))
            }
            return
        }
        let cells = rows.map { [$0.value.text, "\($0.artifacts)", "\($0.bytes)"] }
        if form == .csv { return print(TableText(heads: heads, rows: cells).csv, terminator: "") }
        guard isatty(1) != 0, form == nil else {
            if form == .tsv { print(heads.joined(separator: "\t")) }
            for row in cells { print(row.map(Terminal.printable).joined(separator: "\t")) }
            return
        }
        let all = rows.reduce((Int64(0), Int64(0))) { ($0.0 &+ $1.artifacts, $0.1 &+ $1.bytes) }
        let shown = rows.map { row in
            [Terminal.printable(ComparisonText.shown(row.value)), "\(row.artifacts)", ShownText.bytes(row.bytes)]
        }
        let table = TextTable(heads: [heads[0], heads[1], "size"], areNumbers: [false, true, true])
        let whole = shown + [["all", "\(all.0)", ShownText.bytes(all.1)]]
        for line in table.lines(whole, keepsEnds: [true, false, false], width: Terminal.columns) { print(line) }
    }
}
