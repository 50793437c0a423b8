import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// What a run made that is all or nothing (SEMANTICS 2.7): published whole or not at all, whatever happens in between.
@Suite struct TogetherTests {
    private static let names = (0..<3).map { "chr\($0).tsv" }

    private func begin(
        _ place: TemporaryStore, _ durability: Durability = .relaxed, texts: [String] = [table, table, table]
    ) throws -> (store: Store, requests: [PublishRequest]) {
        let store = try place.open(durability: durability)
        let staged = try zip(Self.names, texts).map {
            try TemporaryStore.stage(store, $1, hint: "production/base/analysis_sequences/" + $0)
        }
        return (store, zip(Self.names, staged).map { TemporaryStore.request(store, $1, name: $0) })
    }

    private func published(_ place: TemporaryStore) -> [String] {
        Self.names.filter { place.exists("base_layer/" + $0) }
    }

    @Test(arguments: Durability.allCases) func allArePublished(durability: Durability) throws {
        let place = try TemporaryStore()
        let (store, requests) = try begin(place, durability)
        guard case .sealed(let sizes) = store.publishTogether(requests, run: "r") else {
            Issue.record("not sealed")
            return
        }
        #expect(sizes.map(\.size) == [Int64](repeating: Int64(table.utf8.count), count: 3))
        #expect(published(place) == Self.names)
        #expect(try place.events("sealed").count == 3)
        #expect(try place.attributes("base_layer/chr1.tsv").permissions == 0o444)
        let events = try place.ledger().compactMap { $0["event"]?.string }
        #expect(events.filter { $0 == "run-sealing" }.count == 1)
        try place.verifyLedger()
        store.close()
        #expect(try place.names(".artifactfs/staging") == [])
        #expect(try place.open().recovery.isEmpty)
    }

    /// Each reason for which one is not published keeps all of them back, as they were.
    @Test(arguments: ["a check", "a name that is taken", "another file system"])
    func oneKeepsAll(why: String) throws {
        let place = try TemporaryStore()
        var (store, requests) = try begin(place, texts: [table, why == "a check" ? "a\tb\n1\n" : table, table])
        if why == "a name that is taken" { try place.write("base_layer/chr1.tsv", "theirs") }
        if why == "another file system" {
            let other = try TemporaryDirectory(in: "/dev/shm")
            let root = Directory(
                owning: try SystemCall.open(SystemCall.currentDirectory, other.path, O_RDONLY | O_DIRECTORY))
            let far = RealDirectory(
                path: "far", root: root, isSynced: false, budget: DescriptorBudget(processLimit: 0))
            requests[1].target = far
            #expect(try far.ensure().file("x").exists == false)
            try check(store, requests, place)
            return
        }
        try check(store, requests, place)
        store.close()
    }

    private func check(_ store: Store, _ requests: [PublishRequest], _ place: TemporaryStore) throws {
        guard case .refused(let faults, let stuck) = store.publishTogether(requests, run: "r") else {
            Issue.record("published")
            return
        }
        #expect(faults.map(\.index) == [1] && stuck.isEmpty, "\(faults)")
        #expect(try place.events("seal-intent").isEmpty)
        for request in requests { #expect(try request.staged.attributes().permissions == 0o644) }
        // As one in quarantine, each at its path.
        var run = ArtifactRecord.ExperimentRun()
        run.id = "r"
        let kept = requests.map {
            TogetherKept(staged: $0.staged, path: $0.record.artifact.path ?? "", record: $0.record, origin: nil)
        }
        let (places, entry) = store.keepTogether(
            kept, of: run, owner: (geteuid(), getegid()), reason: "why", rule: .failedCheck)
        let name = try #require(entry)
        #expect(places.allSatisfy { $0.contains(name) })
        #expect(
            try place.names(".artifactfs/quarantine/\(name)/production/base/gene_manifest") == Self.names)
        let found = try store.quarantine().entry(name)
        #expect(found.isDirectory && found.path == "runs/r" && found.reason == "why" && found.record.run?.id == "r")
    }

    /// Something comes to a real path in the moment between the check and the move: what was moved goes back.
    @Test func aNameThatIsLostTakesAllBack() throws {
        let place = try TemporaryStore()
        let (store, requests) = try begin(place)
        var requests2 = requests
        // Two that want one name: the second finds it taken by the first.
        requests2[2].name = Self.names[0]
        guard case .refused(let faults, let stuck) = store.publishTogether(requests2, run: "r") else {
            Issue.record("published")
            return
        }
        #expect(faults.map(\.index) == [2] && faults.first?.rule == .anotherWriter && stuck.isEmpty)
        #expect(published(place).isEmpty && requests.allSatisfy { $0.staged.exists })
        #expect(try place.events("seal-abandoned").count == 3)
        #expect(try place.events("sealed").isEmpty)
        // Nothing of it counts any more.
        let again = try place.open()
        #expect(again.recovery.finished.isEmpty)
        store.close()
    }

    /// The driver is killed after each step: from the line on that makes them count all are published, before it none.
    @Test(
        arguments: [PublishStep.checked, .madeReadOnly, .intentLogged, .moved, .directorySynced], Durability.allCases)
    func settlesACrash(after step: PublishStep, durability: Durability) throws {
        let place = try TemporaryStore()
        do {
            let (store, requests) = try begin(place, durability)
            store.stopAfter.withLock { $0 = step }
            _ = store.publishTogether(requests, run: "r")
        }
        let store = try place.open(durability: durability)
        #expect(store.recovery.problems == [])
        switch step {
        case .checked, .madeReadOnly:
            #expect(published(place).isEmpty)
            #expect(try place.quarantined() == [table, table, table])
        default:
            #expect(published(place) == Self.names)
            #expect(try place.quarantined() == [])
            #expect(try place.events("sealed").count == 3)
        }
        store.close()
        #expect(try place.open().recovery.isEmpty)
        try place.verifyLedger()
    }

    /// Every system call of it fails once, and the driver is killed then, or puts away what was refused: all are published or none, after the
    /// next opening at the latest, and no bytes are lost.
    @Test(arguments: [(Durability.relaxed, true), (.synced, false)])
    func everyCallMayFail(durability: Durability, isKilled: Bool) throws {
        var counts = try fail(nil, 0, durability, isKilled)
        counts[.fileSystem] = nil
        #expect(counts[.renameWithoutReplacing, default: 0] >= 3 && counts[.sync, default: 0] >= 3, "\(counts)")
        for (call, count) in counts {
            for number in 1...count { _ = try fail(call, number, durability, isKilled) }
        }
    }

    /// - Returns: how many calls of each kind were made.
    private func fail(
        _ call: Faults.Call?, _ number: Int, _ durability: Durability, _ isKilled: Bool
    ) throws -> [Faults.Call: Int] {
        let place = try TemporaryStore(in: "/dev/shm")
        let made = Count()
        let what = "\(durability), the \(number). \(call?.rawValue ?? "") fails"
        let texts = (0..<3).map { table + "\($0)\t0\n" }
        var isSealed = false
        do {
            let (store, requests) = try begin(place, durability, texts: texts)
            let outcome = Faults.with({ found, _ in
                made.add(found) == number && found == call ? .fails(.ioError) : nil
            }) { store.publishTogether(requests, run: "r") }
            switch outcome {
            case .sealed:
                isSealed = true
                #expect(published(place) == Self.names, "\(what)")
            case .refused(let faults, let stuck):
                #expect(!faults.isEmpty && stuck.isEmpty && published(place).isEmpty, "\(what)")
                if !isKilled {
                    let kept = requests.map {
                        TogetherKept(
                            staged: $0.staged, path: "production/x/" + $0.name, record: $0.record, origin: nil)
                    }
                    _ = store.keepTogether(
                        kept, of: .init(), owner: (geteuid(), getegid()), reason: "why", rule: .storeFailed)
                }
            }
            if !isKilled { store.close() }
        }
        let store = try place.open(durability: durability)
        #expect(store.recovery.problems == [], "\(what)")
        let there = published(place)
        // Who was told that nothing is published finds nothing.
        #expect(there == (isSealed ? Self.names : []), "\(what)")
        let found = try files(below: "base_layer", of: place) + files(below: ".artifactfs/quarantine", of: place)
        let kept = try found.filter { $0.hasSuffix(".tsv") }.map { try place.read($0) }
        #expect(kept.sorted() == texts, "\(what): \(found)")
        try place.verifyLedger()
        store.close()
        return made.all
    }

    /// Calls of each kind.
    private final class Count: Sendable {
        private let made = Mutex<[Faults.Call: Int]>([:])
        var all: [Faults.Call: Int] { made.withLock { $0 } }

        func add(_ call: Faults.Call) -> Int {
            made.withLock { made in
                made[call, default: 0] += 1
                return made[call, default: 0]
            }
        }
    }

    private func files(below path: String, of place: TemporaryStore) throws -> [String] {
        let descriptor = try FileDescriptor.open(place.path + "/" + path, .readOnly)
        return try Directory(owning: descriptor).entries().flatMap { entry in
            let name = path + "/" + entry.name
            return entry.isDirectory ? try files(below: name, of: place) : [name]
        }
    }

    /// The line that makes them count is cut off, or did not come: none is published.
    @Test(arguments: [0, 20]) func withoutItsLineNothingCounts(left: Int) throws {
        let place = try TemporaryStore()
        do {
            let (store, requests) = try begin(place)
            store.stopAfter.withLock { $0 = .intentLogged }
            _ = store.publishTogether(requests, run: "r")
        }
        let ledger = try place.ledgerFile()
        let text = try place.read(".artifactfs/ledger/" + ledger.name)
        let last = try #require(text.dropLast().lastIndex(of: "\n"))
        #expect(text[last...].contains("run-sealing"))
        let cut = String(text[...last] + text[last...].dropFirst().prefix(left))
        try place.write(".artifactfs/ledger/" + ledger.name, cut)
        let store = try place.open()
        #expect(published(place).isEmpty && store.recovery.problems == [])
        #expect(try place.quarantined() == [table, table, table])
        #expect(try place.events("quarantined").allSatisfy { $0["reason"]?.string?.contains("all or nothing") == true })
        store.close()
        #expect(try place.open().recovery.isEmpty)
    }
}
