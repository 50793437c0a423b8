import Glibc
import TestSupport

/// The repository as text.
enum SourceTree {
    /// The repository's top, from where this file was when it was built.
    static let top: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(3)
        return parts.joined(separator: "/")
    }()

    struct File {
        /// Relative to the repository's top.
        let path: String
        let text: String
        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }

        /// Whether a word stands in it anywhere: most do in few files, and looking at each line for each word takes minutes.
        func mentions(_ word: String) -> Bool { strstr(text, word) != nil }
    }

    /// Every Swift file below a directory.
    static func swiftFiles(below directory: String) throws -> [File] {
        try tree(top + "/" + directory).filter { $0.hasSuffix(".swift") }.map { name in
            let path = directory + "/" + name
            return File(path: path, text: try contents(top + "/" + path))
        }
    }

    /// The module that a line imports; nothing when it is no import.
    static func importedModule(_ line: Substring) -> String? {
        var words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })[...]
        let before: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var", "actor"]
        while let word = words.first, before.contains(word) || word.hasPrefix("@") { words.removeFirst() }
        guard words.first == "import" else { return nil }
        words.removeFirst()
        if let kind = words.first, kinds.contains(kind) { words.removeFirst() }
        return words.first.map { String($0.prefix { $0 != "." && $0 != ";" }) }
    }

    /// A line without its comment. A `//` inside a string ends it too early, which hides nothing that these tests look for
    /// unless somebody writes it behind a string with two slashes.
    static func code(_ line: Substring) -> Substring {
        var previous: Character = " "
        for index in line.indices {
            if line[index] == "/", previous == "/" { return line[..<line.index(before: index)] }
            previous = line[index]
        }
        return line
    }

    /// Whether a line calls a function of C: not a member of something else, but for the C library itself, and not a declaration.
    static func calls(_ line: Substring, _ function: String) -> Bool {
        var rest = line
        while let range = rest.firstRange(of: function + "(") {
            let before = line[..<range.lowerBound]
            let isDeclared = before.hasSuffix("func ")
            let isMember = before.hasSuffix(".") && !before.hasSuffix("Glibc.")
            let isLonger = before.last.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false
            if !isDeclared, !isMember, !isLonger { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }
}
