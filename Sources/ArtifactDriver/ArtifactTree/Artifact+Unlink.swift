internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Taking an artifact's name away, where the policy lets it go.
extension Volume {
    func unlinkArtifact(_ name: String, in directory: TreeDirectory, _ caller: Caller) throws(Errno) {
        if let made = madeEntry(name, in: directory) {
            try refuseMade(.operation(.unlink), made, directory.path(of: name), caller)
        }
        let file: ArtifactFile
        do throws(Errno) { file = try self.file(name, in: directory) } catch .noSuchFileOrDirectory {
            guard try unlinkLink(name, in: directory, caller) else { throw Errno.noSuchFileOrDirectory }
            return
        }
        defer { namespace.forget(file.id, lookups: 1) }
        try deferIfClosing(file, caller)
        let standing = self.standing(of: directory.scope)
        let facts = self.facts(for: caller, file)
        let wasPinned = try file.state.withLock { state throws(Errno) -> Bool in
            try enforce(
                OverwritePolicy.judge(.unlink, on: state.fileState(standing: standing), facts: facts),
                Operation.unlink.rawValue, directory.path(of: name), caller, detail: state.heldBy?.words)
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
            guard let real = try view.realFile(name, in: directory) else { throw Errno.noSuchFileOrDirectory }
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
            if !state.isTransient, !state.writers.isEmpty {
                namespace.removeName(of: file.id)
                try? staging().release(real)
                state.phase = .discarded(real)  // Its pin ends when the writer's bytes are in quarantine.
                return false
            }
            try staging().remove(real)
            namespace.removeName(of: file.id)
            state.phase = .gone
            return true
        case .former, .settling, .sealing, .discarded, .gone: throw Errno.noSuchFileOrDirectory
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
}
