internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Entries that no real file stands behind: `current`, `latest`, and the hidden files of `.artifactfs/`.
extension Volume {
    /// The made entry that a name is, if it is one.
    ///
    /// - Parameter caller: who asks; nil when it does not matter what `current` leads to.
    func madeEntry(_ name: String, in directory: TreeDirectory, for caller: Caller? = nil) -> MadeEntry? {
        switch directory.location {
        case .root where name == StoreLayout.privateDirectory: .hiddenDirectory
        case .mode(.development) where name == MadeNames.current && moment == nil:
            if let jobs, !jobs.differs {
                .currentSession(nil)
            } else {
                session(for: caller).map { .currentSession($0.description) }
            }
        case .typed(.production, _, _) where name == StoreLayout.recordsDirectory: .records(directory)
        case .typed(.production, _, let type):
            type.latest(name).flatMap { latestTarget($0, name, in: directory) }
                .map { .latestCheckpoint(directory.id, name: name, target: $0) }
        default: nil
        }
    }

    func madeInode(_ made: MadeEntry, _ name: String, in parent: InodeNumber) -> (InodeNumber, MadeEntry) {
        let found = namespace.findOrInsert(
            made.key(name), in: parent, remembering: true, make: { _ in .made(made) })
        return (found.number, made)
    }

    func entry(_ made: (number: InodeNumber, entry: MadeEntry)) -> Entry {
        // `current` is in most paths that programs use: `beginSession` tells the kernel when it is no more the same for all.
        let isTold = made.entry == .currentSession(nil)
        return Entry(
            inode: made.number, generation: 0, attributes: attributes(of: made.entry),
            entryTimeout: isTold ? Timeout.treeName : Timeout.none,
            attributesTimeout: isTold ? Timeout.treeName : Timeout.none)
    }

    /// A hidden file's entry for who looks it up: the kernel keeps no name of them, so every user is asked for.
    func hiddenEntry(_ file: HiddenFile, in parent: InodeNumber, _ caller: Caller) -> Entry {
        let viewer = file.isEverybodys ? .everybody : viewer(of: caller)
        return entry(madeInode(.hiddenFile(file, for: viewer), file.rawValue, in: parent))
    }

    func attributes(of made: MadeEntry) -> stat {
        if case .record(let record) = made { return attributes(of: record) }
        if case .versionRecord(let record) = made { return attributes(of: record) }
        // They look like the root: the same owner, and times that do not matter.
        var shown = (try? attributes(of: root)) ?? stat()
        shown.st_nlink = 1
        shown.st_blocks = 0
        switch made {
        case .hiddenDirectory:
            shown.st_ino = ino_t(StableNumber.of(StoreLayout.privateDirectory))
            shown.st_mode = S_IFDIR | 0o555
        case .record, .versionRecord: break
        case .versions(let directory, let artifact):
            shown.st_ino = ino_t(StableNumber.of(directory.versionsPath(of: artifact)))
            shown.st_mode = S_IFDIR | 0o555
        case .records(let directory):
            shown.st_ino = ino_t(StableNumber.of(directory.path(of: StoreLayout.recordsDirectory)))
            shown.st_mode = S_IFDIR | 0o555
        case .quarantine:
            shown.st_ino = ino_t(StableNumber.of(StoreLayout.quarantineDirectory))
            // As /tmp: all may look for their own, and only owners take out what is theirs.
            shown.st_mode = S_IFDIR | S_ISVTX | 0o777
        case .keptReason(let id, let owner):
            let name = QuarantineReader.reasonName(of: id)
            shown.st_ino = ino_t(StableNumber.of(StoreLayout.quarantineDirectory + "/" + name))
            shown.st_mode = S_IFREG | 0o400
            shown.st_uid = owner
            if let found = try? store.quarantine().file(named: name).attributes() {
                (shown.st_size, shown.st_mtim) = (found.st_size, found.st_mtim)
            }
        case .hiddenFile(let file, for: let viewer):
            shown.st_ino = ino_t(StableNumber.of(StoreLayout.privateDirectory + "/" + file.rawValue))
            // Who looks may set an attribute of it.
            shown.st_mode = S_IFREG | (file.isEverybodys ? 0o444 : file.isSpokenTo ? 0o600 : 0o400)
            if !file.isEverybodys {
                (shown.st_uid, shown.st_gid) = (geteuid(), getegid())
                if case .user(let user) = viewer { shown.st_uid = user }
            }
            shown.st_mtim = Clock.now()
            shown.st_size = off_t(sizeShown(of: file, for: viewer))
        case .currentSession(let session):
            shown.st_ino = ino_t(StableNumber.of("development/" + MadeNames.current))
            shown.st_mode = S_IFLNK | 0o777
            shown.st_size = off_t((session ?? currentSession?.description)?.utf8.count ?? 0)
        case .latestCheckpoint(let parent, let name, let target):
            if case .tree(let directory)? = namespace[parent] {
                shown.st_ino = ino_t(StableNumber.of(directory.path(of: name)))
            }
            shown.st_mode = S_IFLNK | 0o777
            shown.st_size = off_t(target.utf8.count)
        case .siblingLink(let parent, let name, let target):
            if case .tree(let directory)? = namespace[parent], let link = try? siblingLink(name, in: directory),
                let real = try? link.real.attributes()
            {
                shown = real
            }
            shown.st_mode = S_IFLNK | 0o777
            shown.st_size = off_t(target.utf8.count)
        }
        return shown
    }

    /// What `stat` says of a hidden file's size: none where it is made when it is opened, as in proc(5), so that nothing is made for a
    /// `stat`. Most read-only mounts have no opens, and their kernel reads no more than it was told of: there the bytes are made now, and kept
    /// for the read. They are few: what is refused on such a mount the kernel refuses.
    private func sizeShown(of file: HiddenFile, for viewer: Viewer) -> Int {
        if file == .schema { return store.schemaText.utf8.count }
        guard opensNothing else { return 0 }
        let content = content(of: file, for: viewer)
        hiddenContents.keep(content, of: file, for: viewer)
        return content.count
    }

    /// Nothing that is made changes by hand.
    func refuseMade(
        _ action: Action, _ made: MadeEntry, _ path: @autoclosure () -> String, _ caller: Caller
    ) throws(Errno) -> Never {
        try enforce(OverwritePolicy.judge(action, onMade: made.isDirectory), action.name, path(), caller)
        throw Errno.notPermitted
    }

    /// The same of a file of `.artifactfs/`.
    func refuseHidden(
        _ action: Action, isDirectory: Bool = false, _ path: @autoclosure () -> String, _ caller: Caller
    ) throws(Errno) -> Never {
        try enforce(OverwritePolicy.judge(action, onMade: isDirectory), action.name, path(), caller)
        throw Errno.notPermitted
    }

    /// Nothing is made in `.artifactfs/`.
    func refuseMaking(
        _ creation: Creation, _ path: @autoclosure () -> String, _ caller: Caller
    ) throws(Errno) -> Never {
        let verdict = OverwritePolicy.judge(
            creation, named: .invalid(.notInSchema), in: .hidden, standing: .production)
        try enforce(verdict, creation.rawValue, path(), caller)
        throw Errno.notPermitted
    }

    func listing(ofMade number: InodeNumber) throws(Errno) -> Listing {
        var listing = Listing()
        if case .made(.versions(let directory, let artifact))? = namespace[number] {
            return try self.listing(ofVersions: directory, artifact)
        }
        if case .made(.records(let directory))? = namespace[number] {
            let own = StableNumber.of(directory.path(of: StoreLayout.recordsDirectory))
            try addDots(own, directory.stableNumber, to: &listing)
            return listing
        }
        try addDots(StableNumber.of(StoreLayout.privateDirectory), root.stableNumber, to: &listing)
        for file in HiddenFile.allCases {
            let path = StoreLayout.privateDirectory + "/" + file.rawValue
            try listing.add(file.rawValue, number: StableNumber.of(path), type: S_IFREG)
        }
        try listing.add(
            MadeNames.quarantine, number: StableNumber.of(StoreLayout.quarantineDirectory), type: S_IFDIR)
        return listing
    }
}

/// Names that the driver gives.
enum MadeNames {
    static let current = "current"
    static let quarantine = "quarantine"
    static let latest = TypeDefinition.latestName
}
