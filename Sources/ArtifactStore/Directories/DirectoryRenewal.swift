internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// How a directory that is kept open is opened again by its path, when the file system's server knows the open one no more (`ESTALE`): it
/// was made anew elsewhere.
///
/// Another one takes its place only if it lets in whom the old one did: the kernel checked permissions with that one's attributes. Else the
/// error is reported, upon which the kernel asks for all anew.
final class DirectoryRenewal: DescriptorRenewal {
    private struct Standing: Equatable {
        var permissions: UInt32
        var user: UInt32
        var group: UInt32
        var hasAccessList: Bool
        /// Seconds and nanoseconds of the last change, by which a new list is seen.
        var changed: [Int] = []
    }

    /// It holds this, by its descriptor's number.
    private weak let directory: Directory?
    private let root: Directory
    private let path: String
    /// A leaf in the order of locks.
    private let standing: Lock<Standing?>

    private init(_ directory: Directory, beneath root: Directory, _ path: String) {
        (self.directory, self.root, self.path) = (directory, root, path)
        standing = Lock(Self.standing(of: directory))
    }

    /// In a shared store: the directory can be renewed from now on.
    @discardableResult
    static func begin(_ directory: Directory, beneath root: Directory, _ path: String) -> DirectoryRenewal? {
        guard root.bound.isShared, directory !== root else { return nil }
        let renewal = DirectoryRenewal(directory, beneath: root, path)
        StaleDescriptors.add(directory.descriptor, renewal)
        return renewal
    }

    /// The kernel was told of the directory as it is now.
    func wasTold(_ attributes: stat) {
        guard let directory else { return }
        let changed = [attributes.st_ctim.tv_sec, attributes.st_ctim.tv_nsec]
        if standing.withLock({ $0?.changed == changed }) { return }
        let now = Self.standing(of: directory)
        standing.withLock { $0 = now }
    }

    func renew() -> Bool {
        guard let directory, let found = try? RealDirectory.open(path, beneath: root),
            let now = Self.standing(of: found), let before = standing.withLock({ $0 }),
            (now.permissions, now.user, now.group) == (before.permissions, before.user, before.group),
            !now.hasAccessList, !before.hasAccessList
        else { return false }
        return withExtendedLifetime((directory, found)) {
            guard (try? SystemCall.replace(directory.descriptor, with: found.descriptor)) != nil else { return false }
            standing.withLock { $0 = now }
            return true
        }
    }

    private static func standing(of directory: Directory) -> Standing? {
        guard let found = try? SystemCall.attributes(directory.descriptor) else { return nil }
        return Standing(
            permissions: found.permissions, user: found.st_uid, group: found.st_gid,
            hasAccessList: RealDirectory.hasAccessList(directory),
            changed: [found.st_ctim.tv_sec, found.st_ctim.tv_nsec])
    }
}
