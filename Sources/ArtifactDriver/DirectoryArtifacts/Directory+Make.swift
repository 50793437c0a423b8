internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// `mkdir` and `rmdir` of directories that are artifacts.
extension Volume {
    /// A new directory in a typed directory; the policy has agreed.
    func makeArtifactDirectory(
        _ name: String, in directory: TreeDirectory, mode: UInt32, _ caller: Caller
    ) throws(Errno) -> Entry {
        if directory.isProduction {
            try makeStaged(name, in: directory, mode: mode, caller)
        } else {
            guard let realName = realDirectoryName(name, in: directory) else { throw Errno.invalidArgument }
            let real = try ensure(directory)
            try rights.creating(for: caller) { () throws(Errno) in
                try SystemCall.makeDirectory(real.descriptor, realName, mode & 0o7777)
            }
        }
        guard let entry = try artifactDirectoryEntry(name, in: directory) else { throw Errno.staleNFSFileHandle }
        return entry
    }

    /// In production it is made in staging, where its makers reach it through the mount.
    private func makeStaged(
        _ name: String, in directory: TreeDirectory, mode: UInt32, _ caller: Caller
    ) throws(Errno) {
        let named = classify(name, in: directory, as: .directory)
        let makers = makersOfDirectory(caller)
        let path = directory.path(of: name)
        if named != .transient { try refuseDirectoryInRun(caller, path, Creation.directory.rawValue) }
        let parent = try directory.real.nearestExisting()
        defer { withExtendedLifetime(parent) {} }
        try rights.checkCreation(in: parent, for: caller)
        var target: Staging.Target?
        if case .artifact(let realName) = named { target = .init(directory: directory.real, name: realName) }
        let inherited = try Inheritance.of(parent.descriptor, mode: mode, umask: caller.umask)
        let model = try SystemCall.attributes(parent.descriptor)
        let isGroupsOwn = model.st_mode & S_ISGID != 0
        let owner =
            rights.actsForOthers ? (uid: caller.user, gid: isGroupsOwn ? model.st_gid : caller.group) : nil
        let real: RealFile
        do throws(Errno) {
            real = try staging().makeDirectory(
                hint: path, kind: named == .transient ? .transient : .artifact,
                mode: inherited.mode & 0o777 | (isGroupsOwn ? 0o2000 : 0), owner: owner, target: target)
        } catch .fileExists {
            try enforce(.refused(.ofPublishing(.anotherWriter)), Creation.directory.rawValue, path, caller)
            throw Errno.fileExists
        }
        do throws(Errno) {
            try inheritLists(from: parent.descriptor, inherited.list, to: real)
            let descriptor = try SystemCall.openPath(real.name, in: real.directory.descriptor)
            let identity: FileIdentity
            do throws(Errno) { identity = try SystemCall.look(descriptor).identity } catch {
                try? descriptor.close()
                throw error
            }
            let artifact = artifactDirectories.directory(identity, .making)
            let node = withEntryName(real.name) { name in
                freeNode(
                    descriptor, identity, name, in: .staging(real.directory), scope: .production, artifact)
            }
            let staged = StagedDirectory(
                artifact, node,
                .init(parent: directory, name: name, real: real, isTransient: named == .transient, makers: makers),
                by: caller, processes.program(ofThread: caller.process), of: jobs?.run(for: caller))
            add(staged)
            namespace.forget(node.id, lookups: 1)
            if named != .transient { settleLater(staged) }
        } catch {
            try? staging().removeDirectory(real)
            throw error
        }
    }

    /// Access lists, as mkdir(2) would give them in the directory that it is for (acl(5)).
    private func inheritLists(
        from parent: FileDescriptor, _ list: AccessList?, to real: RealFile
    ) throws(Errno) {
        guard let list else { return }
        let made = try real.open(O_RDONLY | O_DIRECTORY)
        defer { SystemCall.close(made) }
        let given = try SystemCall.extendedAttribute(AccessList.defaultAttribute, of: parent)
        try SystemCall.setExtendedAttribute(AccessList.accessAttribute, list.attribute, of: made)
        try SystemCall.setExtendedAttribute(AccessList.defaultAttribute, given, of: made)
    }

    /// - Returns: false when the name is none of a directory that is an artifact.
    func removeArtifactDirectory(
        _ name: String, in directory: TreeDirectory, _ caller: Caller
    ) throws(Errno) -> Bool {
        guard let (node, artifact, attributes) = try artifactDirectory(name, in: directory) else { return false }
        defer { namespace.forget(node.id, lookups: 1) }
        let verdict = OverwritePolicy.judge(.unlink, on: state(ofWhole: artifact, in: node.scope))
        try enforce(verdict, Action.removeDirectory.name, directory.path(of: name), caller)
        if let staged = artifactDirectories.staged(artifact) {
            try rights.checkRemoval(of: attributes, from: directory.real.nearestExisting(), for: caller)
            // Nothing is published of it meanwhile.
            guard artifact.beginSealing() else {
                throw caller.canWait ? Errno.answerLater : Errno.directoryNotEmpty
            }
            let real = staged.state.withLock { state in
                state.isDecided = true
                return state.real
            }
            do throws(Errno) { try staging().removeDirectory(real) } catch {
                staged.state.withLock { $0.isDecided = false }
                artifact.makeOn()
                throw error
            }
            remove(staged)
            return true
        }
        guard let realName = realDirectoryName(name, in: directory), let real = try directory.real.verified() else {
            throw Errno.noSuchFileOrDirectory
        }
        try changing(artifact, caller) { () throws(Errno) in
            try withEntryName(realName) { realName throws(Errno) in
                try freeTrees.changing((real.descriptor, realName)) { () throws(Errno) in
                    try rights.acting(for: caller) { () throws(Errno) in
                        try SystemCall.unlink(real.descriptor, realName.pointer, isDirectory: true)
                    }
                }
            }
        }
        return true
    }
}
