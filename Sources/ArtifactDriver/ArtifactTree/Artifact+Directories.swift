internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// `mkdir` and `rmdir` in the tree: sessions and tests come and go, the schema's directories are always there.
extension Volume {
    /// `mkdir` of a session or a test; the schema's directories are there already.
    func makeTreeDirectory(
        _ name: String, in directory: TreeDirectory, mode: UInt32, _ caller: Caller
    ) throws(Errno) -> Entry {
        if try subdirectory(name, of: directory) != nil { throw Errno.fileExists }
        let verdict = OverwritePolicy.judge(
            .directory, named: classify(name, in: directory, as: .directory), in: directory.place,
            standing: standing(of: directory.scope))
        let isInvalid = verdict.refusal?.rule == .invalidName
        try enforce(
            verdict, Creation.directory.rawValue, directory.path(of: name), caller,
            detail: isInvalid ? hint(directory) : nil)
        switch directory.location {
        case .mode(.development):
            guard let session = SessionName(name) else { throw Errno.invalidArgument }
            try rights.checkCreation(in: directory.real.nearestExisting(), for: caller)
            try store.beginSession(named: session)
            try makeScope(.session(session), mode, caller)
            beginSession(session, for: caller)
        case .mode(.test):
            guard let test = TestName(name) else { throw Errno.invalidArgument }
            try makeScope(.test(test), mode, caller)
        case .typed: return try makeArtifactDirectory(name, in: directory, mode: mode, caller)
        default: throw Errno.invalidArgument
        }
        return try treeEntry(name, in: directory)
    }

    /// A session's or a test's own directory, made by the caller, and with the same owner and permissions in the other layers: what is
    /// private is private in each.
    func makeScope(_ scope: Scope, _ mode: UInt32, _ caller: Caller) throws(Errno) {
        try store.makeScope(scope) { parent, name throws(Errno) in
            try rights.creating(for: caller) { () throws(Errno) in
                try SystemCall.makeDirectory(parent, name, mode & 0o7777)
            }
        }
    }

    /// `rmdir` in the tree: tests go; the typed directories of a session or test never stand in the way of `rm -r`.
    func removeTreeDirectory(_ name: String, in directory: TreeDirectory, _ caller: Caller) throws(Errno) {
        guard let location = try subdirectory(name, of: directory) else {
            if let made = madeEntry(name, in: directory) {
                try refuseMade(.removeDirectory, made, directory.path(of: name), caller)
            }
            if try removeArtifactDirectory(name, in: directory, caller) { return }
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
        namespace.renew(name, in: directory.id)
    }

    /// Whether nothing is in a directory of a session or test, its own directories aside.
    private func isEmpty(_ location: TreeLocation) throws(Errno) -> Bool {
        let node = directoryNode(location)
        switch location {
        case .free: return try listing(ofTop: node, withDots: false).isEmpty
        case .typed: return try listing(of: node, withDots: false).isEmpty
        case .layer, .scope:
            for child in store.schema.fixedChildren(of: location) where try !isEmpty(child.location) { return false }
            guard case .scope = location else { return true }
            return try listing(of: node, withDots: false).allSatisfy { $0.type == S_IFDIR }
        case .root, .mode: return false
        }
    }

    /// The real directory, made now when this is the first write to it.
    func ensure(_ directory: TreeDirectory) throws(Errno) -> Directory { try directory.real.ensure(asTold: true) }
}
