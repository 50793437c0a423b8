internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What a name in the tree is: one of the tree's own directories, an entry that is made, or an artifact.
extension Volume {
    /// What a name of the tree leads to, counted as a lookup.
    ///
    /// - Parameter caller: who asks; nil when the name is not `current`.
    func treeEntry(_ name: String, in directory: TreeDirectory, for caller: Caller? = nil) throws(Errno) -> Entry {
        if let location = try subdirectory(name, of: directory) {
            let child = try treeDirectory(location, name, in: directory)
            let attributes: stat
            do throws(Errno) { attributes = try self.attributes(of: child) } catch {
                namespace.forget(child.id, lookups: 1)
                throw error
            }
            return Entry(
                inode: child.id, generation: namespace.generation(of: child.id), attributes: attributes,
                entryTimeout: isFixed(location) ? Timeout.treeName : bounded(Timeout.file),
                attributesTimeout: bounded(isWatched(child) ? Timeout.watched : Timeout.treeAttributes))
        }
        if let made = madeEntry(name, in: directory, for: caller) {
            return entry(madeInode(made, name, in: directory.id))
        }
        // At its real path there is nothing yet.
        if artifactDirectories.staged(name, in: directory.id) != nil,
            let entry = try artifactDirectoryEntry(name, in: directory)
        {
            return entry
        }
        return try artifactEntry(name, in: directory)
    }

    /// What a name is that is no plain file: a directory that is an artifact, or a link to a sibling.
    private func otherEntry(_ name: String, in directory: TreeDirectory) throws(Errno) -> Entry {
        if let entry = try artifactDirectoryEntry(name, in: directory) { return entry }
        guard let link = try linkEntry(name, in: directory) else { throw Errno.noSuchFileOrDirectory }
        return link
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
        if moment != nil, scope != .production { return false }
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

    /// The file of a name in a typed directory, `plots/`, or a scope's root, or what else has the name, counted as a lookup.
    func artifactEntry(_ name: String, in directory: TreeDirectory, attempts: Int = 4) throws(Errno) -> Entry {
        if case .artifact(let file)? = namespace.find(name, in: directory.id, remembering: true) {
            do throws(Errno) {
                return entry(file, in: directory, attributes: try attributes(of: file, isByName: true))
            } catch {
                let isGone = error == .noSuchFileOrDirectory || error == .staleNFSFileHandle
                // Removed or replaced outside: what is there now is another file, and another inode.
                if isGone, file.state.withLock({ leaves(name, in: directory, &$0) }) {
                    namespace.removeName(of: file.id)
                }
                namespace.forget(file.id, lookups: 1)
                guard isGone else { throw error }
            }
        }
        // What no file can have the name of, or is none.
        guard let real = try view.realFile(name, in: directory) else { return try otherEntry(name, in: directory) }
        let found = try view.look(at: real, in: directory)
        guard found.isRegular else { return try otherEntry(name, in: directory) }
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

    /// An artifact's entry with the time the kernel may trust it.
    func entry(_ file: ArtifactFile, in directory: TreeDirectory, attributes: stat) -> Entry {
        let timeout = self.timeout(of: directory.scope, in: directory)
        return Entry(
            inode: file.id, generation: namespace.generation(of: file.id), attributes: attributes,
            entryTimeout: timeout, attributesTimeout: hasMoreNames(attributes, file) ? Timeout.none : timeout)
    }

    /// Whether a file of a session or test changes under other names too, of which the kernel knows nothing.
    func hasMoreNames(_ attributes: stat, _ file: ArtifactFile) -> Bool {
        attributes.st_nlink > 1 && standing(of: file) != .production
    }

    /// The file of a name that is to be changed, counted as a lookup that the caller must forget.
    func file(_ name: String, in directory: TreeDirectory) throws(Errno) -> ArtifactFile {
        if try subdirectory(name, of: directory) != nil { throw Errno.isDirectory }
        try askServer(of: directory)
        let entry = try artifactEntry(name, in: directory)
        guard case .artifact(let file)? = namespace[entry.inode] else {
            namespace.forget(entry.inode, lookups: 1)
            throw Errno.noSuchFileOrDirectory
        }
        return file
    }

    /// The directory of a location: the one that is known, found from the root by name, or one for the moment, in which no inode is
    /// named.
    func directoryNode(_ location: TreeLocation) -> TreeDirectory {
        let (parent, name): (TreeLocation, String)
        switch location {
        case .root: return root
        case .mode(let mode): (parent, name) = (.root, mode.rawValue)
        case .scope(.production): return directoryNode(.mode(.production))
        case .scope(.session(let session)): (parent, name) = (.mode(.development), session.description)
        case .scope(.test(let test)): (parent, name) = (.mode(.test), test.description)
        case .layer(let scope, let layer): (parent, name) = (.scope(scope), layer.rawValue)
        case .typed(let scope, let layer, let type): (parent, name) = (.layer(scope, layer), type.name)
        case .free(let scope, let free): (parent, name) = (.scope(scope), free.rawValue)
        }
        let directory = directoryNode(parent)
        let nobody = InodeNumber(rawValue: 0)
        if directory.id != nobody,
            case .tree(let known)? = namespace.find(name, in: directory.id, remembering: false)
        {
            return known
        }
        return TreeDirectory(
            id: nobody, location: location, path: directory.path(of: name), real: store.directory(for: location))
    }
}
