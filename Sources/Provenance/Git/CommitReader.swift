internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Looks a commit up in a repository's objects: alone in a file, in a pack, or in those that it borrows from (gitrepository-layout(5)).
struct CommitReader {
    let walk: PathWalk
    let format: ObjectFormat

    /// The longest commit that is read, in bytes.
    static let limit = 1 << 20
    private static let mostStores = 16
    private static let mostPacks = 1024

    /// The tree that a commit has.
    ///
    /// - Returns: nil when the commit is not found.
    /// - Throws: when it cannot be read, or is not what its id says.
    func tree(of commit: ObjectID, in common: HeldFile) throws(Errno) -> ObjectID? {
        var stores = [try walk.follow("objects".utf8, from: common).file]
        var next = 0
        while next < stores.count {
            let store = stores[next]
            next += 1
            if let content = try content(of: commit, in: store) { return try tree(in: content, of: commit) }
            for path in try alternates(of: store) where stores.count < Self.mostStores {
                guard let target = try? walk.follow(path, from: store), target.attributes.isDirectory else { continue }
                stores.append(target.file)
            }
        }
        return nil
    }

    private func tree(in content: [UInt8], of commit: ObjectID) throws(Errno) -> ObjectID {
        guard try ObjectID(of: "commit", content, format) == commit, content.starts(with: "tree ".utf8) else {
            throw .invalidArgument
        }
        let digits = content.dropFirst(5).prefix(format.length * 2)
        guard let tree = ObjectID(hexadecimal: digits, format) else { throw .invalidArgument }
        return tree
    }

    private func content(of commit: ObjectID, in store: HeldFile) throws(Errno) -> [UInt8]? {
        let digits = Array(commit.text.utf8)
        if let content = try alone(digits[..<2] + [UInt8(ascii: "/")] + digits[2...], in: store) { return content }
        guard try store.attributes(of: "pack".utf8) != nil else { return nil }
        let packs = try walk.follow("pack".utf8, from: store).file
        for name in try names(ofPacksIn: packs) {
            if let content = try Pack(name, in: packs, walk, format).commit(commit) { return content }
        }
        return nil
    }

    /// A commit in a file of its own, compressed: `commit <size>`, a zero, and what it says.
    private func alone(_ name: ArraySlice<UInt8>, in store: HeldFile) throws(Errno) -> [UInt8]? {
        guard try store.attributes(of: name) != nil else { return nil }
        let bytes = try walk.follow(name, from: store).file.reading { open, attributes throws(Errno) in
            try DescriptorSource(descriptor: open, count: Int64(attributes.st_size))
                .decompressed(at: 0, limit: Self.limit + 32)
        }
        guard bytes.starts(with: "commit ".utf8), let zero = bytes.prefix(32).firstIndex(of: 0) else {
            throw .invalidArgument
        }
        return Array(bytes[(zero + 1)...])
    }

    private func names(ofPacksIn directory: HeldFile) throws(Errno) -> [[UInt8]] {
        var names: [[UInt8]] = []
        try withExtendedLifetime(directory) { () throws(Errno) in
            try SystemCall.forEachName(in: directory.descriptor) { name, _, _ throws(Errno) in
                let name = String(cString: name)
                guard name.hasPrefix("pack-"), name.hasSuffix(".idx") else { return }
                guard names.count < Self.mostPacks else { throw Errno.fileTooLarge }
                names.append(Array(name.utf8.dropLast(4)))
            }
        }
        return names
    }

    /// Where it borrows from: a path a line, from the objects' directory.
    private func alternates(of store: HeldFile) throws(Errno) -> [[UInt8]] {
        let name = "info/alternates".utf8
        guard try store.attributes(of: name) != nil else { return [] }
        let bytes = try walk.follow(name, from: store).file.contents(limit: 1 << 16).bytes
        return bytes.split(separator: 0x0A).filter { $0.first != UInt8(ascii: "#") }.map { Array($0) }
    }
}
