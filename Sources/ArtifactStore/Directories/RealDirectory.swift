public import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// A directory of the store by its path in it, such as `base_layer/dev/20260215_143022/predictions`. It is found again
/// when it was removed and made anew by others. No symbolic link is followed: a path with one fails with `ELOOP`.
///
/// The kernel checks permissions with the attributes that it was told (``tell()``), and whoever may rename in the directory above can
/// put another one in its place at any time. So what is done for a request is done in the directory that was told of, or in one that
/// lets in whom that one did, or fails with `ESTALE`: the kernel then asks anew. (Not always: what a *lookup* of the last name answers
/// before something is made goes to the program as it is; fs/namei.c, `filename_create`.)
public final class RealDirectory: DescriptorHolder {
    /// Relative to the store; `.` is the store itself.
    public let path: String

    /// What the kernel was told that the path leads to.
    private enum Told: Equatable {
        case nothing
        /// Nothing was there: the attributes of an ancestor.
        case missing
        case directory(FileIdentity)
    }

    private let root: Directory
    private let isSynced: Bool
    /// The open directory, when it was found before.
    private struct Cached {
        var directory: Directory?
        var told = Told.nothing
        /// Since the budget last asked.
        var wasUsed = false
        /// In the budget, while there is a directory.
        var place: Int?
        /// In a shared store: how the directory is opened again.
        var renewal: DirectoryRenewal?
        /// In a shared store: when the path was followed last, on the monotonic clock.
        var followed: UInt64 = 0
    }

    /// A leaf in the order of locks: nothing is locked under it.
    private let cached = Lock(Cached())
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
            defer { (cached.directory, cached.place, cached.renewal) = (nil, nil, nil) }
            return cached.directory
        }
        return closed != nil  // Whoever works with it still keeps it open.
    }

    private func known() -> (directory: Directory?, told: Told) {
        cached.withLock { cached in
            cached.wasUsed = true
            return (cached.directory, cached.told)
        }
    }

    /// Keeps what was found for the next time.
    private func keep(_ found: Directory?, told: Told? = nil) {
        let renewal = found.flatMap { DirectoryRenewal.begin($0, beneath: root, path) }
        let now = root.bound.isShared ? Clock.monotonic() : 0
        let (place, isNew) = cached.withLock { cached -> (Int?, Bool) in
            (cached.directory, cached.renewal, cached.followed) = (found, renewal, now)
            if let told { cached.told = told }
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

    /// The directory that was told of, or nil when there is none. Once found it costs no system call; it may have gone elsewhere since:
    /// see ``verified()``.
    ///
    /// - Throws: `ESTALE` when the path leads to another one, `ELOOP` or `ENOTDIR` when something else has the name, `EACCES`.
    ///
    /// In a shared store the path is followed again when it was followed longer ago than may be trusted.
    public func current() throws(Errno) -> Directory? {
        if root.bound.isShared, isDue { return try verified() }
        return try find()?.directory
    }

    /// Whether the path was followed longer ago than may be trusted.
    private var isDue: Bool {
        let followed = cached.withLock { $0.followed }
        let now = Clock.monotonic()
        return now >= followed && now - followed >= root.bound.nanoseconds
    }

    /// The directory, and what was told of then: other threads may look for it, be told, and give it up at any moment.
    private func find() throws(Errno) -> (directory: Directory, told: Told)? {
        let (known, told) = known()
        if let known { return (known, told) }
        guard let found = try Self.open(path, beneath: root) else { return nil }
        let identity = Told.directory(try SystemCall.look(found.descriptor).identity)
        switch told {
        case .nothing, identity: break
        case .missing: guard try isAsItsParent(found) else { throw .staleNFSFileHandle }
        case .directory: throw .staleNFSFileHandle
        }
        keep(found, told: identity)
        return (found, identity)
    }

    /// Whether a directory that was made meanwhile lets in whom the one above it does, as one that was made by ``ensure(asTold:)``: the
    /// kernel was told of that one's attributes.
    private func isAsItsParent(_ directory: Directory) throws(Errno) -> Bool {
        let names = path.split(separator: "/")
        guard let parent = try Self.open(names.dropLast().joined(separator: "/"), beneath: root) else { return false }
        return try Self.letInTheSame(parent, directory)
    }

    /// Whether two directories have the same owner, group and permissions, and no more than these.
    private static func letInTheSame(_ one: Directory, _ other: Directory) throws(Errno) -> Bool {
        let (first, second) = (
            try SystemCall.attributes(one.descriptor), try SystemCall.attributes(other.descriptor)
        )
        return withExtendedLifetime((one, other)) {
            first.permissions == second.permissions
                && (first.st_uid, first.st_gid) == (second.st_uid, second.st_gid)
                && !hasAccessList(one) && !hasAccessList(other)
        }
    }

    static func hasAccessList(_ directory: Directory) -> Bool {
        let names = try? directory.file(".").extendedAttributes()
        return names?.contains { $0.hasPrefix("system.posix_acl_access") } ?? true
    }

    /// The directory that was told of, when its path leads to it at this moment, or the one that has taken its place, by another mount
    /// for example, and lets in the same; nil when there is none.
    ///
    /// - Throws: as ``current()``.
    public func verified() throws(Errno) -> Directory? {
        guard let (found, told) = try find() else { return nil }
        if try leads(to: found, told: told) { return found }
        guard let successor = try Self.open(path, beneath: root) else {
            // Made again, it is as the one above.
            guard try Self.letInTheSame(nearestAncestor(), found) else { throw .staleNFSFileHandle }
            keep(nil, told: .missing)
            return nil
        }
        guard try Self.letInTheSame(successor, found) else { throw .staleNFSFileHandle }
        keep(successor, told: .directory(try SystemCall.look(successor.descriptor).identity))
        return successor
    }

    /// What the path leads to at this moment, whatever was told; nil when there is nothing. Not for requests whose permissions the kernel
    /// has checked.
    public func refresh() throws(Errno) -> Directory? {
        let (known, told) = known()
        if let known, try leads(to: known, told: told) { return known }
        let found = try Self.open(path, beneath: root)
        if told == .nothing, let found {
            keep(found, told: .directory(try SystemCall.look(found.descriptor).identity))
        }
        return found
    }

    /// Whether the path leads to the open directory that was told of. A link on the way would be followed, and could only lead to the same
    /// one.
    private func leads(to directory: Directory, told: Told) throws(Errno) -> Bool {
        if directory === root { return true }
        if root.bound.isShared, isDue {
            Self.askAgain(path, beneath: root)
            let now = Clock.monotonic()
            cached.withLock { $0.followed = now }
        }
        do throws(Errno) {
            return told == .directory(try SystemCall.look(root.descriptor, path).identity)
        } catch .noSuchFileOrDirectory, .notDirectory { return false }
    }

    /// In a shared store: asks the server for all that is on the way.
    private static func askAgain(_ path: String, beneath root: Directory) {
        root.refresh()
        for index in path.utf8.indices where path.utf8[index] == UInt8(ascii: "/") {
            guard (try? SystemCall.askAgain(root.descriptor, String(path[..<index]))) != nil else { return }
        }
    }

    /// The directory; it and its missing ancestors are made. Each new one takes owner, group and permission bits of its
    /// parent, so that what a mount showed before it existed is what it shows afterwards. With synced durability the
    /// names are on disk then.
    ///
    /// - Parameter asTold: whether it is for a request whose permissions the kernel has checked.
    /// - Throws: `ESTALE` when another one was told of.
    public func ensure(asTold: Bool = false) throws(Errno) -> Directory {
        if let known = try asTold ? verified() : refresh() { return known }
        if asTold, case .directory = known().told {
            // Another thread has made it meanwhile; else what was told of is gone.
            guard let made = try verified() else { throw .staleNFSFileHandle }
            return made
        }
        var directory = root
        for name in path.split(separator: "/") {
            directory = try Self.ensure(String(name), in: directory, isSynced: isSynced)
        }
        keep(directory, told: .directory(try SystemCall.look(directory.descriptor).identity))
        return directory
    }

    /// The file system that it was on when it was last told of.
    package var device: UInt64? {
        if case .directory(let identity) = known().told { identity.device } else { nil }
    }

    /// The directory may have gone elsewhere: the next use opens what its path leads to.
    package func forget() { keep(nil, told: .nothing) }

    /// The attributes of the directory, or of the nearest ancestor that exists, for the kernel: from now on this is the directory that
    /// was told of.
    public func tell() throws(Errno) -> stat {
        let (known, told) = known()
        if let known {
            if known === root { return try SystemCall.attributes(known.descriptor) }
            let found = try? SystemCall.look(root.descriptor, path)
            if let found, told == .directory(found.identity) {
                if root.bound.isShared { cached.withLock { $0.renewal }?.wasTold(found.attributes) }
                return found.attributes
            }
        }
        if let opened = try Self.open(path, beneath: root) {
            let found = try SystemCall.look(opened.descriptor)
            keep(opened, told: .directory(found.identity))
            return found.attributes
        }
        keep(nil, told: .missing)
        let ancestor = try nearestAncestor()
        return try withExtendedLifetime(ancestor) { () throws(Errno) in try SystemCall.attributes(ancestor.descriptor) }
    }

    /// The directory, or the nearest ancestor that exists: what decides who may make something here.
    public func nearestExisting() throws(Errno) -> Directory {
        if let known = try verified() { return known }
        return try nearestAncestor()
    }

    private func nearestAncestor() throws(Errno) -> Directory {
        var directory = root
        for name in path.split(separator: "/") {
            do throws(Errno) {
                directory = try directory.directory(String(name))
                Self.awaitMaking()
            } catch .noSuchFileOrDirectory {
                break
            }
        }
        return directory
    }

    /// Removes the directory when it is empty; it is made again by the next ``ensure()``.
    ///
    /// - Throws: `ENOTEMPTY`, `ENOENT`.
    public func removeIfEmpty() throws(Errno) {
        let parts = path.split(separator: "/")
        guard let name = parts.last, let parent = try Self.open(parts.dropLast().joined(separator: "/"), beneath: root)
        else { throw .noSuchFileOrDirectory }
        try SystemCall.unlink(parent.descriptor, String(name), isDirectory: true)
        keep(nil, told: .missing)
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
        // What was told of it is so of the one above, and of the next one.
        keep(nil, told: .missing)
    }

    /// Opens a path without following links: openat2(2), or component by component where there is no openat2
    /// (`ENOSYS`), or where a container's filter forbids it (`EPERM`).
    static func open(_ path: String, beneath root: Directory) throws(Errno) -> Directory? {
        if let found = try openKnown(path, beneath: root) { return found }
        guard root.bound.isShared else { return nil }
        // It may be there by now, and this machine remember that it was not.
        askAgain(path, beneath: root)
        return try openKnown(path, beneath: root)
    }

    private static func openKnown(_ path: String, beneath root: Directory) throws(Errno) -> Directory? {
        if path == "." || path.isEmpty { return root }
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
        do throws(Errno) {
            let found = Directory(owning: try SystemCall.openBeneath(root.descriptor, path, flags), root.bound)
            awaitMaking()
            return found
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
        awaitMaking()
        return directory
    }

    /// Held while a directory is made: it has its owner and its mode some calls after its name. A leaf in the order of locks.
    private static let making = Lock<Void>(())

    /// What was found by its name may be in the making, by another thread of this process: when this returns it is as it is to be.
    private static func awaitMaking() { making.withLock { _ in } }

    private static func ensure(
        _ name: String, in parent: Directory, isSynced: Bool
    ) throws(Errno) -> Directory {
        guard name != "..", name != "." else { throw .improperLink }
        do throws(Errno) {
            let found = try parent.directory(name)
            awaitMaking()
            return found
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
        let made: Directory
        do throws(Errno) {
            made = try making.withLock { _ throws(Errno) in
                try make(name, in: parent, mode: mode, owner: owner)
            }
        } catch .fileExists where mayExist {
            return try parent.directory(name)
        }
        if isSynced {
            try SystemCall.sync(made.descriptor)
            try SystemCall.sync(parent.descriptor)
        }
        return made
    }

    private static func make(
        _ name: String, in parent: Directory, mode: UInt32, owner: (uid: UInt32, gid: UInt32)
    ) throws(Errno) -> Directory {
        try SystemCall.makeDirectory(parent.descriptor, name, 0o700)
        let made = try parent.directory(name)
        let actual = try SystemCall.attributes(made.descriptor)
        if (actual.st_uid, actual.st_gid) != (owner.uid, owner.gid) {
            do throws(Errno) {
                try SystemCall.setOwner(made.descriptor, user: owner.uid, group: owner.gid)
            } catch {
                // Without root a directory belongs to us; the parent's group is possible when we are in it.
                try? SystemCall.setOwner(made.descriptor, user: nil, group: owner.gid)
            }
        }
        try SystemCall.setMode(made.descriptor, mode)
        return made
    }
}
