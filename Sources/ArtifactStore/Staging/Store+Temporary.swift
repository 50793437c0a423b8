internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// A temporary file that a mount left which has ended.
public struct LeftTemporary: Sendable, Hashable {
    /// On the mount.
    public let path: String
    /// In bytes; 0 of a directory.
    public let bytes: Int64
    /// When it was changed last, in seconds since 1970.
    public let changed: Int64
}

extension Store {
    /// The temporary files that mounts left which have ended, and that did not change for so long: ``recoverAgain(keepingSeconds:)`` removes them.
    public func temporaryFiles(keepingSeconds: Int) throws(Errno) -> [LeftTemporary] {
        let own = try root.directory(StoreLayout.privateDirectory)
        // No mount begins meanwhile, and none looks whether another one lives.
        let lock = try own.file(StoreFormat.lockName).open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.closeLock(lock) }
        try SystemCall.lock(lock, waiting: true, isShared: true)
        let stagings = try own.directory(StoreFormat.staging)
        var found: [LeftTemporary] = []
        for entry in try stagings.entries() where entry.isDirectory && entry.name != staging?.mountID {
            guard let directory = try? stagings.directory(entry.name), !isHeld(directory) else { continue }
            for entry in try directory.entries() {
                guard let staged = Staging.understand(entry.name), staged.kind == .transient,
                    let attributes = try? directory.file(entry.name).attributes(),
                    Recovery.isOld(attributes, keepingSeconds: keepingSeconds)
                else { continue }
                found.append(
                    LeftTemporary(
                        path: staged.path, bytes: attributes.isDirectory ? 0 : Int64(attributes.st_size),
                        changed: Int64(attributes.st_ctim.tv_sec)))
            }
        }
        return found.sorted { ($0.changed, $0.path) < ($1.changed, $1.path) }
    }

    /// The mounts that have ended without closing the store and have left something, by their names. One of another host counts as living until a mount
    /// has seen that its lease is over.
    package func endedMounts() throws(Errno) -> [String] {
        let stagings = try root.directory(StoreLayout.privateDirectory).directory(StoreFormat.staging)
        return try stagings.entries().filter { entry in
            guard entry.isDirectory, let directory = try? stagings.directory(entry.name),
                let entries = try? directory.entries()
            else { return false }
            return entries.contains { !Staging.isLock($0.name) } && !isHeld(directory)
        }.map(\.name).sorted()
    }

    /// Whether the mount lives whose staging directory it is.
    private func isHeld(_ staging: Directory) -> Bool {
        do throws(Errno) {
            let lock = try staging.file(Staging.lockName).open(O_RDONLY | O_NONBLOCK)
            defer { SystemCall.closeLock(lock) }
            try leases.take(lock, isShared: true)
            return false
        } catch { return error != .noSuchFileOrDirectory }
    }
}
