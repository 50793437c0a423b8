internal import CLinux
package import SystemPackage

/// What is known of a file system by its type.
package enum FileSystemKind {
    /// ext4, XFS, btrfs, tmpfs, ZFS, F2FS, bcachefs (linux/magic.h, zfs's and bcachefs's own): written by this machine only.
    private static let local: Set<Int> = [
        0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x2fc1_2fc1, 0xf2f5_2010, 0xca45_1a4e,
    ]

    /// The `*_SUPER_MAGIC` of the file system that a file lies on (fstatfs(2)); 0 when it cannot be told.
    package static func number(of descriptor: FileDescriptor) -> Int { clinux_filesystem_type(descriptor.rawValue) }

    /// Whether a file lies on a file system that is known to be this machine's alone: then the kernel tells of every change (inotify(7)), and
    /// what it says of a name holds for everybody.
    package static func isLocal(_ descriptor: FileDescriptor) -> Bool {
        if Faults.areUsed, Faults.fault(in: .fileSystem, Faults.path(of: descriptor)) != nil { return false }
        return local.contains(number(of: descriptor))
    }
}
