internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// From a name on the mount to a published file: the one way that lookup, listing, open, attributes and changes go. What is staged is not
/// here: it has no real name yet (`Namespace.pinnedArtifacts`).
///
/// A view shows one state of a store. The names that it is given are the mount's, never real ones.
protocol StoreView: Sendable {
    /// The real file that a name stands for, there or not; nil when no artifact can have the name here, or its directory does not exist.
    func realFile(_ name: String, in directory: TreeDirectory) throws(Errno) -> RealFile?

    /// What has the place of a real file now, whatever it is.
    ///
    /// - Throws: `ENOENT` when nothing has it.
    func look(at file: RealFile, in directory: TreeDirectory) throws(Errno) -> FoundFile

    /// The names of the published artifacts in a directory, files and directories, and of symbolic links to such beside them in sessions and
    /// tests, with their inode numbers and `S_IFMT` bits (0 when not known), in the order of the
    /// real directory; real files that the schema does not know are left out.
    func forEachFile(
        in directory: TreeDirectory, _ body: (_ name: String, _ number: UInt64, _ type: UInt32) throws(Errno) -> Void
    ) throws(Errno)
}

extension StoreView {
    /// What is shown of what has a real name: of an evicted artifact what it was, and will be.
    @inline(__always)
    func shown(_ found: FoundFile, at file: RealFile, in directory: TreeDirectory, _ store: Store) -> FoundFile {
        guard found.identity.kind == S_IFLNK, directory.location.hasRecords else { return found }
        return (try? store.evicted(file, in: directory.real.path))?.found ?? found
    }

    /// The plain file that has a name now.
    ///
    /// - Throws: `ENOENT` when nothing has it, or anything else than a plain file: a symbolic link could lead out of the store.
    func find(_ name: String, in directory: TreeDirectory) throws(Errno) -> FoundFile {
        guard let file = try realFile(name, in: directory) else { throw Errno.noSuchFileOrDirectory }
        let found = try look(at: file, in: directory)
        guard found.isRegular else { throw Errno.noSuchFileOrDirectory }
        return found
    }
}
