import TestSupport
import Testing

/// What Swift cannot check, and ends the driver with every mount's users waiting, does not stand in Sources.
@Suite struct SafetyTests {
    static let forbidden = ["try!", "fatalError(", "as!", "unowned(unsafe)", "nonisolated(unsafe)"]

    @Test func nothingInSourcesTrapsOnDataFromOutside() throws {
        for file in try SourceTree.swiftFiles(below: "Sources") {
            for (number, line) in file.lines.enumerated() {
                let code = SourceTree.code(line)
                for word in Self.forbidden {
                    #expect(!code.contains(word), "\(file.path):\(number + 1): \(word)")
                }
            }
        }
    }

    @Test func uncheckedSendableHasAProof() throws {
        var seen = 0
        for file in try SourceTree.swiftFiles(below: "Sources") {
            for (number, line) in file.lines.enumerated()
            where SourceTree.code(line).contains("@unchecked Sendable") {
                seen += 1
                let around = file.lines[max(0, number - 1)..<min(file.lines.count, number + 3)]
                #expect(
                    around.contains { $0.contains("// Proof:") },
                    "\(file.path):\(number + 1): @unchecked Sendable wants a '// Proof:' beside it")
            }
        }
        #expect(seen > 0, "there are some, so the test reads them")
    }

    @Test(arguments: [
        ("let a = 1 // try! it", "let a = 1 "), ("// fatalError(", ""), ("a / b", "a / b"), ("", ""),
    ])
    func commentsAreNoCode(line: String, code: String) { #expect(SourceTree.code(line[...]) == code[...]) }
}
