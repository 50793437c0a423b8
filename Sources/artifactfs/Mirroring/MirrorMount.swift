import ArtifactDriver
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import Mirrors
import ObjectStorage
import SystemCalls
import SystemPackage

/// A mirror's production on a mount of its own: a store in a cache, in which everything is evicted until somebody opens it.
struct MirrorMount {
    /// The store in the cache.
    let store: String
    /// How much of what came is kept, in bytes.
    let limit: Int64
    /// For people.
    let words: String
    private let snapshot: MirrorSnapshot

    /// What the mirror is called in that store.
    private static let name = "mirror"

    /// Makes the store of the newest snapshot, or finds it.
    ///
    /// - Parameter cache: the directory of all such stores; `~/.cache/artifactfs/mirrors` where none is named.
    init(_ url: String, endpoint: String?, profile: String?, cache: String?, limit: Int64) throws {
        let place: BucketPlace
        do throws(BucketPlace.URLFault) { place = try BucketPlace(url, endpoint: endpoint) } catch {
            throw Failure(.usage, error.text)
        }
        let directory = try Self.directory(of: place, cache)
        let bucket = try MirrorPlace(store: "", name: "", place: place, profile: profile).bucket()
        guard let newest = try MirrorPush.newest(bucket) else {
            throw Failure(.cannotAnswer, "\(place.url) has no snapshot: nothing was pushed to its end")
        }
        let store = "\(directory)/store-\(newest.number)"
        if (try? SystemCall.attributes(SystemCall.currentDirectory, store)) == nil {
            _ = try MirrorRestore(bucket, to: store, evictedTo: Self.name).run()
        }
        try MirrorPlace(store: store, name: Self.name, place: place, profile: profile).keep()
        Self.removeOthers(in: directory, but: store)
        (self.store, self.limit, snapshot) = (store, limit, newest)
        let directories = newest.entries.count { $0.isArtifact && $0.content == .directory }
        words =
            "\(place.url) (snapshot \(newest.number) of \(newest.shownTime), \(newest.artifacts - directories) artifacts, at most \(ShownText.bytes(limit)) of them in \(store)"
            + (directories == 0
                ? ")" : "; \(directories) that are directories are not shown: 'artifactfs mirror restore' brings them)")
    }

    /// Nobody else may look into it, or change it.
    private static func directory(of place: BucketPlace, _ cache: String?) throws -> String {
        let home = getenv("HOME").map { String(cString: $0) } ?? SystemCall.homeDirectory(geteuid()) ?? "/"
        let usual = getenv("XDG_CACHE_HOME").map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil }
        let top = try cache.map(Paths.absolute) ?? (usual ?? home + "/.cache") + "/artifactfs/mirrors"
        let hash: String
        do throws(Errno) {
            hash = try SHA256.digest("\(place.url) \(place.endpoint ?? "")".utf8)
            var made = ""
            for part in (top + "/" + hash.prefix(32)).split(separator: "/") {
                made += "/" + part
                do throws(Errno) {
                    try SystemCall.makeDirectory(SystemCall.currentDirectory, made, 0o700)
                } catch .fileExists {} catch {
                    guard (try? SystemCall.attributes(atPath: made))?.isDirectory == true else { throw error }
                }
            }
            let found = try SystemCall.attributes(SystemCall.currentDirectory, made)
            guard found.isDirectory, found.st_uid == geteuid(), found.st_mode & 0o022 == 0 else {
                throw Errno.notPermitted
            }
        } catch {
            throw Failure(.failed, "\(top) cannot be used as a cache: \(error); name another directory with --cache")
        }
        return top + "/" + hash.prefix(32)
    }

    /// Stores of other snapshots go, unless they are mounted.
    private static func removeOthers(in directory: String, but store: String) {
        let mounted = Set(MountEntry.artifacts().map(\.source))
        let open = try? SystemCall.open(SystemCall.currentDirectory, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        guard let open else { return }
        let parent = Directory(owning: open)
        for name in Paths.names(directory) where name.hasPrefix("store-") {
            let path = directory + "/" + name
            guard path != store, !name.hasSuffix(".restoring"), !mounted.contains(path) else { continue }
            try? DirectoryTree.remove(parent.file(name))
        }
    }

    /// What came before, and is here still.
    func present() -> [RecalledArtifact] {
        guard let schema = try? ShownArtifact.openStore(store).schema else { return [] }
        return snapshot.entries.compactMap { entry in
            guard entry.isArtifact, case .file(let size, let sha256, let key) = entry.content else { return nil }
            let real = String(decoding: entry.path, as: UTF8.self)
            guard let shown = schema.shownPath(ofReal: real),
                (try? SystemCall.attributes(SystemCall.currentDirectory, store + "/" + real))?.isRegular == true
            else { return nil }
            return RecalledArtifact(path: shown, size: size, sha256: sha256, mirror: Self.name, key: key)
        }
    }
}
