import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

/// Recovery reads what a killed mount may have written, not what a store has written in years.
@Suite struct MountHistoryTests {
    /// Reads of ledgers, in calls.
    private func readsOfLedgers(_ body: () throws -> Void) rethrows -> Int {
        let count = Atomic<Int>(0)
        try Faults.with(
            { call, name in
                if call == .read, name.contains("/ledger/") { count.add(1, ordering: .relaxed) }
                return nil
            }, body)
        return count.load(ordering: .relaxed)
    }

    private func fill(_ place: TemporaryStore, mebibytes: Int) throws {
        let store = try place.open()
        let text = String(repeating: "x", count: 1000)
        for _ in 0..<mebibytes {
            try store.ledger?.append((0..<1024).map { _ in LedgerEntry(event: "note", ["text": .string(text)]) })
        }
        store.close()
    }

    @Test(arguments: [false, true]) func aLongLedgerIsNotReadAgain(isOfAnEarlierVersion: Bool) throws {
        let place = try TemporaryStore()
        try fill(place, mebibytes: 12)
        var mount = ""
        do {
            let store = try place.open()
            store.stopAfter.withLock { $0 = .moved }
            let staged = try TemporaryStore.stage(store, table)
            _ = store.publish(TemporaryStore.request(store, staged))
            let other = try TemporaryStore.stage(store, "cut", hint: "production/base/splice_errors/chr1.tsv")
            try store.quarantine(other, reason: "cut", record: ArtifactRecord(path: "production/base/x.tsv"))
            mount = try #require(store.staging?.mountID)
        }
        if isOfAnEarlierVersion {
            let lock = ".artifactfs/staging/\(mount)/.lock"
            let text = try place.read(lock)
            let members = try #require(JSONValue(parsing: text.utf8)?.object)
            var less = members
            less["ledger"] = nil
            #expect(less != members)
            try place.write(lock, JSONValue.object(less).description + "\n")
        }
        var store: Store?
        let reads = try readsOfLedgers { store = try place.open() }
        #expect(store?.recovery.finished == ["base_layer/gene_manifest.tsv"], "\(String(describing: store?.recovery))")
        // A call reads 1 MiB at most; one that knows the place reads the end twice, and the tail.
        #expect(isOfAnEarlierVersion ? reads > 12 : reads < 8, "\(reads) reads")
        #expect(try place.events("sealed").count == 1 && place.events("quarantined").count == 1)
        store?.close()
        try place.verifyLedger()
        let again = try readsOfLedgers {
            let isSettled = try place.open().recovery.isEmpty
            #expect(isSettled)
        }
        #expect(again < 4, "nothing was killed: \(again) reads")
    }

    /// A mount of one host is settled by two others, of which the first is killed at it: the second knows what the first one settled.
    @Test func whatAnotherHostSettled() throws {
        let directory = try TemporaryDirectory()
        let ledgers = Directory(owning: try FileDescriptor.open(directory.path, .readOnly))
        try SystemCall.makeDirectory(ledgers.descriptor, "staging", 0o700)
        let staging = try ledgers.directory("staging")
        func ledger(_ host: String) throws -> Ledger {
            let name = LedgerFiles.name(of: host, number: 1)
            return try Ledger(
                owning: ledgers.file(name).open(O_RDWR | O_APPEND | O_CREAT, mode: 0o600), named: name, of: host,
                in: ledgers.descriptor, isSynced: false)
        }
        func intent(_ staged: String) -> SealIntent {
            SealIntent(
                mount: "m", staged: staged, directory: "base_layer", name: "x.tsv", inode: 1, size: 1, modified: "",
                sha256: "", record: [:])
        }
        let (one, two, three) = (try ledger("one"), try ledger("two"), try ledger("three"))
        // Before the mount began: not its own, whatever it says.
        for old in [one, two, three] { try old.append([LedgerEntry(.sealIntent(intent("a-0-old")))]) }
        let description = MountDescription(mount: "m", host: "one", ledger: LedgerPlace(endOf: one))
        try one.append([LedgerEntry(.sealIntent(intent("a-1-x"))), LedgerEntry(.sealIntent(intent("a-2-y")))])

        let first = try Recovery.MountHistory(of: "m", description, in: staging, by: "two", two, ledgers)
        #expect(first.open.map(\.staged) == ["a-1-x", "a-2-y"])
        try two.append([LedgerEntry(.sealed(intent("a-1-x"), isRecovered: true))])
        let second = try Recovery.MountHistory(of: "m", description, in: staging, by: "three", three, ledgers)
        #expect(second.open.map(\.staged) == ["a-2-y"] && second.sealed.map(\.staged) == ["a-1-x"])
        // Where it does not say where the ledger stood, all is read.
        let old = MountDescription(mount: "m", host: "one", ledger: nil)
        let all = try Recovery.MountHistory(of: "m", old, in: staging, by: "two", two, ledgers)
        #expect(all.open.map(\.staged) == ["a-0-old", "a-2-y"])
        // The notes are locks to everybody else.
        let notes = try staging.entries().map(\.name)
        #expect(notes.count == 2 && notes.allSatisfy { Staging.isLock($0) })
        let parent = ledgers
        Staging.removeIfEmpty(staging, named: "staging", in: parent)
        #expect(throws: Errno.noSuchFileOrDirectory) { try ledgers.directory("staging") }
    }

    /// Ledgers of several files, through the store.
    @Test func aStoreWhoseLedgerGoesOn() throws {
        let place = try TemporaryStore()
        for index in 0..<8 {
            let store = try Store.$ledgerLimit.withValue(4096) { try place.open() }
            let staged = try TemporaryStore.stage(store, table, hint: "production/base/gene_manifest/m\(index).tsv")
            guard case .sealed = store.publish(TemporaryStore.request(store, staged, name: "m\(index).tsv")) else {
                Issue.record("\(index) is not published")
                return
            }
            if index % 2 == 0 { store.close() }
        }
        #expect(try place.names(".artifactfs/ledger").count > 2)
        #expect(try place.open().recovery.problems == [])
        #expect(try Set(place.events("sealed").compactMap { $0["name"]?.string }).count == 8)
        try place.verifyLedger()
    }
}
