import ArtifactStore
import Artifacts
import CFuse
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactDriver
@testable import FuseKernel

/// What the kernel has forgotten and what nobody has open takes no memory.
@Suite struct MemoryTests {
    private func succeed(_ result: Int32) throws(Errno) { if result != 0 { throw Errno(rawValue: errno) } }

    private func makeTest(_ harness: Harness, _ name: String, in parent: InodeNumber) throws(Errno) -> InodeNumber {
        try harness.call { request throws(Errno) in
            try name.withEntryName { name throws(Errno) in
                try harness.volume.makeDirectory(request, parent: parent, name: name, mode: 0o755).inode
            }
        }
    }

    private func removeTest(_ harness: Harness, _ name: String, in parent: InodeNumber) throws(Errno) {
        try harness.call { request throws(Errno) in
            try name.withEntryName { name throws(Errno) in
                try harness.volume.removeDirectory(request, parent: parent, name: name)
            }
        }
    }

    @Test func aRemovedTestLeavesNothing() throws {
        let harness = try Harness()
        let volume = harness.volume
        let tests = try harness.lookup("test", in: .root)
        let before = (volume.namespace.count, harness.store.knownDirectories)
        var most = 0
        for number in 0..<50 {
            let name = "t\(number)"
            var known = [try makeTest(harness, name, in: tests)]
            for path in [["base", "splice_errors"], ["meta"], ["scratch"], ["logs"]] {
                var inode = known[0]
                for name in path {
                    inode = try harness.lookup(name, in: inode)
                    known.append(inode)
                }
            }
            most = max(most, volume.namespace.count)
            try removeTest(harness, name, in: tests)
            // In any order: the kernel keeps its own.
            for inode in number % 2 == 0 ? known.reversed() : known { volume.forget(inode, lookups: 1) }
            #expect(volume.namespace.count == before.0, "\(name)")
        }
        #expect(most > before.0 + 5)
        #expect(harness.store.knownDirectories == before.1)
    }

    /// A staged file that the kernel has forgotten is found again where it is.
    @Test func aDirectoryWithAStagedFileStays() throws {
        let harness = try Harness()
        let volume = harness.volume
        let tests = try harness.lookup("test", in: .root)
        let before = volume.namespace.count
        let test = try makeTest(harness, "kept", in: tests)
        let layer = try harness.lookup("base", in: test)
        let directory = try harness.lookup("splice_errors", in: layer)
        let created = try harness.call { request throws(Errno) in
            try "tmp1".withEntryName { name throws(Errno) in
                try volume.create(
                    request, parent: directory, name: name, mode: 0o644, flags: OpenFlags(rawValue: O_WRONLY))
            }
        }
        volume.release(inode: created.entry.inode, handle: created.opened.handle)
        for inode in [created.entry.inode, directory, layer, test] { volume.forget(inode, lookups: 1) }
        #expect(volume.namespace[directory] != nil && volume.namespace[test] != nil)
        let again = try harness.walk(["test", "kept", "base", "splice_errors"])
        #expect(again == directory)
        let file = try harness.lookup("tmp1", in: again)
        #expect(file == created.entry.inode)
        try harness.call { request throws(Errno) in
            try "tmp1".withEntryName { name throws(Errno) in
                try volume.unlink(request, parent: again, name: name)
            }
        }
        for inode in [file, again, layer, test, tests] { volume.forget(inode, lookups: 1) }
        #expect(volume.namespace.count == before)
    }

    @Test func namesKeepTheirDirectories() throws {
        let harness = try Harness()
        let namespace = harness.volume.namespace
        let before = namespace.count
        let place = try harness.walk(["test", "model", "base", "splice_errors"])
        let other = try harness.walk(["test", "model", "base", "analysis_sequences"])
        let file = namespace.findOrInsert(
            "chr1.tsv", in: place, remembering: true, make: { .artifact(ArtifactFile(id: $0, size: 1)) }
        ).number
        namespace.forget(place, lookups: 1)
        #expect(namespace.place(of: file)?.parent.id == place)
        namespace.move(file, to: "chr2.tsv", in: other)
        #expect(namespace[place] == nil, "nothing is there any more")
        #expect(namespace.place(of: file)?.parent.id == other)
        namespace.removeName(of: file)
        namespace.forget(file, lookups: 1)
        // The harness keeps `analysis_sequences` itself.
        namespace.forget(other, lookups: 1)
        #expect(namespace.count == before && namespace[other] != nil)
    }

    // MARK: - Listings

    @Test func aListingGivesBackWhatWasAdded() throws {
        var listing = Listing()
        var model: [(String, UInt64, UInt32)] = []
        for number in 0..<3000 {
            let name = String(repeating: "é", count: number % 40) + "n\(number)"
            let inode = UInt64.max / UInt64(number + 1)
            try listing.add(name, number: inode, type: number % 3 == 0 ? S_IFDIR : S_IFLNK)
            model.append((name, inode, number % 3 == 0 ? S_IFDIR : S_IFLNK))
        }
        try listing.add(UnsafeRawBufferPointer(start: nil, count: 0), number: 0, type: 0)
        let before = listing.size
        listing.compact()
        #expect(listing.size <= before && listing.count == 3001)
        for (entry, expected) in zip(listing, model) {
            #expect(entry.name == expected.0 && entry.number == expected.1 && entry.type == expected.2)
        }
        #expect(listing.last?.name == "")
    }

    private func open(_ harness: Harness, _ inode: InodeNumber) throws(Errno) -> HandleID {
        try harness.call { request throws(Errno) in try harness.volume.openDirectory(request, inode: inode).handle }
    }

    private func read(_ harness: Harness, _ inode: InodeNumber, _ handle: HandleID) throws -> HandleTable.Shown {
        var buffer = DirectoryBuffer(wantsAttributes: false, size: 1 << 16)
        try harness.call { request throws(Errno) in
            try harness.volume.readDirectory(request, inode: inode, handle: handle, offset: 0, into: &buffer)
        }
        return try #require(try harness.volume.handles.directory(handle).reading.withLock { $0 }).shown
    }

    @Test func handlesShareAListing() throws {
        let harness = try Harness()
        let real = harness.directory.path + "/store/base_layer/tests/model/scratch"
        try succeed(Glibc.mkdir(real, 0o755))
        let inode = try harness.walk(["test", "model", "scratch"])
        for number in 0..<1000 { try write("", to: "\(real)/file\(number)") }
        let handles = try (0..<4).map { _ in try open(harness, inode) }
        // A directory that changed a moment ago may change again unseen.
        weak var first: HandleTable.Shown?
        try {
            #expect(
                eventually(within: 20) {
                    guard let one = try? read(harness, inode, handles[0]),
                        let two = try? read(harness, inode, handles[1])
                    else { return false }
                    return one === two
                })
            let shown = try handles.map { try read(harness, inode, $0) }
            first = shown[0]
            #expect(shown.allSatisfy { $0 === shown[0] } && shown[0].listing.count == 1002)
            #expect(shown[0].listing.size < 60_000, "\(shown[0].listing.size) bytes for a thousand names")
            // Another name: another listing, for who begins now.
            try write("", to: real + "/more")
            let fresh = try read(harness, inode, handles[1])
            #expect(fresh !== shown[0] && fresh.listing.count == 1003)
        }()
        #expect(first != nil)
        for handle in handles { harness.volume.releaseDirectory(inode: inode, handle: handle) }
        #expect(first == nil, "it goes with the last handle")
    }

    /// What is staged is shown in no real directory.
    @Test func aStagedFileMakesAnotherListing() throws {
        let harness = try Harness()
        let parent = harness.parent(.production)
        let handles = [try open(harness, parent), try open(harness, parent)]
        #expect(
            eventually(within: 20) {
                guard let one = try? read(harness, parent, handles[0]), let two = try? read(harness, parent, handles[1])
                else { return false }
                return one === two
            })
        let created = try harness.call { request throws(Errno) in
            try "chr1.tsv".withEntryName { name throws(Errno) in
                try harness.volume.create(
                    request, parent: parent, name: name, mode: 0o644, flags: OpenFlags(rawValue: O_WRONLY))
            }
        }
        #expect(try read(harness, parent, handles[0]).listing.contains { $0.name == "chr1.tsv" })
        harness.volume.release(inode: created.entry.inode, handle: created.opened.handle)
        try harness.call { request throws(Errno) in
            try "chr1.tsv".withEntryName { name throws(Errno) in
                try harness.volume.unlink(request, parent: parent, name: name)
            }
        }
        #expect(try !read(harness, parent, handles[1]).listing.contains { $0.name == "chr1.tsv" })
    }

    // MARK: - The newest

    @Test func theNewestIsKnownWithoutLooking() throws {
        let harness = try Harness()
        let real = harness.directory.path + "/store/meta_layer/checkpoints"
        try succeed(Glibc.mkdir(real, 0o755))
        let parent = try harness.walk(["production", "meta", "meta_checkpoints"])
        guard case .tree(let directory) = try harness.volume.inode(parent) else { throw Errno.notDirectory }
        func make(_ name: String, at time: Int) throws {
            try write("x", to: "\(real)/\(name)")
            var times = [timespec(tv_sec: time, tv_nsec: 0), timespec(tv_sec: time, tv_nsec: 0)]
            try succeed(utimensat(AT_FDCWD, "\(real)/\(name)", &times, 0))
        }
        try make("one.pt", at: 1000)
        try make("two.pt", at: 2000)
        #expect(harness.volume.latestTarget(.ofAll, "latest", in: directory) == "two.pt")
        #expect(directory.newest.withLock { $0?.names[.ofAll] } == nil, "times may still be set")
        let seconds = Double(harness.store.schema.settlingSeconds)
        #expect(
            eventually(within: seconds + 20) {
                _ = harness.volume.latestTarget(.ofAll, "latest", in: directory)
                return directory.newest.withLock { $0?.names[.ofAll] } == "two.pt"
            })
        // Known: not looked at again, until a name comes or goes.
        var times = [timespec(tv_sec: 5000, tv_nsec: 0), timespec(tv_sec: 5000, tv_nsec: 0)]
        try succeed(utimensat(AT_FDCWD, real + "/one.pt", &times, 0))
        #expect(harness.volume.latestTarget(.ofAll, "latest", in: directory) == "two.pt")
        try make("three.pt", at: 3000)
        #expect(harness.volume.latestTarget(.ofAll, "latest", in: directory) == "one.pt")
        try succeed(Glibc.unlink(real + "/one.pt"))
        #expect(harness.volume.latestTarget(.ofAll, "latest", in: directory) == "three.pt")
    }
}
