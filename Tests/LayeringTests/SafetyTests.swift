import TestSupport
import Testing

/// What Swift cannot check, and ends the driver with every mount's users waiting, does not stand in Sources.
@Suite struct SafetyTests {
    static let forbidden = ["try!", "fatalError(", "as!", "unowned(unsafe)", "nonisolated(unsafe)"]

    @Test func nothingInSourcesTrapsOnDataFromOutside() throws {
        for file in try SourceTree.swiftFiles(below: "Sources") {
            let words = Self.forbidden.filter(file.mentions)
            guard !words.isEmpty else { continue }
            for (number, line) in file.lines.enumerated() {
                let code = SourceTree.code(line)
                for word in words {
                    #expect(!code.contains(word), "\(file.path):\(number + 1): \(word)")
                }
            }
        }
    }

    @Test func uncheckedSendableHasAProof() throws {
        var seen = 0
        for file in try SourceTree.swiftFiles(below: "Sources") where file.mentions("@unchecked Sendable") {
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

    /// What ``SystemCalls`` is for: its functions go through one loop over `EINTR`, and a test can make them fail. The benchmarks measure from
    /// outside, as any program would.
    @Test func systemCallsAreMadeInOnePlace() throws {
        let calls = [
            "readdir", "opendir", "fdopendir", "openat", "openat2", "fstatat", "fstat", "lstat", "statx", "fstatvfs",
            "renameat", "renameat2", "linkat", "symlinkat", "unlinkat", "mkdirat", "mknodat", "readlink", "readlinkat",
            "fchmod", "fchmodat", "fchown", "fchownat", "futimens", "utimensat", "ftruncate", "fallocate", "pread",
            "pwrite", "lseek", "copy_file_range", "fsync", "fdatasync", "flock", "getxattr", "setxattr", "listxattr",
            "removexattr", "clock_gettime", "waitpid", "pipe", "dup2", "umount2",
        ]
        for file in try SourceTree.swiftFiles(below: "Sources")
        where !file.path.hasPrefix("Sources/SystemCalls/") && !file.path.hasPrefix("Sources/Benchmarks/") {
            let found = calls.filter { file.mentions($0 + "(") }
            guard !found.isEmpty || file.mentions("EINTR") else { continue }
            for (number, line) in file.lines.enumerated() {
                let code = SourceTree.code(line)
                for call in found {
                    #expect(!SourceTree.calls(code, call), "\(file.path):\(number + 1): \(call) is for SystemCalls")
                }
                #expect(
                    !code.contains("errno == EINTR") && !code.contains("errno != EINTR"),
                    "\(file.path):\(number + 1): the one loop over EINTR is SystemCall.retry")
            }
        }
        let loops = try SourceTree.swiftFiles(below: "Sources/SystemCalls").flatMap(\.lines).count {
            SourceTree.code($0).contains(".interrupted")
        }
        #expect(loops == 1, "there is one loop over EINTR")
    }

    @Test(arguments: [
        ("let a = fsync(1)", true), ("Glibc.fsync(1)", true), ("SystemCall.fsync(1)", false), ("x.fsync(1)", false),
        ("func fsync(_ a: Int)", false), ("afsync(1)", false), ("fsync_(1)", false), ("if fsync(a) != 0", true),
    ])
    func callsAreSeen(line: String, isCall: Bool) { #expect(SourceTree.calls(line[...], "fsync") == isCall) }

    @Test(arguments: [
        ("let a = 1 // try! it", "let a = 1 "), ("// fatalError(", ""), ("a / b", "a / b"), ("", ""),
    ])
    func commentsAreNoCode(line: String, code: String) { #expect(SourceTree.code(line[...]) == code[...]) }
}
