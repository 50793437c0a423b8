import Glibc

/// Makes what the workloads read: a store's real directories with sealed-to-be artifacts in them.
enum Preparation {
    /// Writes the artifacts into a store's real directories, which are made when missing.
    ///
    /// - Parameter twin: A prepared directory on the same file system whose files are linked here and not written again:
    ///   the same bytes in two places of the memory were seen to be read at rates that differ by a third.
    static func prepare(_ store: String, settings: Settings, twin: String?) throws(BenchFailure) {
        for directory in ["", "/base_layer", "/base_layer/dev", "/meta_layer", "/meta_layer/predictions"] {
            if mkdir(store + directory, 0o755) != 0 && errno != EEXIST {
                throw BenchFailure.call("make", store + directory)
            }
        }
        let target = try Target(name: "store", directory: store)
        if let twin {
            let other = try Target(name: "twin", directory: twin)
            for index in 0..<settings.files { try link(other.artifact(index), target.artifact(index)) }
            if settings.python != nil {
                for name in parquetNames {
                    let path = "/base_layer/nucleotide_scores_chr\(name).parquet"
                    try link(twin + path, store + path)
                }
            }
            return try link(other.bigArtifact, target.bigArtifact)
        }
        if let python = settings.python { try makeParquet(python, in: store) }
        let megabyte = 1 << 20
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: megabyte, alignment: Content.blockSize)
        defer { buffer.deallocate() }
        for index in 0..<settings.files {
            Content.fill(buffer, number: index, header: true)
            try write(target.artifact(index), from: buffer, count: Content.blockSize)
        }
        let path = target.bigArtifact
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw BenchFailure.call("create", path) }
        defer { close(file) }
        for piece in 0..<settings.bigMebibytes {
            fillMebibyte(buffer, piece: piece)
            guard Glibc.write(file, buffer, megabyte) == megabyte else { throw BenchFailure.call("write", path) }
        }
    }

    private static let parquetNames = (1...22).map(String.init) + ["X", "Y"]

    /// Makes the Parquet artifacts: 24 files of 100,000 rows, 1.5 MiB each. Their scores are ten times 0, 1, 2 and so on.
    private static func makeParquet(_ python: String, in directory: String) throws(BenchFailure) {
        _ = try Tool.run(
            [
                python, "-c",
                """
                from sys import argv
                from polars import DataFrame, int_range
                rows = 100_000
                for number, name in enumerate(argv[2:]):
                    positions = int_range(number * rows, (number + 1) * rows, eager=True)
                    frame = DataFrame({"position": positions, "score": positions * 10})
                    frame.write_parquet(argv[1] + name + ".parquet", compression="uncompressed")
                """, directory + "/base_layer/nucleotide_scores_chr",
            ] + parquetNames)
    }

    /// Fills a MiB with the blocks that are at `piece` MiB in the large artifact.
    static func fillMebibyte(_ buffer: UnsafeMutableRawPointer, piece: Int) {
        let blocks = (1 << 20) / Content.blockSize
        for block in 0..<blocks {
            let number = piece * blocks + block
            Content.fill(buffer + block * Content.blockSize, number: number, header: number == 0)
        }
    }

    private static func link(_ old: String, _ new: String) throws(BenchFailure) {
        if Glibc.link(old, new) != 0 { throw BenchFailure.call("link \(old) to", new) }
    }

    private static func write(
        _ path: String, from buffer: UnsafeMutableRawPointer, count: Int
    ) throws(BenchFailure) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw BenchFailure.call("create", path) }
        defer { close(file) }
        guard Glibc.write(file, buffer, count) == count else { throw BenchFailure.call("write", path) }
    }
}
