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

    private static let names: [Int: String] = [
        0xef53: "ext4", 0x5846_5342: "XFS", 0x9123_683e: "btrfs", 0x0102_1994: "tmpfs", 0x2fc1_2fc1: "ZFS",
        0xf2f5_2010: "F2FS", 0xca45_1a4e: "bcachefs", 0x794c_7630: "overlayfs", 0x6969: "NFS", 0x6573_5546: "FUSE",
        0xff53_4d42: "CIFS", 0xfe53_4d42: "SMB", 0x0102_1997: "9p", 0x00c3_6400: "Ceph", 0x0bd0_0bd0: "Lustre",
        0x4750_4653: "GPFS", 0x4d44: "FAT", 0x2011_bab0: "exFAT",
    ]

    /// What people call the file system that a file lies on.
    package static func name(of descriptor: FileDescriptor) -> String {
        let number = number(of: descriptor)
        return names[number] ?? "a file system of type 0x\(String(number, radix: 16))"
    }

    /// Whether a file lies on a file system that is known to be this machine's alone: then the kernel tells of every change (inotify(7)), and
    /// what it says of a name holds for everybody.
    package static func isLocal(_ descriptor: FileDescriptor) -> Bool {
        if Faults.areUsed, Faults.fault(in: .fileSystem, Faults.path(of: descriptor)) != nil { return false }
        return local.contains(number(of: descriptor))
    }
}
