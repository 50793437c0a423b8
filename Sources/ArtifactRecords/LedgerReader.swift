internal import Glibc
internal import SystemCalls
public import SystemPackage

/// Reads the ledgers of a store, from their beginning or from where somebody stopped.
public struct LedgerReader: Sendable {
    let directory: FileDescriptor

    /// A reader.
    ///
    /// - Parameter directory: the store's `ledger` directory, open for as long as this is used.
    public init(directory: FileDescriptor) { self.directory = directory }

    /// The hosts that have a ledger, in the order of their names.
    public func hosts() throws(Errno) -> [String] { try LedgerFiles.all(in: directory).keys.sorted() }

    /// Why a ledger cannot be read on from a place.
    public enum ReadingFailure: Error, Hashable {
        /// The system refuses.
        case system(Errno)
        /// What was read before this place is not what is there now: it must be read from its beginning, and somebody must hear of it.
        case changed(LedgerCursor)
    }

    /// Reads a host's whole lines that come after a place. A last line that is still being written is left for the next time.
    ///
    /// - Returns: the place after the last line that was read.
    public func read(from start: LedgerCursor, _ body: (LedgerLine) -> Void) throws(ReadingFailure) -> LedgerCursor {
        try readLines(from: start) { line, _ in
            if let found = LedgerLine(parsing: line) { body(found) }
        }
    }

    /// The same with the lines' bytes, without their newlines, of whole files of the ledger as of what a crash has cut off.
    ///
    /// - Parameter body: is called with a line, and where it is.
    package func readLines(
        from start: LedgerCursor, _ body: (ArraySlice<UInt8>, LineSpan) -> Void
    ) throws(ReadingFailure) -> LedgerCursor {
        guard let (host, first) = LedgerFiles.understand(start.file) else { throw .changed(start) }
        var cursor = start
        var isChanged = false
        var isFirst = true
        var last: LineSpan?
        do throws(Errno) {
            let numbers = try LedgerFiles.all(in: directory)[host] ?? []
            guard numbers.contains(first) || start.offset == 0 else { throw .noSuchFileOrDirectory }
            for number in numbers where number >= first && !isChanged {
                let name = LedgerFiles.name(of: host, number: number)
                if name != cursor.file { (cursor.file, cursor.offset) = (name, 0) }
                // One that is shorter than what was read of it is another one.
                guard Int64(try SystemCall.attributes(directory, name).st_size) >= cursor.offset else {
                    throw .noSuchFileOrDirectory
                }
                try Self.lines(of: name, in: directory, from: cursor.offset) { line, isWhole in
                    guard isWhole, !isChanged else { return }
                    // A line after one that a crash cut off has that one's hash: only the first one proves the place.
                    if isFirst, let found = LedgerLine(parsing: line), found.prev != cursor.hash {
                        return isChanged = true
                    }
                    isFirst = false
                    let span = LineSpan(number: number, offset: cursor.offset, count: line.count)
                    body(line, span)
                    cursor.offset += Int64(line.count) + 1
                    last = span
                }
            }
            // Only the last one's hash and number are needed.
            if let last, !isChanged {
                let line = try bytes(of: host, at: last)
                cursor.hash = (try? SHA256.digest(line)) ?? ""
                cursor.seq = JSONValue(parsing: line).flatMap(LedgerLine.number) ?? cursor.seq
            }
        } catch {
            if error == .noSuchFileOrDirectory { throw .changed(start) }
            throw .system(error)
        }
        if isChanged { throw .changed(start) }
        return cursor
    }

    /// Calls with each line of one host's ledger, or of all, without its newline; the last of a file may be cut off. What is not needed is
    /// not parsed.
    ///
    /// - Parameters:
    ///   - host: nil for all.
    ///   - start: a place in that host's ledger; lines before it are passed over.
    package func forEachLine(
        of host: String? = nil, from start: (file: String, offset: Int64)? = nil,
        _ body: (ArraySlice<UInt8>) -> Void
    ) throws(Errno) {
        for (name, numbers) in try LedgerFiles.all(in: directory).sorted(by: { $0.key < $1.key }) {
            guard host == nil || name == host else { continue }
            let named = start.flatMap { LedgerFiles.understand($0.file)?.number }
            // A place in a file that is not there says nothing.
            let first = named.flatMap { numbers.contains($0) ? $0 : nil }
            for number in numbers where number >= first ?? 1 {
                let offset = number == first ? start?.offset ?? 0 : 0
                try Self.lines(of: LedgerFiles.name(of: name, number: number), in: directory, from: offset) { line, _ in
                    body(line)
                }
            }
        }
    }

    /// Whether a line has a text, which is quicker to learn than what it says.
    package static func contains(_ line: ArraySlice<UInt8>, _ needle: [UInt8]) -> Bool {
        line.withUnsafeBytes { line in
            needle.withUnsafeBytes { needle in
                SystemCall.contains(line, needle)
            }
        }
    }

    /// Something that is not as the ledger writes it.
    public struct Problem: Sendable, Hashable, CustomStringConvertible {
        /// The file's name.
        public let file: String
        /// The line in it, from 1.
        public let line: Int
        /// What is wrong with it, for people.
        public let problem: String

        /// For people.
        public var description: String { line == 0 ? "\(file): \(problem)" : "\(file), line \(line): \(problem)" }
    }

    /// The end of a host's chain: how many lines it has, and the hash of the last one. Whoever has noted it elsewhere can tell later whether
    /// what came before it was changed.
    public struct ChainHead: Sendable, Hashable {
        /// The number of the last line; 0 of an empty ledger.
        public let seq: Int64
        /// Its SHA-256, without its newline.
        public let hash: String

        /// A head.
        public init(seq: Int64, hash: String) { (self.seq, self.hash) = (seq, hash) }
    }

    /// Checks a host's chain of hashes and numbers, over all its files.
    ///
    /// - Returns: what is wrong; empty for a ledger in which nothing was changed. Lines that crashes cut off are not wrong when the ledger
    ///   says so, or when it is the last one.
    public func verify(_ host: String) throws(Errno) -> [Problem] { try verify(host, noted: []).problems }

    /// The same, with where the chain ends.
    ///
    /// - Parameter noted: heads that were noted before: each one's line is to be there with that hash.
    public func verify(_ host: String, noted: [ChainHead]) throws(Errno) -> (problems: [Problem], head: ChainHead) {
        var problems: [Problem] = []
        var (seq, hash) = (Int64(0), Ledger.noHash)
        // The last line that is one: what a crash has cut off after it is none.
        var head = ChainHead(seq: 0, hash: Ledger.noHash)
        var waiting: [Int64: [String]] = [:]
        for one in noted where one != head { waiting[one.seq, default: []].append(one.hash) }
        var damaged: (file: String, line: Int, isWhole: Bool)?
        let numbers = try LedgerFiles.all(in: directory)[host] ?? []
        for (index, number) in numbers.enumerated() {
            let file = LedgerFiles.name(of: host, number: number)
            var line = 0
            var goesOn = false
            func note(_ problem: String, _ place: (file: String, line: Int, isWhole: Bool)? = nil) {
                problems.append(
                    Problem(file: place?.file ?? file, line: place?.line ?? line, problem: problem))
            }
            if number != index + 1 { note("the file before it is missing") }
            try Self.lines(of: file, in: directory, from: 0) { bytes, isWhole in
                line += 1
                let own = (try? SHA256.digest(bytes)) ?? ""
                defer { hash = own }
                guard let found = LedgerLine(parsing: bytes) else {
                    if let damaged { note("is not a ledger line", damaged) }
                    return damaged = (file, line, isWhole)
                }
                if let place = damaged, found.event != .ledgerRepaired { note("is not a ledger line", place) }
                // One that lacked its newline only was cut off all the same.
                if found.event == .ledgerRepaired { goesOn = false }
                damaged = nil
                if goesOn { note("is after the line that says where the ledger goes on") }
                if found.prev != hash { note("'prev' is not the hash of the line before it") }
                if found.seq != seq + 1 { note("has number \(found.seq) after \(seq)") }
                seq = found.seq
                head = ChainHead(seq: seq, hash: own)
                for other in waiting.removeValue(forKey: seq) ?? [] where other != own {
                    note("has number \(seq), and its hash is not the one that was noted")
                }
                if case .ledgerContinues = found.event { goesOn = true }
            }
            let isLast = index + 1 == numbers.count
            if isLast, goesOn { note("says that the ledger goes on, and the file in which it does is missing") }
            if !isLast, !goesOn,
                try SystemCall.attributes(directory, LedgerFiles.name(of: host, number: numbers[index + 1])).st_size > 0
            {
                note("does not say that the ledger goes on, and there is another file")
            }
            // What a crash has cut off has no newline.
            if isLast, let place = damaged, place.isWhole { note("is not a ledger line", place) }
        }
        let last = LedgerFiles.name(of: host, number: numbers.last ?? 1)
        for number in waiting.keys.sorted() {
            problems.append(
                Problem(
                    file: last, line: 0, problem: "it ends with number \(seq), and number \(number) was noted before"))
        }
        return (problems, head)
    }

    /// Calls with each line of a file, and with whether its newline is there.
    static func lines(
        of file: String, in directory: FileDescriptor, from start: Int64,
        _ body: (ArraySlice<UInt8>, _ isWhole: Bool) -> Void
    ) throws(Errno) {
        let descriptor = try SystemCall.open(directory, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        var offset = start
        var rest: [UInt8] = []
        while true {
            let piece = try SystemCall.bytes(descriptor, at: offset, count: 1 << 20)
            if piece.isEmpty { break }
            offset += Int64(piece.count)
            rest += piece
            var start = rest.startIndex
            while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                body(rest[start..<end], true)
                start = end + 1
            }
            rest.removeSubrange(..<start)
        }
        if !rest.isEmpty { body(rest[...], false) }
    }
}
