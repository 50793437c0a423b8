internal import ArtifactRecords
internal import SystemPackage

/// The tree that a commit of an index would have: computed, not looked up, so it needs none of the repository's objects.
enum IndexTree {
    /// A directory that is being put together.
    private struct Tree {
        /// Its path with a slash at the end; empty at the top.
        let path: ArraySlice<UInt8>
        var content: [UInt8] = []
    }

    /// The most directories that are put together.
    private static let mostTrees = 50_000

    /// - Returns: nil when there is something that no commit can have: a conflict.
    /// - Throws: `EFBIG` for too many directories.
    static func root(of index: GitIndex, _ format: ObjectFormat) throws(Errno) -> ObjectID? {
        var open = [Tree(path: [])]
        var count = 0
        for number in index.entries.indices where !index.entries[number].isIntended {
            let entry = index.entries[number]
            guard entry.stage == 0 else { return nil }
            var name = index.name(number)
            while let last = open.last, !name.starts(with: last.path) { try close(&open, format) }
            if entry.mode == .directory { name.removeLast() }
            var start = name.startIndex + (open.last?.path.count ?? 0)
            while let slash = name[start...].firstIndex(of: UInt8(ascii: "/")) {
                count += 1
                guard count <= mostTrees else { throw .fileTooLarge }
                open.append(Tree(path: name[...slash]))
                start = slash + 1
            }
            add(name[start...], String(entry.mode.rawValue, radix: 8), index.id(number), to: &open)
        }
        while open.count > 1 { try close(&open, format) }
        return try ObjectID(of: "tree", open.first?.content ?? [], format)
    }

    private static func close(_ open: inout [Tree], _ format: ObjectFormat) throws(Errno) {
        guard open.count > 1, let tree = open.popLast() else { throw .invalidArgument }
        let start = tree.path.startIndex + (open.last?.path.count ?? 0)
        add(
            tree.path[start...].dropLast(), "40000", try ObjectID(of: "tree", tree.content, format).bytes[...],
            to: &open)
    }

    private static func add(_ name: ArraySlice<UInt8>, _ mode: String, _ id: ArraySlice<UInt8>, to open: inout [Tree]) {
        guard !open.isEmpty else { return }
        let last = open.count - 1
        open[last].content += mode.utf8
        open[last].content.append(0x20)
        open[last].content += name
        open[last].content.append(0)
        open[last].content += id
    }
}

extension ObjectID {
    /// The id that git gives to content (gitformat-loose, `<kind> <size>` and a zero before it).
    init(of kind: String, _ content: [UInt8], _ format: ObjectFormat) throws(Errno) {
        var digest = try MessageDigest(format)
        digest.update(Array("\(kind) \(content.count)".utf8) + [0])
        digest.update(content)
        self.init(bytes: try digest.finish())
    }
}
