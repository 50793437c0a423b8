import Glibc

/// Makes what the workloads read: a store's real directories with sealed-to-be artifacts in them.
enum Preparation {
    /// Writes the artifacts into a store's real directories, which are made when missing.
    ///
    /// - Parameter twin: A prepared directory on the same file system whose files are linked here and not written again:
    ///   the same bytes in two places of the memory were seen to be read at rates that differ by a third.
    static func prepare(_ store: String, settings: Settings, twin: String?) throws(Failure) {
        for directory in ["", "/base_layer", "/base_layer/dev", "/meta_layer", "/meta_layer/predictions"] {
            if mkdir(store + directory, 0o755) != 0 && errno != EEXIST { throw Failure.call("make", store + directory) }
        }
        let target = try Target(name: "store", directory: store)
        if let twin {
            let other = try Target(name: "twin", directory: twin)
            for index in 0..<settings.files { try link(other.artifact(index), target.artifact(index)) }
            return try link(other.bigArtifact, target.bigArtifact)
        }
        let megabyte = 1 << 20
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: megabyte, alignment: Content.blockSize)
        defer { buffer.deallocate() }
        for index in 0..<settings.files {
            Content.fill(buffer, number: index, header: true)
            try write(target.artifact(index), from: buffer, count: Content.blockSize)
        }
        let path = target.bigArtifact
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw Failure.call("create", path) }
        defer { close(file) }
        for piece in 0..<settings.bigMebibytes {
            fillMebibyte(buffer, piece: piece)
            guard Glibc.write(file, buffer, megabyte) == megabyte else { throw Failure.call("write", path) }
        }
    }

    /// Fills a MiB with the blocks that are at `piece` MiB in the large artifact.
    static func fillMebibyte(_ buffer: UnsafeMutableRawPointer, piece: Int) {
        let blocks = (1 << 20) / Content.blockSize
        for block in 0..<blocks {
            let number = piece * blocks + block
            Content.fill(buffer + block * Content.blockSize, number: number, header: number == 0)
        }
    }

    private static func link(_ old: String, _ new: String) throws(Failure) {
        if Glibc.link(old, new) != 0 { throw Failure.call("link \(old) to", new) }
    }

    private static func write(
        _ path: String, from buffer: UnsafeMutableRawPointer, count: Int
    ) throws(Failure) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw Failure.call("create", path) }
        defer { close(file) }
        guard Glibc.write(file, buffer, count) == count else { throw Failure.call("write", path) }
    }
}
