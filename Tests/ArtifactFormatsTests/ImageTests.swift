import ArtifactFormats
import SystemPackage
import Testing

@Suite struct ImageTests {
    static let png: [UInt8] =
        [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13] + bytes("IHDR")
        + [0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0x3A, 0x7E, 0x9B, 0x55, 0, 0, 0, 10] + bytes("IDAT")
        + [0x78, 0x9C, 0x63, 0x60, 0, 0, 0, 2, 0, 1, 0x48, 0xAF, 0xA4, 0x71]
        + [0, 0, 0, 0] + bytes("IEND") + [0xAE, 0x42, 0x60, 0x82]

    @Test func png() {
        #expect(FormatCheck.png.quick(Self.png).isAccepted)
        #expect(FormatCheck.png.whole(Self.png, readSize: 5).isAccepted)
        for length in 0..<Self.png.count {
            #expect(!FormatCheck.png.quick(Array(Self.png[..<length])).isAccepted)
            #expect(!FormatCheck.png.whole(Array(Self.png[..<length])).isAccepted)
        }
        var other = Self.png
        other[12] = UInt8(ascii: "X")
        #expect(FormatCheck.png.quick(other).reason?.contains("IHDR") == true)
        #expect(FormatCheck.png.quick(Self.png + [0]).reason?.contains("IEND") == true)
        #expect(FormatCheck.png.quick([0x1B, 0x5B] + Self.png).reason?.contains("\\x1B[\\x89PNG") == true)
    }

    @Test func pdf() {
        let pdf = bytes("%PDF-1.7\n" + String(repeating: "x", count: 5000) + "\n%%EOF\n")
        #expect(FormatCheck.pdf.quick(pdf).isAccepted)
        #expect(FormatCheck.pdf.whole(pdf, readSize: 999).isAccepted)
        #expect(FormatCheck.pdf.quick(Array(repeating: 0x20, count: 1019) + pdf).isAccepted)
        #expect(!FormatCheck.pdf.quick(Array(repeating: 0x20, count: 1020) + pdf).isAccepted)
        #expect(FormatCheck.pdf.quick(pdf + Array(repeating: 0x0A, count: 1018)).isAccepted)
        #expect(!FormatCheck.pdf.quick(pdf + Array(repeating: 0x0A, count: 1019)).isAccepted)
        #expect(FormatCheck.pdf.quick(Array(pdf.dropLast(4))).reason?.contains("%%EOF") == true)
    }
}

@Suite struct FormatCheckTests {
    @Test(arguments: FormatCheck.kinds) func emptyFilesAreRefused(_ check: FormatCheck) {
        #expect(check.quick([]).reason == "it is empty")
        #expect(check.whole([]).reason == "it is empty")
    }

    @Test func anyBytesAreNotEmpty() {
        #expect(FormatCheck.notEmpty.quick([0]).isAccepted)
        #expect(FormatCheck.notEmpty.whole([0, 1, 2]).facts == FormatFacts())
    }

    @Test func extensions() {
        let known: [(String, FormatCheck)] = [
            (".tsv", .tsv), ("tsv", .tsv), (".parquet", .parquet), ("json", .json), (".pkl", .pickle), ("pt", .pickle),
            (".ckpt", .pickle), (".png", .png), (".pdf", .pdf), (".h5", .hdf5), (".TSV", .notEmpty),
            ("", .notEmpty),
            (".", .notEmpty), ("..tsv", .notEmpty), (".safetensors", .safetensors),
            (".keras", .keras), ("hdf5", .hdf5), (".h5ad", .notEmpty),
            (".npy", .npy), (".npz", .npz), (".index", .tensorIndex), (".jsonl", .jsonLines),
            (".tsv.gz", .table(TableForm(isCompressed: true))), ("tsv.bgz", .table(TableForm(isCompressed: true))),
            (".gz", .notEmpty),
        ]
        for (name, check) in known { #expect(FormatCheck(fileExtension: name) == check, "\(name)") }
    }

    @Test(arguments: FormatCheck.kinds) func errorsOfTheSourceComeThrough(_ check: FormatCheck) {
        let source = MemorySource(bytes: bytes("a\tb\n"), failsAt: 0)
        #expect(throws: FormatError.unreadable(.ioError)) { try check.checkWhole(source) { _ in } }
    }

    /// A file that shrinks or grows under the check is never accepted: its hash would be of neither.
    @Test(arguments: [Int64(3), 5]) func changingFilesAreRefused(_ claimed: Int64) {
        var source = MemorySource(bytes: bytes("a\nb\n"))
        source.claimedCount = claimed
        for check in [FormatCheck.tsv, .notEmpty] {
            #expect(throws: FormatError.self) { try check.checkWhole(source) { _ in } }
        }
    }
}
