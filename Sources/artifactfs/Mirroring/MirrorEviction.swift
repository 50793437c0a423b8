import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import Mirrors
import ObjectStorage
import SystemCalls
import SystemPackage

/// Artifacts whose bytes give room, and come back.
struct MirrorEviction {
    /// What came of it.
    struct EvictionSum {
        var (count, bytes) = (0, Int64(0))
        /// What was as it was to be.
        var wereSo = 0
        /// What is as it was, and why, for people.
        var problems: [String] = []
    }

    private let store: Store
    private let agent = Agent(user: geteuid(), process: getpid(), program: "artifactfs")

    init(_ path: String) throws {
        do throws(StoreError) {
            store = try Store(at: path, readOnly: false, durability: .synced)
        } catch { throw Failure(error) }
    }

    func close() { store.close() }

    /// Evicts what the mirror is proved to have.
    ///
    /// - Parameters:
    ///   - isTried: whether nothing is changed, and what would go is counted; its bytes here are not read then.
    ///   - told: called with each that went, or would.
    func evict(
        _ all: [Proving.Sealed], to mirror: MirrorPlace, isTried: Bool, told: (String, Int64) -> Void
    ) throws -> EvictionSum {
        let bucket = try mirror.bucket()
        try MirrorMarker.check(bucket, is: try MirrorPlace.identity(of: mirror.store))
        // What a restore would not find is not the mirror's, whatever lies in the bucket.
        guard let snapshot = try mirror.lastSnapshot() ?? MirrorPush.newest(bucket) else {
            throw Failure(.failed, "\(mirror.place.url) has no snapshot yet: 'artifactfs mirror push' comes first")
        }
        let key = mirror.place.prefix + snapshot.key
        let isThere: Bool
        do throws(StorageFault) { isThere = try bucket.facts(of: key) != nil } catch { throw Failure(error) }
        guard isThere else {
            throw Failure(.failed, "the mirror has lost its snapshot \(mirror.place.shown(key)): nothing is evicted")
        }
        var sent: [String: String] = [:]
        for entry in snapshot.entries {
            guard entry.isArtifact, case .file(_, let sha256, let key) = entry.content else { continue }
            sent[String(decoding: entry.path, as: UTF8.self)] = key
            if !key.hasSuffix(sha256) { sent[String(decoding: entry.path, as: UTF8.self)] = nil }
        }
        var sum = EvictionSum()
        let bar = ProgressBar("evicting")
        defer { bar.end() }
        for (place, one) in all.enumerated() {
            bar.show(Int64(place), of: Int64(all.count))
            do {
                guard let bytes = try evict(one, mirror, bucket, sent, isTried) else {
                    sum.wereSo += 1
                    continue
                }
                (sum.count, sum.bytes) = (sum.count + 1, sum.bytes &+ bytes)
                told(one.path, bytes)
            } catch let obstacle as EvictionObstacle {
                sum.problems.append("\(one.title): \(obstacle.words)")
            }
        }
        return sum
    }

    /// - Returns: nil of what is evicted already.
    private func evict(
        _ one: Proving.Sealed, _ mirror: MirrorPlace, _ bucket: Bucket, _ sent: [String: String], _ isTried: Bool
    ) throws -> Int64? {
        guard one.version == nil else { throw EvictionObstacle.refused("of former versions nothing is evicted") }
        guard let sha256 = one.sha256 else { throw EvictionObstacle.refused("its record has no hash") }
        let real = store.schema.realPath(ofShown: one.path)
        let found = try attributes(of: real)
        if found.isSymbolicLink, try mark(of: one.path) != nil { return nil }
        if found.isDirectory { throw EvictionObstacle.refused("it is a directory; of those nothing is evicted") }
        if let destination = Promotion.Destination(path: one.path, in: store.schema, isDirectory: false),
            Catalog.hasMetrics(destination.record)
        {
            throw EvictionObstacle.refused("it is of metrics, which the catalog reads: those stay")
        }
        let key = MirrorInventory.key(ofReal: real, sha256: sha256)
        guard sent[real] == key else {
            throw EvictionObstacle.refused(
                "the last snapshot of '\(mirror.name)' does not have it: 'artifactfs mirror push \(mirror.name)' comes first"
            )
        }
        let size = Int64(found.st_size)
        let facts: ObjectFacts?
        do throws(StorageFault) { facts = try bucket.proof(of: key, size: size, sha256: sha256) } catch {
            throw Failure(error)
        }
        guard let facts else {
            throw EvictionObstacle.refused(
                "the mirror does not have it as it was sealed: 'artifactfs mirror verify \(mirror.name)' says more")
        }
        if isTried { return size }
        return try store.evict(
            EvictionRequest(
                path: one.path, sha256: sha256, mirror: mirror.name, key: key, objectVersion: facts.version,
                agent: agent))
    }

    private func attributes(of real: String) throws -> stat {
        do throws(Errno) {
            return try SystemCall.attributes(SystemCall.currentDirectory, store.path + "/" + real)
        } catch {
            throw EvictionObstacle.refused(
                error == .noSuchFileOrDirectory ? "it is not there" : "it cannot be looked at: \(error)")
        }
    }

    private func mark(of path: String) throws -> EvictionMark? {
        do throws(Errno) { return try store.evictionMark(of: path) } catch {
            throw EvictionObstacle.refused("it cannot be looked at: \(error)")
        }
    }

    // MARK: - Back

    /// Brings artifacts back.
    func recall(_ all: [Proving.Sealed], told: (String, Int64) -> Void) throws -> EvictionSum {
        var sum = EvictionSum()
        var buckets: [String: Bucket] = [:]
        let bar = ProgressBar("bringing back")
        defer { bar.end() }
        for (place, one) in all.enumerated() where one.version == nil {
            bar.show(Int64(place), of: Int64(all.count))
            do {
                guard let mark = try mark(of: one.path) else {
                    sum.wereSo += 1
                    continue
                }
                let bucket: Bucket
                if let known = buckets[mark.mirror] {
                    bucket = known
                } else {
                    bucket = try MirrorPlace.find(mark.mirror, of: store.path).bucket()
                    buckets[mark.mirror] = bucket
                }
                guard let bytes = try recall(one.path, bucket, mark) else {
                    sum.wereSo += 1
                    continue
                }
                (sum.count, sum.bytes) = (sum.count + 1, sum.bytes &+ bytes)
                told(one.path, bytes)
            } catch let obstacle as EvictionObstacle {
                sum.problems.append("\(one.path): \(obstacle.words)")
            } catch let failure as Failure where failure.status == .failed {
                sum.problems.append("\(one.path): \(failure.text)")
            }
        }
        return sum
    }

    private func recall(_ path: String, _ bucket: Bucket, _ mark: EvictionMark) throws -> Int64? {
        let real = store.schema.realPath(ofShown: path)
        // What is lost here the mirror's snapshot has.
        func attributes() -> [String: [UInt8]]? {
            let snapshot =
                (try? MirrorPlace.find(mark.mirror, of: store.path).lastSnapshot()) ?? (try? MirrorPush.newest(bucket))
            return snapshot?.entries.first { $0.path.elementsEqual(real.utf8) }?.attributes
        }
        guard let recall = try store.beginRecall(of: path, attributes: attributes) else { return nil }
        defer { SystemCall.closeLock(recall.descriptor) }
        do {
            let key = MirrorInventory.key(ofReal: recall.real, sha256: recall.mark.sha256)
            try MirrorFetch(bucket: bucket, key: key, mark: recall.mark, store: store.path).run(to: recall.descriptor)
            try store.finish(recall, key: key, by: agent)
        } catch {
            store.abandon(recall)
            throw error
        }
        return recall.mark.size
    }
}

/// An evicted artifact's bytes on their way back.
struct MirrorFetch {
    let bucket: Bucket
    /// Without the prefix.
    let key: String
    let mark: EvictionMark
    /// The store that wants them.
    let store: String

    /// Brings them into an empty file, and to disk. What differs is not used by who asked.
    func run(to file: FileDescriptor) throws {
        do throws(Errno) {
            // Whether there is room is known before anything comes.
            if mark.size > 0 { try SystemCall.allocate(file, mode: 1, offset: 0, length: mark.size) }
        } catch {
            guard [.notSupported, .noFunction].contains(error) else {
                throw EvictionObstacle.system(doing: "brought back: \(mark.size) bytes have no room here", error)
            }
        }
        try bring(to: file)
        do throws(Errno) { try SystemCall.sync(file) } catch {
            throw EvictionObstacle.system(doing: "brought to disk", error)
        }
    }

    private func bring(to file: FileDescriptor) throws {
        let place = bucket.place.prefix + key
        var found: String?
        var fault: StorageFault?
        do throws(StorageFault) { found = try bucket.get(place, to: file, size: mark.size) } catch { fault = error }
        if found == mark.sha256 { return }
        if fault == nil || fault?.kind == .missing || fault?.kind == .differs, let version = sentVersion {
            // Somebody has put another over it, or deleted it, and the bucket keeps what was sent.
            do throws(Errno) { try SystemCall.truncate(file, to: 0) } catch {
                throw EvictionObstacle.system(doing: "brought back", error)
            }
            do throws(StorageFault) {
                if try bucket.get(place, to: file, size: mark.size, version: version) == mark.sha256 { return }
            } catch { fault = fault ?? error }
        }
        if let fault { throw Failure(fault) }
        throw EvictionObstacle.refused(
            "what the mirror has is not what was sealed: the SHA-256 of \(bucket.place.url)\(key) is \(found ?? "?"), and was \(mark.sha256); it is not used"
        )
    }

    /// As which version it was sent, by the last snapshot that this store has of the mirror.
    private var sentVersion: String? {
        let snapshot = try? MirrorPlace.find(mark.mirror, of: store).lastSnapshot()
        return snapshot?.objects.first { $0.key == key }?.version
    }
}
