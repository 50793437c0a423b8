internal import Artifacts
internal import ArtifactStore
public import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

extension Volume {
    public func openDirectory(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> OpenedDirectory {
        let node = try self.inode(inode)
        switch node {
        case .tree, .made(.hiddenDirectory): break
        case .free(let node): guard node.kind == S_IFDIR else { throw Errno.notDirectory }
        case .artifact, .made: throw Errno.notDirectory
        }
        return OpenedDirectory(handle: handles.openDirectory(inode), traits: try listingTraits(of: node))
    }

    /// Whether the kernel may keep the listing, which it drops when the directory's time of modification changes.
    ///
    /// Only on a read-only mount, where no staged files are shown. A change within the same tick of the file system's clock as the
    /// listing would go unseen (4 ms, where the kernel has no finer times), so the last one must be a while ago.
    private func listingTraits(of node: Inode) throws(Errno) -> OpenTraits {
        guard store.isReadOnly, case .tree(let directory) = node, case .typed(.production, _, _) = directory.location
        else { return [] }
        let modified = try attributes(of: directory).st_mtim
        return Clock.secondsSince(modified) > 1 ? [.keepCache, .cacheDirectory] : []
    }

    public func releaseDirectory(inode: InodeNumber, handle: HandleID) {
        if handles.close(handle) { seals.submit { SystemCall.giveMemoryBack() } }
    }

    public func syncDirectory(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, dataOnly: Bool
    ) throws(Errno) {
        switch try self.inode(inode) {
        case .tree(let directory):
            guard let real = try directory.real.current() else { return }
            if request.caller.isMovable { throw Errno.takesLong }
            try SystemCall.sync(real.descriptor)
        case .free(let node):
            if request.caller.isMovable { throw Errno.takesLong }
            let descriptor = try node.withDescriptor { path throws(Errno) in
                try SystemCall.reopen(path, O_RDONLY | O_DIRECTORY)
            }
            defer { try? descriptor.close() }
            try SystemCall.sync(descriptor)
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
        let reading: HandleTable.Directory.Reading
        if offset > 0, let known = directory.reading.withLock({ $0 }) {
            reading = known
        } else {
            let shown = try shown(by: node, inode)
            let isDetailed = buffer.wantsAttributes && isWorthDetails(node, shown.listing.count)
            reading = .init(shown: shown, isDetailed: isDetailed)
            directory.reading.withLock { $0 = reading }
        }
        let (listing, isDetailed) = (reading.shown.listing, reading.isDetailed)
        guard offset >= 0, offset < Int64(listing.count) else { return }
        for index in Int(offset)..<listing.count {
            let goesOn = listing.withEntry(at: index) { name, number, type -> Bool in
                let next = Int64(index + 1)
                guard isDetailed, buffer.wantsAttributes, !name.isDot else {
                    return buffer.add(name: name, inodeNumber: number, type: type, nextOffset: next)
                }
                let entry: Entry
                do throws(Errno) {
                    entry = try self.entry(name, in: node)
                } catch .noSuchFileOrDirectory {
                    return true  // Gone since the listing was made.
                } catch {
                    // It is there; whoever asks for more learns what is wrong.
                    return buffer.add(name: name, inodeNumber: number, type: type, nextOffset: next)
                }
                if buffer.add(name: name, entry: entry, nextOffset: next) { return true }
                namespace.forget(entry.inode, lookups: 1)
                return false
            }
            guard goesOn else { return }
        }
    }

    /// What a directory shows now: what another handle shows, when nothing has changed since it was looked at.
    private func shown(by node: Inode, _ inode: InodeNumber) throws(Errno) -> HandleTable.Shown {
        let state = listingState(of: node)
        if let state, let shown = handles.shown(of: inode, in: state) { return shown }
        let shown = HandleTable.Shown(try listing(of: node), state: state)
        handles.share(shown, of: inode)
        return shown
    }

    /// Taken before the listing is: what changes in between makes it another's.
    private func listingState(of node: Inode) -> ListingState? {
        let staged = namespace.stagedChanges
        let attributes: stat?
        switch node {
        case .free(let free):
            attributes = try? free.withDescriptor { path throws(Errno) in try SystemCall.attributes(path) }
        case .tree(let directory):
            switch directory.location {
            case .typed, .free:
                guard let real = try? directory.real.current() else { return nil }
                attributes = try? SystemCall.attributes(real.descriptor)
            default: return nil
            }
        case .artifact, .made: return nil
        }
        return attributes.flatMap { ListingState($0, staged: staged) }
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
        // Another thread may have told it since `now`, and that is later.
        guard told == 0 || now > told && now - told > trusted else { return false }
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

    private func listing(of node: Inode) throws(Errno) -> Listing {
        switch node {
        case .tree(let directory): return try listing(of: directory, withDots: true)
        case .free(let free): return try free.withDescriptor { path throws(Errno) in try Listing(of: path) }
        case .made:
            var listing = Listing()
            try addDots(StableNumber.of(StoreLayout.privateDirectory), root.stableNumber, to: &listing)
            for file in HiddenFile.allCases {
                let path = StoreLayout.privateDirectory + "/" + file.rawValue
                try listing.add(file.rawValue, number: StableNumber.of(path), type: S_IFREG)
            }
            return listing
        case .artifact: throw Errno.notDirectory
        }
    }

    private func addDots(_ own: UInt64, _ parent: UInt64, to listing: inout Listing) throws(Errno) {
        try listing.add(".", number: own, type: S_IFDIR)
        try listing.add("..", number: parent, type: S_IFDIR)
    }

    /// What a directory of the tree shows; hidden entries are never listed.
    func listing(of directory: TreeDirectory, withDots: Bool) throws(Errno) -> Listing {
        var listing = Listing()
        if directory.place == .ordinaryTree {
            guard let real = try directory.real.current() else {
                if withDots { try addDots(directory.stableNumber, 0, to: &listing) }
                return listing
            }
            if withDots { return try Listing(of: real.descriptor) }
            try SystemCall.forEachName(in: real.descriptor) { name, number, type throws(Errno) in
                let name = EntryName(name)
                if !name.isDot { try listing.add(name.bytes, number: number, type: type) }
            }
            return listing
        }
        if withDots { try addDots(directory.stableNumber, StableNumber.of(""), to: &listing) }
        func add(directory name: String) throws(Errno) {
            try listing.add(name, number: StableNumber.of(directory.path(of: name)), type: S_IFDIR)
        }
        for child in store.schema.fixedChildren(of: directory.location) { try add(directory: child.name) }
        switch directory.location {
        case .mode(.development):
            var names = Set(try store.sessions())
            if let currentSession { names.insert(currentSession) }
            for name in names.sorted() { try add(directory: name.description) }
        case .mode(.test): for name in try store.tests() { try add(directory: name.description) }
        case .typed, .free, .scope: try addFiles(of: directory, to: &listing)
        case .root, .mode, .layer: break
        }
        for name in [MadeNames.current, MadeNames.latest] where madeEntry(name, in: directory) != nil {
            try listing.add(name, number: StableNumber.of(directory.path(of: name)), type: S_IFLNK)
        }
        listing.compact()
        return listing
    }

    /// Adds the real files that a directory shows, and the staged ones.
    private func addFiles(of directory: TreeDirectory, to listing: inout Listing) throws(Errno) {
        var names: Set<String> = []
        for (name, file) in namespace.pinnedArtifacts(in: directory.id) {
            guard let attributes = try? attributes(of: file) else { continue }
            try listing.add(name, number: UInt64(attributes.st_ino), type: S_IFREG)
            names.insert(name)
        }
        guard let real = try directory.real.current() else { return }
        try SystemCall.forEachName(in: real.descriptor) { name, number, type throws(Errno) in
            guard type == S_IFREG || type == 0, let real = EntryName(name).string,
                let name = directory.name(ofReal: real),
                names.isEmpty || !names.contains(name)
            else { return }
            try listing.add(name, number: number, type: type)
        }
    }
}
