internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Names in `logs/` and `scratch/`: found as the real file system has them.
extension Volume {
    /// The node of a name in an ordinary tree, counted as a lookup.
    func freeEntry(_ name: EntryName, in parent: FreeParent) throws(Errno) -> Entry {
        let scope = parent.scope
        let descriptor = try parent.directory.withDescriptor { directory throws(Errno) in
            if store.isShared { try SystemCall.askAgain(directory) }
            return try SystemCall.openPath(name.pointer, in: directory)
        }
        let found: FoundFile
        do throws(Errno) {
            found = try SystemCall.look(descriptor)
        } catch {
            try? descriptor.close()
            throw error
        }
        let node = freeNode(
            descriptor, found.identity, name, in: parent.directory, scope: scope, parent.artifact)
        return Entry(
            inode: node.id, generation: namespace.generation(of: node.id), attributes: found.attributes,
            entryTimeout: timeout(ofFree: scope), attributesTimeout: timeout(ofFree: scope))
    }

    /// The node of a file that was found by a name, counted as a lookup.
    ///
    /// - Parameter descriptor: `O_PATH`; it is taken over.
    func freeNode(
        _ descriptor: FileDescriptor, _ identity: FileIdentity, _ name: EntryName, in parent: FreeDirectory,
        scope: Scope, _ artifact: ArtifactDirectory?
    ) -> FreeNode {
        var isNew = false
        let node = namespace.findOrInsertFree(identity) { number in
            isNew = true
            return FreeNode(
                id: number, identity: identity, scope: scope, descriptor: descriptor, parent: parent, name: name,
                trees: freeTrees, artifact: artifact)
        }
        if isNew {
            node.countDescriptor()
        } else {
            try? descriptor.close()
            node.wasFound(name, in: parent)
        }
        return node
    }

    /// For how long the kernel may trust what it is told of an ordinary tree, in seconds: nobody watches it.
    func timeout(ofFree scope: Scope) -> Double { bounded(min(Timeout.file, timeout(of: scope))) }
}
