import ArtifactRecords
import Mirrors
import ObjectStorage

/// The object by which a prefix is one store's: it is made once, and never changed.
enum MirrorMarker {
    private static let name = "artifactfs-mirror.json"

    /// Which store a prefix is the mirror of; nil where nothing says it.
    static func store(at bucket: Bucket) throws -> String? {
        let bytes: [UInt8]?
        do throws(StorageFault) { bytes = try bucket.bytes(of: bucket.place.prefix + name, limit: 1 << 16) } catch {
            throw Failure(error)
        }
        guard let bytes else { return nil }
        guard let json = JSONValue(parsing: bytes), let store = json["store"]?.string,
            json["format"]?.integer == MirrorSnapshot.format
        else {
            throw Failure(
                .cannotAnswer,
                "\(bucket.place.url)\(name) is not of a mirror that this version knows; use another prefix")
        }
        return store
    }

    /// Takes a prefix for a store, or sees that it is the store's.
    static func take(_ bucket: Bucket, for store: String) throws {
        if let found = try self.store(at: bucket) { return try check(found, store, bucket) }
        let json: JSONObject = ["format": .integer(MirrorSnapshot.format), "store": .string(store)]
        do throws(StorageFault) {
            try bucket.put(Array("\(JSONValue.object(json))\n".utf8), as: bucket.place.prefix + name)
        } catch {
            // Somebody else was quicker.
            if error.kind == .differs, let found = try self.store(at: bucket) { return try check(found, store, bucket) }
            throw Failure(error)
        }
    }

    /// Sees that a prefix is a store's.
    static func check(_ bucket: Bucket, is store: String) throws {
        guard let found = try self.store(at: bucket) else {
            throw Failure(
                .cannotAnswer,
                "\(bucket.place.url) is no mirror any more: \(name) is not there. Nothing was sent; 'artifactfs mirror add' takes the prefix anew"
            )
        }
        try check(found, store, bucket)
    }

    private static func check(_ found: String, _ store: String, _ bucket: Bucket) throws {
        guard found != store else { return }
        throw Failure(
            .failed,
            "\(bucket.place.url) is the mirror of another store (\(found)), and this one is \(store): two stores do not share a prefix; "
                + "use another one. Nothing was sent")
    }
}
