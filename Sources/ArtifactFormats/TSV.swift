/// Tab-separated values.
///
/// UTF-8 without NUL bytes; a header line that names at least one column; every line with as many columns as the header; a
/// newline at the end. Lines may end in CR LF, and a byte order mark before the header is accepted and not part of
/// the first name. A name may be empty, as that of the index column that pandas writes, but not all of them. Quotes
/// mean nothing: a tab is a separator, a newline ends a row. A blank line has one column.
enum TSV {
    /// How much of each end the quick check reads.
    static let window = 64 * 1024

    static func checkQuickly(_ source: some ByteSource) throws(FormatError) {
        var scanner = TSVScanner()
        let head = try source.head(window)
        try WebPage.refuse(head)
        try consume(head[...], with: &scanner)
        if source.count <= Int64(window) {
            _ = try scanner.finish()
            return
        }
        let tail = try source.tail(window)
        guard tail.last == newline else { throw noFinalNewline }
        // A header longer than the window is for the whole check; so is a row that fills the last one.
        guard let columns = scanner.headerColumns, let first = tail.firstIndex(of: newline) else { return }
        let start = source.count - Int64(tail.count) + Int64(first) + 1
        var rows = TSVScanner(columns: columns, startingAt: start)
        try consume(tail[(first + 1)...], with: &rows)
        _ = try rows.finish()
    }

    private static func consume(_ bytes: ArraySlice<UInt8>, with scanner: inout TSVScanner) throws(FormatError) {
        let result: Result<Void, FormatError> = bytes.withUnsafeBytes { raw in
            do throws(FormatError) {
                return .success(try scanner.consume(raw))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    static let newline: UInt8 = 0x0A
    static let noFinalNewline = FormatError.invalid(
        reason: "it does not end with a newline, so its last row may be cut short")
}

/// Checks rows in pieces of any size.
struct TSVScanner: ChunkScanner {
    private var utf8 = UTF8Checker()
    /// Lines that ended.
    private var lines: Int64 = 0
    /// Tabs so far in the line under way.
    private var tabs: Int64 = 0
    /// Tabs of the header, -1 until it has ended.
    private var headerTabs: Int64 = -1
    /// The header line's first bytes, no more than a record would take: what is kept must not grow with the file.
    private var header: [UInt8] = []
    private var headerIsCut = false
    private var collectsHeader = true
    private var lastByte: UInt8 = 0
    private var isEmpty = true
    /// The file offset of the next byte, and of the line under way.
    private var offset: Int64 = 0
    private var lineStart: Int64 = 0
    /// Rows of the end of a file have no line number that could be told without reading all before them.
    private let knowsLines: Bool

    /// A scanner from the first byte of a file.
    init() { knowsLines = true }

    /// A scanner from a later row, at byte `offset`, of a file whose header has `columns` columns.
    init(columns: Int64, startingAt offset: Int64) {
        knowsLines = false
        headerTabs = columns - 1
        collectsHeader = false
        lastByte = TSV.newline
        isEmpty = false
        self.offset = offset
        lineStart = offset
    }

    /// The header's columns, once it has been read.
    var headerColumns: Int64? { headerTabs < 0 ? nil : headerTabs + 1 }

    mutating func consume(_ chunk: UnsafeRawBufferPointer) throws(FormatError) {
        guard let last = chunk.last else { return }
        if collectsHeader { try collectHeader(chunk) }
        var index = 0
        while index &+ 64 <= chunk.count {
            try consumeBlock(UnsafeRawBufferPointer(rebasing: chunk[index..<(index &+ 64)]), length: 64)
            index &+= 64
        }
        if index < chunk.count {
            // The rest as a block padded with what is nothing to a table.
            let padded = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 16)
            defer { padded.deallocate() }
            let rest = UnsafeRawBufferPointer(rebasing: chunk[index...])
            padded.initializeMemory(as: UInt8.self, repeating: 0x20)
            padded.copyMemory(from: rest)
            try consumeBlock(UnsafeRawBufferPointer(padded), length: rest.count)
        }
        lastByte = last
        isEmpty = false
    }

    /// What the file is, when it ends here.
    func finish() throws(FormatError) -> FormatFacts {
        guard !isEmpty else { throw .invalid(reason: "it is empty") }
        guard lastByte == TSV.newline else { throw TSV.noFinalNewline }
        guard knowsLines else { return FormatFacts() }
        var facts = FormatFacts(rows: lines - 1)
        if headerTabs < Int64(FormatFacts.columnLimit), !headerIsCut {
            let names = headerText.split(separator: 0x09, omittingEmptySubsequences: false)
            facts.columns = names.map { FormatFacts.Column(name: String(decoding: $0, as: UTF8.self)) }
        } else {
            facts.details["columns"] = String(headerTabs + 1)
        }
        return facts
    }

    // MARK: The header

    private mutating func collectHeader(_ chunk: UnsafeRawBufferPointer) throws(FormatError) {
        let end = chunk.firstIndex(of: TSV.newline) ?? chunk.count
        let room = min(end, FormatFacts.columnTextLimit - header.count)
        header.append(contentsOf: chunk[..<room])
        if room < end { headerIsCut = true }
        guard end < chunk.count else { return }
        collectsHeader = false
        if headerText.allSatisfy({ $0 == 0x09 }), !headerIsCut {
            throw .invalid(reason: "its first line names no columns, a header is expected there")
        }
    }

    /// The header line without byte order mark and carriage return.
    private var headerText: ArraySlice<UInt8> {
        var text = header[...]
        if text.starts(with: [0xEF, 0xBB, 0xBF]) { text.removeFirst(3) }
        if text.last == 0x0D, !headerIsCut { text.removeLast() }
        return text
    }

    // MARK: Rows, 64 bytes at a time

    /// One block: a bit for every tab and newline, then a population count for every line that ends in it.
    @inline(__always)
    private mutating func consumeBlock(_ block: UnsafeRawBufferPointer, length: Int) throws(FormatError) {
        let a = block.loadUnaligned(fromByteOffset: 0, as: SIMD16<UInt8>.self)
        let b = block.loadUnaligned(fromByteOffset: 16, as: SIMD16<UInt8>.self)
        let c = block.loadUnaligned(fromByteOffset: 32, as: SIMD16<UInt8>.self)
        let d = block.loadUnaligned(fromByteOffset: 48, as: SIMD16<UInt8>.self)
        var newlines = Bytes64.bits(a, b, c, d, equal: 0x0A)
        var tabBits = Bytes64.bits(a, b, c, d, equal: 0x09)
        let high = unsafeBitCast(a | b | c | d, to: SIMD2<UInt64>.self)
        if (high[0] | high[1]) & 0x8080_8080_8080_8080 != 0 || !utf8.isComplete {
            if let bad = utf8.firstError(in: UnsafeRawBufferPointer(rebasing: block[..<length])) {
                throw notUTF8(block[bad], line: lines + 1 + Bytes64.ones(newlines & (1 << UInt64(bad) &- 1)))
            }
        }
        let low = Bytes64.smaller(Bytes64.smaller(a, b), Bytes64.smaller(c, d))
        if Bytes64.hasZero(low) {
            let nul = block.firstIndex(of: 0) ?? 0
            throw .invalid(
                reason: place(lines + 1 + Bytes64.ones(newlines & (1 << UInt64(nul) &- 1)), offset + Int64(nul))
                    + " holds a NUL byte; text in UTF-8 is expected")
        }
        while newlines != 0 {
            let position = UInt64(newlines.trailingZeroBitCount)
            let upTo = (2 &<< position) &- 1
            tabs &+= Bytes64.ones(tabBits & upTo)
            if tabs != headerTabs { try endOddLine() }
            tabs = 0
            lines &+= 1
            lineStart = offset &+ Int64(position) &+ 1
            tabBits &= ~upTo
            newlines &= newlines &- 1
        }
        tabs &+= Bytes64.ones(tabBits)
        offset &+= Int64(length)
    }

    /// A line ended that has not the header's columns: the header itself, or an error.
    @inline(never)
    private mutating func endOddLine() throws(FormatError) {
        if headerTabs < 0 {
            headerTabs = tabs
            return
        }
        let columns = tabs == 0 ? "only 1 column (it may be blank)" : counted(tabs + 1, "column")
        throw .invalid(reason: "\(place(lines + 1, lineStart)) has \(columns), the header has \(headerTabs + 1)")
    }

    @inline(never)
    private func notUTF8(_ byte: UInt8, line: Int64) -> FormatError {
        let hint = offset < 64 && byte >= 0xFE ? "; it looks like UTF-16" : ""
        return .invalid(reason: "\(place(line, offset)) is not UTF-8 (byte \(Excerpt.hex(byte)))\(hint)")
    }

    private func place(_ line: Int64, _ offset: Int64) -> String {
        knowsLines ? "line \(line)" : "the row at byte \(offset)"
    }
}
