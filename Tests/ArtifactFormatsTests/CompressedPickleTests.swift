import ArtifactFormats
import Foundation
import Testing

/// Pickles as they come compressed; the files are those of the programs named, of one pickle of protocol 4.
@Suite struct CompressedPickleTests {
    private static func decoded(_ text: String) -> [UInt8] { [UInt8](Data(base64Encoded: text) ?? Data()) }

    static let zlib = decoded("eJxrYJnayAABtVM0ehjLp8RO0fBm9GbyZk7tYclLzE2d0pOSm5+SmkNjYkqpHgCS2jUR")

    static let samples: [(container: String, file: [UInt8])] = [
        // zstd 1.5, with a check sum and without.
        (
            "zstd",
            decoded("KLUv/QRYjQEAdAKABJWBAH2UKIwBd5RdlChLAUsCSwNljARuYW1llIxkbW9kZWyUdS4CADPKdAPQAoM6ckA=")
        ),
        ("zstd", decoded("KLUv/QBYjQEAdAKABJWBAH2UKIwBd5RdlChLAUsCSwNljARuYW1llIxkbW9kZWyUdS4CADPKdAPQAg==")),
        // lz4 1.9, as it is and with other flags.
        (
            "lz4",
            decoded(
                "BCJNGGRApzIAAABSgASVgQABAP8QfZQojAF3lF2UKEsBSwJLA2WMBG5hbWWUjGRtb2RlbAUASlBlbJR1LgAAAADFdrcr")
        ),
        (
            "lz4",
            decoded("BCJNGHBArTIAAABSgASVgQABAP8QfZQojAF3lF2UKEsBSwJLA2WMBG5hbWWUjGRtb2RlbAUASlBlbJR1Li5/NlQAAAAA")
        ),
        // Python's modules.
        (
            "lzma",
            decoded("XQAAgAD//////////wBAAQ51311A8SyF3jhek55EXgiN7lzFEct0y66TaTiymEm34BSXTyiqaz92s2laEf//n4YAAA==")
        ),
        (
            "xz",
            decoded(
                "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4ACLAC9dAEABDnXfXUDxLIXeOF6TnkReCI3uXMURy3TLrpNpOLKYSbfgFJdPKKprP3ayWcgAAAAcJyAvOCBpZwABS4wBAAAA"
                    + "hBRgarHEZ/sCAAAAAARZWg==")
        ),
        (
            "bzip2",
            decoded(
                "QlpoOTFBWSZTWdNcPGQAAD/X4HwAAEEACAACJgeCgmAEBgAgAFRQAHqAD1BJRND1NGgeRESTXkTnfBG7bUeAQ3gItDgh6QkHuYIqI7N6P6SHD4u5IpwoSGmuHjIA"
            )
        ),
        ("zlib", zlib),
        ("gzip", decoded("H4sIAAAAAAACA2tgmdrIAAG1UzR6GMunxE7R8Gb0ZvJmTu1hyUvMTZ3Sk5Kbn5KaQ2NiSqkeABedT7+MAAAA")),
        // joblib before 0.10, and the same by Python 2.
        ("zfile", bytes("ZF0x8c               ") + zlib), ("zfile", bytes("ZF0x8c                ") + zlib),
    ]

    @Test(arguments: samples.indices) func whole(_ index: Int) {
        let (container, file) = Self.samples[index]
        #expect(FormatCheck.pickle.quick(file).isAccepted, "\(container): \(FormatCheck.pickle.quick(file))")
        for size in readSizes {
            let outcome = FormatCheck.pickle.whole(file, readSize: size)
            #expect(outcome.facts?.details["container"] == container, "\(container), read size \(size): \(outcome)")
        }
        for length in file.indices {
            let outcome = FormatCheck.pickle.whole(Array(file[..<length]), readSize: 13)
            #expect(!outcome.isAccepted, "\(container), \(length) of \(file.count) bytes")
        }
        #expect(!FormatCheck.pickle.whole(file + [1]).isAccepted, "\(container) and a byte more")
    }

    /// Several streams in one file are what the programs read as one.
    @Test func severalStreams() {
        for (container, file) in Self.samples where ["zstd", "lz4", "xz", "gzip", "bzip2"].contains(container) {
            #expect(FormatCheck.pickle.whole(file + file).isAccepted, "\(container)")
            #expect(!FormatCheck.pickle.whole(file + file.dropLast(3)).isAccepted, "\(container)")
        }
        let skippable = [0x50, 0x2A, 0x4D, 0x18] + PickleTests.number(3, 4) + [1, 2, 3]
        #expect(FormatCheck.pickle.whole(Self.samples[0].file + skippable).isAccepted)
        #expect(!FormatCheck.pickle.whole(Self.samples[0].file + skippable.dropLast()).isAccepted)
    }

    /// What is decompressed must be a pickle to its end, and its check sum's.
    @Test func contents() {
        for (container, file) in Self.samples where ["zlib", "gzip"].contains(container) {
            // The last byte before the sums may have bits that only fill it up, and gzip's header says when and where.
            let last = file.count - (container == "zlib" ? 5 : 9)
            for place in (container == "zlib" ? 2 : 10)..<file.count where place != last {
                var changed = file
                changed[place] ^= 0x20
                #expect(!FormatCheck.pickle.whole(changed).isAccepted, "\(container), byte \(place)")
            }
        }
        // "hello" stored, which is no pickle.
        let text: [UInt8] = [0x78, 0x01, 1, 5, 0, 0xFA, 0xFF] + bytes("hello") + [0x06, 0x2C, 0x02, 0x15]
        #expect(FormatCheck.pickle.whole(text).reason?.hasPrefix("what is compressed in it is no whole pickle") == true)
        let wrong = bytes("ZF0x8d               ") + Self.zlib
        #expect(FormatCheck.pickle.whole(wrong).reason == "its header tells of 141 bytes, decompressed it has 140")
    }

    /// Everything that Python compresses by itself, with content long enough for every kind of block.
    @Test(.enabled(if: Python.runs, Python.missing("anything"))) func byPython() throws {
        let script = """
            import pickle, zlib, gzip, bz2, lzma, random
            random.seed(5)
            words = [random.choice(["alpha", "beta", "gamma", "delta"]) + str(random.randrange(50)) for _ in range(9000)]
            for name, o in [("text", words), ("noise", random.randbytes(90000)), ("zeros", bytes(500000)), ("small", None)]:
                for p in (0, 2, 5):
                    d = pickle.dumps(o, p)
                    n = f"{name}{p}"
                    for level in (0, 1, 6, 9):
                        open(f"{n}.{level}.zlib", "wb").write(zlib.compress(d, level))
                        open(f"{n}.{level}.gzip", "wb").write(gzip.compress(d, level))
                    c = zlib.compressobj(9, strategy=zlib.Z_FIXED)
                    open(f"{n}.fixed.zlib", "wb").write(c.compress(d) + c.flush())
                    open(f"{n}.bzip2", "wb").write(bz2.compress(d))
                    open(f"{n}.xz", "wb").write(lzma.compress(d))
                    open(f"{n}.crc.xz", "wb").write(lzma.compress(d, check=lzma.CHECK_CRC32, preset=9))
                    open(f"{n}.lzma", "wb").write(lzma.compress(d, format=lzma.FORMAT_ALONE))
                    with gzip.open(f"{n}.many.gzip", "wb") as g: g.write(d[:len(d) // 2])
                    with gzip.open(f"{n}.many.gzip", "ab") as g: g.write(d[len(d) // 2:])
            """
        let files = try Python.files(script)
        #expect(files.count == 12 * 14)
        for (name, bytes) in files {
            let outcome = FormatCheck.pickle.whole(bytes)
            #expect(
                outcome.facts?.details["container"] == name.split(separator: ".").last.map(String.init),
                "\(name): \(outcome)")
            for length in [bytes.count / 3, bytes.count / 2, bytes.count - 9, bytes.count - 1] where length > 0 {
                #expect(!FormatCheck.pickle.whole(Array(bytes[..<length])).isAccepted, "\(name), \(length) bytes")
            }
        }
    }
}
