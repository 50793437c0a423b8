internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The directories above the stores: the real ones, as they are when they are looked at, without files and without what is hidden.
extension RootTree {
    private enum Kind: Sendable {
        case directory
        case store
    }

    /// Runs with a directory open, from the root's on and never through a symbolic link.
    func withDirectory<Result>(
        _ real: String, _ body: (FileDescriptor) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        if real.isEmpty { return try body(top) }
        let directory = try SystemCall.openFile(beneath: top, real, SystemCall.pathOnly | O_DIRECTORY)
        defer { SystemCall.close(directory) }
        return try body(directory)
    }

    /// What a name in a real directory is; nil for what is neither a directory nor to be looked at.
    private func kind(of name: String, in directory: FileDescriptor) -> Kind? {
        guard RootNames.isLookedAt(name), let found = try? SystemCall.openPath(name, in: directory) else { return nil }
        defer { SystemCall.close(found) }
        // Before anything is asked of it.
        if isSomebodys(found) { return nil }
        guard (try? SystemCall.attributes(found))?.isDirectory == true else { return nil }
        let own = try? SystemCall.attributes(found, StoreLayout.privateDirectory)
        return own?.isDirectory == true ? .store : .directory
    }

    private static func join(_ directory: String, _ name: String) -> String {
        directory.isEmpty ? name : directory + "/" + name
    }

    /// What is above the stores, by its number.
    func own(_ inode: InodeNumber) throws(Errno) -> Own {
        switch inode {
        case .root: return .directory(path: "", level: 0)
        case Self.hiddenDirectory: return .hiddenDirectory
        case Self.statusFile: return .status
        default:
            let found = state.withLock { state -> Own? in
                state.directories[inode.rawValue].map { .directory(path: $0.path, level: $0.level) }
            }
            guard let found else { throw Errno.staleNFSFileHandle }
            return found
        }
    }

    // MARK: - Names

    func ownEntry(_ name: EntryName, in parent: InodeNumber, _ caller: Caller) throws(Errno) -> Entry {
        guard let text = name.string else { throw Errno.noSuchFileOrDirectory }
        switch try own(parent) {
        case .status: throw Errno.notDirectory
        case .hiddenDirectory:
            guard text == HiddenFile.status.rawValue else { throw Errno.noSuchFileOrDirectory }
            return try entry(Self.statusFile, caller)
        case .directory(let path, let level):
            if path.isEmpty, text == StoreLayout.privateDirectory { return try entry(Self.hiddenDirectory, caller) }
            return try withDirectory(path) { directory throws(Errno) in
                for candidate in RootNames.candidates(of: text) {
                    guard let kind = self.kind(of: candidate, in: directory) else { continue }
                    let shown = RootNames.shown(
                        candidate, isStore: kind == .store, isTaken: { self.kind(of: $0, in: directory) != nil })
                    guard shown == text else { continue }
                    if kind == .store {
                        let store = try store(candidate, in: path, shownAs: shown)
                        return store.space.onMount(
                            Entry(
                                inode: .root, attributes: try attributes(ofTop: store),
                                entryTimeout: Timeout.treeAttributes, attributesTimeout: Timeout.treeAttributes))
                    }
                    guard level + 1 < RootNames.levels else { continue }
                    return try directoryEntry(Self.join(path, candidate), level + 1)
                }
                throw Errno.noSuchFileOrDirectory
            }
        }
    }

    /// Of what is made here; the kernel asks for it anew every time.
    private func entry(_ inode: InodeNumber, _ caller: Caller) throws(Errno) -> Entry {
        Entry(
            inode: inode, attributes: try ownAttributes(of: inode, caller), entryTimeout: Timeout.none,
            attributesTimeout: Timeout.none)
    }

    /// A directory above the stores, counted as a lookup.
    private func directoryEntry(_ path: String, _ level: Int) throws(Errno) -> Entry {
        let attributes = try attributes(ofReal: path)
        let number = state.withLock { state -> UInt64? in
            if let number = state.numbers[path] {
                state.directories[number]?.lookups += 1
                return number
            }
            // Numbers from here on would be stores'.
            guard state.next <= UInt64(UInt32.max) else { return nil }
            let number = state.next
            state.next += 1
            state.numbers[path] = number
            state.directories[number] = (path, level, 1)
            return number
        }
        guard let number else { throw Errno.tooManyOpenFilesInSystem }
        return Entry(
            inode: InodeNumber(rawValue: number), attributes: attributes, entryTimeout: Timeout.treeAttributes,
            attributesTimeout: Timeout.treeAttributes)
    }

    func forgetOwn(_ inode: InodeNumber, _ lookups: UInt64) {
        state.withLock { state in
            guard let known = state.directories[inode.rawValue] else { return }
            if known.lookups > lookups {
                state.directories[inode.rawValue]?.lookups -= lookups
            } else {
                state.directories[inode.rawValue] = nil
                if state.numbers[known.path] == inode.rawValue { state.numbers[known.path] = nil }
            }
        }
    }

    /// The store that a directory is: the one that is known, unless another directory has come in its place.
    private func store(_ name: String, in directory: String, shownAs shown: String) throws(Errno) -> RootStore {
        let real = Self.join(directory, name)
        let found = try withDirectory(directory) { directory throws(Errno) in
            try SystemCall.attributes(directory, name)
        }
        let identity = RootStore.Identity(device: UInt64(found.st_dev), number: UInt64(found.st_ino))
        let store = state.withLock { state -> RootStore? in
            let shown = Self.join(directory, shown)
            if let known = state.paths[real], known.identity == identity, known.shown == shown { return known }
            guard !state.hasEnded, state.nextStore < .max else { return nil }
            let index = state.nextStore
            state.nextStore += 1
            let store = RootStore(
                shown: shown, real: real, identity: identity,
                space: InodeSpace(index: index, salt: StableNumber.of(real) & (.max >> 1)))
            state.stores[index] = store
            state.paths[real] = store
            return store
        }
        guard let store else { throw Errno.tooManyOpenFilesInSystem }
        return store
    }

    // MARK: - Attributes

    /// A directory's, without rights to write: above the stores nothing is made.
    private func attributes(ofReal path: String) throws(Errno) -> stat {
        var shown = try withDirectory(path) { directory throws(Errno) in try SystemCall.attributes(directory) }
        shown.st_mode &= ~0o222
        shown.st_nlink = 1
        return shown
    }

    /// A store's directory, as its volume shows it.
    func attributes(ofTop store: RootStore) throws(Errno) -> stat {
        var shown = try withDirectory(store.real) { directory throws(Errno) in try SystemCall.attributes(directory) }
        shown.st_ino = ino_t(StableNumber.of(""))
        shown.st_nlink = 1
        return shown
    }

    func ownAttributes(of inode: InodeNumber, _ caller: Caller) throws(Errno) -> stat {
        let own = try own(inode)
        if case .directory(let path, _) = own { return try attributes(ofReal: path) }
        var shown = try SystemCall.attributes(top)
        shown.st_nlink = 1
        shown.st_blocks = 0
        guard case .status = own else {
            shown.st_ino = ino_t(StableNumber.of(StoreLayout.privateDirectory))
            shown.st_mode = S_IFDIR | 0o555
            return shown
        }
        let content = statusContent(for: caller)
        state.withLock { $0.content = content }
        shown.st_ino = ino_t(StableNumber.of(StoreLayout.privateDirectory + "/" + HiddenFile.status.rawValue))
        shown.st_mode = S_IFREG | 0o444
        shown.st_mtim = Clock.now()
        shown.st_size = off_t(content.count)
        return shown
    }

    func timeout(of inode: InodeNumber) -> Double {
        inode == Self.hiddenDirectory || inode == Self.statusFile ? Timeout.none : Timeout.treeAttributes
    }

    /// Access lists, with which the kernel decides.
    func attribute(_ name: EntryName, ofReal path: String) throws(Errno) -> [UInt8] {
        guard name.string.map(ArtifactAttribute.isAccessList) == true else { throw Errno.noData }
        return try withDirectory(path) { directory throws(Errno) in
            try SystemCall.withPath(of: directory) { path throws(Errno) in
                try SystemCall.extendedAttribute(name.pointer, ofPath: path)
            }
        }
    }

    func ownAttribute(_ name: EntryName, of inode: InodeNumber) throws(Errno) -> [UInt8] {
        guard case .directory(let path, _) = try own(inode) else { throw Errno.noData }
        return try attribute(name, ofReal: path)
    }

    // MARK: - Listings

    func openOwnDirectory(_ inode: InodeNumber) throws(Errno) -> OpenedDirectory {
        let listing = try listing(of: inode)
        let handle = state.withLock { state -> UInt64 in
            let handle = state.nextHandle
            state.nextHandle &+= 1
            state.listings[handle] = listing
            return handle
        }
        return OpenedDirectory(handle: HandleID(rawValue: handle))
    }

    func readOwnDirectory(
        _ inode: InodeNumber, _ handle: HandleID, _ offset: Int64, into buffer: inout DirectoryBuffer
    ) throws(Errno) {
        guard let listing = state.withLock({ $0.listings[handle.rawValue] }) else { throw Errno.badFileDescriptor }
        guard offset >= 0, offset < Int64(listing.count) else { return }
        for index in Int(offset)..<listing.count {
            let goesOn = listing.withEntry(at: index) { name, number, type in
                buffer.add(name: name, inodeNumber: number, type: type, nextOffset: Int64(index + 1))
            }
            guard goesOn else { return }
        }
    }

    private func listing(of inode: InodeNumber) throws(Errno) -> Listing {
        var listing = Listing()
        try listing.add(".", number: inode.rawValue, type: S_IFDIR)
        try listing.add("..", number: InodeNumber.root.rawValue, type: S_IFDIR)
        switch try own(inode) {
        case .status: throw Errno.notDirectory
        case .hiddenDirectory:
            try listing.add(HiddenFile.status.rawValue, number: Self.statusFile.rawValue, type: S_IFREG)
        case .directory(let path, let level):
            let kinds = try withDirectory(path) { directory throws(Errno) in
                var kinds: [String: Kind] = [:]
                try SystemCall.forEachName(in: directory) { name, _, type throws(Errno) in
                    guard type == S_IFDIR || type == 0, let name = EntryName(name).string,
                        let kind = self.kind(of: name, in: directory)
                    else { return }
                    kinds[name] = kind
                }
                return kinds
            }
            for (name, kind) in kinds.sorted(by: { $0.key < $1.key }) {
                if kind == .directory, level + 1 >= RootNames.levels { continue }
                let shown = RootNames.shown(name, isStore: kind == .store, isTaken: { kinds[$0] != nil })
                try listing.add(shown, number: StableNumber.of(Self.join(path, name)), type: S_IFDIR)
            }
        }
        return listing
    }

    // MARK: - status.json

    func openOwn(_ inode: InodeNumber, _ flags: OpenFlags, _ caller: Caller) throws(Errno) -> Opened {
        guard case .status = try own(inode) else { throw Errno.isDirectory }
        guard !flags.isWritable, !flags.truncates else { throw Errno.readOnlyFileSystem.asRefusal }
        let content = statusContent(for: caller)
        let handle = state.withLock { state -> UInt64 in
            let handle = state.nextHandle
            state.nextHandle &+= 1
            state.contents[handle] = content
            return handle
        }
        return Opened(handle: HandleID(rawValue: handle), traits: [.directIO, .noFlush])
    }

    func readOwn(
        _ inode: InodeNumber, _ handle: HandleID, _ offset: Int64, _ size: Int
    ) throws(Errno) -> ReadSource {
        guard case .status = try own(inode) else { throw Errno.isDirectory }
        let content = state.withLock { $0.contents[handle.rawValue] ?? $0.content }
        guard offset >= 0, offset < Int64(content.count) else { return .bytes([]) }
        return .bytes(Array(content[Int(offset)...].prefix(max(0, size))))
    }

    func releaseOwn(_ handle: HandleID) {
        state.withLock { state in
            state.listings[handle.rawValue] = nil
            state.contents[handle.rawValue] = nil
        }
    }
}
