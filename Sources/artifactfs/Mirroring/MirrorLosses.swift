import Artifacts
import Mirrors
import ObjectStorage
import SystemCalls

extension MirrorPush {
    /// Sees that the mirror has what is evicted: this store has no bytes to send. What it lacks is told, and is in no snapshot.
    func seeEvicted(_ inventory: MirrorInventory) throws {
        for (item, mirror) in inventory.evicted where known[item.key] == nil {
            do throws(StorageFault) {
                if let facts = try bucket.proof(of: item.key, size: item.size, sha256: item.sha256) {
                    isThere(item.key, facts.version)
                    continue
                }
            } catch { throw Failure(error) }
            damaged.insert(item.root)
            sum.problems.append(
                mirror == self.mirror.name
                    ? "\(item.title): THE MIRROR HAS LOST IT, and it is evicted here: no bytes of it are left that are known; bring \(bucket.place.url)\(item.key) back from the bucket's versions or another copy"
                    : "\(item.title): it is evicted, its bytes are in the mirror '\(mirror)' only: 'artifactfs mirror recall' brings them back"
            )
        }
    }
}

extension Bucket {
    /// Whether an object has the size and the SHA-256 that it should have: the server's own sum, else all bytes are read.
    ///
    /// - Parameter key: without the prefix.
    func has(_ key: String, size: Int64, sha256: String) throws(StorageFault) -> Bool {
        try proof(of: key, size: size, sha256: sha256) != nil
    }

    /// The facts of an object that has them; nil where it is not there, or is another.
    func proof(of key: String, size: Int64, sha256: String) throws(StorageFault) -> ObjectFacts? {
        let key = place.prefix + key
        guard let facts = try facts(of: key), facts.size == size else { return nil }
        // What was sent along with it is what this program said then: only what the server has summed up itself is its word.
        let found: String
        if let told = facts.sha256 { found = told } else { found = try self.sha256(of: key) }
        return found == sha256 ? facts : nil
    }
}

/// What a mirror has lost that this store has evicted.
struct MirrorLosses {
    /// For people.
    let words: [String]

    /// - Parameter keys: of the objects that are missing, or are others.
    init(of mirror: MirrorPlace, _ snapshot: MirrorSnapshot, _ keys: Set<String>) throws {
        guard !keys.isEmpty else {
            words = []
            return
        }
        let tree = try StoreRoot(mirror.store)
        words = snapshot.entries.compactMap { entry in
            guard case .file(_, _, let key) = entry.content, keys.contains(key),
                let target = try? tree.target(entry.path), EvictionMark(target) != nil
            else { return nil }
            return
                "\(String(decoding: entry.path, as: UTF8.self)): IT IS EVICTED HERE, so that no bytes of it are left that are known: "
                + "bring \(mirror.place.url)\(key) back from the bucket's versions or another copy"
        }
    }
}
