import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// File systems that are not this machine's alone, and replies that are lost on their way.
@Suite struct FaultTests {
    /// What a call is on the network's file systems: some know the flag and replace.
    private static func remote(_ call: Faults.Call) -> Faults.Fault? {
        switch call {
        case .fileSystem: .fails(.ioError)
        case .renameWithoutReplacing: .fails(.ioError)
        default: nil
        }
    }

    private func publish(_ place: TemporaryStore, _ decide: @escaping @Sendable (Faults.Call, String) -> Faults.Fault?)
        throws -> PublishOutcome
    {
        let store = try place.open()
        let staged = try TemporaryStore.stage(store, table)
        let outcome = Faults.with(decide) { store.publish(TemporaryStore.request(store, staged)) }
        store.close()
        return outcome
    }

    @Test func linksWhereRenamingMayReplace() throws {
        let place = try TemporaryStore()
        guard case .sealed = try publish(place, { call, _ in Self.remote(call) }) else {
            Issue.record("not sealed")
            return
        }
        #expect(try place.attributes("base_layer/gene_manifest.tsv").st_nlink == 1)
        guard case .quarantined(_, .anotherWriter) = try publish(place, { call, _ in Self.remote(call) }) else {
            Issue.record("not refused")
            return
        }
        #expect(try place.read("base_layer/gene_manifest.tsv") == table)
        #expect(try place.quarantined() == [table])
        #expect(try place.names(".artifactfs/staging") == [])
    }

    /// Whatever link and unlink say when they have done it, the file is published, once.
    @Test(arguments: [Errno.fileExists, .ioError, .timedOut, .staleNFSFileHandle, .notPermitted])
    func aLostReplyIsASuccess(error: Errno) throws {
        for lost in [Faults.Call.link, .unlink] {
            let place = try TemporaryStore()
            let outcome = try publish(place) { call, name in
                if call == lost, lost == .unlink || name == "gene_manifest.tsv" { return .isDoneAndFails(error) }
                return Self.remote(call)
            }
            guard case .sealed = outcome else {
                Issue.record("\(lost) \(error): \(outcome)")
                continue
            }
            #expect(try place.read("base_layer/gene_manifest.tsv") == table)
            #expect(try place.quarantined() == [] && place.names(".artifactfs/staging") == [])
            #expect(try place.events("sealed").count == 1)
        }
    }

    @Test func anErrorIsAnError() throws {
        let place = try TemporaryStore()
        let outcome = try publish(place) { call, name in
            call == .link && name == "gene_manifest.tsv" ? .fails(.ioError) : Self.remote(call)
        }
        guard case .quarantined(let reason, .storeFailed) = outcome else {
            Issue.record("not refused")
            return
        }
        #expect(reason.hasPrefix("it could not be moved to its place"))
        #expect(!place.exists("base_layer/gene_manifest.tsv"))
        #expect(try place.quarantined() == [table])
    }

    /// Without links the flag is all there is, where nothing is seen under the name.
    @Test func withoutLinks() throws {
        let place = try TemporaryStore()
        let withoutLinks: @Sendable (Faults.Call, String) -> Faults.Fault? = { call, _ in
            switch call {
            case .fileSystem: .fails(.ioError)
            case .link: .fails(.notPermitted)
            default: nil
            }
        }
        guard case .sealed = try publish(place, withoutLinks) else {
            Issue.record("not sealed")
            return
        }
        guard case .quarantined(_, .anotherWriter) = try publish(place, withoutLinks) else {
            Issue.record("not refused")
            return
        }
        #expect(try place.read("base_layer/gene_manifest.tsv") == table)
    }

    /// The name in staging that could not be removed is not a second file for recovery.
    @Test func anotherNameThatStays() throws {
        let place = try TemporaryStore()
        let outcome = try publish(place) { call, name in
            call == .unlink && name.hasPrefix("a-") ? .fails(.ioError) : Self.remote(call)
        }
        guard case .sealed = outcome else {
            Issue.record("not sealed")
            return
        }
        #expect(try place.attributes("base_layer/gene_manifest.tsv").st_nlink == 2)
        let store = try place.open()
        #expect(store.recovery.isEmpty)
        store.close()
        #expect(try place.attributes("base_layer/gene_manifest.tsv").st_nlink == 1)
        #expect(try place.quarantined() == [] && place.names(".artifactfs/staging") == [])
    }

    /// File systems limit the links of one file; a mount goes on with another.
    @Test func aLockThatTakesNoMoreLinks() throws {
        let place = try TemporaryStore()
        let (store, other) = (try place.open(), try place.open())
        let full = Mutex(true)
        let target = { (store: Store) in Staging.Target(directory: store.directory("base_layer"), name: "a.tsv") }
        let hint = "production/base/gene_manifest/a.tsv"
        try Faults.with({ call, _ in
            call == .link
                && full.withLock({ full in
                    defer { full = false }; return full
                }) ? .fails(.tooManyLinks) : nil
        }) {
            let (_, descriptor) = try #require(store.staging).create(
                hint: hint, kind: .artifact, mode: 0o600, target: target(store))
            SystemCall.close(descriptor)
        }
        #expect(throws: Errno.fileExists) {
            try #require(other.staging).create(hint: hint, kind: .artifact, mode: 0o600, target: target(other))
        }
        store.close()
        #expect(try place.names(".artifactfs/reserved") == [])
        #expect(try place.names(".artifactfs/staging").count == 1)
    }

    /// Who could not make a link has none to take away.
    @Test(arguments: [Errno.noSpace, .notPermitted]) func withoutALinkNothingIsTakenAway(error: Errno) throws {
        let place = try TemporaryStore()
        let stores = [try place.open(), try place.open()]
        let create = { (store: Store) throws -> RealFile in
            let (file, descriptor) = try #require(store.staging).create(
                hint: "production/base/gene_manifest/a.tsv", kind: .artifact, mode: 0o600,
                target: .init(directory: store.directory("base_layer"), name: "a.tsv"))
            SystemCall.close(descriptor)
            return file
        }
        let first = try Faults.with({ call, _ in call == .link ? .fails(error) : nil }) { try create(stores[0]) }
        _ = try create(stores[1])
        try #require(stores[0].staging).remove(first)
        #expect(try place.names(".artifactfs/reserved") == ["base_layer%2Fa.tsv"])
        #expect(throws: Errno.fileExists) { try create(stores[0]) }
    }

    /// A name that could not be given back is given back with the next, and by the next mount when this one has ended.
    @Test func namesThatCouldNotBeGivenBack() throws {
        let place = try TemporaryStore()
        let stores = [try place.open(), try place.open()]
        let create = { (store: Store, name: String) throws -> RealFile in
            let (file, descriptor) = try #require(store.staging).create(
                hint: "production/base/gene_manifest/" + name, kind: .artifact, mode: 0o600,
                target: .init(directory: store.directory("base_layer"), name: name))
            SystemCall.close(descriptor)
            return file
        }
        let failing: @Sendable (Faults.Call, String) -> Faults.Fault? = { call, name in
            call == .unlink && name == "base_layer%2Fa.tsv" ? .fails(.ioError) : nil
        }
        let (first, second) = (try create(stores[0], "a.tsv"), try create(stores[0], "b.tsv"))
        try Faults.with(failing) { try #require(stores[0].staging).remove(first) }
        #expect(throws: Errno.fileExists) { try create(stores[1], "a.tsv") }
        try #require(stores[0].staging).remove(second)
        #expect(try place.names(".artifactfs/reserved") == [])
        try #require(stores[1].staging).remove(try create(stores[1], "a.tsv"))
        // One that is taken again before is not given back under its new holder.
        let third = try create(stores[0], "a.tsv")
        try Faults.with(failing) { try #require(stores[0].staging).remove(third) }
        let fourth = try create(stores[0], "a.tsv")
        try #require(stores[0].staging).remove(try create(stores[0], "b.tsv"))
        #expect(try place.names(".artifactfs/reserved") == ["base_layer%2Fa.tsv"])
        try Faults.with(failing) {
            try #require(stores[0].staging).remove(fourth)
            stores[0].close()
        }
        #expect(try place.names(".artifactfs/reserved") == ["base_layer%2Fa.tsv"])
        // Its lock goes with the object, as with a process.
        stores[1].close()
    }

    /// What a mount left of which nothing else is left is removed when the store is opened next; what a living one has stays.
    @Test func namesOfNobodyGoWithTheNextOpening() throws {
        let place = try TemporaryStore()
        func create(_ store: Store, _ name: String) throws -> RealFile {
            let (file, descriptor) = try #require(store.staging).create(
                hint: "production/base/gene_manifest/" + name, kind: .artifact, mode: 0o600,
                target: .init(directory: store.directory("base_layer"), name: name))
            SystemCall.close(descriptor)
            return file
        }
        let living = try place.open()
        _ = try create(living, "living.tsv")
        do {
            let store = try place.open()
            for name in ["a.tsv", "b.tsv"] { _ = try create(store, name) }
            Faults.with({ call, name in call == .unlink && name.hasPrefix("base_layer") ? .fails(.ioError) : nil }) {
                store.close()
            }
        }
        #expect(try place.names(".artifactfs/reserved").count == 3)
        try place.open().close()
        #expect(try place.names(".artifactfs/reserved") == ["base_layer%2Fliving.tsv"])
    }
}

/// A store that has no room, or fails, at each of the calls that publishing makes.
@Suite struct FailingStoreTests {
    private static let target = "base_layer/gene_manifest.tsv"

    private static func isIn(_ step: String, _ call: Faults.Call, _ name: String) -> Bool {
        switch step {
        case "read": call == .read
        case "ledger": call == .write
        case "rename": call == .renameWithoutReplacing && name == "gene_manifest.tsv"
        default: false
        }
    }

    /// It stays staged, with its mark, and the next try publishes it.
    @Test(
        arguments: ["read", "ledger", "rename"],
        [Errno.noSpace, .diskQuotaExceeded, .ioError, .readOnlyFileSystem])
    func itWaits(step: String, error: Errno) throws {
        for durability in Durability.allCases {
            let place = try TemporaryStore()
            let store = try place.open(durability: durability)
            let hint = "production/base/gene_manifest/gene_manifest.tsv"
            let staging = try #require(store.staging)
            let file = try #require(
                staging.finish(try TemporaryStore.stage(store, table, hint: hint), process: 4711))
            var request = TemporaryStore.request(store, file)
            request.canWait = true
            let outcome = Faults.with({ call, name in Self.isIn(step, call, name) ? .fails(error) : nil }) {
                store.publish(request)
            }
            guard case .waiting(let reason, let rule) = outcome else {
                Issue.record("\(step) \(error): \(outcome)")
                continue
            }
            let isForRoom = error == .noSpace || error == .diskQuotaExceeded
            #expect(rule == (isForRoom ? .noRoom : .storeFailed) && reason.contains("\(error)"))
            #expect(try !place.exists(Self.target) && place.quarantined() == [])
            #expect(file.exists, "it stays staged")
            #expect(try file.attributes().permissions & 0o200 != 0, "as it was")
            guard case .sealed = store.publish(request) else {
                Issue.record("\(step) \(error): not published afterwards")
                continue
            }
            #expect(try place.read(Self.target) == table && place.quarantined() == [])
            #expect(!file.exists)
            store.close()
            try place.verifyLedger()
        }
    }

    /// What fsync(2) could not bring to disk may be lost although the next fsync says nothing.
    @Test(arguments: [Errno.ioError, .noSpace]) func whatIsNotOnDisk(error: Errno) throws {
        let place = try TemporaryStore()
        let store = try place.open(durability: .synced)
        var request = TemporaryStore.request(store, try TemporaryStore.stage(store, table))
        request.canWait = true
        let outcome = Faults.with({ call, _ in call == .sync ? .fails(error) : nil }) { store.publish(request) }
        guard case .quarantined(let reason, .storeFailed) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(reason.contains("brought to disk"))
        #expect(try !place.exists(Self.target) && place.quarantined() == [table])
    }

    /// What waits was checked and says what it is: so another run of the machine publishes it too, and nothing else.
    @Test(arguments: Durability.allCases, [table, "gene\tscore\nA\t1\nB\t3\n"])
    func inAnotherRunOfTheMachine(durability: Durability, text: String) throws {
        let place = try TemporaryStore()
        do {
            let store = try place.open(durability: durability)
            let staging = try #require(store.staging)
            let hint = "production/base/gene_manifest/gene_manifest.tsv"
            let file = try #require(
                staging.finish(try TemporaryStore.stage(store, table, hint: hint), process: 4711))
            var request = TemporaryStore.request(store, file)
            request.canWait = true
            guard
                case .waiting = Faults.with(
                    { call, name in Self.isIn("ledger", call, name) ? .fails(.noSpace) : nil },
                    { store.publish(request) })
            else {
                Issue.record("it does not wait")
                return
            }
            let directory = ".artifactfs/staging/" + staging.mountID + "/"
            if text != table { try place.write(directory + file.name, text) }
            let lock = try place.read(directory + Staging.lockName)
            let other = lock.split(separator: Machine.boot, omittingEmptySubsequences: false).joined(separator: "other")
            try place.write(directory + Staging.lockName, other)
        }
        let store = try place.open(durability: durability)
        #expect(store.recovery.finished == (text == table ? [Self.target] : []))
        #expect(try place.quarantined() == (text == table ? [] : [text]))
        #expect(place.exists(Self.target) == (text == table))
    }

    /// A move that was done and reported an error is found done.
    @Test func aMoveThatWasDone() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        var request = TemporaryStore.request(store, try TemporaryStore.stage(store, table))
        let descriptor = try request.staged.open(O_RDONLY)
        defer { SystemCall.close(descriptor) }
        (request.descriptor, request.canWait) = (descriptor, true)
        let outcome = Faults.with({ call, name in
            Self.isIn("rename", call, name) ? .isDoneAndFails(.ioError) : nil
        }) { store.publish(request) }
        guard case .waiting = outcome, case .sealed = store.publish(request) else {
            Issue.record("\(outcome)")
            return
        }
        #expect(try place.read(Self.target) == table && place.quarantined() == [])
    }

    /// Recovery leaves what it cannot publish for the next time, whatever stage it had reached, and the others are settled.
    @Test(arguments: [PublishStep.checked, .intentLogged], [Errno.noSpace, .ioError, .readOnlyFileSystem])
    func recoveryLeavesIt(step: PublishStep, error: Errno) throws {
        let place = try TemporaryStore()
        do {
            let store = try place.open()
            let staging = try #require(store.staging)
            let hint = "production/base/gene_manifest/gene_manifest.tsv"
            let file = try #require(
                staging.finish(try TemporaryStore.stage(store, table, hint: hint), process: 4711))
            store.stopAfter.withLock { $0 = step }
            _ = store.publish(TemporaryStore.request(store, file))
            let other = try TemporaryStore.stage(store, table, hint: "production/base/splice_errors/chr1.tsv")
            #expect(other.exists)
        }
        do {
            let store = try Faults.with({ call, name in
                Self.isIn("rename", call, name) ? .fails(error) : nil
            }) { try place.open() }
            #expect(store.recovery.waiting.count == 1 && store.recovery.problems == [], "\(store.recovery)")
            #expect(store.recovery.quarantined == ["production/base/splice_errors/chr1.tsv"])
            #expect(!place.exists(Self.target))
            let report = store.recoverAgain()
            #expect(report.finished == [Self.target] && report.waiting.isEmpty, "\(report)")
            #expect(try place.read(Self.target) == table)
            store.close()
        }
        #expect(try place.names(".artifactfs/staging") == [])
        try place.verifyLedger()
    }
}
