import SystemCalls
import SystemPackage
import TestSupport
import Testing

/// What is known of file systems by their types.
@Suite struct FileSystemKindTests {
    @Test(
        arguments: [
            (0xef53, "ext4", .oneMachine), (0x0102_1994, "tmpfs", .oneMachine), (0x794c_7630, "overlayfs", .oneMachine),
            (0x6969, "NFS", .severalMachines), (0x0bd0_0bd0, "Lustre", .severalMachines),
            (0x1983_0326, "BeeGFS", .severalMachines), (0x4750_4653, "GPFS", .severalMachines),
            (0x00c3_6400, "Ceph", .severalMachines), (0x517b, "SMB", .severalMachines),
            (0xff53_4d42, "CIFS", .severalMachines), (0xfe53_4d42, "SMB", .severalMachines),
            (0x6573_5546, "FUSE", .severalMachines), (0x7461_636f, "OCFS2", .severalMachines),
            (0x0116_1970, "GFS2", .severalMachines), (0x5346_414f, "AFS", .severalMachines),
            (0x6b41_4653, "AFS", .severalMachines), (0x0102_1997, "9p", .severalMachines),
            (0, "a file system of type 0x0", .unknown), (0x1234, "a file system of type 0x1234", .unknown),
            (-1, "a file system of type 0x-1", .unknown),
        ] as [(Int, String, FileSystemKind.Reach)])
    func typesAreKnown(number: Int, name: String, reach: FileSystemKind.Reach) {
        #expect(FileSystemKind.name(ofNumber: number) == name)
        #expect(FileSystemKind.reach(ofNumber: number) == reach)
    }

    /// Of real files: /dev/shm is tmpfs and this machine's; of /proc nothing is listed, so it is not taken for this machine's. A test that says
    /// that a file system is not local is believed by both questions.
    @Test func filesAreAsked() throws {
        let here = try SystemCall.open(SystemCall.currentDirectory, "/dev/shm", SystemCall.pathOnly)
        defer { SystemCall.close(here) }
        #expect(FileSystemKind.name(of: here) == "tmpfs")
        #expect(FileSystemKind.isLocal(here))
        #expect(!FileSystemKind.isShared(here))
        Faults.with({ call, _ in call == .fileSystem ? .fails(.ioError) : nil }) {
            #expect(!FileSystemKind.isLocal(here))
            #expect(FileSystemKind.isShared(here))
        }
        let unlisted = try SystemCall.open(SystemCall.currentDirectory, "/proc", SystemCall.pathOnly)
        defer { SystemCall.close(unlisted) }
        #expect(!FileSystemKind.isLocal(unlisted))
        #expect(FileSystemKind.isShared(unlisted))
    }
}
