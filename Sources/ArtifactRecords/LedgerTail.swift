internal import SystemCalls
internal import SystemPackage

/// The end of a ledger file: what the next line needs to know.
struct LedgerTail {
    /// The file's size when this was read or written; -1 when it is not known.
    var size: Int64
    /// The number of the last whole line.
    var seq: Int64
    /// The hash of the last line, whole or not.
    var hash: String
    var needsNewline: Bool
    /// The last line is not a ledger line.
    var isDamaged: Bool
    /// The file that the last line says the ledger goes on in.
    var continuation: String?

    /// Nothing is known.
    static let unknown = LedgerTail(size: -1, seq: 0, hash: Ledger.noHash, needsNewline: false, isDamaged: false)

    init(size: Int64, seq: Int64, hash: String, needsNewline: Bool, isDamaged: Bool) {
        self.size = size
        self.seq = seq
        self.hash = hash
        self.needsNewline = needsNewline
        self.isDamaged = isDamaged
    }

    /// Longer than every line. A file without lines in its last part is no ledger, and as long as somebody made it.
    private static let farthest: Int64 = 32 << 20

    /// Reads backwards from the end until a whole line is found.
    ///
    /// - Throws: `EFBIG` when there is none near the end.
    init(of descriptor: FileDescriptor, size: Int64) throws(Errno) {
        self.init(size: size, seq: 0, hash: Ledger.noHash, needsNewline: false, isDamaged: false)
        guard size > 0 else { return }
        var length: Int64 = 65_536
        while true {
            let start = max(0, size - length)
            let bytes = try SystemCall.bytes(descriptor, at: start, count: Int(size - start))
            needsNewline = bytes.last != UInt8(ascii: "\n")
            let end = needsNewline ? bytes.count : bytes.count - 1
            var lines = bytes[..<end].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            // The first line of the piece may have begun before it.
            if start > 0 { lines.removeFirst() }
            if let last = lines.last {
                let whole = lines.last { Self.seq(of: $0) != nil }
                if whole != nil || start == 0 {
                    hash = try SHA256.digest(last)
                    isDamaged = needsNewline || Self.seq(of: last) == nil
                    seq = whole.flatMap(Self.seq(of:)) ?? 0
                    if !isDamaged, let line = JSONValue(parsing: last),
                        case .ledgerContinues(let file) = LedgerEvent(line)
                    {
                        continuation = file
                    }
                    return
                }
            }
            guard length < Self.farthest else { throw .fileTooLarge }
            length *= 8
        }
    }

    private static func seq(of line: some Collection<UInt8>) -> Int64? {
        JSONValue(parsing: line).flatMap(LedgerLine.number)
    }
}
