import ArtifactRecords
import Artifacts
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import Catalog

/// What was made from something that is not what it was.
@Suite struct StaleTests {
    private static let directory = "production/base/splice_errors/"

    private func hash(_ text: String) throws -> String { try SHA256.digest(text.utf8) }

    private func sealed(
        _ name: String, _ bytes: String, at minute: Int,
        from inputs: [(name: String, bytes: String?, how: ArtifactRecord.How)]
    ) throws -> (LedgerEvent, String) {
        let hash = try hash(bytes)
        let all = try inputs.map { input in
            var one = ArtifactRecord.Input()
            (one.path, one.how) = (Self.directory + input.name, input.how)
            one.sha256 = try input.bytes.map { try self.hash($0) }
            return one
        }
        let record = SmallStore.record(Self.directory + name) {
            $0.artifact.sha256 = hash
            $0.inputs = all
        }
        return (.sealed(SmallStore.sealing(record, staged: "\(name)\(minute)"), isRecovered: false), time(minute))
    }

    private func time(_ minute: Int) -> String { "2026-02-15T14:\(minute < 10 ? "0" : "")\(minute):00.000000000Z" }

    private func left(_ name: String, _ bytes: String, _ version: Int64 = 1, _ unsealing: Unsealing = .superseded)
        throws
        -> LedgerEvent
    {
        .unsealed(
            UnsealedArtifact(
                mount: "m", together: "t\(name)\(version)", count: 1, unsealing: unsealing, path: Self.directory + name,
                directory: "base_layer", name: name, version: version, inode: 1, size: 1, sha256: try hash(bytes),
                reason: "r",
                uid: 0, pid: 0, command: "c"))
    }

    @Test func atAnyDepthAndForCertain() throws {
        let store = try SmallStore()
        func add(_ event: (LedgerEvent, String)) throws { try store.append([event.0], at: event.1) }
        try add(try sealed("a", "a1", at: 1, from: []))
        try add(try sealed("b", "b1", at: 2, from: [("a", "a1", .process)]))
        try add(try sealed("c", "c1", at: 3, from: [("b", "b1", .pipe)]))
        try add(try sealed("d", "d1", at: 4, from: [("c", "c1", .declared)]))
        try add(try sealed("guess", "g1", at: 5, from: [("a", "a1", .job)]))
        try add(try sealed("other", "o1", at: 6, from: [("a", "another", .process)]))
        try add(try sealed("named", "n1", at: 7, from: [("a", nil, .declared)]))
        try add(try sealed("circle", "x1", at: 8, from: [("c", "c1", .process), ("circle", "x1", .declared)]))
        #expect(try store.open().stale() == [])
        try store.append([try left("a", "a1")], at: time(20))
        for anew in [false, true] {
            let stale = try store.open(anew: anew).stale()
            #expect(
                stale.map { "\($0.path.dropFirst(Self.directory.count)) \($0.depth)" } == [
                    "b 1", "named 1", "c 2", "d 3", "circle 3",
                ], "\(stale)")
            #expect(stale.first?.inputs.first?.left == "superseded" && stale.first?.inputs.first?.version == 1)
            #expect(stale[2].inputs.map(\.path) == [Self.directory + "b"])
        }
        // What was made anew from what has the name now is not; what was made from the former one still is.
        try add(try sealed("a", "a2", at: 21, from: []))
        try store.append([try left("b", "b1")], at: time(22))
        try add(try sealed("b", "b2", at: 23, from: [("a", "a2", .process)]))
        let later = try store.open().stale()
        #expect(Set(later.map { String($0.path.dropFirst(Self.directory.count)) }) == ["named", "c", "d", "circle"])
        // The same bytes are back.
        try store.append([try left("a", "a2", 2, .retracted)], at: time(24))
        try add(try sealed("a", "a1", at: 25, from: []))
        try store.append([try left("b", "b2", 2)], at: time(26))
        try add(try sealed("b", "b1", at: 27, from: [("a", "a1", .process)]))
        #expect(try store.open().stale() == [])
    }
}
