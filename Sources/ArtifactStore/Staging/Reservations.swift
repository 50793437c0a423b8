internal import Artifacts
internal import ArtifactRecords
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The names that one mount has taken for files that it is writing, so that no other mount, of this host or another, gives them to a
/// second writer: `.artifactfs/reserved/<name>` is a link to the lock file of the mount's staging directory.
///
/// A link is made at once or not at all, on every file system, and costs no inode. Whoever finds one opens it and tries its flock(2):
/// a mount that lives has it. That of a dead mount is replaced while its flock is held, so that two cannot both replace it.
final class Reservations: Sendable {
    /// Who holds a name.
    private struct Names {
        /// The number of the staged file, by the reserved name.
        var holders: [String: UInt64] = [:]
        /// The reserved name, by the number of the staged file.
        var names: [UInt64: String] = [:]
        /// The names that no link says, where there are no links: another mount may have one.
        var unlinked: Set<String> = []
        /// Names of what is published, which others may not see yet: until when they stay, in nanoseconds since the machine's start.
        var lingering: [String: UInt64] = [:]
        /// Names that were given back and could not be removed: they are removed with the next.
        var leftovers: Set<String> = []
        /// What the next names are links to, and whether there are links at all.
        var token: Token
    }

    /// A file that is flock'ed while the mount lives.
    private struct Token {
        let name: String
        /// Open, with the lock.
        let descriptor: FileDescriptor
        /// Whether this object opened it.
        let isOwned: Bool
        let inode: ino_t
    }

    private let leases: Leases
    /// What links are put in; nil where there was no room to make it.
    private let directory: Directory?
    /// The mount's staging directory.
    private let staging: Directory
    /// Guards the dictionaries. A leaf in the order of locks, but for making another token, which comes after tens of thousands of names.
    private let state: Lock<Names>
    /// Held while a dead mount's name is replaced, so that two threads do not take each other's flock for a living mount's.
    private let takingOver = Lock<Void>(())

    /// - Parameters:
    ///   - directory: `.artifactfs/reserved`.
    ///   - lock: open on the staging directory's lock file, and holding its flock; not closed by this object.
    init(in directory: Directory?, staging: Directory, lock: FileDescriptor, leases: Leases) throws(Errno) {
        self.leases = leases
        self.directory = directory
        self.staging = staging
        let token = Token(
            name: Staging.lockName, descriptor: lock, isOwned: false, inode: try SystemCall.attributes(lock).st_ino)
        state = Lock(Names(token: token))
    }

    deinit {
        state.withLock { state in if state.token.isOwned { SystemCall.closeLock(state.token.descriptor) } }
        for descriptor in usedUp.withLock({ $0 }) { SystemCall.closeLock(descriptor) }
    }

    /// Tokens that take no more links, by their descriptors, which keep their locks.
    private let usedUp = Lock<[FileDescriptor]>([])

    /// Takes a name for a staged file.
    ///
    /// - Parameters:
    ///   - path: the real file's, from the store's directory.
    ///   - number: the staged file's.
    ///   - former: a staged file of this mount that the new one replaces; it loses the name when it has it.
    /// - Throws: `EEXIST` when another file has the name, of this mount or of another that lives.
    func reserve(_ path: String, for number: UInt64, replacing former: UInt64? = nil) throws(Errno) {
        let name = EscapedName.unique(path)
        let (isHeld, token) = state.withLock { state -> (Bool?, Token) in
            let holder = state.holders[name]
            if let holder, holder != former { return (nil, state.token) }
            state.holders[name] = number
            state.names[number] = name
            state.leftovers.remove(name)
            // Its link is still there.
            if state.lingering.removeValue(forKey: name) != nil { return (true, state.token) }
            if let holder { state.names[holder] = nil }
            return (holder != nil, state.token)
        }
        guard let isHeld else { throw .fileExists }
        guard !isHeld, let directory else { return }
        do throws(Errno) {
            let isLinked = try link(token, name, in: directory)
            if !isLinked { state.withLock { _ = $0.unlinked.insert(name) } }
        } catch {
            state.withLock { state in
                state.holders[name] = nil
                state.names[number] = nil
            }
            throw error
        }
    }

    /// Gives a staged file's name, if it has one, to another staged file of this mount.
    func pass(_ number: UInt64, to other: UInt64) {
        state.withLock { state in
            guard let name = state.names.removeValue(forKey: number) else { return }
            state.holders[name] = other
            state.names[other] = name
        }
    }

    /// Gives a staged file's name back, if it has one.
    func release(_ number: UInt64) {
        let (name, isLinked, hasLeftovers) = state.withLock { state -> (String?, Bool, Bool) in
            guard let name = state.names[number] else { return (nil, false, !state.leftovers.isEmpty) }
            return (name, state.unlinked.isEmpty || state.unlinked.remove(name) == nil, !state.leftovers.isEmpty)
        }
        if hasLeftovers { removeLeftovers() }
        guard let name else { return }
        let isLeft = isLinked && !remove(name)
        state.withLock { state in
            state.holders[name] = nil
            state.names[number] = nil
            if isLeft { state.leftovers.insert(name) }
        }
    }

    /// Gives a staged file's name back after a time, in nanoseconds.
    func release(_ number: UInt64, after time: UInt64) {
        guard time > 0, directory != nil else { return release(number) }
        let end = Clock.sinceBoot() &+ time
        let isKept = state.withLock { state -> Bool in
            guard let name = state.names[number], !state.unlinked.contains(name) else { return false }
            state.names[number] = nil
            state.holders[name] = nil
            state.lingering[name] = end
            return true
        }
        if !isKept { release(number) }
    }

    /// Removes the names whose time is over.
    func removeLingering(all: Bool = false) {
        let now = Clock.sinceBoot()
        let over = state.withLock { state in
            let over = state.lingering.filter { all || $0.value <= now }.map(\.key)
            for name in over {
                state.lingering[name] = nil
                state.leftovers.insert(name)
            }
            return over
        }
        if !over.isEmpty { removeLeftovers() }
    }

    /// Removes a name's link. Nobody but this mount takes it away while the mount lives.
    ///
    /// - Returns: false when it is there still, for other mounts too.
    private func remove(_ name: String) -> Bool {
        guard let directory else { return true }
        do throws(Errno) {
            try SystemCall.unlink(directory.descriptor, name)
            return true
        } catch { return error == .noSuchFileOrDirectory }
    }

    private func removeLeftovers() {
        // As long as one is being removed nobody gets it: a link that is made meanwhile would go as well.
        let names = state.withLock { state -> Set<String> in
            defer { state.leftovers = [] }
            for name in state.leftovers { state.holders[name] = Self.nobody }
            return state.leftovers
        }
        let left = names.filter { !remove($0) }
        state.withLock { state in
            for name in names { state.holders[name] = nil }
            state.leftovers.formUnion(left)
        }
    }

    /// The number of no staged file.
    private static let nobody = UInt64.max

    /// Gives back the names of staged files that are not there any more.
    func release(unless isThere: (UInt64) -> Bool) {
        for number in state.withLock({ Array($0.names.keys) }) where !isThere(number) { release(number) }
        removeLeftovers()
    }

    /// Makes the link.
    ///
    /// - Returns: false where there can be none.
    private func link(_ token: Token, _ name: String, in directory: Directory) throws(Errno) -> Bool {
        var attempts = 0
        while true {
            do throws(Errno) {
                try SystemCall.link(staging.descriptor, token.name, directory.descriptor, name)
                return true
            } catch {
                switch error {
                case .fileExists: break
                case .tooManyLinks: return try link(try anotherToken(after: token), name, in: directory)
                // There are no links here: names are held against the mount's own writers only.
                case .notPermitted, .notSupported, .noFunction: return false
                // Nor is there anything here to hold, on a file system without room.
                case _ where DiskRoom.isForWantOfRoom(error): return false
                default: throw error
                }
            }
            attempts += 1
            guard attempts < 10, try takingOver.withLock({ _ throws(Errno) in try takeOver(directory.file(name)) })
            else {
                // A reply that was lost, and a call that was made twice: it is ours.
                guard let found = try? SystemCall.attributes(directory.descriptor, name), isOurs(found) else {
                    throw .fileExists
                }
                return true
            }
        }
    }

    /// Removes a name whose mount is dead.
    ///
    /// - Returns: whether to try again; otherwise somebody has it.
    private func takeOver(_ file: RealFile) throws(Errno) -> Bool {
        let descriptor: FileDescriptor
        do throws(Errno) {
            descriptor = try file.open(O_RDWR | O_NONBLOCK)
        } catch .noSuchFileOrDirectory {
            return true
        }
        defer { SystemCall.closeLock(descriptor) }
        do throws(Errno) {
            try leases.take(descriptor, isReserved: true)
        } catch .wouldBlock {
            return false
        }
        // Who removes a dead mount's name holds that lock, as we do now.
        let (opened, found) = (try SystemCall.attributes(descriptor), try? file.attributes())
        if let found, found.st_ino == opened.st_ino { try file.unlink() }
        return true
    }

    private func isOurs(_ found: stat) -> Bool { state.withLock { $0.token.inode == found.st_ino } }

    /// File systems limit the links of a file: ext4 to 65,000.
    private func anotherToken(after token: Token) throws(Errno) -> Token {
        try state.withLock { state throws(Errno) -> Token in
            guard state.token.inode == token.inode else { return state.token }
            let name = "\(Staging.lockName)-\(usedUp.withLock { $0.count } + 1)"
            let descriptor = try SystemCall.open(
                staging.descriptor, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
            do throws(Errno) {
                try SystemCall.lock(descriptor, waiting: false)
                let inode = try SystemCall.attributes(descriptor).st_ino
                if state.token.isOwned { usedUp.withLock { $0.append(state.token.descriptor) } }
                state.token = Token(name: name, descriptor: descriptor, isOwned: true, inode: inode)
            } catch {
                SystemCall.closeLock(descriptor)
                throw error
            }
            return state.token
        }
    }

    // MARK: - For recovery

    /// Takes a name for a dead mount, while its flock is held.
    ///
    /// - Parameter lock: the dead mount's lock file.
    /// - Returns: whether the name is the dead mount's now; otherwise another mount has it.
    static func reserve(
        _ path: String, for lock: RealFile, in directory: Directory?, _ leases: Leases
    ) throws(Errno) -> Bool {
        guard let directory else { return true }
        let name = EscapedName.unique(path)
        do throws(Errno) {
            try SystemCall.link(lock.directory.descriptor, lock.name, directory.descriptor, name)
            return true
        } catch {
            guard error == .fileExists else { return true }
            let found: stat
            do throws(Errno) { found = try SystemCall.attributes(directory.descriptor, name) } catch { return true }
            if found.st_ino == (try lock.attributes().st_ino) { return true }
            return !isHeld(directory.file(name), leases)
        }
    }

    /// Whether a mount lives that has a name.
    private static func isHeld(_ file: RealFile, _ leases: Leases) -> Bool {
        guard let descriptor = try? file.open(O_RDWR | O_NONBLOCK) else { return false }
        defer { SystemCall.closeLock(descriptor) }
        do throws(Errno) {
            try leases.take(descriptor, isReserved: true)
            return false
        } catch { return error == .wouldBlock }
    }

    /// Removes the names of mounts of which nothing else is left: they were free for who wanted them, and are nobody's.
    static func removeOrphans(in directory: Directory?, _ leases: Leases) throws(Errno) {
        guard let directory else { return }
        var found: [(name: String, inode: ino_t, links: UInt64)] = []
        var counts: [ino_t: UInt64] = [:]
        for entry in try directory.entries() {
            guard let attributes = try? SystemCall.attributes(directory.descriptor, entry.name) else { continue }
            found.append((entry.name, attributes.st_ino, UInt64(attributes.st_nlink)))
            counts[attributes.st_ino, default: 0] += 1
        }
        // A mount that can be found has its lock in staging too.
        for (name, inode, links) in found where links <= counts[inode] ?? 0 {
            let file = directory.file(name)
            guard let lock = try? file.open(O_RDWR | O_NONBLOCK) else { continue }
            defer { SystemCall.closeLock(lock) }
            guard (try? leases.take(lock, isReserved: true)) != nil, let now = try? file.attributes(),
                now.st_ino == inode
            else { continue }
            try file.unlink()
        }
    }

    /// Gives a dead mount's names back.
    ///
    /// - Parameter lock: open on a lock file of its staging directory.
    static func releaseAll(of lock: FileDescriptor, in directory: Directory?) throws(Errno) {
        let token = try SystemCall.attributes(lock)
        guard let directory, token.st_nlink > 1 else { return }
        for entry in try directory.entries() {
            guard let found = try? SystemCall.attributes(directory.descriptor, entry.name),
                found.st_ino == token.st_ino
            else { continue }
            try SystemCall.unlink(directory.descriptor, entry.name)
        }
    }
}
