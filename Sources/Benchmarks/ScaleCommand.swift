import ArgumentParser
import ArtifactRecords
import Glibc

/// The store of a million artifacts: made by `--make`, measured on a mount of it and on one of a thousand.
///
/// The artifacts are 4 KiB long and hold nothing (sparse), so that a million needs inodes and no space. Half are
/// `analysis_sequences`, the rest `meta_checkpoints` but a thousand, which are `meta_metrics`.
struct ScaleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scale", abstract: "Measures how a mount bears a store of many artifacts.",
        discussion: """
            artifactfs-bench scale --make /dev/shm/large --count 1000000
            artifactfs-bench scale --make /dev/shm/small --count 2000
            (mount both), then
            artifactfs-bench scale --mount /mnt/large --count 1000000 --process PID --small /mnt/small --small-count 2000
            """)

    @Option(help: ArgumentHelp("Make the artifacts in a store's real directories, and nothing else.", valueName: "dir"))
    var make: String?
    @Option(help: ArgumentHelp("A fresh mount of the large store.", valueName: "dir")) var mount: String?
    @Option(help: ArgumentHelp("A fresh mount of a small store.", valueName: "dir")) var small: String?
    @Option(help: "Artifacts in the large store.") var count = 1_000_000
    @Option(help: "Artifacts in the small store.") var smallCount = 2_000
    @Option(help: ArgumentHelp("The process of the large mount.", valueName: "pid")) var process: Int32?
    @Option(help: ArgumentHelp("Where the results go.", valueName: "file")) var json: String?

    /// One virtual directory of the stores.
    private struct Kind {
        let real: String
        let virtual: String
        let count: Int
        let realName: (Int) -> String
        let virtualName: (Int) -> String
    }

    private func kinds(_ total: Int) -> [Kind] {
        let metrics = min(1000, total / 4)
        let sequences = total / 2
        return [
            Kind(
                real: "meta_layer/metrics", virtual: "production/meta/meta_metrics", count: metrics,
                realName: { "m\($0).json" }, virtualName: { "m\($0).json" }),
            Kind(
                real: "meta_layer/checkpoints", virtual: "production/meta/meta_checkpoints",
                count: total - sequences - metrics, realName: { "epoch_\($0).pkl" },
                virtualName: { "epoch_\($0).pkl" }),
            Kind(
                real: "base_layer", virtual: "production/base/analysis_sequences", count: sequences,
                realName: { "analysis_sequences_" + Target.name($0) }, virtualName: { Target.name($0) }),
        ]
    }

    func validate() throws {
        guard (make == nil) != (mount == nil) else { throw ValidationError("give --make DIR or --mount DIR") }
        guard count >= 8, smallCount >= 8 else { throw ValidationError("--count and --small-count must be 8 or more") }
    }

    func run() throws {
        if let make { try makeStore(make) } else if let mount { try measure(mount) }
    }

    private func makeStore(_ store: String) throws(BenchFailure) {
        for directory in ["", "/base_layer", "/meta_layer"] {
            if mkdir(store + directory, 0o755) != 0 && errno != EEXIST {
                throw BenchFailure.call("make", store + directory)
            }
        }
        for kind in kinds(count) {
            let directory = store + "/" + kind.real
            if mkdir(directory, 0o755) != 0 && errno != EEXIST { throw BenchFailure.call("make", directory) }
            for index in 0..<kind.count {
                let path = directory + "/" + kind.realName(index)
                let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o444)
                guard file >= 0 else { throw BenchFailure.call("create", path) }
                defer { close(file) }
                guard ftruncate(file, off_t(Content.blockSize)) == 0 else { throw BenchFailure.call("lengthen", path) }
            }
        }
    }

    private func measure(_ mount: String) throws(BenchFailure) {
        var results: [(String, JSONValue)] = [("count", .measured(Double(count)))]
        func report(_ name: String, _ value: Double, _ unit: String, digits: Int = 0) {
            print(
                Format.left(name, 62)
                    + Format.right(digits == 0 ? Format.grouped(value) : Format.fixed(value, digits), 12) + " " + unit)
            results.append((name, .measured(value)))
        }
        let facts = try process.map { (process) throws(BenchFailure) in try ProcessFacts(process) }
        if let facts { report("memory at start", Double(facts.resident) / 1_048_576, "MiB", digits: 1) }

        for kind in kinds(count) {
            let (entries, seconds) = try Self.list(mount + "/" + kind.virtual)
            guard entries == kind.count else {
                throw BenchFailure("\(kind.virtual) lists \(entries) entries, not \(kind.count)")
            }
            report("first ls of \(kind.count) entries", seconds * 1000, "ms", digits: 1)
            report("  an entry", seconds / Double(kind.count) * 1e6, "us", digits: 2)
        }
        if let small {
            let kinds = kinds(smallCount)
            report("first lookups in a store of \(smallCount)", try Self.lookups(small, kinds, every: 1), "/s")
        }
        // A prime step, so that the names are all over the directories.
        report("first lookups in a store of \(count)", try Self.lookups(mount, kinds(count), every: 101), "/s")
        guard let process, let before = facts else { return try write(results) }
        report("lookups of all", try Self.lookups(mount, kinds(count), every: 1), "/s")
        let known = try ProcessFacts(process)
        report("memory with all known", Double(known.resident) / 1_048_576, "MiB", digits: 1)
        report("  an inode", Double(max(0, known.resident - before.resident)) / Double(count), "bytes")
        report("  descriptors", Double(known.descriptors), "")
        if getuid() == 0 {
            try Self.forget(mount)
            report("forgetting all takes", try Self.waitUntilQuiet(process), "s", digits: 1)
            report("memory after forget", Double(try ProcessFacts(process).resident) / 1_048_576, "MiB", digits: 1)
        }
        let idle = try ProcessFacts(process).switches
        usleep(3_000_000)
        report("wake-ups a second when idle", Double(try ProcessFacts(process).switches - idle) / 3, "", digits: 1)
        try write(results)
    }

    /// Makes the kernel let go of all names and inodes of this mount and of no other: a remount shrinks the
    /// superblock's name cache (`reconfigure_super` in fs/super.c), and FUSE ignores a remount's options.
    private static func forget(_ mount: String) throws(BenchFailure) {
        var facts = statvfs()
        guard statvfs(mount, &facts) == 0 else { throw BenchFailure.call("look at", mount) }
        // Read-only, nosuid, nodev and noexec have the same bits in both.
        let kept = facts.f_flag & 0xF
        guard Glibc.mount(nil, mount, nil, UInt(MS_REMOUNT) | kept, nil) == 0 else {
            throw BenchFailure.call("remount", mount)
        }
    }

    /// Waits until a process does nothing for half a second, two minutes at most; the seconds until then.
    private static func waitUntilQuiet(_ process: Int32) throws(BenchFailure) -> Double {
        let start = Stopwatch.now()
        var last = try ProcessFacts(process).switches
        while Stopwatch.now() - start < 120 {
            usleep(500_000)
            let now = try ProcessFacts(process).switches
            if now - last < 8 { return Stopwatch.now() - start - 0.5 }
            last = now
        }
        return Stopwatch.now() - start
    }

    private func write(_ results: [(String, JSONValue)]) throws(BenchFailure) {
        if let json { try TextFile.write(JSONValue.members(results).written() + "\n", to: json) }
    }

    private static func list(_ path: String) throws(BenchFailure) -> (Int, Double) {
        let start = Stopwatch.now()
        guard let directory = opendir(path) else { throw BenchFailure.call("open", path) }
        defer { closedir(directory) }
        var entries = 0
        // Not "." and "..", nor the link `latest` among the checkpoints.
        while let entry = readdir(directory) { if entry.pointee.d_type == DT_REG { entries += 1 } }
        return (entries, Stopwatch.now() - start)
    }

    private static func lookups(_ mount: String, _ kinds: [Kind], every step: Int) throws(BenchFailure) -> Double {
        var operations = 0
        var seconds = 0.0
        for kind in kinds {
            let count = (kind.count + step - 1) / step
            let names = PathTable(count: count) { mount + "/" + kind.virtual + "/" + kind.virtualName($0 * step) }
            let (tally, time) = try Loops.time(
                Loops.statFiles, names.all, UnsafeMutableRawPointer(mutating: names.all.base))
            guard tally.bytes == count * Content.blockSize else {
                throw BenchFailure("\(kind.virtual): sizes add up to \(tally.bytes), not \(count * Content.blockSize)")
            }
            operations += tally.operations
            seconds += time
        }
        return seconds > 0 ? Double(operations) / seconds : 0
    }
}
