import Glibc

/// Whole small files.
enum TextFile {
    static func read(_ path: String) throws(BenchFailure) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw BenchFailure.call("open", path) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(file, &piece, piece.count)
            guard count >= 0 else { throw BenchFailure.call("read", path) }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(contentsOf: piece.prefix(count))
        }
    }

    static func write(_ text: String, to path: String) throws(BenchFailure) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw BenchFailure.call("write", path) }
        defer { close(file) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw BenchFailure.call("write", path) }
            rest = rest.dropFirst(count)
        }
    }
}
