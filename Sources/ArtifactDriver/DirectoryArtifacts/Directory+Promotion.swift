internal import ArtifactRecords
internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Logging
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A directory's way into production: renamed into staging, where nobody reaches it but through the mount, checked whole on a thread of its own,
/// and sealed, or put back where it was.
extension Volume {
    /// A directory that is renamed.
    struct Moved: Sendable {
        let node: FreeNode
        let artifact: ArtifactDirectory
        let name: String
        let parent: TreeDirectory
        var path: String { parent.path(of: name) }
    }

    /// The policy has agreed.
    func promote(
        _ moved: Moved, to newName: String, in target: TreeDirectory, _ caller: Caller
    ) throws(Errno) {
        guard case .typed(_, let layer, let type) = target.location,
            case .artifact(let newRealName) = classify(newName, in: target, as: .directory),
            let realName = realDirectoryName(moved.name, in: moved.parent), let scope = moved.parent.scope
        else { throw Errno.invalidArgument }
        guard let real = try moved.parent.real.verified() else { throw Errno.noSuchFileOrDirectory }
        let origin = RealFile(directory: real, name: realName)
        try rights.checkRemoval(of: origin.attributes(), from: real, for: caller)
        try rights.checkCreation(in: target.real.nearestExisting(), for: caller)
        guard moved.artifact.beginSealing() else {
            try enforce(
                OverwritePolicy.judge(.renameFrom, on: .writing), Operation.renameFrom.rawValue, moved.path, caller,
                detail: "something in it is open for writing")
            throw Errno.resourceBusy
        }
        let path = target.path(of: newName)
        let staged: RealFile
        do throws(Errno) {
            staged = try withEntryName(realName) { old throws(Errno) in
                try freeTrees.changing((real.descriptor, old)) { () throws(Errno) in
                    try store.restage(
                        origin, seen: moved.node.identity, as: path, .finished,
                        for: Staging.Target(directory: target.real, name: newRealName))
                }
            }
        } catch .fileExists {
            moved.artifact.endSealing(in: scope)
            try enforce(
                .refused(.ofPublishing(.anotherWriter)), Operation.renameOnto.rawValue, path, caller)
            throw Errno.fileExists
        } catch {
            moved.artifact.endSealing(in: scope)
            throw error
        }
        wasFound(moved.node, staged.name, in: .staging(staged.directory))
        namespace.remember(moved.node.id)
        let waiting = ArtifactDirectories.Staged(
            directory: moved.artifact, node: moved.node, parent: target.id, name: newName)
        artifactDirectories.add(waiting)

        let time = Clock.now()
        var writer = ArtifactRecord.Writer()
        (writer.uid, writer.gid) = (caller.user, caller.group)
        writer.pid = caller.process > 0 ? caller.process : nil
        var record = ArtifactRecord(
            path: path, type: type.name, layer: layer, scope: .production, key: type.key(ofDirectory: newName),
            format: type.format(ofDirectory: newName)
        ).written(by: writer, opened: time, closed: time)
        record.artifact.kind = .directory
        record.origin = .init(path: moved.path)
        var request = PublishRequest(
            staged: staged, target: target.real, name: newRealName, check: nil, record: record, origin: origin)
        request.notesTime = type.hasLatest
        let program = processes.program(ofThread: caller.process)
        seals.submit(user: caller.user, isLong: true) { [request] in
            let outcome = self.store.publishDirectory(request, of: type)
            self.end(moved, waiting, request, outcome, in: target, caller, program)
        }
    }

    private func end(
        _ moved: Moved, _ waiting: ArtifactDirectories.Staged, _ request: PublishRequest, _ outcome: PublishOutcome,
        in target: TreeDirectory, _ caller: Caller, _ program: String
    ) {
        let path = target.path(of: waiting.name)
        var failure: (reason: String, rule: Rule)?
        switch outcome {
        case .sealed:
            counters.sealed.add(1, ordering: .relaxed)
            moved.artifact.endSealing(in: .production)
            wasFound(moved.node, request.name, in: .top(target.real))
        case .restored(let reason, let rule):
            failure = (reason + "; it is back at " + moved.path, rule)
            if let scope = moved.parent.scope { moved.artifact.endSealing(in: scope) }
            if let origin = request.origin { wasFound(moved.node, origin.name, in: .top(moved.parent.real)) }
        case .quarantined(let reason, let rule), .waiting(let reason, let rule):
            failure = (reason, rule)
            counters.quarantined.add(1, ordering: .relaxed)
            // What is there is nobody's to change any more.
            moved.artifact.endSealing(in: .production)
        case .stillOpen: break  // Is refused before.
        }
        artifactDirectories.remove(waiting)
        namespace.forget(moved.node.id, lookups: 1)
        guard let failure else {
            // Others' write bits are gone, and the kernel may have been told of them.
            connection?.invalidate(moved.node.id, andData: false)
            return
        }
        denials.add(
            .ofPublishing(failure.rule), operation: "publish", path: path, caller: caller, program: program,
            detail: failure.reason)
        log.warning("a directory was not published", metadata: ["path": "\(path)", "reason": "\(failure.reason)"])
        connection?.invalidate(name: waiting.name, in: target.id)
        connection?.invalidate(name: moved.name, in: moved.parent.id)
    }

    private func wasFound(_ node: FreeNode, _ name: String, in parent: FreeDirectory) {
        withEntryName(name) { node.wasFound($0, in: parent) }
    }
}
