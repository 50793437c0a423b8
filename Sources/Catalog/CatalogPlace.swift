internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Where a store's catalog lies: in the store's own directory, where this user can write there and the file system is this machine's alone; else in the
/// user's cache. SQLite's write-ahead log needs memory that all its readers share (https://www.sqlite.org/wal.html).
struct CatalogPlace {
    /// The catalog's directory.
    let directory: String

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
        guard FileSystemKind.isLocal(directory), (try? SystemCall.checkAccess(atPath: own, W_OK | X_OK)) != nil,
            let owner = try? SystemCall.attributes(directory)
        else { return nil }
        let name = "catalog"
        do throws(Errno) {
            try SystemCall.makeDirectory(directory, name, 0o700)
            // Root's catalog of somebody's store is that one's too. What SQLite makes beside it has the same owner then.
            try giveToOwner(directory, name, owner)
        } catch .fileExists {} catch { return nil }
        return CatalogPlace(directory: own + "/" + name)
    }

    private static func giveToOwner(_ directory: FileDescriptor, _ name: String, _ owner: stat) throws(Errno) {
        guard geteuid() == 0, owner.st_uid != 0 else { return }
        let made = try SystemCall.open(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        defer { SystemCall.close(made) }
        try SystemCall.setOwner(made, user: owner.st_uid, group: owner.st_gid)
    }

    private static func inCache(_ store: String) -> CatalogPlace? {
        let base: String
        if let cache = getenv("XDG_CACHE_HOME").map({ String(cString: $0) }), cache.hasPrefix("/") {
            base = cache
        } else if let home = getenv("HOME").map({ String(cString: $0) }), home.hasPrefix("/") {
            base = home + "/.cache"
        } else {
            return nil
        }
        guard let name = try? SHA256.digest(store.utf8) else { return nil }
        var path = ""
        for part in (base + "/artifactfs/" + name.prefix(32)).split(separator: "/") {
            path += "/" + part
            if mkdir(path, 0o700) != 0, errno != EEXIST { return nil }
        }
        return CatalogPlace(directory: path)
    }
}
