import Glibc

extension Workload {
    private static let mebibyte = 1 << 20

    /// Over bytes that are there: in a virtual machine the first write to a page of memory may take ten times as long as any later one,
    /// and which file system gets such pages is chance.
    static let sequentialWrite = Workload(
        name: "seq-write", summary: "open, write 1 MiB blocks over a file's bytes, close; in a session",
        unit: .mebibytes,
        writes: true
    ) { (bench) throws(BenchFailure) in
        let path = bench.target.session(bench.freshName("Big", 0))
        defer { Glibc.unlink(path) }
        let pieces = bench.settings.bigMebibytes
        func pass(_ flags: Int32) throws(BenchFailure) -> Double {
            let start = Stopwatch.now()
            let file = open(path, O_WRONLY | O_CLOEXEC | flags, 0o644)
            guard file >= 0 else { throw BenchFailure.call("create", path) }
            for _ in 0..<pieces {
                guard write(file, bench.buffer, mebibyte) == mebibyte else { throw BenchFailure.call("write", path) }
            }
            guard close(file) == 0 else { throw BenchFailure.call("close", path) }
            return Stopwatch.now() - start
        }
        _ = try pass(O_CREAT | O_EXCL)
        let seconds = try pass(0)
        var facts = stat()
        guard stat(path, &facts) == 0 else { throw BenchFailure.call("stat", path) }
        try bench.require(Int(facts.st_size) == bench.settings.bigBytes, "seq-write", "\(facts.st_size) bytes")
        return Sample(seconds: seconds, amount: Double(pieces))
    }

    static let sequentialRead = Workload(
        name: "seq-read", summary: "open, read 1 MiB blocks to the end, close; warm", unit: .mebibytes, writes: false
    ) { (bench) throws(BenchFailure) in
        _ = try readBig(bench)
        return try timedRead(bench)
    }

    static let sequentialReadFirst = Workload(
        name: "seq-read-first", summary: "seq-read after the kernel has forgotten all names", unit: .mebibytes,
        writes: false, forgets: .names
    ) { (bench) throws(BenchFailure) in try timedRead(bench) }

    private static func timedRead(_ bench: Bench) throws(BenchFailure) -> Sample {
        let start = Stopwatch.now()
        let tally = try readBig(bench)
        let seconds = Stopwatch.now() - start
        try bench.require(
            tally.bytes == bench.settings.bigBytes && tally.sum == bench.expectedSum(bench.settings.bigBlocks),
            "seq-read", "\(tally.bytes) bytes, or not the ones that were written")
        return Sample(seconds: seconds, amount: Double(bench.settings.bigMebibytes))
    }

    private static func readBig(_ bench: Bench) throws(BenchFailure) -> Loops.Tally {
        let buffer = bench.readBuffer
        let path = bench.target.bigArtifact
        var tally = Loops.Tally()
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw BenchFailure.call("open", path) }
        defer { close(file) }
        while true {
            let count = read(file, buffer, mebibyte)
            guard count >= 0 else { throw BenchFailure.call("read", path) }
            if count == 0 { return tally }
            tally.bytes += count
            if count == mebibyte {
                for block in stride(from: 0, to: mebibyte, by: Content.blockSize) {
                    tally.sum &+= Content.stamp(of: buffer + block)
                }
            }
        }
    }

    /// Over bytes that are there, as `sequentialWrite`.
    static let parallelWrite = Workload(
        name: "parallel-write", summary: "seq-write by several threads, each a file of its own", unit: .mebibytes,
        writes: true
    ) { (bench) throws(BenchFailure) in
        let threads = bench.settings.threads
        let pieces = max(1, bench.settings.bigMebibytes / threads)
        let names = bench.freshNames("Wide", count: threads) { bench.target.session($0) }
        let paths = names.all
        defer { for index in 0..<threads { Glibc.unlink(paths[index]) } }
        func pass(_ flags: Int32) throws(BenchFailure) -> (Loops.Tally, seconds: Double) {
            let content = UnsafeRawBufferPointer(start: bench.buffer, count: mebibyte)
            return try Parallel.time(threads: threads, copying: content) { (thread, buffer) throws(BenchFailure) in
                let file = open(paths[thread], O_WRONLY | O_CLOEXEC | flags, 0o644)
                guard file >= 0 else { throw BenchFailure.call("create", paths[thread]) }
                for _ in 0..<pieces {
                    guard write(file, buffer, mebibyte) == mebibyte else {
                        throw BenchFailure.call("write", paths[thread])
                    }
                }
                guard close(file) == 0 else { throw BenchFailure.call("close", paths[thread]) }
                return Loops.Tally()
            }
        }
        _ = try pass(O_CREAT | O_EXCL)
        let (_, seconds) = try pass(0)
        let tally = try Loops.statFiles(paths, bench.buffer)
        try bench.require(tally.bytes == threads * pieces * mebibyte, "parallel-write", "\(tally.bytes) bytes")
        return Sample(seconds: seconds, amount: Double(threads * pieces))
    }

    static let parallelRead = Workload(
        name: "parallel-read", summary: "several threads open one file, and each reads its part in 1 MiB blocks; warm",
        unit: .mebibytes, writes: false
    ) { (bench) throws(BenchFailure) in
        let threads = bench.settings.threads
        let pieces = bench.settings.bigMebibytes
        let path = bench.target.bigArtifact
        func pass() throws(BenchFailure) -> (Loops.Tally, seconds: Double) {
            let content = UnsafeRawBufferPointer(start: bench.buffer, count: mebibyte)
            return try Parallel.time(threads: threads, copying: content) { (thread, buffer) throws(BenchFailure) in
                let file = open(path, O_RDONLY | O_CLOEXEC)
                guard file >= 0 else { throw BenchFailure.call("open", path) }
                defer { close(file) }
                var tally = Loops.Tally()
                for piece in (pieces * thread / threads)..<(pieces * (thread + 1) / threads) {
                    guard pread(file, buffer, mebibyte, off_t(piece * mebibyte)) == mebibyte else {
                        throw BenchFailure.call("read", path)
                    }
                    tally.bytes += mebibyte
                    for block in stride(from: 0, to: mebibyte, by: Content.blockSize) {
                        tally.sum &+= Content.stamp(of: buffer + block)
                    }
                }
                return tally
            }
        }
        _ = try pass()
        let (tally, seconds) = try pass()
        try bench.require(
            tally.bytes == bench.settings.bigBytes && tally.sum == bench.expectedSum(bench.settings.bigBlocks),
            "parallel-read", "\(tally.bytes) bytes, or not the ones that were written")
        return Sample(seconds: seconds, amount: Double(pieces))
    }

    static let randomRead = Workload(
        name: "rand-read", summary: "pread of 4 KiB at random blocks of one open file; warm", unit: .operations,
        writes: false
    ) { (bench) throws(BenchFailure) in
        let path = bench.target.bigArtifact
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw BenchFailure.call("open", path) }
        defer { close(file) }
        let buffer = bench.readBuffer
        let blocks = UInt64(bench.settings.bigBlocks)
        let reads = bench.settings.randomReads
        // The same places on every target, other ones each round.
        let seed = 0x9E37_79B9_7F4A_7C15 &+ UInt64(bench.round)
        var state = seed
        var sum: UInt64 = 0
        let start = Stopwatch.now()
        for _ in 0..<reads {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            let offset = off_t(state % blocks) * off_t(Content.blockSize)
            guard pread(file, buffer, Content.blockSize, offset) == Content.blockSize else {
                throw BenchFailure.call("read", path)
            }
            sum &+= Content.stamp(of: buffer)
        }
        let seconds = Stopwatch.now() - start
        var expected: UInt64 = 0
        state = seed
        for _ in 0..<reads {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            expected &+= bench.stamps[Int(state % blocks)]
        }
        try bench.require(sum == expected, "rand-read", "other bytes than were written")
        return Sample(seconds: seconds, amount: Double(reads))
    }

    static let mappedRead = Workload(
        name: "mmap-read", summary: "open, mmap, touch each page, unmap, close; warm", unit: .mebibytes, writes: false
    ) { (bench) throws(BenchFailure) in
        let path = bench.target.bigArtifact
        let size = bench.settings.bigBytes
        func pass() throws(BenchFailure) -> UInt64 {
            let file = open(path, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { throw BenchFailure.call("open", path) }
            defer { close(file) }
            var facts = stat()
            guard fstat(file, &facts) == 0 else { throw BenchFailure.call("stat", path) }
            // A page past the end would be a signal, not an error.
            guard Int(facts.st_size) == size else {
                throw BenchFailure("\(path) has \(facts.st_size) bytes, not \(size)")
            }
            guard let map = mmap(nil, size, PROT_READ, MAP_SHARED, file, 0), map != MAP_FAILED else {
                throw BenchFailure.call("map", path)
            }
            defer { munmap(map, size) }
            var sum: UInt64 = 0
            for block in stride(from: 0, to: size, by: Content.blockSize) { sum &+= Content.stamp(of: map + block) }
            return sum
        }
        _ = try pass()
        let start = Stopwatch.now()
        let sum = try pass()
        let seconds = Stopwatch.now() - start
        try bench.require(
            sum == bench.expectedSum(bench.settings.bigBlocks), "mmap-read", "other bytes than were written")
        return Sample(seconds: seconds, amount: Double(bench.settings.bigMebibytes))
    }
}
