import Glibc
import TestSupport
import Testing

/// `cp` asks for copy_file_range(2), and on a file system that can share blocks the copy takes neither time nor room, also when it
/// goes to production and is published.
extension MountedTests {
    @Suite(.enabled(if: XFS.canBeMounted, "needs root, mkfs.xfs and loop devices")) struct ReflinkTests {
        @Test(arguments: MountVariant.both) func aCopySharesItsBlocks(_ variant: MountVariant) throws {
            let xfs = try XFS()
            defer { withExtendedLifetime(xfs) {} }
            let store = xfs.path + "/store"
            try Mount.initialize(store: store, user: nil)
            let mount = try Mount(store: store, variant)
            let size = 32 << 20
            let outcome = try shell(
                "cd development/current/scratch && head -c \(size) /dev/urandom > large && sync -f large",
                in: mount.root)
            #expect(outcome.succeeded, "\(outcome)")
            let before = try xfs.used()
            let copies = try shell(
                """
                cp development/current/scratch/large development/current/scratch/copy &&
                (printf 'a\\n'; base64 -w 0 development/current/scratch/large; echo) > development/current/scratch/table &&
                sync -f development/current/scratch/table
                """, in: mount.root)
            #expect(copies.succeeded, "\(copies)")
            let table = try xfs.used()
            #expect(table - before < 48 << 20, "the table, 43 MiB, and nothing for the copy")
            let published = mount.production("base/splice_errors/chr1.tsv")
            #expect(try shell("cp development/current/scratch/table '\(published)'", in: mount.root).succeeded)
            #expect(eventually { mount.state(of: published) == "sealed" })
            #expect(try shell("sync -f .", in: xfs.path).succeeded)
            #expect(try xfs.used() - table < 4 << 20, "published without room of its own")
            let same = try shell(
                """
                cmp development/current/scratch/large development/current/scratch/copy &&
                cmp development/current/scratch/table '\(published)'
                """, in: mount.root)
            #expect(same.succeeded, "\(same)")
            // Sharing is nobody's business: what is written to one is not in the other.
            #expect(
                try shell("echo changed >> development/current/scratch/table", in: mount.root).succeeded)
            #expect(try shell("tail -c 8 '\(published)' | grep -c changed", in: mount.root).output == "0\n")
        }
    }
}

/// An XFS of its own, in a file.
private final class XFS {
    let path: String
    private let directory: TemporaryDirectory

    static var canBeMounted: Bool {
        getuid() == 0 && access("/dev/loop-control", R_OK | W_OK) == 0
            && (try? shell("command -v mkfs.xfs", in: "/"))?.succeeded ?? false
    }

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path + "/xfs"
        let outcome = try shell(
            "mkdir xfs && truncate -s 512M image && mkfs.xfs -q -m reflink=1 image && mount -o loop image xfs",
            in: directory.path)
        guard outcome.succeeded else { throw Mount.Failure(description: "\(outcome)") }
    }

    deinit { _ = try? shell("umount -l '\(path)'", in: "/") }

    /// In bytes.
    func used() throws -> Int {
        var found = statvfs()
        guard statvfs(path, &found) == 0 else { throw Mount.Failure(description: "statvfs: \(errno)") }
        return Int(found.f_blocks - found.f_bfree) * Int(found.f_frsize)
    }
}
