internal import Artifacts
internal import ArtifactStore
public import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

extension Volume {
    public func lookup(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName
    ) throws(Errno) -> Entry {
        switch try inode(parent) {
        case .tree(let directory):
            if directory.place == .ordinaryTree {
                guard let scope = directory.scope else { throw Errno.noSuchFileOrDirectory }
                return try freeEntry(name, in: .top(directory.real), scope: scope)
            }
            guard let text = name.string else { throw Errno.noSuchFileOrDirectory }
            return try treeEntry(text, in: directory)
        case .free(let node): return try freeEntry(name, in: .node(node), scope: node.scope)
        case .made(.hiddenDirectory):
            guard let file = name.string.flatMap(HiddenFile.init(rawValue:)) else {
                throw Errno.noSuchFileOrDirectory
            }
            return hiddenEntry(file, in: parent, request.caller)
        case .artifact, .made: throw Errno.notDirectory
        }
    }

    public func forget(_ inode: InodeNumber, lookups: UInt64) {
        namespace.forget(inode, lookups: lookups)
        if namespace.hasShrunk() { seals.submit { SystemCall.giveMemoryBack() } }
    }

    // MARK: - The tree

    /// What a name of the tree leads to, counted as a lookup.
    func treeEntry(_ name: String, in directory: TreeDirectory) throws(Errno) -> Entry {
        if let location = try subdirectory(name, of: directory) {
            let child = try treeDirectory(location, name, in: directory)
            let attributes: stat
            do throws(Errno) { attributes = try self.attributes(of: child) } catch {
                namespace.forget(child.id, lookups: 1)
                throw error
            }
            return Entry(
                inode: child.id, generation: namespace.generation(of: child.id), attributes: attributes,
                entryTimeout: isFixed(location) ? Timeout.treeName : Timeout.file,
                attributesTimeout: isWatched(child) ? Timeout.watched : Timeout.treeAttributes)
        }
        if let made = madeEntry(name, in: directory) { return entry(madeInode(made, name, in: directory.id)) }
        return try artifactEntry(name, in: directory)
    }

    /// Whether a directory can never go away.
    private func isFixed(_ location: TreeLocation) -> Bool {
        switch location.scope {
        case .production, nil: true
        case .session, .test: false
        }
    }

    /// The directory of the tree that a name is, if it is one and exists.
    func subdirectory(_ name: String, of directory: TreeDirectory) throws(Errno) -> TreeLocation? {
        if let fixed = store.schema.fixedChild(name, of: directory.location) { return fixed }
        switch directory.location {
        case .mode(.development):
            guard let session = SessionName(name), try exists(.session(session)) else { return nil }
            return .scope(.session(session))
        case .mode(.test):
            guard let test = TestName(name), try exists(.test(test)) else { return nil }
            return .scope(.test(test))
        default: return nil
        }
    }

    /// Whether a session or test is there: its directory in one of the layers, or the mount's own session.
    func exists(_ scope: Scope) throws(Errno) -> Bool {
        if case .session(let name) = scope, name == currentSession { return true }
        return try store.hasDirectory(scope)
    }

    /// The node of a directory of the tree, counted as a lookup.
    private func treeDirectory(
        _ location: TreeLocation, _ name: String, in parent: TreeDirectory
    ) throws(Errno) -> TreeDirectory {
        let real = store.directory(for: location)
        let found = namespace.findOrInsert(
            name, in: parent.id, remembering: true,
            make: { .tree(TreeDirectory(id: $0, location: location, path: parent.path(of: name), real: real)) })
        if case .tree(let directory) = found.inode { return directory }
        // A file cannot have a directory's name: the schema's names are no artifact names.
        namespace.forget(found.number, lookups: 1)
        throw Errno.noSuchFileOrDirectory
    }

    // MARK: - Artifacts

    /// The file of a name in a typed directory, `plots/`, or a scope's root, counted as a lookup.
    func artifactEntry(_ name: String, in directory: TreeDirectory, attempts: Int = 4) throws(Errno) -> Entry {
        if case .artifact(let file)? = namespace.find(name, in: directory.id, remembering: true) {
            do throws(Errno) {
                return entry(file, in: directory, attributes: try attributes(of: file, isByName: true))
            } catch {
                let isGone = error == .noSuchFileOrDirectory || error == .staleNFSFileHandle
                // Removed or replaced outside: what is there now is another file, and another inode.
                if isGone, file.state.withLock({ $0.isPublished }) { namespace.removeName(of: file.id) }
                namespace.forget(file.id, lookups: 1)
                guard isGone else { throw error }
            }
        }
        guard case .artifact(let realName) = OverwritePolicy.classify(name, in: directory.place) else {
            throw Errno.noSuchFileOrDirectory
        }
        let found = try publishedFile(realName, in: directory)
        let (inode, number, isNew) = namespace.findOrInsert(
            name, in: directory.id, remembering: true,
            make: {
                .artifact(ArtifactFile(id: $0, size: Int64(found.attributes.st_size), identity: found.identity))
            })
        // Another request was faster, and may have seen another file: it is not told of this one.
        guard isNew, case .artifact(let file) = inode else {
            namespace.forget(number, lookups: 1)
            guard !isNew, attempts > 0 else { throw Errno.staleNFSFileHandle }
            return try artifactEntry(name, in: directory, attempts: attempts - 1)
        }
        return entry(file, in: directory, attributes: shown(found.attributes, as: standing(of: directory.scope)))
    }

    /// A published file by its real name: a plain file, or it is not there.
    func publishedFile(_ realName: String, in directory: TreeDirectory) throws(Errno) -> FoundFile {
        guard let real = try directory.real.current() else { throw Errno.noSuchFileOrDirectory }
        let found: FoundFile
        do throws(Errno) {
            found = try RealFile(directory: real, name: realName).look()
        } catch .noSuchFileOrDirectory {
            // The directory itself may have been moved, or removed and made anew: the kernel is to ask for that one.
            _ = try directory.real.verified()
            throw Errno.noSuchFileOrDirectory
        }
        // A symbolic link could lead out of the store, and anything else is no artifact.
        guard found.isRegular else { throw Errno.noSuchFileOrDirectory }
        return found
    }

    /// An artifact's entry with the time the kernel may trust it.
    func entry(_ file: ArtifactFile, in directory: TreeDirectory, attributes: stat) -> Entry {
        let timeout = self.timeout(of: directory.scope, in: directory)
        return Entry(
            inode: file.id, generation: namespace.generation(of: file.id), attributes: attributes,
            entryTimeout: timeout, attributesTimeout: timeout)
    }

    // MARK: - Free trees

    /// The node of a name in an ordinary tree, counted as a lookup.
    func freeEntry(_ name: EntryName, in parent: FreeDirectory, scope: Scope) throws(Errno) -> Entry {
        let descriptor = try parent.withDescriptor { directory throws(Errno) in
            try SystemCall.openPath(name.pointer, in: directory)
        }
        let found: FoundFile
        do throws(Errno) {
            found = try SystemCall.look(descriptor)
        } catch {
            try? descriptor.close()
            throw error
        }
        var isNew = false
        let node = namespace.findOrInsertFree(found.identity) { number in
            isNew = true
            return FreeNode(
                id: number, identity: found.identity, scope: scope, descriptor: descriptor, parent: parent, name: name,
                trees: freeTrees)
        }
        if isNew {
            node.countDescriptor()
        } else {
            try? descriptor.close()
            node.wasFound(name, in: parent)
        }
        return Entry(
            inode: node.id, generation: namespace.generation(of: node.id), attributes: found.attributes,
            entryTimeout: timeout(of: scope), attributesTimeout: timeout(of: scope))
    }

    // MARK: - Entries that are made

    /// The made entry that a name is, if it is one.
    func madeEntry(_ name: String, in directory: TreeDirectory) -> MadeEntry? {
        switch directory.location {
        case .root where name == StoreLayout.privateDirectory: .hiddenDirectory
        case .mode(.development) where name == MadeNames.current:
            if currentSession != nil {
                .currentSession(newest: nil)
            } else {
                sessionTarget().map { .currentSession(newest: $0) }
            }
        case .typed where name == MadeNames.latest:
            latestTarget(in: directory).map { .latestCheckpoint(directory.id, target: $0) }
        default: nil
        }
    }

    func madeInode(_ made: MadeEntry, _ name: String, in parent: InodeNumber) -> (InodeNumber, MadeEntry) {
        let found = namespace.findOrInsert(
            made.key(name), in: parent, remembering: true, make: { _ in .made(made) })
        return (found.number, made)
    }

    func entry(_ made: (number: InodeNumber, entry: MadeEntry)) -> Entry {
        // `current` is in most paths that programs use: `moveSession` tells the kernel when it changes.
        let isTold = made.entry == .currentSession(newest: nil)
        return Entry(
            inode: made.number, generation: 0, attributes: attributes(of: made.entry),
            entryTimeout: isTold ? Timeout.treeName : Timeout.none,
            attributesTimeout: isTold ? Timeout.treeName : Timeout.none)
    }
}

/// Names that the driver gives.
enum MadeNames {
    static let current = "current"
    static let latest = "latest"
}
