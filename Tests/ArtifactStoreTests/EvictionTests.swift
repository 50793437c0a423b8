import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// The bytes of what a mirror has go, and come back: whatever ends who does it, they are here or the name says where they are.
@Suite struct EvictionTests {
    private static let path = "production/base/gene_manifest/gene_manifest.tsv"
    private static let real = "base_layer/gene_manifest.tsv"
    private static let agent = Agent(user: 7, process: 2, program: "test")

    private static func scene(hardens: Bool = false) throws -> (place: TemporaryStore, sha256: String) {
        let place = try TemporaryStore(in: "/dev/shm")
        let store = try place.open(durability: .synced, hardens: hardens)
        defer { store.close() }
        let staged = try TemporaryStore.stage(store, table, hint: path)
        let destination = try #require(Promotion.Destination(path: path, in: store.schema, isDirectory: false))
        let request = destination.request(
            staged, at: store.directory(for: destination.location), destination.record)
        guard case .sealed = store.publish(request) else {
            Issue.record("it was not sealed")
            return (place, "")
        }
        return (place, try SHA256.digest(table.utf8))
    }

    private static func evict(_ store: Store, _ sha256: String) throws(EvictionObstacle) -> Int64 {
        try store.evict(
            EvictionRequest(
                path: path, sha256: sha256, mirror: "cloud", key: "k", objectVersion: "v", agent: agent))
    }

    /// Brings it back with these bytes.
    private static func recall(_ store: Store, _ text: String = table) throws {
        let recall = try #require(try store.beginRecall(of: path))
        defer { SystemCall.closeLock(recall.descriptor) }
        try SystemCall.write(recall.descriptor, Array(text.utf8))
        try store.finish(recall, key: "k", by: agent)
    }

    private static func events(_ place: TemporaryStore) throws -> [String] {
        try place.ledger().compactMap { $0["event"]?.string }.filter { ["evicted", "recalled"].contains($0) }
    }

    @Test(arguments: TemporaryStore.canHarden ? [false, true] : [false])
    func aLinkSaysWhereTheBytesAreAndTheyComeBack(hardens: Bool) throws {
        let (place, sha256) = try Self.scene(hardens: hardens)
        let full = place.path + "/" + Self.real
        if !hardens { try SystemCall.setExtendedAttribute("user.note", Array("n".utf8), ofPath: full) }
        let before = try SystemCall.attributes(SystemCall.currentDirectory, full)
        let store = try place.open(durability: .synced, hardens: hardens)
        #expect(try Self.evict(store, sha256) == Int64(table.utf8.count))
        let mark = try #require(try store.evictionMark(of: Self.path))
        #expect(mark.sha256 == sha256 && mark.inode == before.st_ino && mark.size == Int64(table.utf8.count))
        #expect(open(full, O_RDONLY) == -1 && errno == ENOENT, "who reads without this program is told")
        let file = try #require(try store.artifactFile(Self.path)).file
        let shown = try #require(try store.evicted(file, in: "base_layer")).found
        #expect(
            shown.isRegular && shown.attributes.st_size == before.st_size && shown.attributes.st_mode == before.st_mode)
        #expect(shown.attributes.st_mtim.tv_nsec == before.st_mtim.tv_nsec)
        #expect(SealedProof.of(full, sha256: sha256, size: mark.size) == .evicted(mirror: "cloud"))
        #expect(try store.holds(Self.real, sha256: sha256, at: nil), "it is there for who asks what is needed")
        #expect(throws: EvictionObstacle.self) { _ = try Self.evict(store, sha256) }
        #expect(try store.existing().first { $0.path == Self.real }?.evictedTo == "cloud")
        try Self.recall(store)
        store.close()
        let after = try SystemCall.look(SystemCall.currentDirectory, full)
        #expect(after.identity == shown.identity, "it is the file that was shown")
        #expect(after.attributes.st_mode == before.st_mode && after.attributes.st_mtim.tv_sec == before.st_mtim.tv_sec)
        #expect(after.attributes.st_mtim.tv_nsec == before.st_mtim.tv_nsec)
        #expect(SealedProof.of(full, sha256: sha256, size: mark.size) == .whole, "with its flag, where it had one")
        #expect(try Self.events(place) == ["evicted", "recalled"])
        #expect(try place.names(".artifactfs/evicted").isEmpty && place.names(".artifactfs/evicting").isEmpty)
    }

    /// Killed after each step, and opened again: the artifact is here, or its link and its place are, and the ledger says so.
    @Test(arguments: EvictionStep.allCases) func whoIsKilledLeavesItWholeOrEvicted(step: EvictionStep) throws {
        let (place, sha256) = try Self.scene()
        let isOfRecall = [.filled, .moved].contains(step)
        do {
            let store = try place.open(durability: .synced)
            if isOfRecall { _ = try Self.evict(store, sha256) }
            store.stopEvictingAfter.withLock { $0 = step }
            #expect(throws: EvictionObstacle.self) {
                if isOfRecall { try Self.recall(store) } else { _ = try Self.evict(store, sha256) }
            }
        }
        let again = try place.open(durability: .synced)
        defer { again.close() }
        #expect(again.recovery.problems.isEmpty, "\(again.recovery.problems)")
        let isEvicted = try again.evictionMark(of: Self.path) != nil
        #expect(isEvicted == [.exchanged, .logged, .removed, .filled].contains(step))
        #expect(try place.names(".artifactfs/evicting").isEmpty)
        #expect(try place.names(".artifactfs/evicted").count == (isEvicted ? 1 : 0))
        if isEvicted {
            #expect(try Self.events(place).contains("evicted"))
            try Self.recall(again)
        }
        let proof = SealedProof.of(
            place.path + "/" + Self.real, sha256: sha256, size: Int64(table.utf8.count))
        #expect(proof == .whole)
        _ = try Self.evict(again, sha256)
        try Self.recall(again)
    }

    @Test func whatIsNotAsSealedStays() throws {
        let (place, sha256) = try Self.scene()
        let store = try place.open(durability: .synced)
        defer { store.close() }
        let full = place.path + "/" + Self.real
        func refuses(_ word: String, _ sha: String) {
            do throws(EvictionObstacle) {
                _ = try Self.evict(store, sha)
                Issue.record("\(word): it was evicted")
            } catch { #expect(error.words.contains(word), "\(error.words)") }
            #expect((try? store.evictionMark(of: Self.path)) == .some(nil))
            #expect((try? place.names(".artifactfs/evicted"))?.isEmpty != false)
        }
        refuses("SHA-256", String(repeating: "0", count: 64))
        #expect(link(full, place.path + "/other") == 0)
        refuses("other names", sha256)
        unlink(place.path + "/other")
        #expect(chmod(full, 0o644) == 0)
        refuses("written to", sha256)
        #expect(chmod(full, 0o444) == 0)
        _ = try Self.evict(store, sha256)
    }

    /// Every system call fails once, in every place: it is here, or the name says where it is, and what is said is so at once.
    @Test(arguments: [false, true]) func everyCallMayFail(recalls: Bool) throws {
        let counts = try Self.run(recalls, nil, 0, .ioError)
        #expect(!counts.isEmpty)
        for (call, count) in counts where call != .fileSystem {
            for number in 1...count { _ = try Self.run(recalls, call, number, .ioError) }
            guard [.write, .sync, .rename, .unlink].contains(call) else { continue }
            for number in 1...count { _ = try Self.run(recalls, call, number, .ioError, isDone: true) }
        }
    }

    private static func run(
        _ recalls: Bool, _ failing: Faults.Call?, _ number: Int, _ error: Errno, isDone: Bool = false
    ) throws -> [Faults.Call: Int] {
        let (place, sha256) = try scene()
        let fault = CountedFault(failing, number, error, isDone: isDone)
        let full = place.path + "/" + real
        do {
            let store = try place.open(durability: .synced)
            if recalls { _ = try evict(store, sha256) }
            var isSaidDone = true
            fault.during {
                do { if recalls { try recall(store) } else { _ = try evict(store, sha256) } } catch {
                    isSaidDone = false
                }
            }
            let isEvicted = try store.evictionMark(of: path) != nil
            #expect(isEvicted == (isSaidDone != recalls) || recalls && !isSaidDone, "\(fault)")
            if !isEvicted { #expect(SealedProof.of(full, sha256: sha256, size: nil) == .whole, "\(fault)") }
        }
        let again = try place.open(durability: .synced)
        defer { again.close() }
        #expect(again.recovery.problems.isEmpty, "\(fault): \(again.recovery.problems)")
        #expect((try? place.names(".artifactfs/evicting"))?.isEmpty != false, "\(fault)")
        if try again.evictionMark(of: path) != nil { try recall(again) }
        #expect(SealedProof.of(full, sha256: sha256, size: Int64(table.utf8.count)) == .whole, "\(fault)")
        #expect((try? place.names(".artifactfs/evicted"))?.isEmpty != false, "\(fault)")
        return fault.counts
    }

    @Test func anEvictedArtifactKeepsItsNameUntilItIsBack() throws {
        let (place, sha256) = try Self.scene()
        let store = try place.open(durability: .synced)
        defer { store.close() }
        _ = try Self.evict(store, sha256)
        for unsealing in [Unsealing.superseded, .retracted] {
            do throws(UnsealObstacle) {
                _ = try store.unseal(
                    UnsealRequest(paths: [Self.path], unsealing: unsealing, reason: "r", agent: Self.agent, groups: []))
                Issue.record("it left its name")
            } catch {
                guard case .system(_, let doing, _) = error else {
                    Issue.record("\(error)")
                    continue
                }
                #expect(doing.contains("mirror recall") && doing.contains("cloud"), "\(doing)")
            }
        }
        let staged = try TemporaryStore.stage(store, table, hint: Self.path)
        let destination = try #require(Promotion.Destination(path: Self.path, in: store.schema, isDirectory: false))
        let outcome = store.publish(
            destination.request(staged, at: store.directory(for: destination.location), destination.record))
        if case .sealed = outcome { Issue.record("something else took its name") }
        #expect(try store.evictionMark(of: Self.path) != nil)
    }

    /// A place that is lost is made anew, with the owner of the link.
    @Test func aLostPlaceIsMadeAnew() throws {
        let (place, sha256) = try Self.scene()
        let store = try place.open(durability: .synced)
        defer { store.close() }
        _ = try Self.evict(store, sha256)
        unlink(place.path + "/.artifactfs/evicted/base_layer%2Fgene_manifest.tsv")
        let file = try #require(try store.artifactFile(Self.path)).file
        #expect(try store.evicted(file, in: "base_layer")?.found.isRegular == true, "it is shown all the same")
        #expect(throws: EvictionObstacle.self) { _ = try store.beginRecall(of: Self.path) }
        let recall = try #require(
            try store.beginRecall(of: Self.path, attributes: { ["user.note": Array("n".utf8)] }))
        try SystemCall.write(recall.descriptor, Array(table.utf8))
        try store.finish(recall, key: "k", by: Self.agent)
        SystemCall.closeLock(recall.descriptor)
        #expect(try file.extendedAttribute("user.note") == Array("n".utf8))
        #expect(SealedProof.of(place.path + "/" + Self.real, sha256: sha256, size: nil) == .whole)
    }
}
