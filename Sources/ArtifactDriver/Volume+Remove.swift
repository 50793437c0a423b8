internal import Artifacts
internal import ArtifactStore
public import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

extension Volume {
    public func unlink(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno) {
        defer { lookForRoom() }
        switch try inode(parent) {
        case .tree(let directory) where directory.place == .ordinaryTree:
            guard let scope = directory.scope else { throw Errno.noSuchFileOrDirectory }
            try enforceLive(scope, .unlink, shownPath(of: name, in: parent), request.caller)
            try removeFree(name, in: .top(directory.real), 0, request.caller)
        case .free(let node):
            try enforceLive(node.scope, .unlink, shownPath(of: name, in: parent), request.caller)
            try removeFree(name, in: .node(node), 0, request.caller)
        case .tree(let directory): try unlinkArtifact(try text(name), in: directory, request.caller)
        case .made:
            try enforce(
                .refused(Refusal(.notPermitted, .hiddenEntry)), Operation.unlink.rawValue,
                shownPath(of: name, in: parent),
                request.caller)
        case .artifact: throw Errno.notDirectory
        }
    }

    private func removeFree(
        _ name: EntryName, in parent: FreeDirectory, _ flags: Int32, _ caller: Caller
    ) throws(Errno) {
        try parent.withDescriptor { directory throws(Errno) in
            try freeTrees.changing((directory, name)) { () throws(Errno) in
                try rights.acting(for: caller) { () throws(Errno) in
                    try SystemCall.unlink(directory, name.pointer, isDirectory: flags & AT_REMOVEDIR != 0)
                }
            }
        }
    }

    private func unlinkArtifact(_ name: String, in directory: TreeDirectory, _ caller: Caller) throws(Errno) {
        if madeEntry(name, in: directory) != nil {
            try enforce(
                .refused(Refusal(.notPermitted, .hiddenEntry)), Operation.unlink.rawValue, directory.path(of: name),
                caller)
        }
        let file = try self.file(name, in: directory)
        defer { namespace.forget(file.id, lookups: 1) }
        try deferIfClosing(file, caller)
        let standing = self.standing(of: directory.scope)
        let wasPinned = try file.state.withLock { state throws(Errno) -> Bool in
            try enforce(
                OverwritePolicy.judge(.unlink, on: state.fileState(standing: standing)), Operation.unlink.rawValue,
                directory.path(of: name), caller)
            return try self.remove(file, &state, name, directory, for: caller)
        }
        if wasPinned { namespace.unpin(file.id) }
    }

    /// Takes a file's name away, with its lock held and the policy asked.
    ///
    /// - Parameter caller: whose rights decide; nil on the driver's own account.
    /// - Returns: whether the file was pinned and the caller must unpin it.
    func remove(
        _ file: ArtifactFile, _ state: inout ArtifactFile.State, _ name: String, _ directory: TreeDirectory,
        for caller: Caller?
    ) throws(Errno) -> Bool {
        if let caller { try checkRemovalOfStaged(state, directory, for: caller) }
        switch state.phase {
        case .published:
            guard let real = try realFile(name, in: directory) else { throw Errno.noSuchFileOrDirectory }
            // Whatever has the name by now: the caller may remove it there, or is told.
            if let caller {
                try rights.acting(for: caller) { () throws(Errno) in try real.unlink() }
            } else {
                try real.unlink()
            }
            namespace.removeName(of: file.id)
            state.phase = .gone
            return false
        case .staged(let real):
            namespace.removeName(of: file.id)
            if !state.isTransient, !state.writers.isEmpty {
                try? staging().release(real)
                state.phase = .discarded(real)  // Its pin ends when the writer's bytes are in quarantine.
                return false
            }
            try staging().remove(real)
            state.phase = .gone
            return true
        case .sealing, .discarded, .gone: throw Errno.noSuchFileOrDirectory
        }
    }

    /// Whether a caller may take a staged file's name away: asked of the directory that it is for.
    func checkRemovalOfStaged(
        _ state: ArtifactFile.State, _ directory: TreeDirectory, for caller: Caller
    ) throws(Errno) {
        guard case .staged(let real) = state.phase else { return }
        let attributes =
            if let descriptor = state.open.any { try SystemCall.attributes(descriptor) } else { try real.attributes() }
        try rights.checkRemoval(of: attributes, from: directory.real.nearestExisting(), for: caller)
    }

    /// The file of a name, counted as a lookup that the caller must forget.
    func file(_ name: String, in directory: TreeDirectory) throws(Errno) -> ArtifactFile {
        if try subdirectory(name, of: directory) != nil { throw Errno.isDirectory }
        let entry = try artifactEntry(name, in: directory)
        guard case .artifact(let file)? = namespace[entry.inode] else {
            namespace.forget(entry.inode, lookups: 1)
            throw Errno.noSuchFileOrDirectory
        }
        return file
    }

    public func removeDirectory(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno) {
        let caller = request.caller
        switch try inode(parent) {
        case .tree(let directory) where directory.place == .ordinaryTree:
            guard let scope = directory.scope else { throw Errno.noSuchFileOrDirectory }
            try enforceLive(scope, .unlink, shownPath(of: name, in: parent), caller)
            try removeFree(name, in: .top(directory.real), AT_REMOVEDIR, caller)
        case .free(let node):
            try enforceLive(node.scope, .unlink, shownPath(of: name, in: parent), caller)
            try removeFree(name, in: .node(node), AT_REMOVEDIR, caller)
        case .tree(let directory): try removeTreeDirectory(try text(name), in: directory, caller)
        case .made:
            try enforce(
                .refused(Refusal(.notPermitted, .hiddenEntry)), Action.removeDirectory.name,
                shownPath(of: name, in: parent), caller)
        case .artifact: throw Errno.notDirectory
        }
    }

    /// `rmdir` in the tree: tests go; the typed directories of a session or test never stand in the way of `rm -r`.
    private func removeTreeDirectory(_ name: String, in directory: TreeDirectory, _ caller: Caller) throws(Errno) {
        guard let location = try subdirectory(name, of: directory) else {
            if madeEntry(name, in: directory) != nil {
                try enforce(
                    .refused(Refusal(.notPermitted, .hiddenEntry)), Action.removeDirectory.name,
                    directory.path(of: name), caller)
            }
            let file = try self.file(name, in: directory)
            namespace.forget(file.id, lookups: 1)
            throw Errno.notDirectory
        }
        let path = directory.path(of: name)
        let standing = self.standing(of: location.scope)
        let isEmpty = standing == .live ? try self.isEmpty(location) : true
        try enforce(
            OverwritePolicy.judgeRemoval(of: location, standing: standing, isEmpty: isEmpty),
            Action.removeDirectory.name, path, caller)
        switch location {
        case .scope(.test(let test)): try store.removeTest(test)
        case .free:
            // Real only when something was written to it; it is there again for the next write.
            do throws(Errno) {
                try store.directory(for: location).removeIfEmpty()
            } catch .noSuchFileOrDirectory {}
        default: break
        }
    }

    /// Whether nothing is in a directory of a session or test, its own directories aside.
    private func isEmpty(_ location: TreeLocation) throws(Errno) -> Bool {
        let node = directoryNode(location)
        switch location {
        case .typed, .free: return try listing(of: node, withDots: false).isEmpty
        case .layer, .scope:
            for child in store.schema.fixedChildren(of: location) where try !isEmpty(child.location) { return false }
            guard case .scope = location else { return true }
            return try listing(of: node, withDots: false).allSatisfy { $0.type == S_IFDIR }
        case .root, .mode: return false
        }
    }

    /// The directory of a location: the one that is known, found from the root by name, or one for the moment, in which no inode is
    /// named.
    private func directoryNode(_ location: TreeLocation) -> TreeDirectory {
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
