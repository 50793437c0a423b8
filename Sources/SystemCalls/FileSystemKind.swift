internal import CLinux
package import SystemPackage

/// What is known of a file system by its type.
package enum FileSystemKind {
    /// Who can change what lies on a file system.
    package enum Reach: String, Sendable, CaseIterable {
        /// This machine only.
        case oneMachine = "one machine"
        /// Other machines too: a network's, a cluster's, and what a process shows (FUSE), which may be either.
        case severalMachines = "several machines"
        /// Its type is in no list here.
        case unknown
    }

    private struct Entry {
        let name: String
        let reach: Reach

        init(_ name: String, _ reach: Reach) { (self.name, self.reach) = (name, reach) }
    }

    /// By the `f_type` of statfs(2). The numbers are of that page and of linux/magic.h; those of file systems outside the kernel's sources
    /// (ZFS, bcachefs, GPFS, Lustre, BeeGFS, StorNext, PanFS, ACFS, IBRIX, shared folders of virtual machines) of coreutils' src/stat.c and
    /// src/fs-is-local.h.
    private static let entries: [Int: Entry] = [
        0xef53: Entry("ext4", .oneMachine), 0x5846_5342: Entry("XFS", .oneMachine),
        0x9123_683e: Entry("btrfs", .oneMachine), 0x0102_1994: Entry("tmpfs", .oneMachine),
        0x2fc1_2fc1: Entry("ZFS", .oneMachine), 0xf2f5_2010: Entry("F2FS", .oneMachine),
        0xca45_1a4e: Entry("bcachefs", .oneMachine), 0x794c_7630: Entry("overlayfs", .oneMachine),
        0x4d44: Entry("FAT", .oneMachine), 0x2011_bab0: Entry("exFAT", .oneMachine),
        0x5346_544e: Entry("NTFS", .oneMachine), 0x7366_746e: Entry("NTFS", .oneMachine),
        0x8584_58f6: Entry("ramfs", .oneMachine), 0x3153_464a: Entry("JFS", .oneMachine),
        0x5265_4973: Entry("ReiserFS", .oneMachine), 0x3434: Entry("NILFS", .oneMachine),
        0xf15f: Entry("eCryptfs", .oneMachine), 0x482b: Entry("HFS+", .oneMachine),
        0x1501_3346: Entry("UDF", .oneMachine), 0x9660: Entry("ISO 9660", .oneMachine),
        0x7371_7368: Entry("SquashFS", .oneMachine), 0xe0f5_e1e2: Entry("EROFS", .oneMachine),
        0x6969: Entry("NFS", .severalMachines), 0x0bd0_0bd0: Entry("Lustre", .severalMachines),
        0x1983_0326: Entry("BeeGFS", .severalMachines), 0x4750_4653: Entry("GPFS", .severalMachines),
        0x00c3_6400: Entry("Ceph", .severalMachines), 0x517b: Entry("SMB", .severalMachines),
        0xff53_4d42: Entry("CIFS", .severalMachines), 0xfe53_4d42: Entry("SMB", .severalMachines),
        0x6573_5546: Entry("FUSE", .severalMachines), 0x7461_636f: Entry("OCFS2", .severalMachines),
        0x0116_1970: Entry("GFS2", .severalMachines), 0x5346_414f: Entry("AFS", .severalMachines),
        0x6b41_4653: Entry("AFS", .severalMachines), 0x0102_1997: Entry("9p", .severalMachines),
        0x7375_7245: Entry("Coda", .severalMachines), 0x564c: Entry("NCP", .severalMachines),
        0x2003_0528: Entry("OrangeFS", .severalMachines), 0xaad7_aaea: Entry("PanFS", .severalMachines),
        0xbeef_dead: Entry("StorNext", .severalMachines), 0x6163_6673: Entry("ACFS", .severalMachines),
        0x0131_11a8: Entry("IBRIX", .severalMachines), 0xbacb_acbc: Entry("VMware's shared folders", .severalMachines),
        0x786f_4256: Entry("VirtualBox's shared folders", .severalMachines),
        0x7c7c_6673: Entry("Parallels' shared folders", .severalMachines),
    ]

    /// ext4, XFS, btrfs, tmpfs, ZFS, F2FS, bcachefs: written by this machine only, and tried.
    private static let local: Set<Int> = [
        0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x2fc1_2fc1, 0xf2f5_2010, 0xca45_1a4e,
    ]

    /// The `*_SUPER_MAGIC` of the file system that a file lies on (fstatfs(2)); 0 when it cannot be told.
    package static func number(of descriptor: FileDescriptor) -> Int { clinux_filesystem_type(descriptor.rawValue) }

    /// What people call a file system of a type.
    package static func name(ofNumber number: Int) -> String {
        entries[number]?.name ?? "a file system of type 0x\(String(number, radix: 16))"
    }

    /// What people call the file system that a file lies on.
    package static func name(of descriptor: FileDescriptor) -> String { name(ofNumber: number(of: descriptor)) }

    /// Who can change what lies on a file system of a type.
    package static func reach(ofNumber number: Int) -> Reach { entries[number]?.reach ?? .unknown }

    /// Whether other machines may use what a file lies on: its file system is not known to be one machine's. One of a type that is in no list
    /// is taken for shared, and one of which a test says that it is not local.
    package static func isShared(_ descriptor: FileDescriptor) -> Bool {
        isSaidNotToBeLocal(descriptor) || reach(ofNumber: number(of: descriptor)) != .oneMachine
    }

    /// Whether a file lies on a file system that is known to be this machine's alone: then the kernel tells of every change (inotify(7)), and
    /// what it says of a name holds for everybody.
    package static func isLocal(_ descriptor: FileDescriptor) -> Bool {
        !isSaidNotToBeLocal(descriptor) && local.contains(number(of: descriptor))
    }

    /// Whether a test says so.
    private static func isSaidNotToBeLocal(_ descriptor: FileDescriptor) -> Bool {
        Faults.areUsed && Faults.fault(in: .fileSystem, Faults.path(of: descriptor)) != nil
    }
}
