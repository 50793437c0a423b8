internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// `mkdir` and `rmdir` of directories that are artifacts.
extension Volume {
    /// A new directory in a typed directory of a session or test; the policy has agreed.
    func makeArtifactDirectory(
        _ name: String, in directory: TreeDirectory, mode: UInt32, _ caller: Caller
    ) throws(Errno) -> Entry {
        guard let realName = realDirectoryName(name, in: directory) else { throw Errno.invalidArgument }
        let real = try ensure(directory)
        try rights.creating(for: caller) { () throws(Errno) in
            try SystemCall.makeDirectory(real.descriptor, realName, mode & 0o7777)
        }
        guard let entry = try artifactDirectoryEntry(name, in: directory) else { throw Errno.staleNFSFileHandle }
        return entry
    }

    /// - Returns: false when the name is none of a directory that is an artifact.
    func removeArtifactDirectory(
        _ name: String, in directory: TreeDirectory, _ caller: Caller
    ) throws(Errno) -> Bool {
        guard let (node, artifact, _) = try artifactDirectory(name, in: directory) else { return false }
        defer { namespace.forget(node.id, lookups: 1) }
        let verdict = OverwritePolicy.judge(.unlink, on: state(of: artifact, in: node.scope))
        try enforce(verdict, Action.removeDirectory.name, directory.path(of: name), caller)
        guard let realName = realDirectoryName(name, in: directory), let real = try directory.real.verified() else {
            throw Errno.noSuchFileOrDirectory
        }
        try changing(artifact) { () throws(Errno) in
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
