internal import Glibc
internal import SystemCalls
package import SystemPackage

/// Lines that are found again without reading what is around them.
extension LedgerReader {
    /// Where a line is.
    package struct LineSpan: Sendable, Hashable {
        /// The file's number among its host's.
        let number: Int
        /// In bytes.
        let offset: Int64
        let count: Int
    }

    /// Calls with each line of a host's ledger, without its newline, and with where it is; the last of a file may be cut off.
    package func forEachLine(
        of host: String, _ body: (ArraySlice<UInt8>, LineSpan) -> Void
    ) throws(Errno) {
        for number in try LedgerFiles.all(in: directory)[host] ?? [] {
            var offset: Int64 = 0
            try Self.lines(of: LedgerFiles.name(of: host, number: number), in: directory, from: 0) { line, _ in
                body(line, LineSpan(number: number, offset: offset, count: line.count))
                offset += Int64(line.count) + 1
            }
        }
    }

    /// Reads a line again; nil when it is not a whole one.
    package func line(of host: String, at place: LineSpan) throws(Errno) -> LedgerLine? {
        let name = LedgerFiles.name(of: host, number: place.number)
        let file = try SystemCall.open(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        defer { SystemCall.close(file) }
        return LedgerLine(parsing: try SystemCall.bytes(file, at: place.offset, count: place.count))
    }
}
