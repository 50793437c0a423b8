import ArtifactRecords
import ObjectStorage

/// Whether a mirror has what its newest snapshot needs.
struct MirrorCheck {
    /// What came of it.
    struct CheckedSum {
        var (whole, bytes) = (0, Int64(0))
        /// What is not as it should be, for people.
        var problems: [String] = []
    }

    let bucket: Bucket

    /// - Parameter reads: whether all bytes are read; else the server is asked for sizes and checksums.
    func run(of store: String?, reads: Bool) throws -> (MirrorSnapshot, CheckedSum) {
        if let store {
            try MirrorMarker.check(bucket, is: store)
        }
        guard let snapshot = try MirrorPush.newest(bucket) else {
            throw Failure(.cannotAnswer, "\(bucket.place.url) has no snapshot yet: 'artifactfs mirror push' makes one")
        }
        var sum = CheckedSum()
        let bar = ProgressBar(reads ? "reading the mirror" : "asking the mirror")
        defer { bar.end() }
        let objects = snapshot.objects
        for (place, object) in objects.enumerated() {
            bar.show(Int64(place), of: Int64(objects.count))
            do throws(StorageFault) {
                if let problem = try problem(of: object, reads) {
                    sum.problems.append("\(bucket.place.url)\(object.key): \(problem)")
                } else {
                    (sum.whole, sum.bytes) = (sum.whole + 1, sum.bytes &+ object.size)
                }
            } catch { throw Failure(error) }
        }
        return (snapshot, sum)
    }

    private func problem(of object: MirrorSnapshot.Piece, _ reads: Bool) throws(StorageFault) -> String? {
        let key = bucket.place.prefix + object.key
        guard let facts = try bucket.facts(of: key) else { return "it is not there" }
        guard facts.size == object.size else {
            return "it has \(facts.size) bytes, and had \(object.size) when it was sent"
        }
        let found: String?
        if reads { found = try bucket.sha256(of: key) } else { found = facts.sha256 ?? facts.toldSHA256 }
        guard let found else { return "the server tells no checksum: 'artifactfs mirror verify --read' reads it" }
        return found == object.sha256 ? nil : "its SHA-256 is \(found), and was \(object.sha256) when it was sent"
    }
}
