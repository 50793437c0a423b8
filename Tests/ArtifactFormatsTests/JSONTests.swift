import ArtifactFormats
import Testing

@Suite struct JSONTests {
    private static let good: [(String, topLevel: String)] = [
        ("{}", "object"), ("[]", "array"), ("  {\n} \r\n\t", "object"), ("0", "number"), ("-0", "number"),
        ("12.50e-3", "number"), ("1E5", "number"), ("0e+1", "number"), ("-1.0", "number"), ("\"\"", "string"),
        ("\"a\\n\\u00e9\\ud800\\\"\\\\\\/\"", "string"), ("true", "boolean"), ("false", "boolean"), ("null", "null"),
        ("NaN", "number"), ("Infinity", "number"), ("-Infinity", "number"),
        ("{\"loss\": NaN, \"best\": -Infinity, \"x\": [Infinity]}", "object"),
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
}
