import ArtifactRecords
import GRDB
import Glibc
import Queries
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import Catalog

/// The catalog has what the ledgers tell, and is made anew when it is not as it should be.
@Suite struct CatalogTests {
    private func sealed(_ path: String, _ staged: String, _ change: (inout ArtifactRecord) -> Void = { _ in })
        -> LedgerEvent
    {
        .sealed(SmallStore.sealing(SmallStore.record(path, change), staged: staged), isRecovered: false)
    }

    private func intent(_ path: String, _ staged: String) -> LedgerEvent {
        .sealIntent(SmallStore.sealing(SmallStore.record(path), staged: staged))
    }

    private func not(_ path: String, _ staged: String) -> LedgerEvent.NotPublished {
        .init(
            mount: "m", staged: staged, reason: "it is cut", rule: "failed-check", record: SmallStore.record(path).json)
    }

    @Test func whatIsNewIsTakenUp() throws {
        let store = try SmallStore()
        try store.append([intent("production/a", "1"), sealed("production/a", "1")])
        #expect(try store.open().paths("") == ["production/a"])
        try store.append([sealed("production/b", "2")])
        try store.append([sealed("production/c", "1")], host: "other")
        #expect(try store.open().paths("") == ["production/a", "production/b", "production/c"])
        #expect(try store.open(anew: true).paths("") == ["production/a", "production/b", "production/c"])
    }

    /// An intent counts until it is settled, whenever that is read.
    @Test(arguments: [true, false]) func intents(areReadOnTheirWay: Bool) throws {
        let store = try SmallStore()
        try store.append(["a", "b", "c", "d", "e"].enumerated().map { intent("production/\($1)", "\($0)") })
        if areReadOnTheirWay { #expect(try store.open().paths("").count == 5) }
        try store.append([
            sealed("production/a", "0"), .restored(not("production/b", "1")),
            .sealAbandoned(not("production/c", "2")), .quarantined(not("production/d", "3"), as: "Q-d"),
        ])
        let catalog = try store.open()
        #expect(try catalog.paths("state = sealed") == ["production/a", "production/e"])
        #expect(try catalog.paths("state = quarantined") == ["production/d"])
    }

    @Test func whatLeavesQuarantine() throws {
        let store = try SmallStore()
        try store.append(
            ["a", "b", "c"].enumerated().map { .quarantined(not("production/\($1)", "\($0)"), as: "Q-\($1)") })
        #expect(try store.open().paths("state = quarantined").count == 3)
        let left = LedgerEvent.LeftQuarantine(
            mount: "m", quarantined: "Q-a", path: "production/a", size: 1, uid: 0, pid: 1, command: "rm")
        try store.append([
            .discarded(left),
            sealed("production/b", "Q-b") { record in
                record.recovered = .init()
                record.recovered?.id = "Q-b"
            },
        ])
        let catalog = try store.open()
        #expect(try catalog.paths("state = quarantined") == ["production/c"])
        #expect(try catalog.paths("state = sealed") == ["production/b"])
    }

    @Test func runsParametersAndMetrics() throws {
        let store = try SmallStore()
        let said = JSONValue(
            parsing: Array(
                #"""
                {"experiment": "splice", "command": ["python3", "train it.py"], "parameters": {"lr": 0.001, "model": "cnn"},
                "config": {"lr": 5, "data": {"window": 400}, "tags": ["a", "b"]}}
                """#.utf8))
        let facts = try #require(said?.object)
        try store.append(
            [.runBegun(.init(mount: "m", run: "R1", session: "20260215_143022", uid: 0, pid: 1, facts: facts))],
            at: "2026-02-15T14:30:22.500000000Z")
        try store.append([
            sealed("production/meta/meta_models/a", "1") {
                $0.run = .init(); $0.run?.id = "R1"; $0.run?.experiment = "splice"
            },
            .runEnded(
                .init(
                    mount: "m", run: "R1", session: "20260215_143022", uid: 0, pid: 1,
                    facts: ["status": .integer(0), "seconds": .number(2.5)])),
            .runBegun(.init(mount: "m", run: "R2", session: "20260215_143023", uid: 0, pid: 1, facts: [:])),
        ])
        let session = store.directory.path + "/base_layer/dev/20260215_143022"
        try SystemCall.makeDirectory(SystemCall.currentDirectory, session, 0o755)
        try write(
            #"{"metrics": {"train": [{"epoch": 1, "auc": 0.5}, {"epoch": 2, "auc": 0.9}], "loss": [3, 1, 2]}}"#,
            to: session + "/metadata.json")
        let catalog = try store.open()
        #expect(
            try catalog.paths("param.lr = 1e-3 and param.model = cnn and param.data.window > 300") == [
                "production/meta/meta_models/a"
            ])
        #expect(try catalog.paths("param.window = 400") == ["production/meta/meta_models/a"], "the end of a name")
        #expect(try catalog.paths("metric.auc > 0.8 and metric.loss = 2") == ["production/meta/meta_models/a"])
        #expect(try catalog.paths("metric.auc > 0.95") == [] && catalog.paths("metric.gone is unknown").count == 1)
        let columns = [
            Field(.run), Field(.experiment), Field(.command), Field(.begun), Field(.seconds), Field(.status),
            Field(.state),
            Field(.made), Field(.metric, "auc"), Field(.param, "lr"), Field(.user),
        ]
        let runs = try catalog.values(.all, columns, .runs)
        #expect(
            runs.map { $0.map(\.text) } == [
                [
                    "R1", "splice", "python3 'train it.py'", "2026-02-15T14:30:22.500000000Z", "2.5", "0", "ended", "1",
                    "0.9", "0.001", "root",
                ],
                ["R2", "", "", "2026-02-15T14:30:22.000000000Z", "", "", "unknown", "0", "", "", "root"],
            ])
        // The file has changed.
        try write(#"{"metrics": {"auc": 0.97}}"#, to: session + "/metadata.json")
        #expect(try store.open().paths("metric.auc > 0.95") == ["production/meta/meta_models/a"])
        #expect(try store.open().paths("metric.loss is known") == [])
    }

    /// Numbers are numbers, whatever people write; of very much the first is known.
    @Test func metricsOfAllKinds() throws {
        let store = try SmallStore()
        func metrics(_ name: String, _ text: String, _ format: String = ".json") throws {
            try write(text, to: store.directory.path + "/meta_layer/" + name)
            let record = SmallStore.record("production/meta/meta_metrics/" + name) {
                $0.artifact.type = "meta_metrics"
                $0.artifact.format = format
            }
            let intent = SmallStore.sealing(record, staged: name, directory: "meta_layer", name: name)
            try store.append([.sealed(intent, isRecovered: false)])
        }
        try metrics("nan.json", #"{"loss": NaN, "auc": Infinity, "f1": [0.5, NaN]}"#)
        try metrics("lines.jsonl", "{\"loss\": 3}\n{\"loss\": 1}\nno json\n", ".jsonl")
        try metrics("many.json", "{" + (0..<50_000).map { #""m\#($0)": \#($0)"# }.joined(separator: ",") + "}")
        try metrics("large.json", #"{"a": ""# + String(repeating: "x", count: 10_000_000) + #"", "b": 1}"#)
        try metrics("names.json", "{\"a\\nb\\u001b[31m\": 1, \"\": 2, \"x\": {\"y\": {\"z\": 4}}}")
        try metrics("deep.json", String(repeating: #"{"a":"#, count: 500) + "1" + String(repeating: "}", count: 500))
        try metrics("none.json", "not json")
        symlink("/etc/passwd", store.directory.path + "/meta_layer/link.json")
        let catalog = try store.open()
        func names(_ query: String) throws -> [String] {
            try catalog.paths(query).map { String($0.dropFirst("production/meta/meta_metrics/".count)) }
        }
        #expect(try names("metric.loss = 1") == ["lines.jsonl"] && names("metric.loss is unknown").contains("nan.json"))
        // NaN is no number to be found by, and what stands beside it is.
        #expect(
            try names("metric.auc > 1e300") == ["nan.json"]
                && names("min f1 = 0.5".replacing("min f1", with: "metric.f1")) == [])
        #expect(try names("metric.m5 = 5") == ["many.json"] && names("metric.m40000 is known") == [])
        #expect(try names("metric.b = 1") == ["large.json"] && names("metric.z = 4") == ["names.json"])
        #expect(try catalog.paths("").count == 7)
    }

    /// Takes away what lies in this user's cache.
    /// What a session measured is found when it is removed: by a catalog that goes on, and by one that is made anew, whichever host tells.
    @Test(arguments: ["node", "early", "zone"], [true, false]) func sessionsThatAreRemoved(
        _ host: String, hadFile: Bool
    )
        throws
    {
        let store = try SmallStore()
        let path = store.directory.path + "/base_layer/dev/20260215_143022"
        let metadata = #"{"metrics": {"loss": 0.5, "bad": NaN}}"#
        try store.append([
            .sessionBegun(session: "20260215_143022", mount: "m"),
            .runBegun(.init(mount: "m", run: "r", session: "20260215_143022", uid: 0, pid: 1, facts: [:])),
        ])
        if hadFile {
            #expect(mkdir(path, 0o700) == 0)
            try write(metadata, to: path + "/metadata.json")
        }
        func found(anew: Bool = false) throws -> [[CatalogValue]] {
            let query = try Query("session = 20260215_143022", of: .runs, .utc(now: 1_794_659_415))
            return try store.open(anew: anew).values(query, [Field(.run), Field(.metric, "loss")], .runs)
        }
        let before = try found()
        #expect(before == [[.text("r"), hadFile ? .number(0.5) : .unknown]])
        if hadFile { #expect(unlink(path + "/metadata.json") == 0 && rmdir(path) == 0) }
        var removed = LedgerEvent.RemovedSession(
            mount: "n", session: "20260215_143022", directories: [:], files: 1, bytes: 2, reason: "it is old", uid: 0,
            pid: 1, command: "artifactfs")
        removed.metadata = metadata
        try store.append([.sessionRemoved(removed)], host: host)
        for anew in [false, false, true, false] {
            #expect(try found(anew: anew) == [[.text("r"), .number(0.5)]], "\(anew)")
        }
        // What the ledger has no room for is not known any more.
        (removed.metadata, removed.metadataLeftOut) = (nil, 1 << 20)
        try store.append([.sessionRemoved(removed)], host: host)
        for anew in [false, true] { #expect(try found(anew: anew) == [[.text("r"), .unknown]], "\(anew)") }
    }

    private func forgetCache(of catalog: Catalog, _ store: SmallStore) throws {
        guard let path = catalog.path else { return }
        #expect(!path.hasPrefix(store.directory.path))
        _ = try run(["rm", "-rf", String(path.dropLast("/catalog.sqlite".count))])
    }

    /// Of several values that which is shown is tested: the artifact's own, then its session's, then another of its run.
    @Test func whichMetricCounts() throws {
        let store = try SmallStore()
        let session = store.directory.path + "/base_layer/dev/20260215_143022"
        try SystemCall.makeDirectory(SystemCall.currentDirectory, session, 0o755)
        try write(#"{"metrics": {"a": {"loss": 2}, "loss": 3, "only": 7}}"#, to: session + "/metadata.json")
        try write(#"{"loss": 0.5}"#, to: store.directory.path + "/meta_layer/own.json")
        try store.append([
            .runBegun(.init(mount: "m", run: "R", session: "20260215_143022", uid: 0, pid: 1, facts: [:]))
        ])
        for (name, type, format) in [("own.json", "meta_metrics", ".json"), ("model.pkl", "meta_models", ".pkl")] {
            let record = SmallStore.record("production/meta/x/" + name) {
                ($0.artifact.type, $0.artifact.format) = (type, format)
                $0.run = .init()
                $0.run?.id = "R"
            }
            let intent = SmallStore.sealing(record, staged: name, directory: "meta_layer", name: name)
            try store.append([.sealed(intent, isRecovered: false)])
        }
        let catalog = try store.open()
        let (own, model) = ("production/meta/x/own.json", "production/meta/x/model.pkl")
        for (query, paths) in [
            ("metric.loss = 0.5", [own]), ("metric.loss = 3", [model]), ("metric.loss = 2", []),
            ("metric.loss in (2, 3)", [model]),
            ("metric.a.loss = 2", [model, own]), ("metric.only = 7", [model, own]), ("not metric.loss > 1", [own]),
            ("metric.loss is known", [model, own]), ("metric.gone != 1", []),
        ] as [(String, [String])] {
            #expect(try catalog.paths(query) == paths, "\(query)")
        }
        let shown = try catalog.values(.all, [Field(.name), Field(.metric, "loss")]).map { $0.map(\.text) }.sorted {
            $0[0] < $1[0]
        }
        #expect(shown == [["model.pkl", "3"], ["own.json", "0.5"]])
        let runs = try catalog.values(.all, [Field(.metric, "loss"), Field(.made)], .runs)
        #expect(runs.map { $0.map(\.text) } == [["3", "2"]])
    }

    /// A name that was given again is the new file's; whenever that is read.
    @Test(arguments: [true, false]) func whatWasReplaced(isReadBetween: Bool) throws {
        let store = try SmallStore()
        try store.append([sealed("production/a", "1"), sealed("production/b", "2")])
        if isReadBetween { _ = try store.open() }
        try store.append([sealed("production/a", "3") { $0.artifact.size = 9 }])
        let catalog = try store.open()
        #expect(try catalog.paths("state = sealed") == ["production/a", "production/b"])
        #expect(try catalog.paths("size = 9 state = sealed") == ["production/a"])
        #expect(try catalog.paths("state = replaced") == ["production/a"])
    }

    // MARK: - What is not as it should be

    /// What is no line of a ledger is said; what a crash has cut off, the ledger says itself.
    @Test func linesThatAreNone() throws {
        let store = try SmallStore()
        try store.append([sealed("production/a", "1")])
        try store.appendText(#"{"seq": 2, "prev": "#, host: "node")
        try store.append([.ledgerRepaired, sealed("production/b", "2")])
        let whole = try store.open()
        #expect(try whole.remark == nil && whole.paths("").count == 2)
        try store.appendText(#"garbage{"seq": 5}"#, host: "node")
        let broken = try store.open()
        #expect(broken.remark?.contains("a line of the ledger is not as it was written") == true)
        // Each time that it is asked.
        #expect(try store.open().remark?.contains("a line of the ledger") == true)
    }

    /// What is found to be damaged by a question only, another process that holds the database, and one that makes it.
    @Test func troubleWhileAsked() throws {
        let store = try SmallStore()
        try store.append(
            (0..<500).map { number in
                .runBegun(
                    .init(
                        mount: "m", run: "R\(number)", session: "s", uid: 0, pid: 1,
                        facts: ["parameters": .object(["lr": .integer(1)])]))
            })
        _ = try store.open()
        let queue = try DatabaseQueue(path: store.catalogPath)
        let page = try queue.read {
            try Int.fetchOne($0, sql: "SELECT rootpage FROM sqlite_master WHERE name = 'parameter'") ?? 0
        }
        try queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
        try queue.close()
        let file = try SystemCall.open(SystemCall.currentDirectory, store.catalogPath, O_WRONLY)
        _ = pwrite(file.rawValue, String(repeating: "x", count: 4096), 4096, off_t((page - 1) * 4096))
        SystemCall.close(file)
        let catalog = try store.open()
        #expect(throws: CatalogError.self) {
            _ = try catalog.values(try Query("param.lr = 1", of: .runs, .utc(now: 0)), [Field(.param, "lr")], .runs)
        }
        let anew = try store.open(anew: true)
        #expect(try anew.values(try Query("param.lr = 1", of: .runs, .utc(now: 0)), [Field(.run)], .runs).count == 500)
        #expect(throws: CatalogError.self) { try anew.paths("'" + String(repeating: "x", count: 60_000) + "'") }
        for pattern in ["((((.{1,200}){1,200}){1,200}))Z", "(", String(repeating: "a", count: 2000)] {
            #expect(throws: PatternError.self) { try anew.paths("command ~ '\(pattern)'") }
        }
        #expect(!exists(store.directory.path + "/cache"), "nothing is made where nothing is kept")
    }

    /// A catalog that is cut, no catalog, of another version, half made: it is made anew.
    @Test(arguments: ["cut", "noise", "empty", "version", "older", "damaged", "directory"]) func damage(_ kind: String)
        throws
    {
        let store = try SmallStore()
        try store.append((0..<2000).map { sealed("production/\($0)", "\($0)") })
        #expect(try store.open().paths("").count == 2000)
        let path = store.catalogPath
        switch kind {
        case "cut": #expect(truncate(path, 40_000) == 0)
        case "noise": try write("this is no catalog", to: path)
        case "empty": #expect(truncate(path, 0) == 0)
        case "damaged":
            let file = try SystemCall.open(SystemCall.currentDirectory, path, O_WRONLY)
            for place in 1..<20 { _ = pwrite(file.rawValue, "xxxxxxxxxxxxxxxx", 16, off_t(place * 4096 + 3)) }
            SystemCall.close(file)
        case "version", "older":
            let queue = try DatabaseQueue(path: path)
            try queue.writeWithoutTransaction {
                try $0.execute(sql: "PRAGMA user_version = \(kind == "older" ? 0 : 99)")
            }
            try queue.close()
        default:
            unlink(path)
            try SystemCall.makeDirectory(SystemCall.currentDirectory, path, 0o700)
        }
        let catalog = try store.open()
        #expect(try catalog.paths("").count == 2000, "\(kind)")
        if kind == "directory" {
            #expect(catalog.path != path)
            try forgetCache(of: catalog, store)
        }
    }

    /// A ledger that is not the one that was read, or is gone: what the catalog says is what is there now.
    @Test func otherLedgers() throws {
        let store = try SmallStore()
        try store.append((0..<5).map { sealed("production/\($0)", "\($0)") })
        try store.append([sealed("production/other", "1")], host: "other")
        #expect(try store.open().paths("").count == 6)
        #expect(unlink(store.directory.path + "/.artifactfs/ledger/other.jsonl") == 0)
        let less = try store.open()
        #expect(try less.paths("").count == 5 && less.remark?.contains("other.jsonl") == true)
        // Changed in the middle, and longer.
        let file = store.directory.path + "/.artifactfs/ledger/node.jsonl"
        #expect(truncate(file, 100) == 0)
        #expect(try store.open().remark?.contains("node.jsonl") == true)
    }

    /// Who reads does not wait for who writes, and says what it lacks.
    @Test func anotherProcessMakesIt() throws {
        let store = try SmallStore()
        try store.append([sealed("production/a", "1")])
        #expect(try store.open().isBehind == false)
        let lock = try SystemCall.open(
            SystemCall.currentDirectory, store.directory.path + "/.artifactfs/catalog/lock", O_RDWR)
        try SystemCall.lock(lock, waiting: false)
        try store.append([sealed("production/b", "2")])
        let behind = try store.open()
        #expect(try behind.isBehind && behind.paths("") == ["production/a"])
        SystemCall.closeLock(lock)
        #expect(try store.open().paths("").count == 2)
    }

    /// Where nothing can be written, the user's cache has it; where there is none, memory.
    @Test(.enabled(if: geteuid() == 0, "it becomes another user")) func otherPlaces() throws {
        let store = try SmallStore()
        try store.append([sealed("production/a", "1")])
        // A file system that takes nothing more.
        try SystemCall.makeDirectory(SystemCall.currentDirectory, store.directory.path + "/.artifactfs/catalog", 0o700)
        let mounted = try run([
            "mount", "-t", "tmpfs", "-o", "size=16k", "none", store.directory.path + "/.artifactfs/catalog",
        ])
        #expect(mounted.succeeded, "\(mounted)")
        defer { _ = try? run(["umount", store.directory.path + "/.artifactfs/catalog"]) }
        let catalog = try store.open()
        #expect(try catalog.paths("") == ["production/a"])
        #expect(catalog.path?.hasPrefix(store.directory.path) != true)
        try forgetCache(of: catalog, store)
    }

    /// Several at once: each sees all.
    @Test func severalAtOnce() async throws {
        let store = try SmallStore()
        try store.append((0..<300).map { sealed("production/\($0)", "\($0)") })
        let source = store.source
        let counts = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask { try Catalog.open(source).paths("").count }
            }
            return try await group.reduce(into: [Int]()) { $0.append($1) }
        }
        #expect(counts == Array(repeating: 300, count: 8))
        withExtendedLifetime(store) {}
    }
}
