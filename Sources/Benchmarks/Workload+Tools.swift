import Glibc

/// What people run: whole programs, from their start to their end, as files a second. What they print is checked.
extension Workload {
    static let grep = Workload(
        name: "grep", summary: "grep -rlF for a number that one of the artifacts holds", unit: .operations,
        writes: false
    ) { (bench) throws(BenchFailure) in
        let number = bench.settings.files / 2
        let digits = String(number)
        let text = String(repeating: "0", count: 12 - digits.utf8.count) + digits + "\tchr1"
        let (seconds, output) = try Tool.run([
            "grep", "-rlF", "--exclude-dir=dev", "--include=*chr*_*.tsv", text, bench.target.artifactDirectory,
        ])
        try bench.require(output == bench.target.artifact(number) + "\n", "grep", "it found '\(output.prefix(200))'")
        return Sample(seconds: seconds, amount: Double(bench.settings.files))
    }

    static let awk = Workload(
        name: "awk", summary: "one awk that adds up the first column of all artifacts, named by the shell's *",
        unit: .operations, writes: false
    ) { (bench) throws(BenchFailure) in
        let (seconds, output) = try Tool.run([
            "sh", "-c", #"cd "$1" && exec awk -F'\t' 'FNR > 1 { n += $1 } END { printf "%.0f", n }' "$2"*_*.tsv"#, "sh",
            bench.target.artifactDirectory, bench.target.artifactPrefix,
        ])
        let files = bench.settings.files
        let rows = Content.blockSize / Content.rowSize - 1
        try bench.require(output == "\(rows * files * (files - 1) / 2)", "awk", "it added up to '\(output.prefix(40))'")
        return Sample(seconds: seconds, amount: Double(files))
    }

    static let copySession = Workload(
        name: "cp", summary: "cp -r of a session's files to a native directory", unit: .operations, writes: true
    ) { (bench) throws(BenchFailure) in
        let names = bench.freshNames("Copy", count: bench.settings.changes) { bench.target.session($0) }
        _ = try Loops.create(names.all, bench.buffer)
        let copy = bench.settings.scratch
        let (seconds, _) = try Tool.run(["cp", "-r", bench.target.sessionDirectory, copy])
        let prefix = bench.target.layout == .store ? "/analysis_sequences_" : "/"
        let copies = bench.freshNames("Copy", count: bench.settings.changes) { copy + prefix + $0 }
        let tally = try Loops.statFiles(copies.all, bench.buffer)
        try bench.require(
            tally.bytes == names.all.count * Content.blockSize, "cp", "\(tally.bytes) bytes were copied")
        _ = try Loops.unlinkFiles(names.all, bench.buffer)
        _ = try Tool.run(["rm", "-r", copy])
        return Sample(seconds: seconds, amount: Double(bench.settings.changes))
    }

    /// Python's start, which takes longer than the scan, does not count: the program says itself what the scan took.
    static let polars = Workload(
        name: "polars", summary: "polars scans 24 Parquet artifacts and adds up a column", unit: .operations,
        writes: false
    ) { (bench) throws(BenchFailure) in
        guard let python = bench.settings.python else { throw BenchFailure("polars needs --python") }
        let (_, output) = try Tool.run([
            python, "-c",
            """
            from glob import glob
            from sys import argv
            from time import monotonic
            from polars import col, scan_parquet
            pattern = argv[1] + "*.parquet"
            for turn in range(6):
                if turn == 1: start = monotonic()
                total = scan_parquet(pattern).select(col("score").sum()).collect().item()
            print(monotonic() - start, total, len(glob(pattern)))
            """, bench.target.parquetDirectory + "/" + bench.target.parquetPrefix,
        ])
        let words = output.split(whereSeparator: \.isWhitespace)
        guard words.count == 3, let seconds = Double(words[0]), words[1] == "28799988000000", words[2] == "24" else {
            throw BenchFailure("polars on \(bench.target.name) did not do its work: it says '\(output)'")
        }
        return Sample(seconds: seconds, amount: 5 * 24)
    }
}
