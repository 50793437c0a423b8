import ArtifactFormats
import enum TestSupport.Seed
import struct TestSupport.SplitMix64
import Testing

/// Tables that are not only tabs, newlines and a header.
@Suite struct TableFormTests {
    private static let hash = TableForm(comment: .hash)
    private static let headless = TableForm(hasHeader: false)
    private static let quoted = TableForm(hasQuotes: true)
    private static let all = TableForm(comment: .hash, hasHeader: false, hasQuotes: true)

    @Test(arguments: [
        (hash, "## made by x\n#\na\tb\n1\t2\n# end\n", Int64(1), ["a", "b"]),
        (hash, "\u{FEFF}#c\r\na\r\n1\r\n", 1, ["a"]), (hash, "\u{FEFF}a\n1\n", 1, ["a"]),
        (hash, "a\n1 # no comment\n", 1, ["a"]),
        (TableForm(comment: .at), "@HD\tVN:1\na\n", 0, ["a"]),
        (quoted, "a\t\"b\tc\"\n\"1\n\n2\"\t\"say \"\"x\"\"\"\n3\t4\"\n", 2, ["a", "b\tc"]),
        (quoted, "\"a\"\r\n\"1\"\r\n", 1, ["a"]), (quoted, "a\n\n", 1, ["a"]),
        (headless, "1\t2\n3\t4\n", 2, []), (headless, "x\r\n", 1, []), (headless, "\t\n", 1, []),
        (all, "# c\n\"1\t1\"\t2\n#\n3\t\"\n# no comment\n\"\n", 2, []),
    ]) func accepts(_ form: TableForm, text: String, rows: Int64, columns: [String]) {
        #expect(FormatCheck.table(form).quick(bytes(text)).isAccepted)
        for size in readSizes {
            let outcome = FormatCheck.table(form).whole(bytes(text), readSize: size)
            #expect(outcome.facts?.rows == rows, "\(outcome), read size \(size)")
            if form.hasHeader { #expect(outcome.facts?.columns?.map(\.name) == columns, "read size \(size)") }
        }
    }

    @Test(arguments: [
        (hash, "# only\n", "comments only"), (hash, "#c\na\tb\n#d\n1\n", "line 4 has only 1 column"),
        (hash, "\n1\n", "names no columns"), (hash, "a\tb\n1\t\0\n", "line 2 holds a NUL byte"),
        (headless, "1\t2\n3\n", "line 2 has only 1 column (it may be blank), the first row has 2"),
        (quoted, "a\tb\n\"1\n\"\t2\n3\n", "line 4 has only 1 column"),
        (quoted, "a\n\"1\n2\n", "it ends inside quotes that begin on line 2"),
        (quoted, "a\tb\n\"1\t2\"\n", "line 2 has only 1 column"), (quoted, "a\n\"1\"", "does not end with a newline"),
        (TableForm(), "a\tb\n1\t2\t3\n", "use col.names=NA"), (hash, "#\na\tb\n1\t2\t3\n", "use col.names=NA"),
    ]) func refuses(_ form: TableForm, text: String, reason: String) throws {
        for size in readSizes {
            let found = try #require(FormatCheck.table(form).whole(bytes(text), readSize: size).reason)
            #expect(found.contains(reason), "read size \(size)")
        }
        #expect(!FormatCheck.table(form).quick(bytes(text)).isAccepted)
    }

    /// R's way out is told of the first row only.
    @Test func otherRowsHaveAnotherReason() {
        #expect(
            FormatCheck.tsv.whole(bytes("a\tb\n1\t2\n1\t2\t3\n")).reason == "line 3 has 3 columns, the header has 2")
    }

    /// Without anything special in it every form counts as the plain one does.
    @Test func formsAgree() {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        for _ in 0..<300 {
            let columns = Int.random(in: 1...3, using: &generator)
            var text = Array(repeating: "é", count: columns).joined(separator: "\t") + "\n"
            for _ in 0..<Int.random(in: 0...20, using: &generator) {
                let odd = Int.random(in: 0..<40, using: &generator) == 0 ? 1 : 0
                text += Array(repeating: "12", count: columns + odd).joined(separator: "\t") + "\n"
            }
            let plain = FormatCheck.tsv.whole(bytes(text), readSize: 7)
            for form in [Self.hash, Self.quoted, TableForm(comment: .percent, hasQuotes: true)] {
                #expect(FormatCheck.table(form).whole(bytes(text), readSize: 5) == plain, "seed \(seed)")
            }
            #expect(FormatCheck.table(Self.headless).whole(bytes(text)).isAccepted == plain.isAccepted, "seed \(seed)")
        }
    }

    @Test(.enabled(if: Python.runs, Python.missing("anything"))) func compressed() throws {
        let script = """
            import gzip, struct, zlib
            text = b"a\\tb\\n" + b"".join(b"%d\\t%d\\n" % (i, i * i) for i in range(20000))
            open("plain.tsv.gz", "wb").write(gzip.compress(text))
            open("stored.tsv.gz", "wb").write(gzip.compress(text, 0))
            open("bad.tsv.gz", "wb").write(gzip.compress(text + b"1\\n"))
            open("page.tsv.gz", "wb").write(gzip.compress(b"<html>\\n<p>\\n"))
            with gzip.open("two.tsv.gz", "wb") as f: f.write(text[:1001])
            with gzip.open("two.tsv.gz", "ab") as f: f.write(text[1001:])
            def block(d):
                c = zlib.compressobj(6, zlib.DEFLATED, -15)
                b = c.compress(d) + c.flush()
                return b"\\x1f\\x8b\\x08\\x04" + bytes(4) + b"\\0\\xff\\x06\\0BC\\x02\\0" + struct.pack("<H", len(b) + 25) + b + struct.pack("<II", zlib.crc32(d), len(d))
            blocks = [block(text[i:i + 60000]) for i in range(0, len(text), 60000)]
            open("b.tsv.bgz", "wb").write(b"".join(blocks) + block(b""))
            open("cut.tsv.bgz", "wb").write(b"".join(blocks))
            """
        let files = try Python.files(script)
        #expect(files.count == 7)
        for (name, bytes) in files {
            let check = FormatCheck(fileExtension: String(name.drop { $0 != "." }))
            let outcome = check.whole(bytes, readSize: 1000)
            switch name {
            case "bad.tsv.gz": #expect(outcome.reason?.contains("line 20002 has only 1 column") == true, "\(outcome)")
            case "page.tsv.gz": #expect(outcome.reason?.contains("a web page") == true, "\(outcome)")
            case "cut.tsv.bgz":
                #expect(outcome.reason?.contains("empty block of bgzip") == true, "\(outcome)")
                #expect(!check.quick(bytes).isAccepted)
            default:
                #expect(check.quick(bytes).isAccepted, "\(name)")
                #expect(outcome.facts?.rows == 20_000 && outcome.facts?.columns?.count == 2, "\(name): \(outcome)")
                for length in stride(from: 0, to: bytes.count, by: bytes.count / 20) {
                    #expect(!check.whole(Array(bytes[..<length])).isAccepted, "\(name), \(length) bytes")
                }
                #expect(!check.whole(Array(bytes.dropLast())).isAccepted, "\(name)")
            }
        }
        #expect(FormatCheck(fileExtension: "tsv.gz").whole(bytes("a\tb\n")).reason?.contains("not compressed") == true)
    }
}
