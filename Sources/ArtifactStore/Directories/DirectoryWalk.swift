internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// All that is in a directory, in the order of the paths' bytes, without following a link. What cannot be part of an artifact ends the walk.
struct DirectoryWalk {
    /// One file or directory.
    struct Item {
        /// From the directory that is walked, without a `/` at its end.
        let path: [UInt8]
        /// Open to read, as long as it is looked at.
        let descriptor: FileDescriptor
        let attributes: stat
        var isDirectory: Bool { attributes.isDirectory }

        /// For people.
        var name: String { String(decoding: path, as: UTF8.self) }
    }

    /// How many directories may lie in each other.
    static let deepest = 128
    /// How many files and directories there may be.
    static let most = 4_000_000

    private var count = 0

    /// Looks at each; at a directory after all that is in it.
    static func visit(
        _ directory: FileDescriptor, _ look: (Item) throws(PublishFailure) -> Void
    ) throws(PublishFailure) {
        var walk = DirectoryWalk()
        try walk.visit(directory, beneath: [], depth: 0, look)
    }

    private mutating func visit(
        _ directory: FileDescriptor, beneath parent: [UInt8], depth: Int,
        _ look: (Item) throws(PublishFailure) -> Void
    ) throws(PublishFailure) {
        guard depth < Self.deepest else { throw .refused("its directories are more than \(Self.deepest) deep") }
        var names: [[UInt8]] = []
        try attempt("read") { () throws(Errno) in
            try SystemCall.forEachName(in: directory) { name, _, _ in
                let bytes = UnsafeRawBufferPointer(start: name, count: strlen(name))
                guard !bytes.elementsEqual(".".utf8), !bytes.elementsEqual("..".utf8) else { return }
                names.append(Array(bytes))
            }
        }
        names.sort { $0.lexicographicallyPrecedes($1) }
        for name in names {
            count += 1
            guard count <= Self.most else { throw .refused("it has more than \(Self.most) files and directories") }
            let path = parent.isEmpty ? name : parent + [UInt8(ascii: "/")] + name
            let terminated = name.map { CChar(bitPattern: $0) } + [0]
            try visit(terminated, in: directory, path, depth, look)
        }
    }

    private mutating func visit(
        _ name: [CChar], in directory: FileDescriptor, _ path: [UInt8], _ depth: Int,
        _ look: (Item) throws(PublishFailure) -> Void
    ) throws(PublishFailure) {
        let shown = String(decoding: path, as: UTF8.self)
        // Of a link, a fifo or a device nothing is opened.
        let seen = try attempt("looked at") { () throws(Errno) in try SystemCall.attributes(directory, name) }
        guard seen.isRegular || seen.isDirectory else {
            throw .refused("'\(shown)' in it is no plain file: links, fifos, sockets and devices cannot be sealed")
        }
        let descriptor = try attempt("opened") { () throws(Errno) in
            try SystemCall.open(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
        }
        defer { SystemCall.close(descriptor) }
        let found = try attempt("looked at") { () throws(Errno) in try SystemCall.attributes(descriptor) }
        guard (found.st_dev, found.st_ino) == (seen.st_dev, seen.st_ino) else {
            throw .refused("'\(shown)' in it was replaced while it was being checked")
        }
        if found.isDirectory { try visit(descriptor, beneath: path, depth: depth + 1, look) }
        try look(Item(path: path, descriptor: descriptor, attributes: found))
    }
}
