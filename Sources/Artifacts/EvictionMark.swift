/// What has the real name of an artifact whose bytes are in a mirror and not here: the text of a symbolic link that leads nowhere, so that who comes
/// to the real directory without this software is told that nothing is there, and never reads zeros (DISK FORMAT, "Evicted artifacts").
///
/// `artifactfs-evicted:1:<size>:<modified>:<mode>:<SHA-256>:<inode>:<mirror>`
public struct EvictionMark: Hashable, Sendable {
    /// In bytes.
    public var size: Int64
    /// When it was modified, in nanoseconds since 1970.
    public var modified: Int64
    /// Its permission bits.
    public var mode: UInt32
    /// Of its bytes, in lower-case hexadecimal digits.
    public var sha256: String
    /// The inode that had the bytes here.
    public var inode: UInt64
    /// What the mirror is called that has them.
    public var mirror: String

    /// A mark.
    public init(size: Int64, modified: Int64, mode: UInt32, sha256: String, inode: UInt64, mirror: String) {
        (self.size, self.modified, self.mode) = (size, modified, mode)
        (self.sha256, self.inode, self.mirror) = (sha256, inode, mirror)
    }

    private static let format = "artifactfs-evicted:1"

    /// What the link says.
    public var text: String {
        "\(Self.format):\(size):\(modified):\(String(mode, radix: 8)):\(sha256):\(inode):\(mirror)"
    }

    /// Reads ``text``, and nothing that it would not write.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count < 400, let text = String(validating: bytes, as: UTF8.self) else { return nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 8, let size = Int64(parts[2]), size >= 0, let modified = Int64(parts[3]),
            let mode = UInt32(parts[4], radix: 8), mode & ~0o777 == 0, parts[5].utf8.count == 64,
            parts[5].utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }),
            let inode = UInt64(parts[6]), MirrorName.isName(parts[7])
        else { return nil }
        self.init(size: size, modified: modified, mode: mode, sha256: parts[5], inode: inode, mirror: parts[7])
        guard self.text.utf8.elementsEqual(bytes) else { return nil }
    }

    /// For people: where its bytes are, and what brings them back.
    public var words: String {
        "its bytes are in the mirror '\(mirror)' and not here: 'artifactfs mirror recall' brings them back"
    }
}
