internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Where a store's catalog lies: in the store's own directory, where that is this user's and the file system is this machine's alone; else in the
/// user's cache. SQLite's write-ahead log needs memory that all its readers share (https://www.sqlite.org/wal.html).
struct CatalogPlace {
    /// The catalog's directory.
    let directory: String
    /// What is there before.
    private let base: String

    /// The file.
    var path: String { directory + "/catalog.sqlite" }
    /// Whose `flock` who brings it up to date has.
    var lock: String { directory + "/lock" }

    /// In the order in which they are tried.
    ///
    /// - Parameter store: the store's directory, every link in it resolved.
    static func all(of store: String) -> [CatalogPlace] {
        [inStore(store), inCache(store)].compactMap { $0 }
    }

    private static func inStore(_ store: String) -> CatalogPlace? {
        let own = store + "/" + StoreLayout.privateDirectory
        guard let directory = try? SystemCall.open(SystemCall.currentDirectory, own, O_RDONLY | O_DIRECTORY) else {
            return nil
        }
        defer { SystemCall.close(directory) }
        // Root makes nothing in a directory of somebody else's, who could have put a link there.
        guard FileSystemKind.isLocal(directory), (try? SystemCall.checkAccess(atPath: own, W_OK | X_OK)) != nil,
            (try? SystemCall.attributes(directory))?.st_uid == geteuid()
        else { return nil }
        return CatalogPlace(directory: own + "/catalog", base: own)
    }

    /// Makes its directory, where it is to be used.
    func make() throws(Errno) {
        var path = base
        for part in directory.dropFirst(base.count).split(separator: "/") {
            path += "/" + part
            do throws(Errno) {
                try SystemCall.makeDirectory(SystemCall.currentDirectory, path, 0o700)
            } catch { guard error == .fileExists else { throw error } }
        }
    }

    private static func inCache(_ store: String) -> CatalogPlace? {
        // What is made: the cache's directory and what is in it, but no home.
        let (base, cache): (String, String)
        if let set = getenv("XDG_CACHE_HOME").map({ String(cString: $0) }), set.hasPrefix("/") {
            (base, cache) = (set, set)
        } else if let home = getenv("HOME").map({ String(cString: $0) }), home.hasPrefix("/") {
            (base, cache) = (home, home + "/.cache")
        } else {
            return nil
        }
        guard let name = try? SHA256.digest(store.utf8) else { return nil }
        return CatalogPlace(directory: cache + "/artifactfs/" + name.prefix(32), base: base)
    }
}
