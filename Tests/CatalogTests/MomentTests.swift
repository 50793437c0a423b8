import ArtifactRecords
import Artifacts
import Queries
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import Catalog

/// What was in production at a moment, against a log of what was done.
@Suite struct MomentTests {
    private static let directories = ["production/base/splice_errors", "production/meta/meta_metrics"]

    /// An artifact, as the log has it.
    private struct Present: Hashable { let version: Int64, sha256: String }

    private static func time(_ event: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "2026-02-15T\(two(event / 3600)):\(two(event / 60 % 60)):\(two(event % 60)).000000000Z"
    }

    /// A thousand events of two hosts, in every order: what is taken up while they come is what a catalog has that is made at the end.
    @Test(arguments: [1, 2, 3] as [UInt64]) func aRandomHistory(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        let store = try SmallStore()
        var now: [String: (present: Present, host: String)] = [:]
        var versions: [String: Int64] = [:]
        var log: [[String: Present]] = []
        for event in 0..<1000 {
            let directory = Self.directories[Int.random(in: 0..<2, using: &generator)]
            let path = "\(directory)/chr\(Int.random(in: 1...12, using: &generator)).tsv"
            let host = Bool.random(using: &generator) ? "node" : "other"
            if let (present, _) = now[path] {
                let unsealing: Unsealing = Bool.random(using: &generator) ? .superseded : .retracted
                let left = UnsealedArtifact(
                    mount: "m", together: "\(event)", count: 1, unsealing: unsealing, path: path,
                    directory: "base_layer",
                    name: "x", version: present.version, inode: 1, size: 1, sha256: present.sha256, reason: "r", uid: 0,
                    pid: 0, command: "c")
                try store.append([.unsealIntent(left), .unsealed(left)], at: Self.time(event), host: host)
                now[path] = nil
            } else {
                let version = versions[path, default: 0] + 1
                versions[path] = version
                // Bytes come again.
                let hash = String(repeating: "\(Int.random(in: 1...3, using: &generator))", count: 64)
                let record = SmallStore.record(path) {
                    $0.artifact.version = version > 1 ? version : nil
                    $0.artifact.sha256 = hash
                    $0.artifact.size = 1
                }
                try store.append(
                    [.sealed(SmallStore.sealing(record, staged: "\(event)"), isRecovered: false)], at: Self.time(event),
                    host: host)
                now[path] = (Present(version: version, sha256: hash), host)
            }
            log.append(now.mapValues(\.present))
            if event % 97 == 0 { _ = try store.open() }
        }
        for anew in [false, true] {
            let catalog = try store.open(anew: anew)
            #expect(try catalog.directories() == Self.directories)
            for (event, expected) in log.enumerated() {
                let moment = try #require(CatalogWriter.time(Self.time(event)))
                var found: [String: Present] = [:]
                for directory in Self.directories {
                    for artifact in try catalog.production(at: moment, in: directory) {
                        let path = directory + "/" + artifact.name
                        let isThereNow = now[path]?.present == expected[path]
                        #expect((artifact.version == nil) == isThereNow, "\(path) at \(event)")
                        found[path] = Present(
                            version: artifact.version ?? expected[path]?.version ?? 0, sha256: artifact.sha256 ?? "")
                    }
                }
                #expect(found == expected, "at event \(event), anew \(anew)")
            }
            #expect(try catalog.production(at: 0, in: Self.directories[0]).isEmpty)
            #expect(try catalog.production(at: .max, in: "production/nowhere").isEmpty)
            // What is there now is counted once.
            #expect(try catalog.inventory().reduce(0) { $0 + $1.artifacts } == Int64(now.count))
        }
    }

    /// Former versions that were removed to make room: in every order of the hosts' ledgers, and at once or in steps.
    @Test(arguments: [false, true], [false, true]) func whatWasRemoved(isInSteps: Bool, isBefore: Bool) throws {
        let store = try SmallStore()
        let path = Self.directories[0] + "/chr1.tsv"
        let hash = String(repeating: "1", count: 64)
        // The host whose ledger is read first, or last, removes it.
        let host = isBefore ? "a" : "z"
        func line(_ version: Int64) -> LedgerEvent.RemovedVersion {
            .init(
                mount: "m", path: path, directory: "base_layer", name: "x", version: version, inode: 1, size: 1,
                sha256: hash, reason: "r", uid: 0, pid: 0, command: "c")
        }
        for version in [1, 2, 3] as [Int64] {
            let record = SmallStore.record(path) {
                $0.artifact.version = version > 1 ? version : nil
                $0.artifact.sha256 = hash
                $0.artifact.size = 1
                $0.times.sealed = TimeText.time(Self.time(Int(version) * 10))
            }
            let sealed = LedgerEvent.sealed(SmallStore.sealing(record, staged: "s\(version)"), isRecovered: false)
            try store.append([sealed], at: Self.time(Int(version) * 10), host: "node")
            guard version < 3 else { continue }
            let left = UnsealedArtifact(
                mount: "m", together: "\(version)", count: 1, unsealing: .superseded, path: path,
                directory: "base_layer", name: "x", version: version, inode: 1, size: 1, sha256: hash, reason: "r",
                uid: 0, pid: 0, command: "c")
            try store.append([.unsealed(left)], at: Self.time(Int(version) * 10 + 5), host: "node")
        }
        if isInSteps { _ = try store.open() }
        try store.append([.versionRemoved(line(1)), .versionRemoved(line(2))], at: Self.time(40), host: host)
        if isInSteps { _ = try store.open() }
        try store.append([.versionKept(line(2))], at: Self.time(41), host: host)
        let catalog = try store.open()
        func removed(_ second: Int) throws -> Int64? {
            let moment = try #require(CatalogWriter.time(Self.time(second)))
            let found = try catalog.production(at: moment, in: Self.directories[0])
            #expect(try catalog.removed(at: moment) == found.count { $0.removed != nil })
            return try #require(found.first).removed
        }
        #expect(try removed(12) == CatalogWriter.time(Self.time(40)))
        #expect(try removed(22) == nil && removed(32) == nil)
    }

    /// A successor with the same bytes: what leaves is the version that is named, though the other was sealed before it left.
    @Test(arguments: [false, true]) func aSuccessorWithTheSameBytes(isInSteps: Bool) throws {
        let store = try SmallStore()
        let path = Self.directories[0] + "/chr1.tsv"
        let hash = String(repeating: "1", count: 64)
        for version in [1, 2] as [Int64] {
            let record = SmallStore.record(path) {
                $0.artifact.version = version > 1 ? version : nil
                $0.artifact.sha256 = hash
            }
            let sealed = LedgerEvent.sealed(SmallStore.sealing(record, staged: "s\(version)"), isRecovered: false)
            try store.append([sealed], at: Self.time(Int(version) * 10))
            if isInSteps { _ = try store.open() }
        }
        let left = UnsealedArtifact(
            mount: "m", together: "1", count: 1, unsealing: .superseded, path: path, directory: "base_layer", name: "x",
            version: 1, inode: 1, size: 1, sha256: hash, reason: "r", uid: 0, pid: 0, command: "c")
        try store.append([.unsealed(left)], at: Self.time(21))
        for anew in [false, true] {
            let catalog = try store.open(anew: anew)
            let query = try Query("state in (sealed, superseded)", of: .artifacts, .utc(now: 1_794_659_415))
            let rows = try catalog.values(query, [Field(.version), Field(.state)]).map { $0.map(\.text) }
            #expect(Set(rows) == [["1", "superseded"], ["2", "sealed"]], "\(rows)")
        }
    }
}
