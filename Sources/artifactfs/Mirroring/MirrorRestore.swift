import ArtifactRecords
import Glibc
import Mirrors
import ObjectStorage
import SystemCalls
import SystemPackage

/// Makes a store from a mirror alone.
///
/// All of it is made in `STORE.restoring` beside the store's place, and has its name in the last step: a store is whole, or not there. Who is
/// killed and runs it again goes on: what has its name there was read whole, and is looked at again.
struct MirrorRestore {
    private let bucket: Bucket
    private let target: String
    /// What the mirror is called, where artifacts are left in it: then only their names are made.
    private let evictedTo: String?
    private var work: String { target + ".restoring" }
    private var top: String { work + "/store" }
    private var note: String { work + "/restore.json" }

    private static let (ownerOnly, fresh): (UInt32, UInt32) = (0o700, 0o600)

    /// - Parameters:
    ///   - target: where the store is to be: nothing is there, or an empty directory.
    ///   - evictedTo: what the mirror is called in which artifacts that are files are left, so that only their names are made; without it all of them come. Former versions, and
    ///     artifacts that are directories, are left out then.
    init(_ bucket: Bucket, to target: String, evictedTo: String? = nil) throws {
        (self.bucket, self.target, self.evictedTo) = (bucket, target, evictedTo)
        do throws(Errno) {
            let found = try SystemCall.attributes(SystemCall.currentDirectory, target)
            guard found.isDirectory, Paths.names(target).isEmpty else {
                throw Errno.fileExists
            }
        } catch .noSuchFileOrDirectory {
        } catch {
            throw Failure(
                .failed,
                error == .fileExists
                    ? "\(target) is there already, and nothing is restored over it: name a place where nothing is"
                    : "\(target) cannot be looked at: \(error)")
        }
    }

    /// Restores the newest snapshot, or the one that was begun with.
    ///
    /// - Returns: what was restored, and how many bytes came from the mirror now.
    func run() throws -> (snapshot: MirrorSnapshot, bytes: Int64) {
        guard let store = try MirrorMarker.store(at: bucket) else {
            throw Failure(
                .cannotAnswer, "\(bucket.place.url) is no mirror of a store: nothing there says which store it is of")
        }
        do throws(Errno) { try Self.make(work) } catch { throw failure("made", work, error) }
        let lock: FileDescriptor
        do throws(Errno) {
            lock = try SystemCall.open(SystemCall.currentDirectory, work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        } catch { throw failure("opened", work, error) }
        defer { SystemCall.closeLock(lock) }
        do throws(Errno) { try SystemCall.lock(lock, waiting: false) } catch {
            throw Failure(.busy, "another process restores to \(target); wait until it is done")
        }
        let snapshot = try chosen(store)
        var bytes: Int64 = 0
        do throws(Errno) { try Self.make(top) } catch { throw failure("made", top, error) }
        let bar = ProgressBar("restoring")
        defer { bar.end() }
        var done: Int64 = 0
        let all = snapshot.bytes
        var names = evictedTo.map { MirrorNames(bucket, in: top, $0) }
        for entry in snapshot.entries {
            bar.show(done, of: all)
            if try names?.takes(entry) == true { continue }
            switch entry.content {
            case .directory:
                do throws(Errno) { try Self.make(path(entry)) } catch { throw failure("made", shown(entry), error) }
            case .file(let size, let sha256, let key):
                let piece = MirrorSnapshot.Piece(key: key, size: size, sha256: sha256, version: entry.version)
                bytes = bytes &+ (try fetch([piece], entry))
                done = done &+ size
            case .pieces(let pieces): bytes = bytes &+ (try fetch(pieces, entry))
            }
        }
        try close(snapshot)
        return (snapshot, bytes)
    }

    /// The snapshot that was begun with, so that all of it is of one moment.
    private func chosen(_ store: String) throws -> MirrorSnapshot {
        if let bytes = Paths.contents(note), let json = JSONValue(parsing: bytes) {
            guard json["url"]?.string == bucket.place.url, json["store"]?.string == store,
                let number = json["snapshot"]?.integer
            else {
                throw Failure(
                    .failed,
                    "\(work) is of a restore from \(json["url"]?.string ?? "elsewhere"): end that one, or remove the directory"
                )
            }
            return try MirrorPush.snapshot(number, bucket)
        }
        guard let newest = try MirrorPush.newest(bucket) else {
            if let deleted = try MirrorPush.deletedSnapshots(bucket, after: 0).last { throw Failure(.failed, deleted) }
            throw Failure(.cannotAnswer, "\(bucket.place.url) has no snapshot yet: nothing was pushed to its end")
        }
        guard newest.store == store else {
            throw Failure(
                .failed, "\(bucket.place.url) has a snapshot of another store than the one that it is the mirror of")
        }
        for deleted in try MirrorPush.deletedSnapshots(bucket, after: newest.number) { Terminal.complain(deleted) }
        let json: JSONObject = [
            "url": .string(bucket.place.url), "store": .string(store), "snapshot": .integer(newest.number),
        ]
        do throws(Errno) {
            let new = note + ".new"
            try? SystemCall.unlink(SystemCall.currentDirectory, new)
            let file = try SystemCall.open(
                SystemCall.currentDirectory, new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, Self.fresh)
            defer { SystemCall.close(file) }
            try SystemCall.write(file, Array("\(JSONValue.object(json))\n".utf8))
            try SystemCall.sync(file)
            try SystemCall.rename(SystemCall.currentDirectory, new, SystemCall.currentDirectory, note, 0)
        } catch { throw failure("written", note, error) }
        return newest
    }

    // MARK: - Files

    /// Brings a file, if it is not there; returns how many bytes came.
    private func fetch(_ pieces: [MirrorSnapshot.Piece], _ entry: MirrorSnapshot.Entry) throws -> Int64 {
        if isThere(pieces, entry) { return 0 }
        let part = work + "/part"
        let file: FileDescriptor
        do throws(Errno) {
            file = try SystemCall.open(
                SystemCall.currentDirectory, part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, Self.fresh)
        } catch { throw failure("written", part, error) }
        defer { SystemCall.close(file) }
        if pieces.count == 1 {
            try fetch(pieces[0], to: file, entry)
        } else {
            for piece in pieces { try append(piece, to: file, entry) }
        }
        do throws(Errno) {
            try prepare(file, entry)
            try SystemCall.rename(SystemCall.currentDirectory, part, SystemCall.currentDirectory, path(entry), 0)
        } catch { throw failure("written", shown(entry), error) }
        return pieces.reduce(0) { $0 &+ $1.size }
    }

    private func fetch(_ piece: MirrorSnapshot.Piece, to file: FileDescriptor, _ entry: MirrorSnapshot.Entry) throws {
        try check(
            try sent(piece) { version throws(StorageFault) in
                try bucket.get(bucket.place.prefix + piece.key, to: file, size: piece.size, version: version)
            }, piece, entry)
    }

    /// Asks for the version that was sent, whatever is over it; and for the newest where there is none of that name, as in a copy of the bucket, or
    /// where only that may be read: the SHA-256 decides.
    private func sent<Result>(
        _ piece: MirrorSnapshot.Piece, _ body: (_ version: String?) throws(StorageFault) -> Result
    ) throws -> Result {
        do throws(StorageFault) {
            if let version = piece.version {
                do throws(StorageFault) { return try body(version) } catch {
                    guard [.missing, .denied, .other].contains(error.kind) else { throw error }
                }
            }
            return try body(nil)
        } catch { throw Failure(error) }
    }

    private func append(_ piece: MirrorSnapshot.Piece, to file: FileDescriptor, _ entry: MirrorSnapshot.Entry) throws {
        let bytes = try sent(piece) { version throws(StorageFault) -> [UInt8]? in
            let found = try bucket.bytes(
                of: bucket.place.prefix + piece.key, version: version, limit: Int(clamping: piece.size))
            if found == nil, version != nil {
                throw StorageFault(missing: bucket.place.shown(bucket.place.prefix + piece.key))
            }
            return found
        }
        guard let bytes else {
            throw Failure(.failed, "\(shown(entry)): a piece of it is not there: \(bucket.place.url)\(piece.key)")
        }
        try check((try? SHA256.digest(bytes)) ?? "", piece, entry)
        do throws(Errno) { try SystemCall.write(file, bytes) } catch { throw failure("written", shown(entry), error) }
    }

    private func check(_ sha256: String, _ piece: MirrorSnapshot.Piece, _ entry: MirrorSnapshot.Entry) throws {
        guard sha256 != piece.sha256 else { return }
        throw Failure(
            .failed,
            "\(shown(entry)): what the mirror has is not what was sent: the SHA-256 of \(bucket.place.url)\(piece.key) is \(sha256), and should be "
                + "\(piece.sha256). Nothing was restored; what came is in \(work)")
    }

    /// Whether it came before, with all its bytes.
    private func isThere(_ pieces: [MirrorSnapshot.Piece], _ entry: MirrorSnapshot.Entry) -> Bool {
        guard
            let file = try? SystemCall.open(
                SystemCall.currentDirectory, path(entry), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        else { return false }
        defer { SystemCall.close(file) }
        guard let found = try? SystemCall.attributes(file), found.isRegular,
            Int64(found.st_size) == pieces.reduce(0, { $0 &+ $1.size })
        else { return false }
        var place: Int64 = 0
        for piece in pieces {
            guard (try? FileHash.sha256(of: file, from: place, count: piece.size)) == piece.sha256 else { return false }
            place += piece.size
        }
        return true
    }

    /// As it was: attributes, times, permissions.
    private func prepare(_ file: FileDescriptor, _ entry: MirrorSnapshot.Entry) throws(Errno) {
        for (name, value) in entry.attributes {
            do throws(Errno) { try SystemCall.setExtendedAttribute(name, value, of: file) } catch .notSupported {}
        }
        try SystemCall.setMode(file, entry.mode)
        if let modified = entry.modified {
            let time = timespec(
                tv_sec: Int(modified / 1_000_000_000), tv_nsec: max(0, Int(modified % 1_000_000_000)))
            try SystemCall.setTimes(file, access: time, modification: time)
        }
    }

    // MARK: - The end

    /// Gives directories what they had, the innermost first, brings all to disk, and gives the store its name.
    private func close(_ snapshot: MirrorSnapshot) throws {
        do throws(Errno) {
            try writeAbsent(snapshot.absent)
            let names = evictedTo.map { MirrorNames(bucket, in: top, $0) }
            for entry in snapshot.entries.reversed()
            where entry.content == .directory && names?.leavesOut(entry, of: snapshot) != true {
                let directory = try SystemCall.open(
                    SystemCall.currentDirectory, path(entry), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                defer { SystemCall.close(directory) }
                try prepare(directory, entry)
            }
            let parent = try SystemCall.open(
                SystemCall.currentDirectory, Self.parent(of: target), O_RDONLY | O_DIRECTORY)
            defer { SystemCall.close(parent) }
            let own = try SystemCall.open(SystemCall.currentDirectory, top, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            defer { SystemCall.close(own) }
            // As any directory that is made there: others may look into a store.
            try SystemCall.setMode(own, 0o755)
            try SystemCall.syncFileSystem(own)
            // Nothing but an empty directory is replaced, rename(2).
            try SystemCall.rename(SystemCall.currentDirectory, top, SystemCall.currentDirectory, target, 0)
            try SystemCall.sync(parent)
        } catch { throw failure("finished", target, error) }
        for name in Paths.names(work) { try? SystemCall.unlink(SystemCall.currentDirectory, work + "/" + name) }
        try? SystemCall.unlink(SystemCall.currentDirectory, work, isDirectory: true)
    }

    /// Says in the store what it has not, as it was not chosen for the mirror.
    private func writeAbsent(_ absent: [MirrorSnapshot.AbsentArtifact]) throws(Errno) {
        guard !absent.isEmpty else { return }
        let path = top + "/" + AbsentArtifacts.path
        let file = try SystemCall.open(
            SystemCall.currentDirectory, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, Self.fresh)
        defer { SystemCall.close(file) }
        try SystemCall.write(file, AbsentArtifacts.text(of: absent))
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash != path.utf8.startIndex else { return "/" }
        return String(path[..<slash])
    }

    /// A directory that only its owner may use, as long as it is filled.
    private static func make(_ path: String) throws(Errno) {
        try make((Array(path.utf8) + [0]).map { CChar(bitPattern: $0) })
    }

    private static func make(_ path: [CChar]) throws(Errno) {
        do throws(Errno) {
            return try SystemCall.makeDirectory(SystemCall.currentDirectory, path, ownerOnly)
        } catch .fileExists {}
        let directory = try SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        defer { SystemCall.close(directory) }
        // What somebody else has made there could lead elsewhere.
        guard try SystemCall.attributes(directory).st_uid == geteuid() else { throw Errno(rawValue: EEXIST) }
        // Who was killed at the end had given it its permissions.
        try SystemCall.setMode(directory, ownerOnly)
    }

    private func path(_ entry: MirrorSnapshot.Entry) -> [CChar] {
        (Array(top.utf8) + [UInt8(ascii: "/")] + entry.path + [0]).map { CChar(bitPattern: $0) }
    }

    private func shown(_ entry: MirrorSnapshot.Entry) -> String { String(decoding: entry.path, as: UTF8.self) }

    private func failure(_ what: String, _ path: String, _ error: Errno) -> Failure {
        Failure(.failed, "\(path) cannot be \(what): \(error); what came is in \(work), and the same command goes on")
    }
}
