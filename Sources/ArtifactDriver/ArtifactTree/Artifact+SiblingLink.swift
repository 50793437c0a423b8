internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Symbolic links to a file beside them, in typed directories of sessions and tests (SEMANTICS 2.4). The driver follows none: it says what a
/// link says when that is a name of its own directory, and the kernel goes on from there.
extension Volume {
    /// A link at its real path.
    struct SiblingLink: Sendable {
        let real: RealFile
        /// What it says, as a name of the mount.
        let target: String
    }

    /// The link that a name is; nil when it is none, or one that leads elsewhere.
    func siblingLink(_ name: String, in directory: TreeDirectory) throws(Errno) -> SiblingLink? {
        guard directory.takesLinks, let realName = realName(ofLink: name, in: directory),
            let real = try directory.real.current()
        else { return nil }
        let file = RealFile(directory: real, name: realName)
        return directory.target(ofLink: file).map { SiblingLink(real: file, target: $0) }
    }

    private func realName(ofLink name: String, in directory: TreeDirectory) -> String? {
        switch classify(name, in: directory) {
        case .artifact(let realName): realName
        case .transient: name
        case .invalid: nil
        }
    }

    /// A link's entry, counted as a lookup; nil when the name is none.
    func linkEntry(_ name: String, in directory: TreeDirectory) throws(Errno) -> Entry? {
        guard let link = try siblingLink(name, in: directory) else { return nil }
        return entry(
            madeInode(.siblingLink(directory.id, name: name, target: link.target), name, in: directory.id))
    }

    func makeSiblingLink(
        _ name: String, to target: EntryName, in directory: TreeDirectory, _ caller: Caller
    ) throws(Errno) -> Entry {
        let path = directory.path(of: name)
        let verdict = OverwritePolicy.judge(
            .symbolicLink, named: classify(name, in: directory), in: directory.place,
            standing: standing(of: directory.scope))
        try enforce(verdict, Creation.symbolicLink.rawValue, path, caller, detail: hint(directory))
        let meant = target.string.map { classify($0, in: directory) } ?? .invalid(.notText)
        try enforce(OverwritePolicy.judgeLink(to: meant), Creation.symbolicLink.rawValue, path, caller)
        guard case .artifact(let realTarget) = meant, let realName = realName(ofLink: name, in: directory) else {
            throw Errno.notPermitted
        }
        if case .artifact? = namespace.find(name, in: directory.id, remembering: false) { throw Errno.fileExists }
        let real = try ensure(directory)
        try withExtendedLifetime(real) { () throws(Errno) in
            try rights.creating(for: caller) { () throws(Errno) in
                try SystemCall.makeSymbolicLink(real.descriptor, realName, to: realTarget)
            }
        }
        guard let entry = try linkEntry(name, in: directory) else { throw Errno.staleNFSFileHandle }
        return entry
    }

    /// - Returns: whether the name is a link.
    func unlinkLink(_ name: String, in directory: TreeDirectory, _ caller: Caller) throws(Errno) -> Bool {
        guard let link = try siblingLink(name, in: directory) else { return false }
        let state = OverwritePolicy.stateOfPublished(in: standing(of: directory.scope))
        try enforce(
            OverwritePolicy.judge(.unlink, on: state), Operation.unlink.rawValue, directory.path(of: name), caller)
        try rights.acting(for: caller) { () throws(Errno) in try link.real.unlink() }
        return true
    }

    /// Another name for a link, in the same directory.
    ///
    /// - Returns: whether the name is a link.
    func renameLink(
        _ name: String, in source: TreeDirectory, to newName: String, in target: TreeDirectory, _ flags: RenameFlags,
        _ caller: Caller
    ) throws(Errno) -> Bool {
        guard let link = try siblingLink(name, in: source) else { return false }
        let (path, newPath) = (source.path(of: name), target.path(of: newName))
        let standing = standing(of: source.scope)
        let verdict = OverwritePolicy.judgeRenameOfLink(in: standing, isSameDirectory: source.id == target.id)
        try enforce(verdict, Operation.renameFrom.rawValue, path, caller)
        if flags.contains(.exchange) {
            try enforce(OverwritePolicy.judge(.exchange, on: .live), Operation.exchange.rawValue, path, caller)
        }
        let named = classify(newName, in: target)
        try enforce(
            OverwritePolicy.judge(.symbolicLink, named: named, in: target.place, standing: standing),
            Creation.file.rawValue, newPath, caller, detail: hint(target))
        guard let realName = realName(ofLink: newName, in: target) else { throw Errno.invalidArgument }
        let destination = RealFile(directory: link.real.directory, name: realName)
        let replaced: ArtifactFile?
        if case .artifact(let file)? = namespace.find(newName, in: target.id, remembering: true) {
            replaced = file
        } else {
            replaced = nil
        }
        defer { if let replaced { namespace.forget(replaced.id, lookups: 1) } }
        let noReplace = flags.contains(.noReplace)
        guard let replaced else {
            try rights.acting(for: caller) { () throws(Errno) in
                try link.real.rename(to: destination, flags: noReplace ? SystemCall.noReplace : 0)
            }
            return true
        }
        if noReplace { throw Errno.fileExists }
        try replaced.state.withLock { state throws(Errno) in
            // A staged file with a temporary name is nothing that a link replaces.
            guard state.isPublished else { throw Errno.fileExists }
            try rights.acting(for: caller) { () throws(Errno) in try link.real.rename(to: destination) }
            state.phase = .gone
            namespace.removeName(of: replaced.id)
        }
        return true
    }

    /// lchown(2) and utimensat(2) of a link itself, as programs do that copy trees.
    func changeLink(
        _ name: String, in parent: InodeNumber, _ changes: AttributeChanges, _ caller: Caller
    ) throws(Errno) {
        guard case .tree(let directory) = try inode(parent), let link = try siblingLink(name, in: directory) else {
            throw Errno.staleNFSFileHandle
        }
        let state = OverwritePolicy.stateOfPublished(in: standing(of: directory.scope))
        let operation: Operation = changes.user == nil && changes.group == nil ? .setAttributes : .setOwner
        try enforce(
            OverwritePolicy.judge(operation, on: state), operation.rawValue, directory.path(of: name), caller)
        let descriptor = try link.real.open(SystemCall.pathOnly)
        defer { SystemCall.close(descriptor) }
        try apply(changes, to: descriptor, for: caller)
    }
}

extension TreeDirectory {
    /// What a real link says on the mount; nil when it is none, or does not say the real name of a file of this directory.
    func target(ofLink file: RealFile) -> String? {
        guard let descriptor = try? file.open(SystemCall.pathOnly) else { return nil }
        defer { SystemCall.close(descriptor) }
        guard let bytes = try? SystemCall.linkTarget(descriptor), let text = String(validating: bytes, as: UTF8.self),
            !text.utf8.contains(UInt8(ascii: "/"))
        else { return nil }
        return name(ofReal: text)
    }

    /// The name on the mount of a real link, if the directory shows it.
    func name(ofRealLink name: String, in real: Directory) -> String? {
        guard takesLinks, target(ofLink: RealFile(directory: real, name: name)) != nil else { return nil }
        return self.name(ofRealLink: name)
    }
}
