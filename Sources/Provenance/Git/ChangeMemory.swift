internal import ArtifactRecords
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What was found while looking for changes, and holds as long as the files are the same. The working tree is always looked at again.
final class ChangeMemory: Sendable {
    /// An index that was read.
    struct Index: Sendable {
        let index: GitIndex
        /// When it was written, in seconds.
        let written: Int64
        /// The tree that its commit would have; nil when it has conflicts.
        let tree: ObjectID?
    }

    private struct Key: Hashable {
        let rights: UserRights
        let own: FileNumber
        let common: FileNumber
    }

    private struct KnownIndex {
        let key: Key
        let stamp: FileStamp
        let format: ObjectFormat
        let index: Index
    }

    private struct KnownTree {
        let key: Key
        let commit: ObjectID
        let tree: ObjectID
    }

    private struct State {
        /// The last that were used, the newest at the end.
        var indexes: [KnownIndex] = []
        var trees: [KnownTree] = []
        var contents = ContentHashes()
    }

    /// An index of 20,000 files takes about three megabytes.
    private static let mostIndexes = 4
    private static let mostTrees = 64

    /// A leaf in the order of locks; nothing is read under it.
    private let state = Lock(State())

    private static func key(_ place: RepositoryPlace, _ rights: UserRights) throws(Errno) -> Key {
        Key(rights: rights, own: try place.own.attributes().number, common: try place.common.attributes().number)
    }

    /// The index of a repository; one that is not there has nothing.
    func index(
        of place: RepositoryPlace, for rights: UserRights, _ format: ObjectFormat, _ walk: PathWalk
    ) throws(Errno) -> Index {
        guard try place.own.attributes(of: "index".utf8) != nil else {
            let empty = GitIndex(emptyFor: format)
            return Index(index: empty, written: 0, tree: try IndexTree.root(of: empty, format))
        }
        let key = try Self.key(place, rights)
        return try walk.follow("index".utf8, from: place.own).file.reading { open, attributes throws(Errno) in
            let stamp = FileStamp(attributes)
            let known = state.withLock { state in
                state.indexes.first { $0.key == key && $0.stamp == stamp && $0.format == format }?.index
            }
            if let known { return known }
            // Before it is read: what changes meanwhile has another time.
            let isFresh = stamp.isFresh
            guard stamp.size >= 0, stamp.size <= GitIndex.limit else { throw Errno.fileTooLarge }
            let bytes = try SystemCall.bytes(open, at: 0, count: Int(stamp.size) + 1)
            guard bytes.count == stamp.size, let read = GitIndex(bytes, format) else { throw Errno.invalidArgument }
            let index = Index(
                index: read, written: stamp.modified.seconds, tree: try IndexTree.root(of: read, format))
            if !isFresh { remember(KnownIndex(key: key, stamp: stamp, format: format, index: index)) }
            return index
        }
    }

    private func remember(_ known: KnownIndex) {
        state.withLock { state in
            state.indexes.removeAll { $0.key == known.key }
            if state.indexes.count >= Self.mostIndexes { state.indexes.removeFirst() }
            state.indexes.append(known)
        }
    }

    /// The tree of a commit, which never changes.
    ///
    /// - Returns: nil when the commit is not found.
    func tree(
        of commit: ObjectID, in place: RepositoryPlace, for rights: UserRights, _ format: ObjectFormat, _ walk: PathWalk
    ) throws(Errno) -> ObjectID? {
        let key = try Self.key(place, rights)
        let known = state.withLock { state in state.trees.first { $0.key == key && $0.commit == commit }?.tree }
        if let known { return known }
        guard let tree = try CommitReader(walk: walk, format: format).tree(of: commit, in: place.common) else {
            return nil
        }
        state.withLock { state in
            if state.trees.count >= Self.mostTrees { state.trees.removeFirst() }
            state.trees.append(KnownTree(key: key, commit: commit, tree: tree))
        }
        return tree
    }

    /// What a file had in it.
    func content(_ key: ContentHashes.ContentKey) -> FileContent? { state.withLock { $0.contents[key] } }

    func remember(_ content: FileContent, _ key: ContentHashes.ContentKey) {
        state.withLock { $0.contents[key] = content }
    }
}
