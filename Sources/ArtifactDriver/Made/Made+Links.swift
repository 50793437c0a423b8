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
            case .currentSession(let session?): session
            // Others have another one by now: the kernel asks for the name again.
            case .currentSession(nil) where jobs?.differs == true: throw Errno.staleNFSFileHandle
            case .currentSession(nil): currentSession?.description
            case .latestCheckpoint(_, _, let newest): newest
            case .siblingLink(_, _, let target): target
            case .hiddenDirectory, .hiddenFile, .quarantine, .keptReason, .records, .record, .versions,
                .versionRecord:
                throw Errno.invalidArgument
            }
        guard let target else { throw Errno.noSuchFileOrDirectory }
        return target
    }

    /// The file that a link to the newest leads to; nil when no file is meant, or when a file has the name itself, which wins.
    func latestTarget(_ latest: LatestName, _ name: String, in directory: TreeDirectory) -> String? {
        guard case .typed(_, _, let type) = directory.location, let real = try? directory.real.current() else {
            return nil
        }
        // One that is being written.
        if case .artifact? = namespace.find(name, in: directory.id, remembering: false) { return nil }
        return newest(in: directory, real, type)?[latest]
    }

    private func newest(in directory: TreeDirectory, _ real: Directory, _ type: TypeDefinition) -> NewestNames? {
        // Taken before the files are looked at: what changes meanwhile makes it another state.
        real.refresh(always: false)
        let state = (try? SystemCall.attributes(real.descriptor)).flatMap {
            ListingState($0, staged: 0, trusted: store.trustedNanoseconds)
        }
        if let state, let known = directory.newest.withLock({ $0 }), known.state == state { return known.names }
        guard let (names, isSettled) = try? lookForNewest(in: directory, real, type) else { return nil }
        if let state, isSettled { directory.newest.withLock { $0 = .init(state: state, names: names) } }
        return names
    }

    /// Looks at every file: which was sealed last, or, where none says when it was, modified last. It is settled when no such file's times
    /// can change any more, as they do after a `cp -p`.
    private func lookForNewest(
        in directory: TreeDirectory, _ real: Directory, _ type: TypeDefinition
    ) throws(Errno) -> (NewestNames, isSettled: Bool) {
        var newest = NewestNames()
        var isSettled = true
        let settled = Clock.now().tv_sec &- store.schema.settlingSeconds &- 1
        for found in try Listing(of: real.descriptor) {
            guard let realName = found.name else { continue }
            if realName == MadeNames.latest { newest.isTaken = true }
            guard let name = type.virtualName(forReal: realName), let format = type.format(of: name),
                let attributes = try? view.find(name, in: directory).attributes
            else { continue }
            if case .ofFormat(format)? = type.latest(name) { newest.taken.insert(format) }
            let sealed = Store.sealingTime(of: RealFile(directory: real, name: realName)) ?? ""
            if sealed.isEmpty, attributes.st_ctim.tv_sec >= settled { isSettled = false }
            newest.note(.init(name: name, sealed: sealed, modified: attributes.st_mtim), format: format)
        }
        return (newest, isSettled)
    }
}

/// Which files of a directory are the newest.
struct NewestNames: Sendable {
    /// A file, and since when it is there.
    struct Candidate: Sendable {
        let name: String
        /// When it was sealed, as the ledger writes times; empty where that is not known.
        let sealed: String
        let modified: timespec

        func isAfter(_ other: Candidate) -> Bool {
            (sealed, modified.tv_sec, modified.tv_nsec, name)
                > (other.sealed, other.modified.tv_sec, other.modified.tv_nsec, other.name)
        }
    }

    private var ofAll: Candidate?
    private var byFormat: [String: Candidate] = [:]
    /// A real file is called `latest`.
    var isTaken = false
    /// The formats of which an artifact is called `latest`.
    var taken: Set<String> = []

    mutating func note(_ candidate: Candidate, format: String) {
        if ofAll.map(candidate.isAfter) ?? true { ofAll = candidate }
        if byFormat[format].map(candidate.isAfter) ?? true { byFormat[format] = candidate }
    }

    subscript(latest: LatestName) -> String? {
        switch latest {
        case .ofAll: isTaken ? nil : ofAll?.name
        case .ofFormat(let format): taken.contains(format) ? nil : byFormat[format]?.name
        }
    }
}
