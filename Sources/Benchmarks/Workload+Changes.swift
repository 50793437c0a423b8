import Glibc

extension Workload {
    static let createInSession = Workload(
        name: "create-session", summary: "create, write 4 KiB, close of new files in a session", unit: .operations,
        writes: true
    ) { (bench) throws(BenchFailure) in
        let names = bench.freshNames("Make", count: bench.settings.changes) { bench.target.session($0) }
        let (tally, seconds) = try Loops.time(Loops.create, names.all, bench.buffer)
        try checkMade(bench, names, "create-session")
        _ = try Loops.unlinkFiles(names.all, bench.buffer)
        return Sample(seconds: seconds, amount: Double(tally.operations))
    }

    static let parallelCreate = Workload(
        name: "parallel-create", summary: "create-session by several threads", unit: .operations, writes: true
    ) { (bench) throws(BenchFailure) in
        let names = bench.freshNames("Many", count: bench.settings.changes) { bench.target.session($0) }
        let (tally, seconds) = try Parallel.time(
            Loops.create, names.all, block: bench.buffer, threads: bench.settings.threads)
        try checkMade(bench, names, "parallel-create")
        _ = try Loops.unlinkFiles(names.all, bench.buffer)
        return Sample(seconds: seconds, amount: Double(tally.operations))
    }

    static let unlink = Workload(
        name: "unlink", summary: "unlink of a session's files, just made", unit: .operations, writes: true
    ) { (bench) throws(BenchFailure) in
        let names = bench.freshNames("Gone", count: bench.settings.changes) { bench.target.session($0) }
        _ = try Loops.create(names.all, bench.buffer)
        let (tally, seconds) = try Loops.time(Loops.unlinkFiles, names.all, bench.buffer)
        for index in 0..<names.all.count {
            try bench.require(access(names.all[index], F_OK) != 0 && errno == ENOENT, "unlink", "a file is left")
        }
        return Sample(seconds: seconds, amount: Double(tally.operations))
    }

    /// From the start of a program that makes artifacts until the last of them is at its real path, whoever brings it there and when.
    static let createInProduction = Workload(
        name: "create-production", summary: "create, write 4 KiB, close in production, until all are published",
        unit: .operations, writes: true
    ) { (bench) throws(BenchFailure) in
        let count = bench.settings.changes
        let names = bench.freshNames("Pub", count: count) { bench.target.published($0) }
        var real: PathTable?
        if bench.target.layout == .tree {
            guard bench.target.store != nil else {
                throw BenchFailure(
                    "create-production on \(bench.target.name) must see what is published: add --store "
                        + "\(bench.target.name)=STORE, or leave the workload out")
            }
            real = bench.freshNames("Pub", count: count) { bench.target.real(published: $0) ?? "" }
        }
        let paths = (0..<count).map { String(cString: names.all[$0]) }
        let start = Stopwatch.now()
        // By a program that ends: what it made is published then.
        try MakeCommand.makeInAnotherProcess(paths)
        // Elsewhere a file is published, such as it is, from the start.
        if let real {
            for index in 0..<count {
                while access(real.all[index], F_OK) != 0 {
                    guard Stopwatch.now() - start < 120 else {
                        throw BenchFailure.call("see published after 120 s", real.all[index])
                    }
                    usleep(100)
                }
            }
        }
        let seconds = Stopwatch.now() - start
        try checkMade(bench, real ?? names, "create-production")
        return Sample(seconds: seconds, amount: Double(count))
    }

    /// Every file is there in its whole length, and every sixteenth holds what was written.
    private static func checkMade(_ bench: Bench, _ names: PathTable, _ workload: String) throws(BenchFailure) {
        let tally = try Loops.statFiles(names.all, bench.buffer)
        try bench.require(
            tally.bytes == names.all.count * Content.blockSize, workload, "sizes add up to \(tally.bytes)")
        let block = UnsafeMutableRawPointer.allocate(byteCount: Content.blockSize, alignment: Content.blockSize)
        defer { block.deallocate() }
        for index in stride(from: 0, to: names.all.count, by: 16) {
            let file = open(names.all[index], O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { throw BenchFailure.call("open", names.all[index]) }
            let count = read(file, block, Content.blockSize)
            close(file)
            try bench.require(
                count == Content.blockSize && memcmp(block, bench.buffer, Content.blockSize) == 0, workload,
                "\(String(cString: names.all[index])) holds other bytes")
        }
    }
}
