internal import Glibc
public import SystemPackage

/// Writes a file: opened with `O_WRONLY`, `O_CREAT` and `O_TRUNC`, closed with its error.
///
/// - Throws: the error of `open`, `write` or `close`.
public func write(_ text: String, to path: String) throws(Errno) { try write(Array(text.utf8), to: path) }

/// Writes a file: opened with `O_WRONLY`, `O_CREAT` and `O_TRUNC`, closed with its error.
///
/// - Throws: the error of `open`, `write` or `close`.
public func write(_ bytes: [UInt8], to path: String) throws(Errno) {
    let descriptor = retryingInterrupts { open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }
    guard descriptor >= 0 else { throw Errno(rawValue: errno) }
    var written = 0
    while written < bytes.count {
        let count = bytes.withUnsafeBytes { buffer in
            retryingInterrupts {
                Glibc.write(descriptor, buffer.baseAddress?.advanced(by: written), buffer.count - written)
            }
        }
        if count <= 0 {
            let error = Errno(rawValue: errno)
            close(descriptor)
            throw error
        }
        written += count
    }
    if close(descriptor) != 0 { throw Errno(rawValue: errno) }
}

/// A file's bytes.
///
/// - Throws: the error of `open` or `read`.
public func bytes(_ path: String) throws(Errno) -> [UInt8] {
    let descriptor = retryingInterrupts { open(path, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw Errno(rawValue: errno) }
    defer { close(descriptor) }
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = buffer.withUnsafeMutableBytes { space in
            retryingInterrupts { Glibc.read(descriptor, space.baseAddress, space.count) }
        }
        if count < 0 { throw Errno(rawValue: errno) }
        if count == 0 { return result }
        result += buffer[..<count]
    }
}

/// A file's text; bytes that are not UTF-8 become the replacement character.
///
/// - Throws: the error of `open` or `read`.
public func contents(_ path: String) throws(Errno) -> String { String(decoding: try bytes(path), as: UTF8.self) }

/// The names in a directory, sorted, without `.` and `..`.
///
/// - Throws: the error of `opendir` or `readdir`.
public func names(in path: String) throws(Errno) -> [String] {
    guard let stream = opendir(path) else { throw Errno(rawValue: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
        errno = 0
        guard let entry = readdir(stream) else {
            if errno != 0 { throw Errno(rawValue: errno) }
            return names.filter { $0 != "." && $0 != ".." }.sorted()
        }
        names.append(
            withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
}

/// Whether something is there, a link that leads nowhere included.
public func exists(_ path: String) -> Bool {
    var found = stat()
    return lstat(path, &found) == 0
}

/// The directories and files below a directory, relative to it, sorted.
public func tree(_ path: String) -> [String] {
    var found: [String] = []
    var waiting = [""]
    while let directory = waiting.popLast() {
        for name in (try? names(in: path + "/" + directory)) ?? [] {
            let relative = directory.isEmpty ? name : directory + "/" + name
            found.append(relative)
            var attributes = stat()
            if lstat(path + "/" + relative, &attributes) == 0, attributes.st_mode & S_IFMT == S_IFDIR {
                waiting.append(relative)
            }
        }
    }
    return found.sorted()
}
