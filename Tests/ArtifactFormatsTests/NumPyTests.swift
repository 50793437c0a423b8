import ArtifactFormats
import Foundation
import Testing

@Suite struct NumPyTests {
    /// A header as NumPy writes it, then so many bytes.
    static func npy(_ header: String, data: Int = 0, version: UInt8 = 1) -> [UInt8] {
        let text = bytes(header) + [0x0A]
        return [0x93] + bytes("NUMPY") + [version, 0] + PickleTests.number(UInt64(text.count), version == 1 ? 2 : 4)
            + text + [UInt8](repeating: 7, count: data)
    }

    static func npy(_ type: String, shape: String, data: Int, version: UInt8 = 1) -> [UInt8] {
        npy("{'descr': \(type), 'fortran_order': False, 'shape': \(shape), }  ", data: data, version: version)
    }

    static let plain = npy("'<f8'", shape: "(2, 3)", data: 48)
    static let structured = npy("[('a', '<i4'), (('title', 'b'), '|S5', (2,)), ('', '|V3')]", shape: "(4,)", data: 68)
    static let objects =
        npy("'|O'", shape: "(1,)", data: 0) + [0x80, 4, 0x95] + PickleTests.number(4, 8) + bytes("K.a.")

    /// By `savez_compressed` of NumPy 2: an array in a block of fixed codes, and one of objects in a block of its own codes.
    static let compressed = [UInt8](
        Data(
            base64Encoded:
                "UEsDBC0AAAAIAAAAIQBogLIM//////////8FABQAYS5ucHkBABAA+AAAAAAAAACHAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TaaSuo6Cell9U"
                + "UpSYF59flJIKEndLzClOBYoXZyQWpAL5GmYGOpo6CrUK5AMuZgZmBlYGNgYGBkYwzcjABCSZwDwQmwUoDwJsQD4rWC0TmGQA0gxAFhuYxQTWyQzE"
                + "DGA5EJsZqosNLMYEVgszlY0BAFBLAwQtAAAACAAAACEAHVdXcv//////////BQAUAG8ubnB5AQAQABsBAAAAAAAAxQAAAAAAAACliz8LgkAYxr0sgmhu"
                + "drsCcWiKloagIUkjaGgIOfWioFRez0gyaIkKbgh8+7yl+RH6DQ88/3JrOZuviHJUztTnsQd0qNHMprpGNyEIYIETgs/LeML2MS/yeMsiXvhuX+/p2kX7"
                + "h9a1/n4pFbITJIcoNRwvBG4ckr3YMQCWomw7wL0wiAUknsAcZeO3RNkM/GqSo6nccExcvOMCuyYxazfcqrLhizTi5aVmD/D5qFpVkgwty5p+Cn5ijgS6"
                + "z3X5lOSEvHDGF1BLAQItAy0AAAAIAAAAIQBogLIMhwAAAPgAAAAFAAAAAAAAAAAAAACAAQAAAABhLm5weVBLAQItAy0AAAAIAAAAIQAdV1dyxQAAABsB"
                + "AAAFAAAAAAAAAAAAAACAAb4AAABvLm5weVBLBQYAAAAAAgACAGYAAAC6AQAAAAA=") ?? Data())

    static let archive = PickleTests.zip([("a.npy", plain), ("b.npy", structured), ("c.npy", objects)])

    @Test(arguments: [
        (plain, "<f8", "2x3"), (npy("'|O'", shape: "()", data: 0) + bytes("N."), "|O", "scalar"),
        (structured, "[('a', '<i4'), (('title', 'b'), '|S5', (2,)), ('', '|V3')]", "4"),
        (npy("'<U3'", shape: "(5L,)", data: 60, version: 2), "<U3", "5"),
        (
            npy("'<M8[ns]'", shape: "(0, 9223372036854775807, 7)", data: 0, version: 3), "<M8[ns]",
            "0x9223372036854775807x7"
        ),
        (npy("('<f4', (2, 2))", shape: "(2,)", data: 32), "('<f4', (2, 2))", "2"),
        (npy("[(u'n', [('x', '|b1'), ('y', '<c16')], 2)]", shape: "()", data: 34), "", "scalar"),
        (npy("'|S0'", shape: "(10,)", data: 0), "|S0", "10"), (npy("'?'", shape: "(3,)", data: 3), "?", "3"),
    ]) func arrays(_ file: [UInt8], type: String, shape: String) {
        #expect(FormatCheck.npy.quick(file).isAccepted, "\(FormatCheck.npy.quick(file))")
        for size in readSizes {
            let outcome = FormatCheck.npy.whole(file, readSize: size)
            #expect(outcome.facts?.details["shape"] == shape, "\(outcome)")
            if !type.isEmpty { #expect(outcome.facts?.details["dtype"] == type) }
        }
        for length in file.indices {
            let cut = Array(file[..<length])
            #expect(!FormatCheck.npy.whole(cut, readSize: 7).isAccepted, "\(length) of \(file.count) bytes")
            // The end of objects is beyond what bounded work tells.
            if type != "|O" { #expect(!FormatCheck.npy.quick(cut).isAccepted, "\(length) of \(file.count) bytes") }
        }
        #expect(!FormatCheck.npy.whole(file + [0]).isAccepted)
    }

    @Test(arguments: [
        (npy("'<f8'", shape: "(2, 3)", data: 47), "tells of 48 bytes of data, there are 47: it is cut short"),
        (npy("'<f8'", shape: "(2, 3)", data: 49), "there are 49; one array a file is expected"),
        (npy("'<f8'", shape: "(4294967296, 4294967296)", data: 8), "more bytes than any file has"),
        (npy("[('a', '<f8', (4294967296, 4294967296))]", shape: "()", data: 8), "more bytes than any file has"),
        (npy("'<f7'", shape: "()", data: 7), "the type \"<f7\""), (npy("''", shape: "()", data: 7), "the type \"\""),
        (npy("'<f8'", shape: "(-1,)", data: 8), "a shape that is not of numbers"),
        (npy("'<f8'", shape: "(99999999999999999999,)", data: 8), "a dimension that no array has"),
        (npy("{'descr': '<f8', 'shape': ()}", data: 8), "not all of"),
        (npy("{'descr': '<f8', 'shape': (), 'fortran_order': 1}", data: 8), "neither True nor False"),
        (npy("{'descr': '<f8', 'shape': (), 'shape': ()}", data: 8), "a key twice"),
        (npy("__import__('os')", data: 8), "where '{' is expected"),
        (npy("'|O'", shape: "(1,)", data: 0) + bytes("K"), "the pickle of its Python objects is not whole"),
        (npy("'<f8'", shape: "()", data: 8, version: 4), "NumPy format 4.0"),
        (bytes("\u{1}NUMPY....."), "it begins with"),
        (
            npy("{'descr': " + String(repeating: "[('a', ", count: 40), data: 8),
            "nests deeper than"
        ),
    ]) func refused(_ file: [UInt8], reason: String) throws {
        for size in [1, 13, Int.max] {
            let found = try #require(FormatCheck.npy.whole(file, readSize: size).reason)
            #expect(found.contains(reason))
        }
    }

    @Test(arguments: [archive, compressed]) func archives(_ file: [UInt8]) throws {
        #expect(FormatCheck.npz.quick(file).isAccepted)
        for size in readSizes {
            let outcome = FormatCheck.npz.whole(file, readSize: size)
            #expect(outcome.facts?.details["arrays"] == (file == Self.archive ? "3" : "2"), "\(outcome)")
        }
        for length in file.indices {
            #expect(!FormatCheck.npz.quick(Array(file[..<length])).isAccepted, "\(length) of \(file.count) bytes")
            #expect(!FormatCheck.npz.whole(Array(file[..<length])).isAccepted, "\(length) of \(file.count) bytes")
        }
    }

    @Test func archivesOfDamagedArrays() {
        let short = PickleTests.zip([("a.npy", Self.plain), ("w.npy", Array(Self.plain.dropLast()))])
        #expect(FormatCheck.npz.whole(short).reason?.hasPrefix("its array \"w\": its NumPy header tells of 48") == true)
        #expect(FormatCheck.npz.whole(PickleTests.zip([("a.txt", [1])])).reason?.contains("without a NumPy") == true)
        #expect(FormatCheck.npz.whole(PickleTests.zip([])).reason?.contains("without a NumPy") == true)
        // Of compressed data each byte counts, but for the bits that fill up the last.
        for place in 55..<(55 + 134) {
            var changed = Self.compressed
            changed[place] ^= 0x10
            #expect(!FormatCheck.npz.whole(changed).isAccepted, "byte \(place)")
        }
    }

    @Test(.enabled(if: Python.hasJoblib, Python.missing("numpy"))) func arraysByNumPy() throws {
        let script = """
            import numpy as np
            from numpy.lib import format
            r = np.random.default_rng(1)
            arrays = [np.arange(12.).reshape(3, 4), np.asfortranarray(r.random((3, 5))), np.array(7), np.zeros((0, 3)), np.array(["a", "bcd"]),
                np.array([b"x", b"yz"]), np.array([None, {"a": [1, 2]}, "x" * 300], dtype=object), np.array(["2026-01-01"], dtype="M8[s]"),
                np.zeros(3, dtype=[("a", "<i4"), ("b", "S3", (2, 2)), ("c", [("d", "?"), ("e", "f2")])]), np.zeros(2, dtype=np.dtype("i1,f8", align=True)),
                np.zeros(4, dtype=">c16"), np.zeros(5, dtype="longdouble"), np.array([True, False]), r.integers(0, 255, 5000).astype("u1"),
                np.zeros(2, dtype=[(f"column{i}", "f4") for i in range(5000)]), np.zeros(1, dtype=[("é", "f4")]),
                np.zeros(3, dtype=np.dtype([("o", object), ("n", "i4")])), np.zeros(2, dtype=[(("t", "n"), "f8")])]
            for i, a in enumerate(arrays): np.save(f"{i:02}.npy", a)
            for v in (1, 2, 3): format.write_array(open(f"v{v}.npy", "wb"), arrays[0], version=(v, 0))
            m = format.open_memmap("mapped.npy", mode="w+", dtype="f4", shape=(7, 9)); m[:] = 1; m.flush()
            np.savez("stored.npz", **{f"a{i}": a for i, a in enumerate(arrays[:13])})
            np.savez_compressed("packed.npz", **{f"a{i}": a for i, a in enumerate(arrays[:14])}, big=np.tile(r.random(9000), 7), text=np.array(list("hello world" * 3000)))
            """
        let files = try Python.files(script)
        #expect(files.count == 24)
        for (name, bytes) in files {
            let check = FormatCheck(fileExtension: String(name.suffix(3)))
            #expect(check.quick(bytes).isAccepted, "\(name): \(check.quick(bytes))")
            for size in [1000, Int.max] {
                let outcome = check.whole(bytes, readSize: size)
                #expect(outcome.isAccepted, "\(name): \(outcome)")
                if name == "packed.npz" { #expect(outcome.facts?.details["arrays"] == "16") }
            }
            for length in stride(from: 0, to: bytes.count, by: bytes.count > 2000 ? bytes.count / 50 : 1) {
                let cut = check.whole(Array(bytes[..<length]))
                #expect(!cut.isAccepted, "\(name), \(length) of \(bytes.count) bytes")
            }
            #expect(!check.whole(Array(bytes.dropLast())).isAccepted, "\(name)")
        }
    }
}
