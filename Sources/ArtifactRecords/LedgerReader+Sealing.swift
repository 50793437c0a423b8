internal import Glibc
internal import SystemCalls
package import SystemPackage

/// Looking for the line that tells of what has a name in the store, without reading the ledgers whole.
extension LedgerReader {
    /// What is looked for.
    package struct Sealing: Sendable {
        /// The directory, relative to the store.
        let directory: String
        /// The real name there.
        let name: String
        /// In bytes; nil where that is not compared.
        let size: Int64?
        fileprivate let needle: [UInt8]

        package init(directory: String, name: String, size: Int64?) {
            (self.directory, self.name, self.size) = (directory, name, size)
            var needle = Array("\"name\":".utf8)
            JSONValue.write(name, to: &needle)
            self.needle = needle
        }

        /// A line that tells of it.
        fileprivate func line(_ bytes: ArraySlice<UInt8>) -> LedgerLine? {
            guard LedgerReader.contains(bytes, needle), let line = LedgerLine(parsing: bytes) else { return nil }
            switch line.event {
            case .sealIntent(let intent), .sealed(let intent, _):
                let isIt =
                    intent.name.utf8.elementsEqual(name.utf8) && intent.directory.utf8.elementsEqual(directory.utf8)
                return isIt && (size ?? intent.size) == intent.size ? line : nil
            default: return nil
            }
        }
    }

    /// How far from a place a line is looked for, in bytes: lines of others come between.
    private static let nearness: Int64 = 8 << 20
    /// How much of the ledgers' ends is looked through where no place is known, in bytes.
    private static let end: Int64 = 16 << 20
    private static let piece = 1 << 18

    /// The line of what was sealed: its `sealed` line, or its intent's where that is all there is.
    ///
    /// - Parameter place: before its lines; nil where that is not known. Then the ends of the ledgers are looked through, and what is further
    ///   back is not found.
    package func line(
        of sealing: Sealing, after place: (file: String, offset: Int64)?
    ) throws(Errno) -> LedgerLine? {
        if let place, let found = try near(place, sealing) { return found }
        let ledgers = try LedgerFiles.all(in: directory)
        var newest: LedgerLine?
        for (host, numbers) in ledgers {
            let most = Self.end / Int64(ledgers.count)
            guard let found = try atEnd(of: host, numbers, most: most, sealing) else { continue }
            if newest.map({ $0.time < found.time }) ?? true { newest = found }
        }
        return newest
    }

    /// Reads forward.
    private func near(_ place: (file: String, offset: Int64), _ sealing: Sealing) throws(Errno) -> LedgerLine? {
        guard let (host, first) = LedgerFiles.understand(place.file) else { return nil }
        var (number, offset, left) = (first, place.offset, Self.nearness)
        var intent: LedgerLine?
        while true {
            let file: FileDescriptor
            do throws(Errno) {
                let name = LedgerFiles.name(of: host, number: number)
                file = try SystemCall.open(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            } catch .noSuchFileOrDirectory { return intent }
            defer { SystemCall.close(file) }
            var rest: [UInt8] = []
            while left > 0 {
                let bytes = try SystemCall.bytes(file, at: offset, count: rest.isEmpty ? 1 << 15 : Self.piece)
                if bytes.isEmpty { break }
                offset += Int64(bytes.count)
                left -= Int64(bytes.count)
                rest += bytes
                guard let last = rest.lastIndex(of: UInt8(ascii: "\n")) else { continue }
                let whole = rest[...last]
                if Self.contains(whole, sealing.needle) {
                    for bytes in whole.split(separator: UInt8(ascii: "\n")) {
                        guard let line = sealing.line(bytes) else { continue }
                        guard case .sealIntent = line.event else { return line }
                        if intent == nil { left = min(left, Int64(Self.piece)) }
                        intent = line
                    }
                }
                rest.removeSubrange(...last)
            }
            guard left > 0 else { return intent }
            (number, offset) = (number + 1, 0)
        }
    }

    /// Reads backwards.
    private func atEnd(
        of host: String, _ numbers: [Int], most: Int64, _ sealing: Sealing
    ) throws(Errno) -> LedgerLine? {
        var left = most
        for number in numbers.reversed() where left > 0 {
            let name = LedgerFiles.name(of: host, number: number)
            let file = try SystemCall.open(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            defer { SystemCall.close(file) }
            var end = Int64(try SystemCall.attributes(file).st_size)
            var length = Int64(Self.piece)
            while end > 0, left > 0 {
                let start = max(0, end - length)
                let bytes = try SystemCall.bytes(file, at: start, count: Int(end - start))
                left -= Int64(bytes.count)
                // The first line may have begun before.
                let first = start == 0 ? 0 : (bytes.firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? bytes.count)
                guard first < bytes.count else {
                    length = length.multipliedReportingOverflow(by: 4).partialValue
                    guard length <= most else { break }
                    continue
                }
                let whole = bytes[first...]
                if Self.contains(whole, sealing.needle) {
                    for bytes in whole.split(separator: UInt8(ascii: "\n")).reversed() {
                        if let line = sealing.line(bytes) { return line }
                    }
                }
                end = start + Int64(first)
                length = Int64(Self.piece)
            }
        }
        return nil
    }
}
