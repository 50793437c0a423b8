internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Changes of attributes of what is sealed, where that is immutable for everybody (SEMANTICS 2.11).
extension Volume {
    /// Changes mode and times of something sealed, for its owner or root. Only what has the immutable flag costs anything more.
    func apply(
        _ changes: AttributeChanges, toSealed descriptor: FileDescriptor, for caller: Caller
    ) throws(Errno) {
        do throws(Errno) { return try apply(changes, to: descriptor, for: caller) } catch {
            // The kernel says the same to whom the file does not belong, and it is lifted for nobody else.
            guard error == .notPermitted, let owner = try? SystemCall.attributes(descriptor).st_uid,
                caller.user == owner || caller.user == 0
            else { throw error }
            try store.changeAttributes(ofImmutable: descriptor) { () throws(Errno) in
                try apply(changes, to: descriptor, for: caller)
            }
        }
    }

    /// Changes an attribute of something sealed that the policy lets the caller change.
    func change(
        sealed descriptor: FileDescriptor, as agent: AttributeAgent, _ change: AttributeChange
    ) throws(Errno) {
        do throws(Errno) { return try change(descriptor, agent) } catch {
            guard error == .notPermitted else { throw error }
            try store.changeAttributes(ofImmutable: descriptor) { () throws(Errno) in try change(descriptor, agent) }
        }
    }
}
