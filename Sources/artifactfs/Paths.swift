import Glibc

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

    /// The bytes of a small file.
    static func contents(_ path: String, limit: Int = 16 << 20) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < limit {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? bytes : nil }
            bytes += buffer[..<count]
        }
        return bytes
    }

    /// The last bytes of a file.
    static func end(of path: String, limit: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        if lseek(descriptor, off_t(-limit), SEEK_END) < 0 { lseek(descriptor, 0, SEEK_SET) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < limit {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return bytes
    }

    /// The names in a directory.
    static func names(_ path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// The descriptors that this process has open.
    static func descriptors() -> [Int32] { names("/proc/self/fd").compactMap { Int32($0) } }

    /// A link's target.
    static func link(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count)
        return count >= 0 ? String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }
}
