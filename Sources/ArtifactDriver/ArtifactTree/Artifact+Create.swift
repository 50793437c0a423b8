internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A new artifact, or one that another mount made and this one does not know yet.
extension Volume {
    func createArtifact(
        _ name: String, in directory: TreeDirectory, _ mode: UInt32, _ flags: OpenFlags, _ caller: Caller
    ) throws(Errno) -> Created {
        // First of all: who writes to the caller through a pipe may end at any moment.
        let makers = directory.isProduction ? self.makers(of: caller) : []
        if directory.isProduction { _ = try allOrNothing(caller, directory.path(of: name), Creation.file.rawValue) }
        if let created = try createUnlooked(name, in: directory, mode, flags, caller, makers) { return created }
        // The kernel may know less than there is: another mount, or a name that was not cached.
        do throws(Errno) {
            try askServer(of: directory)
            let entry = try treeEntry(name, in: directory)
            do throws(Errno) {
                if flags.isExclusive { throw Errno.fileExists }
                let inode = namespace[entry.inode]
                // The kernel looks the name up again and goes on from there.
                if case .made(.siblingLink)? = inode { throw Errno.staleNFSFileHandle }
                guard case .artifact(let file)? = inode else { throw Errno.fileExists }
                return Created(entry: entry, opened: try open(file, flags, caller: caller))
            } catch {
                namespace.forget(entry.inode, lookups: 1)
                throw error
            }
        } catch .noSuchFileOrDirectory {}

        let named = classify(name, in: directory)
        let verdict = OverwritePolicy.judge(
            .file, named: named, in: directory.place, standing: standing(of: directory.scope))
        try enforce(verdict, Creation.file.rawValue, directory.path(of: name), caller, detail: hint(directory))

        if !directory.isProduction, case .artifact(let realName) = named {
            let real = RealFile(directory: try ensure(directory), name: realName)
            return try createLive(name, real, in: directory, mode, flags, caller)
        }
        do throws(Errno) {
            return try createStaged(name, in: directory, named, mode, flags, caller, makers)
        } catch .fileExists {
            // Nothing that this mount shows: another mount's file, or a moment's race.
            try enforce(
                .refused(.ofPublishing(.anotherWriter)), Creation.file.rawValue, directory.path(of: name), caller
            )
            throw Errno.fileExists
        }
    }

    /// A new file, the usual case: nothing has the name. Of a session or test the file system itself says whether that is so.
    ///
    /// - Returns: nil when something has the name, or when more has to be asked.
    private func createUnlooked(
        _ name: String, in directory: TreeDirectory, _ mode: UInt32, _ flags: OpenFlags, _ caller: Caller,
        _ makers: [ArtifactFile.Maker]
    ) throws(Errno) -> Created? {
        guard case .typed(_, _, let type) = directory.location, type.latest(name) == nil,
            case .artifact(let realName) = classify(name, in: directory),
            OverwritePolicy.judge(
                .file, named: .artifact(realName: realName), in: directory.place,
                standing: standing(of: directory.scope)
            ).refusal == nil,
            let real = try directory.real.verified(), namespace.number(of: name, in: directory.id) == nil
        else { return nil }
        let file = RealFile(directory: real, name: realName)
        if directory.isProduction {
            do throws(Errno) {
                return try createStaged(
                    name, in: directory, .artifact(realName: realName), mode, flags, caller, makers, verified: real)
            } catch .fileExists { return nil }
        }
        do throws(Errno) {
            return try createLive(name, file, in: directory, mode, flags, caller)
        } catch .fileExists, .noSuchFileOrDirectory {
            return nil
        }
    }

    /// What a name means here.
    func classify(_ name: String, in directory: TreeDirectory, as creation: Creation = .file) -> NameClass {
        OverwritePolicy.classify(name, in: directory.place, as: creation)
    }

    /// The names that a directory takes, for a refusal's details.
    func hint(_ directory: TreeDirectory) -> String? {
        directory.place.names.map { "\(directory.path)/ takes \($0.words)" }
    }

    /// A file of a session or test: at its real path from the beginning.
    private func createLive(
        _ name: String, _ real: RealFile, in directory: TreeDirectory, _ mode: UInt32, _ flags: OpenFlags,
        _ caller: Caller
    ) throws(Errno) -> Created {
        let descriptor = try rights.creating(for: caller) { () throws(Errno) -> FileDescriptor in
            try real.open(O_RDWR | O_CREAT | O_EXCL, mode: mode & 0o7777)
        }
        return try finishCreation(name, in: directory, descriptor, flags, caller, phase: .published, isTransient: false)
    }

    /// A file of production, or one with a transient name: staged.
    ///
    /// - Throws: `EEXIST` when something has the name, here or in another mount.
    private func createStaged(
        _ name: String, in directory: TreeDirectory, _ named: NameClass, _ mode: UInt32, _ flags: OpenFlags,
        _ caller: Caller, _ makers: [ArtifactFile.Maker], verified: Directory? = nil
    ) throws(Errno) -> Created {
        let isTransient = named == .transient
        // Nobody but the driver may make files in staging: whether the caller may make one here, and what it is given, is asked of the
        // directory that it is for.
        let parent = if let verified { verified } else { try directory.real.nearestExisting() }
        defer { withExtendedLifetime(parent) {} }
        try rights.checkCreation(in: parent, for: caller)
        let inherited = try Inheritance.of(parent.descriptor, mode: mode & ~0o6000, umask: caller.umask)
        let owner = rights.actsForOthers ? try ownerOfNew(in: parent.descriptor, caller) : nil
        let path = directory.path(of: name)
        let staged = try staging().create(
            hint: path, kind: isTransient ? .transient : .artifact, mode: inherited.mode,
            owner: owner, target: target(named, in: directory))
        if let list = inherited.list {
            do throws(Errno) {
                try SystemCall.setExtendedAttribute(
                    AccessList.accessAttribute, list.attribute, of: staged.descriptor)
            } catch {
                try? staging().remove(staged.file)
                try? staged.descriptor.close()
                throw error
            }
        }
        do throws(Errno) {
            return try finishCreation(
                name, in: directory, staged.descriptor, flags, caller, phase: .staged(staged.file),
                isTransient: isTransient, path: path, makers)
        } catch {
            try? staging().remove(staged.file)
            throw error
        }
    }

    /// What a staged file with a name is to become; nothing when its name is transient.
    func target(_ named: NameClass, in directory: TreeDirectory) -> Staging.Target? {
        guard case .artifact(let realName) = named, directory.isProduction else { return nil }
        return Staging.Target(directory: directory.real, name: realName)
    }

    /// The store's staging directory; a read-only store has none.
    func staging() throws(Errno) -> Staging {
        guard let staging = store.staging else { throw Errno.readOnlyFileSystem }
        return staging
    }

    /// The caller, and the directory's group where it has the set-group-id bit (inode(7)).
    private func ownerOfNew(
        in parent: FileDescriptor, _ caller: Caller
    ) throws(Errno) -> (uid: UInt32, gid: UInt32) {
        let parent = try SystemCall.attributes(parent)
        return (caller.user, parent.st_mode & S_ISGID != 0 ? parent.st_gid : caller.group)
    }

    private func finishCreation(
        _ name: String, in directory: TreeDirectory, _ descriptor: FileDescriptor, _ flags: OpenFlags, _ caller: Caller,
        phase: ArtifactFile.Phase, isTransient: Bool, path: String = "", _ makers: [ArtifactFile.Maker] = []
    ) throws(Errno) -> Created {
        var isStaged = false
        if case .staged = phase { isStaged = true }
        let birth = isStaged ? ArtifactFile.Birth(path: path, caller: caller, run: jobs?.run(for: caller)) : nil
        var watch = isStaged && flags.isWritable ? self.watch(caller, among: makers) : nil
        func named() -> (inode: Inode, number: InodeNumber, isNew: Bool) {
            namespace.findOrInsert(
                name, in: directory.id, remembering: true, pinned: isStaged,
                make: { .artifact(ArtifactFile(id: $0, phase: phase, isTransient: isTransient, birth: birth)) })
        }
        var found = named()
        let made = try? SystemCall.look(descriptor)
        if !isStaged, !found.isNew, case .artifact(let known) = found.inode,
            known.state.withLock({ $0.identity }) != made?.identity
        {
            // What had the name was removed outside.
            namespace.removeName(of: found.number)
            namespace.forget(found.number, lookups: 1)
            found = named()
        }
        guard case .artifact(let file) = found.inode, found.isNew || !isStaged, let made else {
            // Somebody made the name in the meantime.
            namespace.forget(found.number, lookups: 1)
            try? descriptor.close()
            throw Errno.fileExists
        }
        let handle = flags.isWritable ? handles.nextNumber() : Self.readerHandle
        let isOfSession = !directory.isProduction
        var needsFlush = isStaged
        if isOfSession, flags.isWritable {
            let making = processes.opensToMake(caller.process)
            processes.isBeingMade(made.identity, making, anew: true)
            watch = making.watch
            if making.mayBecomeAnother { needsFlush = true }
        }
        do throws(Errno) {
            let backing = try file.state.withLock { state throws(Errno) -> BackingID? in
                if !isStaged {
                    // Looked up already by somebody who listed the directory: the same file, or not this name's any more.
                    guard state.identity == nil || state.identity == made.identity else {
                        throw Errno.staleNFSFileHandle
                    }
                    state.identity = made.identity
                }
                if state.open.writing == nil {
                    state.open.adopt(
                        descriptor, writable: flags.isWritable, connection: passthrough, for: caller, rights)
                } else {
                    state.open.join(writable: flags.isWritable)
                    try? descriptor.close()
                }
                if flags.isWritable {
                    state.note(makers)
                    state.writers.append(
                        .init(
                            handle: handle, thread: caller.process, watch: watch, isOfSession: isOfSession,
                            othersWrote: 0))
                }
                return state.open.backing
            }
            store.descriptors.fileOpened()
            return Created(
                entry: entry(
                    file, in: directory, attributes: shown(made.attributes, as: standing(of: directory.scope))),
                opened: Opened(
                    handle: handle, backing: backing, traits: self.traits(flags, backing, needsFlush: needsFlush)))
        } catch {
            namespace.removeName(of: file.id)
            if isStaged { namespace.unpin(file.id) }
            namespace.forget(file.id, lookups: 1)
            try? descriptor.close()
            throw error
        }
    }

    /// Refuses, with the policy's word, what no directory of artifacts takes: links, fifos, devices.
    func refuseCreation(
        _ creation: Creation, _ name: EntryName, in directory: TreeDirectory, _ caller: Caller
    ) throws(Errno) -> Never {
        let verdict = OverwritePolicy.judge(
            creation, named: classify(name.string ?? "/", in: directory), in: directory.place,
            standing: standing(of: directory.scope))
        try enforce(verdict, creation.rawValue, shownPath(of: name, in: directory.id), caller)
        throw Errno.notPermitted
    }
}
