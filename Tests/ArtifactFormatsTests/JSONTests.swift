import ArtifactFormats
import Testing

@Suite struct JSONTests {
    private static let good: [(String, topLevel: String)] = [
        ("{}", "object"), ("[]", "array"), ("  {\n} \r\n\t", "object"), ("0", "number"), ("-0", "number"),
        ("12.50e-3", "number"), ("1E5", "number"), ("0e+1", "number"), ("-1.0", "number"), ("\"\"", "string"),
        ("\"a\\n\\u00e9\\ud800\\\"\\\\\\/\"", "string"), ("true", "boolean"), ("false", "boolean"), ("null", "null"),
        ("[1,-2 , 3.5,\"é日🧬\",{\"a\":{\"b\":[[],[{}]]}},null]", "array"), ("{\"a\":1,\"a\":2}", "object"),
        ("[0]", "array"), ("[1e5,2]", "array"), ("\"\u{7F}\"", "string"),
    ]

    @Test(arguments: good.indices) func accepts(_ index: Int) {
        let (text, topLevel) = Self.good[index]
        #expect(FormatCheck.json.quick(bytes(text)).isAccepted, "\(text)")
        for size in readSizes {
            let outcome = FormatCheck.json.whole(bytes(text), readSize: size)
            #expect(outcome.facts == FormatFacts(details: ["top_level": topLevel]), "\(text), read size \(size)")
        }
    }

    /// What a diverged training writes is accepted, and said.
    @Test(arguments: [
        ("NaN", "1"), ("Infinity", "1"), ("-Infinity", "1"),
        ("{\"loss\": NaN, \"best\": -Infinity, \"x\": [Infinity, 0, \"NaN\"]}", "3"),
    ]) func numbersThatAreNotFinite(_ text: String, count: String) {
        #expect(FormatCheck.json.quick(bytes(text)).isAccepted, "\(text)")
        for size in readSizes {
            #expect(
                FormatCheck.json.whole(bytes(text), readSize: size).facts?.details["non_finite"] == count, "\(text)")
        }
    }

    private static let bad = [
        "", " \n", "{", "}", "[", "]", "{]", "[}", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "{a:1}",
        "{'a':1}", "{\"a\":1 \"b\":2}", "{1:2}", "[1]]", "{} {}", "{}x", "01", "-", "+1", "1.", ".5", "1e", "1e+",
        "--1",
        "-a", "0x10", "1.e5", "tru", "True", "nul", "nan", "-NaN", "infinity", "Inf", "\"", "\"a", "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u123\"", "\"a\nb\"", "\"\t\"", "\"\u{1}\"", "[1]/*c*/", "//c\n1", "\u{FEFF}{}", "nulll", "1 2",
        "[\"a\":1]",
        "{\"a\":1]", "[\u{A0}]", "\0", "{}\0", "[1,,2]", "{,}",
    ]

    @Test(arguments: bad) func refuses(_ text: String) {
        for size in readSizes {
            #expect(!FormatCheck.json.whole(bytes(text), readSize: size).isAccepted, "read size \(size)")
        }
    }

    /// What the quick check alone refuses, and what it says.
    @Test func quickCheckLooksAtTheEnds() {
        #expect(FormatCheck.json.quick(bytes("{\"a\": 1")).reason?.contains("is not closed") == true)
        #expect(FormatCheck.json.quick(bytes("[1, 2}")).reason?.contains("is not closed") == true)
        #expect(FormatCheck.json.quick(bytes("\"")).reason?.contains("is not closed") == true)
        #expect(FormatCheck.json.quick(bytes("hello")).reason?.contains("'h' cannot begin") == true)
        #expect(FormatCheck.json.quick(bytes("   ")).reason?.contains("only blanks") == true)
        #expect(FormatCheck.json.quick(bytes("")).reason == "it is empty")
        // The middle is the whole check's.
        let text = bytes("{\"a\": [1, 2}")
        #expect(FormatCheck.json.quick(text).isAccepted)
        #expect(FormatCheck.json.whole(text).reason == "line 1 (byte 11) has '}' where ',' or ']' is expected")
    }

    @Test func blanksLongerThanTheQuickCheckLooks() {
        let blanks = String(repeating: " \n", count: 100_000)
        #expect(FormatCheck.json.quick(bytes(blanks)).isAccepted)
        #expect(!FormatCheck.json.whole(bytes(blanks)).isAccepted)
        #expect(FormatCheck.json.whole(bytes(blanks + "[1]" + blanks)).isAccepted)
        #expect(!FormatCheck.json.whole(bytes(blanks + "[1" + blanks)).isAccepted)
    }

    @Test func depthIsBounded() {
        func nested(_ depth: Int) -> [UInt8] {
            bytes(String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
        }
        #expect(FormatCheck.json.whole(nested(512)).isAccepted)
        #expect(FormatCheck.json.whole(nested(513)).reason == "line 1 nests deeper than 512 levels")
        #expect(!FormatCheck.json.whole(nested(1_000_000)).isAccepted)
    }

    @Test func stringsMustBeUTF8() {
        for bad: [UInt8] in [
            [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82], [0xF4, 0x90, 0x80, 0x80], [0x80],
        ] {
            for size in readSizes {
                let file = bytes("[\n\"ab") + bad + bytes("\"]")
                let outcome = FormatCheck.json.whole(file, readSize: size)
                #expect(outcome.reason?.hasPrefix("line 2 has a string that is not UTF-8") == true, "\(bad) \(outcome)")
            }
            #expect(!FormatCheck.json.whole(bytes("[\"") + bad + bytes("\\n\"]")).isAccepted)
            #expect(!FormatCheck.json.whole(bytes("{\"") + bad + bytes("\": 1}")).isAccepted)
        }
    }

    @Test func everyTruncationOfAnObjectIsRefused() {
        let text = bytes(
            "{\"epoch\": [1, 2.5e-3, -Infinity], \"name\": \"é\\u00e9 🧬\", \"ok\": {\"a\": true, \"b\": null}}")
        #expect(FormatCheck.json.whole(text).isAccepted)
        for length in 0..<text.count {
            for size in [1, 7, Int.max] {
                #expect(!FormatCheck.json.whole(Array(text[..<length]), readSize: size).isAccepted, "\(length) bytes")
            }
        }
    }

    // MARK: - JSON Lines

    private static let lines =
        "{\"epoch\": 1, \"loss\": NaN}\n{\"epoch\": 2, \"l\": [-Infinity, {}]}\r\n\n[1]\n\"é\"\n-1.5e3\nnull\n"

    @Test(arguments: [
        (lines, Int64(6), "2"), ("{}", 1, nil), ("\n\n{}\n \n", 1, nil), ("1\n2\n", 2, nil), ("{}\n[]", 2, nil),
        ("true", 1, nil), (" {} \r\n", 1, nil),
    ]) func jsonLines(_ text: String, rows: Int64, nonFinite: String?) {
        #expect(FormatCheck.jsonLines.quick(bytes(text)).isAccepted)
        for size in readSizes {
            let facts = FormatCheck.jsonLines.whole(bytes(text), readSize: size).facts
            #expect(facts?.rows == rows && facts?.details["non_finite"] == nonFinite, "\(text), read size \(size)")
        }
    }

    @Test(arguments: [
        ("{\n}\n", "line 1 ends inside a JSON value"), ("{} {}\n", "one value a line is expected"),
        ("{}\n{}\n{\"a\"", "ends on line 3 with 1 bracket still open"), ("1\n2", "in a number, without a newline"),
        ("\n", "before any value"), ("{}\nnot JSON\n", "line 2"), ("{},\n{}\n", "one value a line"),
        ("{}\ntru", "inside a number or a literal"), ("<html>\n", "a web page"),
    ]) func refusedLines(_ text: String, reason: String) throws {
        for size in readSizes {
            let found = try #require(FormatCheck.jsonLines.whole(bytes(text), readSize: size).reason)
            #expect(found.contains(reason), "read size \(size)")
        }
        #expect(!FormatCheck.jsonLines.quick(bytes(text)).isAccepted)
    }

    @Test func everyTruncationOfALineIsRefused() {
        let text = bytes("{\"epoch\": [1, 2.5e-3, -Infinity], \"name\": \"é\\u00e9 🧬\"}\n")
        let before = bytes("{\"epoch\": 0}\n")
        // Without its newline an object is still whole.
        for length in 1..<(text.count - 1) {
            #expect(!FormatCheck.jsonLines.whole(before + text[..<length], readSize: 7).isAccepted, "\(length) bytes")
            #expect(!FormatCheck.jsonLines.quick(before + text[..<length]).isAccepted, "\(length) bytes")
        }
        // The quick check sees it at the end of a long file as well.
        let many = Array([[UInt8]](repeating: text, count: 5000).joined())
        #expect(FormatCheck.jsonLines.quick(many).isAccepted)
        #expect(FormatCheck.jsonLines.whole(many).facts?.rows == 5000)
        #expect(FormatCheck.jsonLines.quick(Array(many.dropLast(3))).reason?.contains("its last line is not") == true)
    }

    /// Named `.json` it is refused, also where only the ends are looked at, with the way out.
    @Test func linesAreNotOneDocument() {
        let line = bytes("{\"epoch\": 1}\n")
        for count in [2, 20_000] {
            let file = Array([[UInt8]](repeating: line, count: count).joined())
            #expect(
                FormatCheck.json.whole(file).reason?.contains("JSON Lines, one value a line, are named .jsonl") == true)
            if count > 2 { #expect(FormatCheck.json.quick(file).reason?.contains("are named .jsonl") == true) }
        }
        #expect(FormatCheck.json.whole(bytes("{} {}")).reason?.contains("jsonl") == false)
    }
}
