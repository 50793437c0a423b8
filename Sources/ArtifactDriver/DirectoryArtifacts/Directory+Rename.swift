internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A new name for a directory that is an artifact: in its session, or into production, where it is sealed.
extension Volume {
    /// A directory that is renamed, and where to.
    private struct Move {
        let node: FreeNode
        let artifact: ArtifactDirectory
        let source: TreeDirectory
        let name: String
        let target: TreeDirectory
        let newName: String
        let caller: Caller
        var from: String { source.path(of: name) }
        var to: String { target.path(of: newName) }
    }

    /// - Returns: false when the name is none of a directory that is an artifact.
    func renameArtifactDirectory(
        _ name: String, in source: TreeDirectory, to newName: String, in target: TreeDirectory, _ flags: RenameFlags,
        _ caller: Caller
    ) throws(Errno) -> Bool {
        guard let (node, artifact, _) = try artifactDirectory(name, in: source) else { return false }
        defer { namespace.forget(node.id, lookups: 1) }
        let move = Move(
            node: node, artifact: artifact, source: source, name: name, target: target, newName: newName, caller: caller
        )
        let state = self.state(ofWhole: artifact, in: node.scope)
        if flags.contains(.exchange) {
            try enforce(OverwritePolicy.judge(.exchange, on: state), Operation.exchange.rawValue, move.from, caller)
        }
        let named = classify(newName, in: target, as: .directory)
        if target.isProduction, named != .transient {
            try refuseDirectoryInRun(caller, move.to, Operation.renameOnto.rawValue)
        }
        let refused = OverwritePolicy.judgeRename(
            of: state, to: named, as: .directory, in: target.place, standing: standing(of: target.scope),
            onto: target.isProduction ? try stateOfAnything(newName, in: target) : nil)
        if let refused {
            try enforce(
                .refused(refused.refusal), refused.operation,
                refused.question == .source ? move.from : move.to, caller,
                detail: refused.question == .name ? hint(target) : nil)
        }
        switch (artifactDirectories.staged(artifact), target.isProduction) {
        case (let staged?, true): try restage(staged, move, isTransient: named == .transient)
        // A temporary name is given up for the final one: between sessions and production mv(1) copies what has one.
        case (nil, true) where named == .transient: throw Errno.improperLink
        case (nil, true): try promote(move)
        case (_?, false): throw Errno.improperLink
        case (nil, false): try renameLive(move, flags)
        }
        return true
    }

    /// Within a session or a test.
    private func renameLive(_ move: Move, _ flags: RenameFlags) throws(Errno) {
        // Another session's rules are others: mv(1) copies.
        guard let scope = move.target.scope, scope == move.source.scope else { throw Errno.improperLink }
        guard let realName = realDirectoryName(move.name, in: move.source),
            let newRealName = realDirectoryName(move.newName, in: move.target)
        else { throw Errno.invalidArgument }
        guard let real = try move.source.real.verified() else { throw Errno.noSuchFileOrDirectory }
        let newReal = try ensure(move.target)
        try changing(move.artifact, move.caller) { () throws(Errno) in
            try withEntryName(realName) { old throws(Errno) in
                try withEntryName(newRealName) { new throws(Errno) in
                    try freeTrees.changing((real.descriptor, old), (newReal.descriptor, new)) { () throws(Errno) in
                        try rights.acting(for: move.caller) { () throws(Errno) in
                            try SystemCall.rename(
                                real.descriptor, old.pointer, newReal.descriptor, new.pointer, flags.rawValue)
                        }
                    }
                    freeTrees.moved(to: new, in: .top(move.target.real), newReal.descriptor)
                }
            }
        }
    }

    /// From a session or a test into production: from now on nothing in it changes.
    private func promote(_ move: Move) throws(Errno) {
        guard let realName = realDirectoryName(move.name, in: move.source), let scope = move.source.scope else {
            throw Errno.invalidArgument
        }
        if let refused = store.refusalToMove(from: move.from) {
            try enforce(
                .refused(refused.refusal), refused.operation, move.from, move.caller, detail: Self.inReachOfOthers)
        }
        guard let real = try move.source.real.verified() else { throw Errno.noSuchFileOrDirectory }
        let origin = RealFile(directory: real, name: realName)
        try rights.checkRemoval(of: origin.attributes(), from: real, for: move.caller)
        try rights.checkCreation(in: move.target.real.nearestExisting(), for: move.caller)
        try freeze(move)
        let staged: RealFile
        do throws(Errno) {
            staged = try withEntryName(realName) { old throws(Errno) in
                try freeTrees.changing((real.descriptor, old)) { () throws(Errno) in
                    try arrive(origin, seen: move.node.identity, move)
                }
            }
        } catch {
            move.artifact.endSealing(in: scope)
            throw error
        }
        wasFound(move.node, staged.name, in: .staging(staged.directory))
        let directory = StagedDirectory(
            move.artifact, move.node,
            .init(
                parent: move.target, name: move.newName, real: staged, isTransient: false,
                origin: .init(file: origin, parent: move.source, name: move.name), makers: makers(of: move.caller),
                settleEnd: settleEnd),
            by: move.caller, processes.program(ofThread: move.caller.process), of: jobs?.run(for: move.caller))
        add(directory)
        if settle(directory) { settleLater(directory) }
    }

    /// From one name of production to another: from a temporary one to an artifact's it is whole.
    private func restage(_ directory: StagedDirectory, _ move: Move, isTransient: Bool) throws(Errno) {
        let parent = try move.target.real.nearestExisting()
        try rights.checkCreation(in: parent, for: move.caller)
        let real = directory.state.withLock { $0.real }
        try rights.checkRemoval(of: real.attributes(), from: parent, for: move.caller)
        if isTransient {
            let renamed = try store.restage(real, as: move.to, .transient)
            directory.state.withLock { ($0.real, $0.parent, $0.name) = (renamed, move.target, move.newName) }
            return wasFound(move.node, renamed.name, in: .staging(renamed.directory))
        }
        try freeze(move)
        let renamed: RealFile
        do throws(Errno) { renamed = try arrive(real, seen: nil, move) } catch {
            move.artifact.makeOn()
            throw error
        }
        wasFound(move.node, renamed.name, in: .staging(renamed.directory))
        let makers = self.makers(of: move.caller)
        directory.state.withLock { state in
            (state.real, state.parent, state.name) = (renamed, move.target, move.newName)
            (state.isTransient, state.settleEnd) = (false, settleEnd)
            state.makers.note(makers)
        }
        if settle(directory) { settleLater(directory) }
    }

    private var settleEnd: UInt64 { Clock.monotonic() + UInt64(store.schema.settleSeconds) * 1_000_000_000 }

    /// From here on nothing in it changes.
    private func freeze(_ move: Move) throws(Errno) {
        guard !move.artifact.beginSealing() else { return }
        // `close` returns before RELEASE is handled, which is in the queue before the next request of the same process.
        if move.caller.canWait { throw Errno.answerLater }
        try enforce(
            OverwritePolicy.judge(.renameFrom, on: .writing), Operation.renameFrom.rawValue, move.from, move.caller,
            detail: "something in it is open for writing")
        throw Errno.resourceBusy
    }

    /// Takes the new name, and a name in staging by which a killed driver's directory is published.
    private func arrive(_ file: RealFile, seen identity: FileIdentity?, _ move: Move) throws(Errno) -> RealFile {
        guard case .artifact(let realName) = classify(move.newName, in: move.target, as: .directory) else {
            throw Errno.invalidArgument
        }
        do throws(Errno) {
            return try store.restage(
                file, seen: identity, as: move.to, .finished,
                for: Staging.Target(directory: move.target.real, name: realName))
        } catch .fileExists {
            try enforce(
                .refused(.ofPublishing(.anotherWriter)), Operation.renameOnto.rawValue, move.to, move.caller)
            throw Errno.fileExists
        }
    }

    /// The state of what has a name in a typed directory, be it a file or a directory; nil when nothing has it.
    func stateOfAnything(_ name: String, in directory: TreeDirectory) throws(Errno) -> FileState? {
        let entry: Entry
        do throws(Errno) { entry = try treeEntry(name, in: directory) } catch .noSuchFileOrDirectory { return nil }
        defer { namespace.forget(entry.inode, lookups: 1) }
        switch namespace[entry.inode] {
        case .artifact(let file)?:
            let standing = standing(of: directory.scope)
            return file.state.withLock { $0.fileState(standing: standing) }
        case .free(let node)?: return node.artifact.map { state(ofWhole: $0, in: node.scope) } ?? .sealed
        case .tree?, .made?, .kept?, nil: return .sealed
        }
    }
}
