import Glibc

/// The timed loops over many files: system calls, and one word added up of what was read. Nothing is allocated.
enum Loops {
    /// What a loop did.
    struct Tally: Sendable {
        var operations = 0
        var bytes = 0
        var sum: UInt64 = 0

        static func + (left: Tally, right: Tally) -> Tally {
            Tally(
                operations: left.operations + right.operations, bytes: left.bytes + right.bytes,
                sum: left.sum &+ right.sum)
        }
    }

    typealias Loop = @Sendable (PathTable.Slice, UnsafeMutableRawPointer) throws(BenchFailure) -> Tally

    static let statFiles: Loop = { (paths, _) throws(BenchFailure) in
        var tally = Tally()
        var facts = stat()
        for index in 0..<paths.count {
            guard stat(paths[index], &facts) == 0 else { throw BenchFailure.call("stat", paths[index]) }
            tally.operations += 1
            tally.bytes += Int(facts.st_size)
        }
        return tally
    }

    static let openRead: Loop = { (paths, buffer) throws(BenchFailure) in
        var tally = Tally()
        for index in 0..<paths.count {
            let file = open(paths[index], O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { throw BenchFailure.call("open", paths[index]) }
            let count = read(file, buffer, Content.blockSize)
            guard close(file) == 0, count == Content.blockSize else { throw BenchFailure.call("read", paths[index]) }
            tally.operations += 1
            tally.bytes += count
            tally.sum &+= Content.stamp(of: buffer)
        }
        return tally
    }

    static let create: Loop = { (paths, buffer) throws(BenchFailure) in
        var tally = Tally()
        for index in 0..<paths.count {
            let file = open(paths[index], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
            guard file >= 0 else { throw BenchFailure.call("create", paths[index]) }
            let count = write(file, buffer, Content.blockSize)
            guard count == Content.blockSize else { throw BenchFailure.call("write", paths[index]) }
            guard close(file) == 0 else { throw BenchFailure.call("close", paths[index]) }
            tally.operations += 1
            tally.bytes += count
        }
        return tally
    }

    static let unlinkFiles: Loop = { (paths, _) throws(BenchFailure) in
        var tally = Tally()
        for index in 0..<paths.count {
            guard unlink(paths[index]) == 0 else { throw BenchFailure.call("remove", paths[index]) }
            tally.operations += 1
        }
        return tally
    }

    /// Times a loop in this thread.
    static func time(
        _ loop: Loop, _ paths: PathTable.Slice, _ buffer: UnsafeMutableRawPointer
    ) throws(BenchFailure) -> (Tally, seconds: Double) {
        let start = Stopwatch.now()
        let tally = try loop(paths, buffer)
        return (tally, Stopwatch.now() - start)
    }
}
