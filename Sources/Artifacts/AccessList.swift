/// A POSIX access control list in the form that Linux keeps in `system.posix_acl_access` and `system.posix_acl_default` (acl(5);
/// linux/posix_acl_xattr.h: version 2, then for each entry tag, permissions and id, little-endian).
public struct AccessList: Hashable, Sendable {
    /// Whom an entry is about.
    public enum Tag: UInt16, Sendable {
        case owner = 0x01
        case user = 0x02
        case owningGroup = 0x04
        case group = 0x08
        case mask = 0x10
        case others = 0x20
    }

    /// One entry.
    public struct Entry: Hashable, Sendable {
        /// Whom it is about.
        public let tag: Tag
        /// `rwx` as 4, 2 and 1.
        public var permissions: UInt16
        /// The user's or group's id; all bits set where the tag says it all.
        public let id: UInt32

        /// An entry.
        public init(_ tag: Tag, _ permissions: UInt16, id: UInt32 = .max) {
            self.tag = tag
            self.permissions = permissions
            self.id = id
        }
    }

    /// The extended attribute that has a file's list.
    public static let accessAttribute = "system.posix_acl_access"
    /// The extended attribute that has what a directory gives to what is made in it.
    public static let defaultAttribute = "system.posix_acl_default"

    /// The entries, in the order of the attribute.
    public private(set) var entries: [Entry]

    /// A list of these entries.
    public init(_ entries: [Entry]) { self.entries = entries }

    /// Reads an attribute's value.
    ///
    /// - Returns: nil when it is not one of version 2 with whole entries of known tags.
    public init?(attribute bytes: [UInt8]) {
        guard bytes.count >= 4, (bytes.count - 4) % 8 == 0, Array(bytes[..<4]) == [2, 0, 0, 0] else { return nil }
        entries = []
        for start in stride(from: 4, to: bytes.count, by: 8) {
            func number(_ range: Range<Int>) -> UInt32 {
                bytes[range].reversed().reduce(0) { $0 << 8 | UInt32($1) }
            }
            guard let tag = Tag(rawValue: UInt16(truncatingIfNeeded: number(start..<(start + 2)))) else { return nil }
            let permissions = UInt16(truncatingIfNeeded: number((start + 2)..<(start + 4)))
            guard permissions <= 7 else { return nil }
            entries.append(Entry(tag, permissions, id: number((start + 4)..<(start + 8))))
        }
    }

    /// The attribute's value.
    public var attribute: [UInt8] {
        var bytes: [UInt8] = [2, 0, 0, 0]
        for entry in entries {
            for part in [entry.tag.rawValue, entry.permissions] {
                bytes += [UInt8(truncatingIfNeeded: part), UInt8(truncatingIfNeeded: part >> 8)]
            }
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: entry.id >> (8 * $0)) }
        }
        return bytes
    }

    /// Whether it says what permission bits say, and no more: cp(1) sets modes so.
    public var isMode: Bool { entries.allSatisfy { [.owner, .owningGroup, .others].contains($0.tag) } }

    /// The same, without the right to write for anybody: a sealed artifact's.
    public var withoutWriting: AccessList {
        var list = self
        for index in entries.indices { list.entries[index].permissions &= ~2 }
        return list
    }

    /// What a new plain file gets in a directory whose default list this is; the umask does not count then (acl(5), "Object creation and
    /// default ACLs"; fs/posix_acl.c, `posix_acl_create_masq`).
    ///
    /// - Parameter mode: what the program asked for, without its umask applied.
    /// - Returns: the permission bits, and the file's list; nil for a list that says no more than the bits.
    public func inherited(mode: UInt32) -> (mode: UInt32, list: AccessList?) {
        var list = self
        var bits = mode & 0o777
        var saysMore = false
        // The mask stands for the group's bits where there is one.
        let groupTag: Tag = entries.contains { $0.tag == .mask } ? .mask : .owningGroup
        for index in entries.indices {
            let tag = entries[index].tag
            let shift: UInt32
            switch tag {
            case .owner: shift = 6
            case .others: shift = 0
            case groupTag: shift = 3
            case .user, .group, .mask, .owningGroup:
                if tag != .owningGroup { saysMore = true }
                continue
            }
            if tag == .mask { saysMore = true }
            let permissions = UInt32(entries[index].permissions) & bits >> shift & 7
            list.entries[index].permissions = UInt16(permissions)
            bits = bits & ~(7 << shift) | permissions << shift
        }
        return (bits, saysMore ? list : nil)
    }
}
