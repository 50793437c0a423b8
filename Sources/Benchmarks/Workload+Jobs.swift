import Glibc

/// Whole jobs, from the start of their shell to its end. What it costs that records tell who did what from what is the ratio to the same mount
/// with `-o no_provenance`.
extension Workload {
    static let jobs = [pipelineJob, copyJob, blastJob]

    static let pipelineJob = Workload(
        name: "job-pipelines",
        summary: "a shell that runs 'awk | sort' over 1,000 artifacts, a file of production each",
        unit: .operations, writes: true
    ) { (bench) throws(BenchFailure) in
        let count = min(1000, bench.settings.files)
        let names = (0..<count).map { bench.freshName("Job", $0) }
        // A file that the shell reads: arguments would be in each record, as those of an ancestor.
        let list = bench.settings.scratch + "-list"
        let lines = (0..<count).map { "\(bench.target.artifact($0)) \(bench.target.published(names[$0]))\n" }
        _ = try Tool.run(["sh", "-c", #"printf %s "$2" > "$1""#, "sh", list, ""])
        for part in stride(from: 0, to: count, by: 100) {
            let text = lines[part..<min(part + 100, count)].joined()
            _ = try Tool.run(["sh", "-c", #"printf %s "$2" >> "$1""#, "sh", list, text])
        }
        let script = #"while read -r from to; do awk 'FNR > 1' "$from" | sort > "$to"; done < "$1""#
        let (seconds, _) = try Tool.run(["sh", "-c", script, "sh", list])
        // What is being published still would slow the next one down.
        let ends = Stopwatch.now() + 120
        for name in names {
            let path = bench.target.real(published: name) ?? bench.target.published(name)
            while access(path, F_OK) != 0 {
                guard Stopwatch.now() < ends else { throw BenchFailure("\(path) is not published after 120 s") }
                usleep(1000)
            }
        }
        return Sample(seconds: seconds, amount: Double(count))
    }

    static let copyJob = Workload(
        name: "job-copy", summary: "cp -r of 10,000 files of 100 bytes into the session's scratch/", unit: .operations,
        writes: true
    ) { (bench) throws(BenchFailure) in
        let count = 10_000
        let (source, copy) = (bench.settings.scratch + "-small", bench.target.free("copy"))
        if access(source, F_OK) != 0 {
            let script = #"mkdir -p "$1" && cd "$1" && seq -f '%0100.0f' "$2" | split -l 1 -a 4 -"#
            _ = try Tool.run(["sh", "-c", script, "sh", source, String(count)])
        }
        let (seconds, _) = try Tool.run(["cp", "-r", source, copy])
        let (_, listed) = try Tool.run(["sh", "-c", #"ls "$1" | wc -l"#, "sh", copy])
        try bench.require(listed.contains("\(count)\n"), "job-copy", "it copied \(listed)")
        _ = try Tool.run(["rm", "-r", copy])
        return Sample(seconds: seconds, amount: Double(count))
    }

    static let blastJob = Workload(
        name: "job-blast", summary: "blastn of 400 sequences against a database of 20 million bases in scratch/",
        unit: .operations, writes: true
    ) { (bench) throws(BenchFailure) in
        let (count, place) = (400, bench.target.free("blast"))
        if access(place + "/genome.nsq", F_OK) != 0 {
            let script = #"""
                mkdir -p "$1" && cd "$1" && awk 'BEGIN { srand(7); for (c = 0; c < 20; c++) { print ">chr" c
                    for (l = 0; l < 16667; l++) { s = ""; for (b = 0; b < 60; b++) s = s substr("ACGT", 1 + int(4 * rand()), 1); print s } } }' > genome.fa &&
                awk -v most="$2" '/^>/ { next } NR % 800 == 5 && n < most { printf ">q%d\n%s\n", n++, $0 }' genome.fa > queries.fa &&
                makeblastdb -in genome.fa -dbtype nucl -out genome > makeblastdb.log
                """#
            _ = try Tool.run(["sh", "-c", script, "sh", place, String(count)])
        }
        let result = bench.target.session(bench.freshName("Blast", 0))
        let script = #"cd "$1" && exec blastn -query queries.fa -db genome -outfmt 6 -out "$2""#
        let (seconds, _) = try Tool.run(["sh", "-c", script, "sh", place, result])
        let (_, found) = try Tool.run(["sh", "-c", #"cut -f1 "$1" | sort -u | wc -l"#, "sh", result])
        try bench.require(found == "\(count)\n", "job-blast", "it found \(found)")
        return Sample(seconds: seconds, amount: Double(count))
    }
}
