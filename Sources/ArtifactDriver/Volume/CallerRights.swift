internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Doing for a user what the user may do, and no more.
///
/// A driver of root's takes the caller's file system ids and further groups for it, in the thread that does it, and with them goes what
/// makes root exempt (capabilities(7)): the kernel decides about real files as it would have for the caller. A caller that is root is
/// root; a driver that is not root's acts as itself for everybody.
final class CallerRights: Sendable {
    /// Whether the driver acts for other users.
    let actsForOthers: Bool

    private struct Known: Sendable {
        let thread: Int32
        let user: UInt32
        let group: UInt32
        let groups: [gid_t]
        /// When they are read again, on the monotonic clock.
        let end: UInt64
    }

    /// For how long a thread's further groups are taken to stay, in nanoseconds; the kernel remembers a file's permissions as long.
    private static let trusted: UInt64 = 1_000_000_000
    private static let most = 32
    /// The last threads that asked. A leaf in the order of locks; nothing is read under it.
    private let known = Lock<[Known]>([])

    private let processes: any ProcessObserver

    init(actsForOthers: Bool, processes: any ProcessObserver) {
        self.actsForOthers = actsForOthers
        self.processes = processes
    }

    /// Runs with the caller's rights.
    ///
    /// - Throws: `EPERM` when the driver lacks the right to take them.
    func acting<Result>(for caller: Caller, _ body: () throws(Errno) -> Result) throws(Errno) -> Result {
        guard actsForOthers else { return try body() }
        if caller.user == 0 {
            guard caller.group != 0 else { return try body() }
            try? SystemCall.act(asUser: 0, group: caller.group, furtherGroups: nil)
            defer { SystemCall.actForItself(dropsGroups: false) }
            return try body()
        }
        let groups = furtherGroups(of: caller)
        try SystemCall.act(asUser: caller.user, group: caller.group, furtherGroups: groups)
        defer { SystemCall.actForItself(dropsGroups: true) }
        return try body()
    }

    /// The same, to make something with the caller's umask, which a default ACL replaces.
    func creating<Result>(for caller: Caller, _ body: () throws(Errno) -> Result) throws(Errno) -> Result {
        let own = SystemCall.setThreadUmask(caller.umask & 0o777)
        defer { _ = SystemCall.setThreadUmask(own) }
        return try acting(for: caller, body)
    }

    /// Whether the caller may do something with an open file or directory by its permissions as they are now.
    ///
    /// - Parameter mode: `R_OK`, `W_OK`, `X_OK`.
    /// - Throws: `EACCES`, `EROFS`.
    func check(_ mode: Int32, on descriptor: FileDescriptor, for caller: Caller) throws(Errno) {
        guard actsForOthers, caller.user != 0 else { return }
        try acting(for: caller) { () throws(Errno) in
            try SystemCall.checkAccess(descriptor, mode)
        }
    }

    /// Whether the caller may make something in a directory.
    func checkCreation(in directory: Directory, for caller: Caller) throws(Errno) {
        try withExtendedLifetime(directory) { () throws(Errno) in
            try check(W_OK | X_OK, on: directory.descriptor, for: caller)
        }
    }

    /// Whether the caller may take a file's name out of a directory (inode(7), the sticky bit).
    func checkRemoval(of file: stat, from directory: Directory, for caller: Caller) throws(Errno) {
        guard actsForOthers, caller.user != 0 else { return }
        try checkCreation(in: directory, for: caller)
        let found = try withExtendedLifetime(directory) { () throws(Errno) in
            try SystemCall.attributes(directory.descriptor)
        }
        guard found.st_mode & S_ISVTX == 0 || file.st_uid == caller.user || found.st_uid == caller.user else {
            throw Errno.notPermitted
        }
    }

    // MARK: - Groups

    /// All that are known of a caller.
    func groups(of caller: Caller) -> [UInt32] { [caller.group] + furtherGroups(of: caller) }

    /// None when they are not known: a thread that is gone, or in another pid namespace.
    private func furtherGroups(of caller: Caller) -> [gid_t] {
        let now = Clock.monotonic()
        let found = known.withLock { known in
            known.first {
                $0.thread == caller.process && $0.user == caller.user && $0.group == caller.group && $0.end > now
            }?.groups
        }
        if let found { return found }
        let groups = processes.groups(ofThread: caller.process) ?? []
        known.withLock { known in
            if known.count >= Self.most { known.removeFirst() }
            known.append(
                Known(
                    thread: caller.process, user: caller.user, group: caller.group, groups: groups,
                    end: now &+ Self.trusted))
        }
        return groups
    }
}
