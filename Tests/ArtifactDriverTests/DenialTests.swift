import ArtifactStore
import Artifacts
import CFuse
import FuseKernel
import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactDriver

/// Every user sees what was refused to them, and nobody what was refused to another.
@Suite struct DenialTests {
    private static let alice = Caller(user: 61001, group: 61101, process: 0, umask: 0o022)
    private static let bob = Caller(user: 61002, group: 61102, process: 0, umask: 0o022)
    private static let refusal = Refusal(.notPermitted, .fixedDirectory)

    private func add(_ log: DenialLog, _ path: String, _ caller: Caller) -> DenialLog.ID {
        log.add(Self.refusal, operation: "rmdir", path: path, caller: caller)
    }

    @Test func eachSeesTheirOwn() {
        let log = DenialLog()
        _ = add(log, "one", Self.alice)
        _ = add(log, "two", Self.bob)
        _ = log.add(Refusal(.fileExists, .productionImmutable), operation: "open", path: "three", caller: Self.alice)
        #expect(log.kept(for: .user(61001)).map(\.path) == ["one", "three"])
        #expect(log.kept(for: .user(61002)).map(\.path) == ["two"])
        #expect(log.kept(for: .user(5)).isEmpty && log.counts(for: .user(5)).isEmpty)
        #expect(log.kept(for: .everybody).map(\.path) == ["one", "two", "three"])
        #expect(log.counts(for: .user(61002)).map(\.count) == [1])
        #expect(log.counts(for: .everybody).map(\.count).reduce(0, +) == 3)
    }

    @Test func oneUserDoesNotPushOutAnothers() {
        let log = DenialLog()
        let first = add(log, "b", Self.bob)
        let early = add(log, "early", Self.alice)
        for number in 0..<(3 * DenialLog.capacity) { _ = add(log, "a\(number)", Self.alice) }
        let last = add(log, "last", Self.alice)
        log.amend(first, detail: "kept")
        log.amend(early, detail: "gone")
        log.amend(last, detail: "amended")
        let all = log.kept(for: .everybody)
        #expect(all.count == DenialLog.capacity)
        #expect(all.first?.path == "b" && all.first?.detail == "kept")
        #expect(all.last?.path == "last" && all.last?.detail == "amended")
        #expect(all.dropFirst().allSatisfy { $0.detail == nil || $0.path == "last" })
        #expect(log.counts(for: .user(61001)).map(\.count) == [3 * DenialLog.capacity + 2], "all are counted")
    }

    /// A read-only mount has no handles: what one user's kernel inode keeps must never be another's.
    @Test func withoutHandles() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/store"
        try Store.create(at: path)
        let store = try Store(at: path, readOnly: true, durability: .relaxed)
        let volume = try Volume(store: store, options: VolumeOptions(mountPoint: "/nowhere", version: "test"))
        defer { volume.stop() }
        _ = add(volume.denials, "alice's", Self.alice)
        _ = add(volume.denials, "bob's", Self.bob)
        let root = Caller(user: 0, group: 0, process: 0, umask: 0)
        var inodes: Set<UInt64> = []
        for (caller, sees, not) in [
            (Self.alice, ["alice's"], ["bob's"]), (Self.bob, ["bob's"], ["alice's"]),
            (root, ["alice's", "bob's"], []), (Self.alice, ["alice's"], ["bob's"]),
        ] {
            for (file, needles, others) in [
                (HiddenFile.denials, sees, not), (.status, ["\"total\":\(sees.count)"], ["bob's", "alice's"]),
            ] {
                let entry = try look(volume, [".artifactfs", file.rawValue], as: caller)
                #expect(entry.entryTimeout == 0 && entry.attributesTimeout == 0)
                #expect(entry.attributes.st_uid == caller.user && entry.attributes.st_mode & 0o777 == 0o400)
                if file == .denials { inodes.insert(entry.inode.rawValue) }
                // Read as somebody else: pages belong to the inode, whoever reads them.
                let text = try read(volume, entry.inode, size: Int(entry.attributes.st_size), as: Self.bob)
                for needle in needles { #expect(text.contains(needle), "\(caller.user), \(file): \(text)") }
                for other in others { #expect(!text.contains(other), "\(caller.user), \(file): \(text)") }
            }
        }
        #expect(inodes.count == 3)
    }

    private func look(_ volume: Volume, _ path: [String], as caller: Caller) throws(Errno) -> Entry {
        var entry: Entry?
        for name in path {
            let parent = entry?.inode ?? .root
            entry = try name.withEntryName { name throws(Errno) in
                try volume.lookup(Request(caller: caller), parent: parent, name: name)
            }
        }
        guard let entry else { throw Errno.noSuchFileOrDirectory }
        return entry
    }

    private func read(_ volume: Volume, _ inode: InodeNumber, size: Int, as caller: Caller) throws(Errno) -> String {
        let source = try volume.read(
            Request(caller: caller), inode: inode, handle: Volume.readerHandle, offset: 0, size: size)
        guard case .bytes(let bytes) = source else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }
}
