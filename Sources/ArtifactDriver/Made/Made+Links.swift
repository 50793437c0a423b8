internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Links to what is newest: `development/current` and `latest` among checkpoints.
extension Volume {
    /// What a link that is made says.
    func target(of made: MadeEntry) throws(Errno) -> String {
        let target =
            switch made {
            case .currentSession(let newest): newest ?? currentSession?.description
            case .latestCheckpoint(_, let newest): newest
            case .hiddenDirectory, .hiddenFile, .quarantine, .keptReason: throw Errno.invalidArgument
            }
        guard let target else { throw Errno.noSuchFileOrDirectory }
        return target
    }

    /// The mount's session; on a read-only mount the newest.
    func sessionTarget() -> String? {
        if let currentSession { return currentSession.description }
        return (try? store.sessions())?.max()?.description
    }

    /// The file of a type with free names that was sealed last, when no real file is called `latest`.
    func latestTarget(in directory: TreeDirectory) -> String? {
        guard directory.isProduction, case .typed(_, _, let type) = directory.location, type.hasLatest,
            let real = try? directory.real.current()
        else { return nil }
        // Taken before the files are looked at: what changes meanwhile makes it another state.
        let state = (try? SystemCall.attributes(real.descriptor)).flatMap { ListingState($0, staged: 0) }
        if let state, let known = directory.newest.withLock({ $0 }), known.state == state { return known.name }
        guard let newest = try? newestFile(in: directory, real, type) else { return nil }
        if let state, newest.isSettled { directory.newest.withLock { $0 = .init(state: state, name: newest.name) } }
        return newest.name
    }

    /// Looks at every file: which was sealed last, or, where none says when it was, modified last. It is settled when no file's times can
    /// change any more, as they do after a `cp -p`.
    private func newestFile(
        in directory: TreeDirectory, _ real: Directory, _ type: TypeDefinition
    ) throws(Errno) -> (name: String?, isSettled: Bool) {
        var newest: (name: String, sealed: String, time: timespec)?
        var isSettled = true
        let settled = Clock.now().tv_sec &- store.schema.settlingSeconds &- 1
        for found in try Listing(of: real.descriptor) {
            if found.name == MadeNames.latest { return (nil, true) }
            guard let realName = found.name, let name = type.virtualName(forReal: realName),
                let attributes = try? view.find(name, in: directory).attributes
            else { continue }
            let time = attributes.st_mtim
            if attributes.st_ctim.tv_sec >= settled { isSettled = false }
            let sealed = Store.sealingTime(of: RealFile(directory: real, name: realName)) ?? ""
            if let known = newest,
                (known.sealed, known.time.tv_sec, known.time.tv_nsec, known.name)
                    > (sealed, time.tv_sec, time.tv_nsec, name)
            {
                continue
            }
            newest = (name, sealed, time)
        }
        return (newest?.name, isSettled)
    }
}
