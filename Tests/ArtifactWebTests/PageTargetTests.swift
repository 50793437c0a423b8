import ArtifactWeb
import TestSupport
import Testing

@Suite struct PageTargetTests {
    @Test(
        arguments: [
            ("/", "/", [:]),
            ("/runs?q=metric.auc+%3E+0.9&sort=-begun", "/runs", ["q": "metric.auc > 0.9", "sort": "-begun"]),
            ("/artifact?path=a%2Fb%20c&version=2", "/artifact", ["path": "a/b c", "version": "2"]),
            ("/x?a", "/x", [:]), ("/x?a=", "/x", [:]), ("/x?=1&a=b=c", "/x", ["a": "b=c"]),
            ("/%C3%BC?", "/\u{fc}", [:]),
        ] as [(String, String, [String: String])])
    func whatIsAskedFor(text: String, path: String, values: [String: String]) throws {
        let target = try #require(PageTarget(parsing: text))
        #expect(target.path == path)
        for name in ["q", "sort", "path", "version", "a"] { #expect(target[name] == values[name], "\(name)") }
    }

    @Test(arguments: [
        "", "runs", "http://x/", "/%", "/%4", "/%zz", "/x?a=%ff", "/\u{0}%80", "*", "//example.org/", "/%2Fexample.org",
    ])
    func whatIsNone(text: String) {
        #expect(PageTarget(parsing: text) == nil)
        #expect(PageTarget(parsing: "/" + String(repeating: "a", count: 70_000)) == nil)
    }

    /// Whatever names and values have in them, they come back.
    @Test func anyTextComesBack() throws {
        var generator = SplitMix64(seed: 7)
        for _ in 0..<2_000 {
            func text() -> String {
                let scalars = (0..<Int.random(in: 1...8, using: &generator)).map { _ -> Unicode.Scalar in
                    let all: [ClosedRange<UInt32>] = [0...0x7f, 0x80...0x7ff, 0x800...0xd7ff, 0x1_0000...0x10_ffff]
                    let range = all.randomElement(using: &generator) ?? 0...0x7f
                    return Unicode.Scalar(UInt32.random(in: range, using: &generator)) ?? "?"
                }
                return String(String.UnicodeScalarView(scalars))
            }
            let target = PageTarget("/p" + text(), [(text(), text()), (text(), text())])
            #expect(PageTarget(parsing: target.text) == target)
        }
    }

    @Test func anotherValue() throws {
        let target = try #require(PageTarget(parsing: "/runs?run=a&q=x&run=b"))
        #expect(target.all("run") == ["a", "b"])
        #expect(target.with("q", "y z").text == "/runs?run=a&run=b&q=y%20z")
        #expect(target.with("run", nil).text == "/runs?q=x")
    }

    /// Texts do not become tags, end no attribute, and turn no writing.
    @Test func textsAreEscaped() {
        let (evil, lines) = ("<script>\"'&\u{202e}\u{1b}[2J\n", "a<b\nc")
        let piece: Markup = "<p title=\"\(evil)\">\(evil)</p><pre>\(lines: lines)</pre>\(3)"
        let shown = "&lt;script&gt;&quot;'&amp;\\u{202e}\\x1b[2J\\n"
        #expect(piece.html == "<p title=\"\(shown)\">\(shown)</p><pre>a&lt;b\nc</pre>3")
    }
}
