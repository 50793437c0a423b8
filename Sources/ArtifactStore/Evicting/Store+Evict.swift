internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Giving room: the bytes of what a mirror has go, and a link has the artifact's name that says so (DISK FORMAT, "Evicted artifacts"). The link and
/// the ledger's line are on disk before the first byte goes, whatever the durability.
extension Store {
    /// Evicts an artifact that is a file, once its bytes here are what was sealed. Who asks has seen that the mirror has them.
    ///
    /// - Returns: how many bytes went.
    public func evict(_ request: EvictionRequest) throws(EvictionObstacle) -> Int64 {
        guard let writable else { throw .system(doing: "evicted", .readOnlyFileSystem) }
        guard
            let (file, directory) = try EvictionObstacle.attempt(
                "found",
                { () throws(Errno) in
                    try artifactFile(request.path)
                })
        else { throw .refused("it is no artifact of production that is a file") }
        let descriptor = try EvictionObstacle.attempt("opened") { () throws(Errno) in
            try file.open(O_RDONLY | O_NONBLOCK)
        }
        defer { SystemCall.close(descriptor) }
        let seen = try EvictionObstacle.attempt("looked at") { () throws(Errno) in try SystemCall.look(descriptor) }
        if let reason = Self.obstacle(seen, descriptor) { throw .refused(reason) }
        let now = try EvictionObstacle.attempt("read") { () throws(Errno) in
            defer { SystemCall.forgetContents(of: descriptor) }
            return try FileSource(descriptor).sha256()
        }
        guard now == request.sha256 else {
            throw .refused(
                "what is here is not what was sealed: its SHA-256 is \(now), and was \(request.sha256); "
                    + "'artifactfs verify' says more, and nothing was removed")
        }
        guard let modified = Clock.nanoseconds(seen.attributes.st_mtim) else {
            throw .refused("its time of modification is centuries away, which a link does not keep")
        }
        let hold = try holdForEviction(writable)
        defer { withExtendedLifetime(hold) {} }
        let shelf = try EvictionObstacle.attempt("evicted: there is no room for what is left of it") {
            () throws(Errno) in
            try StoreFormat.raise(writable.ownDirectory, to: StoreFormat.withEvictions)
            return try EvictionShelf.made(in: writable.ownDirectory)
        }
        let artifact = EvictedBytes(
            file: file, directory: directory, descriptor: descriptor, seen: seen,
            isImmutable: (try? ImmutableFlag.isMarked(descriptor)) == true
                || (try? ImmutableFlag.isSet(on: descriptor)) == true,
            mark: EvictionMark(
                size: Int64(seen.attributes.st_size), modified: modified,
                mode: seen.attributes.permissions & 0o777, sha256: now, inode: UInt64(seen.attributes.st_ino),
                mirror: request.mirror))
        let line = LedgerEvent.EvictedArtifact(
            mount: writable.staging.mountID, path: request.path, directory: directory.path, name: file.name,
            mirror: request.mirror, key: request.key, objectVersion: request.objectVersion, inode: artifact.mark.inode,
            size: artifact.mark.size, sha256: now, uid: Int64(request.agent.user), pid: Int64(request.agent.process),
            command: request.agent.program)
        try evict(artifact, line, shelf, writable)
        return artifact.mark.size
    }

    /// Why what has the name stays; nil of what may go.
    private static func obstacle(_ seen: FoundFile, _ descriptor: FileDescriptor) -> String? {
        guard seen.isRegular else { return "it is no plain file; of directories nothing is evicted" }
        if seen.attributes.st_mode & 0o222 != 0 { return "it can be written to: it is not as it was sealed" }
        if seen.attributes.st_nlink != 1 { return "it has other names, so that no room would come of it" }
        if SystemCall.hasNoWriters(descriptor) == false, FileSystemKind.isLocal(descriptor) {
            return "a program has it open for writing"
        }
        return nil
    }

    private func evict(
        _ artifact: EvictedBytes, _ line: LedgerEvent.EvictedArtifact, _ shelf: EvictionShelf, _ writable: Writable
    ) throws(EvictionObstacle) {
        let unique = EscapedName.unique(artifact.real)
        let place = shelf.places.file(unique)
        let moving = try EvictionObstacle.attempt("evicted") { () throws(Errno) -> Directory in
            // What one left who was killed: the artifact has its name, and is whole, so that nothing was done, or it came back since.
            if let left = try? shelf.moving.directory(unique).file(EvictionShelf.fileName),
                let found = try? left.look(), found.identity != artifact.seen.identity
            {
                try? left.unlink()
            }
            try? EvictionShelf.clear(shelf.moving, unique)
            try? place.unlink()
            return try shelf.moving.directory(unique, orMakeWith: 0o700)
        }
        let link = moving.file(EvictionShelf.fileName)
        func takeBack() {
            try? EvictionShelf.clear(shelf.moving, unique)
            // What could not have its name back is evicted all the same, once the next opening has ended it.
            if (try? EvictionMark(of: artifact.file)) == .some(nil) { try? place.unlink() }
        }
        do throws(EvictionObstacle) {
            try EvictionObstacle.attempt("evicted: its place cannot be made") { () throws(Errno) in
                try artifact.makePlace(place)
                try WholeFile.write(
                    Array("\(JSONValue.object(line.members))\n".utf8), to: moving.file(EvictionShelf.intentName),
                    isAlone: true)
                try SystemCall.makeSymbolicLink(moving.descriptor, link.name, to: artifact.mark.text)
                try artifact.giveOwner(to: link)
                for directory in [moving, shelf.places, shelf.moving] { try SystemCall.sync(directory.descriptor) }
            }
            try evictionStep(.prepared)
            let note = LiftNote(ledger: writable.ledger, mount: writable.staging.mountID, root: root)
            try hardening.lifting(
                open: artifact.descriptor, for: .eviction, noted: note,
                otherwise: { .system(doing: "evicted: its immutable flag could not be lifted", $0) }
            ) { () throws(EvictionObstacle) in try exchange(artifact, line, link, writable) }
        } catch {
            if !error.isStop { takeBack() }
            throw error
        }
        try? EvictionShelf.clear(shelf.moving, unique)
        try evictionStep(.removed)
    }

    private func exchange(
        _ artifact: EvictedBytes, _ line: LedgerEvent.EvictedArtifact, _ link: RealFile, _ writable: Writable
    ) throws(EvictionObstacle) {
        // Mode, owner and attributes of its place are those of a moment ago: its time of change says whether they still are.
        guard let now = try? artifact.file.look(), artifact.isUnchanged(now, liftsFlag: artifact.isImmutable) else {
            throw .refused("it has changed a moment ago; try again")
        }
        try EvictionObstacle.attempt(
            "evicted: its file system cannot exchange names, so that there would be a moment without one"
        ) { () throws(Errno) in
            try Self.exchange(link, try link.look().identity, with: artifact.file)
        }
        guard (try? link.look().identity) == artifact.seen.identity else {
            try? link.rename(to: artifact.file, flags: SystemCall.exchange)
            throw .refused("another file had its name at the last moment, which stays; try again")
        }
        do throws(EvictionObstacle) {
            try EvictionObstacle.attempt("evicted: its link is not on disk") { () throws(Errno) in
                try SystemCall.sync(artifact.file.directory.descriptor)
                try SystemCall.sync(link.directory.descriptor)
            }
            try evictionStep(.exchanged)
            try EvictionObstacle.attempt("recorded in the ledger") { () throws(Errno) in
                try writable.ledger.append([LedgerEntry(.evicted(line))])
            }
            writable.ledger.sync(always: true)
            try evictionStep(.logged)
        } catch {
            if !error.isStop { try? link.rename(to: artifact.file, flags: SystemCall.exchange) }
            throw error
        }
        // What cannot be removed now the next opening removes.
        try? link.unlink()
    }
}

/// An artifact that is being evicted.
struct EvictedBytes {
    let file: RealFile
    let directory: RealDirectory
    /// Open to read, since before its bytes were read.
    let descriptor: FileDescriptor
    /// How it was then.
    let seen: FoundFile
    /// Whether it is, or is to be, immutable.
    let isImmutable: Bool
    let mark: EvictionMark

    /// Its real path, from the store.
    var real: String { directory.path + "/" + file.name }

    /// Whether it is what was looked at. Taking the immutable flag changes the time of its change, which counts only where there is none.
    func isUnchanged(_ now: FoundFile, liftsFlag: Bool) -> Bool {
        now.identity == seen.identity && now.attributes.st_size == seen.attributes.st_size
            && now.attributes.hasSameModification(as: seen.attributes)
            && (liftsFlag
                || (now.attributes.st_ctim.tv_sec, now.attributes.st_ctim.tv_nsec)
                    == (seen.attributes.st_ctim.tv_sec, seen.attributes.st_ctim.tv_nsec))
    }

    /// Makes the empty file that is to have its bytes again, with its owner, access list and extended attributes. Its owner may write to it, in a
    /// directory that is the store's own.
    func makePlace(_ place: RealFile) throws(Errno) {
        let new = try place.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        defer { SystemCall.close(new) }
        let names = try attributeNames()
        for name in names where name != ImmutableFlag.attribute {
            try SystemCall.setExtendedAttribute(
                name, try SystemCall.extendedAttribute(name, of: descriptor), of: new)
        }
        if isImmutable { ImmutableFlag.mark(new) }
        let (own, made) = (seen.attributes, try SystemCall.attributes(new))
        if (own.st_uid, own.st_gid) != (made.st_uid, made.st_gid) {
            try SystemCall.setOwner(new, user: own.st_uid, group: own.st_gid)
        }
        try SystemCall.setMode(new, mark.mode | 0o200)
        try SystemCall.sync(new)
    }

    private func attributeNames() throws(Errno) -> [String] {
        let names: [UInt8]
        do throws(Errno) {
            names = try SystemCall.withPath(of: descriptor) { path throws(Errno) in
                try SystemCall.extendedAttributeNames(ofPath: path)
            }
        } catch .notSupported { return [] }
        return names.split(separator: 0).compactMap { String(validating: $0, as: UTF8.self) }.filter {
            $0.hasPrefix("user.") || $0 == AccessList.accessAttribute
        }
    }

    /// The link belongs to whom the artifact belongs.
    func giveOwner(to link: RealFile) throws(Errno) {
        let found = try link.attributes()
        guard (found.st_uid, found.st_gid) != (seen.attributes.st_uid, seen.attributes.st_gid) else { return }
        try link.setOwner(user: seen.attributes.st_uid, group: seen.attributes.st_gid)
    }
}
