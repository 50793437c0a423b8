/// Tab-separated values.
///
/// UTF-8 without NUL bytes; a header line that names at least one column; every line with as many columns as the header; a
/// newline at the end. Lines may end in CR LF, and a byte order mark before the header is accepted and not part of
/// the first name. A name may be empty, as that of the index column that pandas writes, but not all of them. Quotes
/// mean nothing: a tab is a separator, a newline ends a row. A blank line has one column. A ``TableForm`` changes what it says.
enum TSV {
    /// How much of each end the quick check reads.
    static let window = 64 * 1024

    static func checkQuickly(_ source: some ByteSource, _ form: TableForm) throws(FormatError) {
        guard !form.isCompressed else { return try checkGzip(source) }
        var scanner = TSVScanner(form)
        let head = try source.head(window)
        try WebPage.refuse(head)
        try consume(head[...], with: &scanner)
        if source.count <= Int64(window) {
            _ = try scanner.finish()
            return
        }
        let tail = try source.tail(window)
        guard tail.last == newline else { throw noFinalNewline }
        // A header longer than the window is for the whole check; so is a row that fills the last one, and where a row begins among quotes.
        guard !form.hasQuotes, let columns = scanner.headerColumns, let first = tail.firstIndex(of: newline) else {
            return
        }
        let start = source.count - Int64(tail.count) + Int64(first) + 1
        var rows = TSVScanner(form, columns: columns, startingAt: start)
        try consume(tail[(first + 1)...], with: &rows)
        _ = try rows.finish()
    }

    private static func checkGzip(_ source: some ByteSource) throws(FormatError) {
        let head = try source.head(WebPage.window)
        try WebPage.refuse(head)
        guard GzipStream.begins(head) else {
            throw .invalid(
                reason: "it begins with \"\(Excerpt.text(head.prefix(8)))\", it is not compressed with gzip or bgzip")
        }
        try GzipStream.checkEnd(of: source)
    }

    /// Decompresses a table and checks it.
    static func compressedFacts(of source: some ByteSource, _ form: TableForm) throws(FormatError) -> FormatFacts {
        try checkGzip(source)
        var scanner = TSVScanner(form)
        var isFirst = true
        try GzipStream.decompress(source) { (chunk) throws(FormatError) in
            if isFirst { try WebPage.refuse(chunk) }
            isFirst = false
            try scanner.consume(chunk)
        }
        var facts = try scanner.finish()
        facts.details["container"] = "gzip"
        return facts
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

    private let form: TableForm

    // Where a form changes what bytes mean:

    /// Rows that ended, the header too.
    private var rows: Int64 = 0
    private var place = Place.lineStart
    /// The line on which the row under way began.
    private var rowLine: Int64 = 1
    /// The quotes that have not ended began on this line.
    private var quoteLine: Int64 = 0

    private enum Place {
        case lineStart
        case fieldStart
        case field
        case quotes
        /// After a quote in quotes: their end, or one half of a doubled one.
        case quote
        case comment
    }

    /// A scanner from the first byte of a file.
    init(_ form: TableForm) {
        self.form = form
        knowsLines = true
    }

    /// A scanner from a later row, at byte `offset`, of a file whose header has `columns` columns.
    init(_ form: TableForm, columns: Int64, startingAt offset: Int64) {
        self.form = form
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
        guard form.isPlain else {
            try consumeBytes(chunk)
            lastByte = last
            isEmpty = false
            return
        }
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
        if place == .quotes {
            throw .invalid(reason: "it ends inside quotes that begin on line \(quoteLine): it is cut short")
        }
        guard headerTabs >= 0 else {
            throw .invalid(reason: "it has comments only, \(form.hasHeader ? "a header" : "a row") is expected")
        }
        guard form.hasHeader else {
            return FormatFacts(rows: rows, details: ["columns": String(headerTabs + 1)])
        }
        var facts = FormatFacts(rows: form.isPlain ? lines - 1 : rows - 1)
        if headerTabs < Int64(FormatFacts.columnLimit), !headerIsCut {
            facts.columns = headerNames.map { FormatFacts.Column(name: $0) }
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
        try endHeader()
    }

    private mutating func endHeader() throws(FormatError) {
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

    private var headerNames: [String] {
        guard form.hasQuotes else {
            let names = headerText.split(separator: 0x09, omittingEmptySubsequences: false)
            return names.map { String(decoding: $0, as: UTF8.self) }
        }
        var names: [[UInt8]] = [[]]
        var isQuoted = false
        var before: UInt8 = 0x09
        for byte in headerText {
            switch byte {
            case UInt8(ascii: "\"") where isQuoted: isQuoted = false
            // The second of a doubled one is part of the name.
            case UInt8(ascii: "\"") where before == byte && !(names.last ?? []).isEmpty:
                names[names.count - 1].append(byte)
                isQuoted = true
            case UInt8(ascii: "\"") where before == 0x09: isQuoted = true
            case 0x09 where !isQuoted: names.append([])
            default: names[names.count - 1].append(byte)
            }
            before = byte
        }
        return names.map { String(decoding: $0, as: UTF8.self) }
    }

    // MARK: Rows, a byte at a time

    private mutating func consumeBytes(_ chunk: UnsafeRawBufferPointer) throws(FormatError) {
        let bad = utf8.firstError(in: chunk)
        for index in 0..<(bad ?? chunk.count) {
            let byte = chunk[index]
            if byte == 0 {
                throw .invalid(
                    reason: place(lines + 1, offset + Int64(index)) + " holds a NUL byte; text in UTF-8 is expected")
            }
            try take(byte, at: offset + Int64(index))
        }
        if let bad { throw notUTF8(chunk[bad], line: lines + 1) }
        offset += Int64(chunk.count)
    }

    private mutating func take(_ byte: UInt8, at position: Int64) throws(FormatError) {
        if byte == TSV.newline, place != .quotes {
            if place != .comment { try endRow() }
            lines += 1
            place = .lineStart
            return
        }
        if place == .lineStart {
            rowLine = lines + 1
            lineStart = position
            place = byte == form.comment?.rawValue ? .comment : .fieldStart
        }
        if place == .comment { return }
        if collectsHeader, form.hasHeader {
            if header.count < FormatFacts.columnTextLimit { header.append(byte) } else { headerIsCut = true }
        }
        switch (place, byte) {
        case (.quotes, UInt8(ascii: "\"")): place = .quote
        case (.quotes, _): if byte == TSV.newline { lines += 1 }
        case (.quote, UInt8(ascii: "\"")): place = .quotes
        case (_, 0x09):
            tabs += 1
            place = .fieldStart
        case (.fieldStart, UInt8(ascii: "\"")) where form.hasQuotes:
            place = .quotes
            quoteLine = lines + 1
        // A byte order mark stands before the first field.
        case (.fieldStart, 0xEF) where position == 0, (.fieldStart, 0xBB) where position == 1: break
        case (.fieldStart, 0xBF) where position == 2: place = form.comment == nil ? .fieldStart : .lineStart
        default: place = .field
        }
    }

    private mutating func endRow() throws(FormatError) {
        if place == .lineStart {
            rowLine = lines + 1
            lineStart = offset
        }
        if headerTabs < 0, form.hasHeader { try endHeader() }
        if tabs != headerTabs { try endOddLine(at: rowLine) }
        tabs = 0
        rows += 1
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
            if tabs != headerTabs { try endOddLine(at: lines &+ 1) }
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
    private mutating func endOddLine(at line: Int64) throws(FormatError) {
        if headerTabs < 0 {
            headerTabs = tabs
            return
        }
        let columns = tabs == 0 ? "only 1 column (it may be blank)" : counted(tabs + 1, "column")
        let wanted = form.hasHeader ? "the header has \(headerTabs + 1)" : "the first row has \(headerTabs + 1)"
        // R names no column for the row names that it writes into the first.
        let isR = form.hasHeader && knowsLines && tabs == headerTabs + 1 && (form.isPlain ? lines : rows) == 1
        throw .invalid(
            reason: "\(place(line, lineStart)) has \(columns), \(wanted)"
                + (isR ? "; if R's write.table wrote it, use col.names=NA or row.names=FALSE there" : ""))
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
