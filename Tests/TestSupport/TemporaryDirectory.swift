internal import Glibc
public import SystemPackage

/// A directory that is removed with everything in it when the last reference goes.
public final class TemporaryDirectory: Sendable {
    /// The directory's absolute path, without a slash at the end.
    public let path: String

    /// Makes a new directory.
    ///
    /// - Parameters:
    ///   - parent: where it is made; `$TMPDIR`, else `/tmp`, when not given.
    ///   - mode: its permission bits. `mkdtemp` gives 0700; a test with several users wants 0755.
    /// - Throws: the error of `mkdtemp` or `chmod`.
    public init(in parent: String? = nil, mode: UInt32 = 0o755) throws(Errno) {
        let parent = parent ?? environmentValue("TMPDIR") ?? "/tmp"
        var template = Array("\(parent)/artifactfs-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        let path = template.withUnsafeBufferPointer { text in
            text.baseAddress.map { String(cString: $0) } ?? ""
        }
        guard chmod(path, mode) == 0 else { throw Errno(rawValue: errno) }
        self.path = path
    }

    deinit { removeTree(path) }
}

/// Removes a directory and everything in it; stays on one file system, so that a mount left below loses nothing.
func removeTree(_ path: String) {
    var top = stat()
    guard !path.isEmpty, path != "/", lstat(path, &top) == 0 else { return }
    remove(Array(path.utf8CString), on: top.st_dev)
    // What a test has made immutable is to go too.
    guard geteuid() == 0, lstat(path, &top) == 0 else { return }
    _ = try? run(
        ["find", path, "-xdev", "(", "-type", "f", "-o", "-type", "d", ")", "-exec", "chattr", "-i", "{}", "+"])
    remove(Array(path.utf8CString), on: top.st_dev)
}

/// The path is bytes that end with a zero, because a test's names need not be UTF-8.
private func remove(_ path: [CChar], on device: dev_t) {
    var found = stat()
    guard lstat(path, &found) == 0, found.st_dev == device else { return }
    guard found.st_mode & S_IFMT == S_IFDIR else {
        _ = Glibc.unlink(path)
        return
    }
    var entries: [[CChar]] = []
    if let stream = opendir(path) {
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                bytes.prefix { $0 != 0 }.map { CChar(bitPattern: $0) }
            }
            if String(decoding: name.map { UInt8(bitPattern: $0) }, as: UTF8.self).allSatisfy({ $0 == "." }),
                name.count <= 2
            {
                continue
            }
            entries.append(path.dropLast() + [CChar(bitPattern: UInt8(ascii: "/"))] + name + [0])
        }
        closedir(stream)
    }
    for entry in entries { remove(entry, on: device) }
    _ = rmdir(path)
}

/// An environment variable's value, unless it is missing or empty.
public func environmentValue(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
}
