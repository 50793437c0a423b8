import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// SEMANTICS 2.15: what a program of another host may have open is copied before it is sealed, so that its late writes change nothing that is sealed.
@Suite struct ForeignHandsTests {
    private static let session = "20260215_143022"
    private static let sessions = "base_layer/dev/" + session
    private static let tests = "base_layer/tests/t1"
    private static let name = "analysis_sequences_chr1.tsv"
    private static let shown = "base/analysis_sequences/chr1.tsv"
    private let place: TemporaryStore

    init() throws {
        place = try TemporaryStore(in: "/dev/shm")
        let schema = place.path + "/.artifactfs/schema.yaml"
        let text = SchemaFile.defaultText.replacing("hosts: auto", with: "hosts: several")
        let file = try FileDescriptor.open(
            schema, .writeOnly, options: [.create, .truncate], permissions: .init(rawValue: 0o644))
        defer { SystemCall.close(file) }
        try SystemCall.write(file, Array(text.utf8))
    }

    private func host(_ name: String) throws -> Store {
        try Leases.$assumedClient.withValue(StoreClient(name)) { try place.open() }
    }

    private func make(_ directory: String) throws {
        var path = place.path
        for part in directory.split(separator: "/") {
            path += "/" + part
            _ = mkdir(path, 0o755)
        }
    }

    private func fill(_ directory: String) throws {
        try make(directory)
        try place.write(directory + "/" + Self.name, table)
        try #require(chmod(place.path + "/" + directory + "/" + Self.name, 0o664) == 0)
    }

    /// What a program of another host does that has a file open.
    private func late(_ path: String) throws -> FileDescriptor {
        try FileDescriptor.open(place.path + "/" + path, .writeOnly)
    }

    private func write(_ file: FileDescriptor) throws { try SystemCall.write(file, Array("late".utf8)) }

    private static func promote(_ store: Store, _ paths: [String], keeps: Bool = false) -> PromotionSet {
        let request = PromotionRequest(paths: paths, keeps: keeps)
        var set = store.promotionSet(request)
        store.lookInside(&set)
        let isDone = store.promote(&set, request, by: .init())
        #expect(isDone == set.members.allSatisfy { $0.fault == nil }, "\(set)")
        return set
    }

    private func sealed(_ name: String = name) throws -> UInt64 {
        #expect(try place.read("base_layer/" + name) == table)
        let found = try place.attributes("base_layer/" + name)
        #expect(found.permissions == 0o444)
        return UInt64(found.st_ino)
    }

    /// A session that only this client's mounts have had moves; one that another client has had, or of which nobody knows, is copied.
    @Test(arguments: ["ours", "theirs", "theirs-before", "unknown", "test"]) func whatIsPromotedTogether(whose: String)
        throws
    {
        let name = try #require(SessionName(Self.session))
        if whose == "theirs" || whose == "theirs-before" {
            let other = try host("other")
            try other.beginSession(named: name)
            other.close()
        }
        let isTest = whose == "test"
        let store = try host("this")
        switch whose {
        case "ours": try store.beginSession(named: name)
        case "theirs": try store.resumeSession(name)
        case "theirs-before":
            // Who has it again does not forget that others had it.
            for _ in 0..<2 {
                try store.resumeSession(name)
                store.endSession(name)
            }
        default: break
        }
        let directory = isTest ? Self.tests : Self.sessions
        try fill(directory)
        let path = directory + "/" + Self.name
        let open = try late(path)
        defer { SystemCall.close(open) }
        let before = UInt64(try SystemCall.attributes(open).st_ino)
        let from = (isTest ? "test/t1/" : "development/\(Self.session)/") + Self.shown
        #expect((store.refusalToMove(from: from) == nil) == (whose == "ours"))
        Self.unseen {
            let set = Self.promote(store, [from])
            #expect(set.members.count == 1 && set.members[0].isPromoted, "\(set)")
            #expect(set.members[0].isCopied == (whose != "ours"))
        }
        #expect((try sealed() == before) == (whose == "ours"))
        #expect(!place.exists(path), "it is promoted, and does not stay")
        if whose != "ours" { try write(open) }
        _ = try sealed()
        store.close()
        #expect(try place.names(".artifactfs/quarantine") == [])
        try place.verifyLedger()
    }

    /// A program that has something open on another host is not seen by leases (fcntl(2)).
    private static func unseen<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Faults.with({ call, _ in call == .lease ? .fails(.invalidArgument) : nil }, body)
    }

    /// The same of one that is promoted alone, as by a program that uses the library: a file, and a directory, which keep their owners.
    @Test(arguments: [false, true]) func whatIsPromotedAlone(isDirectory: Bool) throws {
        let store = try host("this")
        let directory = isDirectory ? "meta_layer/tests/t1/checkpoints/checkpoint-1" : Self.tests
        let path = directory + "/" + (isDirectory ? "a.tsv" : Self.name)
        try make(directory)
        try place.write(path, table)
        for owned in [path] + (isDirectory ? [directory] : []) where geteuid() == 0 {
            try #require(chown(place.path + "/" + owned, 1234, 1234) == 0)
        }
        let open = try late(path)
        defer { SystemCall.close(open) }
        let shown = isDirectory ? "test/t1/meta/meta_checkpoints/checkpoint-1" : "test/t1/" + Self.shown
        let member = try #require(store.promotionSet(PromotionRequest(paths: [shown])).members.first)
        let promotion = try #require(member.promotion)
        let outcome = try Self.unseen {
            try promotion.publish(OverwritePolicy.stateOfPublished(in: .live), by: .init())
        }
        if case .sealed = outcome {} else { Issue.record("\(outcome)") }
        #expect(!place.exists(isDirectory ? directory : path))
        try write(open)
        let there = isDirectory ? "meta_layer/checkpoints/checkpoint-1/a.tsv" : "base_layer/" + Self.name
        #expect(try place.read(there) == table)
        if geteuid() == 0 { #expect(try place.attributes(there).st_uid == 1234) }
        store.close()
        #expect(try place.open().recovery.isEmpty)
    }

    /// What was kept back: published alone, published with others, and taken out to a session. What was written to it meanwhile stays.
    @Test(arguments: ["alone", "together", "changed", "out"]) func whatWasKeptBack(way: String) throws {
        let store = try host("this")
        let staged = try TemporaryStore.stage(store, table, hint: "production/" + Self.shown)
        try store.quarantine(
            staged, reason: "its host was cut off", rule: .makerFailed,
            record: ArtifactRecord(path: "production/" + Self.shown))
        let entry = try #require(try store.quarantine().entries().first)
        let path = ".artifactfs/quarantine/" + entry.id
        let open = try late(path)
        defer { SystemCall.close(open) }
        let destination = try #require(
            Promotion.Destination(path: "production/" + Self.shown, in: store.schema, isDirectory: false))
        try Self.unseen {
            switch way {
            case "alone": try store.publish(entry, as: destination, despite: "it is whole", by: 7)
            case "together":
                var set = store.keptSet([entry], by: 7) { _ in "it is whole" }
                #expect(store.promote(&set, PromotionRequest(paths: []), by: .init()), "\(set)")
            case "changed":
                // Between the copy and the end.
                try Faults.with({ call, name in
                    if call == .renameWithoutReplacing, name.hasSuffix(Self.name) { try? self.write(open) }
                    return call == .lease ? .fails(.invalidArgument) : nil
                }) { try store.publish(entry, as: destination, despite: "it is whole", by: 7) }
            default:
                try make(Self.tests)
                let target = RealFile(
                    directory: try store.directory(Self.tests).ensure(), name: Self.name)
                #expect(throws: Errno.improperLink, "a copy goes there (mv)") {
                    try store.takeOut(
                        entry, to: target, path: "test/t1/" + Self.shown, by: Agent(user: 7, process: 1, program: ""))
                }
            }
        }
        #expect(place.exists(path) == (way == "changed" || way == "out"))
        guard way != "out" else { return }
        try write(open)
        _ = try sealed()
        #expect(try place.names(".artifactfs/quarantine").isEmpty == (way != "changed"))
        store.close()
        try place.verifyLedger()
    }
}
