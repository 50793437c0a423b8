internal import Artifacts
internal import ArtifactStore
internal import CLinux
public import FuseKernel
internal import Glibc
internal import Synchronization
public import SystemPackage

extension Volume {
    public func openDirectory(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> OpenedDirectory {
        let node = try self.inode(inode)
        switch node {
        case .tree, .made(.hiddenDirectory): break
        case .free(let node): guard node.kind == S_IFDIR else { throw Errno.notDirectory }
        case .artifact, .made: throw Errno.notDirectory
        }
        return OpenedDirectory(handle: handles.openDirectory(), traits: try listingTraits(of: node))
    }

    /// Whether the kernel may keep the listing, which it drops when the directory's time of modification changes.
    ///
    /// Only on a read-only mount, where no staged files are shown. A change within the same tick of the file system's clock as the
    /// listing would go unseen (4 ms, where the kernel has no finer times), so the last one must be a while ago.
    private func listingTraits(of node: Inode) throws(Errno) -> OpenTraits {
        guard store.isReadOnly, case .tree(let directory) = node, case .typed(.production, _, _) = directory.location
        else { return [] }
        let modified = try attributes(of: directory).st_mtim
        return Clock.now().tv_sec - modified.tv_sec > 1 ? [.keepCache, .cacheDirectory] : []
    }

    public func releaseDirectory(inode: InodeNumber, handle: HandleID) { handles.close(handle) }

    public func syncDirectory(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, dataOnly: Bool
    ) throws(Errno) {
        switch try self.inode(inode) {
        case .tree(let directory):
            guard let real = try directory.real.current() else { return }
            _ = try Linux.call { fsync(real.descriptor.rawValue) }
        case .free(let node):
            let descriptor = try node.withDescriptor { path throws(Errno) in
                try Linux.reopen(path, O_RDONLY | O_DIRECTORY)
            }
            defer { try? descriptor.close() }
            _ = try Linux.call { fsync(descriptor.rawValue) }
        case .artifact, .made: break
        }
    }

    public func readDirectory(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64,
        into buffer: inout DirectoryBuffer
    ) throws(Errno) {
        let directory = try handles.directory(handle)
        let node = try self.inode(inode)
        // rewinddir(3): position 0 reads the directory anew.
        var known = offset > 0 ? directory.listing.withLock { $0 } : nil
        if known == nil {
            let entries = try listing(of: node)
            let isDetailed = buffer.wantsAttributes && isWorthDetails(node, entries.count)
            let fresh = HandleTable.Listing(entries: entries, isDetailed: isDetailed)
            directory.listing.withLock { $0 = fresh }
            known = fresh
        }
        guard let known, offset >= 0, offset < Int64(known.entries.count) else { return }
        let (entries, isDetailed) = (known.entries, known.isDetailed)
        for index in Int(offset)..<entries.count {
            let listed = entries[index]
            let next = Int64(index + 1)
            let goesOn = listed.bytes.withUnsafeBufferPointer { bytes -> Bool in
                guard let start = bytes.baseAddress else { return true }
                let name = EntryName(start)
                guard isDetailed, buffer.wantsAttributes, !listed.isDot else {
                    return buffer.add(
                        name: name, inodeNumber: listed.number, type: listed.type, nextOffset: next)
                }
                let entry: Entry
                do throws(Errno) {
                    entry = try self.entry(name, in: node)
                } catch .noSuchFileOrDirectory {
                    return true  // Gone since the listing was made.
                } catch {
                    // It is there; whoever asks for more learns what is wrong.
                    return buffer.add(name: name, inodeNumber: listed.number, type: listed.type, nextOffset: next)
                }
                if buffer.add(name: name, entry: entry, nextOffset: next) { return true }
                namespace.forget(entry.inode, lookups: 1)
                return false
            }
            guard goesOn else { return }
        }
    }

    /// Whether a listing tells what each name is: a few microseconds a name, against a round trip for each that a program then asks for,
    /// as nearly all do. Not when the kernel was just told, nor for so many that it could hardly keep them.
    private func isWorthDetails(_ node: Inode, _ count: Int) -> Bool {
        guard count <= 100_000 else { return false }
        if case .made = node { return false }
        guard case .tree(let directory) = node else { return true }
        let now = Clock.monotonic()
        let trusted = UInt64(timeout(of: directory.scope, in: directory) * 0.5e9)
        let told = directory.lastDetails.load(ordering: .relaxed)
        guard told == 0 || now - told > trusted else { return false }
        directory.lastDetails.store(now, ordering: .relaxed)
        return true
    }

    /// A lookup by a name of a listing.
    private func entry(_ name: EntryName, in node: Inode) throws(Errno) -> Entry {
        switch node {
        case .tree(let directory):
            guard directory.place == .ordinaryTree else { return try treeEntry(text(name), in: directory) }
            guard let scope = directory.scope else { throw Errno.noSuchFileOrDirectory }
            return try freeEntry(name, in: .top(directory.real), scope: scope)
        case .free(let free): return try freeEntry(name, in: .node(free), scope: free.scope)
        case .artifact, .made: throw Errno.notDirectory
        }
    }

    // MARK: - Listings

    private func listing(of node: Inode) throws(Errno) -> [HandleTable.Listed] {
        switch node {
        case .tree(let directory): return try listing(of: directory, withDots: true)
        case .free(let free): return try free.withDescriptor { path throws(Errno) in try Linux.names(in: path) }
        case .made:
            let own = StableNumber.of(StoreLayout.privateDirectory)
            return dots(own, root.stableNumber)
                + HiddenFile.allCases.map {
                    .init(
                        name: $0.rawValue, number: StableNumber.of(StoreLayout.privateDirectory + "/" + $0.rawValue),
                        type: S_IFREG)
                }
        case .artifact: throw Errno.notDirectory
        }
    }

    private func dots(_ own: UInt64, _ parent: UInt64) -> [HandleTable.Listed] {
        [.init(name: ".", number: own, type: S_IFDIR), .init(name: "..", number: parent, type: S_IFDIR)]
    }

    /// What a directory of the tree shows; hidden entries are never listed.
    func listing(of directory: TreeDirectory, withDots: Bool) throws(Errno) -> [HandleTable.Listed] {
        if directory.place == .ordinaryTree {
            guard let real = try directory.real.current() else {
                return withDots ? dots(directory.stableNumber, 0) : []
            }
            let names = try Linux.names(in: real.descriptor)
            return withDots ? names : names.filter { !$0.isDot }
        }
        var listed = withDots ? dots(directory.stableNumber, StableNumber.of("")) : []
        func add(directory name: String) {
            listed.append(.init(name: name, number: StableNumber.of(directory.path(of: name)), type: S_IFDIR))
        }
        for child in store.schema.fixedChildren(of: directory.location) { add(directory: child.name) }
        switch directory.location {
        case .mode(.development):
            var names = Set(try store.sessions())
            if let currentSession { names.insert(currentSession) }
            for name in names.sorted() { add(directory: name.description) }
        case .mode(.test): for name in try store.tests() { add(directory: name.description) }
        case .typed, .free, .scope: listed += try files(of: directory)
        case .root, .mode, .layer: break
        }
        for name in [MadeNames.current, MadeNames.latest] where madeEntry(name, in: directory) != nil {
            listed.append(.init(name: name, number: StableNumber.of(directory.path(of: name)), type: S_IFLNK))
        }
        return listed
    }

    /// The real files that a directory shows, and the staged ones.
    private func files(of directory: TreeDirectory) throws(Errno) -> [HandleTable.Listed] {
        var files: [HandleTable.Listed] = []
        var names: Set<String> = []
        let staged = namespace.pinnedArtifacts(in: directory.id)
        for (name, file) in staged {
            guard let attributes = try? attributes(of: file) else { continue }
            files.append(.init(name: name, number: UInt64(attributes.st_ino), type: S_IFREG))
            names.insert(name)
        }
        guard let real = try directory.real.current() else { return files }
        for found in try Linux.names(in: real.descriptor) where found.type == S_IFREG || found.type == 0 {
            guard let real = found.name, let name = directory.name(ofReal: real) else { continue }
            if !names.isEmpty, names.contains(name) { continue }
            files.append(.init(name: name, number: found.number, type: found.type))
        }
        return files
    }
}
