package import Artifacts
package import Glibc
internal import SystemCalls
internal import SystemPackage

extension Store {
    /// Whether the file systems have room to publish a staged file, as far as they say: of a quota they say nothing.
    ///
    /// - Parameters:
    ///   - target: where it goes.
    ///   - bytes: its size.
    package func seemsToHaveRoom(for bytes: Int64, in target: RealDirectory) -> Bool {
        guard let staging = writable?.staging.directory, Self.hasRoom(staging, for: 0) else { return false }
        guard let directory = try? target.nearestExisting() else { return true }
        // Where the layer is on another file system the file is copied.
        let isOther =
            (try? SystemCall.attributes(directory.descriptor).st_dev)
            != (try? SystemCall.attributes(staging.descriptor).st_dev)
        return !isOther || Self.hasRoom(directory, for: bytes)
    }

    /// Whether the store's own file system has room.
    package var seemsToHaveRoom: Bool { writable.map { Self.hasRoom($0.staging.directory, for: 0) } ?? false }

    private static func hasRoom(_ directory: Directory, for bytes: Int64) -> Bool {
        guard let found = try? SystemCall.statistics(directory.descriptor) else { return true }
        return DiskRoom(found, for: geteuid()).takes(bytes)
    }
}

extension DiskRoom {
    /// What a file system says is left for a user.
    package init(_ found: statvfs, for user: UInt32) {
        self.init(
            total: UInt64(found.f_blocks), free: UInt64(found.f_bfree), available: UInt64(found.f_bavail),
            blockSize: UInt64(found.f_frsize), files: UInt64(found.f_files), freeFiles: UInt64(found.f_ffree),
            user: user)
    }
}
