internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

extension Errno {
    /// Not for programs: the artifact's bytes are in a mirror, and have to come first (`Volume.recall`).
    static let isEvicted = Errno(rawValue: 1_000_100)
}

/// Artifacts whose bytes are in a mirror and not here (SEMANTICS 2.13). They look like any other; who wants the bytes waits until they are back.
extension Volume {
    /// What is evicted under an artifact's name; nil where its bytes are here, or it has no name.
    func evicted(_ file: ArtifactFile) throws(Errno) -> EvictedFile? {
        guard let place = namespace.place(of: file.id), place.parent.location.hasRecords,
            let real = try view.realFile(place.name, in: place.parent)
        else { return nil }
        do throws(Errno) { return try store.evicted(real, in: place.parent.real.path) } catch .noSuchFileOrDirectory {
            return nil
        }
    }

    /// Opens the place of an artifact that is evicted, which names it and is good for its attributes (`O_PATH`).
    ///
    /// - Parameter error: what opening its real name said.
    /// - Returns: nil where it is not evicted, or another.
    /// - Throws: ``isEvicted`` where bytes are wanted.
    func evictedPlace(
        of file: ArtifactFile, _ identity: FileIdentity, _ flags: Int32, after error: Errno
    ) throws(Errno) -> FileDescriptor? {
        guard error == .staleNFSFileHandle, let evicted = try? evicted(file),
            evicted.found.identity == identity || evicted.mark.inode == identity.number
        else { return nil }
        guard flags & SystemCall.pathOnly != 0, let place = evicted.place else { throw .isEvicted }
        return try place.open(flags, seen: evicted.found.identity)
    }

    /// Whether a file that has another identity than was seen is the same artifact, which was evicted since: then it is that one from now on. Its bytes
    /// are the same.
    func adoptsEvicted(_ found: FoundFile, _ file: ArtifactFile, _ state: inout ArtifactFile.State) -> Bool {
        guard let identity = state.identity, let evicted = try? evicted(file), evicted.mark.inode == identity.number,
            evicted.found.identity == found.identity
        else { return false }
        (state.identity, state.isSmall) = (found.identity, false)
        return true
    }

    /// Runs something that needs an artifact's bytes; where they are in a mirror it waits for them.
    func withBytes<Result>(
        of file: ArtifactFile, for caller: Caller, _ operation: Operation, _ body: () throws(Errno) -> Result
    ) throws(Errno) -> Result {
        do throws(Errno) { return try body() } catch {
            guard error == .isEvicted else { throw error }
            throw recall(file, for: caller, operation)
        }
    }

    /// Has an artifact brought back.
    ///
    /// - Returns: what the caller gets: that it waits, or a refusal.
    private func recall(_ file: ArtifactFile, for caller: Caller, _ operation: Operation) -> Errno {
        let path = shownPath(of: .artifact(file))
        if let evicted = try? evicted(file) {
            file.state.withLock { state in _ = adoptsEvicted(evicted.found, file, &state) }
        }
        func refuse(_ detail: String, isFull: Bool = false) -> Errno {
            let refusal = Refusal.ofRecall(isFull: isFull)
            denials.add(refusal, operation: operation.rawValue, path: path, caller: caller, detail: detail)
            return refusal.errno.asRefusal
        }
        guard let recalls else {
            return refuse(
                store.isReadOnly
                    ? "this mount is read-only and brings nothing back: open it on one that is not, or 'artifactfs mirror recall'"
                    : "this mount brings nothing back")
        }
        let agent = Agent(
            user: caller.user, process: caller.process, program: processes.program(ofThread: caller.process))
        switch recalls.ask(path, for: agent) {
        case .failed(let words, let isFull): return refuse(words, isFull: isFull)
        case .goesOn:
            guard caller.canWait else { return refuse("it is on its way, and too many wait already; open it again") }
            return .answerWhenDone
        }
    }
}
