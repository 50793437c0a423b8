import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import Mirrors
import ObjectStorage
import SystemCalls
import SystemPackage

/// The names of a snapshot's artifacts, made without their bytes: as if all of them were evicted.
struct MirrorNames {
    private let bucket: Bucket
    /// The store's directory, as it is made.
    private let top: String
    private let mirror: String
    /// Directories that are artifacts: what is in them is left out.
    private var leftOut: Set<[UInt8]> = []

    init(_ bucket: Bucket, in top: String, _ mirror: String) {
        (self.bucket, self.top, self.mirror) = (bucket, top, mirror)
    }

    /// Makes a name, or leaves out what has none.
    ///
    /// - Returns: whether nothing of it is to come.
    mutating func takes(_ entry: MirrorSnapshot.Entry) throws -> Bool {
        switch entry.content {
        case .directory:
            guard
                entry.isArtifact || Self.isVersion(entry.path)
                    || leftOut.contains(MirrorSnapshot.parent(of: entry.path))
            else { return false }
            leftOut.insert(entry.path)
            return true
        case .pieces: return false
        case .file(let size, let sha256, let key):
            if leftOut.contains(MirrorSnapshot.parent(of: entry.path)) || Self.isVersion(entry.path) { return true }
            let real = String(decoding: entry.path, as: UTF8.self)
            // What could not be found again by its name comes now.
            guard entry.isArtifact, real.utf8.elementsEqual(entry.path),
                key == MirrorInventory.key(ofReal: real, sha256: sha256)
            else { return false }
            do throws(Errno) { try make(entry, size, sha256, real) } catch {
                throw Failure(.failed, "\(top)/\(real) cannot be made: \(error)")
            }
            return true
        }
    }

    /// Whether a directory was left out.
    func leavesOut(_ entry: MirrorSnapshot.Entry, of snapshot: MirrorSnapshot) -> Bool {
        (try? SystemCall.attributes(
            SystemCall.currentDirectory, top + "/" + String(decoding: entry.path, as: UTF8.self)))
            == nil
    }

    /// A former version's bytes: `.artifactfs/versions/<name>/<number>`, and what is in it.
    private static func isVersion(_ path: [UInt8]) -> Bool {
        let parts = path.split(separator: UInt8(ascii: "/"))
        return parts.count >= 4 && parts[0].elementsEqual(StoreLayout.privateDirectory.utf8)
            && parts[1].elementsEqual("versions".utf8) && parts[3].allSatisfy { (0x30...0x39).contains($0) }
    }

    private func make(
        _ entry: MirrorSnapshot.Entry, _ size: Int64, _ sha256: String, _ real: String
    ) throws(Errno) {
        let mark = EvictionMark(
            size: size, modified: entry.modified ?? 0, mode: entry.mode & 0o555, sha256: sha256, inode: 0,
            mirror: mirror)
        let place = top + "/" + EvictionMark.place(ofReal: real)
        for part in ["", "/evicted", "/evicting"] {
            do throws(Errno) {
                try SystemCall.makeDirectory(
                    SystemCall.currentDirectory, top + "/" + StoreLayout.privateDirectory + part, 0o700)
            } catch .fileExists {}
        }
        try? SystemCall.unlink(SystemCall.currentDirectory, place)
        let file = try SystemCall.open(
            SystemCall.currentDirectory, place, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
        defer { SystemCall.close(file) }
        for (name, value) in entry.attributes {
            do throws(Errno) { try SystemCall.setExtendedAttribute(name, value, of: file) } catch .notSupported {}
        }
        try SystemCall.setMode(file, mark.mode | 0o200)
        let link = top + "/" + real
        try? SystemCall.unlink(SystemCall.currentDirectory, link)
        try SystemCall.makeSymbolicLink(SystemCall.currentDirectory, link, to: mark.text)
    }
}
