internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import SystemPackage

/// The rooms that answer for names: each operation on a name asks one of them (`ArtifactTree`, `FreeTree`, `Made`).
enum DirectoryKind {
    /// A directory of the tree: artifacts, and the tree's own directories.
    case artifacts(TreeDirectory)
    /// `logs/`, `scratch/`, or a directory in them.
    case free(FreeParent)
    /// `.artifactfs/`, `.meta/` of a directory, or the versions in that.
    case made(InodeNumber)
    /// `.artifactfs/quarantine/`.
    case quarantine(InodeNumber)
}

/// A directory in an ordinary tree, as the parent of names.
struct FreeParent {
    let directory: FreeDirectory
    let scope: Scope
    let number: InodeNumber
    /// The artifact that it is, or is part of.
    var artifact: ArtifactDirectory?
}

extension Volume {
    /// Whose the names in a directory are.
    ///
    /// - Throws: `ESTALE` for a number that is not known, `ENOTDIR` for what is no directory.
    func directoryKind(_ directory: InodeNumber) throws(Errno) -> DirectoryKind {
        switch try inode(directory) {
        case .tree(let directory):
            guard directory.place == .ordinaryTree else { return .artifacts(directory) }
            guard let scope = directory.scope else { throw Errno.noSuchFileOrDirectory }
            return .free(FreeParent(directory: .top(directory.real), scope: scope, number: directory.id))
        case .free(let node):
            return .free(
                FreeParent(directory: .node(node), scope: node.scope, number: node.id, artifact: node.artifact))
        case .made(.hiddenDirectory), .made(.records), .made(.versions): return .made(directory)
        case .made(.quarantine): return .quarantine(directory)
        case .kept(let kept) where kept.isDirectory: return .free(parent(directory, kept))
        case .artifact, .made, .kept: throw Errno.notDirectory
        }
    }
}
