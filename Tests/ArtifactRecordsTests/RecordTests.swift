import ArtifactFormats
import ArtifactRecords
import Artifacts
import Glibc
import Testing

@Suite struct RecordTests {
    /// A record in which everything is known.
    static var whole: ArtifactRecord {
        var record = ArtifactRecord()
        record.artifact.path = "production/base/analysis_sequences/chr1.tsv"
        record.artifact.type = "analysis_sequences"
        (record.artifact.layer, record.artifact.mode) = (.base, .development)
        (record.artifact.session, record.artifact.test) = ("20260215_143022", "smoke")
        (record.artifact.key, record.artifact.format) = ("chr1", ".tsv")
        (record.artifact.size, record.artifact.sha256) = (.max, String(repeating: "a", count: 64))
        (record.artifact.version, record.artifact.state) = (2, .sealed)
        record.artifact.content = FormatFacts(
            rows: 3, columns: [.init(name: "gene"), .init(name: "score", type: "INT64")],
            details: ["created_by": "polars", "row_groups": "1"])
        record.times.opened = timespec(tv_sec: 1_771_165_822, tv_nsec: 123_456_789)
        record.times.closed = timespec(tv_sec: 1_771_165_823, tv_nsec: 0)
        record.times.sealed = timespec(tv_sec: 1_771_165_824, tv_nsec: 999_999_999)
        var writer = ArtifactRecord.Writer()
        (writer.user, writer.uid, writer.gid, writer.host, writer.pid) = ("ada", .max, 100, "node7", .max)
        (writer.program, writer.argv, writer.cwd) = ("/usr/bin/python3", ["python3", "make it.py", ""], "/home/ada")
        writer.started = timespec(tv_sec: 1_771_165_800, tv_nsec: 1)
        writer.exit = .status(0)
        writer.environment = ["SLURM_JOB_ID": .string("17")]
        record.writer = writer
        var process = ArtifactRecord.Process()
        (process.pid, process.program, process.argv, process.cwd) = (1, "/bin/sh", ["sh"], "/")
        var job = ArtifactRecord.WriterJob()
        (job.id, job.kind, job.processes) = ("17", "slurm", [process, .init()])
        record.job = job
        var code = ArtifactRecord.Code()
        (code.path, code.commit, code.branch, code.remote) = (
            "/home/ada/src", "c0ffee", "main", "https://example.org/x"
        )
        (code.dirty, code.role, code.script, code.sha256) = (true, "script", "make it.py", "00")
        record.code = [code]
        var input = ArtifactRecord.Input()
        (input.path, input.version, input.sha256) = ("production/base/gene_manifest/gene_manifest.tsv", 1, "11")
        (input.how, input.at) = (.pipe, "2026-02-15T14:30:22.000000001Z")
        record.inputs = [input]
        var outside = ArtifactRecord.OutsideInput()
        (outside.path, outside.size, outside.modified, outside.sha256) = ("/data/ref.fa", 3_000_000_000, "2020", "22")
        (outside.how, outside.at) = (.pipe, "2026-02-15T14:30:22.000000001Z")
        record.outside = [outside]
        (record.outsideLeftOut, record.outsideSeen, record.outsideBelow) = (3, .partly, ["/data", "/home"])
        var run = ArtifactRecord.ExperimentRun()
        (run.id, run.experiment) = ("r1", "splice")
        record.run = run
        record.origin = .init(path: "development/20260215_143022/base/analysis_sequences/chr1.tsv")
        record.origin?.sha256 = String(repeating: "a", count: 64)
        record.origin?.check = ".tsv"
        var recovery = ArtifactRecord.RecoveredFrom()
        (recovery.id, recovery.rule, recovery.reason) = ("20260215T143022.123Z-x", "maker-failed", "it was killed")
        (recovery.despite, recovery.uid) = ("it is whole", 1000)
        record.recovered = recovery
        record.attributes = ["user.artifact.note": .string("second try")]
        record.unknown = ["later": .array([.integer(1), .null])]
        return record
    }

    @Test func isReadAsItWasWritten() throws {
        let text = JSONValue.object(Self.whole.json).description
        let read = try #require(JSONValue(parsing: text.utf8)?.object)
        #expect(ArtifactRecord(read) == Self.whole)
        #expect(ArtifactRecord(read).json == Self.whole.json, "with every member in its place")
        #expect(Self.whole.origin?.session == "20260215_143022")
    }

    /// What is not known has no member; nothing is guessed, and nothing is empty.
    @Test func whatIsNotKnownIsNotThere() throws {
        #expect(ArtifactRecord().json.sorted.isEmpty)
        var record = ArtifactRecord(path: "a", scope: .production)
        record.writer = .init()
        #expect(JSONValue.object(record.json).description == #"{"artifact":{"path":"a","mode":"production"}}"#)
        func isEmpty(_ value: JSONValue) -> Bool {
            switch value {
            case .null: true
            case .string(let text): text.isEmpty
            case .array(let all): all.isEmpty
            case .object(let members): members.sorted.isEmpty || members.sorted.contains { isEmpty($0.value) }
            default: false
            }
        }
        // One argument of the example is empty, which is known.
        var whole = Self.whole
        whole.writer?.argv = ["x"]
        whole.job?.processes.removeLast()
        for (name, value) in whole.json.sorted where name != "later" { #expect(!isEmpty(value), "\(name): \(value)") }
    }

    /// Every member that is left out alone is left out when it is read.
    @Test func anyPartMayBeUnknown() throws {
        let all = Self.whole.json
        for (name, part) in all.sorted {
            var less = all
            less[name] = nil
            let read = ArtifactRecord(less)
            #expect(read.json == less, "\(name)")
            guard case .object(let members) = part else { continue }
            for (member, _) in members.sorted {
                var lessMembers = members
                lessMembers[member] = nil
                less[name] = lessMembers.sorted.isEmpty ? nil : .object(lessMembers)
                #expect(ArtifactRecord(less).json[name] == less[name], "\(name).\(member)")
            }
        }
    }

    /// Numbers, texts and lists where others belong are not known, and take nothing down.
    @Test func membersOfAnyKind() throws {
        let values: [JSONValue] = [
            .null, .bool(false), .integer(.min), .integer(.max), .integer(-1), .integer(0),
            .number(.greatestFiniteMagnitude),
            .string(""), .string("\u{0}"), .array([]), .array([.integer(1), .object([:])]), .object([:]),
            .object(["status": .integer(.max), "rows": .string("x"), "columns": .integer(3)]),
        ]
        func tryAll(_ members: JSONObject, _ put: (JSONObject) -> JSONObject) {
            for (name, _) in members.sorted {
                for value in values {
                    var changed = members
                    changed[name] = value
                    let read = ArtifactRecord(put(changed))
                    #expect(ArtifactRecord(read.json).json == read.json, "\(name): \(value)")
                }
            }
        }
        let all = Self.whole.json
        tryAll(all) { $0 }
        for (name, part) in all.sorted {
            guard case .object(let members) = part else { continue }
            tryAll(members) {
                var changed = all
                changed[name] = .object($0)
                return changed
            }
        }
    }

    /// As stores had it before records had parts.
    @Test func theEarlierFormIsRead() throws {
        let text = #"""
            {"path":"production/base/analysis_sequences/chr1.tsv","type":"analysis_sequences","layer":"base",
            "mode":"production","key":"chr1","format":".tsv","rows":2,"columns":[{"name":"gene"},{"name":"score"}],
            "content":{"created_by":"x"},"opened":"2026-02-15T14:30:22.123456789Z","closed":"2026-02-15T14:30:23.5Z",
            "uid":1000,"gid":100,"pid":17,"command":"python3 make.py","host":"node7",
            "origin":"development/20260215_143022/base/analysis_sequences/chr1.tsv","ending":"unknown"}
            """#
        let record = ArtifactRecord(try #require(JSONValue(parsing: text.utf8)?.object))
        #expect(record.artifact.path == "production/base/analysis_sequences/chr1.tsv" && record.artifact.key == "chr1")
        #expect(record.artifact.layer == .base && record.artifact.mode == .production)
        #expect(record.artifact.content.rows == 2 && record.artifact.content.columns?.map(\.name) == ["gene", "score"])
        #expect(record.artifact.content.details == ["created_by": "x"])
        #expect(record.times.opened?.tv_nsec == 123_456_789 && record.times.closed?.tv_nsec == 500_000_000)
        #expect(record.times.closed.map(TimeText.rfc3339) == "2026-02-15T14:30:23.500000000Z")
        #expect(record.writer?.uid == 1000 && record.writer?.pid == 17 && record.writer?.host == "node7")
        #expect(record.writer?.exit == .unknown && record.writer?.argv == nil)
        #expect(record.origin?.session == "20260215_143022")
        #expect(record.unknown["command"]?.string == "python3 make.py", "where its arguments ended is not known")
        #expect(ArtifactRecord(["path": .string("a.tsv")]).writer == nil)
    }

    @Test func timesAreReadAsTheyAreWritten() throws {
        for seconds in [0, 1, 951_782_399, 951_782_400, 1_771_165_822, 253_402_300_799] {
            for nanoseconds in [0, 1, 999_999_999, 500_000_000] {
                let time = timespec(tv_sec: seconds, tv_nsec: nanoseconds)
                let read = try #require(TimeText.time(TimeText.rfc3339(time)))
                #expect(read.tv_sec == seconds && read.tv_nsec == nanoseconds)
            }
        }
        for wrong in [
            "", "Z", "2026-02-15", "2026-02-15T14:30:22", "2026-02-30T14:30:22Z", "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z",
            "2026-01-01T00:00:00+01:00", "2026-01-01 00:00:00Z", "+026-01-01T00:00:00Z", "2026-01-01T00:00:00,5Z",
            "éééé-01-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
        ] {
            #expect(TimeText.time(wrong) == nil, "\(wrong)")
        }
    }
}
