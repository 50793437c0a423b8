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

/// What the kernel is told, and for how long it may trust that, in a store that other hosts change.
@Suite struct SharedVolumeTests {
    private static let tree = ["production", "base", "analysis_sequences"]
    private let table = "a\tb\n1\t2\n"

    private func entry(
        _ path: [String], in volume: Volume, for caller: Caller
    ) throws(Errno) -> Entry {
        var inode = InodeNumber.root
        var entry: Entry?
        for name in path {
            let found = try name.withEntryName { name throws(Errno) in
                try volume.lookup(Request(caller: caller), parent: inode, name: name)
            }
            (inode, entry) = (found.inode, found)
        }
        guard let entry else { throw Errno.invalidArgument }
        return entry
    }

    /// Never longer than half of the schema's time, whatever the kind of name; what is not there is no entry, which the kernel asks for each
    /// time.
    @Test(arguments: [0, 1, 5, 3600], [false, true]) func theKernelTrustsForHalfOfTheTime(
        _ seconds: Int, readOnly: Bool
    ) throws {
        let harness = try Harness(hosts: .several, cacheTime: seconds)
        let store = harness.store.path
        try write(table, to: store + "/base_layer/analysis_sequences_chr1.tsv")
        let session = harness.volume.currentSession?.description ?? ""
        let scratch = store + "/base_layer/dev/\(session)/scratch"
        #expect(mkdir(store + "/base_layer/dev", 0o755) == 0 || errno == EEXIST)
        #expect(mkdir(store + "/base_layer/dev/\(session)", 0o755) == 0 || errno == EEXIST)
        #expect(mkdir(scratch, 0o755) == 0)
        try write("x", to: scratch + "/x")
        try write(table, to: store + "/base_layer/dev/\(session)/analysis_sequences_chr1.tsv")
        let volume = readOnly ? try harness.readOnlyVolume() : harness.volume
        defer { if readOnly { volume.stop() } }
        let most = Double(seconds) / 2
        for path in [
            Self.tree + ["chr1.tsv"], ["development", session], ["development", session, "scratch", "x"],
            ["development", session, "base", "analysis_sequences", "chr1.tsv"], ["test", "model"],
        ] {
            // The second time a directory would be watched.
            for _ in 0..<2 {
                let entry = try entry(path, in: volume, for: harness.caller)
                #expect(entry.entryTimeout <= most && entry.attributesTimeout <= most, "\(path) \(entry)")
                let reply = try volume.attributes(Request(caller: harness.caller), inode: entry.inode, handle: nil)
                #expect(reply.timeout <= most, "\(path)")
            }
        }
        for path in [["production"], Self.tree] {
            let entry = try entry(path, in: volume, for: harness.caller)
            #expect(entry.attributesTimeout <= most, "its name can never go, its attributes are others' to change")
            let opened = try volume.openDirectory(Request(caller: harness.caller), inode: entry.inode)
            #expect(!opened.traits.contains(.cacheDirectory))
            volume.releaseDirectory(inode: entry.inode, handle: opened.handle)
        }
        #expect(throws: Errno.noSuchFileOrDirectory) {
            try self.entry(Self.tree + ["chr2.tsv"], in: volume, for: harness.caller)
        }
    }

    /// As ever where nobody else changes the store.
    @Test func nobodyElseChangesIt() throws {
        let harness = try Harness(hosts: .one, cacheTime: 0)
        try write(table, to: harness.store.path + "/base_layer/analysis_sequences_chr1.tsv")
        let entry = try entry(Self.tree + ["chr1.tsv"], in: harness.volume, for: harness.caller)
        #expect((entry.entryTimeout, entry.attributesTimeout) == (Timeout.sealed, Timeout.sealed))
    }

    /// A listing is another's only in the same span of time, whatever the directory's clock says.
    @Test func aListingIsTrustedForASpan() throws {
        var old = stat()
        (old.st_ctim.tv_sec, old.st_mtim.tv_sec) = (1, 1)
        #expect(ListingState(old, staged: 0, trusted: .max) == ListingState(old, staged: 0, trusted: .max))
        #expect(ListingState(old, staged: 0, trusted: 0) == nil, "nothing is trusted")
        let first = ListingState(old, staged: 0, trusted: 1)
        #expect(first != nil && first != ListingState(old, staged: 0, trusted: 1), "a nanosecond is over")
        // Of a directory that was changed by a host whose clock is ahead.
        old.st_ctim.tv_sec = Clock.now().tv_sec + 86_400
        let span: UInt64 = 1 << 62
        #expect(ListingState(old, staged: 0, trusted: span) == ListingState(old, staged: 0, trusted: span))
        #expect(ListingState(old, staged: 0, trusted: .max) == nil)
    }

    /// A directory that another host has made anew is listed, though the open one is gone at the server.
    @Test func aListingOutlivesAStaleDirectory() throws {
        let harness = try Harness(hosts: .several, cacheTime: 3600)
        let real = harness.store.path + "/meta_layer/predictions"
        #expect(mkdir(real, 0o755) == 0)
        try write(table, to: real + "/meta_predictions_chr1.tsv")
        let directory = try harness.walk(["production", "meta", "meta_predictions"])
        #expect(try harness.list(directory) == ["chr1.tsv"])
        #expect(rename(real, harness.directory.path + "/away") == 0)
        #expect(mkdir(real, 0o755) == 0)
        try write(table, to: real + "/meta_predictions_chr2.tsv")
        for call in [Faults.Call.open, .readDirectory] {
            let isFirst = Once()
            let names = try Faults.with({ made, name in
                made == call && (call == .readDirectory || name == ".") && isFirst.take()
                    ? .fails(.staleNFSFileHandle) : nil
            }) { try harness.list(directory) }
            #expect(names == ["chr2.tsv"] && !isFirst.take(), "\(call)")
        }
    }

    /// The write path does not trust what the driver knows: a name that is gone is free at once, and one that was made is taken.
    @Test func whoWritesAsks() throws {
        let harness = try Harness(hosts: .several, cacheTime: 3600)
        let real = harness.store.path + "/base_layer/analysis_sequences_chr1.tsv"
        let parent = harness.parent(.production)
        func create() throws(Errno) {
            let created = try "chr1.tsv".withEntryName { name throws(Errno) in
                try harness.volume.create(
                    Request(caller: harness.caller), parent: parent, name: name, mode: 0o644,
                    flags: OpenFlags(rawValue: O_WRONLY | O_EXCL))
            }
            harness.volume.release(inode: created.entry.inode, handle: created.opened.handle)
        }
        #expect(throws: Errno.noSuchFileOrDirectory) { try harness.lookup("chr1.tsv", in: parent) }
        try write(table, to: real)
        #expect(throws: Errno.fileExists) { try create() }
        _ = try harness.lookup("chr1.tsv", in: parent)
        #expect(unlink(real) == 0)
        let asked = Once()
        try Faults.with({ call, name in
            if call == .attributes, name.hasSuffix("/base_layer") { _ = asked.take() }
            return nil
        }) { try create() }
        #expect(!asked.take(), "the server was asked")
    }

    /// True once.
    private final class Once: Sendable {
        private let isOver = Lock(false)

        func take() -> Bool {
            isOver.withLock { isOver in
                defer { isOver = true }
                return !isOver
            }
        }
    }
}
