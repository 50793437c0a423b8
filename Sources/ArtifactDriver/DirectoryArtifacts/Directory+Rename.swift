internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A new name for a directory that is an artifact.
extension Volume {
    /// - Returns: false when the name is none of a directory that is an artifact.
    func renameArtifactDirectory(
        _ name: String, in source: TreeDirectory, to newName: String, in target: TreeDirectory, _ flags: RenameFlags,
        _ caller: Caller
    ) throws(Errno) -> Bool {
        guard let (node, artifact, _) = try artifactDirectory(name, in: source) else { return false }
        defer { namespace.forget(node.id, lookups: 1) }
        let state = self.state(of: artifact, in: node.scope)
        let (from, to) = (source.path(of: name), target.path(of: newName))
        if flags.contains(.exchange) {
            try enforce(OverwritePolicy.judge(.exchange, on: state), Operation.exchange.rawValue, from, caller)
        }
        let named = classify(newName, in: target, as: .directory)
        let refused = OverwritePolicy.judgeRename(
            of: state, to: named, as: .directory, in: target.place, standing: standing(of: target.scope),
            onto: target.isProduction ? try stateOfAnything(newName, in: target) : nil)
        if let refused {
            try enforce(
                .refused(refused.refusal), refused.operation, refused.question == .source ? from : to, caller,
                detail: refused.question == .name ? hint(target) : nil)
        }
        if target.isProduction {
            try promote(
                Moved(node: node, artifact: artifact, name: name, parent: source), to: newName, in: target, caller)
            return true
        }
        // Another session's rules are others: mv(1) copies.
        guard let scope = target.scope, scope == source.scope else { throw Errno.improperLink }
        guard let realName = realDirectoryName(name, in: source),
            let newRealName = realDirectoryName(newName, in: target)
        else { throw Errno.invalidArgument }
        guard let real = try source.real.verified() else { throw Errno.noSuchFileOrDirectory }
        let newReal = try ensure(target)
        try changing(artifact) { () throws(Errno) in
            try withEntryName(realName) { old throws(Errno) in
                try withEntryName(newRealName) { new throws(Errno) in
                    try freeTrees.changing((real.descriptor, old), (newReal.descriptor, new)) { () throws(Errno) in
                        try rights.acting(for: caller) { () throws(Errno) in
                            try SystemCall.rename(
                                real.descriptor, old.pointer, newReal.descriptor, new.pointer, flags.rawValue)
                        }
                    }
                    freeTrees.moved(to: new, in: .top(target.real), newReal.descriptor)
                }
            }
        }
        return true
    }

    /// The state of what has a name of production, be it a file or a directory; nil when nothing has it.
    private func stateOfAnything(_ name: String, in directory: TreeDirectory) throws(Errno) -> FileState? {
        let entry: Entry
        do throws(Errno) { entry = try treeEntry(name, in: directory) } catch .noSuchFileOrDirectory { return nil }
        defer { namespace.forget(entry.inode, lookups: 1) }
        guard case .artifact(let file)? = namespace[entry.inode] else { return .sealed }
        return file.state.withLock { $0.fileState(standing: .production) }
    }
}
