import ArgumentParser
import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs run`
struct ExperimentRunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a command as a run of an experiment, in a session of its own.",
        usage: """
            artifactfs run [--experiment NAME] [--config FILE]
                   [--param NAME=VALUE]... [--input PATH]... [--session new|ID]
                   [--all-or-nothing] [--mount PLACE] -- COMMAND...
            """,
        discussion: """
            development/current is that session for the command and for all that it starts, and for nobody else; \
            ARTIFACTFS_SESSION and ARTIFACTFS_RUN in its environment name it and the run. The records of what it writes to \
            production name the run, and each --input as an input that is declared. At the end the session's metadata.json \
            tells how it went, also of a command that fails. Of output that does not go to a terminal the last 64 KiB are kept in \
            the session, as logs/RUN.log. Signals are passed on. What the command leaves running when it ends stays of the run.

            With --all-or-nothing what it writes to production is published together when it ends with 0, and otherwise kept back \
            whole, also when this is killed. Until then its own processes may read, replace and remove it, and nobody else.

            EXIT STATUS: the command's; 128 and the signal's number when one ended it; 125 when it ended with 0 and what it wrote \
            was not published (--all-or-nothing); 126 when it cannot be run, 127 when it is not \
            found; as 'artifactfs --help' says before it is begun.

            EXAMPLE:
              artifactfs run --experiment spliceai --param lr=0.01 \\
                --input production/base/training_data/chr1.tsv -- python train.py
            """)

    @Option(name: .long, help: "The experiment's name.")
    var experiment: String?
    @Option(
        name: .long, help: "A file with its configuration: JSON is kept as such, else the text.", completion: .file())
    var config: String?
    @Option(name: .long, help: "A parameter, NAME=VALUE; may be given again.")
    var param: [String] = []
    @Option(name: .long, help: "A path that it reads; may be given again.", completion: .file())
    var input: [String] = []
    @Option(name: .long, help: "'new', or a session that is live on the mount.")
    var session = "new"
    @Flag(name: .long, help: "Publish all that it writes to production together, or nothing.")
    var allOrNothing = false
    @Option(
        name: .long, help: "The mount, or a path on it; where this is run, or the only one there is, when not given.",
        completion: .directory)
    var mount: String?
    @Argument(parsing: .postTerminator, help: "The command and its arguments, after '--'.")
    var command: [String] = []

    func run() throws {
        var status: Int32 = 0
        try reporting {
            guard !command.isEmpty else {
                throw Failure(.usage, "which command? 'artifactfs run [OPTIONS] -- COMMAND'")
            }
            let run = try Run(self)
            status = try run.go(command)
        }
        if status != 0 { throw ExitCode(status) }
    }
}

/// A run from its beginning to its end.
private struct Run {
    private static let longestConfig = 1 << 20
    /// What of a configuration stands in the ledger.
    private static let longestInLedger = 16_384

    private let mount: MountEntry
    private let id: String
    private let session: SessionName
    private let begun = Clock.now()
    private let start = Clock.monotonic()
    private let experiment: String?
    private let isAllOrNothing: Bool
    private let config: JSONValue?
    private let parameters: JSONObject
    private let inputs: [String]

    init(_ options: ExperimentRunCommand) throws {
        mount = try Self.mount(options.mount)
        experiment = options.experiment
        isAllOrNothing = options.allOrNothing
        config = try options.config.map { path in
            guard let bytes = Paths.contents(path, limit: Self.longestConfig + 1) else {
                throw Failure(.cannotAnswer, "the configuration \(path) cannot be read: \(Errno(rawValue: errno))")
            }
            guard bytes.count <= Self.longestConfig, let text = String(validating: bytes, as: UTF8.self) else {
                throw Failure(.failed, "the configuration \(path) is no text of at most 1 MiB")
            }
            return JSONValue(parsing: bytes) ?? .string(text)
        }
        var parameters: JSONObject = [:]
        for text in options.param {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw Failure(.usage, "'\(text)' is no parameter: NAME=VALUE")
            }
            parameters[String(text[..<equals])] = Self.value(String(text[text.index(after: equals)...]))
        }
        self.parameters = parameters
        inputs = try options.input.map { path in
            guard let real = try Paths.resolved(Paths.absolute(path)) else {
                throw Failure(.cannotAnswer, "the input \(path) does not exist")
            }
            return real
        }
        guard inputs.count <= 1000 else { throw Failure(.usage, "more than 1000 inputs") }
        let host = Self.host()
        let time = TimeText.rfc3339(begun).prefix(19).filter { $0 != "-" && $0 != ":" }
        id = "\(time)Z-\(host)-\(getpid())"
        session = try Self.begin(
            id, options, config: config, parameters, inputs, on: mount)
    }

    private static func host() -> String {
        let text = Paths.contents("/proc/sys/kernel/hostname").map { String(decoding: $0, as: UTF8.self) } ?? ""
        return String(text.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }.prefix(64))
    }

    /// Numbers and words of JSON as such; a number of more digits than are kept is a text.
    private static func value(_ text: String) -> JSONValue {
        switch JSONValue(parsing: Array(text.utf8)) {
        case .number(let number)?:
            let digits = text.prefix { $0 != "e" && $0 != "E" }.drop { "-0.".contains($0) }.count { $0 != "." }
            return number.isFinite && digits <= 17 ? .number(number) : .string(text)
        case let value?: return value
        case nil: return .string(text)
        }
    }

    private static func mount(_ path: String?) throws -> MountEntry {
        let place = try Paths.resolvedDirectory(of: path ?? ".")
        if let mount = MountEntry.holding(place) ?? MountEntry.at(place), mount.isArtifacts { return mount }
        guard path == nil else {
            throw Failure(
                .cannotAnswer, "\(place) is not on a mount of artifactfs; 'artifactfs status' lists the mounts")
        }
        let all = MountEntry.artifacts().filter { !$0.isRoot }
        guard all.count == 1, let mount = all.first else {
            throw Failure(
                .cannotAnswer,
                all.isEmpty
                    ? "nothing is mounted; mount a store with 'artifactfs mount STORE MOUNTPOINT'"
                    : "on which mount? name it with --mount; 'artifactfs status' lists the mounts")
        }
        return mount
    }

    /// Says to the driver that this process is a run.
    private static func begin(
        _ id: String, _ options: ExperimentRunCommand, config: JSONValue?, _ parameters: JSONObject, _ inputs: [String],
        on mount: MountEntry
    ) throws -> SessionName {
        let mask = umask(0)
        _ = umask(mask)
        var facts: JSONObject = ["id": .string(id)]
        facts["experiment"] = options.experiment.map { .string($0) }
        if options.session != "new" {
            guard SessionName(options.session) != nil else {
                throw Failure(.usage, "'\(options.session)' is not a session's name, and not 'new'")
            }
            facts["session"] = .string(options.session)
        }
        if options.allOrNothing { facts["all_or_nothing"] = .bool(true) }
        facts["umask"] = .integer(Int64(mask))
        facts["command"] = .array(ArgumentMask.masked(options.command).map { .string($0) })
        if let config { facts["config"] = Self.short(config) }
        if !parameters.sorted.isEmpty { facts["parameters"] = Self.short(.object(parameters)) }
        if !inputs.isEmpty { facts["inputs"] = .array(inputs.map { .string($0) }) }
        switch say("begin", facts, to: mount) {
        case .success: break
        case .failure(.noSuchFileOrDirectory):
            throw Failure(
                .cannotAnswer,
                "session \(options.session) is not live on \(mount.mountPoint): 'artifactfs session list' lists them")
        case .failure(.permissionDenied):
            throw Failure(
                .failed, "you may not begin a session on \(mount.mountPoint): the store's directories say who may")
        case .failure(.readOnlyFileSystem):
            throw Failure(.failed, "the mount at \(mount.mountPoint) is read-only")
        case .failure(.notSupported) where options.allOrNothing:
            throw Failure(
                .failed,
                "the driver of \(mount.mountPoint) cannot see when a process ends, which --all-or-nothing needs")
        case .failure(.resourceBusy) where options.allOrNothing:
            throw Failure(
                .busy,
                "this is part of a run with --all-or-nothing already, and none begins within another: leave it out")
        case .failure(let error):
            throw Failure(.failed, "the driver of \(mount.mountPoint) does not take the run: \(error)")
        }
        let current = Paths.link(mount.mountPoint + "/development/current")
        guard let session = current.flatMap(SessionName.init) else {
            throw Failure(.failed, "the run has no session")
        }
        return session
    }

    private static func short(_ value: JSONValue) -> JSONValue {
        let size = value.description.utf8.count
        return size <= longestInLedger ? value : .object(["left_out": .integer(Int64(size))])
    }

    private static func say(_ what: String, _ facts: JSONObject, to mount: MountEntry) -> Result<Void, Errno> {
        let text = JSONValue.object([what: .object(facts)]).description
        return Array(text.utf8).withUnsafeBytes { bytes in
            Result<Void, Errno> { () throws(Errno) in
                try SystemCall.setExtendedAttribute(
                    ArtifactAttribute.run, bytes, ofPath: mount.mountPoint + "/.artifactfs/runs.jsonl", flags: 0)
            }
        }
    }

    // MARK: - The command

    func go(_ command: [String]) throws -> Int32 {
        SystemCall.adoptOrphans()
        let environment = ["ARTIFACTFS_SESSION": session.description, "ARTIFACTFS_RUN": id]
        let outcome = RunningCommand.run(command, environment: environment, patience: patience) {
            // Whatever becomes of this process, what the command makes is of the run.
            if isAllOrNothing { _ = Self.say("started", [:], to: mount) }
        }
        var facts = outcome.facts
        facts["seconds"] = .number(Double(Clock.monotonic() &- start) / 1e9)
        if !outcome.tail.isEmpty {
            let log = "logs/\(id).log"
            if write(outcome.tail, to: log) { facts["output"] = .string("development/\(session)/\(log)") }
        }
        if isAllOrNothing { return endAllOrNothing(command, facts, outcome.status) }
        writeMetadata(command, facts)
        if case .failure(let error) = Self.say("end", facts, to: mount) {
            Terminal.complain("the end of the run \(id) could not be told to the driver: \(error)")
        }
        return outcome.status
    }

    // MARK: - All or nothing

    /// For how long it is waited for what the command leaves running, in milliseconds: it may write yet, as `>(gzip > file)` of bash does.
    private var patience: Int {
        guard isAllOrNothing else { return 0 }
        let file = mount.mountPoint + "/.artifactfs/schema.yaml"
        return ((try? ShownArtifact.schema(file))?.settleSeconds ?? 2) * 1000
    }

    /// What the command ends with when it ended with 0 and nothing was published.
    private static let notPublished: Int32 = 125

    private func endAllOrNothing(_ command: [String], _ facts: JSONObject, _ status: Int32) -> Int32 {
        var facts = facts
        var told: JSONValue?
        if case .failure(let error) = Self.say("end", facts, to: mount) {
            Terminal.complain(
                "the end of the run \(id) could not be told to the driver: \(error); "
                    + "what it wrote to production is kept back")
        } else {
            let answer = try? SystemCall.extendedAttribute(
                ArtifactAttribute.run, ofPath: mount.mountPoint + "/.artifactfs/runs.jsonl")
            told = answer.flatMap { JSONValue(parsing: $0) }
            if case .object(let outcome)? = told {
                for (name, value) in outcome.sorted { facts[name] = value }
            } else {
                Terminal.complain("the driver does not say what became of what the run \(id) wrote")
            }
        }
        writeMetadata(command, facts)
        let kept = told?["kept_back"]?.integer ?? 0
        if kept > 0 { tellKept(kept, told, status) }
        return status == 0 && (told == nil || kept > 0) ? Self.notPublished : status
    }

    private func tellKept(_ count: Int64, _ told: JSONValue?, _ status: Int32) {
        let what = count == 1 ? "the artifact" : "the \(count) artifacts"
        Terminal.complain(
            "nothing was published of the run \(id): \(what) that it made \(count == 1 ? "was" : "were") kept back"
                + (status == 0 ? "" : ", because it ended with status \(status)"))
        if case .array(let faults)? = told?["faults"] {
            for fault in faults {
                Terminal.complain("\(fault["path"]?.string ?? "?"): \(fault["reason"]?.string ?? "it was refused")")
            }
        }
        let place = Shell.quoted(mount.mountPoint)
        guard let entry = told?["quarantined"]?.string else {
            return Terminal.complain("'artifactfs recover list \(place)' lists what is in quarantine, and how to go on")
        }
        // The time in it tells it from others, as a rule.
        let id = String(entry.prefix { $0 != "-" })
        Terminal.complain("'artifactfs recover show \(place) \(id)' shows it, and how to go on")
    }

    private func path(_ name: String) -> String { mount.mountPoint + "/development/\(session)/" + name }

    /// - Returns: whether that was possible; it says so when not.
    private func write(_ bytes: [UInt8], to name: String) -> Bool {
        do throws(Errno) {
            let file = try SystemCall.open(
                SystemCall.currentDirectory, path(name), O_WRONLY | O_CREAT | O_TRUNC, 0o666)
            defer { SystemCall.close(file) }
            try SystemCall.write(file, bytes)
            return true
        } catch {
            Terminal.complain("cannot write \(path(name)): \(error)")
            return false
        }
    }

    /// What the command has written there itself stays.
    private func writeMetadata(_ command: [String], _ facts: JSONObject) {
        let before = Paths.contents(path("metadata.json"), limit: 16 << 20)
        var all: JSONObject = [:]
        if let before {
            guard case .object(let members)? = JSONValue(parsing: before) else {
                return Terminal.complain("\(path("metadata.json")) is no JSON object: it stays as it is")
            }
            all = members
        }
        if all["experiment_name"] == nil { all["experiment_name"] = .string(experiment ?? id) }
        let created = TimeText.rfc3339(begun).prefix(19)
        if all["created_at"] == nil { all["created_at"] = .string(created + "Z") }
        if all["config"] == nil { all["config"] = config ?? .object([:]) }
        if all["metrics"] == nil { all["metrics"] = .object(metrics()) }
        var run = facts
        run["id"] = .string(id)
        run["session"] = .string(session.description)
        run["command"] = .array(ArgumentMask.masked(command).map { .string($0) })
        if !parameters.sorted.isEmpty { run["parameters"] = .object(parameters) }
        if !inputs.isEmpty { run["inputs"] = .array(inputs.map { .string($0) }) }
        all["run"] = .object(run)
        // Whole or not at all.
        let temporary = "metadata.json.tmp"
        guard write(Array((JSONValue.object(all).description + "\n").utf8), to: temporary) else { return }
        if rename(path(temporary), path("metadata.json")) != 0 {
            Terminal.complain("cannot write \(path("metadata.json")): \(Errno(rawValue: errno))")
        }
    }

    /// What a file of metrics has; of JSON Lines an array. A number that is none, as Python writes it, is null.
    private static func metrics(_ bytes: [UInt8], isLines: Bool) -> JSONValue? {
        guard isLines else { return JSONValue(parsingWithNaN: bytes) }
        return .array(bytes.split(separator: UInt8(ascii: "\n")).compactMap { JSONValue(parsingWithNaN: $0) })
    }

    /// What the session has in `meta/meta_metrics`, by the names of the files.
    private func metrics() -> JSONObject {
        var all: JSONObject = [:]
        let names = Paths.names(path("meta/meta_metrics")).filter { $0.hasSuffix(".json") || $0.hasSuffix(".jsonl") }
            .sorted()
        for name in names.prefix(100) {
            guard let bytes = Paths.contents(path("meta/meta_metrics/" + name), limit: 65_537), bytes.count <= 65_536,
                let value = Self.metrics(bytes, isLines: name.hasSuffix(".jsonl"))
            else { continue }
            all[String(name.dropLast(name.hasSuffix(".jsonl") ? 6 : 5))] = value
        }
        return all
    }
}
