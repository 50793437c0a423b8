internal import CLinux
public import Glibc
internal import Synchronization
public import SystemPackage

/// A directory of the store by its path in it, such as `base_layer/dev/20260215_143022/predictions`. It is found again
/// when it was removed and made anew by others. No symbolic link is followed: a path with one fails with `ELOOP`.
public final class RealDirectory: DescriptorHolder {
    /// Relative to the store; `.` is the store itself.
    public let path: String

    private let root: Directory
    private let isSynced: Bool
    /// The open directory, when it was found before.
    private struct Cached {
        var directory: Directory?
        /// Since the budget last asked.
        var wasUsed = false
        /// In the budget, while there is a directory.
        var place: Int?
    }

    /// A leaf in the order of locks: nothing is locked under it.
    private let cached = Mutex(Cached())
    private let budget: DescriptorBudget

    init(path: String, root: Directory, isSynced: Bool, budget: DescriptorBudget) {
        self.path = path
        self.root = root
        self.isSynced = isSynced
        self.budget = budget
    }

    deinit { if let place = cached.withLock({ $0.place }) { budget.remove(place) } }

    package func giveUpDescriptor() -> Bool {
        let closed = cached.withLock { cached -> Directory? in
            guard cached.place != nil, !cached.wasUsed else {
                cached.wasUsed = false
                return nil
            }
            defer { (cached.directory, cached.place) = (nil, nil) }
            return cached.directory
        }
        return closed != nil  // Whoever works with it still keeps it open.
    }

    private func known() -> Directory? {
        cached.withLock { cached in
            cached.wasUsed = true
            return cached.directory
        }
    }

    /// Keeps what was found for the next time.
    private func keep(_ found: Directory?) {
        let (place, isNew) = cached.withLock { cached -> (Int?, Bool) in
            cached.directory = found
            cached.wasUsed = true
            defer { if found == nil { cached.place = nil } }
            return (cached.place, cached.place == nil)
        }
        if found == nil {
            if let place { budget.remove(place) }
        } else if isNew, found !== root {
            let place = budget.add(self)
            let other = cached.withLock { cached -> Int? in
                // Another thread may have kept one as well, or have taken it away again.
                guard cached.place == nil, cached.directory != nil else { return place }
                cached.place = place
                return nil
            }
            if let other { budget.remove(other) }
        }
    }

    /// The directory, or nil when it does not exist. Once found it costs no system call; see ``refresh()``.
    ///
    /// - Throws: `ELOOP` or `ENOTDIR` when something else has the name, `EACCES`.
    public func current() throws(Errno) -> Directory? {
        if let known = known() { return known }
        return try reopen()
    }

    /// The directory, after an `ENOENT` through the one that ``current()`` gave: it may have been removed, and made
    /// anew.
    public func refresh() throws(Errno) -> Directory? {
        try refreshed()?.directory
    }

    /// The directory with its attributes, when it is the one that was known.
    private func refreshed() throws(Errno) -> (directory: Directory, attributes: stat?)? {
        if let known = known() {
            let attributes = try SystemCall.attributes(known.descriptor)
            if attributes.st_nlink > 0 { return (known, attributes) }
        }
        return try reopen().map { ($0, nil) }
    }

    /// The directory; it and its missing ancestors are made. Each new one takes owner, group and permission bits of its
    /// parent, so that what a mount showed before it existed is what it shows afterwards. With synced durability the
    /// names are on disk then.
    public func ensure() throws(Errno) -> Directory {
        if let known = try refresh() { return known }
        var directory = root
        for name in path.split(separator: "/") {
            directory = try Self.ensure(String(name), in: directory, isSynced: isSynced)
        }
        keep(directory)
        return directory
    }

    /// The directory may have gone elsewhere: the next use opens what its path leads to.
    package func forget() { keep(nil) }

    /// The attributes of the directory, or of the nearest ancestor that exists.
    public func nearestExistingAttributes() throws(Errno) -> stat {
        if let known = try refreshed() {
            if let attributes = known.attributes { return attributes }
            return try SystemCall.attributes(known.directory.descriptor)
        }
        var directory = root
        for name in path.split(separator: "/") {
            do throws(Errno) {
                directory = try directory.directory(String(name))
            } catch .noSuchFileOrDirectory {
                break
            }
        }
        return try SystemCall.attributes(directory.descriptor)
    }

    /// Removes the directory when it is empty; it is made again by the next ``ensure()``.
    ///
    /// - Throws: `ENOTEMPTY`, `ENOENT`.
    public func removeIfEmpty() throws(Errno) {
        let parts = path.split(separator: "/")
        guard let name = parts.last, let parent = try Self.open(parts.dropLast().joined(separator: "/"), beneath: root)
        else { throw .noSuchFileOrDirectory }
        try SystemCall.unlink(parent.descriptor, String(name), isDirectory: true)
        keep(nil)
    }

    /// Removes the directory when it is empty and has nothing of its own: ``ensure()`` would make the same again. One that somebody
    /// gave another owner, other permissions or attributes says who may make things in it, and stays.
    ///
    /// - Throws: `ENOTEMPTY`, `ENOENT`.
    func removeIfImplicit() throws(Errno) {
        let parts = path.split(separator: "/")
        guard let name = parts.last.map(String.init),
            let parent = try Self.open(parts.dropLast().joined(separator: "/"), beneath: root)
        else { return }
        let (model, found) = (
            try SystemCall.attributes(parent.descriptor), try SystemCall.attributes(parent.descriptor, name)
        )
        let attributes = (try? parent.file(name).extendedAttributes()) ?? []
        guard found.isDirectory, found.permissions == model.permissions,
            (found.st_uid, found.st_gid) == (model.st_uid, model.st_gid),
            !attributes.contains(where: { $0.hasPrefix("user.") || $0.hasPrefix("system.posix_acl_") })
        else { return }
        try SystemCall.unlink(parent.descriptor, name, isDirectory: true)
    }

    private func reopen() throws(Errno) -> Directory? {
        let found = try Self.open(path, beneath: root)
        keep(found)
        return found
    }

    /// Opens a path without following links: openat2(2), or component by component where there is no openat2
    /// (`ENOSYS`), or where a container's filter forbids it (`EPERM`).
    static func open(_ path: String, beneath root: Directory) throws(Errno) -> Directory? {
        if path == "." || path.isEmpty { return root }
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
        do throws(Errno) {
            let descriptor = try SystemCall.retry {
                clinux_openat_beneath(root.descriptor.rawValue, path, flags, 0)
            }
            return Directory(owning: FileDescriptor(rawValue: descriptor))
        } catch .noSuchFileOrDirectory {
            return nil
        } catch .noFunction, .notPermitted {
            return try openByComponents(path, beneath: root)
        }
    }

    /// The way without openat2.
    static func openByComponents(_ path: String, beneath root: Directory) throws(Errno) -> Directory? {
        var directory = root
        for name in path.split(separator: "/") {
            guard name != ".." else { throw .improperLink }
            do throws(Errno) {
                directory = try directory.directory(String(name))
            } catch .noSuchFileOrDirectory {
                return nil
            }
        }
        return directory
    }

    private static func ensure(
        _ name: String, in parent: Directory, isSynced: Bool
    ) throws(Errno) -> Directory {
        guard name != "..", name != "." else { throw .improperLink }
        do throws(Errno) {
            return try parent.directory(name)
        } catch .noSuchFileOrDirectory {
            let model = try SystemCall.attributes(parent.descriptor)
            return try make(
                name, in: parent, mode: model.permissions, owner: (model.st_uid, model.st_gid), isSynced: isSynced,
                mayExist: true)
        }
    }

    /// Makes a directory; it has its owner and its mode before anybody but root can look into it.
    ///
    /// - Throws: `EEXIST` unless it may exist.
    static func make(
        _ name: String, in parent: Directory, mode: UInt32, owner: (uid: UInt32, gid: UInt32), isSynced: Bool,
        mayExist: Bool
    ) throws(Errno) -> Directory {
        do throws(Errno) {
            try SystemCall.retry { mkdirat(parent.descriptor.rawValue, name, 0o700) }
        } catch .fileExists where mayExist {
            return try parent.directory(name)
        }
        let made = try parent.directory(name)
        let descriptor = made.descriptor.rawValue
        let actual = try SystemCall.attributes(made.descriptor)
        if (actual.st_uid, actual.st_gid) != (owner.uid, owner.gid),
            fchown(descriptor, owner.uid, owner.gid) != 0
        {
            // Without root a directory belongs to us; the parent's group is possible when we are in it.
            _ = fchown(descriptor, UInt32.max, owner.gid)
        }
        try SystemCall.retry { fchmod(descriptor, mode & 0o7777) }
        if isSynced {
            try SystemCall.sync(made.descriptor)
            try SystemCall.sync(parent.descriptor)
        }
        return made
    }
}
