import ArgumentParser
import ArtifactRecords
import Glibc

/// A catalog over ledgers of a million artifacts: the ledgers are made by `--make`, and asked by the program itself.
struct CatalogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog", abstract: "Measures how artifacts and runs are found in large ledgers.",
        discussion: """
            artifactfs init /data/large
            artifactfs-bench catalog --make /data/large --count 1000000 --runs 100000
            artifactfs-bench catalog --measure /data/large --binary .build/release/artifactfs
            """)

    @Option(help: ArgumentHelp("Write the ledger of a store that has none, and nothing else.", valueName: "dir"))
    var make: String?
    @Option(help: ArgumentHelp("Ask a store.", valueName: "dir")) var measure: String?
    @Option(help: ArgumentHelp("The program that is asked.", valueName: "file")) var binary = "artifactfs"
    @Option(help: "Artifacts.") var count = 1_000_000
    @Option(help: "Runs.") var runs = 100_000
    @Option(help: "How often each question is asked.") var rounds = 5
    @Option(help: ArgumentHelp("Where the results go.", valueName: "file")) var json: String?

    func validate() throws {
        guard (make == nil) != (measure == nil) else { throw ValidationError("give --make DIR or --measure DIR") }
        guard count > 0, runs > 0, rounds > 0 else { throw ValidationError("numbers must be positive") }
    }

    func run() throws {
        if let make {
            var ledger = try MadeLedger(make)
            try ledger.write(artifacts: count, runs: runs)
        } else if let measure {
            try ask(measure)
        }
    }

    private func ask(_ store: String) throws {
        func timed(_ words: [String]) throws -> (seconds: Double, lines: Int, memory: Int) {
            // ru_maxrss of what was waited for is that of the largest, so that each question has a shell of its own.
            let script = #"exec 3>&1; "$@" | wc -l"#
            var before = rusage()
            getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &before)
            let place = ["ls", "sessions"].contains(words[0]) ? [store] : ["--store", store]
            let (seconds, output) = try Tool.run(
                ["sh", "-c", script, "sh", binary, words[0]] + place + words.dropFirst())
            var after = rusage()
            getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &after)
            return (seconds, Int(output.filter(\.isNumber)) ?? 0, Int(after.ru_maxrss))
        }
        var results: [(name: String, seconds: Double, lines: Int)] = []
        let anew = try timed(["reindex"])
        results.append(("reindex", anew.seconds, anew.lines))
        print("\(Format.left("reindex", 62))\(Format.fixed(anew.seconds, 2)) s, \(anew.memory / 1024) MiB at most")
        for words in Self.questions {
            let times = try (0..<rounds).map { _ in try timed(words) }
            let seconds = times.map(\.seconds).sorted()[times.count / 2]
            results.append((words.joined(separator: " "), seconds, times[0].lines))
            let name = Format.left(words.joined(separator: " "), 62)
            print("\(name)\(Format.fixed(seconds * 1000, 1)) ms, \(times[0].lines) lines")
        }
        var size = stat()
        if stat(store + "/.artifactfs/catalog/catalog.sqlite", &size) == 0 { print("catalog: \(size.st_size) bytes") }
        guard let json else { return }
        let all = results.map {
            "{\"name\":\(JSONValue.string($0.name)),\"seconds\":\($0.seconds),\"lines\":\($0.lines)}"
        }
        try TextFile.write("[\(all.joined(separator: ",\n"))]\n", to: json)
    }

    private static let questions = [
        ["find", "type = splice_errors and key = chr7", "-n", "100"],
        ["find", "key = chr7 and run = R00000123"],
        ["find", "metric.auc > 0.9999"],
        ["find", "param.lr = 0.0001 and metric.auc > 0.99", "-n", "100"],
        ["find", "commit = 00000abc"],
        ["find", "sha256 = 00abcdef"],
        ["find", "input = production/base/genome/chr7.tsv", "-n", "100"],
        ["find", "experiment = e7", "-n", "100"],
        ["find", "sealed since 2026-11-20", "-n", "100"],
        ["find", "size > 99999000"],
        ["find", "--sort=-size", "-n", "20"],
        ["find", "'seed=4711 '"],
        ["find", "command ~ 'seed=47[0-9]1 '", "-n", "1000"],
        ["find", "user = u3", "--columns", "path"],
        ["ls", "--missing"],
        ["compare", "--where", "experiment in (e1, e2)"],
        ["sessions", "-n", "20"],
        ["page", "--", "/"],
        ["page", "--", "/runs"],
        ["page", "--", "/artifacts?q=type+%3D+splice_errors&sort=-size"],
    ]
}

/// The ledger of many artifacts and runs, the same for the same numbers.
private struct MadeLedger {
    private let (layer, sessions, markers, directory): (String, String, String, String)
    private var file: Int32 = -1
    private var number = 0
    private var length = 0
    private var seq = 0
    private var hash = String(repeating: "0", count: 64)
    private var buffer: [UInt8] = []
    private var state: UInt64 = 17
    private var time = 0

    private static let limit = 64 << 20
    private static let types = ["splice_errors", "analysis_sequences", "nucleotide_scores", "training_data"]

    init(_ store: String) throws {
        (sessions, markers) = (store + "/base_layer/dev", store + "/.artifactfs/sessions")
        (layer, directory) = (store + "/base_layer", store + "/.artifactfs/ledger")
        for path in [store + "/base_layer", sessions, markers] where mkdir(path, 0o755) != 0 && errno != EEXIST {
            throw BenchFailure.call("make", path)
        }
        if mkdir(directory, 0o700) != 0, errno != EEXIST { throw BenchFailure.call("make", directory) }
        try openNext()
    }

    private mutating func openNext() throws {
        number += 1
        let path = directory + "/bench" + (number > 1 ? "~\(number)" : "") + ".jsonl"
        file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw BenchFailure.call("make", path) }
        length = 0
    }

    private mutating func flush() throws {
        var rest = buffer[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw BenchFailure.call("write", directory) }
            rest = rest.dropFirst(count)
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private mutating func random(_ most: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(most))
    }

    /// Seconds after the beginning of 2026, as the ledger has times.
    private static func text(_ seconds: Int) -> String {
        var (clock, parts) = (time_t(1_767_225_600 + seconds), tm())
        gmtime_r(&clock, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return
            "2026-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).123456789Z"
    }

    private mutating func line(_ event: String, _ members: String) throws {
        if length > Self.limit {
            let next = "bench~\(number + 1).jsonl"
            try add("ledger-continues", "\"file\":\"\(next)\"")
            try flush()
            close(file)
            try openNext()
        }
        try add(event, members)
        if buffer.count > 1 << 20 { try flush() }
    }

    private mutating func add(_ event: String, _ members: String) throws {
        seq += 1
        let line = Array(
            "{\"seq\":\(seq),\"prev\":\"\(hash)\",\"time\":\"\(Self.text(time))\",\"event\":\"\(event)\",\(members)}"
                .utf8)
        hash = try SHA256.digest(line)
        buffer += line
        buffer.append(UInt8(ascii: "\n"))
        length += line.count + 1
    }

    mutating func write(artifacts: Int, runs: Int) throws {
        for run in 0..<runs {
            time = Int(Double(run) / Double(runs) * 28_000_000)
            let id = "R" + String(repeating: "0", count: 8 - "\(run)".count) + "\(run)"
            let session = String(
                Self.text(time).prefix(19).filter { $0 != "-" && $0 != ":" }.map { $0 == "T" ? "_" : $0 })
            if mkdir("\(sessions)/\(session)", 0o755) != 0 { throw BenchFailure.call("make", session) }
            try TextFile.write(
                #"{"metrics":{"auc":[0.5,0.\#(random(100_000))],"loss":{"train":\#(random(100)),"test":0.25}}}"#,
                to: "\(sessions)/\(session)/metadata.json")
            try TextFile.write("", to: "\(markers)/\(session)")
            try line("session-begun", #""session":"\#(session)","mount":"m""#)
            let (rate, seed, experiment, user) = (
                ["0.1", "0.01", "0.001", "0.0001"][random(4)], random(10_000), random(200), random(20)
            )
            let command = #"["python3","train.py","--lr","\#(rate)","--tag","seed=\#(seed) of \#(experiment)"]"#
            try line(
                "run-begun",
                #""mount":"m","run":"\#(id)","session":"\#(session)","uid":\#(70_000 + user),"pid":\#(run),"facts":{"experiment":"e\#(experiment)","command":\#(command),"parameters":{"lr":\#(rate),"seed":\#(seed),"model":"m\#(random(5))"}}"#
            )
            let (first, last) = (artifacts * run / runs, artifacts * (run + 1) / runs)
            for index in first..<last {
                try seal(index, id, "e\(experiment)", "u\(user)", command)
            }
            try line(
                "run-ended",
                #""mount":"m","run":"\#(id)","session":"\#(session)","uid":\#(70_000 + user),"pid":\#(run),"facts":{"status":\#(random(10) == 0 ? 1 : 0),"seconds":\#(random(100_000)).5,"user_seconds":3.25}"#
            )
        }
        try flush()
        close(file)
    }

    private mutating func seal(_ index: Int, _ run: String, _ experiment: String, _ user: String, _ command: String)
        throws
    {
        let type = Self.types[index % 4]
        let key = "chr\(1 + random(22))"
        let path = "production/base/\(type)/\(run)_\(index).tsv"
        // What is not there is not told; of what is there only the name is asked.
        let real = "\(layer)/\(run)_\(index).tsv"
        let made = open(real, O_WRONLY | O_CREAT | O_CLOEXEC, 0o444)
        guard made >= 0 else { throw BenchFailure.call("make", real) }
        close(made)
        let sha256 = (0..<8).map { _ in
            let digits = String(random(1 << 31), radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
        let commit = String(sha256.dropFirst(8).prefix(40))
        let size = random(100_000_000)
        let inputs = (0..<3).map { number in
            #"{"path":"production/base/genome/chr\#(1 + (index + number) % 22).tsv","sha256":"\#(sha256)","how":"process","at":"\#(Self.text(time))"}"#
        }.joined(separator: ",")
        let record = """
            {"artifact":{"path":"\(path)","type":"\(type)","layer":"base","mode":"production","key":"\(key)","format":".tsv","size":\(size),\
            "sha256":"\(sha256)","state":"sealed","content":{"rows":\(size / 40),"columns":[{"name":"chrom"},{"name":"position"},{"name":"score"}]}},\
            "times":{"opened":"\(Self.text(time))","closed":"\(Self.text(time))"},"writer":{"user":"\(user)","uid":70000,"gid":70000,"host":"bench",\
            "pid":\(index),"program":"/usr/bin/python3","argv":\(command),"cwd":"/home/\(user)/work","started":"\(Self.text(time))","exit":{"status":0},\
            "environment":{"SLURM_JOB_ID":"\(index)"}},"job":{"id":"slurm:\(run)","kind":"slurm","processes":[{"pid":4,"program":"/usr/bin/bash",\
            "argv":["bash","job.sh"],"cwd":"/home/\(user)/work"}]},"code":[{"path":"/home/\(user)/work","commit":"\(commit)","branch":"main",\
            "remote":"https://example.org/work.git","dirty":false,"role":"cwd"}],"inputs":[\(inputs)],"outside_seen":"no",\
            "run":{"id":"\(run)","experiment":"\(experiment)"}}
            """
        let members =
            #""mount":"20260101T000000.000Z-bench-1-1","staged":"f-\#(index).7-\#(run)","directory":"base_layer","name":"\#(type)_\#(index).tsv","inode":\#(index),"size":\#(size),"modified":"\#(Self.text(time))","sha256":"\#(sha256)","record":\#(record)"#
        try line("seal-intent", members)
        try line("sealed", members)
    }
}
