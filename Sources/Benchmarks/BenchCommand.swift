import ArgumentParser
import ArtifactRecords
import Glibc

/// The command line.
@main
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "artifactfs-bench",
        abstract: "Measures a mount against the same directories without it, and against other FUSE file systems.",
        discussion: """
            mount-scripts/bench.sh does all of it in one go. By hand:

              artifactfs-bench prepare /dev/shm/native
              artifactfs init /dev/shm/store && artifactfs-bench prepare /dev/shm/store --link-from /dev/shm/native
              artifactfs mount /dev/shm/store /mnt/a --durability relaxed
              bindfs /dev/shm/native /mnt/b
              artifactfs-bench run --native /dev/shm/native --target artifactfs=/mnt/a --store artifactfs=/dev/shm/store \\
                  --target bindfs=/mnt/b --rounds 5 --json bench.json --svg bench.svg
              artifactfs-bench check --json bench.json --thresholds mount-scripts/bench-thresholds.json

            A target is a mount of artifactfs (it has production/base/analysis_sequences), or any directory that shows a \
            prepared store (it has base_layer). Every workload checks that it did its work. A ratio is the median of the \
            rounds' ratios, a round's ratio being that of two passes next to each other. Rates are counted in files or \
            MiB a second, so more is better.

            Workloads:
            \((Workload.all + Workload.firsts).map { "  " + Format.left($0.name, 20) + $0.summary }.joined(separator: "\n"))

            Those whose names end in -first need root, and so does what is measured when it is named:
            \(Workload.colds.map { "  " + Format.left($0.name, 20) + $0.summary }.joined(separator: "\n"))

            Whole jobs, which are measured when they are named:
            \(Workload.jobs.map { "  " + Format.left($0.name, 20) + $0.summary }.joined(separator: "\n"))

            Exit codes: 0 done, 1 slower than the thresholds or a failure, 64 wrong usage.
            """,
        subcommands: [
            PrepareCommand.self, RunCommand.self, CheckCommand.self, ScaleCommand.self, InstructionsCommand.self,
            MakeCommand.self, CatalogCommand.self,
        ])
}

/// How much there is to read: the same for preparing and running.
struct SizeOptions: ParsableArguments {
    @Option(help: "Artifacts of 4 KiB.") var files = 10_000
    @Option(help: "MiB of the large artifact.") var bigMib = 256

    func validate() throws {
        guard (1...10_000_000).contains(files) else { throw ValidationError("--files must be 1 to 10000000") }
        guard (1...1_048_576).contains(bigMib) else { throw ValidationError("--big-mib must be 1 to 1048576") }
    }
}

struct PrepareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prepare",
        abstract: "Writes the artifacts that the workloads read into a store's real directories.")

    @Argument(help: "The store, or the native directory; made when missing. Not a mount.") var directory: String
    @Option(
        help: ArgumentHelp(
            "Link the artifacts of this prepared directory, so that both have the very same files.", valueName: "dir"))
    var linkFrom: String?
    @Option(help: ArgumentHelp("An interpreter with polars: Parquet artifacts are made too.", valueName: "python"))
    var python: String?
    @OptionGroup var sizes: SizeOptions

    func run() throws {
        var settings = Settings()
        settings.files = sizes.files
        settings.bigMebibytes = sizes.bigMib
        settings.python = python
        try Preparation.prepare(directory, settings: settings, twin: linkFrom)
    }
}

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Measures, prints the table, writes JSON and a plot.")

    @Option(help: "The prepared directory without a mount: what the others are compared with.") var native: String
    @Option(help: ArgumentHelp("A mount to measure; several times.", valueName: "name=dir")) var target: [String] = []
    @Option(
        help: ArgumentHelp("The real store under a target: tells when an artifact is published.", valueName: "name=dir")
    )
    var store: [String] = []
    @Option(help: ArgumentHelp("The process that serves a target: its memory is reported.", valueName: "name=pid"))
    var process: [String] = []
    @Option(help: ArgumentHelp("Workloads, separated by commas; all when not given.", valueName: "a,b"))
    var workloads: String?
    @Option(help: "Counted rounds, after one that is not.") var rounds = 5
    @OptionGroup var sizes: SizeOptions
    @Option(help: "Files that a round makes, publishes or removes.") var changes = 2_000
    @Option(help: "Random reads a round.") var randomReads = 20_000
    @Option(help: "Threads of the parallel workloads.") var threads = 8
    @Option(help: "Seconds of uncounted requests before each visit of a target.") var warmUp = 0.2
    @Option(help: ArgumentHelp("An interpreter with polars, for the polars workload.", valueName: "python"))
    var python: String?
    @Option(help: ArgumentHelp("A line for the report's head.", valueName: "key=text")) var note: [String] = []
    @Option(help: ArgumentHelp("Where the results go, with every round.", valueName: "file")) var json: String?
    @Option(help: ArgumentHelp("Where the plot goes.", valueName: "file")) var svg: String?
    @Flag(help: "Say nothing on standard error while measuring.") var quiet = false

    func validate() throws {
        guard (1...1000).contains(rounds) else { throw ValidationError("--rounds must be 1 to 1000") }
        guard (1...10_000_000).contains(changes) else { throw ValidationError("--changes must be 1 to 10000000") }
        guard (1...1_000_000_000).contains(randomReads) else { throw ValidationError("--random-reads is too large") }
        guard (1...256).contains(threads) else { throw ValidationError("--threads must be 1 to 256") }
        guard (0...60).contains(warmUp) else { throw ValidationError("--warm-up must be 0 to 60") }
    }

    func run() throws {
        var settings = Settings()
        settings.files = sizes.files
        settings.bigMebibytes = sizes.bigMib
        settings.changes = changes
        settings.randomReads = randomReads
        settings.threads = threads
        settings.rounds = rounds
        settings.warmUpSeconds = warmUp
        settings.python = python
        settings.scratch = native + ".scratch"
        let stores = try Self.pairs(store, option: "--store")
        let processes = try Self.pairs(process, option: "--process")
        var targets = [try Target(name: "native", directory: native)]
        for (name, directory) in try Self.pairs(target, option: "--target") {
            guard !targets.contains(where: { $0.name == name }) else {
                throw ValidationError("two targets named \(name)")
            }
            let pid = try processes.first { $0.0 == name }.map { pair -> Int32 in
                guard let pid = Int32(pair.1), pid > 0 else {
                    throw ValidationError("--process \(name): no process id")
                }
                return pid
            }
            targets.append(
                try Target(
                    name: name, directory: directory, store: stores.first { $0.0 == name }?.1, process: pid))
        }
        for (name, _) in stores + processes where !targets.contains(where: { $0.name == name }) {
            throw ValidationError("no --target is named \(name)")
        }
        let run = Run(
            targets: targets, workloads: try chosenWorkloads(), settings: settings,
            notes: try Self.pairs(note, option: "--note"),
            progress: { [quiet] text in if !quiet { BenchFailure.say(text) } })
        let report = try run.measure()
        print(report.table())
        if let json { try TextFile.write(report.json().written() + "\n", to: json) }
        if let svg { try TextFile.write(report.plot(), to: svg) }
    }

    private func chosenWorkloads() throws -> [Workload] {
        guard let workloads else { return Workload.usual.filter { python != nil || $0.name != Workload.polars.name } }
        return try workloads.split(separator: ",").map { name in
            guard let found = Workload.known.first(where: { $0.name == name }) else {
                let known = Workload.known.map(\.name).joined(separator: ", ")
                throw ValidationError("no workload is named \(name); there are \(known)")
            }
            return found
        }
    }

    /// `name=value` of each argument.
    private static func pairs(_ arguments: [String], option: String) throws -> [(String, String)] {
        try arguments.map { argument in
            guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
                throw ValidationError("\(option) takes NAME=VALUE, not '\(argument)'")
            }
            return (String(argument[..<equals]), String(argument[argument.index(after: equals)...]))
        }
    }
}

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Compares a run with the thresholds; exit 1 when something is slower.")

    @Option(help: ArgumentHelp("What 'run --json' wrote.", valueName: "file")) var json: String
    @Option(help: ArgumentHelp("The thresholds.", valueName: "file")) var thresholds: String

    func run() throws {
        let findings = try Thresholds.compare(
            JSONValue(reading: TextFile.read(json), from: json),
            with: JSONValue(reading: TextFile.read(thresholds), from: thresholds))
        for finding in findings { print((finding.holds ? "ok      " : "SLOWER  ") + finding.text) }
        let slower = findings.count { !$0.holds }
        if slower > 0 {
            print("\(slower) of \(findings.count) thresholds in \(thresholds) do not hold")
            throw ExitCode(1)
        }
        print("all \(findings.count) thresholds hold")
    }
}
