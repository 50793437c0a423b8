import Artifacts
import Glibc
import Synchronization
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
        guard case .quarantined(let reason, .failedCheck) = outcome else {
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
}
