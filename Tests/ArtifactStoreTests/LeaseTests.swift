import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

/// A store of several hosts, which do not see each other's flocks (DISK FORMAT, "Leases").
@Suite struct LeaseTests {
    private let place: TemporaryStore

    init() throws {
        place = try TemporaryStore()
        let directory = Directory(
            owning: try SystemCall.open(
                SystemCall.currentDirectory, place.path + "/.artifactfs", O_RDONLY | O_DIRECTORY))
        let schema = directory.file("schema.yaml")
        let text = SchemaFile.defaultText.replacing("hosts: auto", with: "hosts: several")
            .replacing("lease: 30", with: "lease: 3")
        try? schema.unlink()
        try WholeFile.write(Array(text.utf8), to: schema, replacing: false)
    }

    private func own() throws -> Directory {
        let flags = O_RDONLY | O_DIRECTORY
        return Directory(owning: try SystemCall.open(SystemCall.currentDirectory, place.path + "/.artifactfs", flags))
    }

    /// A mount of a host of this name.
    private func host(_ name: String) throws -> Store {
        try Leases.$assumedClient.withValue(StoreClient(name)) { try place.open() }
    }

    /// Its host is not seen any more: it renews nothing, and its flocks are another kernel's.
    private func cut(_ store: Store) {
        store.leases.end()
        if let staging = store.staging { SystemCall.unlock(staging.lock) }
    }

    private func target(_ store: Store, _ name: String) -> Staging.Target {
        Staging.Target(
            directory: store.directory("base_layer"), name: name)
    }

    private func stage(_ store: Store, _ name: String) throws -> RealFile {
        let staging = try #require(store.staging)
        let made = try staging.create(
            hint: "production/base/splice_errors/\(name)", mode: 0o644,
            target: target(store, "splice_errors_" + name))
        defer { SystemCall.close(made.descriptor) }
        try SystemCall.write(made.descriptor, Array("a\tb\n1\t2\n".utf8))
        return made.file
    }

    @Test func whatADeadHostLeftIsInheritedOnce() throws {
        let first = try host("first")
        #expect(first.leases.isShared && first.leases.state == .held && first.durability == .synced)
        #expect(try place.read(".artifactfs/format") == "artifactfs store, format 3\n")
        let file = try stage(first, "chr1.tsv")
        let session = try first.beginSession()
        let others = try (0..<3).map { try host("other-\($0)") }
        let heirs = Mutex<[Int]>([])
        let kept = Mutex<[String]>([])
        for (index, other) in others.enumerated() {
            #expect(other.recovery.isEmpty, "\(other.recovery)")
            other.leases.listen { news in
                guard case .inherited = news else { return }
                heirs.withLock { $0.append(index) }
                let report = other.recoverAgain()
                kept.withLock { $0 += report.quarantined }
            }
        }
        cut(first)
        // The name is the first one's as long as it may live, and the session too.
        #expect(throws: Errno.fileExists) { try stage(others[0], "chr1.tsv") }
        #expect { try others[0].resumeSession(session) } throws: { error in
            if case StoreError.inUse = error { true } else { false }
        }
        #expect(others[1].recoverAgain().isEmpty && file.exists)
        #expect(eventually(within: 120) { !heirs.withLock { $0.isEmpty } && !kept.withLock { $0.isEmpty } })
        #expect(kept.withLock { $0 } == ["production/base/splice_errors/chr1.tsv"])
        #expect(heirs.withLock { $0.count } == 1)
        // By then it has stopped by itself, and when it comes back it learns why.
        #expect(!first.leases.areHeld && first.leases.state == .lapsed)
        #expect(throws: Errno.hostIsDown) { try stage(first, "chr2.tsv") }
        _ = first.leases.beat()
        #expect(first.leases.state == .lost)
        // What it had taken is free.
        let again = try stage(others[0], "chr1.tsv")
        try others[1].resumeSession(session)
        #expect(throws: (any Error).self) { try others[2].resumeSession(session) }
        try others[0].staging?.remove(again)
        first.close()
        for other in others { other.close() }
    }

    /// What is empty to the heir may have bytes that its host has not sent yet: it is kept, and not taken for a file that nothing was written to.
    @Test func whatIsEmptyIsKept() throws {
        let first = try host("first")
        let staging = try #require(first.staging)
        let made = try staging.create(
            hint: "production/base/splice_errors/chr1.tsv", mode: 0o644,
            target: target(first, "splice_errors_chr1.tsv"))
        SystemCall.close(made.descriptor)
        let other = try host("other")
        let kept = Mutex<[String]>([])
        other.leases.listen { news in
            guard case .inherited = news else { return }
            let report = other.recoverAgain()
            kept.withLock { $0 += report.quarantined + report.empty.map { "empty " + $0 } }
        }
        cut(first)
        #expect(eventually(within: 120) { !kept.withLock { $0.isEmpty } })
        #expect(kept.withLock { $0 } == ["production/base/splice_errors/chr1.tsv"])
        #expect(try other.quarantine().entries().count == 1)
        other.close()
        first.close()
    }

    /// Who was away for less than that goes on, and nobody has taken anything.
    @Test func aHostThatIsBackInTimeGoesOn() throws {
        let (first, second) = (try host("first"), try host("second"))
        first.leases.end()
        _ = try stage(first, "chr1.tsv")
        #expect(eventually(within: 60) { !first.leases.areHeld })
        // It does not take the first renewal for a lease: an heir may have been there that is not seen yet.
        _ = first.leases.beat()
        #expect(first.leases.state == .lapsed)
        #expect(
            eventually(within: 60) {
                _ = first.leases.beat()
                return first.leases.state == .held
            })
        #expect(throws: Errno.fileExists) { try stage(second, "chr1.tsv") }
        _ = try stage(first, "chr2.tsv")
        second.close()
        first.close()
    }

    /// What a host of this name left before it was started again is settled at once by who sees that its process is gone; another client waits.
    @Test func aKilledMountOfThisClientIsSettledAtOnce() throws {
        let first = try host("one")
        let file = try stage(first, "chr1.tsv")
        cut(first)
        // Its process is this one, which lives: only its lease can tell.
        let second = try host("one")
        #expect(second.recovery.isEmpty && file.exists)
        // The token says another process, which is gone.
        let child = try Child(["true"])
        #expect(child.wait(seconds: 60))
        let token = try #require(first.staging).directory.file(".lock")
        let descriptor = try token.open(O_RDWR)
        let text = String(decoding: try SystemCall.bytes(descriptor, at: 0, count: 4096), as: UTF8.self)
        try SystemCall.write(
            descriptor, Array(text.replacing("\"pid\":\(getpid())", with: "\"pid\":\(child.process)").utf8))
        SystemCall.close(descriptor)
        #expect(second.recoverAgain().quarantined == ["production/base/splice_errors/chr1.tsv"])
        second.close()
    }

    /// Tokens that say nothing, or nonsense, are watched like others.
    @Test(arguments: [
        "", "nonsense", "{}", "{\"mount\":1}",
        "{\"mount\":\"m\",\"host\":\"h\",\"boot\":\"b\",\"client\":\"c\",\"lease\":-9223372036854775808}",
    ])
    func tokensOfNonsense(_ text: String) throws {
        let own = try self.own()
        let stagings = try own.directory("staging", orMakeWith: 0o700)
        let dead = try stagings.directory("20200101T000000.000Z-there-1-1", orMakeWith: 0o700)
        try WholeFile.write(Array(text.utf8), to: dead.file(".lock"), replacing: false)
        try WholeFile.write(
            Array("x".utf8), to: dead.file("a-1-production%2Fbase%2Fsplice_errors%2Fchr1.tsv"), replacing: false)
        let store = try host("here")
        #expect(store.recovery.isEmpty, "\(store.recovery)")
        let kept = Mutex<[String]>([])
        store.leases.listen { news in
            if case .inherited = news { kept.withLock { $0 += store.recoverAgain().quarantined } }
        }
        #expect(eventually(within: 120) { !kept.withLock { $0.isEmpty } })
        store.close()
    }

    /// A mount without a lease that is another client's is never taken for dead: nobody can tell.
    @Test func withoutALeaseNobodyCanTell() throws {
        let own = try self.own()
        let stagings = try own.directory("staging", orMakeWith: 0o700)
        let other = try stagings.directory("20200101T000000.000Z-there-1-1", orMakeWith: 0o700)
        try WholeFile.write(
            Array(#"{"mount":"20200101T000000.000Z-there-1-1","host":"there","boot":"b","client":"b/1"}"#.utf8),
            to: other.file(".lock"), replacing: false)
        let file = other.file("a-1-production%2Fbase%2Fsplice_errors%2Fchr1.tsv")
        try WholeFile.write(Array("x".utf8), to: file, replacing: false)
        let store = try host("here")
        // As often as a dead one would be found.
        for _ in 0..<8 {
            #expect(store.leases.beat() == [])
            usleep(600_000)
        }
        #expect(store.recoverAgain().isEmpty && file.exists)
        store.close()
    }

    /// Who says that no other host uses the store means what others have left, too.
    @Test func withOneHostFlockTells() throws {
        let schema = try self.own().file("schema.yaml")
        let text = try place.read(".artifactfs/schema.yaml")
        try WholeFile.write(Array(text.replacing("hosts: several", with: "hosts: one").utf8), to: schema)
        let stagings = try self.own().directory("staging", orMakeWith: 0o700)
        let name = "20200101T000000.000Z-there-1-1"
        let other = try stagings.directory(name, orMakeWith: 0o700)
        let token = #"{"mount":"\#(name)","host":"there","boot":"b","client":"b/1","lease":30}"#
        try WholeFile.write(Array(token.utf8), to: other.file(".lock"), replacing: false)
        let file = other.file("a-1-production%2Fbase%2Fsplice_errors%2Fchr1.tsv")
        try WholeFile.write(Array("x".utf8), to: file, replacing: false)
        let store = try host("here")
        #expect(store.recovery.quarantined == ["production/base/splice_errors/chr1.tsv"])
        #expect(!store.leases.isShared)
        store.close()
    }

    /// The store of one host pays nothing, and is settled by flock as ever.
    @Test func aStoreOfOneHostHasNone() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        #expect(!store.leases.isShared && store.leases.state == nil && store.leases.areHeld)
        #expect(store.durability == .relaxed)
        let other = store.staging?.directory
        #expect(other?.file(".lock-heir").exists == false)
        store.close()
    }
}
