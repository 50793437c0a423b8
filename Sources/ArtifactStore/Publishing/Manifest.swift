internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What a directory that is an artifact consists of: a line for each file and directory in it, in the order of their paths' bytes.
///
/// A file's line is its SHA-256, its size in bytes and its path, with a space between; a directory's is `- - ` and its path with a `/` at its end.
/// In a path every byte below 33, `%` and 127 is `%XX`. The SHA-256 of the text is the artifact's: it changes with any byte and any name.
struct Manifest {
    private(set) var text: [UInt8] = []
    private(set) var files: Int64 = 0
    private(set) var directories: Int64 = 0
    /// The sum of the files' sizes, in bytes.
    private(set) var size: Int64 = 0

    /// Adds a file.
    ///
    /// - Throws: `EOVERFLOW` when the sizes add up to more than can be written.
    mutating func add(file path: [UInt8], size: Int64, sha256: String) throws(Errno) {
        let (sum, isOver) = self.size.addingReportingOverflow(size)
        guard !isOver, size >= 0 else { throw Errno(rawValue: EOVERFLOW) }
        self.size = sum
        files += 1
        text += sha256.utf8
        text.append(UInt8(ascii: " "))
        text += String(size).utf8
        text.append(UInt8(ascii: " "))
        add(path)
        text.append(UInt8(ascii: "\n"))
    }

    /// Adds a directory.
    mutating func add(directory path: [UInt8]) {
        directories += 1
        text += "- - ".utf8
        add(path)
        text += "/\n".utf8
    }

    /// Of the text, in lower-case hexadecimal digits.
    func sha256() throws(Errno) -> String {
        var hash = try SHA256()
        text.withUnsafeBytes { hash.update($0) }
        return try hash.finish()
    }

    /// The files that a manifest's text has, in its order.
    static func files(in text: [UInt8]) -> [SealedFile] {
        text.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 2)
            guard parts.count == 3, parts[0].count == 64 else { return nil }
            return SealedFile(path: path(parts[2]), sha256: String(decoding: parts[0], as: UTF8.self))
        }
    }

    private static func path(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var (path, rest): ([UInt8], ArraySlice<UInt8>) = ([], text)
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%"),
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else {
                path.append(byte)
                continue
            }
            path.append(value)
            rest = rest.dropFirst(2)
        }
        return path
    }

    private mutating func add(_ path: [UInt8]) {
        for byte in path {
            if byte < 33 || byte == UInt8(ascii: "%") || byte == 127 {
                let digits = Array("0123456789ABCDEF".utf8)
                text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            } else {
                text.append(byte)
            }
        }
    }

    /// Keeps the text under its hash, for who wants to know later what was sealed.
    ///
    /// - Parameter directory: `.artifactfs/manifests`.
    func keep(as sha256: String, in directory: Directory) throws(Errno) {
        let file = directory.file(sha256)
        // The same was sealed before.
        if let found = try? file.attributes(), found.st_size == text.count { return }
        let unfinished = directory.file(".\(sha256)")
        let descriptor = try unfinished.open(O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        defer { SystemCall.close(descriptor) }
        do throws(Errno) {
            try SystemCall.write(descriptor, text)
            try SystemCall.sync(descriptor)
            try unfinished.rename(to: file)
            try SystemCall.sync(directory.descriptor)
        } catch {
            try? unfinished.unlink()
            throw error
        }
    }
}

/// A file of an artifact, as it was read.
public struct SealedFile: Sendable, Hashable {
    /// From the directory that is the artifact, as bytes; empty of an artifact that is a file.
    public let path: [UInt8]
    /// In lower-case hexadecimal digits.
    public let sha256: String
}
