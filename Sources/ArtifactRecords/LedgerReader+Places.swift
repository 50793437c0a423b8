internal import Glibc
internal import SystemCalls
package import SystemPackage

/// Lines that are found again without reading what is around them.
extension LedgerReader {
    /// Where a line is.
    package struct LineSpan: Sendable, Hashable {
        /// The file's number among its host's.
        package let number: Int
        /// In bytes.
        package let offset: Int64
        package let count: Int

        package init(number: Int, offset: Int64, count: Int) {
            (self.number, self.offset, self.count) = (number, offset, count)
        }
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
        LedgerLine(parsing: try bytes(of: host, at: place))
    }

    /// How many bytes all ledgers have.
    package func length() throws(Errno) -> Int64 {
        var all: Int64 = 0
        for host in try hosts() {
            all = all.addingReportingOverflow(try length(from: LedgerCursor(beginningOf: host))).partialValue
        }
        return all
    }

    /// How many bytes come after a place.
    package func length(from start: LedgerCursor) throws(Errno) -> Int64 {
        guard let (host, first) = LedgerFiles.understand(start.file) else { return 0 }
        var length = -start.offset
        for number in try LedgerFiles.all(in: directory)[host] ?? [] where number >= first {
            length += Int64(try SystemCall.attributes(directory, LedgerFiles.name(of: host, number: number)).st_size)
        }
        return max(0, length)
    }

    func bytes(of host: String, at place: LineSpan) throws(Errno) -> [UInt8] {
        let name = LedgerFiles.name(of: host, number: place.number)
        let file = try SystemCall.open(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        defer { SystemCall.close(file) }
        return try SystemCall.bytes(file, at: place.offset, count: place.count)
    }
}
