import ArgumentParser
import ArtifactRecords
import ArtifactWeb
import ArtifactStore
import Catalog
import Glibc
import Queries

/// `artifactfs compare`
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare runs: what differs in what they were given, measured and made.",
        usage: """
            artifactfs compare RUN... [--where QUERY] [--store PLACE] [--all]
                                      [--csv | --md | --latex | --json]
                   artifactfs compare ... --pivot A[,B] --metric NAME
                   artifactfs compare ... --metric NAME [--plot FILE] [--ascii]
            """,
        discussion: """
            Shows only what differs: parameters, metrics, code, inputs with their versions or hashes, artifacts with rows, size and \
            hash, and the environment of the first artifact's writer. What a run has not is '-', what is not known of it '?' (both \
            empty in --csv). A run is named by its id or the beginning of it; --where adds those that a query finds (the grammar of 'artifactfs runs').

            --pivot puts the runs into rows and columns by what they were given, and shows the mean of a metric, with how many runs \
            it is of where that are several. --plot draws a metric over its epochs, one line a run, or over the runs where it has one \
            value each; --ascii draws it here.

            EXAMPLES:
              artifactfs compare 20261127T1030 20261127T1142
              artifactfs compare --where 'experiment = splice' --md
              artifactfs compare --where 'begun since today' \\
                  --pivot param.model,param.data --metric auprc

            EXIT STATUS: 0 nothing differs, 1 something does (as of diff); with --all, --pivot: 0; 2 a run is not known, 3 not a \
            store, 64 wrong usage.
            """)

    @Argument(help: "Runs: their ids, or the beginnings of them.")
    var runs: [String] = []
    @Option(name: .customLong("where"), help: "And those that a query finds.")
    var query: String?
    @OptionGroup var store: StoreArguments
    @Flag(name: .long, help: "Tell what is the same, too.")
    var all = false
    @Option(name: .long, help: "What the rows are, and the columns: such as param.model,param.data.")
    var pivot: String?
    @Option(name: .long, help: "Of --pivot, --plot and --ascii: the metric that is shown.")
    var metric: String?
    @Option(
        name: .long, help: "Draw the metric: FILE.svg, or FILE.png where rsvg-convert is installed.",
        completion: .file())
    var plot: String?
    @Flag(name: .long, help: "Draw the metric on the terminal.")
    var ascii = false
    @Flag(help: "How it is printed.")
    var form: ComparedForm?

    func run() throws {
        try reporting {
            guard (pivot == nil && plot == nil && !ascii) == (metric == nil) else {
                throw Failure(
                    .usage,
                    "--metric goes with --pivot, --plot or --ascii: --pivot param.model,param.data --metric auprc")
            }
            guard !runs.isEmpty || query != nil else { throw Failure(.usage, "name the runs, or give --where QUERY") }
            let asked = try query.map { try AskedQuery($0, .runs, columns: "run", sort: nil) }
            let place = try store.place()
            try place.asking { try compare($0, place, asked) }
        }
    }

    private func compare(_ catalog: Catalog, _ place: StorePlace, _ asked: AskedQuery?) throws {
        var names: [String] = []
        for name in runs {
            let found = try catalog.runs(named: name)
            guard let run = found.first else {
                throw Failure(
                    .cannotAnswer, "no run is called \(name); 'artifactfs runs' lists those that you may see")
            }
            guard found.count == 1 else {
                throw Failure(.cannotAnswer, "\(name) may be any of \(found.count) runs; give more of its id")
            }
            names.append(run)
        }
        if let asked {
            try catalog.find(
                asked.query, .runs, columns: asked.columns, order: [(Field(.begun), isDescending: false)]
            ) { row in
                names.append(row[0].text)
                return true
            }
        }
        var seen: Set<String> = []
        names = names.filter { seen.insert($0).inserted }
        guard names.count > 1 else {
            throw Failure(.cannotAnswer, "there is \(names.isEmpty ? "no run" : "one run only") to compare")
        }
        if plot != nil || ascii { return try draw(catalog, names) }
        let facts = try place.withEnvironments(catalog.facts(of: names), catalog)
        if let pivot, let metric { return try show(pivot, metric, facts) }
        let comparison = RunComparison(facts, all: all)
        if comparison.lines.isEmpty {
            if form == .json {
                print(ComparisonText.json(comparison))
            } else {
                Terminal.show("nothing differs, as far as is known")
            }
            return
        }
        print(ComparisonText.text(comparison, form), terminator: "")
        if !all { throw ExitCode(Status.failed.rawValue) }
    }

    private func draw(_ catalog: Catalog, _ runs: [String]) throws {
        let name = metric ?? ""
        let series = try catalog.series(of: name, runs: runs)
        guard !series.isEmpty else { throw Failure(.cannotAnswer, "none of the runs has a metric \(name)") }
        let drawing = MetricPlot(name, series.map { .init(title: $0.run, points: $0.points) })
        if ascii { print(drawing.text(width: min(Terminal.columns, 120), height: 20), terminator: "") }
        guard let plot else { return }
        try PlotFile.write(drawing.svg(), to: plot)
    }

    private func show(_ pivot: String, _ metric: String, _ facts: [RunFacts]) throws {
        let keys = try pivot.split(separator: ",").map { try Self.key(String($0), facts) }
        guard let row = keys.first, keys.count < 3 else {
            throw Failure(.usage, "--pivot \(pivot): one or two fields, with a comma between")
        }
        let cell = try Self.key("metric." + metric, facts)
        let table = RunPivot(facts, row: row, column: keys.count == 2 ? keys[1] : nil, cell: cell)
        let heads =
            [
                keys.count == 2
                    ? "\(row.label) \\ \(keys[1].label)" : row.label
            ]
            + (keys.count == 2 ? table.columns.map(ComparisonText.shown) : [metric])
        let rows = zip(table.rows, table.cells).map { value, cells in
            [ComparisonText.shown(value)]
                + cells.map { numbers in
                    guard !numbers.isEmpty else { return "" }
                    let mean = numbers.reduce(0, +) / Double(numbers.count)
                    return ShownText.number(mean) + (numbers.count > 1 ? " (\(numbers.count))" : "")
                }
        }
        print(ComparisonText.text(heads, rows, form, numbers: true), terminator: "")
    }

    /// Which thing a field is of the runs; of metrics and parameters the end of a name is enough.
    private static func key(_ text: String, _ facts: [RunFacts]) throws -> RunFacts.Key {
        let field: Field
        do throws(QueryError) { field = try Field(text, of: .runs) } catch {
            throw Failure(.usage, "--pivot: \(error.problem)")
        }
        let section: RunFacts.Section
        switch field.name {
        case .param: section = .parameter
        case .metric: section = .metric
        case .commit, .dirty: return .init(.code, field.name.rawValue)
        case .begun, .seconds, .session: return .init(.time, field.name.rawValue)
        default: return .init(.run, field.name.rawValue)
        }
        let known = Set(facts.flatMap { $0.values.keys }).filter { $0.section == section }.map(\.name)
        let fitting = known.contains(field.member) ? [field.member] : known.filter { $0.hasSuffix("." + field.member) }
        guard let name = fitting.first else {
            throw Failure(
                .cannotAnswer,
                "none of the runs has \(field.text); there are \(known.sorted().prefix(30).joined(separator: ", "))")
        }
        guard fitting.count == 1 else {
            throw Failure(.cannotAnswer, "\(field.text) may be any of \(fitting.sorted().joined(separator: ", "))")
        }
        return .init(section, name)
    }
}

/// How runs are printed side by side.
enum ComparedForm: String, EnumerableFlag {
    case csv, md, latex, json

    static func help(for value: ComparedForm) -> ArgumentHelp? {
        switch value {
        case .csv: "Print CSV (RFC 4180)."
        case .md: "Print a table of Markdown."
        case .latex: "Print a LaTeX tabular."
        case .json: "Print JSON; what is not known is null."
        }
    }
}

extension StorePlace {
    /// Adds what is known of the environment in which each run made its first artifact.
    func withEnvironments(_ facts: [RunFacts], _ catalog: Catalog) throws -> [RunFacts] {
        guard let store, catalog.path != nil else { return facts }
        let places = try catalog.firstRecords(of: facts.map(\.run))
        return try ShownArtifact.openStore(store).withLedgers { ledgers in
            facts.map { facts in
                guard let writer = places[facts.run]?.record(in: ledgers)?.writer else { return facts }
                var facts = facts
                if let program = writer.program { facts.add(.environment, "program", .text(program)) }
                if let cwd = writer.cwd { facts.add(.environment, "cwd", .text(cwd)) }
                for (name, value) in writer.environment.sorted {
                    // Which run it is, each run's own environment says.
                    let section: RunFacts.Section = name.hasPrefix("ARTIFACTFS_") ? .time : .environment
                    facts.add(section, name, .text(value.string ?? value.description))
                }
                return facts
            }
        }
    }
}
