internal import Artifacts
internal import ArtifactStore
public import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// Reading directories: the names as they were when reading began.
extension Volume {
    public func openDirectory(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> OpenedDirectory {
        let node = try self.inode(inode)
        switch node {
        case .tree, .made(.hiddenDirectory), .made(.quarantine), .made(.records), .made(.versions): break
        case .free(let node): guard node.kind == S_IFDIR else { throw Errno.notDirectory }
        case .kept(let kept): guard kept.isDirectory else { throw Errno.notDirectory }
        case .artifact, .made: throw Errno.notDirectory
        }
        return OpenedDirectory(handle: handles.openDirectory(inode), traits: try listingTraits(of: node))
    }

    /// Whether the kernel may keep the listing, which it drops when the directory's time of modification changes.
    ///
    /// Only on a read-only mount, where no staged files are shown. A change within the same tick of the file system's clock as the
    /// listing would go unseen (4 ms, where the kernel has no finer times), so the last one must be a while ago.
    private func listingTraits(of node: Inode) throws(Errno) -> OpenTraits {
        // In a shared store the time of modification may be another host's, and known too late.
        guard store.isReadOnly, !store.isShared, case .tree(let directory) = node,
            case .typed(.production, _, _) = directory.location
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
        case .artifact, .made, .kept: break
        }
    }

    public func readDirectory(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64,
        into buffer: inout DirectoryBuffer
    ) throws(Errno) {
        let directory = try handles.directory(handle)
        let kind = try directoryKind(inode)
        let caller = request.caller
        // rewinddir(3): position 0 reads the directory anew.
        let reading: HandleTable.OpenDirectory.Reading
        if offset > 0, let known = directory.reading.withLock({ $0 }) {
            reading = known
        } else {
            let shown = try shown(by: kind, inode, caller)
            let isDetailed = buffer.wantsAttributes && isWorthDetails(kind, shown.listing.count)
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
                    entry = try self.entry(name, in: kind, caller)
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
    private func shown(
        by kind: DirectoryKind, _ inode: InodeNumber, _ caller: Caller
    ) throws(Errno) -> HandleTable.Shown {
        let state = listingState(of: kind)
        if let state, let shown = handles.shown(of: inode, in: state) { return shown }
        let shown = HandleTable.Shown(try listing(of: kind, caller), state: state)
        handles.share(shown, of: inode)
        return shown
    }

    /// Taken before the listing is: what changes in between makes it another's.
    private func listingState(of kind: DirectoryKind) -> ListingState? {
        let staged = namespace.stagedChanges
        let attributes: stat?
        switch kind {
        case .free(let parent):
            attributes = try? parent.directory.withDescriptor { path throws(Errno) in try SystemCall.attributes(path) }
        case .artifacts(let directory):
            guard case .typed = directory.location, let real = try? directory.real.current() else { return nil }
            attributes = try? SystemCall.attributes(real.descriptor)
        case .made, .quarantine: return nil
        }
        return attributes.flatMap { ListingState($0, staged: staged, trusted: store.trustedNanoseconds) }
    }

    /// Whether a listing tells what each name is: a few microseconds a name, against a round trip for each that a program then asks for,
    /// as nearly all do. Not when the kernel was just told and knows it still, nor for so many that it could hardly keep them.
    private func isWorthDetails(_ kind: DirectoryKind, _ count: Int) -> Bool {
        guard count <= 100_000 else { return false }
        let directory: TreeDirectory
        // Of what it was told the kernel may have forgotten most since then, for want of memory.
        var isForgotten = false
        switch kind {
        case .made, .quarantine: return false
        case .artifacts(let tree):
            directory = tree
            isForgotten = tree.names < (count - 2) / 2
        case .free(let parent):
            guard case .tree(let top)? = namespace[parent.number] else { return true }
            directory = top
        }
        let now = Clock.monotonic()
        let trusted = UInt64(timeout(of: directory.scope, in: directory) * 0.5e9)
        let told = directory.lastDetails.load(ordering: .relaxed)
        // Another thread may have told it since `now`, and that is later.
        guard told == 0 || isForgotten || now > told && now - told > trusted else { return false }
        directory.lastDetails.store(now, ordering: .relaxed)
        return true
    }

    private func listing(of kind: DirectoryKind, _ caller: Caller) throws(Errno) -> Listing {
        switch kind {
        case .artifacts(let directory): try listing(of: directory, withDots: true)
        case .free(let parent): try listing(of: parent)
        case .made(let number): try listing(ofMade: number)
        case .quarantine: try listing(ofKept: caller)
        }
    }

    func addDots(_ own: UInt64, _ parent: UInt64, to listing: inout Listing) throws(Errno) {
        try listing.add(".", number: own, type: S_IFDIR)
        try listing.add("..", number: parent, type: S_IFDIR)
    }
}
