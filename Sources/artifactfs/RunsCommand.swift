import ArgumentParser
import ArtifactRecords
import Artifacts

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
              artifactfs runs show 20261127T103022Z /mnt/art
            """,
        subcommands: [RunsListCommand.self, RunsShowCommand.self],
        defaultSubcommand: RunsListCommand.self)
}

/// `artifactfs runs list`
struct RunsListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the runs, the newest first.")

    @Argument(help: "A mount, a path on it, or a store's directory.", completion: .directory)
    var place = "."
    @Option(name: .customShort("n"), help: "Only so many.")
    var most: Int?
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false

    func run() throws {
        try reporting {
            if let most, most < 0 { throw Failure(.usage, "-n \(most): that is no number of runs") }
            let all = try KnownRuns(place)
            for run in all.runs.prefix(most ?? .max) {
                if json {
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
            if all.runs.isEmpty, !json { Terminal.show("no runs are known") }
        }
    }
}

/// `artifactfs runs show`
struct RunsShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show what is known of a run: its command, what it was given, and what it made.")

    @Argument(help: "Its id, or the beginning of it.")
    var id: String
    @Argument(help: "A mount, a path on it, or a store's directory.", completion: .directory)
    var place = "."
    @Flag(name: .long, help: "Print JSON.")
    var json = false

    /// So many lines of its output are shown.
    private static let mostLines = 20

    func run() throws {
        try reporting {
            let all = try KnownRuns(place)
            let run = try all.find(id)
            if json { return print(run.json.description) }
            line("run", run.id)
            line("experiment", run.experiment ?? "no name")
            line("user", run.user.map { "\(UserName.of($0)) (\($0))" } ?? "not known")
            line("begun", run.begun.map { String($0.prefix(19)) + "Z" } ?? "not known")
            line("took", run.duration ?? "not known")
            line("end", run.ending)
            line("session", run.session ?? "not known")
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
