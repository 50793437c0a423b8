import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// Every system call of what the store does fails once, with every error that a disk has: of each kind the first, the second and so on, until
/// what is done does not come to that call any more. Whatever fails, the store is sound: no artifact is half there, no bytes are lost, no name is
/// taken for nothing, the ledger verifies, and the next opening settles the rest.
@Suite struct FaultSweepTests {
    static let errors: [Errno] = [.noSpace, .ioError, .tooManyOpenFiles, .diskQuotaExceeded, .readOnlyFileSystem]

    /// What is done while a call fails.
    enum Flow: String, CaseIterable, Sendable {
        /// A file is staged under a valid name and written.
        case create
        /// A staged file is published.
        case seal
        /// The same to another file system: rename says so, and the file is copied.
        case sealAcross
        /// Two are published together.
        case sealTogether
        /// A session's file is promoted.
        case promote
        /// A staged file gets another name, and gives back what it had taken.
        case rename
        /// The same onto another staged file, of which it takes over what that has taken.
        case renameOnto
        /// A staged file is put away.
        case quarantine
        /// What was put away is published.
        case publishKept
        /// The same to another file system.
        case publishKeptAcross
        /// It is discarded.
        case discard
        /// It goes to a session.
        case takeOut
        /// What a killed mount left is recovered: a file that was about to be moved to its place, a finished one, an unfinished one and one that
        /// was published already.
        case recovery
        /// Sessions and denials: lines that nobody waits for.
        case ledger
    }

    private static let name = "gene_manifest.tsv"
    private static let path = "production/base/gene_manifest/gene_manifest.tsv"

    @Test(arguments: Flow.allCases, Durability.allCases)
    func everyCallMayFail(flow: Flow, durability: Durability) throws {
        let counts = try Self.counts(flow, durability)
        #expect(!counts.isEmpty, "the flow makes calls")
        for (call, count) in counts {
            // What waits for the disk is the same but for the waiting.
            let errors = durability == .relaxed || call == .sync ? Self.errors : [.ioError]
            for error in errors {
                for number in 1...count { try Self.run(flow, durability, CountedFault(call, number, error)) }
            }
        }
    }

    /// A part was written before there was no room, or the disk failed when all was handed over.
    @Test(arguments: Flow.allCases) func whatIsDoneMayFail(flow: Flow) throws {
        let counts = try Self.counts(flow, .synced)
        for call in [Faults.Call.write, .sync] {
            for error in [Errno.noSpace, .ioError] {
                for number in 0..<counts[call, default: 0] {
                    try Self.run(flow, .synced, CountedFault(call, number + 1, error, isDone: true))
                }
            }
        }
    }

    /// How many calls of each kind a flow makes when none fails.
    private static func counts(_ flow: Flow, _ durability: Durability) throws -> [Faults.Call: Int] {
        let nothing = CountedFault(nil)
        try run(flow, durability, nothing)
        // Whether a file system is local is no call that fails.
        return nothing.counts.filter { $0.key != .fileSystem }
    }

    private static func run(_ flow: Flow, _ durability: Durability, _ fault: CountedFault) throws {
        let call = fault.call.map { "the \(fault.number). \($0.rawValue)" } ?? "nothing"
        let what = Comment("\(flow), \(durability): \(call) fails with \(fault.error)")
        let place = try TemporaryStore(in: "/dev/shm")
        try perform(flow, place, durability, fault, what)
        try check(place, durability, what)
        try checkArtifacts(place, what)
        if flow == .recovery { #expect(place.exists("base_layer/chr9.tsv"), "what is published stays so: \(what)") }
    }

    // MARK: - What is done

    private static func perform(
        _ flow: Flow, _ place: TemporaryStore, _ durability: Durability, _ fault: CountedFault, _ what: Comment
    ) throws {
        if flow == .recovery {
            try leaveRemains(place, durability)
            let store = Faults.with({ call, _ in fault.decide(call) }) {
                try? Store(at: place.path, readOnly: false, durability: durability)
            }
            store?.close()
            return
        }
        let store = try place.open(durability: durability)
        defer { store.close() }
        let staging = try #require(store.staging)
        switch flow {
        case .create:
            var made: RealFile?
            Faults.with({ call, _ in fault.decide(call) }) {
                do {
                    let (file, descriptor) = try staging.create(
                        hint: path, kind: .artifact, mode: 0o644, owner: (1, 1), target: target(store, name))
                    made = file
                    defer { SystemCall.close(descriptor) }
                    try SystemCall.write(descriptor, Array(table.utf8))
                } catch {}
            }
            // Who was refused has nothing, and whoever comes next is not refused for it.
            if made == nil { try expectFree(store, name, what) }
        case .seal:
            let staged = try stage(store, name)
            let outcome = Faults.with({ call, _ in fault.decide(call) }) {
                store.publish(TemporaryStore.request(store, staged))
            }
            try expect(outcome, name, in: place, store, what)
        case .sealAcross:
            let staged = try stage(store, name)
            let isFirst = Atomic<Bool>(true)
            let outcome = Faults.with({ call, _ in
                if call == .renameWithoutReplacing, isFirst.exchange(false, ordering: .relaxed) {
                    return .fails(.improperLink)
                }
                return fault.decide(call)
            }) {
                store.publish(TemporaryStore.request(store, staged))
            }
            try expect(outcome, name, in: place, store, what)
        case .sealTogether:
            let names = ["chr1.tsv", "chr2.tsv"]
            let staged = try names.map { try stage(store, $0) }
            let outcomes = Faults.with({ call, _ in fault.decide(call) }) {
                let outcomes = store.publish(zip(names, staged).map { TemporaryStore.request(store, $1, name: $0) })
                store.settle()
                return outcomes
            }
            for (name, outcome) in zip(names, outcomes) { try expect(outcome, name, in: place, store, what) }
        case .promote:
            let origin = try session(store)
            let promotion = try promotion(of: origin, store)
            let outcome = Faults.with({ call, _ in fault.decide(call) }) {
                try? promotion.publish(.live, by: .init())
            }
            if let outcome {
                try expect(outcome, name, in: place, store, what)
            } else {
                #expect(origin.exists, what)
                try expectFree(store, name, what)
            }
        case .rename, .renameOnto:
            let first = try stage(store, name)
            let other = "chr1.tsv"
            let former = flow == .renameOnto ? try stage(store, other) : nil
            let renamed = Faults.with({ call, _ in fault.decide(call) }) {
                try? store.restage(
                    first, as: "production/base/gene_manifest/" + other, .artifact, for: target(store, other),
                    replacing: former)
            }
            #expect(first.exists == (renamed == nil), what)
            try expectFree(store, name, isFree: renamed != nil, what)
            // Whether it succeeds or not, somebody has the name that was to be replaced, and what had it keeps its bytes.
            try expectFree(store, other, isFree: renamed == nil && former == nil, what)
            if let former { #expect(former.exists, what) }
        case .quarantine:
            let staged = try stage(store, name)
            Faults.with({ call, _ in fault.decide(call) }) {
                let record = TemporaryStore.request(store, staged).record
                _ = try? store.quarantine(staged, reason: "a test", record: record)
            }
        case .publishKept, .publishKeptAcross, .discard, .takeOut:
            try performOnKept(flow, place, store, fault, what)
        case .ledger:
            Faults.with({ call, _ in fault.decide(call) }) {
                _ = try? store.beginSession()
                try? store.ledger?.append([LedgerEntry(event: "test", ["number": .integer(1)])])
                store.settle()
            }
            // What comes later has its place in the chain.
            try store.ledger?.append([LedgerEntry(event: "test", ["number": .integer(2)])])
            #expect(try place.events("test").contains { $0["number"]?.integer == 2 }, what)
        case .recovery: break
        }
    }

    /// What was kept back goes, or stays with its reason.
    private static func performOnKept(
        _ flow: Flow, _ place: TemporaryStore, _ store: Store, _ fault: CountedFault, _ what: Comment
    ) throws {
        let staged = try stage(store, name)
        let record = TemporaryStore.request(store, staged).record
        let id = try store.quarantine(staged, reason: "a test", rule: .makerFailed, record: record)
        let entry = try store.quarantine().entry(id)
        let type = try #require(store.schema.type(named: "gene_manifest"))
        let destination = try #require(Promotion.Destination(name, of: type, in: .base))
        let session = try store.directory("base_layer/dev/20260215_143022").ensure()
        let isFirst = Atomic<Bool>(flow == .publishKeptAcross)
        let isDone = Faults.with({ call, _ in
            if call == .renameWithoutReplacing, isFirst.exchange(false, ordering: .relaxed) {
                return .fails(.improperLink)
            }
            return fault.decide(call)
        }) {
            switch flow {
            case .discard: (try? store.discard(entry, by: Agent(user: 1, process: 2, program: "rm"))) != nil
            case .takeOut:
                (try? store.takeOut(
                    entry, to: session.file(name), path: "development/x", by: Agent(user: 1, process: 2, program: "mv")))
                    != nil
            default: (try? store.publish(entry, as: destination, despite: "a test", by: 1)) != nil
            }
        }
        let isKept = try place.quarantined() == [table]
        #expect(isKept != isDone, what)
        if isKept { #expect(place.exists(".artifactfs/quarantine/\(id).reason.json"), what) }
        #expect(
            place.exists("base_layer/" + name) == (isDone && (flow == .publishKept || flow == .publishKeptAcross)), what
        )
        #expect(session.file(name).exists == (isDone && flow == .takeOut), what)
        if !place.exists("base_layer/" + name) { try expectFree(store, name, what) }
        guard flow == .discard || flow == .takeOut else { return }
        // The last word of the ledger is what is so.
        store.settle()
        let said = try place.ledger().last { $0["quarantined"]?.string == id }?["event"]?.string
        #expect(said == (isDone ? flow == .discard ? "discarded" : "taken-out" : "quarantined"), what)
    }

    private static func target(_ store: Store, _ name: String) -> Staging.Target {
        Staging.Target(directory: store.directory("base_layer"), name: name)
    }

    /// A staged file that has its name, closed and finished.
    private static func stage(_ store: Store, _ name: String) throws -> RealFile {
        let (file, descriptor) = try #require(store.staging).create(
            hint: "production/base/gene_manifest/" + name, kind: .artifact, mode: 0o644, target: target(store, name))
        defer { SystemCall.close(descriptor) }
        try SystemCall.write(descriptor, Array(table.utf8))
        return file
    }

    /// A file of a session.
    private static func session(_ store: Store) throws -> RealFile {
        let origin = try store.directory("base_layer/dev/20260215_143022").ensure().file(name)
        let descriptor = try origin.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
        defer { SystemCall.close(descriptor) }
        try SystemCall.write(descriptor, Array(table.utf8))
        return origin
    }

    private static func promotion(of origin: RealFile, _ store: Store) throws -> Promotion {
        let type = try #require(store.schema.type(named: "gene_manifest"))
        return Promotion(
            of: origin, seen: try origin.look().identity,
            from: "development/20260215_143022/base/gene_manifest/" + name,
            to: try #require(Promotion.Destination(name, of: type, in: .base)), in: store)
    }

    /// What killed mounts leave: both are dropped without being closed.
    private static func leaveRemains(_ place: TemporaryStore, _ durability: Durability) throws {
        let (store, other) = (try place.open(durability: durability), try place.open(durability: durability))
        for (store, step, name) in [(store, PublishStep.intentLogged, name), (other, .moved, "chr9.tsv")] {
            let staged = try stage(store, name)
            store.stopAfter.withLock { $0 = step }
            _ = store.publish(TemporaryStore.request(store, staged, name: name))
        }
        _ = try stage(store, "chr7.tsv")
        let staging = try #require(store.staging)
        let finished = try staging.create(
            hint: "production/base/analysis_sequences/chr8.tsv", kind: .artifact, mode: 0o644)
        try SystemCall.write(finished.descriptor, Array(table.utf8))
        SystemCall.close(finished.descriptor)
        _ = try #require(staging.finish(finished.file, process: 1))
    }

    // MARK: - What must hold

    /// A name that nothing has is to be had, and another is not.
    private static func expectFree(_ store: Store, _ name: String, isFree: Bool = true, _ what: Comment) throws {
        do {
            let (file, descriptor) = try #require(store.staging).create(
                hint: "production/base/gene_manifest/" + name, kind: .artifact, mode: 0o644,
                target: target(store, name))
            SystemCall.close(descriptor)
            try store.staging?.remove(file)
            #expect(isFree, "the name \(name) is to be had; \(what)")
        } catch { #expect(!isFree, "the name \(name) is not to be had: \(error); \(what)") }
    }

    /// What is said of a file is so, and the bytes are somewhere.
    private static func expect(
        _ outcome: PublishOutcome, _ name: String, in place: TemporaryStore, _ store: Store, _ what: Comment
    ) throws {
        let isThere = place.exists("base_layer/" + name)
        if case .sealed = outcome { #expect(isThere, what) } else { #expect(!isThere, "\(outcome); \(what)") }
        if !isThere { try expectFree(store, name, what) }
    }

    /// The bytes of each file that a flow made are at a real path, in a session, staged or in quarantine; what is at a real path is whole; the ledger
    /// verifies; and when the next mounts have opened the store, nothing is left to settle.
    private static func check(_ place: TemporaryStore, _ durability: Durability, _ what: Comment) throws {
        let before = try whole(place, what)
        try place.verifyLedger()
        let store = try place.open(durability: durability)
        #expect(store.recovery.problems == [], what)
        store.close()
        let again = try place.open(durability: durability)
        #expect(again.recovery.isEmpty, "\(again.recovery); \(what)")
        again.close()
        let after = try whole(place, what)
        #expect(after == before, "as many whole files as before: \(what)")
        #expect(try place.names(".artifactfs/staging") == [], what)
        #expect(try place.names(".artifactfs/reserved") == [], what)
        try place.verifyLedger()
    }

    /// What is at a real path has its record.
    private static func checkArtifacts(_ place: TemporaryStore, _ what: Comment) throws {
        let sealed = Set(try place.events("sealed").compactMap { $0["name"]?.string })
        for name in try place.names("base_layer") where name.hasSuffix(".tsv") {
            #expect(sealed.contains(name), "\(name) has no record: \(what)")
        }
    }

    /// How many files have all their bytes, wherever they are.
    private static func whole(_ place: TemporaryStore, _ what: Comment) throws -> Int {
        var count = 0
        for name in try place.names("base_layer") where name.hasSuffix(".tsv") || name.hasPrefix(".") {
            #expect(name.hasSuffix(".tsv"), "\(name) was left: \(what)")
            #expect(try place.read("base_layer/" + name) == table, what)
            #expect(try place.attributes("base_layer/" + name).permissions == 0o444, what)
            count += 1
        }
        if place.exists("base_layer/dev/20260215_143022") {
            for name in try place.names("base_layer/dev/20260215_143022") {
                #expect(try place.read("base_layer/dev/20260215_143022/" + name) == table, what)
                count += 1
            }
        }
        for mount in try place.names(".artifactfs/staging") {
            for name in try place.names(".artifactfs/staging/" + mount) where !name.hasPrefix(".lock") {
                let text = try place.read(".artifactfs/staging/\(mount)/\(name)")
                // One that could not be written to its end is kept, and is no whole one.
                if text == table { count += 1 }
            }
        }
        return count + (try place.quarantined().count { $0 == table })
    }
}
