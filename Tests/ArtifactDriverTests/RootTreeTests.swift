import Artifacts
import FuseKernel
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactDriver
@testable import ArtifactStore

/// Several stores on one mount, driven by calls instead of a kernel.
@Suite struct RootTreeTests {
    final class Played: Sendable {
        let directory: TemporaryDirectory
        let tree: RootTree
        let opened = Lock<[String]>([])
        let caller = Caller(user: geteuid(), group: getegid(), process: getpid(), umask: 0o022)

        init(_ stores: [String]) throws {
            let directory = try TemporaryDirectory()
            self.directory = directory
            for store in stores { try Self.make(store, in: directory) }
            final class Box: Sendable { let note = Lock<(@Sendable (String) -> Void)?>(nil) }
            let box = Box()
            tree = try RootTree(path: directory.path, mountPoint: "/nowhere", isReadOnly: false, version: "test") {
                opening in
                box.note.withLock { $0 }?(opening.mountPoint)
                let store = try Store(
                    at: opening.store, readOnly: false, durability: .relaxed, checkCommand: [], hardens: false,
                    descriptors: opening.descriptors)
                return try Volume(
                    store: store, options: VolumeOptions(mountPoint: opening.mountPoint, version: "test"))
            }
            box.note.withLock { note in
                note = { [weak self] in
                    let path = $0
                    self?.opened.withLock { $0.append(path) }
                }
            }
        }

        static func make(_ store: String, in directory: TemporaryDirectory) throws {
            #expect(try run(["mkdir", "-p", directory.path + "/" + store]).succeeded)
            rmdir(directory.path + "/" + store)
            try Store.create(at: directory.path + "/" + store)
        }

        deinit { tree.stop() }

        /// A request that the kernel would have wait is made again.
        func call<Result>(_ body: (borrowing Request) throws(Errno) -> Result) throws(Errno) -> Result {
            while true {
                do throws(Errno) { return try body(Request(caller: caller)) } catch {
                    guard error == .resourceTemporarilyUnavailable else { throw error }
                    sched_yield()
                }
            }
        }

        func entry(_ path: String) throws(Errno) -> Entry {
            var found: Entry?
            for name in path.split(separator: "/").map(String.init) {
                found = try name.withEntryName { name throws(Errno) in
                    let parent = found?.inode ?? .root
                    return try call { request throws(Errno) in
                        try tree.lookup(request, parent: parent, name: name)
                    }
                }
            }
            guard let found else { throw Errno.invalidArgument }
            return found
        }

        func names(_ path: String) throws(Errno) -> [String] {
            let inode = path.isEmpty ? InodeNumber.root : try entry(path).inode
            let opened = try call { request throws(Errno) in try tree.openDirectory(request, inode: inode) }
            defer { tree.releaseDirectory(inode: inode, handle: opened.handle) }
            return tree.state.withLock { $0.listings[opened.handle.rawValue]?.compactMap(\.name) ?? [] }
                .filter { $0 != "." && $0 != ".." }
        }
    }

    private func error(_ body: () throws(Errno) -> Void) -> Errno? {
        do throws(Errno) {
            try body()
            return nil
        } catch { return error }
    }

    /// Looking at names opens nothing; going into a store opens it, and no other.
    @Test func storesAreOpenedWhenSomebodyGoesInto() throws {
        let played = try Played(["a/one_eval", "a/two_eval", "three"])
        #expect(mkdir(played.directory.path + "/raw", 0o755) == 0)
        try write("x", to: played.directory.path + "/file")
        #expect(symlink("a", played.directory.path + "/link") == 0)
        #expect(mkdir(played.directory.path + "/.hidden", 0o755) == 0)
        #expect(try played.names("") == ["a", "raw", "three"])
        #expect(try played.names("a") == ["one", "two"])
        let one = try played.entry("a/one")
        _ = try played.call { request throws(Errno) in
            try played.tree.attributes(request, inode: one.inode, handle: nil)
        }
        #expect(error { () throws(Errno) in _ = try played.entry("a/one_eval") } == .noSuchFileOrDirectory)
        #expect(error { () throws(Errno) in _ = try played.entry("link") } == .noSuchFileOrDirectory)
        #expect(error { () throws(Errno) in _ = try played.entry(".hidden") } == .noSuchFileOrDirectory)
        #expect(played.opened.withLock { $0 } == [])
        _ = try played.entry("a/one/production/base")
        #expect(played.opened.withLock { $0 } == ["/nowhere/a/one"])
        #expect(played.tree.volumes.count == 1)
        let same = try played.entry("a/one")
        #expect(same.inode == one.inode && same.attributes.st_ino == one.attributes.st_ino)
    }

    /// What cannot be done between two stores, and above them.
    @Test func storesAreApart() throws {
        let played = try Played(["a/one_eval", "a/two_eval"])
        let tree = played.tree
        let (one, two) = try (
            played.entry("a/one/production/base/splice_errors"), played.entry("a/two/production/base/splice_errors")
        )
        #expect(one.inode != two.inode && one.attributes.st_ino != two.attributes.st_ino)
        let made = try "chr1.tsv".withEntryName { name throws(Errno) in
            try played.call { request throws(Errno) in
                try tree.create(
                    request, parent: one.inode, name: name, mode: 0o644,
                    flags: OpenFlags(rawValue: O_WRONLY | O_CREAT))
            }
        }
        defer { tree.release(inode: made.entry.inode, handle: made.opened.handle) }
        let above = try played.entry("a").inode
        try "chr1.tsv".withEntryName { name throws(Errno) in
            for (target, expected) in [(two.inode, Errno.improperLink), (above, Errno.readOnlyFileSystem.asRefusal)] {
                #expect(
                    error { () throws(Errno) in
                        try played.call { request throws(Errno) in
                            try tree.rename(
                                request, parent: one.inode, name: name, newParent: target, newName: name, flags: [])
                        }
                    } == expected)
                #expect(
                    error { () throws(Errno) in
                        _ = try played.call { request throws(Errno) in
                            try tree.link(request, inode: made.entry.inode, newParent: target, newName: name)
                        }
                    } == expected)
            }
            #expect(
                error { () throws(Errno) in
                    _ = try played.call { request throws(Errno) in
                        try tree.makeDirectory(request, parent: above, name: name, mode: 0o755)
                    }
                } == .readOnlyFileSystem.asRefusal)
            #expect(
                error { () throws(Errno) in _ = try played.entry("a/two/production/base/splice_errors/chr1.tsv") }
                    == .noSuchFileOrDirectory)
        }
        let copy = RangeCopy(
            source: (made.entry.inode, made.opened.handle, 0), destination: (two.inode, made.opened.handle, 0),
            length: 1)
        #expect(
            error { () throws(Errno) in
                _ = try played.call { request throws(Errno) in try tree.copyRange(request, copy) }
            } == .improperLink)
    }

    /// A store that cannot be opened keeps nobody from the others, and is tried again.
    @Test func aBrokenStoreIsAlone() throws {
        let played = try Played(["bad_eval", "good_eval"])
        let schema = played.directory.path + "/bad_eval/.artifactfs/schema.yaml"
        try write("version: {\n", to: schema)
        #expect(try played.names("") == ["bad", "good"])
        for _ in 0..<2 {
            #expect(error { () throws(Errno) in _ = try played.names("bad") } == .ioError.asRefusal)
            #expect(error { () throws(Errno) in _ = try played.entry("bad/production") } == .ioError.asRefusal)
        }
        #expect(played.opened.withLock { $0 } == ["/nowhere/bad"], "not for every request anew")
        _ = try played.entry("good/production")
        let status = String(decoding: played.tree.statusContent(for: played.caller), as: UTF8.self)
        #expect(status.contains("the schema has a fault: \(schema)"), "\(status)")
        let other = Caller(user: geteuid() &+ 4711, group: 1, process: getpid(), umask: 0)
        let told = String(decoding: played.tree.statusContent(for: other), as: UTF8.self)
        #expect(!told.contains("bad") && told.contains("\"failed\":1"), "\(told)")
    }

    /// New stores appear, and another one in the place of a known one is another.
    @Test func storesComeAndGo() throws {
        let played = try Played(["a/one_eval"])
        _ = try played.entry("a/one/production")
        let before = try played.entry("a/one")
        try Played.make("b/c/d/deep_eval", in: played.directory)
        #expect(try played.names("b/c/d") == ["deep"])
        _ = try played.entry("b/c/d/deep/test")
        let place = played.directory.path + "/a/one_eval"
        #expect(rename(place, played.directory.path + "/moved_eval") == 0)
        #expect(error { () throws(Errno) in _ = try played.entry("a/one") } == .noSuchFileOrDirectory)
        try Played.make("a/one_eval", in: played.directory)
        let after = try played.entry("a/one")
        #expect(after.inode != before.inode)
        _ = try played.entry("a/one/production")
        #expect(played.tree.volumes.count == 3)
        try Played.make("1/2/3/4/5_eval", in: played.directory)
        #expect(mkdir(played.directory.path + "/1/2/3/4/plain", 0o755) == 0)
        #expect(try played.names("1/2/3/4") == ["5"], "no store can be below")
    }

    /// Which mounts below the root are looked into.
    @Test(arguments: [
        ("36 29 8:1 / /data/ens rw - ext4 /dev/sda1 rw", false),
        ("36 29 0:50 / /data/ens rw shared:1 master:2 - nfs4 host:/x rw", false),
        ("36 29 0:50 / /data/ens rw - fuse.mfs mfsmaster rw,user_id=0,group_id=0", false),
        ("36 29 0:50 / /data/ens rw - fuse.sshfs host: rw,user_id=1000,group_id=1000", true),
        ("36 29 0:50 / /data/ens rw - fuse.artifactfs /data/s rw,user_id=0,group_id=0", true),
        ("36 29 0:50 / /data/ens rw - fuse.artifactfs-root /data rw,user_id=0,group_id=0", true),
        ("36 29 0:50 / /data/ens rw - fuse.x y rw", true), ("36 29", true), ("36 29 -", true),
    ]) func mountsBelow(line: String, isSomebodys: Bool) {
        #expect(RootTree.isSomebodys(line[...]) == isSomebodys)
    }
}
