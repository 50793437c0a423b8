internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// `link` of an artifact.
extension Volume {
    /// No artifact has two names; the policy says why of the state that it is in.
    func refuseLink(of file: ArtifactFile, _ caller: Caller) throws(Errno) {
        let standing = self.standing(of: file)
        let state = file.state.withLock { $0.fileState(standing: standing) }
        try enforce(
            OverwritePolicy.judge(.link, on: state), Operation.link.rawValue, shownPath(of: .artifact(file)), caller)
    }
}
