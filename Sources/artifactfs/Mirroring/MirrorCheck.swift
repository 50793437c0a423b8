import ArtifactRecords
import Mirrors
import ObjectStorage

/// Whether a mirror has what its newest snapshot needs.
struct MirrorCheck {
    /// What came of it.
    struct CheckedSum {
        var (whole, bytes) = (0, Int64(0))
        /// What is not as it should be, for people.
        var problems: [String] = []
        /// What is there, and something else is over it.
        var notes: [String] = []
        /// The keys of those.
        var keys: Set<String> = []
    }

    let bucket: Bucket

    /// - Parameter reads: whether all bytes are read; else the server is asked for sizes and checksums.
    func run(of store: String?, reads: Bool) throws -> (MirrorSnapshot, CheckedSum) {
        if let store {
            try MirrorMarker.check(bucket, is: store)
        }
        guard let snapshot = try MirrorPush.newest(bucket) else {
            if let deleted = try MirrorPush.deletedSnapshots(bucket, after: 0).last { throw Failure(.failed, deleted) }
            throw Failure(.cannotAnswer, "\(bucket.place.url) has no snapshot yet: 'artifactfs mirror push' makes one")
        }
        var sum = CheckedSum()
        sum.problems = try MirrorPush.deletedSnapshots(bucket, after: snapshot.number)
        let bar = ProgressBar(reads ? "reading the mirror" : "asking the mirror")
        defer { bar.end() }
        let objects = snapshot.objects
        for (place, object) in objects.enumerated() {
            bar.show(Int64(place), of: Int64(objects.count))
            do throws(StorageFault) {
                let found = try look(at: object, reads)
                if let problem = found.problem {
                    sum.keys.insert(object.key)
                    sum.problems.append("\(bucket.place.url)\(object.key): \(problem)")
                    continue
                }
                if let note = found.note { sum.notes.append("\(bucket.place.url)\(object.key): \(note)") }
                (sum.whole, sum.bytes) = (sum.whole + 1, sum.bytes &+ object.size)
            } catch { throw Failure(error) }
        }
        return (snapshot, sum)
    }

    /// What a restore would bring: the version that was sent, whatever is over it, else the newest.
    private func look(
        at object: MirrorSnapshot.Piece, _ reads: Bool
    ) throws(StorageFault) -> (problem: String?, note: String?) {
        let key = bucket.place.prefix + object.key
        let newest = try bucket.facts(of: key)
        if let version = object.version, newest == nil || newest?.version != version {
            var sent: ObjectFacts?
            do throws(StorageFault) { sent = try bucket.facts(of: key, version: version) } catch {
                guard [.denied, .other, .missing].contains(error.kind) else { throw error }
            }
            if let sent, try problem(of: object, key, sent, version: version, reads) == nil {
                let over =
                    newest == nil
                    ? "the object was deleted by somebody" : "somebody has put another version over it"
                return (nil, "\(over); what was sent is there, as version \(version), and a restore takes that")
            }
        }
        return (try problem(of: object, key, newest, version: nil, reads), nil)
    }

    private func problem(
        of object: MirrorSnapshot.Piece, _ key: String, _ facts: ObjectFacts?, version: String?, _ reads: Bool
    ) throws(StorageFault) -> String? {
        guard let facts else { return "it is not there" }
        guard facts.size == object.size else {
            return "it has \(facts.size) bytes, and had \(object.size) when it was sent"
        }
        let found: String?
        if reads {
            found = try bucket.sha256(of: key, version: version)
        } else {
            found = facts.sha256 ?? facts.toldSHA256
        }
        guard let found else { return "the server tells no checksum: 'artifactfs mirror verify --read' reads it" }
        return found == object.sha256 ? nil : "its SHA-256 is \(found), and was \(object.sha256) when it was sent"
    }
}
