import Glibc

extension Workload {
    static let statNames = Workload(
        name: "stat", summary: "stat of every artifact by name, after a first pass", unit: .operations, writes: false
    ) { (bench) throws(BenchFailure) in
        let paths = bench.artifacts.all
        _ = try Loops.statFiles(paths, bench.buffer)
        let (tally, seconds) = try Loops.time(Loops.statFiles, paths, bench.buffer)
        try bench.require(
            tally.bytes == bench.settings.files * Content.blockSize, "stat", "sizes add up to \(tally.bytes)")
        return Sample(seconds: seconds, amount: Double(tally.operations))
    }

    static let openRead = Workload(
        name: "open-read", summary: "open, read 4 KiB, close of every artifact", unit: .operations, writes: false
    ) { (bench) throws(BenchFailure) in
        let buffer = bench.readBuffer
        let (tally, seconds) = try Loops.time(Loops.openRead, bench.artifacts.all, buffer)
        try checkRead(bench, tally, "open-read")
        return Sample(seconds: seconds, amount: Double(tally.operations))
    }

    static let parallelOpenRead = Workload(
        name: "parallel-open-read", summary: "open-read by several threads, each its part of the artifacts",
        unit: .operations, writes: false
    ) { (bench) throws(BenchFailure) in
        let (tally, seconds) = try Parallel.time(
            Loops.openRead, bench.artifacts.all, block: bench.buffer, threads: bench.settings.threads)
        try checkRead(bench, tally, "parallel-open-read")
        return Sample(seconds: seconds, amount: Double(tally.operations))
    }

    static let list = Workload(
        name: "list", summary: "opendir and readdir of every artifact, closedir", unit: .operations, writes: false
    ) { (bench) throws(BenchFailure) in
        let path = bench.target.artifactDirectory
        var count = 0
        let start = Stopwatch.now()
        guard let directory = opendir(path) else { throw BenchFailure.call("open", path) }
        while readdir(directory) != nil { count += 1 }
        closedir(directory)
        let seconds = Stopwatch.now() - start
        try bench.require(count >= bench.settings.files, "list", "\(count) entries")
        return Sample(seconds: seconds, amount: Double(count))
    }

    static let listAndStat = Workload(
        name: "list-stat", summary: "opendir, readdir and fstatat of every artifact, closedir", unit: .operations,
        writes: false
    ) { (bench) throws(BenchFailure) in
        let path = bench.target.artifactDirectory
        let prefix = bench.target.artifactPrefix
        let prefixLength = prefix.utf8.count
        let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 19
        var count = 0
        var bytes = 0
        // One C string, made before the clock starts.
        let prefixes = PathTable(count: 1) { _ in prefix }
        var facts = stat()
        let start = Stopwatch.now()
        guard let directory = opendir(path) else { throw BenchFailure.call("open", path) }
        defer { closedir(directory) }
        let descriptor = dirfd(directory)
        while let entry = readdir(directory) {
            let name = (UnsafeRawPointer(entry) + nameOffset).assumingMemoryBound(to: CChar.self)
            // In the real directory there are also the directories of sessions.
            if strncmp(name, prefixes.all[0], prefixLength) != 0 { continue }
            guard fstatat(descriptor, name, &facts, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw BenchFailure.call("stat", name)
            }
            count += 1
            bytes += Int(facts.st_size)
        }
        let seconds = Stopwatch.now() - start
        try bench.require(
            count == bench.settings.files && bytes == count * Content.blockSize, "list-stat",
            "\(count) entries of \(bytes) bytes")
        return Sample(seconds: seconds, amount: Double(count))
    }

    private static func checkRead(_ bench: Bench, _ tally: Loops.Tally, _ name: String) throws(BenchFailure) {
        try bench.require(
            tally.bytes == bench.settings.files * Content.blockSize
                && tally.sum == bench.expectedSum(bench.settings.files),
            name, "\(tally.bytes) bytes, or not the ones that were written")
    }
}
