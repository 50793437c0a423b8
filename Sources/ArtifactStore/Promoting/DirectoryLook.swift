internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What was seen of a directory that is to be promoted, without reading its files: with the rights of who asks, so that what is promoted, or copied
/// for somebody, are the files that this user could read, and no others that have their names by then.
struct DirectoryLook: Sendable {
    /// A file or directory in it.
    struct Seen {
        let path: [UInt8]
        let attributes: stat
    }

    /// Says which files these are and how they are: numbers, permissions, sizes and times of modification, by their paths.
    let digest: String
    /// The sum of the files' sizes, in bytes.
    let size: Int64
    /// The permissions of all that is in it; nil where too much of it has its own to be noted before it moves.
    let modes: DirectoryModes?

    /// Looks at an open directory.
    init(at directory: FileDescriptor) throws(PublishFailure) {
        var seen: [Seen] = []
        try DirectoryWalk.visit(directory) { item in
            seen.append(Seen(path: item.path, attributes: item.attributes))
        }
        digest = try Self.digest(of: seen)
        size = seen.reduce(0) { sum, file in
            file.attributes.isRegular
                ? sum.addingReportingOverflow(Int64(file.attributes.st_size)).partialValue : sum
        }
        modes = Self.modes(of: seen)
    }

    static func digest(of seen: [Seen]) throws(PublishFailure) -> String {
        try attempt("hashed") { () throws(Errno) in
            var digest = try Digest()
            for file in seen { digest.add(file.path, file.attributes) }
            return try digest.finish()
        }
    }

    /// Is made of what was seen, one after the other.
    struct Digest: ~Copyable {
        private var hash: SHA256

        init() throws(Errno) { hash = try SHA256() }

        mutating func add(_ path: [UInt8], _ file: stat) {
            let facts =
                " \(file.st_ino) \(file.st_mode) \(file.st_size) \(file.st_mtim.tv_sec) \(file.st_mtim.tv_nsec)\n"
            // A NUL ends a path, and is in none.
            (path + [0] + Array(facts.utf8)).withUnsafeBytes { hash.update($0) }
        }

        mutating func finish() throws(Errno) -> String { try hash.finish() }
    }

    // MARK: - Permissions

    /// The longest text of paths that have permissions of their own, in bytes: it stands in one line of the ledger.
    private static let longestOthers = 256 << 10

    private static func modes(of seen: [Seen]) -> DirectoryModes? {
        func most(_ isDirectory: Bool) -> UInt32 {
            var counts: [UInt32: Int] = [:]
            for file in seen where file.attributes.isDirectory == isDirectory {
                counts[file.attributes.permissions, default: 0] += 1
            }
            return counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? 0
        }
        var modes = DirectoryModes(files: most(false), directories: most(true))
        var length = 0
        for file in seen {
            let mode = file.attributes.permissions
            guard mode != (file.attributes.isDirectory ? modes.directories : modes.files) else { continue }
            let path = text(of: file.path)
            length += path.utf8.count
            guard length <= longestOthers else { return nil }
            modes.others[path] = mode
        }
        return modes
    }

    /// The permissions that something had.
    static func mode(of item: DirectoryWalk.Item, _ modes: DirectoryModes) -> UInt32 {
        let mode = modes.others.isEmpty ? nil : modes.others[text(of: item.path)]
        return mode ?? (item.isDirectory ? modes.directories : modes.files)
    }

    private static func text(of path: [UInt8]) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        for byte in path {
            if EscapedName.isKept(byte) || byte == UInt8(ascii: "/") {
                text.append(byte)
            } else {
                text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
