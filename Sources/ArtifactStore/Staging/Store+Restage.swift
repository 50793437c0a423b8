internal import ArtifactRecords
internal import Glibc
public import SystemCalls
public import SystemPackage

extension Store {
    /// Moves a file into staging, or gives a staged file another name there: names in staging say what recovery is to make of a file.
    /// Whatever fails, the file is where it was, and who had the target's name has it still. (One that could not be put back, because something
    /// else has its name by then, is in quarantine.)
    ///
    /// - Parameters:
    ///   - identity: which file it is, of one that others can reach: another that has its name by then stays where it is, or goes back.
    ///   - path: the new path on the mount.
    ///   - kind: how to understand the file under its new name.
    ///   - target: what it is to become, taken in all mounts of the store.
    ///   - former: the staged file of this mount that it replaces; what that has taken passes over.
    /// - Returns: the file in staging.
    /// - Throws: `ESTALE` when another file has the name, `EEXIST` when the target is there or taken by another, `EXDEV`.
    public func restage(
        _ file: RealFile, seen identity: FileIdentity? = nil, as path: String, _ kind: Staging.Kind,
        for target: Staging.Target? = nil, replacing former: RealFile? = nil
    ) throws(Errno) -> RealFile {
        guard let staging else { throw .readOnlyFileSystem }
        let staged = staging.unusedName(hint: path, kind: kind)
        if let target { try staging.reserve(target, for: staged, replacing: former) }
        do throws(Errno) {
            if let identity, try file.look().identity != identity { throw Errno.staleNFSFileHandle }
            try staging.move(file, to: staged)
        } catch {
            staging.release(staged, to: former)
            throw error
        }
        if let identity {
            do throws(Errno) {
                // Replaced outside in that moment: nobody judged that one.
                guard try staged.look().identity == identity else { throw Errno.staleNFSFileHandle }
            } catch {
                putBackOrKeep(staged, to: file, path: path, replacing: former)
                throw error
            }
        }
        staging.release(file)
        return staged
    }

    /// Puts a staged file back where it was, replacing nothing. What it has taken is given back.
    ///
    /// - Parameter former: the staged file that it took it from.
    /// - Returns: whether it is there again; otherwise it is staged still, and has what it has taken.
    func putBack(_ staged: RealFile, to origin: RealFile, replacing former: RealFile? = nil) -> Bool {
        guard let staging else { return false }
        // One that is not in staging any more is back, and the reply was lost.
        guard (try? staged.moveWhole(to: origin)) != nil || !staged.exists else {
            return false
        }
        staging.release(staged, to: former)
        if durability == .synced { try? SystemCall.sync(origin.directory.descriptor) }
        return true
    }

    /// Puts a staged file back where it was, else to quarantine; where even that fails, it stays in staging for the next recovery.
    private func putBackOrKeep(_ staged: RealFile, to origin: RealFile, path: String, replacing former: RealFile?) {
        if putBack(staged, to: origin, replacing: former) { return }
        staging?.release(staged, to: former)
        _ = try? quarantine(
            staged, reason: "it was moved by mistake and could not be put back",
            record: ArtifactRecord(path: path))
    }
}
