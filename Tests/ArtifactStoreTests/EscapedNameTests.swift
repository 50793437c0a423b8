import Testing

@testable import ArtifactStore

@Suite struct EscapedNameTests {
    @Test(arguments: [
        ("production/base/chr1.tsv", "production%2Fbase%2Fchr1.tsv"), ("", ""), ("a-b_c.9Z", "a-b_c.9Z"),
        ("\u{E9} %\n\u{0}", "%C3%A9%20%25%0A%00"),
    ])
    func wholePaths(path: String, name: String) {
        #expect(EscapedName.encode(path, limit: 200) == name)
        #expect(EscapedName.decode(name) == path)
    }

    /// A longer one keeps its end, and never half of an escaped byte.
    @Test func longPaths() {
        let path = String(repeating: "ab/\u{E9}", count: 40) + "/chr1.tsv"
        let whole = EscapedName.encode(path, limit: 1000)
        for limit in 2...whole.utf8.count + 3 {
            let name = EscapedName.encode(path, limit: limit)
            #expect(name.utf8.count <= limit)
            if limit >= whole.utf8.count {
                #expect(name == whole)
            } else {
                #expect(name.hasPrefix("%~") && whole.hasSuffix(name.dropFirst(2)))
                #expect(limit - name.utf8.count < 3, "as much as fits")
                let escapes = name.dropFirst(2).split(separator: "%", omittingEmptySubsequences: false).dropFirst()
                #expect(escapes.allSatisfy { $0.count >= 2 && UInt8($0.prefix(2), radix: 16) != nil })
            }
        }
    }
}
