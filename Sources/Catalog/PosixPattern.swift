internal import Glibc

/// An extended regular expression (regex(7)).
// Proof: it is not changed after `init`, and regexec(3) is safe for threads with the same expression.
final class PosixPattern: @unchecked Sendable {
    private var compiled = regex_t()

    /// - Throws: what regerror(3) says of it.
    init(_ text: String) throws(PatternError) {
        // The C library unfolds repetitions, those within each other as many times as both say.
        guard text.utf8.count <= Self.longest, Self.repetitions(text) <= Self.mostRepetitions else {
            throw PatternError(
                problem: "it is longer than \(Self.longest) bytes, or repeats more than \(Self.mostRepetitions) times")
        }
        let status = regcomp(&compiled, text, REG_EXTENDED | REG_NOSUB)
        guard status == 0 else {
            var buffer = [CChar](repeating: 0, count: 256)
            _ = buffer.withUnsafeMutableBufferPointer { regerror(status, &compiled, $0.baseAddress, $0.count) }
            throw PatternError(
                problem: String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
    }

    private static let (longest, mostRepetitions) = (1000, 1000)

    /// How many times something may be unfolded at most.
    private static func repetitions(_ text: String) -> Int {
        var all = 1
        for part in text.split(separator: "{").dropFirst() {
            let numbers = part.prefix { $0 != "}" }.split(separator: ",").compactMap { Int($0.prefix(9)) }
            let (product, overflows) = all.multipliedReportingOverflow(by: max(1, numbers.max() ?? 1))
            all = overflows ? .max : product
        }
        return all
    }

    deinit { regfree(&compiled) }

    func fits(_ text: String) -> Bool { withUnsafePointer(to: compiled) { regexec($0, text, 0, nil, 0) == 0 } }
}

/// What is wrong with a regular expression.
public struct PatternError: Error, Sendable, CustomStringConvertible {
    /// For people.
    public let problem: String
    public var description: String { problem }
}
