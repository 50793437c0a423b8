import ArtifactFormats
import Foundation
import enum TestSupport.Seed
import struct TestSupport.SplitMix64
import Testing

/// The Python that writes real files: `ARTIFACTFS_TEST_PYTHON` (a virtual environment's directory, or an interpreter), else
/// `python3`.
enum Python {
    static let interpreter: String = {
        guard let named = ProcessInfo.processInfo.environment["ARTIFACTFS_TEST_PYTHON"] else { return "python3" }
        let inside = named + "/bin/python3"
        return FileManager.default.isExecutableFile(atPath: inside) ? inside : named
    }()

    static let runs = run("pass").status == 0
    static let hasPyArrow = run("import pyarrow.parquet").status == 0
    static let hasPolars = run("import polars").status == 0
    static let hasJoblib = run("import joblib, numpy").status == 0
    static let hasH5Py = run("import h5py").status == 0
    static let hasSafetensors = run("import safetensors.numpy").status == 0

    static func missing(_ package: String) -> Comment {
        "\(interpreter) cannot import \(package); install it or set ARTIFACTFS_TEST_PYTHON to a virtual environment"
    }

    /// Runs a script in `directory`; what it writes to standard error comes back with its status.
    static func run(_ script: String, in directory: URL? = nil) -> (status: Int32, errors: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [interpreter, "-c", script]
        process.currentDirectoryURL = directory
        let errors = Pipe()
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        do { try process.run() } catch { return (-1, "\(error)") }
        let text = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: text, as: UTF8.self))
    }

    /// Runs a script in a new directory and returns the files it wrote there, by name.
    static func files(_ script: String) throws -> [(name: String, bytes: [UInt8])] {
        let directory = FileManager.default.temporaryDirectory.appending(path: "formats-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let (status, errors) = run(script, in: directory)
        try #require(status == 0, "\(errors)")
        return try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted().map { name in
            (name, [UInt8](try Data(contentsOf: directory.appending(path: name))))
        }
    }
}

@Suite struct PythonFilesTests {
    /// Every pickle protocol, many kinds of objects; then each file cut at every length.
    @Test(.enabled(if: Python.runs, Python.missing("anything"))) func pickles() throws {
        let script = """
            import pickle, collections, datetime, decimal, array
            class C:
                def __init__(self): self.x = [1, (2,), {3: self}]
            objects = [None, [1, -300, 70000, 2**40, -2**80, 2**3000, 1.5, True, False], "héllo\\n🧬" * 30, b"\\x00.\\xff" * 100,
                bytearray(b"b." * 200), {"a": (1, 2, 3, 4), "b": {1, 2}, "c": frozenset([1])}, C(), "x" * 70000,
                [collections.OrderedDict(a=1), datetime.datetime(2026, 1, 1), decimal.Decimal("1.5"), array.array("d", [1, 2])],
                [len, complex(1, 2), range(3), slice(1), Ellipsis, NotImplemented, type(None)], list(range(2000))]
            for p in range(6):
                for i, o in enumerate(objects):
                    pickle.dump(o, open(f"p{p}_{i}.pkl", "wb"), p)
                with open(f"p{p}_many.pkl", "wb") as f:
                    for o in objects[:4]: pickle.dump(o, f, p)
            class B(bytes):
                def __reduce_ex__(self, p): return (bytes, (pickle.PickleBuffer(self),))
            buffers = []
            open("band.pkl", "wb").write(pickle.dumps(B(b"out of band"), 5, buffer_callback=buffers.append))
            """
        let files = try Python.files(script)
        #expect(files.count == 6 * 12 + 1)
        for (name, bytes) in files {
            #expect(FormatCheck.pickle.quick(bytes).isAccepted, "\(name)")
            for size in [1, 4096, Int.max] {
                let outcome = FormatCheck.pickle.whole(bytes, readSize: size)
                #expect(outcome.isAccepted, "\(name): \(outcome)")
            }
            // A file of several pickles may end after any of them.
            if name.hasSuffix("many.pkl") { continue }
            for length in stride(from: 0, to: bytes.count, by: bytes.count > 2000 ? 97 : 1) {
                let outcome = FormatCheck.pickle.whole(Array(bytes[..<length]))
                #expect(!outcome.isAccepted, "\(name), \(length) of \(bytes.count) bytes")
            }
        }
    }

    /// The shapes of `torch.save`, made with the standard library: its ZIP, and its older format.
    @Test(.enabled(if: Python.runs, Python.missing("anything"))) func checkpoints() throws {
        let script = """
            import pickle, struct, zipfile
            with zipfile.ZipFile("new.pt", "w", zipfile.ZIP_STORED) as z:
                z.writestr("archive/data.pkl", pickle.dumps({"w": 1}, 2))
                for i in range(20): z.writestr(f"archive/data/{i}", bytes(range(256)) * 40)
                z.writestr("archive/version", "3\\n")
            with zipfile.ZipFile("wide.pt", "w", zipfile.ZIP_DEFLATED) as z:
                for i in range(3):
                    with z.open(f"archive/data/{i}", "w", force_zip64=True) as f: f.write(b"x" * 5000)
            for p in (2, 3, 4, 5):
                with open(f"old{p}.pt", "wb") as f:
                    pickle.dump(0x1950a86a20f9469cfc6c, f, p)
                    pickle.dump(1001, f, p)
                    pickle.dump({"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}, f, p)
                    pickle.dump({"w": ("storage", "FloatStorage", "0")}, f, p)
                    pickle.dump(["0"], f, p)
                    f.write(struct.pack("<q", 3) + struct.pack("<3f", 1, 2, 3))
            """
        let files = try Python.files(script)
        #expect(files.map(\.name) == ["new.pt", "old2.pt", "old3.pt", "old4.pt", "old5.pt", "wide.pt"])
        for (name, bytes) in files {
            #expect(FormatCheck.pickle.quick(bytes).isAccepted, "\(name)")
            let outcome = FormatCheck.pickle.whole(bytes, readSize: 1000)
            #expect(
                outcome.facts?.details["container"] == (name.hasPrefix("old") ? "torch" : "zip"), "\(name): \(outcome)")
            // The older format's raw end (28 bytes here) has no length that could be told without unpickling.
            let checked = name.hasPrefix("old") ? bytes.count - 28 : bytes.count
            for length in stride(from: 0, to: checked, by: checked > 2000 ? 997 : 1) {
                let cut = FormatCheck.pickle.whole(Array(bytes[..<length]))
                #expect(!cut.isAccepted, "\(name), \(length) of \(bytes.count) bytes")
            }
        }
    }

    @Test(.enabled(if: Python.hasJoblib, Python.missing("joblib and numpy"))) func joblib() throws {
        let script = """
            import joblib, numpy as np
            r = np.random.default_rng(1)
            for p in (2, 3, 4, 5):
                joblib.dump({"a": r.random(1000), "b": [r.integers(0, 255, 300), "x"]}, f"j{p}.pkl", protocol=p)
            joblib.dump({"a": r.random(100)}, "z.pkl", compress=3)
            joblib.dump({"a": 1}, "plain.pkl")
            """
        for (name, bytes) in try Python.files(script) {
            #expect(FormatCheck.pickle.quick(bytes).isAccepted, "\(name)")
            let container = FormatCheck.pickle.whole(bytes, readSize: 777).facts?.details["container"] ?? "none"
            #expect(container == (name == "z.pkl" ? "zlib" : name == "plain.pkl" ? "none" : "joblib"), "\(name)")
        }
    }

    /// Python's own reader is the reference: thousands of changed documents, accepted by both or by neither.
    @Test(.enabled(if: Python.runs, Python.missing("anything"))) func jsonAgreesWithPython() throws {
        let seed = Seed.fromEnvironment()
        let script = """
            import json, random
            random.seed(\(seed))
            samples = ['{"a": [1, -2.5e-3, 0, "x\\\\u00e9\\\\n", true, false, null, NaN, -Infinity], "b": {"é": {}}, "c": []}',
                '[[],[[1,2],{"k":"v"}],Infinity,"🧬",0.5,1E+9]', '"string"', '-12.5', ' {"a":1} ']
            alphabet = [c.encode() for c in '{}[]:,"\\\\/0123456789-+.eEtrufalsnNIy \\n\\t\\r'] + [b"\\x00", b"\\xc3", b"\\xa9", b"\\xff", b"\\x0b"]
            out = open("cases", "w")
            for i in range(20000):
                b = random.choice(samples).encode()
                for _ in range(random.choice([0, 1, 1, 1, 2, 3])):
                    at = random.randrange(len(b) + 1)
                    kind = random.randrange(4)
                    if kind == 0: b = b[:at] + b[at + 1:]
                    elif kind == 1: b = b[:at] + random.choice(alphabet) + b[at:]
                    elif kind == 2: b = b[:at] + random.choice(alphabet) + b[at + 1:]
                    else: b = b[:at] if random.random() < 0.3 else b[:at] + b[at:at + 3] + b[at:]
                try: json.loads(b.decode("utf-8")); ok = 1
                except ValueError: ok = 0
                out.write(f"{ok}{b.hex()}\\n")
            """
        let cases = try #require(try Python.files(script).first).bytes
        var accepted = 0
        var refused = 0
        for line in cases.split(separator: 0x0A) {
            let digits = line.dropFirst().map { $0 > 0x39 ? $0 - 0x57 : $0 - 0x30 }
            let text = stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
            let expected = line.first == UInt8(ascii: "1")
            let outcome = FormatCheck.json.whole(text, readSize: accepted % 9 + 1)
            #expect(
                outcome.isAccepted == expected, "seed \(seed): \(String(decoding: text, as: UTF8.self)): \(outcome)")
            if expected { accepted += 1 } else { refused += 1 }
        }
        #expect(accepted > 1000 && refused > 1000)
    }

    @Test(.enabled(if: Python.hasPyArrow, Python.missing("pyarrow"))) func parquetByPyArrow() throws {
        let script = """
            import datetime, pyarrow as pa, pyarrow.parquet as pq
            t = pa.table({"i": [1, 2], "s": ["a", None], "l": [[1], [2, 3]], "m": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
                "d": pa.array([1, 2], pa.decimal128(10, 2)), "ts": pa.array([0, 1], pa.timestamp("us", "UTC")), "st": [{"x": 1, "y": "z"}] * 2,
                "u": pa.array([1, 2], pa.uint8()), "f": pa.array([1, 2], pa.float16()), "b": [b"a", b"b"], "dt": pa.array([1, 2], pa.date32()),
                "t": pa.array([1, 2], pa.time64("ns")), "n": pa.nulls(2), "fixed": pa.array([b"abc", b"def"], pa.binary(3)),
                "bool": [True, None]})
            pq.write_table(t, "full.parquet")
            pq.write_table(t.slice(0, 0), "empty.parquet")
            pq.write_table(t, "old.parquet", version="1.0", compression=None, write_page_index=True)
            pq.write_table(t, "v2.parquet", data_page_version="2.0", compression="zstd", use_dictionary=False, write_statistics=False)
            pq.write_table(pa.table({"c%d" % i: list(range(100)) for i in range(40)}), "groups.parquet", row_group_size=7)
            """
        let files = try Python.files(script)
        #expect(files.count == 5)
        for (name, bytes) in files {
            #expect(FormatCheck.parquet.quick(bytes).isAccepted, "\(name)")
            let outcome = FormatCheck.parquet.whole(bytes, readSize: 1000)
            let facts = try #require(outcome.facts, "\(name): \(outcome)")
            #expect(facts.rows == (name == "empty.parquet" ? 0 : name == "groups.parquet" ? 100 : 2), "\(name)")
            #expect(facts.details["created_by"]?.hasPrefix("parquet-cpp-arrow") == true, "\(name)")
            for length in stride(from: 0, to: bytes.count, by: bytes.count > 10_000 ? 61 : 1) {
                #expect(!FormatCheck.parquet.whole(Array(bytes[..<length])).isAccepted, "\(name), \(length) bytes")
            }
            if name == "groups.parquet" {
                #expect(facts.details["row_groups"] == "15")
                #expect(facts.columns?.count == 40)
            }
            if name == "full.parquet" {
                let types = (facts.columns ?? []).map { "\($0.name) \($0.type ?? "nil")" }
                #expect(
                    types == [
                        "i INT64", "s BYTE_ARRAY (STRING)", "l.list.element INT64",
                        "m.key_value.key BYTE_ARRAY (STRING)", "m.key_value.value INT64",
                        "d FIXED_LEN_BYTE_ARRAY(5) (DECIMAL(10,2))", "ts INT64 (TIMESTAMP(MICROS,UTC))", "st.x INT64",
                        "st.y BYTE_ARRAY (STRING)", "u INT32 (UINT(8))", "f FIXED_LEN_BYTE_ARRAY(2) (FLOAT16)",
                        "b BYTE_ARRAY", "dt INT32 (DATE)", "t INT64 (TIME(NANOS))", "n INT32 (NULL)",
                        "fixed FIXED_LEN_BYTE_ARRAY(3)", "bool BOOLEAN",
                    ])
            }
        }
    }

    @Test(.enabled(if: Python.hasPolars, Python.missing("polars"))) func filesByPolars() throws {
        let script = """
            import polars as pl
            df = pl.DataFrame({"chrom": ["chr1", "chr2", None], "pos": [1, 2, 3], "score": [0.5, None, float("nan")], "l": [[1], [], [2, 3]]})
            df.write_parquet("a.parquet")
            df.clear().write_parquet("b.parquet")
            df.lazy().sink_parquet("c.parquet")
            df.drop("l").write_csv("a.tsv", separator="\\t")
            """
        for (name, bytes) in try Python.files(script) {
            let check = FormatCheck(fileExtension: name.hasSuffix("tsv") ? "tsv" : "parquet")
            #expect(check.quick(bytes).isAccepted, "\(name)")
            let outcome = check.whole(bytes, readSize: 100)
            #expect(outcome.facts?.rows == (name == "b.parquet" ? 0 : 3), "\(name): \(outcome)")
            #expect(outcome.facts?.columns?.count == (check == .tsv ? 3 : 4), "\(name): \(outcome)")
        }
    }
}
