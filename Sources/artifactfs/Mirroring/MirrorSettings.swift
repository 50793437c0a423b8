import ArtifactRecords
import ObjectStorage

/// What `mirror add` was told, and what it has found: `mirror.json`.
struct MirrorSettings {
    let place: BucketPlace
    let profile: String?
    /// How long the server is to keep what is sent.
    var retention: ObjectRetention?
    /// What the bucket did with what is overwritten, when the mirror was added; nil where that was not asked.
    var protection: BucketProtection?

    init(place: BucketPlace, profile: String?) { (self.place, self.profile) = (place, profile) }

    /// What a file says; nil of what says no place, or a retention that is none: without it objects would be kept for no time.
    init?(_ bytes: [UInt8]) {
        guard let json = JSONValue(parsing: bytes), let url = json["url"]?.string,
            let place = try? BucketPlace(url, endpoint: json["endpoint"]?.string)
        else { return nil }
        self.init(place: place, profile: json["profile"]?.string)
        if let retention = json["retention"] {
            guard let read = Self.retention(retention) else { return nil }
            self.retention = read
        }
        guard let found = json["bucket"] else { return }
        let versioning = found["versioning"]?.string.flatMap { BucketProtection.Versioning(rawValue: $0) }
        var lock: BucketProtection.ObjectLock?
        if case .bool(let isOn)? = found["object_lock"] {
            lock =
                isOn ? .enabled(found["default_retention"].flatMap(Self.retention)) : BucketProtection.ObjectLock.none
        }
        protection = BucketProtection(versioning: versioning, lock: lock, unknown: found["unknown"]?.string)
    }

    private static func retention(_ json: JSONValue) -> ObjectRetention? {
        guard let mode = json["mode"]?.string.flatMap({ ObjectRetention.RetentionMode(rawValue: $0) }),
            let days = json["days"]?.integer
        else { return nil }
        return ObjectRetention(mode: mode, days: days)
    }

    private static func json(_ retention: ObjectRetention) -> JSONValue {
        .object(["mode": .string(retention.mode.rawValue), "days": .integer(retention.days)])
    }

    var json: JSONObject {
        var json: JSONObject = ["url": .string(place.url)]
        json["endpoint"] = place.endpoint.map { .string($0) }
        json["profile"] = profile.map { .string($0) }
        json["retention"] = retention.map(Self.json)
        json["bucket"] = bucketJSON.map { .object($0) }
        return json
    }

    /// What the bucket does, for programs.
    private var bucketJSON: JSONObject? {
        guard let protection else { return nil }
        var found = JSONObject()
        found["versioning"] = protection.versioning.map { .string($0.rawValue) }
        switch protection.lock {
        case BucketProtection.ObjectLock.none?: found["object_lock"] = .bool(false)
        case .enabled(let usual)?:
            found["object_lock"] = .bool(true)
            found["default_retention"] = usual.map(Self.json)
        case nil: break
        }
        found["unknown"] = protection.unknown.map { .string($0) }
        return found
    }

    /// The same for programs, as `mirror status` shows it.
    var shown: JSONObject {
        var shown = JSONObject()
        shown["retention"] = retention.map(Self.json)
        shown["bucket"] = bucketJSON.map { .object($0) }
        return shown
    }

    /// What becomes of what is overwritten or deleted there, for people.
    var words: String {
        guard let protection else { return "whether the bucket keeps versions was not asked ('mirror add' asks)" }
        let versions =
            switch protection.versioning {
            case .enabled?: "the bucket keeps versions"
            case .suspended?: "the bucket keeps no new versions (suspended)"
            case BucketProtection.Versioning.none?: "the bucket keeps no versions"
            case nil: "whether the bucket keeps versions is not known"
            }
        let lock =
            switch protection.lock {
            case .enabled(let usual)?: "with Object Lock" + (usual.map { ", \($0.words) by default" } ?? "")
            case BucketProtection.ObjectLock.none?: "without Object Lock"
            case nil: "whether with Object Lock is not known"
            }
        let mine = retention.map { "; what is sent is kept for \($0.words)" } ?? ""
        return "\(versions), \(lock)\(mine)" + (protection.unknown.map { " (\($0))" } ?? "")
    }
}
