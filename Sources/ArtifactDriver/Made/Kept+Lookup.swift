internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A file or a directory that is read only, with the rights of who reads: bytes that were kept back, in `.artifactfs/quarantine/`, and former versions.
final class KeptFile: Sendable {
    /// Where it is.
    enum Home: Sendable {
        case quarantine
        /// In `.meta/<name>.versions/` of a directory.
        case versions(TreeDirectory, of: String)
    }

    let home: Home
    /// Its name there.
    let name: String
    /// Another file that has its name is another inode.
    let identity: FileIdentity

    init(name: String, identity: FileIdentity, home: Home = .quarantine) {
        (self.name, self.identity, self.home) = (name, identity, home)
    }

    /// From the mount point.
    var path: String {
        switch home {
        case .quarantine: StoreLayout.quarantineDirectory + "/" + name
        case .versions(let directory, let artifact): directory.versionsPath(of: artifact) + "/" + name
        }
    }

    /// Whether it was kept back.
    var isInQuarantine: Bool { if case .quarantine = home { true } else { false } }

    var isDirectory: Bool { identity.kind == S_IFDIR }

    /// A descriptor that names it and needs no permission on it; the caller closes it.
    ///
    /// - Throws: `ESTALE` when something else has the name, `ENOENT`.
    func openPath(in store: Store) throws(Errno) -> FileDescriptor {
        try file(in: store).open(SystemCall.pathOnly, seen: identity)
    }

    /// - Throws: `ENOENT`.
    func file(in store: Store) throws(Errno) -> RealFile {
        switch home {
        case .quarantine: return try store.quarantine().file(named: name)
        case .versions(let directory, let artifact):
            guard case .typed(_, _, let type) = directory.location, let number = Int64(name) else {
                throw Errno.noSuchFileOrDirectory
            }
            guard
                case .artifact(let real) = type.classify(artifact, ofDirectory: isDirectory),
                let versions = try store.formerVersions(of: real, in: directory.real.path)
            else { throw Errno.noSuchFileOrDirectory }
            return versions.file(number)
        }
    }
}

/// `.artifactfs/quarantine/`: each user sees their own, root and who runs the driver see all.
extension Volume {
    /// Whether a caller may know of a file of an owner.
    func seesKept(_ owner: UInt32, _ caller: Caller) -> Bool {
        viewer(of: caller) == .everybody || caller.user == owner
    }

    /// What a name in quarantine leads to, for who may know of it.
    func keptEntry(_ name: EntryName, in parent: InodeNumber, _ caller: Caller) throws(Errno) -> Entry {
        guard let name = name.string else { throw Errno.noSuchFileOrDirectory }
        let reader = try store.quarantine()
        do throws(Errno) {
            let found = try reader.look(name)
            guard seesKept(found.attributes.st_uid, caller) else { throw Errno.noSuchFileOrDirectory }
            if found.attributes.isDirectory { _ = artifactDirectories.directory(found.identity, .kept) }
            return keptEntry(KeptFile(name: name, identity: found.identity), found.attributes, in: parent)
        } catch .noSuchFileOrDirectory {}
        guard let id = QuarantineReader.id(ofReason: name) else { throw Errno.noSuchFileOrDirectory }
        let owner = try reader.look(id).attributes.st_uid
        guard seesKept(owner, caller), try !reader.reason(of: id).isEmpty else { throw Errno.noSuchFileOrDirectory }
        return entry(madeInode(.keptReason(of: id, owner: owner), name, in: parent))
    }

    func keptEntry(_ kept: KeptFile, _ attributes: stat, in parent: InodeNumber) -> Entry {
        // The kernel keeps an inode's bytes: another file is another inode.
        let key = "\(kept.name)/\(kept.identity.number)-\(kept.identity.born)"
        let number = namespace.findOrInsert(key, in: parent, remembering: true, make: { _ in .kept(kept) }).number
        return Entry(
            inode: number, generation: 0, attributes: Self.shown(attributes), entryTimeout: Timeout.none,
            attributesTimeout: Timeout.none)
    }

    /// A directory that was kept back, as the parent of names: what is in it are nodes of an ordinary tree that does not change.
    func parent(_ number: InodeNumber, _ kept: KeptFile) -> FreeParent {
        FreeParent(
            directory: .kept(kept, store), scope: .production, number: number,
            artifact: artifactDirectories.directory(
                kept.identity, kept.isInQuarantine ? .kept : .published(.production), isSure: false))
    }

    /// As on the whole mount, the owner's write bit shows, so that a change is refused with a reason, and not by the kernel.
    static func shown(_ attributes: stat) -> stat {
        var shown = attributes
        shown.st_mode = shown.st_mode & ~(S_ISUID | S_ISGID | S_ISVTX) | S_IWUSR
        return shown
    }

    func attributes(of kept: KeptFile) throws(Errno) -> stat { Self.shown(try look(kept).attributes) }

    /// The file, if it is still the one that it was.
    private func look(_ kept: KeptFile) throws(Errno) -> FoundFile {
        do throws(Errno) {
            let found = try kept.file(in: store).look()
            if found.identity == kept.identity { return found }
        } catch .noSuchFileOrDirectory {}
        throw Errno.staleNFSFileHandle
    }

    /// What a name in quarantine is to a caller who wants to change something there.
    ///
    /// - Throws: `ENOENT` of what the caller may not know of.
    func keptFile(_ name: String, _ caller: Caller) throws(Errno) -> QuarantineEntry {
        let entry = try store.quarantine().entry(name)
        guard seesKept(entry.owner, caller) else { throw Errno.noSuchFileOrDirectory }
        return entry
    }

    func listing(ofKept caller: Caller) throws(Errno) -> Listing {
        var listing = Listing()
        try addDots(
            StableNumber.of(StoreLayout.quarantineDirectory), StableNumber.of(StoreLayout.privateDirectory),
            to: &listing)
        let files: [(id: String, found: FoundFile, hasReason: Bool)]
        do throws(Errno) { files = try store.quarantine().files() } catch .noSuchFileOrDirectory {
            // Of a store that nobody has written to.
            return listing
        }
        for (id, found, hasReason) in files where seesKept(found.attributes.st_uid, caller) {
            try listing.add(id, number: UInt64(found.attributes.st_ino), type: found.identity.kind)
            guard hasReason else { continue }
            let reason = QuarantineReader.reasonName(of: id)
            try listing.add(
                reason, number: StableNumber.of(StoreLayout.quarantineDirectory + "/" + reason), type: S_IFREG)
        }
        return listing
    }

    /// Nothing comes there by a rename.
    func refuseReplacingKept(_ name: EntryName, _ caller: Caller) throws(Errno) -> Never {
        let name = try text(name)
        let path = StoreLayout.quarantineDirectory + "/" + name
        if let entry = try? keptFile(name, caller) {
            try refuseKept(.operation(.renameOnto), isDirectory: entry.isDirectory, path, caller)
        }
        try refuseHidden(.operation(.renameFrom), path, caller)
    }

    /// The same of a file that is known, or a former version.
    func refuseKept(_ action: Action, _ kept: KeptFile, _ caller: Caller) throws(Errno) -> Never {
        if kept.isInQuarantine { try refuseKept(action, isDirectory: kept.isDirectory, kept.path, caller) }
        try enforce(
            OverwritePolicy.judgeVersion(action, isDirectory: kept.isDirectory), action.name, kept.path, caller)
        throw Errno.notPermitted
    }

    /// Nothing there changes but by going away.
    func refuseKept(
        _ action: Action, isDirectory: Bool = false, _ path: @autoclosure () -> String, _ caller: Caller
    ) throws(Errno) -> Never {
        try enforce(OverwritePolicy.judgeKept(action, isDirectory: isDirectory), action.name, path(), caller)
        throw Errno.notPermitted
    }
}
