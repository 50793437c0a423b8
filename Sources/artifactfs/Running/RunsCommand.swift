import ArgumentParser
import ArtifactRecords
import Artifacts
import Catalog
import Queries
import SystemCalls

/// `artifactfs runs`
struct RunsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs",
        abstract: "List the runs of experiments, the newest first.",
        discussion: """
            Lists what 'artifactfs run' has run: when, whose, for how long, how it ended, and how many artifacts it made. The store's \
            ledgers tell, with or without a mount, to its owner and root; others see the runs whose sessions they may read, \
            and their own that go on.

            EXAMPLES:
              artifactfs runs /mnt/art
              artifactfs runs 'metric.auc > 0.9' --columns 'run,param.lr,max auc'
              artifactfs runs show 20261127T103022Z /mnt/art
            """,
        subcommands: [RunsListCommand.self, RunsShowCommand.self],
        defaultSubcommand: RunsListCommand.self)
}

/// `artifactfs runs list`
struct RunsListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the runs, the newest first.",
        usage: """
            artifactfs runs [QUERY... | PLACE] [--store PLACE] [--columns A,B]
                                   [--sort A,-B] [-n N] [--json | --csv | --tsv]
            """,
        discussion: """
            With a query, with columns or an order it is a table of runs, a line each. The grammar is that of 'artifactfs find'. \
            Columns are fields, and of metrics 'min loss', 'max auc', 'first loss' or 'last loss', which is metric.loss.

            FIELDS: run experiment user host session command commit dirty begun seconds status state made note input metric.NAME \
            param.NAME. State is ended, failed or unknown.

            EXAMPLES:
              artifactfs runs 'experiment = splice and metric.auc > 0.9'
              artifactfs runs --columns 'run,param.lr,min loss,max auc' --sort '-max auc'
              artifactfs runs 'state = failed begun since yesterday' --csv

            EXIT STATUS: 0; of a query: 0 something was found, 1 nothing was, 64 the query is wrong.
            """)

    @Argument(help: "A query; or a mount, a path on it, or a store's directory.")
    var words: [String] = []
    @OptionGroup var store: StoreArguments
    @Option(name: .long, parsing: .unconditional, help: "What is shown of each: fields with commas between.")
    var columns: String?
    @Option(
        name: .long, parsing: .unconditional,
        help: "Sort by a field, or several; -FIELD for the greatest first. (default: -begun)")
    var sort: String?
    @Option(name: [.long, .customShort("n")], parsing: .unconditional, help: "Only so many.")
    var limit: Int?
    @Flag(help: "How it is printed.")
    var form: FoundRunForm?

    /// A place that is named instead of a query: it is there, or looks like a path.
    private var named: String? {
        guard words.count == 1, store.store == nil, let word = words.first else { return nil }
        let isPath = word.hasPrefix("/") || word.hasPrefix("./") || word.hasPrefix("../") || word == "." || word == ".."
        return isPath || (try? SystemCall.attributes(SystemCall.currentDirectory, word)) != nil ? word : nil
    }

    func run() throws {
        try reporting {
            if let limit, limit < 0 { throw Failure(.usage, "-n \(limit): that is no number of runs") }
            let query = named == nil ? words.joined(separator: " ") : ""
            let isTable = !query.isEmpty || columns != nil || sort != nil || form == .csv || form == .tsv
            guard isTable else { return try list() }
            let asked = try AskedQuery(query, .runs, columns: columns, sort: sort)
            let place = try named.map { try StorePlace.find($0) } ?? store.place()
            let output = FoundOutput(asked, form?.form)
            try place.asking { catalog in
                try output.begin()
                try catalog.find(
                    asked.query, .runs, columns: output.columns, order: asked.order, limit: limit
                ) { try output.add($0) }
            }
            try output.end()
            if output.count == 0, !query.isEmpty { throw ExitCode(Status.failed.rawValue) }
        }
    }

    private func list() throws {
        let all = try KnownRuns(try named ?? store.place().path)
        for run in all.runs.prefix(limit ?? .max) {
            if form == .json {
                print(run.json.description)
                continue
            }
            print(Terminal.printable(run.id + (run.experiment.map { "  " + $0 } ?? "")))
            let made = run.made.map { $0 == 1 ? "1 artifact" : "\($0) artifacts" }
            let words = [
                run.user.map { UserName.of($0) }, run.begun.map { String($0.prefix(19)) + "Z" }, run.duration,
                run.ending, made, run.session.map { "session \($0)" },
            ]
            let text = words.compactMap { $0 }.joined(separator: ", ")
            print(Terminal.wrapped("    " + Terminal.printable(text), indent: 4, at: 80))
        }
        if all.runs.isEmpty, form != .json { Terminal.show("no runs are known") }
    }
}

/// How runs that were found are printed.
enum FoundRunForm: String, EnumerableFlag {
    case json, csv, tsv

    static func help(for value: FoundRunForm) -> ArgumentHelp? {
        value == .json ? "Print JSON, an object a line." : FoundForm.help(for: value.form)
    }

    var form: FoundForm {
        switch self {
        case .json: .json
        case .csv: .csv
        case .tsv: .tsv
        }
    }
}

/// `artifactfs runs show`
struct RunsShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show what is known of a run: its command, what it was given, and what it made.")

    @Argument(help: "Its id, or the beginning of it.")
    var id: String
    @Argument(
        help: "A mount, a path on it, or a store's directory; without it $ARTIFACTFS_STORE, else where one stands.",
        completion: .directory)
    var place: String?
    @Flag(name: .long, help: "Print JSON.")
    var json = false

    /// So many lines of its output are shown.
    private static let mostLines = 20

    func run() throws {
        try reporting {
            let all = try KnownRuns(try place ?? StorePlace.find(nil).path)
            let run = try all.find(id)
            if json { return print(run.json.description) }
            line("run", run.id)
            line("experiment", run.experiment ?? "no name")
            line("user", run.user.map { "\(UserName.of($0)) (\($0))" } ?? "not known")
            line("begun", run.begun.map { String($0.prefix(19)) + "Z" } ?? "not known")
            line("took", run.duration ?? "not known")
            line("end", run.ending)
            line("session", (run.session ?? "not known") + (run.hasLostSession ? ", which was removed since" : ""))
            line("command", Self.words(run.facts["command"]).map { Shell.quoted($0) }.joined(separator: " "))
            line("config", run.facts["config"].flatMap { $0 == .object([:]) ? nil : $0.string ?? $0.description })
            if case .object(let parameters)? = run.facts["parameters"] {
                for (index, one) in parameters.sorted.enumerated() {
                    line(index == 0 ? "parameters" : "", "\(one.key)=\(one.value.string ?? one.value.description)")
                }
            }
            list("inputs", Self.words(run.facts["inputs"]))
            if let artifacts = run.artifacts {
                list("made", artifacts.isEmpty ? ["nothing in production"] : artifacts)
            } else {
                line("made", run.made.map { $0 == 1 ? "1 artifact" : "\($0) artifacts" } ?? "not known")
            }
            line("kept back", run.facts["kept_back"]?.integer.map { "\($0)" })
            if let entry = run.facts["quarantined"]?.string {
                line("", "artifactfs recover show \(Shell.quoted(all.path)) \(entry.prefix { $0 != "-" })")
            }
            guard let output = all.output(of: run) else { return }
            line("output", "the last of it")
            for text in output.split(separator: "\n", omittingEmptySubsequences: false).suffix(Self.mostLines) {
                print("    " + Terminal.printable(String(text)))
            }
        }
    }

    private func line(_ name: String, _ text: String?) {
        guard let text, !text.isEmpty else { return }
        let label = name + String(repeating: " ", count: max(1, 12 - name.utf8.count))
        print(Terminal.wrapped(label + Terminal.printable(text), indent: 12, at: 80))
    }

    private func list(_ name: String, _ texts: [String]) {
        for (index, text) in texts.enumerated() { line(index == 0 ? name : "", text) }
    }

    private static func words(_ value: JSONValue?) -> [String] {
        guard case .array(let all)? = value else { return [] }
        return all.map { $0.string ?? $0.description }
    }
}
