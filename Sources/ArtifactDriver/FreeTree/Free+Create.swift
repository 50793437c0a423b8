internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Making things in `logs/` and `scratch/`, as the caller: files, directories, links, fifos.
extension Volume {
    /// Whether something may be made in a directory.
    func enforceCreation(
        _ creation: Creation, _ name: EntryName, in parent: FreeParent, _ caller: Caller
    ) throws(Errno) {
        let verdict =
            parent.artifact?.isKept == true
            ? OverwritePolicy.judgeMakingInKept(.creation(creation))
            : OverwritePolicy.judge(
                creation, named: .artifact(realName: ""), in: .ordinaryTree,
                standing: parent.artifact?.isMaking == true ? .live : standing(of: parent.scope))
        try enforce(verdict, creation.rawValue, shownPath(of: name, in: parent.number), caller)
    }

    /// A new file.
    func createFree(
        _ name: EntryName, in parent: FreeParent, _ mode: UInt32, _ flags: OpenFlags, _ caller: Caller
    ) throws(Errno) -> Created {
        try enforceCreation(.file, name, in: parent, caller)
        return try changing(parent.artifact, caller) { () throws(Errno) in
            try createLiveFree(name, in: parent, mode, flags, caller)
        }
    }

    private func createLiveFree(
        _ name: EntryName, in parent: FreeParent, _ mode: UInt32, _ flags: OpenFlags, _ caller: Caller
    ) throws(Errno) -> Created {
        let descriptor: FileDescriptor
        do throws(Errno) {
            descriptor = try parent.directory.making { directory throws(Errno) in
                try rights.creating(for: caller) { () throws(Errno) -> FileDescriptor in
                    try SystemCall.open(
                        directory, name.pointer, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode & 0o7777)
                }
            }
        } catch .fileExists where !flags.isExclusive {
            // The kernel knew of no such name, and has checked no permission for it: whoever made it meanwhile, it is opened as any other.
            return try openFree(name, in: parent, flags, caller)
        }
        noteFile(in: parent.artifact)
        // The node is found by the name, so that hard links and what another handle has open come together.
        let entry: Entry
        do throws(Errno) { entry = try freeEntry(name, in: parent) } catch {
            try? descriptor.close()
            throw error
        }
        guard case .free(let node)? = namespace[entry.inode] else {
            try? descriptor.close()
            throw Errno.ioError
        }
        // Moved away and replaced in between: what was made is not what the name leads to.
        guard (try? SystemCall.look(descriptor).identity) == node.identity else {
            namespace.forget(entry.inode, lookups: 1)
            try? descriptor.close()
            throw Errno.staleNFSFileHandle
        }
        // Until it is released.
        do throws(Errno) {
            if flags.isWritable { try node.artifact?.beginChange() }
        } catch {
            namespace.forget(entry.inode, lookups: 1)
            try? descriptor.close()
            throw error
        }
        let backing = node.open.withLock { open -> BackingID? in
            if open.writing == nil {
                open.adopt(
                    descriptor, writable: flags.isWritable, connection: passthrough, for: caller, rights)
            } else {
                open.join(writable: flags.isWritable)
                try? descriptor.close()
            }
            return open.backing
        }
        store.descriptors.fileOpened()
        return Created(
            entry: entry,
            opened: Opened(
                handle: HandleID(rawValue: flags.isWritable ? 1 : 0), backing: backing,
                traits: self.traits(flags, backing)))
    }

    /// A file in an ordinary tree that CREATE found to be there.
    private func openFree(
        _ name: EntryName, in parent: FreeParent, _ flags: OpenFlags, _ caller: Caller
    ) throws(Errno) -> Created {
        let entry = try freeEntry(name, in: parent)
        do throws(Errno) {
            // A link, say: the kernel looks the name up again and goes on from there.
            guard case .free(let node)? = namespace[entry.inode], node.kind == S_IFREG else {
                throw Errno.staleNFSFileHandle
            }
            return Created(entry: entry, opened: try open(node, flags, caller: caller))
        } catch {
            namespace.forget(entry.inode, lookups: 1)
            throw error
        }
    }

    /// Makes a directory, a link, a fifo or a device as the caller.
    func makeFree(
        _ creation: Creation, _ name: EntryName, in parent: FreeParent, _ caller: Caller,
        _ make: (FileDescriptor) throws(Errno) -> Void
    ) throws(Errno) -> Entry {
        try enforceCreation(creation, name, in: parent, caller)
        try changing(parent.artifact, caller) { () throws(Errno) in
            try parent.directory.making { directory throws(Errno) in
                try rights.creating(for: caller) { () throws(Errno) in try make(directory) }
            }
        }
        return try freeEntry(name, in: parent)
    }

    /// Another name for a file.
    func linkFree(
        _ node: FreeNode, _ newName: EntryName, in target: FreeParent, _ caller: Caller
    ) throws(Errno) -> Entry {
        // An artifact's bytes change through no name outside of it.
        guard target.scope == node.scope, target.artifact === node.artifact else { throw Errno.improperLink }
        try enforceLive(newName, in: target, .link, caller)
        try changing(node.artifact, caller) { () throws(Errno) in
            try node.withDescriptor { file throws(Errno) in
                try target.directory.making { directory throws(Errno) in
                    try rights.acting(for: caller) { () throws(Errno) in
                        try SystemCall.link(file, directory, newName.pointer)
                    }
                }
            }
        }
        return try freeEntry(newName, in: target)
    }
}
