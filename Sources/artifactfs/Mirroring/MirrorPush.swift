import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import Mirrors
import ObjectStorage
import SystemCalls
import SystemPackage

/// Brings a mirror up to what a store has now.
///
/// Every object is made once and never changed: a file under its real path and its SHA-256, a ledger piece by piece, and last a snapshot that
/// names all of them. So a push that ends anywhere leaves the mirror as it was, with some objects more that the next one finds there.
final class MirrorPush {
    /// What came of it.
    struct PushedSum {
        var (sent, bytes) = (0, Int64(0))
        /// What was not sent, and why, for people.
        var problems: [String] = []
        /// What has ended it before its time: then there is no snapshot.
        var fault: Failure?
        var snapshot: MirrorSnapshot?
        var isNew = false
        /// How many artifacts are not there, as they were not chosen.
        var absent: Int { snapshot?.absent.count ?? 0 }
        /// Whether the ledger has more now: of what was sent.
        var hasNoted = false
    }

    let mirror: MirrorPlace
    private let place: StorePlace
    let bucket: Bucket
    private let query: String?
    /// What is known to be there, and the version that was sent, where the bucket keeps them.
    private(set) var known: [String: String?]
    /// What the ledger was told by this push.
    private var noted: Set<MirrorSnapshot.Piece> = []
    private let sent: FileDescriptor
    var sum = PushedSum()
    /// Where artifacts are of which something was not sent, or that were not chosen.
    var damaged: Set<[UInt8]> = []

    /// How often a store that changes under it is looked at again.
    private static let tries = 5

    /// - Parameters:
    ///   - query: by which artifacts are chosen; nil for all.
    ///   - limit: the most that is sent in a second, in bytes.
    init(_ mirror: MirrorPlace, _ place: StorePlace, query: String?, limit: Int64?) throws {
        (self.mirror, self.place, self.query) = (mirror, place, query)
        bucket = try mirror.bucket(limit: limit)
        known = mirror.sentObjects()
        sent = try mirror.openSent()
    }

    deinit { SystemCall.close(sent) }

    /// Who has the mirror alone calls it.
    func run() throws -> PushedSum {
        let store = try MirrorPlace.identity(of: mirror.store)
        try MirrorMarker.check(bucket, is: store)
        for attempt in 1... {
            (sum.problems, damaged) = ([], [])
            var inventory = try MirrorInventory.of(place, mirror.store)
            let last = try mirror.lastSnapshot().flatMap { $0.store == store ? $0 : nil } ?? Self.newest(bucket)
            // What has gone while it was sent has another place now, by the ledger: all is looked at again.
            let leftOut = try query.map { try self.leftOut($0, inventory, last) } ?? [:]
            let isWhole = try send(inventory, last, but: leftOut)
            if sum.fault != nil { return sum }
            try seeEvicted(inventory)
            guard isWhole || attempt >= Self.tries else { continue }
            // The ledger's lines on it are in the snapshot as well, so that one push is enough.
            damaged.formUnion(leftOut.keys)
            if try note(inventory, last), try !inventory.takeNotes(), attempt < Self.tries { continue }
            sum.problems += inventory.problems
            let absent = Set(inventory.absent + leftOut.values.map(\.absent)).sorted { $0.title < $1.title }
            if try finish(inventory, store, last, absent) { return sum }
            guard attempt < Self.tries else {
                throw Failure(.busy, "another push to \(mirror.place.url) is always quicker; try again in a moment")
            }
        }
        return sum
    }

    // MARK: - Files

    /// What is neither chosen nor there already, by where it is.
    private func leftOut(
        _ query: String, _ inventory: MirrorInventory, _ last: MirrorSnapshot?
    ) throws -> [[UInt8]: MirrorInventory.MirroredArtifact] {
        let chosen = try MirrorInventory.titles(of: query, place)
        let there = Set((last?.objects ?? []).map(\.key))
        var leftOut: [[UInt8]: MirrorInventory.MirroredArtifact] = [:]
        for item in inventory.items {
            guard let artifact = item.artifact, !chosen.contains(artifact.title) else { continue }
            if known[item.key] == nil, !there.contains(item.key) { leftOut[item.root] = artifact }
        }
        return leftOut
    }

    /// Sends what is not there.
    ///
    /// - Parameter leftOut: where something is that was not chosen.
    /// - Returns: whether nothing went away meanwhile.
    private func send(
        _ inventory: MirrorInventory, _ last: MirrorSnapshot?,
        but leftOut: [[UInt8]: MirrorInventory.MirroredArtifact]
    ) throws -> Bool {
        var left = inventory.items.filter { known[$0.key] == nil && leftOut[$0.root] == nil }
        let before = left.isEmpty ? [:] : Self.versions(last)
        var uploads = try begun(left)
        let all = left.reduce(Int64(0)) { $0 &+ $1.size }
        let bar = ProgressBar("sending to \(mirror.name)")
        defer { bar.end() }
        var (done, isWhole) = (Int64(0), true)
        // Two files with one key are of one content: where one cannot be sent, the other is tried.
        while !left.isEmpty, sum.fault == nil {
            var keys: Set<String> = []
            let now = left.filter { keys.insert($0.key).inserted }
            let paths = Set(now.map(\.path))
            let sender = ObjectSender(
                bucket.access, now.map { wanted($0, inventory.tree, uploads[$0.key] ?? [], before[$0.key]) })
            let end = sender.run { event in
                switch event {
                case .begun(let upload, let number): note(upload, of: now[number].key)
                case .ended(let upload): note(upload, of: nil)
                case .bytes(let count):
                    done = done &+ count
                    bar.show(done, of: all)
                case .done(let number, let put): isThere(now[number], put)
                case .gone(let number):
                    damaged.insert(now[number].root)
                    sum.problems.append("\(now[number].title): it went away while it was sent")
                    isWhole = false
                case .failed(let number, let fault):
                    damaged.insert(now[number].root)
                    sum.problems.append("\(now[number].title): \(fault)")
                }
            }
            sum.fault = end.map { Failure($0) }
            uploads = [:]
            left = left.filter { !paths.contains($0.path) && known[$0.key] == nil }
        }
        if sum.fault == nil, mirror.unfinished().isEmpty { mirror.forgetUploads() }
        return isWhole
    }

    private func wanted(
        _ item: MirrorInventory.MirroredFile, _ tree: StoreRoot, _ uploads: [String], _ version: String?
    ) -> ObjectSender.Wanted {
        let (path, size) = (item.path, item.size)
        return ObjectSender.Wanted(
            key: bucket.place.prefix + item.key, size: size, sha256: item.sha256, uploads: uploads,
            version: version
        ) {
            guard let file = try? tree.open(path, O_RDONLY) else { return nil }
            if let found = try? SystemCall.attributes(file), found.isRegular, Int64(found.st_size) == size {
                return file
            }
            SystemCall.close(file)
            return nil
        }
    }

    /// Uploads in parts that had begun when another push ended, by their keys: those that this store has noted, and those that the server knows
    /// of. What is not wanted any more is given up.
    private func begun(_ left: [MirrorInventory.MirroredFile]) throws -> [String: [String]] {
        let large = Set(left.lazy.filter { self.bucket.place.isParted($0.size) }.map(\.key))
        let prefix = bucket.place.prefix
        var found: [String: [String]] = [:]
        do throws(StorageFault) {
            for (upload, key) in mirror.unfinished() {
                if key.hasPrefix(prefix), large.contains(String(key.dropFirst(prefix.count))) {
                    found[String(key.dropFirst(prefix.count)), default: []].append(upload)
                } else {
                    try bucket.abort(upload, of: key)
                    note(upload, ofWhole: nil)
                }
            }
            guard !large.isEmpty else { return found }
            let known: [String: [String]]
            do throws(StorageFault) { known = try bucket.uploads(withPrefix: prefix) } catch {
                // Who may send may not list, or the server cannot: all that is not noted begins anew.
                guard [.denied, .other, .missing].contains(error.kind) else { throw error }
                return found
            }
            for (key, uploads) in known {
                let key = String(key.dropFirst(prefix.count))
                guard large.contains(key) else { continue }
                let noted = found[key] ?? []
                found[key] = noted + uploads.filter { !noted.contains($0) }
            }
        } catch { throw Failure(error) }
        return found
    }

    private func note(_ upload: String, of key: String?) { note(upload, ofWhole: key.map { bucket.place.prefix + $0 }) }

    /// What cannot be noted is found by the server's list, or given up by hand, when it comes to that.
    private func note(_ upload: String, ofWhole key: String?) { try? mirror.note(upload, of: key) }

    private func isThere(_ item: MirrorInventory.MirroredFile, _ put: Bucket.Put) {
        if put.isNew { (sum.sent, sum.bytes) = (sum.sent + 1, sum.bytes &+ item.size) }
        isThere(item.key, put.version)
    }

    func isThere(_ key: String, _ version: String?) {
        known.updateValue(version, forKey: key)
        // What is not noted is asked for again.
        try? SystemCall.write(sent, Array((key + (version.map { " " + $0 } ?? "") + "\n").utf8))
    }

    /// As which versions a snapshot has its objects.
    private static func versions(_ snapshot: MirrorSnapshot?) -> [String: String] {
        var all: [String: String] = [:]
        for object in snapshot?.objects ?? [] { all[object.key] = object.version }
        return all
    }

    // MARK: - What the ledger says of it

    /// Notes in the ledger what the mirror has of artifacts and no snapshot has named yet: what a snapshot names was noted before it was made.
    ///
    /// - Returns: whether the ledger has more now.
    private func note(_ inventory: MirrorInventory, _ last: MirrorSnapshot?) throws -> Bool {
        let before = Set(last?.objects ?? []).union(noted)
        var new: [LedgerEvent.MirroredObjects.MirroredObject] = []
        var pieces: Set<MirrorSnapshot.Piece> = []
        for item in inventory.items where !damaged.contains(item.root) {
            guard let artifact = item.artifact, let version = known[item.key] else { continue }
            let piece = MirrorSnapshot.Piece(key: item.key, size: item.size, sha256: item.sha256, version: version)
            guard !before.contains(piece), pieces.insert(piece).inserted else { continue }
            new.append(
                .init(
                    path: artifact.path, version: artifact.version, sha256: item.sha256, key: item.key,
                    objectVersion: version))
        }
        guard !new.isEmpty else { return false }
        var trouble: String?
        do throws(Errno) {
            try mirror.inStore { () throws(Errno) in
                let store: Store
                do throws(StoreError) {
                    store = try Store(at: mirror.store, readOnly: false, durability: .synced)
                } catch { return trouble = "\(error)" }
                defer { store.close() }
                try store.note(mirrored: new, in: mirror.name, at: mirror.place.url, by: getuid())
            }
        } catch { trouble = "\(error)" }
        if let trouble {
            throw Failure(
                .failed,
                "the ledger of \(mirror.store) cannot say what was sent to \(mirror.place.url): \(trouble). What was sent counts, and there is "
                    + "no new snapshot: run it again when the store can be written to")
        }
        noted.formUnion(pieces)
        sum.hasNoted = true
        return true
    }

    // MARK: - Ledgers and the snapshot

    /// Sends the ledgers and the snapshot.
    ///
    /// - Returns: false when another push had its number.
    private func finish(
        _ inventory: MirrorInventory, _ store: String, _ last: MirrorSnapshot?,
        _ absent: [MirrorSnapshot.AbsentArtifact]
    ) throws -> Bool {
        var entries = Self.without(damaged, inventory.entries)
        for place in entries.indices {
            if case .file(_, _, let key) = entries[place].content { entries[place].version = known[key] ?? nil }
        }
        for ledger in inventory.ledgers { entries.append(try entry(of: ledger, inventory, last)) }
        if let last, last.entries == entries, last.absent == absent {
            try mirror.keep(last)
            (sum.snapshot, sum.isNew) = (last, false)
            return true
        }
        let now = Clock.now()
        let snapshot = MirrorSnapshot(
            number: (last?.number ?? 0) + 1, store: store, time: TimeText.rfc3339(now), entries: entries,
            absent: absent)
        do throws(StorageFault) {
            try bucket.put(snapshot.text, as: bucket.place.prefix + snapshot.key)
        } catch {
            guard error.kind == .differs else { throw Failure(error) }
            // Another host's push: what it knows is gone by.
            guard let newest = try Self.newest(bucket) else { throw Failure(error) }
            try mirror.keep(newest)
            return false
        }
        try mirror.keep(snapshot)
        (sum.snapshot, sum.isNew) = (snapshot, true)
        return true
    }

    /// Without artifacts of which something was not sent: they are there whole, or not.
    private static func without(_ damaged: Set<[UInt8]>, _ entries: [MirrorSnapshot.Entry]) -> [MirrorSnapshot.Entry] {
        guard !damaged.isEmpty else { return entries }
        return entries.filter { entry in
            var path = entry.path
            while !path.isEmpty {
                if damaged.contains(path) { return false }
                path = MirrorSnapshot.parent(of: path)
            }
            return true
        }
    }

    /// A ledger's file: what the last snapshot has of it, and pieces more.
    private func entry(of ledger: MirrorInventory.LedgerFile, _ inventory: MirrorInventory, _ last: MirrorSnapshot?)
        throws -> MirrorSnapshot.Entry
    {
        let relative = "\(StoreLayout.privateDirectory)/ledger/\(ledger.name)"
        var pieces: [MirrorSnapshot.Piece] = []
        if let entry = last?.entries.first(where: { $0.path.elementsEqual(relative.utf8) }),
            case .pieces(let before) = entry.content
        {
            pieces = before
        }
        var begin = pieces.reduce(Int64(0)) { $0 &+ $1.size }
        let path = mirror.store + "/" + relative
        func failure(_ error: Errno) -> Failure {
            Failure(
                .failed,
                error.rawValue == ESTALE
                    ? "the ledger \(path) is not what was sent of it: 'artifactfs audit' says more. The mirror stays as it is"
                    : "cannot read the ledger \(path): \(error)")
        }
        let file: FileDescriptor
        do throws(Errno) { file = try inventory.tree.open(Array(relative.utf8), O_RDONLY) } catch {
            throw failure(error)
        }
        defer { SystemCall.close(file) }
        let mode: UInt32
        do throws(Errno) {
            // What was sent is what is here still: lines are only added.
            if let piece = pieces.last {
                guard begin <= ledger.size else { throw Errno(rawValue: ESTALE) }
                let now = try FileHash.sha256(of: file, from: begin - piece.size, count: piece.size)
                guard now == piece.sha256 else { throw Errno(rawValue: ESTALE) }
            }
            mode = try SystemCall.attributes(file).st_mode & 0o777
        } catch { throw failure(error) }
        while begin < ledger.size {
            let bytes: [UInt8]
            do throws(Errno) {
                bytes = try SystemCall.bytes(file, at: begin, count: Int(min(ledger.size - begin, Self.longestPiece)))
                guard !bytes.isEmpty else { throw Errno(rawValue: ESTALE) }
            } catch { throw failure(error) }
            pieces.append(try send(bytes, at: begin, of: ledger.name))
            begin += Int64(bytes.count)
        }
        return MirrorSnapshot.Entry(path: Array(relative.utf8), content: .pieces(pieces), mode: mode)
    }

    /// Of a ledger, in bytes: it is in memory while it is sent.
    private static let longestPiece: Int64 = 16 << 20

    private func send(_ bytes: [UInt8], at begin: Int64, of ledger: String) throws -> MirrorSnapshot.Piece {
        let digits = String(begin)
        let sha256 = try Self.digest(bytes)
        let key =
            "ledger/\(ObjectKey.encoded(ledger.utf8, room: 250))/"
            + String(repeating: "0", count: max(0, 12 - digits.count)) + digits + "-" + sha256
        var piece = MirrorSnapshot.Piece(key: key, size: Int64(bytes.count), sha256: sha256)
        if let version = known[key] {
            piece.version = version
            return piece
        }
        let put: Bucket.Put
        do throws(StorageFault) { put = try bucket.put(bytes, as: bucket.place.prefix + key) } catch {
            throw Failure(error)
        }
        if put.isNew { (sum.sent, sum.bytes) = (sum.sent + 1, sum.bytes &+ piece.size) }
        isThere(key, put.version)
        piece.version = put.version
        return piece
    }

    private static func digest(_ bytes: [UInt8]) throws -> String {
        do throws(Errno) { return try SHA256.digest(bytes) } catch {
            throw Failure(.failed, "OpenSSL has no SHA-256: \(error)")
        }
    }

    /// The newest snapshot of a mirror; nil where there is none.
    static func newest(_ bucket: Bucket) throws -> MirrorSnapshot? {
        var number: Int64 = 0
        let prefix = bucket.place.prefix
        do throws(StorageFault) {
            try bucket.forEach(withPrefix: prefix + MirrorSnapshot.keys) { key, _ in
                if let found = MirrorSnapshot.number(ofKey: key.dropFirst(prefix.count)) { number = max(number, found) }
                return true
            }
        } catch { throw Failure(error) }
        return number > 0 ? try snapshot(number, bucket) : nil
    }

    /// Says which snapshots were deleted there that are newer than one: what was in them is not in it.
    ///
    /// - Parameter number: 0 of none.
    static func deletedSnapshots(_ bucket: Bucket, after number: Int64) throws -> [String] {
        let prefix = bucket.place.prefix
        let keys: [String]
        do throws(StorageFault) { keys = try bucket.deleted(withPrefix: prefix + MirrorSnapshot.keys) ?? [] } catch {
            throw Failure(error)
        }
        return keys.filter { key in
            MirrorSnapshot.number(ofKey: key.dropFirst(prefix.count)).map { $0 > number } ?? false
        }.map {
            "\(bucket.place.shown($0)) was deleted there by somebody, and its version is there still: it is newer than what is taken; "
                + "who removes the delete marker has it again"
        }
    }

    /// A snapshot of a mirror.
    static func snapshot(_ number: Int64, _ bucket: Bucket) throws -> MirrorSnapshot {
        let key = bucket.place.prefix + MirrorSnapshot.key(number)
        let bytes: [UInt8]?
        let facts: ObjectFacts?
        do throws(StorageFault) {
            bytes = try bucket.bytes(of: key)
            facts = try bucket.facts(of: key)
        } catch { throw Failure(error) }
        guard let bytes, let facts else {
            throw Failure(
                .cannotAnswer, "\(bucket.place.shown(key)) is not there: the mirror has lost its snapshot")
        }
        if let told = facts.toldSHA256, (try? SHA256.digest(bytes)) != told {
            throw Failure(.failed, "\(bucket.place.shown(key)) is not what was sent: its SHA-256 is another")
        }
        let read = MirrorSnapshot.read(bytes)
        guard let snapshot = read.snapshot, snapshot.number == number else {
            throw Failure(.failed, "\(bucket.place.shown(key)) is no snapshot: \(read.problem)")
        }
        return snapshot
    }
}
