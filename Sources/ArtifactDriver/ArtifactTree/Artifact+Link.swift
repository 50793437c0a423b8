internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// `link` of an artifact.
extension Volume {
    /// Another name for a file of a session or test, in a typed directory of the same one. What is sealed, or will be, has one name: what has
    /// more is copied into production, and not moved (`OverwritePolicy.judgeMoving`).
    func linkArtifact(
        _ file: ArtifactFile, _ newName: String, in directory: TreeDirectory, _ caller: Caller
    ) throws(Errno) -> Entry {
        guard let place = namespace.place(of: file.id) else { throw Errno.staleNFSFileHandle }
        let standing = standing(of: place.parent.scope)
        let isTyped = place.parent.takesLinks && directory.takesLinks && place.parent.scope == directory.scope
        let named = classify(newName, in: directory)
        // Under its lock, so that nobody moves it away to production meanwhile.
        try file.state.withLock { state throws(Errno) in
            try enforce(
                OverwritePolicy.judge(
                    .link, on: state.fileState(standing: standing), facts: Facts(isInTypedDirectory: isTyped)),
                Operation.link.rawValue, shownPath(of: .artifact(file)), caller)
            try enforce(
                OverwritePolicy.judge(.file, named: named, in: directory.place, standing: standing),
                Creation.file.rawValue, directory.path(of: newName), caller, detail: hint(directory))
            guard case .artifact(let realName) = named, state.isPublished else {
                // A temporary name is one of staging.
                return try enforce(
                    OverwritePolicy.judge(.link, on: .transient), Operation.link.rawValue,
                    directory.path(of: newName), caller)
            }
            let source = try open(file, state, SystemCall.pathOnly)
            defer { SystemCall.close(source) }
            let target = try ensure(directory)
            try withExtendedLifetime(target) { () throws(Errno) in
                try rights.acting(for: caller) { () throws(Errno) in
                    try SystemCall.link(source, target.descriptor, realName)
                }
            }
        }
        return try treeEntry(newName, in: directory)
    }

    /// No artifact has two names; the policy says why of the state that it is in.
    func refuseLink(of file: ArtifactFile, _ caller: Caller) throws(Errno) {
        let standing = self.standing(of: file)
        let state = file.state.withLock { $0.fileState(standing: standing) }
        try enforce(
            OverwritePolicy.judge(.link, on: state), Operation.link.rawValue, shownPath(of: .artifact(file)), caller)
    }
}
