import ArtifactStore
import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// What is listed: a place of one store, or all stores below a directory.
struct ListedStores {
    /// A store's name among several, nil of one alone, and where it is listed.
    private(set) var places: [(shown: String?, argument: String)] = []
    /// How many places could not be looked into for more of them, which is told.
    private(set) var problems = 0

    /// - Parameter root: all stores below it, as a mount of it would show them.
    init(_ place: String, root: String?) throws {
        guard root == nil else {
            let (all, problems) = try AskedStores.below(root: root ?? "")
            self.problems = problems
            places = all.map { ($0.shown, $0.store ?? "") }
            return
        }
        let full = try StorePlace.full(place)
        guard let mount = MountEntry.holding(full), mount.isRoot else {
            places = [(nil, place)]
            return
        }
        let below = try StoresBelow(on: mount, full)
        problems = below.problems.count
        let inUse = Self.inUse(mount)
        places = below.stores.map { one in
            // What is being written is seen on the mount; a store that nobody has gone into is not opened for it, where its directory is this user's
            // to read.
            let isRead = !inUse.contains(one.store) && Self.isReadable(one.store)
            return (one.shown, isRead ? one.store : mount.mountPoint + "/" + one.shown)
        }
    }

    /// The stores that a mount has open, as far as this user may know.
    private static func inUse(_ mount: MountEntry) -> Set<String> {
        guard let status = try? MountStatus.whole(of: mount), case .array(let all)? = status.value["stores"] else {
            return []
        }
        return Set(all.filter { $0["state"]?.string == "open" }.compactMap { $0["store"]?.string })
    }

    private static func isReadable(_ store: String) -> Bool {
        do throws(Errno) {
            for name in [StoreLayout.privateDirectory] + Layer.allCases.map(\.directoryName) {
                do throws(Errno) {
                    try SystemCall.checkAccess(atPath: store + "/" + name, R_OK | X_OK)
                } catch .noSuchFileOrDirectory {}
            }
            return true
        } catch { return false }
    }
}
