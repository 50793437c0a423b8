import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

/// A name of production is one writer's from the moment it is created, in all mounts of a store.
@Suite struct ReservationTests {
    private func target(_ store: Store, _ name: String) -> Staging.Target {
        Staging.Target(directory: store.directory("base_layer"), name: name)
    }

    private func create(_ store: Store, _ name: String, _ text: String = table) throws(Errno) -> RealFile {
        guard let staging = store.staging else { throw .readOnlyFileSystem }
        let (file, descriptor) = try staging.create(
            hint: "production/base/gene_manifest/" + name, kind: .artifact, mode: 0o644, target: target(store, name))
        defer { SystemCall.close(descriptor) }
        try SystemCall.write(descriptor, Array(text.utf8))
        return file
    }

    @Test(arguments: ["/tmp", "/dev/shm"]) func oneOfTwoMountsGetsEachName(parent: String) throws {
        let place = try TemporaryStore(in: parent)
        let stores = [try place.open(), try place.open()]
        let names = (0..<100).map { "chr\($0).tsv" }
        let outcomes = Mutex<[String: [Int]]>([:])
        runThreads(8) { thread in
            let store = stores[thread % 2]
            for name in names {
                do throws(Errno) {
                    let staged = try create(store, name, table + "x\t\(thread)\n")
                    guard case .sealed = store.publish(TemporaryStore.request(store, staged, name: name)) else {
                        Issue.record("\(name) was lost after it was given")
                        continue
                    }
                    outcomes.withLock { $0[name, default: []].append(thread) }
                } catch { #expect(error == .fileExists) }
            }
        }
        let winners = outcomes.withLock { $0 }
        #expect(winners.count == 100)
        for (name, threads) in winners {
            #expect(threads.count == 1, "\(name)")
            #expect(try place.read("base_layer/" + name) == table + "x\t\(threads.first ?? -1)\n")
        }
        #expect(try place.quarantined() == [])
        #expect(try place.names(".artifactfs/reserved") == [])
    }

    @Test func whateverBecomesOfTheFileGivesTheNameBack() throws {
        let place = try TemporaryStore()
        let (store, other) = (try place.open(), try place.open())
        let staging = try #require(store.staging)
        func expectTaken(_ name: String) {
            #expect(throws: Errno.fileExists) { try create(other, name) }
            #expect(throws: Errno.fileExists) { try create(store, name) }
        }
        // Removed.
        let removed = try create(store, "a.tsv")
        expectTaken("a.tsv")
        #expect(try place.names(".artifactfs/reserved") == ["base_layer%2Fa.tsv"])
        try staging.remove(removed)
        try #require(other.staging).remove(try create(other, "a.tsv"))
        // Quarantined by the driver, and because it fails its check.
        let killed = try create(store, "a.tsv")
        try store.quarantine(killed, reason: "killed", record: ArtifactRecord(path: "a.tsv"))
        let broken = try create(store, "a.tsv", "broken")
        expectTaken("a.tsv")
        guard case .quarantined(_, .failedCheck) = store.publish(TemporaryStore.request(store, broken, name: "a.tsv"))
        else {
            Issue.record("published")
            return
        }
        // Restored.
        let origin = try store.directory("base_layer/dev/20260215_143022").ensure().file("a.tsv")
        let promoted = try create(store, "a.tsv", "broken")
        guard
            case .restored = store.publish(
                TemporaryStore.request(store, promoted, name: "a.tsv", origin: origin))
        else {
            Issue.record("published")
            return
        }
        // Renamed: the name passes from a file to the one that replaces it.
        let (first, second) = (try create(store, "a.tsv"), staging.unusedName(hint: "a.tsv", kind: .artifact))
        #expect(throws: Errno.fileExists) { try staging.reserve(target(store, "a.tsv"), for: second) }
        try staging.reserve(target(store, "a.tsv"), for: second, replacing: first)
        staging.release(first)
        expectTaken("a.tsv")
        staging.release(second)
        #expect(try place.names(".artifactfs/reserved") == [])
        // Published: the artifact itself is in the way now.
        let published = try create(store, "a.tsv")
        guard case .sealed = store.publish(TemporaryStore.request(store, published, name: "a.tsv")) else {
            Issue.record("not published")
            return
        }
        expectTaken("a.tsv")
        #expect(try place.names(".artifactfs/reserved") == [])
    }

    @Test func theEndOfAMountGivesNamesBack() throws {
        let place = try TemporaryStore()
        let other = try place.open()
        do {
            let store = try place.open()
            _ = try create(store, "empty.tsv", "")
            _ = try create(store, "written.tsv")
            store.close()
            // What has bytes may yet be published.
            #expect(try place.names(".artifactfs/reserved") == ["base_layer%2Fwritten.tsv"])
        }
        _ = try create(other, "written.tsv")
        #expect(other.recoverAgain().quarantined.count == 1)
        #expect(throws: Errno.fileExists) { try create(place.open(), "written.tsv") }
        other.close()
    }

    @Test func whatADeadMountHadIsTakenOver() throws {
        let place = try TemporaryStore()
        let stores = [try place.open(), try place.open()]
        let names = (0..<20).map { "chr\($0).tsv" }
        do {
            let dead = try place.open()
            for name in names { _ = try create(dead, name) }
            #expect(throws: Errno.fileExists) { try create(stores[0], names[0]) }
        }
        // Two want all of them at once.
        let won = Mutex(0)
        runThreads(8) { thread in
            for name in names where (try? create(stores[thread % 2], name)) != nil { won.withLock { $0 += 1 } }
        }
        #expect(won.withLock { $0 } == 20)
        #expect(try place.names(".artifactfs/reserved").count == 20)
    }

    @Test func recoveryGivesNoNameAwayThatALivingMountHas() throws {
        let place = try TemporaryStore()
        let living = try place.open()
        do {
            let dead = try place.open()
            let staged = try create(dead, "a.tsv")
            dead.stopAfter.withLock { $0 = .intentLogged }
            _ = dead.publish(TemporaryStore.request(dead, staged, name: "a.tsv"))
        }
        let text = table + "later\t3\n"
        let staged = try create(living, "a.tsv", text)
        let report = living.recoverAgain()
        #expect(report.quarantined.count == 1 && report.finished == [])
        guard case .sealed = living.publish(TemporaryStore.request(living, staged, name: "a.tsv")) else {
            Issue.record("not published")
            return
        }
        #expect(try place.read("base_layer/a.tsv") == text)
        #expect(try place.quarantined() == [table])
        #expect(try place.names(".artifactfs/reserved") == [])
    }

    /// Recovery of a mount whose names nobody wants.
    @Test func recoveryCleansUp() throws {
        let place = try TemporaryStore()
        do {
            let dead = try place.open()
            for index in 0..<5 { _ = try create(dead, "chr\(index).tsv") }
        }
        #expect(try place.names(".artifactfs/reserved").count == 5)
        #expect(try place.open().recovery.quarantined.count == 5)
        #expect(try place.names(".artifactfs/reserved") == [])
    }

    @Test func longNamesStayApart() throws {
        let end = String(repeating: "é", count: 120) + ".tsv"
        let names = ["a/" + end, "b/" + end, "b/b" + end].map(EscapedName.unique)
        #expect(Set(names).count == 3 && names.allSatisfy { $0.utf8.count <= 255 })
        #expect(EscapedName.unique("base_layer/a.tsv") == "base_layer%2Fa.tsv")
    }

    /// A file that nobody reserved the name for, as a program that copies beside the mount would leave it.
    @Test func whatComesSecondSaysAnotherWriter() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let staged = try create(store, "a.tsv")
        try place.write("base_layer/a.tsv", "first")
        guard
            case .quarantined(let reason, .anotherWriter) = store.publish(
                TemporaryStore.request(store, staged, name: "a.tsv"))
        else {
            Issue.record("published")
            return
        }
        #expect(reason.hasPrefix("another writer published 'a.tsv' first"))
    }
}
