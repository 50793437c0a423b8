import Glibc
import SystemCalls
import SystemPackage

/// Paths of the file system.
enum Paths {
    /// From `/`, without resolving links.
    static func absolute(_ path: String) throws -> String {
        guard !path.isEmpty else { throw Failure(.cannotAnswer, "a path is empty") }
        var trimmed = path
        while trimmed.utf8.count > 1, trimmed.utf8.last == UInt8(ascii: "/") { trimmed.removeLast() }
        if trimmed.utf8.first == UInt8(ascii: "/") { return trimmed }
        guard let current = getcwd(nil, 0) else {
            throw Failure(.cannotAnswer, "the current directory is gone; change to another")
        }
        defer { free(current) }
        let base = try text(
            UnsafeBufferPointer(start: current, count: strlen(current)).map { UInt8(bitPattern: $0) })
        if trimmed == "." { return base }
        while trimmed.hasPrefix("./") { trimmed.removeFirst(2) }
        return base == "/" ? "/" + trimmed : base + "/" + trimmed
    }

    /// With every link and `..` resolved; nil when it does not exist.
    ///
    /// - Throws: `Failure` when the path leads through a mount that does not answer, or to a name that is not UTF-8.
    static func resolved(_ path: String) throws -> String? {
        let found = Patience.find(on: MountEntry.holding(path).flatMap { $0.isArtifacts ? $0 : nil }) {
            guard let real = realpath(path, nil) else { return [] }
            return Array(UnsafeBufferPointer(start: real, count: strlen(real)).lazy.map { UInt8(bitPattern: $0) })
        }
        guard let found else { throw MountEntry.silence(on: path) }
        return found.isEmpty ? nil : try text(found)
    }

    /// A path's bytes as text. Of others the text would be another path.
    static func text(_ bytes: [UInt8]) throws -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        let shown = bytes.map { byte -> String in
            let digits = String(byte, radix: 16)
            return byte < 0x80 ? String(UnicodeScalar(byte)) : "\\x" + digits
        }.joined()
        throw Failure(
            .cannotAnswer, "the path \(shown) is not UTF-8 text, which artifactfs needs; rename it, or use another")
    }

    /// The path with its directory resolved and its last component as it is: a link or a missing file keeps its name.
    static func resolvedDirectory(of path: String) throws -> String {
        let path = try absolute(path)
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
        let name = String(path[path.utf8.index(after: slash)...])
        if name.isEmpty || name == "." || name == ".." { return try resolved(path) ?? path }
        let parent = slash == path.utf8.startIndex ? "/" : String(path[..<slash])
        guard let real = try resolved(parent) else { return path }
        return real == "/" ? "/" + name : real + "/" + name
    }

    /// What of a path comes after a directory that it is in; empty for the directory itself.
    static func rest(of path: String, in directory: String) -> String {
        guard path.utf8.starts(with: directory.utf8) else { return path }
        let rest = path.utf8.dropFirst(directory.utf8.count).drop { $0 == UInt8(ascii: "/") }
        return String(decoding: rest, as: UTF8.self)
    }

    /// The bytes of a small file.
    static func contents(_ path: String, limit: Int = 16 << 20) -> [UInt8]? { try? read(path, limit: limit) }

    /// The same, with the error.
    static func read(_ path: String, limit: Int = 16 << 20) throws(Errno) -> [UInt8] {
        let file = try SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY)
        defer { SystemCall.close(file) }
        var bytes: [UInt8] = []
        while bytes.count < limit {
            let more = try SystemCall.bytes(file, atMost: 65_536)
            if more.isEmpty { break }
            bytes += more
        }
        return bytes
    }

    /// The last bytes of a file.
    static func end(of path: String, limit: Int) -> [UInt8]? {
        guard let file = try? SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_NONBLOCK),
            let size = try? SystemCall.attributes(file).st_size
        else { return nil }
        defer { SystemCall.close(file) }
        let start = max(0, Int64(size) - Int64(limit))
        return try? SystemCall.bytes(file, at: start, count: min(limit, Int(clamping: Int64(size) - start)))
    }

    /// The names in a directory.
    static func names(_ path: String) -> [String] {
        guard let directory = try? SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY) else {
            return []
        }
        defer { SystemCall.close(directory) }
        var names: [String] = []
        // What goes away meanwhile, as processes do, ends the list.
        try? SystemCall.forEachName(in: directory) { name, _, _ in
            let name = String(cString: name)
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// The descriptors that this process has open.
    static func descriptors() -> [Int32] { names("/proc/self/fd").compactMap { Int32($0) } }

    /// A link's target.
    static func link(_ path: String) -> String? {
        (try? SystemCall.linkTarget(atPath: path)).map { String(decoding: $0, as: UTF8.self) }
    }
}
