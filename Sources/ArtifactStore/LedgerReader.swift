internal import Glibc
internal import SystemCalls
public import SystemPackage

/// Reads a ledger file from its first line to its last.
public enum LedgerReader {
    /// Something that is not as the ledger writes it.
    public struct Problem: Sendable, Hashable, CustomStringConvertible {
        /// The line, from 1.
        public let line: Int
        /// What is wrong with it, for people.
        public let problem: String

        /// For people.
        public var description: String { "line \(line): \(problem)" }
    }

    /// Calls with each line, without its newline; the last may be cut off.
    public static func forEachLine(of file: RealFile, _ body: (ArraySlice<UInt8>) -> Void) throws(Errno) {
        let descriptor = try file.open(O_RDONLY)
        defer { SystemCall.close(descriptor) }
        var offset: Int64 = 0
        var rest: [UInt8] = []
        while true {
            let piece = try SystemCall.bytes(descriptor, at: offset, count: 1 << 20)
            if piece.isEmpty { break }
            offset += Int64(piece.count)
            rest += piece
            var start = rest.startIndex
            while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                body(rest[start..<end])
                start = end + 1
            }
            rest.removeSubrange(..<start)
        }
        if !rest.isEmpty { body(rest[...]) }
    }

    /// Checks the chain of hashes and numbers.
    ///
    /// - Returns: what is wrong; empty for a ledger in which nothing was changed. Lines that crashes cut off are not
    ///   wrong when the
    ///   ledger says so, or when it is the last one.
    public static func verify(_ file: RealFile) throws(Errno) -> [Problem] {
        var problems: [Problem] = []
        var number = 0
        var seq: Int64 = 0
        var hash = Ledger.noHash
        var damaged: Int?
        try forEachLine(of: file) { line in
            number += 1
            defer { hash = (try? SHA256.digest(line)) ?? "" }
            guard let value = JSONValue(parsing: line), let found = Ledger.number(of: value) else {
                if let damaged { problems.append(Problem(line: damaged, problem: "is not a ledger line")) }
                damaged = number
                return
            }
            if let line = damaged, value["event"]?.string != "ledger-repaired" {
                problems.append(Problem(line: line, problem: "is not a ledger line"))
            }
            damaged = nil
            if value["prev"]?.string != hash {
                problems.append(Problem(line: number, problem: "'prev' is not the hash of the line before it"))
            }
            if found != seq + 1 { problems.append(Problem(line: number, problem: "has number \(found) after \(seq)")) }
            seq = found
        }
        return problems
    }
}
