internal import Glibc
internal import SystemCalls
internal import SystemPackage

extension Store {
    /// Fewer blocks than this are no room.
    private static let fewestBlocks: UInt64 = 16

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
        guard let room = try? SystemCall.statistics(directory.descriptor) else { return true }
        // Some file systems have no number of blocks, or of files, to tell.
        if room.f_files > 0, room.f_ffree == 0 { return false }
        guard room.f_blocks > 0, room.f_frsize > 0 else { return true }
        let left = UInt64(geteuid() == 0 ? room.f_bfree : room.f_bavail)
        return left >= fewestBlocks && left - fewestBlocks >= UInt64(max(0, bytes)) / UInt64(room.f_frsize)
    }
}
