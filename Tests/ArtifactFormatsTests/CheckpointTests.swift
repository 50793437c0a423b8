import ArtifactFormats
import Foundation
import Testing

/// Checkpoints that are neither pickles nor PyTorch's: safetensors, HDF5, Keras. What is cut is refused, at close where bounded work tells.
@Suite struct CheckpointTests {
    // MARK: - Samples

    static func safetensors(_ header: String, data: Int) -> [UInt8] {
        PickleTests.number(UInt64(header.utf8.count), 8) + bytes(header) + [UInt8](repeating: 7, count: data)
    }

    static let safetensors: [UInt8] = safetensors(
        "{\"__metadata__\":{\"format\":\"pt\",\"a\":\"}\\\"]\"},\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[2,14]},"
            + "\"b\" : {\"data_offsets\": [0, 2], \"dtype\":\"F16\",\"shape\":[1]},\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[14,14]}}  ",
        data: 14)

    /// A superblock with addresses of `size` bytes, then the file's data.
    static func hdf5(version: UInt8, size: Int = 8, userBlock: Int = 0, base: Int? = nil, end: UInt64? = nil) -> [UInt8]
    {
        func address(_ value: UInt64) -> [UInt8] {
            PickleTests.number(value, min(size, 8))
                + [UInt8](repeating: value == .max ? 0xFF : 0, count: max(0, size - 8))
        }
        let length: Int = [24, 28, 12, 12][Int(version)] + 4 * size + 60
        var block: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A, version]
        if version < 2 {
            block += [0, 0, 0, 0, UInt8(size), UInt8(size), 0, 4, 0, 16, 0, 0, 0, 0, 0]
            if version == 1 { block += [32, 0, 0, 0] }
        } else {
            block += [UInt8(size), UInt8(size), 0]
        }
        let base = base ?? userBlock
        block += address(UInt64(base)) + address(.max) + address(end ?? UInt64(base + length)) + address(48)
        block += [UInt8](repeating: 5, count: length - block.count)
        return [UInt8](repeating: 0x20, count: userBlock) + block
    }

    static let keras = PickleTests.zip([
        ("metadata.json", bytes("{}")), ("config.json", bytes("{\"class_name\": \"Sequential\"}")),
        ("model.weights.h5", hdf5(version: 2)),
    ])

    private func expectTruncationsRefused(_ file: [UInt8], _ check: FormatCheck, _ name: String = "") {
        #expect(check.quick(file).isAccepted, "\(name): \(check.quick(file))")
        for size in [7, 1000, Int.max] {
            #expect(check.whole(file, readSize: size).isAccepted, "\(name): \(check.whole(file, readSize: size))")
        }
        // Of a long file those around its parts' ends.
        let step = max(1, file.count / 40)
        for length in file.indices where length < 100 || length % step == 0 || length > file.count - 40 {
            let cut = Array(file[..<length])
            #expect(!check.quick(cut).isAccepted, "\(name), \(length) of \(file.count) bytes")
            #expect(!check.whole(cut).isAccepted, "\(name), \(length) of \(file.count) bytes")
        }
    }

    // MARK: - Safetensors

    @Test func safetensorsFiles() {
        expectTruncationsRefused(Self.safetensors, .safetensors)
        #expect(FormatCheck.safetensors.whole(Self.safetensors).facts?.details == ["tensors": "3"])
        #expect(FormatCheck.safetensors.whole(Self.safetensors("{}      ", data: 0)).facts?.details == ["tensors": "0"])
        #expect(FormatCheck.safetensors.quick(Self.safetensors + [0]).reason?.contains("the file has") == true)
    }

    /// A long header is read before sealing only.
    @Test func aLongHeader() {
        let tensors = (0..<6000).map {
            "\"layer.\($0)\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\($0),\($0 + 1)]}"
        }
        let file = Self.safetensors("{" + tensors.shuffled().joined(separator: ",") + "}", data: 6000)
        #expect(FormatCheck.safetensors.quick(file).isAccepted)
        #expect(FormatCheck.safetensors.whole(file).facts?.details == ["tensors": "6000"])
        let cut = Array(file.dropLast())
        #expect(FormatCheck.safetensors.quick(cut).isAccepted, "more than bounded work")
        #expect(FormatCheck.safetensors.whole(cut).reason?.contains("cut short") == true)
    }

    private static let bad: [(String, String)] = [
        ("[]", "begin with '{'"), (" {}", "begin with '{'"), ("{\"a\":1}", "where '{' is expected"),
        ("{\"a\":{}}", "a tensor \"a\" without data_offsets"),
        ("{\"a\":{\"data_offsets\":[0]}}", "where ',' is expected"),
        ("{\"a\":{\"data_offsets\":[0,4,5]}}", "where ']' is expected"),
        ("{\"a\":{\"data_offsets\":[1,4]}}", "0 is the next free byte"),
        ("{\"a\":{\"data_offsets\":[0,3]}}", "tells of"), ("{\"a\":{\"data_offsets\":[0,5]}}", "cut short"),
        ("{\"a\":{\"data_offsets\":[0,-1]}}", "where an offset is expected"),
        ("{\"a\":{\"data_offsets\":[0,9223372036854775808]}}", "an offset that no file has"),
        ("{\"a\":{\"data_offsets\":[0,9223372036854775807]}}", "too many bytes"),
        ("{\"a\":{\"data_offsets\":[0,4]},\"b\":{\"data_offsets\":[2,4]}}", "4 is the next free byte"),
        ("{\"a\":{\"data_offsets\":[0,4]}", "damaged"), ("{\"a\":{\"data_offsets\":[0,4]}}}", "damaged"),
        ("{\u{0}}", "damaged"),
    ]

    @Test(arguments: bad.indices) func refusesHeaders(_ index: Int) {
        let (header, words) = Self.bad[index]
        let outcome = FormatCheck.safetensors.whole(Self.safetensors(header, data: 4))
        #expect(outcome.reason?.contains(words) == true, "\(header): \(outcome)")
    }

    // MARK: - HDF5

    @Test(arguments: [UInt8(0), 1, 2, 3], [0, 512, 2048]) func superblocks(version: UInt8, userBlock: Int) {
        for size in userBlock == 0 ? [2, 4, 8, 16, 32] : [8] {
            let file = Self.hdf5(version: version, size: size, userBlock: userBlock)
            expectTruncationsRefused(file, .hdf5, "version \(version), \(size)")
            #expect(
                FormatCheck.hdf5.whole(file + [0, 0]).facts?.details == ["superblock": "\(version)"],
                "room at the end is allowed")
            // A user block that was put in front or taken away afterwards: the library finds its way too.
            expectTruncationsRefused(
                Self.hdf5(version: version, size: size, userBlock: userBlock, base: userBlock == 0 ? 512 : 0), .hdf5,
                "moved")
        }
    }

    @Test func superblocksThatNoFileHas() {
        func reason(_ file: [UInt8]) -> String { FormatCheck.hdf5.quick(file).reason ?? "accepted" }
        #expect(reason(Self.hdf5(version: 0, end: .max)).contains("an address that no file has"))
        #expect(reason(Self.hdf5(version: 2, end: UInt64(Int64.max))).contains("cut short"))
        #expect(reason(Self.hdf5(version: 2, userBlock: 512, base: 0, end: UInt64(Int64.max))).contains("cut short"))
        #expect(reason(Self.hdf5(version: 2, end: 0)).contains("before the superblock"))
        var other = Self.hdf5(version: 2)
        other[8] = 4
        #expect(reason(other).contains("version 4"))
        other[8] = 2
        other[9] = 7
        #expect(reason(other).contains("addresses of 7 bytes"))
        #expect(reason(bytes("PK and then something else")).contains("no HDF5 signature"))
        // Place 256 is none of those where a superblock may stand.
        #expect(reason([UInt8](repeating: 0, count: 256) + Self.hdf5(version: 2)).contains("no HDF5 signature"))
        var open = Self.hdf5(version: 3)
        open[11] = 1
        #expect(reason(open).contains("has not closed it"))
    }

    // MARK: - Keras

    @Test func kerasFiles() {
        expectTruncationsRefused(Self.keras, .keras)
        #expect(FormatCheck.keras.whole(Self.keras).facts?.details == ["container": "zip", "entries": "3"])
        for version: UInt8 in 0...3 {
            expectTruncationsRefused(Self.hdf5(version: version), .keras, "an older Keras's")
        }
        for left in ["config.json", "model.weights.h5"] {
            let outcome = FormatCheck.keras.whole(PickleTests.zip([(left, [1]), ("metadata.json", [1])]))
            #expect(outcome.reason?.contains("which every Keras model has") == true, "\(left): \(outcome)")
        }
        #expect(
            FormatCheck.keras.whole(PickleTests.zip([("config.json", [1]), ("model.weights.npz", [1])])).isAccepted)
        #expect(
            FormatCheck.keras.quick([0x80, 2, 0x4E, 0x2E]).reason?.contains("neither a ZIP archive (Keras)") == true)
    }

    // MARK: - Real files

    @Test(.enabled(if: Python.hasH5Py, Python.missing("h5py"))) func filesByH5Py() throws {
        let script = """
            import h5py, numpy as np, io, zipfile
            def fill(f):
                f["w"] = np.arange(30, dtype="f4"); f.attrs["a"] = "b"
                g = f.create_group("layers"); g.create_dataset("k", (50, 50), dtype="f8", chunks=(10, 10), compression="gzip", data=np.ones((50, 50)))
                g.create_dataset("grows", (0,), dtype="i8", maxshape=(None,), chunks=(16,)); g["grows"].resize((40,)); g["grows"][:] = 1
                f["text"] = ["chr1", "chr2"]; f["name"] = h5py.SoftLink("/w")
            for low, high in (("earliest", "latest"), ("v108", "v108"), ("v110", "v110"), ("latest", "latest")):
                with h5py.File(f"{low}-{high}.h5", "w", libver=(low, high)) as f: fill(f)
            with h5py.File("user.h5", "w", userblock_size=2048) as f: fill(f)
            with h5py.File("core.h5", "w", driver="core") as f: fill(f)
            with h5py.File("page.h5", "w", fs_strategy="page", fs_page_size=4096) as f: fill(f)
            with h5py.File("again.h5", "w") as f: fill(f)
            with h5py.File("again.h5", "a") as f: del f["w"]; f["more"] = np.zeros(1000)
            with h5py.File("empty.h5", "w") as f: pass
            with h5py.File("unwritten.h5", "w", libver="latest") as f: f.create_dataset("x", (1000, 1000), dtype="f4")
            with h5py.File("swmr.h5", "w", libver="latest") as f:
                d = f.create_dataset("x", (10,), dtype="i4", maxshape=(None,), chunks=(10,)); f.swmr_mode = True; d[:] = 1; d.flush()
                open("open.h5.bad", "wb").write(open("swmr.h5", "rb").read())
            for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                with zipfile.ZipFile(f"m{method}.keras", "w", method) as z:
                    z.writestr("metadata.json", "{}"); z.writestr("config.json", "{}")
                    with z.open("model.weights.h5", "w", force_zip64=True) as f: f.write(open("core.h5", "rb").read())
            """
        let files = try Python.files(script)
        #expect(files.count == 14)
        var versions: Set<String> = []
        for (name, bytes) in files {
            if name.hasSuffix(".bad") {
                #expect(FormatCheck.hdf5.quick(bytes).reason?.contains("has not closed it") == true)
                continue
            }
            let check = FormatCheck(fileExtension: name.hasSuffix(".keras") ? "keras" : "h5")
            expectTruncationsRefused(bytes, check, name)
            if let version = check.whole(bytes).facts?.details["superblock"] { versions.insert(version) }
        }
        #expect(versions == ["0", "2", "3"])
    }

    @Test(.enabled(if: Python.hasSafetensors, Python.missing("safetensors"))) func filesBySafetensors() throws {
        let script = """
            import numpy as np
            from safetensors.numpy import save_file
            save_file({"a": np.arange(3, dtype="f4"), "b.é\\"\\\\": np.zeros((0, 4)), "c": np.ones((2, 2), dtype="i1")}, "a.safetensors",
                metadata={"format": "np", "note": "{\\"a\\": [1, \\"}\\"]}"})
            save_file({}, "b.safetensors")
            save_file({f"layer.{i}.weight": np.ones((i % 7, 3), dtype="f2") for i in range(400)}, "c.safetensors")
            """
        let files = try Python.files(script)
        #expect(files.count == 3)
        for (name, bytes) in files { expectTruncationsRefused(bytes, .safetensors, name) }
        #expect(files.map { FormatCheck.safetensors.whole($0.bytes).facts?.details["tensors"] } == ["3", "0", "400"])
    }
}
