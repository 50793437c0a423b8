internal import ArtifactRecords
public import Artifacts
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// An evicted artifact whose bytes are being brought back: who has it writes them to the descriptor, brings them to disk, and ends it. Nobody else
/// brings the same meanwhile.
public struct ArtifactRecall: Sendable {
    /// Its path on the mount, from its root.
    public let path: String
    /// Its real path, from the store.
    public let real: String
    /// What is to come, and from where.
    public let mark: EvictionMark
    /// Open to read and write: an empty file. It is held by a lock as long as it is open, and is closed by who has this.
    public let descriptor: FileDescriptor
    fileprivate let file: RealFile
    fileprivate let directory: RealDirectory
    fileprivate let place: RealFile
}

extension Store {
    /// Begins to bring an evicted artifact back, when nobody else does: it waits for who does.
    ///
    /// - Parameters:
    ///   - attributes: its extended attributes, for a place that is made anew where the one that had them is lost; asked then.
    ///   - goesOn: asked while it waits.
    /// - Returns: nil where its bytes are here.
    public func beginRecall(
        of path: String, attributes: () -> [String: [UInt8]]? = { nil }, goesOn: () -> Bool = { true }
    ) throws(EvictionObstacle) -> ArtifactRecall? {
        guard writable != nil else { throw .system(doing: "brought back", .readOnlyFileSystem) }
        guard
            let (file, directory) = try EvictionObstacle.attempt(
                "found",
                { () throws(Errno) in
                    try artifactFile(path)
                })
        else { throw .refused("it is no artifact of production that is a file") }
        func evicted() throws(EvictionObstacle) -> EvictedFile? {
            try EvictionObstacle.attempt("looked at") { () throws(Errno) in
                try self.evicted(file, in: directory.path)
            }
        }
        guard let found = try evicted() else { return nil }
        let lost = found.place == nil ? attributes() : nil
        if let lost { try makePlace(of: directory.path + "/" + file.name, found, lost) }
        guard let place = try lost == nil ? found.place : evicted()?.place else {
            throw .refused(
                "its place in \(StoreLayout.privateDirectory)/\(StoreFormat.evicted) is gone, which has its owner and attributes: "
                    + "'artifactfs mirror recall' makes it anew")
        }
        let descriptor = try EvictionObstacle.attempt("brought back: its place cannot be opened") { () throws(Errno) in
            try place.open(O_RDWR | O_NONBLOCK)
        }
        do throws(EvictionObstacle) {
            try EvictionObstacle.attempt("brought back") { () throws(Errno) in
                try Self.lock(descriptor, while: goesOn)
            }
            // Who had it may have brought it back, and it may be evicted again by now.
            guard let now = try evicted() else {
                SystemCall.closeLock(descriptor)
                return nil
            }
            guard (try? SystemCall.look(descriptor).identity) == (try? place.look().identity), now.mark == found.mark
            else { throw .refused("it was brought back and evicted again meanwhile; try again") }
            try EvictionObstacle.attempt("brought back") { () throws(Errno) in
                try SystemCall.truncate(descriptor, to: 0)
            }
        } catch {
            SystemCall.closeLock(descriptor)
            throw error
        }
        return ArtifactRecall(
            path: path, real: directory.path + "/" + file.name, mark: found.mark, descriptor: descriptor, file: file,
            directory: directory, place: place)
    }

    /// Makes the place anew that an evicted artifact has lost: its owner is the link's.
    private func makePlace(
        of real: String, _ evicted: EvictedFile, _ attributes: [String: [UInt8]]
    ) throws(EvictionObstacle) {
        guard let writable else { return }
        try EvictionObstacle.attempt("brought back: its place cannot be made") { () throws(Errno) in
            let place = try EvictionShelf.made(in: writable.ownDirectory).place(of: real)
            let new = try place.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
            defer { SystemCall.close(new) }
            for (name, value) in attributes { try SystemCall.setExtendedAttribute(name, value, of: new) }
            let (own, made) = (evicted.found.attributes, try SystemCall.attributes(new))
            if (own.st_uid, own.st_gid) != (made.st_uid, made.st_gid) {
                try SystemCall.setOwner(new, user: own.st_uid, group: own.st_gid)
            }
            try SystemCall.setMode(new, evicted.mark.mode | 0o200)
        }
    }

    private static func lock(_ descriptor: FileDescriptor, while goesOn: () -> Bool) throws(Errno) {
        while true {
            do throws(Errno) { return try SystemCall.lock(descriptor, waiting: false) } catch {
                guard error == .wouldBlock, goesOn() else { throw error }
            }
            usleep(50_000)
        }
    }

    /// Gives an artifact its name again whose bytes have come, and are on disk: who calls it has compared their hash.
    public func finish(_ recall: ArtifactRecall, key: String, by agent: Agent) throws(EvictionObstacle) {
        guard let writable else { throw .system(doing: "brought back", .readOnlyFileSystem) }
        try evictionStep(.filled)
        let hold = try holdForEviction(writable)
        defer { withExtendedLifetime(hold) {} }
        guard
            try EvictionObstacle.attempt("looked at", { () throws(Errno) in try EvictionMark(of: recall.file) })
                == recall.mark
        else { throw .refused("its name is another's by now; what came was not used") }
        let (descriptor, mark) = (recall.descriptor, recall.mark)
        try EvictionObstacle.attempt("brought back") { () throws(Errno) in
            let found = try SystemCall.look(descriptor)
            guard Int64(found.attributes.st_size) == mark.size, try recall.place.look().identity == found.identity
            else {
                throw Errno.staleNFSFileHandle
            }
            try SystemCall.setMode(descriptor, mark.mode)
            let time = mark.shown(found).attributes.st_mtim
            try SystemCall.setTimes(descriptor, access: Clock.now(), modification: time)
            try SystemCall.sync(descriptor)
            try recall.place.rename(to: recall.file, seen: found.identity)
            try? SystemCall.sync(recall.file.directory.descriptor)
            try? SystemCall.sync(recall.place.directory.descriptor)
        }
        try evictionStep(.moved)
        do throws(Errno) { try ImmutableFlag.putBack(on: recall.file) } catch { hardening.note(error, recall.real) }
        let inode = (try? SystemCall.attributes(descriptor).st_ino).map { UInt64($0) } ?? 0
        let line = LedgerEvent.EvictedArtifact(
            mount: writable.staging.mountID, path: recall.path, directory: recall.directory.path,
            name: recall.file.name, mirror: mark.mirror, key: key, objectVersion: nil, inode: inode, size: mark.size,
            sha256: mark.sha256, uid: Int64(agent.user), pid: Int64(agent.process), command: agent.program)
        writable.ledger.appendLater([LedgerEntry(.recalled(line))])
        settle()
    }

    /// Gives back the room of what came and is not used.
    public func abandon(_ recall: ArtifactRecall) { try? SystemCall.truncate(recall.descriptor, to: 0) }
}
