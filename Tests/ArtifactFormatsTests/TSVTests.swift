import ArtifactFormats
import SystemPackage
import enum TestSupport.Seed
import struct TestSupport.SplitMix64
import Testing

@Suite struct TSVTests {
    private static let good: [(String, rows: Int64, columns: [String])] = [
        ("a\tb\n", 0, ["a", "b"]),
        ("a\tb\n1\t2\n", 1, ["a", "b"]),
        ("a\tb\r\n1\t2\r\n", 1, ["a", "b"]),
        ("a\r\n1\n", 1, ["a"]),
        ("a\n1\n\n3\n", 3, ["a"]),
        ("\u{FEFF}a\tb\n1\t2\n", 1, ["a", "b"]),
        ("\ta\n0\t1\n", 1, ["", "a"]),
        ("gène\tβ\n日本\t🧬\n", 1, ["gène", "β"]),
        ("a\tb\n\"1\t2\n", 1, ["a", "b"]),
        ("a\tb\n\t\n", 1, ["a", "b"]),
    ]

    @Test(arguments: good.indices) func accepts(_ index: Int) {
        let (text, rows, columns) = Self.good[index]
        #expect(FormatCheck.tsv.quick(bytes(text)).isAccepted)
        for size in readSizes {
            let facts = FormatCheck.tsv.whole(bytes(text), readSize: size).facts
            #expect(facts == FormatFacts(rows: rows, columns: columns.map { .init(name: $0) }), "read size \(size)")
        }
    }

    private static let bad: [(String, reason: String)] = [
        ("", "it is empty"),
        ("\n", "names no columns"),
        ("\r\n1\n", "names no columns"),
        ("\t\t\n1\t2\t3\n", "names no columns"),
        ("\u{FEFF}\n1\n", "names no columns"),
        ("a\tb", "does not end with a newline"),
        ("a\tb\n1\t2", "does not end with a newline"),
        ("a\tb\r1\t2\r", "does not end with a newline"),
        ("a\tb\n1\n", "line 2 has only 1 column (it may be blank), the header has 2"),
        ("a\tb\n1\t2\n\n", "line 3 has only 1 column (it may be blank), the header has 2"),
        ("a\tb\tc\n1\t2\n", "line 2 has 2 columns, the header has 3"),
        ("a\n1\n2\n3\t\n", "line 4 has 2 columns, the header has 1"),
        ("a\tb\n1\t\0\n", "line 2 holds a NUL byte"),
        ("a\0\n", "line 1 holds a NUL byte"),
    ]

    @Test(arguments: bad.indices) func refuses(_ index: Int) throws {
        let (text, expected) = Self.bad[index]
        #expect(!FormatCheck.tsv.quick(bytes(text)).isAccepted)
        for size in readSizes {
            let reason = try #require(FormatCheck.tsv.whole(bytes(text), readSize: size).reason)
            #expect(reason.contains(expected), "read size \(size)")
        }
    }

    @Test(arguments: [
        "<!DOCTYPE html>\n<html>\n</html>\n", "<!doctype HTML PUBLIC>\n", "<html>\n<h1>404</h1>\n</html>\n",
        "\u{FEFF}\n\r\n \t<HTML lang=\"en\">\n", "<head>\n",
        "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>\n",
        "<!DOCTYPE html><html></html>", String(repeating: "\n", count: 900) + "<html>\n",
    ]) func refusesWebPages(_ text: String) throws {
        for check in [FormatCheck.tsv, .json] {
            #expect(check.quick(bytes(text)).reason?.contains("a web page") == true)
            for size in readSizes {
                let reason = try #require(check.whole(bytes(text), readSize: size).reason)
                #expect(reason.contains("a web page, such as a server's error page"), "\(check), read size \(size)")
            }
        }
        #expect(FormatCheck.tsv.whole(bytes("<gene>\t<htm\n1\t<html>\n")).isAccepted)
    }

    @Test func refusesOtherEncodings() throws {
        var utf16: [UInt8] = [0xFF, 0xFE]
        for unit in "a\tb\n1\t2\n".utf16 { utf16 += [UInt8(unit & 0xFF), UInt8(unit >> 8)] }
        let reason = try #require(FormatCheck.tsv.whole(utf16).reason)
        #expect(reason.contains("UTF-16"))
        let latin = bytes("a\tb\n1\t2\nM") + [0xFC] + bytes("ller\t1\n")
        #expect(FormatCheck.tsv.whole(latin).reason == "line 3 is not UTF-8 (byte 0xFC)")
        // A character cut off by the end of its line.
        #expect(FormatCheck.tsv.whole(bytes("a\n") + [0xE2, 0x82, 0x0A]).reason?.contains("not UTF-8") == true)
    }

    /// The standard library's own validation is the reference.
    @Test func agreesWithTheStandardLibraryOnUTF8() {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        let pieces: [[UInt8]] = [
            [0x41], [0x7F], [0xC2, 0x80], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xE0, 0x9F, 0xBF], [0xED, 0x9F, 0xBF],
            [0xED, 0xA0, 0x80], [0xEF, 0xBF, 0xBF], [0xF0, 0x90, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF],
            [0xF4, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xF5, 0x80, 0x80, 0x80],
            [0x80], [0xBF], [0xE2, 0x82], [0xF0, 0x9F, 0xA7], [0xFE], [0xFF],
        ]
        var verdicts: Set<Bool> = []
        for _ in 0..<3000 {
            var cell: [UInt8] = Array(repeating: 0x78, count: Int.random(in: 0..<80, using: &generator))
            for _ in 0..<Int.random(in: 1..<4, using: &generator) {
                // Mostly valid pieces, or nothing valid would ever be tried.
                let valid = [0, 1, 2, 3, 4, 6, 8, 9, 11]
                let index =
                    Bool.random(using: &generator)
                    ? valid[Int.random(in: 0..<valid.count, using: &generator)]
                    : Int.random(in: 0..<pieces.count, using: &generator)
                cell += pieces[index]
            }
            let expected = String(validating: cell, as: UTF8.self) != nil
            verdicts.insert(expected)
            let file = bytes("h\n") + cell + [0x0A]
            let size = readSizes[Int.random(in: 0..<readSizes.count, using: &generator)]
            #expect(
                FormatCheck.tsv.whole(file, readSize: size).isAccepted == expected,
                "seed \(seed), \(cell), read \(size)")
        }
        #expect(verdicts.count == 2)
    }

    /// Any table is accepted; with one tab more or less in one row it is refused, with that row's number.
    @Test func countsEveryRow() {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        for _ in 0..<400 {
            let columns = Int.random(in: 1...9, using: &generator)
            let rowCount = Int.random(in: 1...60, using: &generator)
            let end = Bool.random(using: &generator) ? "\n" : "\r\n"
            var rows = (0...rowCount).map { row in
                (0..<columns).map { column in
                    row == 0
                        ? "c\(column)" : String(repeating: "x", count: Int.random(in: 0..<30, using: &generator)) + "é"
                }
            }
            let size = readSizes[Int.random(in: 0..<readSizes.count, using: &generator)]
            func file() -> [UInt8] { bytes(rows.map { $0.joined(separator: "\t") + end }.joined()) }
            let outcome = FormatCheck.tsv.whole(file(), readSize: size)
            #expect(outcome.facts?.rows == Int64(rowCount), "seed \(seed): \(outcome)")
            #expect(outcome.facts?.columns?.map(\.name) == rows[0], "seed \(seed)")
            #expect(FormatCheck.tsv.quick(file()).isAccepted, "seed \(seed)")
            let victim = Int.random(in: 1...rowCount, using: &generator)
            if columns > 1, Bool.random(using: &generator) {
                rows[victim].removeLast()
            } else {
                rows[victim].append("more")
            }
            let refused = FormatCheck.tsv.whole(file(), readSize: size)
            #expect(refused.reason?.hasPrefix("line \(victim + 1) has ") == true, "seed \(seed): \(refused)")
        }
    }

    // MARK: The quick check of large files

    private static func large(rows: Int, badRow: Int? = nil) -> [UInt8] {
        var text = bytes("chrom\tposition\tscore\n")
        for row in 1...rows { text += bytes(row == badRow ? "chr1\t\(row)\n" : "chr1\t\(row)\t0.125\n") }
        return text
    }

    @Test func quickCheckSeesBothEnds() throws {
        let rows = 40_000
        #expect(Self.large(rows: rows).count > 500_000)
        #expect(FormatCheck.tsv.quick(Self.large(rows: rows)).isAccepted)
        #expect(
            FormatCheck.tsv.quick(Self.large(rows: rows, badRow: 17)).reason?.hasPrefix("line 18 has 2 col") == true)
        let end = try #require(FormatCheck.tsv.quick(Self.large(rows: rows, badRow: rows - 5)).reason)
        #expect(end.hasPrefix("the row at byte ") && end.hasSuffix(" has 2 columns, the header has 3"), "\(end)")
        // The byte is the row's first.
        let digits = end.dropFirst("the row at byte ".count).prefix { $0.isNumber }
        let offset = try #require(Int(digits))
        #expect(Self.large(rows: rows, badRow: rows - 5)[offset...].starts(with: bytes("chr1\t\(rows - 5)\n")))
        // The middle is the whole check's.
        let middle = Self.large(rows: rows, badRow: rows / 2)
        #expect(FormatCheck.tsv.quick(middle).isAccepted)
        #expect(
            FormatCheck.tsv.whole(middle, readSize: 4099).reason
                == "line \(rows / 2 + 1) has 2 columns, the header has 3")
        #expect(FormatCheck.tsv.quick(Array(Self.large(rows: rows).dropLast())).reason?.contains("newline") == true)
    }

    @Test func quickCheckIsBounded() throws {
        let source = CountingSource(bytes: Self.large(rows: 200_000))
        try FormatCheck.tsv.checkQuickly(source)
        #expect(source.total.value <= 200 * 1024)
    }

    @Test func acceptsRowsLongerThanTheQuickCheckLooks() {
        let wide = String(repeating: "x", count: 100_000)
        for text in ["\(wide)\tb\n1\t2\n", "a\tb\n\(wide)\t2\n", "a\tb\n1\t\(wide)\n\(wide)\t2\n"] {
            #expect(FormatCheck.tsv.quick(bytes(text)).isAccepted)
            #expect(FormatCheck.tsv.whole(bytes(text), readSize: 4096).isAccepted)
        }
        // A header cut by the quick check's window is still counted by the whole one.
        #expect(!FormatCheck.tsv.whole(bytes("\(wide)\tb\n1\n")).isAccepted)
    }

    private func names(_ count: Int) -> String { (0..<count).map { "c\($0)" }.joined(separator: "\t") + "\n" }

    @Test func wideTablesAreCountedNotNamed() {
        // More text than a record takes, in two names; then more names than a record takes.
        let long = String(repeating: "x", count: 2_000_000) + "\ty\n"
        let outcome = FormatCheck.tsv.whole(bytes(long + "1\t2\n"), readSize: 100_000)
        #expect(outcome.facts == FormatFacts(rows: 1, details: ["columns": "2"]))
        #expect(!FormatCheck.tsv.whole(bytes(long + "1\n")).isAccepted)
        #expect(FormatCheck.tsv.whole(bytes(names(FormatFacts.columnLimit))).facts?.columns?.count == 16_384)
        let facts = FormatCheck.tsv.whole(bytes(names(FormatFacts.columnLimit + 1))).facts
        #expect(facts?.columns == nil)
        #expect(facts?.details["columns"] == String(FormatFacts.columnLimit + 1))
    }
}

/// Counts what is read.
private struct CountingSource: ByteSource {
    final class Total { var value = 0 }

    let bytes: [UInt8]
    let total = Total()
    var count: Int64 { Int64(bytes.count) }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        let got = try MemorySource(bytes: bytes).read(at: offset, into: buffer)
        total.value += got
        return got
    }
}
